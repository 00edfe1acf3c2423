package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// windowPerPermit bounds the answers that wait for their turn in the output:
// requests sent or answered but not yet written, per request in flight.
const windowPerPermit = 4

// errServerLost interrupts what is in flight when the prediction server goes.
var errServerLost = errors.New("the prediction server is gone")

// errOver interrupts the workers when the run is decided: too much failed.
var errOver = errors.New("the run is over")

// predictAll launches the server and has every mini-batch predicted. A server
// that is lost on the way is launched again, up to maxLaunches times.
func (x *execution) predictAll(ctx context.Context) error {
	if err := x.transition(ctx, api.RunProvisioning, ""); err != nil {
		return err
	}
	for losses := 0; ; {
		server, err := x.provision(ctx)
		if err != nil {
			return err
		}
		if x.run.State == api.RunProvisioning {
			if err := x.transition(ctx, api.RunRunning, ""); err != nil {
				return errors.Join(err, server.stop("not used"))
			}
		}
		err = x.dispatch(ctx, server)
		lost := errors.Is(err, errServerLost)
		end := error(nil)
		if lost {
			end = server.exit()
		}
		if stopErr := server.stop("run left it"); stopErr != nil {
			x.log.Warn("stop the prediction server", "error", stopErr)
		}
		if errors.Is(err, errOver) {
			return nil // commit says how it ends
		}
		if !lost {
			return err
		}
		losses++
		if err := x.noteLoss(ctx, end); err != nil {
			return err
		}
		if losses == maxLaunches {
			return api.Fail(api.ReasonServerLost, "see its output with: batch-runner logs "+x.run.ID, fmt.Errorf("the prediction server was lost %d times, the last: %w", losses, end))
		}
	}
}

func (x *execution) noteLoss(ctx context.Context, cause error) error {
	x.log.Warn("prediction server lost", "error", cause)
	return x.event(ctx, "server_lost", cause.Error())
}

func (x *execution) transition(ctx context.Context, to api.RunState, detail string) error {
	return x.e.Store.Write(ctx, func(tx *store.Tx) error {
		return x.move(tx, store.RunChange{To: to, Actor: "runner", Detail: detail})
	})
}

// dispatcher coordinates the mini-batches of one run on one server.
type dispatcher struct {
	x      *execution
	server *readyServer
	// permits are the requests in flight, window the answers not yet written.
	permits chan struct{}
	window  chan struct{}
	rows    *requestSize
	results chan outcome
	failed  int64 // records that failed so far
	max     api.Threshold
}

// outcome is what a worker reports after its transition is stored.
type outcome struct {
	failed  int64 // records that became dead letters or were given up
	lost    bool
	failure error // ends the run
}

// dispatch claims pending mini-batches by number, keeps parallelism requests
// in flight, and returns when none is left, or with what ended it.
func (x *execution) dispatch(ctx context.Context, server *readyServer) error {
	parallelism := int(*x.job.Parallelism)
	sofar, err := x.e.Store.Run(x.run.ID)
	if err != nil {
		return err
	}
	max, err := x.maxFailed()
	if err != nil {
		return err
	}
	d := &dispatcher{
		x: x, server: server, max: max,
		permits: make(chan struct{}, parallelism), window: make(chan struct{}, windowPerPermit*parallelism),
		rows:    newRequestSize(x.rowsPerRequest()),
		results: make(chan outcome, parallelism),
		failed:  sofar.Counts.Failed(),
	}
	work, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	active, verdict := 0, error(nil)
	for {
		var next time.Time
		if verdict == nil {
			claimed, due, err := d.claim(ctx, parallelism-active)
			if err != nil {
				verdict = err
				cancel(interruption{error: err})
			}
			next = due
			for _, m := range claimed {
				active++
				go func() { d.results <- d.work(work, m) }()
			}
		}
		if active == 0 && (verdict != nil || next.IsZero()) {
			return verdict
		}
		timer := alarm(next.Sub(x.e.Now()), !next.IsZero() && verdict == nil)
		var lost <-chan struct{}
		var drain <-chan struct{}
		if verdict == nil {
			lost, drain = server.lost(), x.e.drain
		}
		select {
		case result := <-d.results:
			active--
			if err := d.judge(result); err != nil && verdict == nil {
				verdict = err
				if result.failure != nil {
					err = interruption{error: err}
				}
				cancel(err)
			}
		case <-lost:
			verdict = errServerLost
			cancel(verdict)
		case <-drain:
			verdict = errDraining // what is in flight may finish
		case <-timer.C:
		case <-ctx.Done():
			if verdict == nil {
				verdict = context.Cause(ctx)
			}
			for ; active > 0; active-- {
				<-d.results
			}
		}
		timer.Stop()
	}
}

// alarm is a timer that fires after d, or never.
func alarm(d time.Duration, armed bool) *time.Timer {
	if !armed {
		d = 365 * 24 * time.Hour
	}
	return time.NewTimer(max(d, 0))
}

// claim makes due mini-batches pending and takes up to limit of the pending.
// next is when the next waiting one is due.
func (d *dispatcher) claim(ctx context.Context, limit int) (claimed []store.MiniBatch, next time.Time, err error) {
	err = d.x.e.Store.Write(ctx, func(tx *store.Tx) error {
		if next, err = tx.WakeDue(d.x.run.ID); err != nil {
			return err
		}
		if limit <= 0 {
			return nil
		}
		claimed, err = tx.Claim(d.x.run, limit)
		return err
	})
	if err != nil {
		return nil, time.Time{}, err // nothing is claimed where the commit failed
	}
	return claimed, next, nil
}

// judge takes a worker's report into account.
func (d *dispatcher) judge(result outcome) error {
	if result.failure != nil {
		return result.failure
	}
	if result.lost {
		return errServerLost
	}
	d.failed += result.failed
	if exceeded(d.failed, d.x.plan.Records, d.max) {
		return errOver
	}
	return nil
}

// work predicts one mini-batch and stores how that ended.
func (d *dispatcher) work(ctx context.Context, m store.MiniBatch) outcome {
	staged, err := d.predict(ctx, m)
	if err == nil {
		err = d.x.e.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error { return tx.Stage(d.x.run, m, staged) })
		if err == nil {
			failpoint.Here("stage.row")
			return outcome{failed: int64(len(staged.DeadLetters))}
		}
	}
	return d.release(ctx, m, err)
}

// release stores that an attempt ended without a result, and what follows.
func (d *dispatcher) release(ctx context.Context, m store.MiniBatch, cause error) outcome {
	end := d.classify(ctx, cause)
	if end.Class == "" {
		// Interrupted, or fenced: nobody is to blame. The mini-batch becomes
		// pending when the run is queued again, or by the new owner.
		err := d.x.e.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
			return tx.Release(d.x.run, m, api.MiniBatchPending, store.Failure{}, false, time.Time{})
		})
		if err != nil && !errors.Is(err, store.ErrFenced) {
			return outcome{failure: err}
		}
		if interrupted := context.Cause(ctx); interrupted != nil {
			return outcome{lost: errors.Is(interrupted, errServerLost)}
		}
		return outcome{failure: cause}
	}
	next := afterFailure(attemptEnd{Class: end.Class, RetryAfter: end.retryAfter, Used: m.Attempts, WaitingSince: m.WaitingSince},
		*d.x.job.Retry.Attempts, d.x.backoff(), d.x.e.Now())
	d.x.log.Warn("mini-batch not predicted", "mini_batch", m.Number, "class", end.Class, "next", next.To, "error", end.Error)
	err := d.x.e.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		notBefore := time.Time{}
		if next.To == api.MiniBatchRetryWait {
			notBefore = tx.Now.Add(next.Wait)
		}
		return tx.Release(d.x.run, m, next.To, end.Failure, next.UsesAttempt, notBefore)
	})
	if err == nil && next.To == api.MiniBatchRetryWait {
		failpoint.Here("retry_wait.row")
	}
	switch {
	case err != nil:
		return outcome{failure: err}
	case next.FailRun:
		return outcome{failure: api.Fail(api.Reason(end.Class), "", cause)}
	case end.Class == api.ClassServerLost:
		return outcome{lost: true}
	case next.To == api.MiniBatchGivenUp:
		return outcome{failed: m.Records}
	}
	return outcome{}
}

func (x *execution) backoff() []time.Duration {
	waits := make([]time.Duration, len(x.job.Retry.Backoff))
	for i, wait := range x.job.Retry.Backoff {
		waits[i] = wait.Value()
	}
	return waits
}
