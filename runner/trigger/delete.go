package trigger

import (
	"context"
	"errors"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// Delete ends a job's life on the schedule. Its runs that have not begun to
// commit are cancelled; one that has goes on to its end. The job is buried:
// its history stays, and a Put under its name takes it up again. With purge,
// everything the store knows of it goes, also of a job buried earlier.
func (t *Trigger) Delete(ctx context.Context, name, owner string, ifMatch int64, purge bool, actor string) error {
	cancelled := false
	err := t.store.Write(ctx, func(tx *store.Tx) (err error) {
		job, err := tx.Job(name)
		if errors.Is(err, store.ErrNotFound) && purge {
			job, err = tx.BuriedJob(name)
		}
		if errors.Is(err, store.ErrNotFound) {
			return noJob(name)
		}
		if err == nil {
			err = ownedBy(job, owner)
		}
		if err == nil {
			err = matches(job, ifMatch)
		}
		if err == nil { // first, so that no run that ends makes another
			err = endBackfill(tx, job)
		}
		if err == nil {
			cancelled, err = t.cancelRuns(tx, job, purge, actor)
		}
		if err != nil {
			return err
		}
		if purge {
			return errors.Join(tx.PurgeJob(job.UID), tx.ForgetJob(job.UID))
		}
		return errors.Join(tx.BuryJob(job.UID), jobEvent(tx, job.UID, "deleted", actor))
	})
	if err == nil && cancelled {
		t.wake()
	}
	return err
}

// cancelRuns ends the job's runs but for one past the point of no return,
// which forbids a purge.
func (t *Trigger) cancelRuns(tx *store.Tx, job store.Job, purge bool, actor string) (cancelled bool, err error) {
	runs, err := tx.UnfinishedOf(job.UID)
	if err != nil {
		return false, err
	}
	for _, run := range runs {
		if run.State == api.RunCommitting {
			if purge {
				return false, api.Errorf(api.CodeConflict, "purge the job again once the run has ended",
					"run %s of job %s is committing and can't be undone", run.ID, job.Spec.Name)
			}
			continue
		}
		if err := t.cancel(tx, run, "", actor); err != nil {
			return false, err
		}
		cancelled = true
	}
	return cancelled, nil
}
