package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// execution is one run in a slot. Its fields belong to its goroutine; the
// mini-batch workers read them only.
type execution struct {
	e      *Engine
	log    *slog.Logger
	cancel context.CancelCauseFunc
	uid    string // of the job; this and the next are what other goroutines may read
	shared bool   // it may go beside other shared runs of its job

	run      store.Run
	job      api.Job // what is executed: the plan's frozen part, the job's current rest
	occasion api.Occasion
	plan     store.Plan
	files    []source.File
	inputs   *source.Inputs
	out      output
	showing  showing
	// resolving guards the plan's columns and request size, which the first
	// answer fixes.
	resolving sync.Mutex
}

// execute carries a run as far as it goes. Whatever stops it, the store says
// where it stands and a later execution goes on from there.
func (x *execution) execute(ctx context.Context) {
	if x.run.State != api.RunQueued && x.run.State != api.RunCommitting {
		x.requeue(ctx, "taken up again")
		return
	}
	x.log.Info("run starts", "state", x.run.State, "occurrence", x.run.Occurrence)
	err := x.advance(ctx)
	switch {
	case err == nil:
		x.log.Info("run ended", "state", x.run.State, "planned", x.run.Counts.Planned, "committed", x.run.Counts.Committed)
	case errors.Is(err, store.ErrFenced), errors.Is(context.Cause(ctx), errCancelled):
		x.abandon(ctx)
	case errors.Is(err, errDraining), errors.Is(context.Cause(ctx), errDraining):
		x.requeue(ctx, "drained; goes on after the restart")
	default:
		x.fail(ctx, err)
	}
	if err := x.conclude(context.WithoutCancel(ctx)); err != nil && !errors.Is(err, store.ErrFenced) {
		x.log.Warn("conclude output", "error", err) // the next sweep tries again
	}
	x.dropSpool()
}

// advance makes passes over the plan until one of them decides the run.
func (x *execution) advance(ctx context.Context) error {
	for {
		err := x.pass(ctx)
		over := x.over(err)
		if over == nil {
			return err
		}
		if err := x.repeat(ctx, over); err != nil {
			return err
		}
	}
}

// pass goes through the states of a run's life in order.
func (x *execution) pass(ctx context.Context) error {
	if x.run.State == api.RunQueued {
		if err := x.begin(ctx); err != nil {
			return err
		}
	}
	if err := x.load(); err != nil {
		return err
	}
	if x.run.State == api.RunCommitting {
		return x.publish(ctx)
	}
	if x.plan.Run == "" {
		if err := x.makePlan(ctx); err != nil {
			return err
		}
		if err := x.warn(ctx); err != nil {
			return err
		}
	} else if err := x.takeUp(ctx); err != nil {
		return err
	}
	if x.draining() {
		return errDraining
	}
	left, err := x.left(ctx)
	if err != nil {
		return err
	}
	if left {
		if err := x.replaceable(ctx); err != nil {
			return err
		}
		if err := x.openOutput(ctx); err != nil {
			return err
		}
		if err := x.giveUpWithout(ctx, x.predictAll(ctx)); err != nil {
			return err
		}
	}
	return x.commit(ctx)
}

// takeUp goes on with a plan that is stored already.
func (x *execution) takeUp(ctx context.Context) error {
	if !planFormats[x.plan.Format] {
		return &attemptOver{Reason: api.ReasonSuperseded, Err: fmt.Errorf(
			"the runner was upgraded: the parts staged so far have format %d, and it writes %d", x.plan.Format, planFormat)}
	}
	if err := x.stillOwnInput(ctx); err != nil {
		return err
	}
	return x.prepare(ctx)
}

func (x *execution) draining() bool { return x.e.draining() }

// begin takes the run out of the queue. Slots and turns are checked once more
// inside the transaction, and what this attempt is executed with is recorded.
func (x *execution) begin(ctx context.Context) error {
	replacing := ""
	err := x.e.Store.Write(ctx, func(tx *store.Tx) error {
		job, err := tx.JobByUID(x.run.JobUID)
		if err != nil {
			return err
		}
		if other, err := tx.RunInTheWay(x.run); err == nil {
			return fmt.Errorf("%w: run %s of the job is under way", store.ErrFenced, other.ID)
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := tx.StartAttempt(x.run.ID, x.run.Attempt, job.Generation, job.Spec.ExecSpecHash()); err != nil {
			return err
		}
		if replacing, err = replacedBy(tx, x.run); err != nil {
			return err
		}
		x.job = job.Spec.WithDefaults()
		x.run.Generation = job.Generation
		return x.move(tx, store.RunChange{To: api.RunPlanning, Actor: "runner"})
	})
	if err == nil && replacing != "" && x.run.Counts.Committed > 0 {
		return api.Fail(api.ReasonPublish, "run the occurrence again", fmt.Errorf(
			"run %s has replaced the output of run %s, and with it the records committed before", replacing, x.run.ID))
	}
	return err
}

// replacedBy is the run whose output has taken the place of another's; none
// takes that of rows in a table.
func replacedBy(tx *store.Tx, run store.Run) (id string, err error) {
	newer, err := tx.NewerRevision(run)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	plan, err := tx.Plan(run.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && !additive(plan.Spec) {
		return newer.ID, nil
	}
	return "", err
}

// load reads what the run is made of: the plan, if it is stored, and the job.
func (x *execution) load() error {
	plan, err := x.e.Store.Plan(x.run.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	found := err == nil
	if x.job.Name == "" { // not begun by this execution: committing, or being swept
		job, err := x.e.Store.JobByUID(x.run.JobUID)
		if err != nil {
			return err
		}
		x.job = job.Spec.WithDefaults()
	}
	if found {
		x.plan = plan
		x.job = x.job.WithPlanOf(plan.Spec)
		if err := x.decodeFiles(); err != nil {
			return err
		}
	}
	planned := x.job // its time zone, too, names folders, and so it is frozen
	if x.plan.Run != "" {
		planned = x.plan.Spec
	}
	x.occasion, err = occasionOf(planned, api.Occasion{Occurrence: x.run.Occurrence, Run: x.run.ID})
	if err != nil {
		return err
	}
	x.inputs = x.e.inputsOf(x.run.ID, x.job)
	x.out, err = x.e.openOutput(x.job, x.run.JobUID, x.occasion)
	return err
}

// left tells whether any mini-batch still wants to be predicted: none does
// where too many records have failed already.
func (x *execution) left(ctx context.Context) (left bool, err error) {
	max, err := x.maxFailed()
	if err != nil {
		return false, err
	}
	err = x.e.Store.Write(ctx, func(tx *store.Tx) error {
		run, err := tx.Count(x.run)
		c, m := run.Counts, run.MiniBatches
		left = m.Pending+m.Running+m.RetryWait > 0 && !exceeded(c.Failed(), c.Planned, max)
		return err
	})
	return left, err
}

func (x *execution) maxFailed() (api.Threshold, error) {
	max, err := api.ParseThreshold(x.job.MaxFailed)
	if err != nil {
		return max, api.Fail(api.Reason(api.ClassConfig), "", fmt.Errorf("max_failed: %w", err))
	}
	return max, nil
}

// event appends to the run's history.
func (x *execution) event(ctx context.Context, kind, detail string) error {
	return x.e.Store.Write(ctx, func(tx *store.Tx) error {
		return tx.Event(store.Event{UID: x.run.JobUID, Run: x.run.ID, Event: api.Event{Kind: kind, Actor: "runner", Detail: detail}})
	})
}

// move makes one transition of this run inside a transaction. What a
// transaction that fails later had put into x.run is read again by whoever
// takes the run up next.
func (x *execution) move(tx *store.Tx, c store.RunChange) error {
	run, err := x.e.move(tx, x.run, c)
	if err == nil {
		x.run = run
	}
	return err
}

// move makes one transition of a run. All of them pass here, so that every end
// moves the job's memory, and Ended hears of it.
func (e *Engine) move(tx *store.Tx, run store.Run, c store.RunChange) (store.Run, error) {
	if !CanMove(run.State, c.To) {
		return run, fmt.Errorf("run %s can't go from %s to %s", run.ID, run.State, c.To)
	}
	if c.To.Ended() {
		until, err := keepParts(tx, run, c)
		if err := errors.Join(err, closeMemory(tx, run)); err != nil {
			return run, err
		}
		c.KeepStaging = until
	}
	run, err := tx.MoveRun(run, c)
	if err == nil && c.To.Ended() && e.Ended != nil {
		err = e.Ended(tx, run)
	}
	return run, err
}

// keepParts is until when the staging of a run that ends is kept: also that of a
// published one, where a revision would need the parts it was made of.
func keepParts(tx *store.Tx, run store.Run, c store.RunChange) (time.Time, error) {
	if !c.KeepStaging.IsZero() || run.Revision == 0 && c.Revision == 0 {
		return c.KeepStaging, nil
	}
	plan, err := tx.Plan(run.ID)
	if errors.Is(err, store.ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil || plan.Spec.Output.Files == nil {
		return time.Time{}, err
	}
	counted, err := tx.Count(run)
	if err != nil || !sink.KeepsParts(*plan.Spec.Output.Files, counted.Counts) {
		return time.Time{}, err
	}
	return tx.Now.Add(plan.Spec.WithDefaults().KeepWithheld.Value()), nil
}

// fail ends a run that can't go on. A failure of the store itself, or of our
// own code, is no verdict about the run: it is taken up again.
func (x *execution) fail(ctx context.Context, cause error) {
	failure, ok := errors.AsType[*api.Failure](cause)
	if !ok {
		x.log.Error("run interrupted", "error", cause)
		x.pause(ctx)
		x.requeue(ctx, cause.Error())
		return
	}
	x.log.Error("run failed", "reason", failure.Reason, "error", failure)
	err := x.e.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		if err := errors.Join(tx.ReleaseAll(x.run.ID), tx.RestoreRedriven(x.run.ID)); err != nil {
			return err
		}
		if x.complete() { // a retry begins with nothing
			if err := tx.DropResults(x.run.ID); err != nil {
				return err
			}
		}
		counted, err := tx.Run(x.run.ID)
		if err != nil || counted.State.Ended() {
			return err
		}
		x.run = counted
		change := store.RunChange{To: api.RunFailed, Actor: "runner", Reason: failure.Reason, Message: failure.Error()}
		if counted.Counts.Staged > 0 {
			change.KeepStaging = tx.Now.Add(x.job.KeepWithheld.Value())
		}
		return x.move(tx, change)
	})
	if errors.Is(err, store.ErrNotFound) {
		x.abandon(ctx)
		return
	}
	if err != nil {
		x.log.Error("record that the run failed", "error", err)
		x.pause(ctx)
		return
	}
	x.sweep(ctx)
}

// requeue gives the slot back and leaves the run to a later execution. A
// committing run stays committing. Where even that fails, the slot is kept for
// a moment: the next execution begins as soon as it is free.
func (x *execution) requeue(ctx context.Context, why string) {
	err := x.e.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		run, err := tx.Run(x.run.ID)
		if err != nil || run.State == api.RunQueued || !CanMove(run.State, api.RunQueued) || run.State.Ended() {
			return err
		}
		x.run = run
		if err := tx.ReleaseAll(run.ID); err != nil {
			return err
		}
		return x.move(tx, store.RunChange{To: api.RunQueued, Actor: "runner", Detail: why})
	})
	if errors.Is(err, store.ErrNotFound) {
		x.abandon(ctx)
		return
	}
	if err != nil {
		x.log.Error("put the run back into the queue", "error", err)
		x.pause(ctx)
	}
}

// abandon ends the execution of a run that was cancelled meanwhile, or purged
// with its job.
func (x *execution) abandon(ctx context.Context) {
	run, err := x.e.Store.Run(x.run.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		x.log.Error("read the run", "error", err)
		return
	}
	if err == nil {
		x.run = run
	}
	if err != nil || run.State == api.RunCancelled && !run.StagingUntil.After(run.EndedAt) { // not found: purged
		x.sweep(ctx)
	}
	x.log.Info("run left", "state", run.State)
}

// sweep removes the staging of a run that has ended. What goes wrong costs
// disk, not data: the row says that there is something left to remove.
func (x *execution) sweep(ctx context.Context) { x.sweepIn(context.WithoutCancel(ctx)) }

func (x *execution) sweepIn(ctx context.Context) {
	if x.out == nil || x.run.StagingUntil.After(x.e.Now()) {
		return
	}
	if err := errors.Join(x.conclude(ctx), x.out.Sweep(ctx)); err != nil {
		x.log.Warn("remove staging", "error", err)
		return
	}
	err := x.e.Store.Write(ctx, func(tx *store.Tx) error { return tx.StagingSwept(x.run) })
	if err != nil && !errors.Is(err, store.ErrFenced) { // fenced: purged, or queued again meanwhile
		x.log.Warn("note that staging is removed", "error", err)
	}
}
