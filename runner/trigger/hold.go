package trigger

import (
	"context"
	"errors"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// Hold makes the runner skip what falls due of a job until it is released.
// What was due before is decided first, by the words in force until now. Runs
// that are queued or under way go on. A job that is held already is held by
// actor from now on, for the new reason.
func (t *Trigger) Hold(ctx context.Context, name string, ask api.HoldJob, actor string) (api.JobStatus, error) {
	if ask.Reason == "" {
		return api.JobStatus{}, api.Invalid("hold", []api.Error{invalid("/reason", "is required: say why, for those who find the job held")})
	}
	return t.change(ctx, name, func(tx *store.Tx, job store.Job) (bool, error) {
		moved, err := t.decideJob(tx, job.UID, false)
		if err != nil {
			return false, err
		}
		return moved, tx.Hold(job.UID, &api.Hold{By: actor, Reason: ask.Reason, Since: tx.Now}, actor)
	})
}

// Release ends a hold: what fell due meanwhile is decided as skipped, a
// backfill that waited goes on, and hold_after_failures counts anew.
func (t *Trigger) Release(ctx context.Context, name, actor string) (api.JobStatus, error) {
	return t.change(ctx, name, func(tx *store.Tx, job store.Job) (bool, error) {
		if job.Held == nil {
			return false, api.Errorf(api.CodeConflict, "`batch-runner status "+name+"` tells how it is", "job %s is not held", name)
		}
		if _, err := t.decideJob(tx, job.UID, false); err != nil {
			return false, err
		}
		if err := tx.Hold(job.UID, nil, actor); err != nil {
			return false, err
		}
		job.Held = nil
		b, err := tx.ActiveBackfill(job.UID)
		if errors.Is(err, store.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		return goOn(tx, job, b.ID)
	})
}

// change changes what is due of a job in one transaction, and tells how the
// job is then. It refuses while the clock is not believed: every change begins
// with what is due by now.
func (t *Trigger) change(ctx context.Context, name string, f func(*store.Tx, store.Job) (moved bool, err error)) (api.JobStatus, error) {
	moved := false
	err := t.store.Write(ctx, func(tx *store.Tx) error {
		job, err := find(tx, name)
		if err == nil {
			err = t.watch.check(tx.Now)
		}
		if err == nil {
			moved, err = f(tx, job)
		}
		return err
	})
	if err != nil {
		return api.JobStatus{}, err
	}
	t.lookAgain()
	if moved {
		t.wake()
	}
	return t.Status(ctx, name)
}

// find finds a live job by name.
func find(tx *store.Tx, name string) (store.Job, error) {
	job, err := tx.Job(name)
	if errors.Is(err, store.ErrNotFound) {
		return job, noJob(name)
	}
	return job, err
}
