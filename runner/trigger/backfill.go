package trigger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// Backfill queues runs for past occurrences of a job, as many at a time as it
// says; the next is queued when one ends. A dry run only tells what it would
// do. A second request with the same key gets the backfill that the first one
// made, and created is false.
//
// While the job is held no run is queued; that it is paused does not matter,
// as for manual runs.
func (t *Trigger) Backfill(ctx context.Context, name string, ask api.AskBackfill, key, actor string) (b api.Backfill, created bool, err error) {
	queued := false
	err = t.store.Write(ctx, func(tx *store.Tx) error {
		job, err := find(tx, name)
		if err != nil {
			return err
		}
		if made, err := tx.BackfillByToken(job.UID, key); !ask.DryRun && !errors.Is(err, store.ErrNotFound) {
			b = made.Backfill
			return err
		}
		if err := noneActive(tx, job); err != nil {
			return err
		}
		plan, err := planBackfill(tx, job, ask)
		if err != nil {
			return err
		}
		if b = plan.told(); ask.DryRun {
			return nil
		}
		plan.Actor = actor
		stored, err := tx.InsertBackfill(plan.Backfill, key, plan.occurrences)
		if err != nil {
			return err
		}
		if queued, err = goOn(tx, job, stored.ID); err != nil {
			return err
		}
		b.ID, created = stored.ID, true
		return errors.Join(backfillEvent(tx, stored, "backfill", actor), readAgain(tx, &b))
	})
	if err != nil {
		return api.Backfill{}, false, err
	}
	if queued {
		t.wake()
	}
	return b, created, nil
}

// Backfills lists a job's backfills, newest first.
func (t *Trigger) Backfills(_ context.Context, name string, limit int) ([]api.Backfill, error) {
	job, err := t.store.Job(name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, noJob(name)
	}
	if err != nil {
		return nil, fmt.Errorf("read job %s: %w", name, err)
	}
	stored, err := t.store.Backfills(job.UID, limit)
	if err != nil {
		return nil, fmt.Errorf("list the backfills of job %s: %w", name, err)
	}
	all := make([]api.Backfill, len(stored))
	for i := range stored {
		all[i] = stored[i].Backfill
	}
	return all, nil
}

// CancelBackfill ends a backfill: what has no run gets none, and runs that are
// queued or under way go on. One that has ended already stays as it is.
func (t *Trigger) CancelBackfill(ctx context.Context, name, id, actor string) (b api.Backfill, err error) {
	err = t.store.Write(ctx, func(tx *store.Tx) error {
		job, err := find(tx, name)
		if err != nil {
			return err
		}
		stored, err := tx.Backfill(id)
		if errors.Is(err, store.ErrNotFound) || err == nil && stored.UID != job.UID {
			return api.Errorf(api.CodeNotFound, "`batch-runner status "+name+"` tells the one that goes on", "job %s has no backfill %s", name, id)
		}
		if err == nil && stored.EndedAt.IsZero() {
			err = errors.Join(tx.EndBackfill(id), backfillEvent(tx, stored, "backfill cancelled", actor))
		}
		b = stored.Backfill
		return errors.Join(err, readAgain(tx, &b))
	})
	return b, err
}

// goOn queues the next runs of a backfill, up to as many as may be active, and
// ends it once each of its occurrences has a run that ended.
func goOn(tx *store.Tx, job store.Job, id string) (queued bool, err error) {
	b, err := tx.Backfill(id)
	if err != nil || !b.EndedAt.IsZero() {
		return false, err
	}
	if b.Waiting == 0 && b.Active == 0 {
		return false, tx.EndBackfill(id)
	}
	if job.Held != nil {
		return false, nil
	}
	next, err := tx.NextOfBackfill(id, int(b.MaxParallel-min(b.Active, b.MaxParallel)))
	if err != nil {
		return false, err
	}
	for _, at := range next {
		ask := runOf(job, at, api.OriginBackfill)
		ask.Backfill, ask.Shared = id, b.MaxParallel > 1
		run, err := tx.InsertRun(ask, "", b.Actor)
		if err == nil {
			err = tx.MarkBackfillRun(id, at, run.ID)
		}
		if err != nil {
			return false, err
		}
	}
	return len(next) > 0, nil
}

// endBackfill ends the backfill of a job that is being deleted, if it has one.
func endBackfill(tx *store.Tx, job store.Job) error {
	b, err := tx.ActiveBackfill(job.UID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return tx.EndBackfill(b.ID)
}

func noneActive(tx *store.Tx, job store.Job) error {
	b, err := tx.ActiveBackfill(job.UID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return api.Errorf(api.CodeConflict, "wait for it to end, or end it: batch-runner backfill "+job.Spec.Name+" --cancel", "backfill %s of job %s goes on: %d of %d occurrences have ended",
		b.ID, job.Spec.Name, b.Total-b.Waiting-b.Active, b.Total)
}

// readAgain brings a backfill up to date; its warnings are not stored.
func readAgain(tx *store.Tx, b *api.Backfill) error {
	stored, err := tx.Backfill(b.ID)
	if err != nil {
		return err
	}
	stored.Warnings = slices.Clone(b.Warnings)
	*b = stored.Backfill
	return nil
}

func backfillEvent(tx *store.Tx, b store.Backfill, what, actor string) error {
	return tx.Event(store.Event{UID: b.UID, Event: api.Event{Kind: "job", Actor: actor, To: what,
		Detail: fmt.Sprintf("%s, %s from %s to %s", b.ID, api.Counted(b.Total, "occurrence"), b.From.Format(time.RFC3339), b.To.Format(time.RFC3339))}})
}
