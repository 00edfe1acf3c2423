package store

import (
	"database/sql"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Progressive output: what readers see before its run has ended.

// Show notes, before the first part becomes visible, that the run's folder
// will say that the run is under way.
func (t *Tx) Show(run Run) error {
	return t.one(`UPDATE runs SET shown = 1 WHERE id = $1 AND version = $2`, run.ID, run.Version)
}

// Shown lists ended runs whose folder still says that they are under way.
func (s *Store) Shown() ([]Run, error) {
	return runs(s.reader(), endedShown)
}

const endedShown = `WHERE shown = 1 AND ended_at > 0`

// IsShown tells whether the run's folder says that it is under way.
func (s *Store) IsShown(run string) (bool, error) {
	shown, err := runs(s.reader(), `WHERE id = $1 AND shown = 1`, run)
	return len(shown) > 0, err
}

// Concluded notes that the folder of an ended run says how it has ended. What
// is visible there is its output, though it is not published.
func (t *Tx) Concluded(run Run, folder string) (Run, error) {
	if run.Counts.Committed == 0 && run.Revision == 0 {
		folder = ""
	}
	err := t.one(`UPDATE runs SET shown = 0, output = $1, version = version + 1 WHERE id = $2 AND version = $3`, folder, run.ID, run.Version)
	if err != nil {
		return Run{}, err
	}
	run.Output = folder
	run.Version++
	return run, nil
}

// Published notes that the run's folder, if it was shown before, is complete.
func (t *Tx) Published(run string) error {
	return t.exec(`UPDATE runs SET shown = 0 WHERE id = $1 AND shown = 1`, run)
}

// OutputGone tells whether what an ended run had made visible was removed
// since, by retention.
func (t *Tx) OutputGone(run Run) (bool, error) {
	if run.Counts.Committed == 0 {
		return false, nil
	}
	gone, err := t.runsWhere(`id = $1 AND output = '' AND shown = 0`, run.ID)
	return len(gone) > 0, err
}

// CommitShown makes a staged mini-batch committed whose part is visible, but
// for the records that are gone. The fence turns those away who no longer own
// it.
func (t *Tx) CommitShown(run Run, m MiniBatch, gone Gone) error {
	err := t.one(`UPDATE mini_batches SET state = $1 WHERE run_id = $2 AND number = $3 AND fence = $4 AND state = 'staged'
		AND EXISTS (SELECT 1 FROM runs WHERE id = $2 AND version = $5 AND state NOT IN ('cancelled', 'committing'))`,
		api.MiniBatchCommitted, run.ID, m.Number, m.Fence, run.Version)
	if err != nil {
		return err
	}
	return t.addGone(run.ID, m.Number, gone)
}

// WithStaging lists the ended runs of a job whose staged files are kept.
func (s *Store) WithStaging(uid string) ([]Run, error) {
	return runs(s.reader(), `WHERE uid = $1 AND staging_until > 0 AND ended_at > 0`, uid)
}

// Settling begins to correct what the rows of an ended run say of its staged
// mini-batches. ErrFenced: the run has moved on.
func (t *Tx) Settling(run Run) (Run, error) {
	err := t.one(`UPDATE runs SET version = version + 1 WHERE id = $1 AND version = $2 AND ended_at > 0`, run.ID, run.Version)
	run.Version++
	return run, err
}

// CommitSeen makes staged mini-batches committed that have turned out to be
// visible, but for the records that are gone.
func (t *Tx) CommitSeen(run string, seen map[int64]Gone) error {
	for number, gone := range seen {
		if err := t.addGone(run, number, gone); err != nil {
			return err
		}
		if err := t.one(`UPDATE mini_batches SET state = 'committed' WHERE run_id = $1 AND number = $2 AND state = 'staged'`, run, number); err != nil {
			return err
		}
	}
	return t.commitRedriven(run)
}

// SettleSeen settles what of the ledger they hold, unless another run has it.
func (t *Tx) SettleSeen(run string) error {
	return t.exec(`UPDATE ledger SET settled_by = $1, settled_at = $2, taken_by = '' WHERE settled_by = '' AND taken_by IN ('', $1)
		AND id IN (SELECT ledger FROM mini_batches WHERE run_id = $1 AND ledger > 0 AND state = 'committed')`, run, nanos(t.Now))
}

// Settled ends that with the accounting of the run, whose output there is.
func (t *Tx) Settled(run Run, output string) (Run, error) {
	if err := account(t, &run); err != nil {
		return Run{}, err
	}
	run.Output = output
	return run, t.exec(`UPDATE runs SET counts = $1, output = $2 WHERE id = $3`, encode(frozenOf(run)), output, run.ID)
}

// LastRevision is the highest revision in which a run's occurrence was
// published, by whichever run of its job.
func (s *Store) LastRevision(run Run) (int64, error) {
	return first(s.reader(), func(rows *sql.Rows) (revision int64, err error) {
		err = rows.Scan(&revision)
		return revision, err
	}, `SELECT COALESCE(MAX(revision), 0) FROM runs WHERE uid = $1 AND occurrence = $2`, run.JobUID, nanos(run.Occurrence))
}
