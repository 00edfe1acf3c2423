package store

import (
	"database/sql"
	"errors"
)

// Learned is the number of records per request that runs of a job found a
// server to take; 0 where no request was too large for it. key names the
// server and its model.
func (s *Store) Learned(uid, key string) (rows int64, err error) {
	rows, err = first(s.reader(), func(r *sql.Rows) (n int64, err error) {
		err = r.Scan(&n)
		return n, err
	}, `SELECT rows FROM learned WHERE uid = $1 AND key = $2`, uid, key)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	return rows, err
}

// Learn notes the size for the next run; 0 forgets it.
func (t *Tx) Learn(uid, key string, rows int64) error {
	if rows == 0 {
		return t.exec(`DELETE FROM learned WHERE uid = $1 AND key = $2`, uid, key)
	}
	return t.exec(`INSERT INTO learned (uid, key, rows, at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (uid, key) DO UPDATE SET rows = excluded.rows, at = excluded.at`, uid, key, rows, nanos(t.Now))
}

// CountIsolationLaunch notes one more server that suspects cost a run, and
// gives their number, which is at most one above most.
func (t *Tx) CountIsolationLaunch(run string, most int64) (launches int64, err error) {
	if err := t.one(`UPDATE runs SET isolation_launches = MIN(isolation_launches + 1, $1 + 1) WHERE id = $2`, most, run); err != nil {
		return 0, err
	}
	err = t.row(`SELECT isolation_launches FROM runs WHERE id = $1`, run)(&launches)
	return launches, err
}
