package store

import (
	"database/sql"
	"errors"
	"time"
)

// MarkMove is the stretch of a watermark's column that a plan takes: what is
// above From, up to To. They are values of the column, as text; what they mean
// is the database's to say.
type MarkMove struct {
	From *string `json:"from,omitzero"` // nil: from the beginning
	To   string  `json:"to"`
}

// Mark is how far the runs of a job have got in a watermark's column.
type Mark struct {
	Value string
	Run   string // that moved it last
}

func scanMark(rows *sql.Rows) (m Mark, err error) {
	err = rows.Scan(&m.Value, &m.Run)
	return m, err
}

const markOf = `SELECT value, run_id FROM marks WHERE uid = $1 AND identity = $2`

// Mark finds a job's mark in the input of that identity, Job.InputIdentity;
// ErrNotFound before the first.
func (s *Store) Mark(uid, identity string) (Mark, error) {
	return first(s.reader(), scanMark, markOf, uid, identity)
}

// Mark finds a job's mark in the input of that identity; ErrNotFound before the
// first.
func (t *Tx) Mark(uid, identity string) (Mark, error) {
	return first(t, scanMark, markOf, uid, identity)
}

// BeginMark sets the mark that a job begins with, unless it has one.
func (t *Tx) BeginMark(uid, identity, value, run string) error {
	return t.exec(`INSERT INTO marks (uid, identity, value, run_id, at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (uid) DO UPDATE SET identity = excluded.identity, value = excluded.value, run_id = excluded.run_id, at = excluded.at
		WHERE marks.identity <> excluded.identity`, uid, identity, value, run, nanos(t.Now))
}

// MoveMark moves a job's mark over the stretch that a run has taken. ErrFenced
// says that it does not stand where that begins.
func (t *Tx) MoveMark(uid, identity string, move MarkMove, run string) error {
	if move.From != nil {
		return t.one(`UPDATE marks SET value = $1, run_id = $2, at = $3 WHERE uid = $4 AND identity = $5 AND value = $6`,
			move.To, run, nanos(t.Now), uid, identity, *move.From)
	}
	if _, err := t.Mark(uid, identity); !errors.Is(err, ErrNotFound) {
		return errors.Join(err, ErrFenced)
	}
	return t.BeginMark(uid, identity, move.To, run)
}

// SuccessBefore finds the occurrence of the newest run of a job that succeeded,
// among those before an occurrence; none where there is no such.
func (s *Store) SuccessBefore(uid string, occurrence time.Time) (at time.Time, err error) {
	at, err = first(s.reader(), func(rows *sql.Rows) (at time.Time, err error) {
		err = rows.Scan(instant{&at})
		return at, err
	}, successBefore, uid, nanos(occurrence))
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return at, err
}

const successBefore = `SELECT r.occurrence FROM runs AS r WHERE r.uid = $1 AND ` + succeeded + ` AND r.occurrence < $2 ` + newestFirst + ` LIMIT 1`
