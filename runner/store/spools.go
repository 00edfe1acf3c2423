package store

import (
	"database/sql"
	"errors"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// A run that did not succeed can be taken up again, and then reads the copies of
// input that its plan names. They are as large as what it read, so that is
// possible for as long as its staged results would be kept, and no longer.

// spoolsNeeded are the runs whose copies of input somebody may still read: those
// that have not ended, those that a plan refers to which may be taken up again,
// and those that records are owed of.
const (
	mayGoOn      = `SELECT id FROM runs WHERE ` + activeStates + ` UNION SELECT id FROM runs WHERE input_until > 0`
	spoolsNeeded = `SELECT id AS run FROM runs WHERE ` + activeStates + `
	UNION SELECT f.value ->> '$.spool_run' FROM plans AS p, json_each(p.files) AS f
		WHERE p.run_id IN (` + mayGoOn + `) AND instr(p.files, '"spool_run"') > 0
	UNION SELECT file ->> '$.spool_run' FROM ledger WHERE settled_by = '' AND instr(file, '"spool_run"') > 0`
	// What a run is about to read, and nobody keeps.
	copiesGone = `SELECT DISTINCT f.value ->> '$.spool_run' AS run FROM plans AS p, json_each(p.files) AS f
		WHERE p.run_id = $1 AND instr(p.files, '"spool_run"') > 0 AND run <> '' AND run NOT IN (SELECT run FROM (` + spoolsNeeded + `) WHERE run IS NOT NULL)
		AND EXISTS (SELECT 1 FROM mini_batches AS m WHERE m.run_id = $1 AND m.state = 'pending' AND m.file = f.key)`
)

// SpoolsNeeded gives the runs whose spools have to stay.
func (s *Store) SpoolsNeeded() (map[string]bool, error) {
	needed := map[string]bool{}
	_, err := list(s.reader(), func(rows *sql.Rows) (run string, err error) {
		var of sql.NullString
		err = rows.Scan(&of)
		needed[of.String] = true
		return of.String, err
	}, spoolsNeeded)
	return needed, err
}

// SpoolNeeded tells whether one of them is.
func (s *Store) SpoolNeeded(run string) (needed bool, err error) {
	return first(s.reader(), func(rows *sql.Rows) (needed bool, err error) {
		err = rows.Scan(&needed)
		return needed, err
	}, `SELECT EXISTS (SELECT 1 FROM (`+spoolsNeeded+`) WHERE run = $1)`, run)
}

// copiesUntil is until when a run that ends can go on with the copies of its
// input; the zero time where it has none, or has no more to do.
func (t *Tx) copiesUntil(run Run) (time.Time, error) {
	if run.State == api.RunSucceeded || run.State == api.RunSkipped {
		return time.Time{}, nil
	}
	plan, err := first(t, scanPlan, selectPlan+`run_id = $1 AND instr(files, '"spool_run"') > 0`, run.ID)
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, nil
	}
	return t.Now.Add(plan.Spec.WithDefaults().KeepWithheld.Value()), err
}

// GiveUpCopies has ended runs not go on with copies of their input that were
// kept for long enough. It comes before the copies are removed: by a clock that
// is set back, no run is to find them half removed.
func (t *Tx) GiveUpCopies() error {
	return t.exec(`UPDATE runs SET input_until = 0 WHERE input_until > 0 AND input_until <= $1 AND ended_at > 0`, nanos(t.Now))
}

// CopyGone names a run whose copies of input are not kept any longer, and which
// another run is about to read; ErrNotFound: there is no such.
func (t *Tx) CopyGone(run string) (of string, err error) {
	return first(t, func(rows *sql.Rows) (of string, err error) {
		err = rows.Scan(&of)
		return of, err
	}, copiesGone, run)
}
