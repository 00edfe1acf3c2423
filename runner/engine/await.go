package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

const (
	// lookFirst and lookMost bound the pause between two looks for an input,
	// which doubles.
	lookFirst, lookMost = time.Second, 30 * time.Second
	// lookTimeout is what one look may take.
	lookTimeout = time.Minute
)

// waitsForInput tells whether a run whose turn it is must wait for its input
// first. It does so in the queue: neither slot nor server is its own meanwhile.
func (e *Engine) waitsForInput(run store.Run, queued store.Queued) (bool, error) {
	job, err := e.Store.JobByUID(run.JobUID)
	if err != nil || job.Spec.Input.WaitFor == nil || queued.InputThere {
		return false, err
	}
	if _, err := e.Store.Plan(run.ID); !errors.Is(err, store.ErrNotFound) {
		return false, err // it has its input
	}
	err = e.Store.Write(e.base, func(tx *store.Tx) error { return tx.AwaitInput(run.ID) })
	if err != nil && !errors.Is(err, store.ErrFenced) {
		return true, err
	}
	e.Wake() // the slot is for another one
	return true, nil
}

// awaitInputs looks for the input of each run that waits for it. The goroutine
// of schedule alone calls it.
func (e *Engine) awaitInputs() error {
	runs, err := e.Store.Awaiting()
	if err != nil {
		return err
	}
	for _, run := range runs {
		e.mu.Lock()
		begin := !e.awaited[run.Run] && !e.draining()
		if begin {
			e.awaited[run.Run] = true
			e.loop.Go(func() { e.awaitInput(run.Run) })
		}
		e.mu.Unlock()
	}
	return nil
}

// awaitInput looks for one run's input until it is there, it is too late, or
// the run does not wait any more.
func (e *Engine) awaitInput(id string) {
	defer func() {
		e.mu.Lock()
		delete(e.awaited, id)
		e.mu.Unlock()
	}()
	told := false
	for pause := lookFirst; ; pause = min(2*pause, lookMost) {
		wait, err := e.lookForInput(id, &told)
		switch {
		case err != nil:
			e.Log.Error("look for a run's input", "run", id, "error", err)
			wait = storeRetry
		case wait == 0:
			e.Wake()
			return
		}
		if err := sleepOr(e.base, min(pause, wait), e.drain); err != nil || e.draining() {
			return
		}
	}
}

// lookForInput looks once. It gives how much longer the run may wait; zero: it
// waits no more.
func (e *Engine) lookForInput(id string, told *bool) (time.Duration, error) {
	waiting, err := e.Store.AwaitingInput(id)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	run, err := e.Store.Run(id)
	if err != nil {
		return 0, err
	}
	x := &execution{e: e, run: run, log: e.Log.With("job", run.Job, "run", run.ID)}
	if err := x.load(); err != nil {
		return 0, err
	}
	there, why, err := x.inputIsThere()
	failure, refused := errors.AsType[*api.Failure](err)
	switch {
	case there:
		return 0, e.settleWait(func(tx *store.Tx) error { return tx.InputIsThere(id) })
	case refused:
		return 0, e.failWaiting(id, failure)
	case err != nil:
		why = err.Error()
	}
	timeout := x.job.Input.WaitFor.Timeout
	left := timeout.Value() - e.Now().Sub(waiting.Since)
	if left <= 0 {
		return 0, e.failWaiting(id, api.Fail(api.ReasonInputLate, "see what makes the input, then rerun the occurrence",
			fmt.Errorf("waited %s for the input: %s", timeout, why)))
	}
	if !*told {
		*told = true
		return left, x.event(e.base, "waiting", why)
	}
	return left, nil
}

func (x *execution) inputIsThere() (there bool, why string, err error) {
	ctx, cancel := context.WithTimeout(x.e.base, lookTimeout)
	defer cancel()
	query := source.Query{ScheduledAt: x.run.Occurrence}
	if sql := x.job.Input.SQL; sql != nil {
		query.Text = sql.Query
		if query.PreviousSuccess, err = x.e.Store.SuccessBefore(x.run.JobUID, x.run.Occurrence); err != nil {
			return false, "", err
		}
	}
	return x.inputs.There(ctx, x.job.Input, x.occasion, query)
}

// failWaiting ends a run whose input does not come.
func (e *Engine) failWaiting(id string, why *api.Failure) error {
	return e.settleWait(func(tx *store.Tx) error {
		run, err := tx.Run(id)
		if err != nil || run.State != api.RunQueued {
			return err
		}
		_, err = e.move(tx, run, store.RunChange{To: api.RunFailed, Actor: "runner", Reason: why.Reason, Message: why.Error()})
		return err
	})
}

// settleWait ends a wait, unless the run was cancelled or purged meanwhile.
func (e *Engine) settleWait(settle func(tx *store.Tx) error) error {
	err := e.Store.Write(e.base, settle)
	if errors.Is(err, store.ErrFenced) || errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
