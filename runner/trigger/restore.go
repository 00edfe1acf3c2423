package trigger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// byRestore is the actor of what a restoration brings about.
const byRestore = "restore"

// TakeUpRestoration makes a store that was restored from a backup safe to work
// on; it must come before anything else does. Between the backup and its
// restoration, the runner went on: it decided occurrences, published outputs
// and took files, and this store knows nothing of it. So, in one transaction:
//
//   - nothing that was due in between is decided as due: it is missed, and may
//     have run;
//   - no run goes on that had not ended: it may have published since;
//   - backfills end;
//   - jobs whose next run would take what is left by earlier ones are held:
//     what has been predicted since would be predicted twice.
//
// It does nothing where no restoration waits for it.
func (t *Trigger) TakeUpRestoration(ctx context.Context) error {
	err := t.store.Write(ctx, func(tx *store.Tx) error {
		r, err := tx.Restoration()
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return errors.Join(
			endBackfills(tx),
			endUnfinished(tx, r),
			t.passOverJobs(tx, r),
			tx.SetLookedAt(tx.Now), // however old the backup is, the clock did not jump
			tx.SettleRestoration(),
		)
	})
	if err != nil {
		return fmt.Errorf("take up the restored store: %w", err)
	}
	return nil
}

func endBackfills(tx *store.Tx) error {
	active, err := tx.UnfinishedBackfills()
	for _, b := range active {
		err = errors.Join(err, tx.EndBackfill(b.ID))
	}
	return err
}

// endUnfinished cancels the runs that had not ended, also those past the point
// of no return: whether they published since, only their output knows.
func endUnfinished(tx *store.Tx, r store.Restoration) error {
	unfinished, err := tx.Unfinished()
	if err != nil {
		return err
	}
	for _, run := range unfinished {
		message := fmt.Sprintf("it was %s when the backup of %s was made, and may have ended since: look at its output; where that is missing, batch-runner run %s --occurrence %s",
			run.State, r.Backup.At.Format(time.RFC3339), run.Job, run.Occurrence.UTC().Format(time.RFC3339))
		if err := tx.CancelMiniBatches(run.ID); err != nil {
			return err
		}
		// What the run had made visible by then is done, the rest is owed again.
		if err := errors.Join(tx.SettleOwed(run.ID), tx.FreeOwed(run.ID)); err != nil {
			return err
		}
		// A folder that it has shown is left as it is: it may be complete by now.
		if err := tx.Published(run.ID); err != nil {
			return err
		}
		if _, err := tx.MoveRun(run, store.RunChange{To: api.RunCancelled, Reason: api.ReasonRestored, Actor: byRestore, Message: message}); err != nil {
			return err
		}
	}
	return nil
}

func (t *Trigger) passOverJobs(tx *store.Tx, r store.Restoration) error {
	jobs, err := tx.Jobs()
	if err != nil {
		return err
	}
	for _, job := range jobs {
		if job.Cursor.Before(r.At) {
			rule, err := ruleOf(job.Spec.Schedule)
			if err != nil { // it has no occurrences that anybody could tell; the next wake reports it
				err = tx.MoveCursor(job, r.At, r.At)
			} else {
				err = passOver(tx, job, rule, r.At, api.VerdictMissed, api.DecidedRestored)
			}
			if err != nil {
				return err
			}
		}
		if err := t.holdForMemory(tx, job, r); err != nil {
			return err
		}
		if err := jobEvent(tx, job.UID, "restored", byRestore); err != nil {
			return err
		}
	}
	return nil
}

// holdForMemory holds a job whose runs take what earlier ones have left. Only
// a person can tell what was taken since the backup: the manifests beside the
// outputs name the runs.
func (t *Trigger) holdForMemory(tx *store.Tx, job store.Job, r store.Restoration) error {
	owes, err := tx.Owes(job.UID)
	if err != nil || !owes && !job.Spec.Input.Incremental() {
		return err
	}
	reason := fmt.Sprintf("the store was restored from a backup of %s: what runs have taken since then would be taken once more. "+
		"Compare the manifests of the newest outputs with batch-runner runs %s, move files that were predicted since out of the input, then release the job",
		r.Backup.At.Format(time.RFC3339), job.Spec.Name)
	lost, err := t.lostCopies(tx, job.UID)
	if err != nil {
		return err
	}
	reason += lost
	if job.Held != nil {
		reason = job.Held.Reason + "; and " + reason
	}
	return tx.Hold(job.UID, &api.Hold{By: byRestore, Reason: reason, Since: tx.Now}, byRestore)
}

// lostCopies tells which records a job owes of copies of its input that are not
// there: a backup is of the store alone.
func (t *Trigger) lostCopies(tx *store.Tx, uid string) (string, error) {
	copies, err := tx.OwedCopies(uid)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(t.store.Dir(), "runs")
	records, runs := int64(0), []string(nil)
	for _, c := range copies {
		if info, err := os.Stat(filepath.Join(dir, c.Run, c.Path)); err == nil && info.Size() == c.Size {
			continue
		}
		records += c.Records
		if !slices.Contains(runs, c.Run) {
			runs = append(runs, c.Run)
		}
	}
	if records == 0 {
		return "", nil
	}
	const most = 10
	named := strings.Join(runs[:min(most, len(runs))], ", ")
	if more := len(runs) - most; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf(". It owes %s of copies of its input that are in no backup and not here: bring the folders of these runs from the old data dir to %s first, "+
		"or the next run makes dead letters of them: %s", api.Counted(records, "record"), dir, named), nil
}

// passOver decides the occurrences up to an instant with one verdict, but for
// those that have a run, and moves the cursor there.
func passOver(tx *store.Tx, job store.Job, rule *schedule.Schedule, to time.Time, verdict api.Verdict, reason string) error {
	due, err := tx.DueJob(job.UID)
	if err != nil {
		return err
	}
	var out outcome
	if rule != nil {
		have, err := runsBetween(tx, job.UID, job.Cursor, to)
		if err != nil {
			return err
		}
		out.add(verdict, reason, rule.Span(job.Cursor, to))
		out.link(rule, have)
	}
	return tx.RecordDecisions([]store.Decided{{Job: due, Decisions: out.decisions, Cursor: to, NextDueAt: dueAfter(rule, to, offset(rule, job.UID))}})
}
