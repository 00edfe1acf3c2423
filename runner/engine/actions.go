package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
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
	change := store.RunChange{To: api.RunCancelled, Reason: reason, Actor: actor}
	var err error
	if change.KeepStaging, err = cancelMiniBatches(tx, run); err != nil {
		return err
	}
	_, err = e.move(tx, run, change)
	return err
}

// cancelMiniBatches ends what is not committed, and tells until when what is
// staged is kept. A mini-batch that is being committed to a table may be there
// before its row says so: a retry commits the same part again, and the marker
// tells what became of it. Predicted anew, its rows would be written twice.
func cancelMiniBatches(tx *store.Tx, run store.Run) (keep time.Time, err error) {
	plan, err := tx.Plan(run.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return keep, err
	}
	if err != nil || !additive(plan.Spec) || plan.Spec.Output.Publish != api.PublishProgressive {
		return keep, tx.CancelMiniBatches(run.ID)
	}
	if err := tx.CancelUnstaged(run.ID); err != nil {
		return keep, err
	}
	counted, err := tx.Count(run)
	if counted.Counts.Staged > 0 {
		keep = tx.Now.Add(plan.Spec.KeepWithheld.Value())
	}
	return keep, err
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
//
// Where asked for, its dead letters are sent again, too. Errors are
// *api.Error: not_found, or conflict.
func (e *Engine) Retry(ctx context.Context, id string, how api.RetryRun, actor string) (api.Run, error) {
	run, err := e.act(ctx, id, func(tx *store.Tx, run store.Run) error {
		if err := tx.CheckPruned(run); err != nil {
			return err
		}
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
		if newer, err := replacedBy(tx, run); err != nil {
			return err
		} else if newer != "" {
			return api.Errorf(api.CodeConflict, "retry that one", "run %s has replaced the output of run %s", newer, id)
		}
		if gone, err := tx.OutputGone(run); err != nil {
			return err
		} else if gone {
			return api.Errorf(api.CodeConflict, "run the occurrence again", "the output of run %s was removed, as output.keep_runs or output.keep_for say", id)
		}
		if swept, err := partsSwept(tx, run); err != nil {
			return err
		} else if swept {
			return api.Errorf(api.CodeConflict, "run the occurrence again", "the parts that the output of run %s was made of are not kept any longer, as keep_withheld says", id)
		}
		if err := resume(tx, run, how.DeadLetters); err != nil {
			return err
		}
		if how.DeadLetters {
			if err := redriveIn(tx, run); err != nil {
				return err
			}
		}
		if err := copiesThere(tx, run); err != nil {
			return err
		}
		_, err := e.move(tx, run, store.RunChange{To: api.RunQueued, Actor: actor, Attempt: run.Attempt + 1, Detail: "retry"})
		return err
	})
	e.Wake()
	return run, err
}

// partsSwept tells whether a published run can have no other revision, because
// its parts can't be read out of its folder and are not staged any more.
func partsSwept(tx *store.Tx, run store.Run) (bool, error) {
	if run.Revision == 0 || !run.StagingUntil.IsZero() {
		return false, nil
	}
	plan, err := tx.Plan(run.ID)
	if err != nil || plan.Spec.Output.Files == nil {
		return false, err
	}
	return sink.KeepsParts(*plan.Spec.Output.Files, run.Counts), nil
}

// resume gives back to a run what it left unfinished, unless another run has
// taken it over; for a redrive, what it has left to the next one may stay so.
// Under policy complete the whole plan is predicted anew, but where all of it is
// staged and only publishing failed.
func resume(tx *store.Tx, run store.Run, redrive bool) error {
	if err := takenElsewhere(tx, run); err != nil {
		if _, carried := errors.AsType[overtaken](err); carried && redrive && run.State == api.RunIncomplete {
			return nil
		}
		return err
	}
	if err := tx.ClaimOwed(run.ID); err != nil {
		return err
	}
	plan, err := tx.Plan(run.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if plan.Spec.Retry.Policy == api.PolicyComplete && run.Counts.Staged < run.Counts.Unfinished {
		return tx.StartOver(run.ID)
	}
	return tx.Resume(run.ID)
}

// errMovedOn says that a run's row is another one than what was read of files
// belongs to.
var errMovedOn = errors.New("the run has moved on since its files were read")

// Accept publishes what a withheld run has staged, in spite of its failures,
// as incomplete(accepted).
func (e *Engine) Accept(ctx context.Context, id, reason, actor string) (api.Run, error) {
	if reason == "" {
		return api.Run{}, &api.Error{Code: api.CodeInvalid, Pointer: "/reason", Message: "is required: say why incomplete predictions may be published"}
	}
	defer e.Wake()
	for {
		// What the runner itself writes of a run that has just ended is no
		// conflict to hand to a caller.
		if run, err := e.accept(ctx, id, reason, actor); !errors.Is(err, errMovedOn) {
			return run, err
		}
	}
}

func (e *Engine) accept(ctx context.Context, id, reason, actor string) (api.Run, error) {
	ahead, aheadErr := e.beforeAccept(ctx, id)
	return e.act(ctx, id, func(tx *store.Tx, run store.Run) error {
		if !run.Withheld && run.State != api.RunStopped {
			return api.Errorf(api.CodeConflict, "", "run %s is %s and not withheld: there is nothing to accept", id, run.State)
		}
		if err := tx.CheckPruned(run); err != nil {
			return err
		}
		if run.Counts.Staged == 0 && (run.Counts.Committed == 0 || run.Revision > 0) {
			return api.Errorf(api.CodeConflict, "retry it instead", "run %s has no staged prediction to publish", id)
		}
		if newer, err := replacedBy(tx, run); err != nil {
			return err
		} else if newer != "" {
			return api.Errorf(api.CodeConflict, "keep that one, or run the occurrence again", "run %s has published the same occurrence since", newer)
		}
		if other, err := tx.RunInTheWay(run); err == nil {
			return api.Errorf(api.CodeConflict, "wait for it to end", "run %s of the job is under way", other.ID)
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if ahead.execution != nil && ahead.run.Version != run.Version {
			return errMovedOn
		}
		if aheadErr != nil {
			return aheadErr
		}
		if err := takenElsewhere(tx, run); err != nil {
			return err
		}
		if err := tx.ClaimOwed(run.ID); err != nil {
			return err
		}
		return ahead.accept(tx, reason, actor)
	})
}

// acceptance is a run about to be accepted, with all that has to be read of
// files beforehand: nobody waits for a disk inside the writer's transaction.
type acceptance struct {
	*execution
	ahead prospect
}

func (e *Engine) beforeAccept(ctx context.Context, id string) (acceptance, error) {
	run, err := e.Store.Run(id)
	if err != nil {
		return acceptance{}, err
	}
	a := acceptance{execution: &execution{e: e, run: run, log: e.Log}}
	if err := a.load(); err != nil {
		return a, err
	}
	if a.plan.Run == "" {
		return a, api.Errorf(api.CodeConflict, "retry it instead", "run %s has no plan", run.ID)
	}
	a.ahead, err = a.prospect(ctx)
	if failure, ok := errors.AsType[*api.Failure](err); ok {
		err = api.Errorf(api.CodeConflict, failure.Hint, "%v", failure.Err)
	}
	return a, err
}

func (a acceptance) accept(tx *store.Tx, reason, actor string) error {
	end := verdict{State: api.RunIncomplete, Reason: api.ReasonAccepted, Message: "accepted by " + actor + ": " + reason}
	intent, err := a.intent(tx, a.run, end, a.ahead)
	if err != nil {
		return err
	}
	return a.move(tx, store.RunChange{To: api.RunCommitting, Actor: actor, Reason: api.ReasonAccepted, Detail: reason, Intent: intent})
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
