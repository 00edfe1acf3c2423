package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// Cancel ends a run that has not passed the point of no return: nothing of it
// is published. Errors are *api.Error: not_found, or conflict.
func (e *Engine) Cancel(ctx context.Context, id, actor string) (api.Run, error) {
	run, err := e.act(ctx, id, func(tx *store.Tx, run store.Run) error {
		switch {
		case run.State == api.RunCommitting:
			return api.Errorf(api.CodeConflict, "wait for it to end", "run %s is committing and can't be cancelled any more", id)
		case run.State.Ended():
			return api.Errorf(api.CodeConflict, "", "run %s has ended already: %s", id, run.State)
		}
		return e.CancelIn(tx, run, "", actor)
	})
	if err == nil {
		e.Interrupt(id)
	}
	return run, err
}

// CancelIn makes the transition of Cancel inside the caller's transaction; the
// caller interrupts the run once that is committed. The reason may be empty.
func (e *Engine) CancelIn(tx *store.Tx, run store.Run, reason api.Reason, actor string) error {
	if !CanMove(run.State, api.RunCancelled) {
		return api.Errorf(api.CodeConflict, "wait for it to end", "run %s is %s and can't be cancelled", run.ID, run.State)
	}
	if err := tx.CancelMiniBatches(run.ID); err != nil {
		return err
	}
	_, err := e.move(tx, run, store.RunChange{To: api.RunCancelled, Reason: reason, Actor: actor})
	return err
}

// Interrupt stops the work of a run that was cancelled.
func (e *Engine) Interrupt(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if x, ok := e.running[id]; ok {
		x.cancel(errCancelled)
	}
	e.Wake()
}

// Retry goes on with a run that ended unfinished, over the same plan: what is
// staged or committed stays, everything else is tried anew, with the job's
// current server, timeouts and thresholds. It keeps its place in the queue.
func (e *Engine) Retry(ctx context.Context, id, actor string) (api.Run, error) {
	run, err := e.act(ctx, id, func(tx *store.Tx, run store.Run) error {
		if run.State == api.RunSkipped {
			return api.Errorf(api.CodeConflict, fmt.Sprintf("run the occurrence with: batch-runner run %s --occurrence %s", run.Job, run.Occurrence.Format(time.RFC3339)),
				"run %s was skipped, because a newer one took its place: it has nothing to go on with", id)
		}
		if !CanMove(run.State, api.RunQueued) || !run.State.Ended() {
			return api.Errorf(api.CodeConflict, "", "run %s is %s: there is nothing to retry", id, run.State)
		}
		if job, err := tx.JobByUID(run.JobUID); err != nil || !job.BuriedAt.IsZero() {
			return errors.Join(err, api.Errorf(api.CodeConflict, "declare the job again first", "job %s of run %s is deleted", run.Job, id))
		}
		if newer, err := tx.NewerRevision(run); err == nil {
			return api.Errorf(api.CodeConflict, "retry that one", "run %s has replaced the output of run %s", newer.ID, id)
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if _, err := tx.Resume(run.ID); err != nil {
			return err
		}
		_, err := e.move(tx, run, store.RunChange{To: api.RunQueued, Actor: actor, Attempt: run.Attempt + 1, Detail: "retry"})
		return err
	})
	e.Wake()
	return run, err
}

// Accept publishes what a withheld run has staged, in spite of its failures,
// as incomplete(accepted).
func (e *Engine) Accept(ctx context.Context, id, reason, actor string) (api.Run, error) {
	if reason == "" {
		return api.Run{}, &api.Error{Code: api.CodeInvalid, Pointer: "/reason", Message: "is required: say why incomplete predictions may be published"}
	}
	run, err := e.act(ctx, id, func(tx *store.Tx, run store.Run) error {
		if !run.Withheld && run.State != api.RunStopped {
			return api.Errorf(api.CodeConflict, "", "run %s is %s and not withheld: there is nothing to accept", id, run.State)
		}
		if run.Counts.Staged == 0 {
			return api.Errorf(api.CodeConflict, "retry it instead", "run %s has no staged prediction to publish", id)
		}
		if newer, err := tx.NewerRevision(run); err == nil {
			return api.Errorf(api.CodeConflict, "keep that one, or run the occurrence again", "run %s has published the same occurrence since", newer.ID)
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if other, err := tx.RunInTheWay(run); err == nil {
			return api.Errorf(api.CodeConflict, "wait for it to end", "run %s of the job is under way", other.ID)
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return e.acceptIn(tx, run, reason, actor)
	})
	e.Wake()
	return run, err
}

func (e *Engine) acceptIn(tx *store.Tx, run store.Run, reason, actor string) error {
	x := &execution{e: e, run: run}
	if err := x.load(); err != nil {
		return err
	}
	if x.plan.Run == "" {
		return api.Errorf(api.CodeConflict, "retry it instead", "run %s has no plan", run.ID)
	}
	revision, err := x.out.NextRevision()
	if failure, ok := errors.AsType[*api.Failure](err); ok {
		return api.Errorf(api.CodeConflict, failure.Hint, "%v", failure.Err)
	}
	if err != nil {
		return err
	}
	end := verdict{State: api.RunIncomplete, Reason: api.ReasonAccepted, Message: "accepted by " + actor + ": " + reason}
	return x.move(tx, store.RunChange{To: api.RunCommitting, Actor: actor, Reason: api.ReasonAccepted, Detail: reason,
		Intent: x.intent(run, end, revision, tx.Now)})
}

// act finds a run and changes it in one transaction.
func (e *Engine) act(ctx context.Context, id string, change func(*store.Tx, store.Run) error) (api.Run, error) {
	var after store.Run
	err := e.Store.Write(ctx, func(tx *store.Tx) error {
		run, err := tx.Run(id)
		if errors.Is(err, store.ErrNotFound) {
			return api.Errorf(api.CodeNotFound, "list runs with: batch-runner runs JOB", "there is no run %s", id)
		}
		if err != nil {
			return err
		}
		if err := change(tx, run); err != nil {
			return err
		}
		after, err = tx.Run(id)
		return err
	})
	return after.Run, err
}

// sweepEnded removes the staging of ended runs that need not be kept: after a
// crash, and once keep_withheld is over. Runs are started by the same
// goroutine, so none of them can begin meanwhile.
func (e *Engine) sweepEnded() {
	ended, err := e.Store.StagingToSweep(e.Now())
	if err != nil {
		e.Log.Error("look for staging to remove", "error", err)
		return
	}
	for _, run := range ended {
		if _, executing := e.execution(run.ID); executing {
			continue // about to sweep for itself
		}
		if err := e.sweepRun(run); err != nil && !errors.Is(err, store.ErrFenced) {
			e.Log.Error("remove staging", "job", run.Job, "run", run.ID, "error", err)
		}
	}
}

func (e *Engine) sweepRun(run store.Run) error {
	x := &execution{e: e, run: run, log: e.Log}
	if err := x.load(); err != nil {
		return err
	}
	if run.Counts.Staged > 0 {
		err := e.Store.Write(e.base, func(tx *store.Tx) (err error) {
			x.run, err = tx.DropStaged(run)
			return err
		})
		if err != nil {
			return err
		}
	}
	x.sweep()
	return nil
}
