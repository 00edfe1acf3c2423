package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
	"github.com/batchpattern/terraform-provider-batch/runner/predict"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// stuckGrace is how long an attempt whose time is up may take to end before
// its worker is left behind, fenced off.
const stuckGrace = 5 * time.Second

// errAttemptTimeout ends an attempt by mini_batch.timeout.
var errAttemptTimeout = errors.New("the attempt took too long")

// effort counts what an attempt sends.
type effort struct {
	requests, probes, controls, confirmations atomic.Int64
	sent                                      atomic.Bool
}

func (e *effort) spent() store.Effort {
	return store.Effort{
		Requests: e.requests.Load(), Sent: e.sent.Load(),
		Probes: e.probes.Load(), Controls: e.controls.Load(), Confirmations: e.confirmations.Load(),
	}
}

// work predicts one mini-batch and stores how that ended. on is where suspects
// run.
func (d *dispatcher) work(ctx context.Context, m store.MiniBatch, on *trial) outcome {
	if cause := d.breaker.spent(); cause != nil {
		return d.giveUp(ctx, m, cause)
	}
	timeout := d.x.job.MiniBatch.Timeout.Value()
	attempted, cancel := context.WithTimeoutCause(ctx, timeout, errAttemptTimeout)
	defer cancel()
	a := d.newAttempt(m, on)
	staged, stuck, err := a.within(attempted)
	if err != nil && errors.Is(context.Cause(attempted), errAttemptTimeout) {
		err = fmt.Errorf("%w: mini-batch %d was not predicted within mini_batch.timeout, %s", errAttemptTimeout, m.Number, timeout)
	}
	if err == nil {
		if err = d.stage(ctx, m, staged); err == nil {
			return outcome{failed: int64(len(staged.DeadLetters)), failure: d.reveal(ctx, m, staged)}
		}
	}
	return d.release(ctx, a, stuck, err)
}

// within carries the attempt out. A worker that does not hear that its time is
// up is left behind.
func (a *attempt) within(ctx context.Context) (staged store.Staged, stuck bool, err error) {
	done := make(chan struct{})
	var result store.Staged
	var failure error
	go func() {
		defer close(done)
		result, failure = a.predict(ctx)
	}()
	select {
	case <-done:
		return result, false, failure
	case <-ctx.Done():
	}
	if !errors.Is(context.Cause(ctx), errAttemptTimeout) {
		<-done
		return result, false, failure
	}
	if err := sleepOr(context.Background(), stuckGrace, done); err != nil {
		return store.Staged{}, true, err
	}
	select {
	case <-done:
		return result, false, failure
	default:
		return store.Staged{}, true, errAttemptTimeout
	}
}

// stage stores an attempt's result.
func (d *dispatcher) stage(ctx context.Context, m store.MiniBatch, staged store.Staged) error {
	err := d.x.e.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		if err := tx.Stage(d.x.run, m, staged); err != nil || staged.Probes+staged.Confirmations == 0 {
			return err
		}
		return tx.Event(store.Event{UID: d.x.run.JobUID, Run: d.x.run.ID, Event: api.Event{Kind: "isolation", Actor: "runner",
			Detail: fmt.Sprintf("mini-batch %d: %s of %s, found with %s, %s and %s", m.Number,
				api.Counted(int64(len(staged.DeadLetters)), "dead letter"), api.Counted(m.Records, "record"),
				api.Counted(staged.Probes, "probe"), api.Counted(staged.Controls, "control"), api.Counted(staged.Confirmations, "confirmation"))}})
	})
	if err != nil {
		return err
	}
	failpoint.Here("stage.row")
	return nil
}

// reveal shows a result that is stored, where the run shows them one by one.
// The end of the run makes good what fails now, unless that would fail again:
// then there is no point in predicting more.
func (d *dispatcher) reveal(ctx context.Context, m store.MiniBatch, staged store.Staged) error {
	err := d.x.reveal(ctx, m, staged)
	if failure, ok := errors.AsType[*api.Failure](err); ok && failure.Reason == api.ReasonPublish {
		return failure
	}
	if err != nil {
		d.x.log.Warn("show mini-batch", "mini_batch", m.Number, "error", err)
	}
	return nil
}

// release stores that an attempt ended without a result, and what follows.
func (d *dispatcher) release(ctx context.Context, a *attempt, stuck bool, cause error) outcome {
	m := a.m
	if over, ok := errors.AsType[*attemptOver](cause); ok {
		return d.putBack(ctx, a, store.Failure{Class: over.Class, Error: over.Error()}, over)
	}
	if errors.Is(cause, errSick) {
		if d.turn(m.Number) {
			return d.putBack(ctx, a, store.Failure{}, nil)
		}
		cause = &predict.Error{Class: api.ClassTransient, Err: fmt.Errorf("turned back %d times: %w", breakerTurns, errSick)}
		ctx = context.WithoutCancel(ctx) // this time it counts
	}
	if nothing, ok := errors.AsType[*unproven](cause); ok {
		return d.releaseUnproven(ctx, a, nothing)
	}
	if letters, changed := d.x.changedCarried(m, cause); changed {
		if m.Redrive {
			return d.keepResult(ctx, a, cause)
		}
		if err := d.stage(ctx, m, store.Staged{Effort: a.effort.spent(), DeadLetters: letters}); err != nil {
			return outcome{failure: err}
		}
		return outcome{failed: m.Records, failure: d.reveal(ctx, m, store.Staged{})}
	}
	end := classify(ctx, cause)
	if end.Class == "" {
		// Interrupted, or fenced: nobody is to blame. The mini-batch becomes
		// pending when the run is queued again, or by the new owner.
		if context.Cause(ctx) != nil {
			cause = nil
		}
		return d.putBack(ctx, a, store.Failure{}, cause)
	}
	return d.settle(ctx, m, end, store.Release{Failure: end.Failure, Effort: a.effort.spent(),
		Lost: end.Class == api.ClassServerLost, TimedOut: end.timedOut, Stuck: stuck}, m.Attempts, cause)
}

// settle stores what follows a failed attempt.
func (d *dispatcher) settle(ctx context.Context, m store.MiniBatch, end classified, release store.Release, used int64, cause error) outcome {
	next := afterFailure(attemptEnd{
		Class: end.Class, RetryAfter: end.retryAfter, Used: used, WaitingSince: m.WaitingSince, TimedOut: end.timedOut, Suspect: m.Suspect(),
	}, d.patience, d.x.e.Now())
	d.x.log.Warn("mini-batch not predicted", "mini_batch", m.Number, "class", end.Class, "next", next.To, "error", end.Error)
	err := d.x.e.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		release.To, release.UsesAttempt, release.Suspect = next.To, next.UsesAttempt, next.Suspect
		if next.To == api.MiniBatchRetryWait {
			release.NotBefore = tx.Now.Add(next.Wait)
		}
		return tx.Release(d.x.run, m, release)
	})
	if err == nil && next.To == api.MiniBatchRetryWait {
		failpoint.Here("retry_wait.row")
	}
	switch {
	case err != nil:
		return outcome{failure: err}
	case next.FailRun:
		return outcome{failure: api.Fail(api.Reason(end.Class), "", cause)}
	case next.EndAttempt:
		return outcome{failure: &attemptOver{Class: end.Class, Err: cause}}
	case next.To == api.MiniBatchGivenUp:
		return outcome{failed: m.Records - m.StagedRecords} // a redrive has its result already
	}
	return outcome{}
}

// giveUp gives a mini-batch up without a request: the server has been asked
// often enough.
func (d *dispatcher) giveUp(ctx context.Context, m store.MiniBatch, cause error) outcome {
	end := classified{Failure: store.Failure{Class: api.ClassTransient, Error: cause.Error()}}
	return d.settle(ctx, m, end, store.Release{Failure: end.Failure}, d.patience.Attempts, cause)
}

// keepResult ends a redrive that can't come to anything, because the input is
// gone: what the mini-batch had before stands, its dead letters, too.
func (d *dispatcher) keepResult(ctx context.Context, a *attempt, cause error) outcome {
	f := store.Failure{Class: api.ClassInputChanged, Error: cause.Error()}
	err := d.x.e.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		return tx.Release(d.x.run, a.m, store.Release{To: api.MiniBatchGivenUp, Failure: f, Effort: a.effort.spent()})
	})
	if err != nil {
		return outcome{failure: err}
	}
	return outcome{failed: a.m.Records - a.m.StagedRecords}
}

// putBack makes a mini-batch pending without an attempt used; failure is what
// else there is to report.
func (d *dispatcher) putBack(ctx context.Context, a *attempt, f store.Failure, failure error) outcome {
	err := d.x.e.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		return tx.Release(d.x.run, a.m, store.Release{To: api.MiniBatchPending, Failure: f, Effort: a.effort.spent()})
	})
	if err != nil && !errors.Is(err, store.ErrFenced) {
		return outcome{failure: err}
	}
	return outcome{failure: failure}
}

// turn tells whether the breaker may turn a mini-batch back once more.
func (d *dispatcher) turn(number int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.turned[number]++
	return d.turned[number] <= breakerTurns
}

// releaseUnproven puts a mini-batch back in which nothing succeeded, while
// nothing has in the run, so that others are tried. When enough of them had no
// success the run has failed.
func (d *dispatcher) releaseUnproven(ctx context.Context, a *attempt, cause *unproven) outcome {
	if d.control.known() {
		return d.putBack(ctx, a, store.Failure{}, nil)
	}
	end := classify(ctx, cause.err)
	open := int64(0)
	err := d.x.e.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		err := tx.Release(d.x.run, a.m, store.Release{
			To: api.MiniBatchRetryWait, NotBefore: tx.Now.Add(unprovenPause), Failure: end.Failure, Effort: a.effort.spent(),
		})
		if err != nil {
			return err
		}
		run, err := tx.Count(d.x.run)
		open = run.MiniBatches.Pending + run.MiniBatches.Running + run.MiniBatches.RetryWait
		return err
	})
	if err != nil {
		return outcome{failure: err}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unproven[a.m.Number] = true
	tried := int64(len(d.unproven))
	if tried < min(unprovenLimit, open) {
		return outcome{}
	}
	hint, what := "check predict.features, predict.outputs and predict.model against what the server takes and answers", "were refused"
	if d.x.job.Predict.Program != nil { // which has no model
		hint = "check what predict.program reads and writes against the input"
	}
	if end.timedOut {
		hint, what = "see what the server is busy with; where it is only slow, raise predict.request_timeout", "were not answered in time"
	}
	where := "in the only mini-batch"
	if tried > 1 {
		where = "in each of the " + api.Counted(tried, "mini-batch") + " that were tried"
	}
	return outcome{failure: api.Fail(api.ReasonNothingSucceeded, hint,
		fmt.Errorf("nothing succeeded: %s a request and its records one by one %s, the last: %w", where, what, cause.err))}
}
