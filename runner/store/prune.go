package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// What is left of a run's details; the column pruned.
const (
	prunedNothing = 0
	prunedLetters = 1 // its dead letters are gone
	prunedUnclear = 2 // all of them are going
	prunedAll     = 3
)

// pruneRows bounds the rows that one transaction removes, and so how long
// other writers wait for it.
const pruneRows = 2000

// Pruning says what is removed.
type Pruning struct {
	// KeepHistory is how long an ended run keeps its details: mini-batches,
	// attempts, events, plan, dead letters. Its row, with its counts, and its
	// launches, with what they cost, stay.
	KeepHistory time.Duration
	// KeepBuried is how long a deleted job can be taken up again.
	KeepBuried time.Duration
	// RemoveFiles removes a run's own files; it may be called again.
	RemoveFiles func(run string) error
	// Limit bounds the work: how many runs are pruned at most.
	Limit int
	// From is the uid of the job to begin with: where the look before ended.
	From string
}

// prunePage is how many jobs are read at a time.
const prunePage = 200

// Prune removes history that is older than it is kept for: details of runs,
// dead letters after their job's dead_letters.keep_for, settled ledger rows,
// and deleted jobs. Where the work was bounded, next says where to go on; it is
// empty at the end. A job's last run and last success keep their details, and
// so does a run whose staged results a retry could go on with.
//
// The file does not shrink: what is freed is used again. A backup holds none of
// it.
func (s *Store) Prune(ctx context.Context, p Pruning) (next string, err error) {
	now := s.now()
	for from := p.From; ; {
		jobs, err := list(s.reader(), scanJob, selectJob+`jobs.uid >= $1 ORDER BY jobs.uid LIMIT $2`, from, prunePage)
		if err != nil {
			return "", fmt.Errorf("prune the history: %w", err)
		}
		for _, job := range jobs {
			o := pruner{Store: s, Pruning: p, job: job, now: now}
			if err := o.prune(ctx); err != nil {
				return "", fmt.Errorf("prune the history of job %s: %w", job.Spec.Name, err)
			}
			if p.Limit = o.Limit; p.Limit <= 0 {
				return job.UID, nil
			}
		}
		if len(jobs) < prunePage {
			break
		}
		from = jobs[len(jobs)-1].UID + " " // the first behind it
	}
	return "", s.inChunks(ctx, func(tx *Tx) (int64, error) {
		return tx.changed(`DELETE FROM ledger WHERE id IN (SELECT id FROM ledger WHERE settled_by <> '' AND settled_at <= $1 LIMIT $2)`,
			nanos(now.Add(-p.KeepHistory)), pruneRows)
	})
}

// inChunks repeats a transaction until it removes less than it may.
func (s *Store) inChunks(ctx context.Context, remove func(*Tx) (int64, error)) error {
	for {
		var removed int64
		err := s.Write(ctx, func(tx *Tx) (err error) {
			removed, err = remove(tx)
			return err
		})
		if err != nil || removed < pruneRows {
			return err
		}
	}
}

// pruner prunes one job; its Limit counts down.
type pruner struct {
	*Store
	Pruning
	job Job
	now time.Time
}

func (p *pruner) prune(ctx context.Context) error {
	if buried := p.job.BuriedAt; !buried.IsZero() && !buried.After(p.now.Add(-p.KeepBuried)) {
		return p.purge(ctx)
	}
	letters := p.now.Add(-p.job.Spec.WithDefaults().DeadLetters.KeepFor.Value())
	if err := p.passWithoutLetters(ctx, letters); err != nil {
		return err
	}
	if err := p.each(ctx, oldLetters, letters, p.dropLetters); err != nil {
		return err
	}
	return p.each(ctx, oldDetails, p.now.Add(-p.KeepHistory), p.dropDetails)
}

const (
	oldRuns        = `SELECT id FROM runs WHERE uid = $1 AND ended_at > 0 AND ended_at <= $2 AND pruned `
	oldLetters     = oldRuns + `= 0 AND staging_until = 0 ORDER BY ended_at LIMIT $3`
	withoutLetters = oldRuns + `= 0 AND NOT EXISTS (SELECT 1 FROM dead_letters AS d WHERE d.run_id = runs.id) ORDER BY ended_at LIMIT $3`
	anyDetails     = oldRuns + `IN (0, 1, 2) ORDER BY ended_at LIMIT $3`
	oldDetails     = oldRuns + `IN (0, 1, 2) AND staging_until = 0 AND shown = 0
		AND id <> COALESCE((SELECT r.id FROM runs AS r WHERE r.uid = $1 AND r.origin <> 'backfill' AND r.state <> 'skipped' ` + newestFirst + ` LIMIT 1), '')
		AND id <> COALESCE((SELECT r.id FROM runs AS r WHERE r.uid = $1 AND ` + succeeded + ` ` + newestFirst + ` LIMIT 1), '')
		ORDER BY ended_at LIMIT $3`
)

// each drops something of the job's runs that a query finds.
func (p *pruner) each(ctx context.Context, query string, until time.Time, drop func(context.Context, string) error) error {
	if p.Limit <= 0 {
		return nil
	}
	ids, err := p.find(query, until, p.Limit)
	for _, id := range ids {
		if err == nil {
			err = drop(ctx, id)
		}
		p.Limit--
	}
	return err
}

func (p *pruner) find(query string, until time.Time, limit int) ([]string, error) {
	return list(p.reader(), func(rows *sql.Rows) (id string, err error) {
		err = rows.Scan(&id)
		return id, err
	}, query, p.job.UID, nanos(until), limit)
}

// passWithoutLetters marks the old runs that have no dead letters, which are
// most of them, at once.
func (p *pruner) passWithoutLetters(ctx context.Context, until time.Time) error {
	if any, err := p.find(withoutLetters, until, 1); err != nil || len(any) == 0 {
		return err
	}
	return p.inChunks(ctx, func(tx *Tx) (int64, error) {
		return tx.changed(`UPDATE runs SET pruned = 1 WHERE id IN (`+withoutLetters+`)`, p.job.UID, nanos(until), pruneRows)
	})
}

// dropLetters leaves a run alone that was taken up again meanwhile; CheckPruned
// tells when some of its letters are gone already.
func (p *pruner) dropLetters(ctx context.Context, id string) error {
	return p.inChunks(ctx, func(tx *Tx) (int64, error) {
		var ended int
		if err := tx.row(`SELECT COUNT(*) FROM runs WHERE id = $1 AND ended_at > 0`, id)(&ended); err != nil || ended == 0 {
			return 0, err
		}
		removed, err := tx.dropSome("dead_letters", "mini_batch, position", id)
		if err == nil && removed < pruneRows {
			err = tx.exec(`UPDATE runs SET pruned = $1 WHERE id = $2 AND pruned = $3`, prunedLetters, id, prunedNothing)
		}
		return removed, err
	})
}

// dropDetails first marks the run, so that nobody goes on with what is going.
func (p *pruner) dropDetails(ctx context.Context, id string) error {
	err := p.Write(ctx, func(tx *Tx) error {
		return tx.one(`UPDATE runs SET pruned = $1 WHERE id = $2 AND pruned <= $1 AND ended_at > 0`, prunedUnclear, id)
	})
	if errors.Is(err, ErrFenced) { // taken up again meanwhile
		return nil
	}
	if err == nil {
		err = p.RemoveFiles(id)
	}
	if err != nil {
		return err
	}
	return p.inChunks(ctx, func(tx *Tx) (removed int64, err error) {
		for _, table := range []struct{ name, key string }{
			{"dead_letters", "mini_batch, position"}, {"attempts", "mini_batch, fence"}, {"mini_batches", "number"},
			{"redrives", "mini_batch"}, {"run_attempts", "attempt"}, {"plans", "run_id"},
		} {
			n, err := tx.dropSome(table.name, table.key, id)
			if removed = max(removed, n); err != nil {
				return removed, err
			}
		}
		n, err := tx.changed(`DELETE FROM events WHERE id IN (SELECT id FROM events WHERE uid = $1 AND run_id = $2 LIMIT $3)`, p.job.UID, id, pruneRows)
		if removed = max(removed, n); err == nil && removed < pruneRows {
			err = tx.one(`UPDATE runs SET pruned = $1 WHERE id = $2`, prunedAll, id)
		}
		return removed, err
	})
}

// dropSome removes rows of a run from a table, as many as one transaction may.
func (t *Tx) dropSome(table, key, run string) (int64, error) {
	return t.changed(`DELETE FROM `+table+` WHERE run_id = $1 AND (`+key+`) IN (SELECT `+key+` FROM `+table+` WHERE run_id = $1 LIMIT $2)`, run, pruneRows)
}

// purge removes a job that was deleted long ago: first, run by run, what there
// is much of.
func (p *pruner) purge(ctx context.Context) error {
	if err := p.each(ctx, anyDetails, p.now, p.dropDetails); err != nil || p.Limit <= 0 {
		return err
	}
	return p.Write(ctx, func(tx *Tx) error {
		job, err := tx.JobByUID(p.job.UID)
		if err != nil || job.BuriedAt.IsZero() { // taken up again meanwhile
			return err
		}
		active, err := tx.UnfinishedOf(job.UID)
		if err != nil || len(active) > 0 {
			return err
		}
		return errors.Join(tx.PurgeJob(job.UID), tx.ForgetJob(job.UID))
	})
}

// CheckPruned is an *api.Error where so much of a run is gone that nothing can
// go on with it: another revision of its output would miss the dead letters
// that the first one has beside it.
func (t *Tx) CheckPruned(run Run) error {
	var pruned, letters int64
	err := t.row(`SELECT pruned, (SELECT COUNT(*) FROM dead_letters WHERE run_id = $1 AND redriven = 0) FROM runs WHERE id = $1`, run.ID)(&pruned, &letters)
	if err != nil {
		return err
	}
	gone := "details"
	switch {
	case pruned <= prunedLetters && letters >= run.Counts.DeadLettered:
		return nil
	case pruned <= prunedLetters:
		gone = "dead letters"
	}
	return api.Errorf(api.CodeConflict, "run the occurrence again: batch-runner rerun "+run.Job+" --occurrence "+run.Occurrence.UTC().Format(time.RFC3339),
		"the %s of run %s are removed: the runner does not keep them for so long", gone, run.ID)
}
