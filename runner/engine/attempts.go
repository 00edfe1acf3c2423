package engine

import (
	"context"
	"errors"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// complete tells whether the run's predictions depend on each other: all of
// them come from one run attempt, or none.
func (x *execution) complete() bool {
	return x.job.Retry != nil && x.job.Retry.Policy == api.PolicyComplete
}

// over tells whether an error ends the run attempt only.
func (x *execution) over(err error) *attemptOver {
	if over, ok := errors.AsType[*attemptOver](err); ok {
		return over
	}
	failure, ok := errors.AsType[*api.Failure](err)
	if ok && x.complete() && (failure.Reason == api.ReasonServerLost || failure.Reason == api.ReasonModelChanged) {
		return &attemptOver{Reason: failure.Reason, Err: failure}
	}
	return nil
}

// repeat ends the run attempt and has the next one predict the whole plan, with
// nothing left of this one. An upgrade costs no attempt; when all others are
// used up, the run fails.
func (x *execution) repeat(ctx context.Context, over *attemptOver) error {
	upgrade := over.Reason == api.ReasonSuperseded
	spent := false
	err := x.e.Store.Write(ctx, func(tx *store.Tx) error {
		repeats, err := tx.Repeats(x.run)
		if err != nil {
			return err
		}
		if spent = !upgrade && repeats+1 >= *x.job.Retry.MaxRunAttempts; spent {
			return nil
		}
		if err := errors.Join(tx.ReleaseAll(x.run.ID), tx.StartOver(x.run.ID)); err != nil {
			return err
		}
		end := store.AttemptEnd{Outcome: string(api.RunQueued), Reason: over.why(), Message: over.Error()}
		if upgrade {
			end.Outcome = string(api.ReasonSuperseded)
			if err := tx.SetPlanFormat(x.run.ID, planFormat); err != nil {
				return err
			}
			if err := tx.Event(store.Event{UID: x.run.JobUID, Run: x.run.ID, Event: api.Event{Kind: "superseded", Actor: "runner", Detail: over.Error()}}); err != nil {
				return err
			}
		}
		return x.move(tx, store.RunChange{To: api.RunQueued, Actor: "runner", Attempt: x.run.Attempt + 1, EndsAttempt: end,
			Detail: "predicts the whole plan again: " + over.Error()})
	})
	if err != nil {
		return err
	}
	if spent {
		return api.Fail(over.why(), "", over.Err)
	}
	x.log.Warn("run attempt over, the whole plan is predicted again", "reason", over.why(), "error", over.Err)
	if upgrade {
		return nil
	}
	return x.rest(ctx, x.backoff()[0])
}
