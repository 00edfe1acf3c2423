package trigger

import (
	"fmt"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// byFailures is who holds a job whose runs failed too often in a row.
const byFailures = "hold_after_failures"

// Ended is called with each run that ends, inside the transaction that ends
// it: it holds a job that failed too often, and queues the next runs of the
// backfill that the run belongs to.
func (t *Trigger) Ended(tx *store.Tx, run store.Run) error {
	job, err := tx.JobByUID(run.JobUID)
	if err != nil {
		return fmt.Errorf("find the job of run %s: %w", run.ID, err)
	}
	if !job.BuriedAt.IsZero() {
		return nil
	}
	if job.Held, err = t.holdAfterFailures(tx, job, run); err != nil {
		return fmt.Errorf("hold job %s: %w", job.Spec.Name, err)
	}
	if run.Backfill == "" {
		return nil
	}
	if _, err := goOn(tx, job, run.Backfill); err != nil {
		return fmt.Errorf("go on with backfill %s of job %s: %w", run.Backfill, job.Spec.Name, err)
	}
	return nil
}

// holdAfterFailures holds the job where run is the last of too many failures
// in a row, and gives the hold that is then in force. What was due before, as
// after a restart, is decided first: it is not skipped for a hold that came
// later.
func (t *Trigger) holdAfterFailures(tx *store.Tx, job store.Job, run store.Run) (*api.Hold, error) {
	limit := job.Spec.HoldAfterFailures
	if limit == nil || job.Held != nil || !failed(run.State) {
		return job.Held, nil
	}
	enough, err := failedInARow(tx, job.UID, int(*limit))
	if err != nil || !enough {
		return nil, err
	}
	hold := &api.Hold{By: byFailures, Since: tx.Now, Reason: fmt.Sprintf("%s in a row failed, the last one %s",
		api.Counted(*limit, "run"), run.ID)}
	if run.Reason != "" {
		hold.Reason += ": " + string(run.Reason)
	}
	if t.watch.check(tx.Now) == nil {
		if _, err := t.decideJob(tx, job.UID, false); err != nil { // the engine looks at its queue after each end
			return nil, err
		}
	}
	return hold, tx.Hold(job.UID, hold, byFailures)
}

// failedInARow tells whether the last runs that ended since the job was
// released have failed. A run that somebody cancelled says nothing about the
// job, so it neither counts nor ends the row.
func failedInARow(tx *store.Tx, uid string, enough int) (bool, error) {
	released, err := tx.ReleasedAt(uid)
	if err != nil {
		return false, err
	}
	for limit := enough; ; limit *= 2 {
		runs, err := tx.RecentMain(uid, limit)
		if err != nil {
			return false, err
		}
		row := 0
		for _, run := range runs {
			switch {
			case run.State == api.RunCancelled:
				continue
			case !failed(run.State), !run.EndedAt.After(released):
				return false, nil
			}
			if row++; row == enough {
				return true, nil
			}
		}
		if len(runs) < limit {
			return false, nil
		}
	}
}

func failed(state api.RunState) bool { return state == api.RunFailed || state == api.RunStopped }
