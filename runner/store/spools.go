package store

import "database/sql"

// spoolsNeeded are the runs whose copies of input somebody may still read: those
// that have not ended, those that a plan refers to which may be taken up again,
// and those that records are owed of.
const spoolsNeeded = `SELECT id AS run FROM runs WHERE ` + activeStates + `
	UNION SELECT f.value ->> '$.spool_run' FROM plans AS p JOIN runs AS r ON r.id = p.run_id AND r.state <> 'succeeded', json_each(p.files) AS f
		WHERE instr(p.files, '"spool_run"') > 0
	UNION SELECT file ->> '$.spool_run' FROM ledger WHERE settled_by = '' AND instr(file, '"spool_run"') > 0`

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
