package store

import (
	"crypto/rand"
	"database/sql"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Backfill is a stored backfill. How it stands is counted when it is read.
type Backfill struct {
	api.Backfill
	UID string // of its job
}

const (
	runsOfBackfill = `SELECT state, COUNT(*) FROM runs WHERE backfill = $1 AND backfill <> '' GROUP BY state`
	nextOfBackfill = `SELECT occurrence FROM backfill_occurrences WHERE backfill = $1 AND run_id = '' ORDER BY position LIMIT $2`
)

// shownOccurrences is how many occurrences of a backfill are listed with it.
const shownOccurrences = 100

// InsertBackfill stores a backfill over these occurrences, in the order of
// their runs; its id, time and counts are filled in.
func (t *Tx) InsertBackfill(b Backfill, token string, occurrences []time.Time) (Backfill, error) {
	b.ID = "b" + strings.ToLower(rand.Text()[:12])
	if err := t.exec(`INSERT INTO backfills (id, uid, token, first, last, selection, ordering, max_parallel, actor, total, left_out, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		b.ID, b.UID, token, nanos(b.From), nanos(b.To), b.Only, b.Order, b.MaxParallel, b.Actor, len(occurrences), b.LeftOut, nanos(t.Now)); err != nil {
		return Backfill{}, err
	}
	var rows bulk
	for i, at := range occurrences {
		rows.add(b.ID, i+1, nanos(at))
	}
	if err := rows.write(t, `INSERT INTO backfill_occurrences (backfill, position, occurrence) {rows}`); err != nil {
		return Backfill{}, err
	}
	return t.Backfill(b.ID)
}

// MarkBackfillRun notes the run that was queued for an occurrence of a
// backfill; ErrFenced where it has one.
func (t *Tx) MarkBackfillRun(id string, occurrence time.Time, run string) error {
	return t.one(`UPDATE backfill_occurrences SET run_id = $1 WHERE backfill = $2 AND occurrence = $3 AND run_id = ''`, run, id, nanos(occurrence))
}

// EndBackfill ends a backfill: what has no run gets none. ErrFenced where it
// has ended.
func (t *Tx) EndBackfill(id string) error {
	return t.one(`UPDATE backfills SET ended_at = $1 WHERE id = $2 AND ended_at = 0`, nanos(t.Now), id)
}

// NextOfBackfill lists the next occurrences that have no run yet.
func (t *Tx) NextOfBackfill(id string, limit int) ([]time.Time, error) {
	return list(t, scanInstant, nextOfBackfill, id, limit)
}

// Backfill finds a backfill by id.
func (s *Store) Backfill(id string) (Backfill, error) { return backfill(s.reader(), `b.id = $1`, id) }

// Backfill finds a backfill by id.
func (t *Tx) Backfill(id string) (Backfill, error) { return backfill(t, `b.id = $1`, id) }

// BackfillByToken finds the backfill that a request with this token made.
func (t *Tx) BackfillByToken(uid, token string) (Backfill, error) {
	return backfill(t, `b.uid = $1 AND b.token = $2 AND b.token <> ''`, uid, token)
}

// ActiveBackfill is the job's backfill that has not ended.
func (t *Tx) ActiveBackfill(uid string) (Backfill, error) {
	return backfill(t, `b.uid = $1 AND b.ended_at = 0`, uid)
}

// Backfills lists a job's backfills, newest first.
func (s *Store) Backfills(uid string, limit int) ([]Backfill, error) {
	return backfills(s.reader(), `b.uid = $1 ORDER BY b.created_at DESC, b.id LIMIT $2`, uid, limit)
}

func backfill(q querier, where string, args ...any) (Backfill, error) {
	all, err := backfills(q, where, args...)
	if err == nil && len(all) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Backfill{}, err
	}
	return all[0], nil
}

func backfills(q querier, where string, args ...any) ([]Backfill, error) {
	all, err := list(q, func(rows *sql.Rows) (b Backfill, err error) {
		err = rows.Scan(&b.ID, &b.UID, &b.Job, instant{&b.From}, instant{&b.To}, &b.Only, &b.Order, &b.MaxParallel, &b.Actor,
			&b.Total, &b.LeftOut, instant{&b.CreatedAt}, instant{&b.EndedAt})
		return b, err
	}, `SELECT b.id, b.uid, jobs.name, b.first, b.last, b.selection, b.ordering, b.max_parallel, b.actor, b.total, b.left_out, b.created_at, b.ended_at
		FROM backfills AS b JOIN jobs ON jobs.uid = b.uid WHERE `+where, args...)
	for i := range all {
		if err == nil {
			err = countBackfill(q, &all[i])
		}
	}
	return all, err
}

// countBackfill adds how a backfill stands, and its first occurrences.
func countBackfill(q querier, b *Backfill) error {
	type group struct {
		state api.RunState
		n     int64
	}
	groups, err := list(q, func(rows *sql.Rows) (g group, err error) {
		err = rows.Scan(&g.state, &g.n)
		return g, err
	}, runsOfBackfill, b.ID)
	if err != nil {
		return err
	}
	b.Waiting = b.Total
	for _, g := range groups {
		b.Waiting -= g.n
		switch {
		case !g.state.Ended():
			b.Active += g.n
		case g.state == api.RunSucceeded:
			b.Succeeded += g.n
		default:
			b.Failed += g.n
		}
	}
	b.Occurrences, err = list(q, scanInstant, `SELECT occurrence FROM backfill_occurrences WHERE backfill = $1 ORDER BY position LIMIT $2`, b.ID, shownOccurrences)
	return err
}

// OccurrenceRuns is what the runs of one occurrence came to. Skipped runs
// don't count: they did nothing.
type OccurrenceRuns struct {
	Occurrence time.Time
	Run        string // the newest by (revision, creation)
	State      api.RunState
	Done       bool // some run succeeded or is incomplete
	Active     bool // some run has not ended
}

// MainRunsBetween tells of each occurrence in [from, to] that has runs what
// they came to, by occurrence.
func (s *Store) MainRunsBetween(uid string, from, to time.Time) ([]OccurrenceRuns, error) {
	return mainRunsBetween(s.reader(), uid, from, to)
}

// MainRunsBetween tells of each occurrence in [from, to] that has runs what
// they came to, by occurrence.
func (t *Tx) MainRunsBetween(uid string, from, to time.Time) ([]OccurrenceRuns, error) {
	return mainRunsBetween(t, uid, from, to)
}

func mainRunsBetween(q querier, uid string, from, to time.Time) ([]OccurrenceRuns, error) {
	var all []OccurrenceRuns
	_, err := list(q, func(rows *sql.Rows) (one OccurrenceRuns, err error) {
		if err := rows.Scan(instant{&one.Occurrence}, &one.Run, &one.State); err != nil {
			return one, err
		}
		if n := len(all); n == 0 || !all[n-1].Occurrence.Equal(one.Occurrence) {
			all = append(all, one)
		}
		is := &all[len(all)-1]
		is.Done = is.Done || one.State == api.RunSucceeded || one.State == api.RunIncomplete
		is.Active = is.Active || !one.State.Ended()
		return one, nil
	}, `SELECT occurrence, id, state FROM runs WHERE uid = $1 AND occurrence >= $2 AND occurrence <= $3 AND state <> 'skipped'
		ORDER BY occurrence, revision DESC, created_at DESC`, uid, nanos(from), nanos(to))
	return all, err
}
