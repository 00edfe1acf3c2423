package trigger

import (
	"context"
	"errors"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// The years a person can ask for: the store keeps instants as nanoseconds in
// 64 bits.
const firstYear, lastYear = 1970, 2200

// Run queues a manual run. It waits for its turn behind an active one, and
// does not ask whether the job is paused. A second request with the same key
// gets the run that the first one made, and created is false.
func (t *Trigger) Run(ctx context.Context, name string, ask api.Trigger, key, actor string) (run api.Run, created bool, err error) {
	if err := checkOccurrence(ask.Occurrence); err != nil {
		return api.Run{}, false, err
	}
	err = t.store.Write(ctx, func(tx *store.Tx) error {
		job, err := tx.Job(name)
		if errors.Is(err, store.ErrNotFound) {
			return noJob(name)
		}
		if err != nil {
			return err
		}
		if made, err := tx.RunByToken(job.UID, key); !errors.Is(err, store.ErrNotFound) {
			run = made.Run
			return err
		}
		if ask.IfIdle {
			if err := idle(tx, job); err != nil {
				return err
			}
		}
		occurrence := ask.Occurrence.UTC()
		if ask.Occurrence.IsZero() {
			occurrence = tx.Now.UTC().Truncate(time.Second)
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
