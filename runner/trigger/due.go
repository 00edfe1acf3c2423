package trigger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// claimLimit bounds the due jobs decided in one transaction, and so how long
// other writers wait.
const claimLimit = 1000

// decideDue claims jobs that are due and decides them, all in one transaction.
// It tells how many it claimed; more may be due.
func (t *Trigger) decideDue(ctx context.Context) (int, error) {
	var (
		due    []store.DueJob
		c      *claim
		looked time.Time
	)
	err := t.store.Write(ctx, func(tx *store.Tx) (err error) {
		c, looked = t.claim(tx), tx.Now
		if err := t.watch.check(tx.Now); err != nil {
			return err
		}
		if due, err = tx.ClaimDue(tx.Now, claimLimit); err != nil || len(due) == 0 {
			return err
		}
		for _, job := range due {
			if err := c.decideOrPostpone(job); err != nil {
				return err
			}
		}
		if err := errors.Join(c.record(), tx.SetLookedAt(tx.Now)); err != nil {
			return err
		}
		failpoint.Here("trigger.before_commit")
		return nil
	})
	switch {
	case err != nil && (len(due) == 0 || ctx.Err() != nil || store.IsStorage(err)):
		return 0, fmt.Errorf("decide due jobs: %w", err)
	case err != nil:
		return len(due), t.decideSingly(ctx, due)
	case len(due) == 0:
		return 0, nil
	}
	failpoint.Here("trigger.after_commit")
	t.watch.note(looked)
	t.committed(c)
	return len(due), nil
}

// decideSingly decides jobs in a transaction each, after one of them spoilt a
// common one. A job that can't be decided is reported and postponed; its
// cursor stays, so nothing of it is lost.
func (t *Trigger) decideSingly(ctx context.Context, due []store.DueJob) error {
	for _, job := range due {
		var c *claim
		err := t.store.Write(ctx, func(tx *store.Tx) error {
			c = t.claim(tx)
			current, err := tx.DueJob(job.UID)
			if errors.Is(err, store.ErrNotFound) { // deleted meanwhile
				return nil
			}
			if err != nil || current.NextDueAt.IsZero() || current.NextDueAt.After(tx.Now) {
				return err
			}
			if err := c.decideOrPostpone(current); err != nil {
				return err
			}
			return c.record()
		})
		if ctx.Err() != nil || store.IsStorage(err) {
			return fmt.Errorf("decide job %s: %w", job.Name, err)
		}
		if err == nil {
			t.committed(c)
			continue
		}
		err = t.store.Write(ctx, func(tx *store.Tx) error {
			c = t.claim(tx)
			c.postpone(job, err)
			return c.record()
		})
		if errors.Is(err, store.ErrFenced) { // edited meanwhile, maybe mended
			continue
		}
		if err != nil {
			return fmt.Errorf("postpone job %s: %w", job.Name, err)
		}
		t.committed(c)
	}
	return nil
}

// committed acts on what a claim has brought to disk.
func (t *Trigger) committed(c *claim) {
	for _, p := range c.postponed {
		t.log.Error("job can't be decided and is postponed", "job", p.job, "for", postponement.String(), "error", p.err)
	}
	if c.moved {
		t.wake()
	}
}

// decideJob decides, inside the caller's transaction, what is due of one job by
// the words in force; with early also what its jitter still holds back. moved
// tells that the queue changes. A rule that can't be read has no occurrences.
func (t *Trigger) decideJob(tx *store.Tx, uid string, early bool) (moved bool, err error) {
	c := t.claim(tx)
	rounds := []bool{false}
	if early { // what is held back is due after all that is not, and judged after it
		rounds = append(rounds, true)
	}
	for _, early := range rounds {
		job, err := tx.DueJob(uid)
		if err != nil {
			return false, err
		}
		err = c.decide(job, early)
		if isCalendar(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if err := c.record(); err != nil {
			return false, err
		}
	}
	return c.moved, nil
}
