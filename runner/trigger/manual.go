package trigger

import (
	"context"
	"errors"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// Run queues a manual run. It waits for its turn behind an active one, and
// does not ask whether the job is paused or held. A second request with the
// same key gets the run that the first one made, and created is false.
func (t *Trigger) Run(ctx context.Context, name string, ask api.Trigger, key, actor string) (run api.Run, created bool, err error) {
	if err := checkOccurrence(ask.Occurrence); err != nil {
		return api.Run{}, false, err
	}
	return t.queueManual(ctx, name, ask.IfIdle, key, actor, func(tx *store.Tx, _ store.Job) (time.Time, error) {
		if ask.Occurrence.IsZero() {
			return tx.Now.UTC().Truncate(time.Second), nil
		}
		return ask.Occurrence.UTC(), nil
	})
}

// queueManual queues a run of the occurrence that which finds.
func (t *Trigger) queueManual(ctx context.Context, name string, ifIdle bool, key, actor string,
	which func(*store.Tx, store.Job) (time.Time, error)) (run api.Run, created bool, err error) {
	err = t.store.Write(ctx, func(tx *store.Tx) error {
		job, err := find(tx, name)
		if err != nil {
			return err
		}
		if made, err := tx.RunByToken(job.UID, key); !errors.Is(err, store.ErrNotFound) {
			run = made.Run
			return err
		}
		occurrence, err := which(tx, job)
		if err != nil {
			return err
		}
		if ifIdle {
			if err := idle(tx, job); err != nil {
				return err
			}
		}
		made, err := tx.InsertRun(runOf(job, occurrence, api.OriginManual), key, actor)
		run, created = made.Run, true
		return err
	})
	if err != nil {
		return api.Run{}, false, err
	}
	if created {
		t.wake()
	}
	return run, created, nil
}

func runOf(job store.Job, occurrence time.Time, origin api.Origin) store.Run {
	return store.Run{Run: api.Run{
		Job: job.Spec.Name, JobUID: job.UID, Generation: job.Generation, Occurrence: occurrence, Origin: origin,
	}}
}

func checkOccurrence(at time.Time) error {
	var problem string
	switch {
	case at.IsZero():
		return nil
	case at.Nanosecond() != 0:
		problem = "has a fraction of a second; write whole seconds"
	case at.UTC().Year() < firstYear || at.UTC().Year() > lastYear:
		problem = "is not in the years 1970–2200"
	default:
		return nil
	}
	return api.Invalid("trigger", []api.Error{invalid("/occurrence", "%s %s", at.Format(time.RFC3339Nano), problem)})
}

func idle(tx *store.Tx, job store.Job) error {
	active, err := tx.ActiveRun(job.UID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	return api.Errorf(api.CodeConflict, "wait for it, cancel it, or leave if_idle away to wait in the queue",
		"run %s of job %s is %s", active.ID, job.Spec.Name, active.State)
}
