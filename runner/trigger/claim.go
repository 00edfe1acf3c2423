package trigger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

const (
	// bySchedule is the actor that queues runs without being asked.
	bySchedule = "schedule"
	// claimLimit bounds the due jobs decided in one transaction, and so how
	// long other writers wait.
	claimLimit = 1000
	// postponement is how long a job that can't be decided is left alone, so
	// that it does not keep the others from their turn.
	postponement = time.Minute
)

// decideDue claims jobs that are due and decides them, all in one transaction.
// It tells how many it claimed; more may be due.
func (t *Trigger) decideDue(ctx context.Context) (int, error) {
	var (
		due    []store.Job
		queued bool
	)
	err := t.store.Write(ctx, func(tx *store.Tx) (err error) {
		if due, err = tx.DueJobs(tx.Now, claimLimit); err != nil || len(due) == 0 {
			return err
		}
		for _, job := range due {
			_, q, err := decideJob(tx, job)
			if err != nil {
				return err
			}
			queued = queued || q
		}
		failpoint.Here("trigger.before_commit")
		return nil
	})
	switch {
	case err != nil && (len(due) == 0 || ctx.Err() != nil || store.IsStorage(err)):
		return 0, fmt.Errorf("decide due jobs: %w", err)
	case err != nil:
		return len(due), t.decideSingly(ctx, due)
	case len(due) > 0:
		failpoint.Here("trigger.after_commit")
	}
	if queued {
		t.wake()
	}
	return len(due), nil
}

// decideSingly decides jobs in a transaction each, after one of them spoilt a
// common one. A job that can't be decided is reported and postponed; its
// cursor stays, so nothing of it is lost.
func (t *Trigger) decideSingly(ctx context.Context, due []store.Job) error {
	for _, job := range due {
		queued := false
		err := t.store.Write(ctx, func(tx *store.Tx) error {
			current, err := tx.JobByUID(job.UID)
			if err != nil || current.NextDueAt.IsZero() || current.NextDueAt.After(tx.Now) {
				return err
			}
			_, queued, err = decideJob(tx, current)
			return err
		})
		if ctx.Err() != nil || store.IsStorage(err) {
			return fmt.Errorf("decide job %s: %w", job.Spec.Name, err)
		}
		if err != nil {
			t.log.Error("job can't be decided and is postponed", "job", job.Spec.Name, "for", postponement.String(), "error", err)
			err = t.store.Write(ctx, func(tx *store.Tx) error {
				return tx.MoveCursor(job, job.Cursor, tx.Now.Add(postponement))
			})
			if err != nil && !errors.Is(err, store.ErrFenced) { // fenced: edited meanwhile, maybe mended
				return fmt.Errorf("postpone job %s: %w", job.Spec.Name, err)
			}
		}
		if queued {
			t.wake()
		}
	}
	return nil
}

// decideJob decides all that is due of one job as of the transaction, and
// gives the job with its new cursor. queued tells of a new run.
func decideJob(tx *store.Tx, job store.Job) (after store.Job, queued bool, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("decide job %s: %w", job.Spec.Name, err)
		}
	}()
	rule, err := ruleOf(job.Spec.Schedule)
	if err != nil {
		return job, false, err
	}
	_, err = tx.ActiveRun(job.UID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return job, false, err
	}
	out := decide(situation{
		rule: rule, cursor: job.Cursor, now: tx.Now,
		active: err == nil,
		paused: *job.Spec.WithDefaults().Paused,
	})
	for _, d := range out.decisions {
		if d.origin != "" {
			run, err := tx.InsertRun(runOf(job, d.First, d.origin), "", bySchedule)
			if err != nil {
				return job, false, err
			}
			d.Run, queued = run.ID, true
		}
		if err := tx.Decide(job.UID, d.Decision); err != nil {
			return job, false, err
		}
	}
	if err := tx.MoveCursor(job, out.cursor, out.nextDue); err != nil {
		return job, false, err
	}
	job.Cursor, job.NextDueAt = out.cursor, out.nextDue
	return job, queued, nil
}

func runOf(job store.Job, occurrence time.Time, origin api.Origin) store.Run {
	return store.Run{Run: api.Run{
		Job: job.Spec.Name, JobUID: job.UID, Generation: job.Generation, Occurrence: occurrence, Origin: origin,
	}}
}
