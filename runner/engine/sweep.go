package engine

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// purgedAtOnce is how many purged runs one pass tidies up after.
const purgedAtOnce = 200

// sweepTime bounds a pass over what has ended. Runs are started by the same
// goroutine: an object store that says nothing any more must not hold up those
// of all jobs. What is left waits for the next pass.
const sweepTime = 20 * time.Second

func (e *Engine) inTime(sweep func(context.Context)) {
	ctx, cancel := context.WithTimeout(e.base, sweepTime)
	defer cancel()
	sweep(ctx)
}

// sweepAll tidies up after runs that have ended: after a crash, and once what
// was kept need not be kept any longer. Runs are started by the same goroutine,
// so none of them can begin meanwhile.
func (e *Engine) sweepAll(ctx context.Context) {
	e.concludeEnded(ctx)
	e.sweepEnded(ctx)
	e.sweepPurged(ctx)
	e.retain(ctx)
}

// concludeEnded finishes the folders of progressive runs that ended while
// nobody executed them.
func (e *Engine) concludeEnded(ctx context.Context) {
	ended, err := e.Store.Shown()
	if err != nil {
		e.Log.Error("look for output to conclude", "error", err)
		return
	}
	for _, run := range ended {
		if _, executing := e.execution(run.ID); executing {
			continue // about to do so itself
		}
		x := &execution{e: e, run: run, log: e.Log}
		if err := errors.Join(x.load(), x.conclude(ctx)); err != nil && !errors.Is(err, store.ErrFenced) {
			e.Log.Error("conclude output", "job", run.Job, "run", run.ID, "error", err)
		}
	}
}

// sweepEnded removes the staging of ended runs that need not be kept.
func (e *Engine) sweepEnded(ctx context.Context) {
	ended, err := e.Store.StagingToSweep(e.Now())
	if err != nil {
		e.Log.Error("look for staging to remove", "error", err)
		return
	}
	for _, run := range ended {
		if _, executing := e.execution(run.ID); executing {
			continue // about to sweep for itself
		}
		if err := e.sweepRun(ctx, run); err != nil && !errors.Is(err, store.ErrFenced) {
			e.Log.Error("remove staging", "job", run.Job, "run", run.ID, "error", err)
		}
	}
}

func (e *Engine) sweepRun(ctx context.Context, run store.Run) error {
	x := &execution{e: e, run: run, log: e.Log}
	if err := x.load(); err != nil {
		return err
	}
	if err := x.settle(ctx); err != nil {
		if errors.Is(err, store.ErrFenced) || ctx.Err() != nil || sink.Passes(err) && e.Now().Before(run.StagingUntil.Add(x.job.KeepWithheld.Value())) {
			return err
		}
		e.Log.Warn("remove staging without knowing what is visible of it", "job", run.Job, "run", run.ID, "error", err)
	}
	run = x.run
	// A redrive may have staged no record more than are committed.
	if run.Counts.Staged > 0 || run.Reason == api.ReasonPublish && run.MiniBatches.Staged > 0 {
		err := e.Store.Write(e.base, func(tx *store.Tx) (err error) {
			x.run, err = tx.DropStaged(run)
			return err
		})
		if err != nil {
			return err
		}
	}
	x.sweepIn(ctx)
	return nil
}

// sweepPurged removes what runs of purged jobs have left behind: logs, and
// staging that was kept for a retry. Published folders stay.
func (e *Engine) sweepPurged(ctx context.Context) {
	purged, err := e.Store.PurgedRuns(purgedAtOnce)
	if err != nil {
		e.Log.Error("look for files of purged jobs", "error", err)
		return
	}
	for _, run := range purged {
		if _, executing := e.execution(run.Run); executing {
			continue // until it notices
		}
		if err := e.sweepPurgedRun(ctx, run); err != nil {
			e.Log.Error("remove files of a purged job", "job", run.Job, "run", run.Run, "error", err)
		}
	}
}

func (e *Engine) sweepPurgedRun(ctx context.Context, run store.PurgedRun) error {
	if run.Staged {
		out, err := e.outputOf(run)
		if err != nil {
			return err
		}
		if err := errors.Join(out.Abandon(ctx), out.Sweep(ctx)); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(e.RunDir(run.Run)); err != nil {
		return err
	}
	return e.Store.Write(context.Background(), func(tx *store.Tx) error { return tx.PurgedSwept(run.Run) })
}

func (e *Engine) outputOf(run store.PurgedRun) (output, error) {
	job := run.Spec.WithDefaults()
	o, err := occasionOf(job, api.Occasion{Occurrence: run.Occurrence, Run: run.Run})
	if err != nil {
		return nil, err
	}
	job.Name = run.Job
	return e.openOutput(job, run.UID, o)
}
