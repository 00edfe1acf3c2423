package store

import (
	"database/sql"
	"time"
)

// Awaiting is a queued run that waits for its input.
type Awaiting struct {
	Run   string
	Since time.Time
}

const awaiting = `SELECT id, awaiting FROM runs WHERE awaiting > 0 AND state = 'queued'`

// Awaiting lists the queued runs that wait for their input.
func (s *Store) Awaiting() ([]Awaiting, error) { return list(s.reader(), scanAwaiting, awaiting) }

// AwaitingInput finds one of them; ErrNotFound: it does not.
func (s *Store) AwaitingInput(run string) (Awaiting, error) {
	return first(s.reader(), scanAwaiting, awaiting+` AND id = $1`, run)
}

func scanAwaiting(rows *sql.Rows) (a Awaiting, err error) {
	err = rows.Scan(&a.Run, instant{&a.Since})
	return a, err
}

// AwaitInput has a queued run wait for its input, from now on and for as long
// as it is not said to be there. ErrFenced: the run is not queued any more.
func (t *Tx) AwaitInput(run string) error {
	return t.one(`UPDATE runs SET awaiting = CASE WHEN awaiting > 0 THEN awaiting ELSE $1 END WHERE id = $2 AND state = 'queued'`, nanos(t.Now), run)
}

// InputIsThere ends that: the run can start.
func (t *Tx) InputIsThere(run string) error {
	return t.one(`UPDATE runs SET awaiting = -1 WHERE id = $1 AND state = 'queued' AND awaiting > 0`, run)
}
