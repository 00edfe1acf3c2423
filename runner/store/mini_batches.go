package store

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// MiniBatch is a stored slice of a run's plan.
type MiniBatch struct {
	Number    int64
	State     api.MiniBatchState
	File      int64 // index into the plan's files
	Offset    int64
	Length    int64
	FirstLine int64
	Records   int64

	Epoch        int64
	Fence        int64
	Attempts     int64 // used up
	NotBefore    time.Time
	WaitingSince time.Time
	Class        api.Class
	Status       int
	Error        string
	Example      string

	StagedPath    string
	StagedRecords int64
	DeadLettered  int64
	Bytes         int64
	SHA256        string
	Requests      int64
}

const miniBatchColumns = `number, state, file, offset, length, first_line, records, epoch, fence, attempts, not_before, waiting_since,
	class, status, error, example, staged_path, staged_records, dead_lettered, bytes, sha256, requests`

func scanMiniBatch(rows *sql.Rows) (MiniBatch, error) {
	var m MiniBatch
	err := rows.Scan(&m.Number, &m.State, &m.File, &m.Offset, &m.Length, &m.FirstLine, &m.Records, &m.Epoch, &m.Fence,
		&m.Attempts, instant{&m.NotBefore}, instant{&m.WaitingSince}, &m.Class, &m.Status, &m.Error, &m.Example,
		&m.StagedPath, &m.StagedRecords, &m.DeadLettered, &m.Bytes, &m.SHA256, &m.Requests)
	return m, err
}

// MiniBatches lists a run's mini-batches by number, from after on.
func (s *Store) MiniBatches(run string, after int64, limit int) ([]MiniBatch, error) {
	return list(s.reader(), scanMiniBatch, `SELECT `+miniBatchColumns+` FROM mini_batches WHERE run_id = $1 AND number > $2 ORDER BY number LIMIT $3`,
		run, after, limit)
}

// Parts calls yield for each mini-batch whose result belongs to the output,
// by number: the staged and the committed ones.
func (s *Store) Parts(run string, yield func(MiniBatch) error) error {
	rows, err := s.readDB.Query(`SELECT `+miniBatchColumns+` FROM mini_batches
		WHERE run_id = $1 AND state IN ('staged', 'committed') ORDER BY number`, run)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	for rows.Next() {
		m, err := scanMiniBatch(rows)
		if err != nil {
			return err
		}
		if err := yield(m); err != nil {
			return err
		}
	}
	return rows.Err()
}

// What the dispatcher asks again and again.
const (
	claimable = `SELECT ` + miniBatchColumns + ` FROM mini_batches
		WHERE run_id = $1 AND state = 'pending' ORDER BY number LIMIT $2`
	wakeDue = `UPDATE mini_batches SET state = 'pending' WHERE run_id = $1 AND state = 'retry_wait' AND not_before <= $2`
	nextDue = `SELECT COALESCE(MIN(not_before), 0) FROM mini_batches WHERE run_id = $1 AND state = 'retry_wait'`
)

// Claim takes up to limit pending mini-batches of a run for this epoch, by
// number. Each claim raises the fence. It is guarded by the run being in
// state running in this version.
func (t *Tx) Claim(run Run, limit int) ([]MiniBatch, error) {
	if err := t.row(`SELECT 1 FROM runs WHERE id = $1 AND version = $2 AND state = 'running'`, run.ID, run.Version)(new(int)); err != nil {
		if errors.Is(err, ErrNotFound) {
			err = ErrFenced
		}
		return nil, err
	}
	claimed, err := list(t, scanMiniBatch, claimable, run.ID, limit)
	for i := range claimed {
		m := &claimed[i]
		m.State, m.Epoch, m.Fence = api.MiniBatchRunning, t.w.epoch, m.Fence+1
		if err == nil {
			err = t.one(`UPDATE mini_batches SET state = 'running', epoch = $1, fence = $2 WHERE run_id = $3 AND number = $4 AND state = 'pending'`,
				m.Epoch, m.Fence, run.ID, m.Number)
		}
	}
	return claimed, err
}

// WakeDue makes waiting mini-batches pending whose time has come, and tells
// when the next one's does (zero: none waits).
func (t *Tx) WakeDue(run string) (next time.Time, err error) {
	if err := t.exec(wakeDue, run, nanos(t.Now)); err != nil {
		return time.Time{}, err
	}
	err = t.row(nextDue, run)(instant{&next})
	return next, err
}

// Staged is a mini-batch's result, durable and not yet visible.
type Staged struct {
	Path        string
	Records     int64
	Bytes       int64
	SHA256      string
	Requests    int64
	DeadLetters []PlacedDeadLetter
}

// PlacedDeadLetter is a dead letter with its record's place in the mini-batch.
type PlacedDeadLetter struct {
	api.DeadLetter
	Position int64
}

// Stage makes a running mini-batch staged, with its dead letters. The fence
// turns a late worker's result away; a result that does not account for every
// record is an error of its own.
func (t *Tx) Stage(run Run, m MiniBatch, s Staged) error {
	dead := int64(len(s.DeadLetters))
	if s.Records+dead != m.Records {
		return fmt.Errorf("stage mini-batch %d of run %s: %d records and %d dead letters are not the %d planned", m.Number, run.ID, s.Records, dead, m.Records)
	}
	err := t.one(`UPDATE mini_batches SET state = 'staged', staged_path = $1, staged_records = $2, bytes = $3, sha256 = $4, dead_lettered = $5,
		requests = requests + $6, class = '', status = 0, error = '', example = '', waiting_since = 0
		WHERE run_id = $7 AND number = $8 AND state = 'running' AND epoch = $9 AND fence = $10 AND records = $11`,
		s.Path, s.Records, s.Bytes, s.SHA256, dead, s.Requests, run.ID, m.Number, t.w.epoch, m.Fence, s.Records+dead)
	if err != nil {
		return err
	}
	for _, letter := range s.DeadLetters {
		if err := t.exec(`INSERT INTO dead_letters (run_id, mini_batch, line, position, body) VALUES ($1, $2, $3, $4, $5)`,
			run.ID, m.Number, letter.Source.Line, letter.Position, encode(letter.DeadLetter)); err != nil {
			return err
		}
	}
	return t.attempt(run, m, api.MiniBatchStaged, Failure{})
}

// Failure is how an attempt at a mini-batch ended otherwise.
type Failure struct {
	Class   api.Class
	Status  int
	Error   string
	Example string
}

// Release ends an attempt without a result: the mini-batch becomes pending,
// retry_wait (until notBefore) or given_up.
func (t *Tx) Release(run Run, m MiniBatch, to api.MiniBatchState, f Failure, usesAttempt bool, notBefore time.Time) error {
	used, since := int64(0), m.WaitingSince
	switch {
	case usesAttempt:
		used, since = 1, time.Time{}
	case to == api.MiniBatchRetryWait && since.IsZero():
		since = t.Now
	}
	err := t.one(`UPDATE mini_batches SET state = $1, attempts = attempts + $2, not_before = $3, waiting_since = $4, class = $5, status = $6, error = $7, example = $8
		WHERE run_id = $9 AND number = $10 AND state = 'running' AND epoch = $11 AND fence = $12`,
		to, used, nanos(notBefore), nanos(since), f.Class, f.Status, f.Error, f.Example, run.ID, m.Number, t.w.epoch, m.Fence)
	if err != nil {
		return err
	}
	return t.attempt(run, m, to, f)
}

func (t *Tx) attempt(run Run, m MiniBatch, to api.MiniBatchState, f Failure) error {
	return t.exec(`INSERT INTO attempts (run_id, mini_batch, fence, run_attempt, epoch, ended_at, outcome, class, status, error)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		run.ID, m.Number, m.Fence, run.Attempt, t.w.epoch, nanos(t.Now), to, f.Class, f.Status, f.Error)
}

// ReleaseAll makes every running mini-batch of a run pending again: its
// workers have stopped, or are fenced off.
func (t *Tx) ReleaseAll(run string) error {
	return t.exec(`UPDATE mini_batches SET state = 'pending', fence = fence + 1 WHERE run_id = $1 AND state = 'running'`, run)
}

// CancelMiniBatches ends what is not committed.
func (t *Tx) CancelMiniBatches(run string) error {
	if err := t.exec(`DELETE FROM dead_letters WHERE run_id = $1 AND mini_batch IN
		(SELECT number FROM mini_batches WHERE run_id = $1 AND state = 'staged')`, run); err != nil {
		return err
	}
	return t.exec(`UPDATE mini_batches SET state = 'cancelled', fence = fence + 1, staged_path = '', staged_records = 0, dead_lettered = 0
		WHERE run_id = $1 AND state <> 'committed'`, run)
}

// Resume makes every mini-batch without a result pending, with its attempts
// given back.
func (t *Tx) Resume(run string) (int64, error) {
	return t.changed(`UPDATE mini_batches SET state = 'pending', attempts = 0, not_before = 0, waiting_since = 0
		WHERE run_id = $1 AND state NOT IN ('staged', 'committed')`, run)
}

// CommitStaged makes the staged mini-batches committed: they are visible.
func (t *Tx) CommitStaged(run string) error {
	return t.exec(`UPDATE mini_batches SET state = 'committed' WHERE run_id = $1 AND state = 'staged'`, run)
}

// Count is a run's accounting as of this transaction.
func (t *Tx) Count(run Run) (Run, error) {
	err := account(t, &run)
	return run, err
}

// account sums a run's mini-batches. Unfinished is summed, never a
// difference; a plan that does not exist yet counts nothing.
func account(q querier, run *Run) error {
	type group struct {
		state                              api.MiniBatchState
		n, records, staged, dead, requests int64
	}
	groups, err := list(q, func(rows *sql.Rows) (g group, err error) {
		err = rows.Scan(&g.state, &g.n, &g.records, &g.staged, &g.dead, &g.requests)
		return g, err
	}, `SELECT state, COUNT(*), SUM(records), SUM(staged_records), SUM(dead_lettered), SUM(requests) FROM mini_batches
		WHERE run_id = $1 AND EXISTS (SELECT 1 FROM plans WHERE plans.run_id = $1) GROUP BY state`, run.ID)
	if err != nil {
		return err
	}
	c, m := api.Counts{}, api.MiniBatchCounts{}
	run.Requests = 0
	for _, g := range groups {
		c.Planned += g.records
		c.DeadLettered += g.dead
		m.Total += g.n
		run.Requests += g.requests
		switch g.state {
		case api.MiniBatchCommitted:
			c.Committed += g.staged
			m.Committed = g.n
		case api.MiniBatchStaged:
			c.Unfinished += g.staged
			c.Staged += g.staged
			m.Staged = g.n
		default:
			c.Unfinished += g.records
			switch g.state {
			case api.MiniBatchGivenUp:
				c.GivenUp += g.records
				m.GivenUp = g.n
			case api.MiniBatchPending:
				m.Pending = g.n
			case api.MiniBatchRunning:
				m.Running = g.n
			case api.MiniBatchRetryWait:
				m.RetryWait = g.n
			case api.MiniBatchCancelled:
				m.Cancelled = g.n
			}
		}
	}
	run.Counts, run.MiniBatches = c, m
	return nil
}

// TopErrors are a run's most frequent errors of mini-batches without result.
func (s *Store) TopErrors(run string, limit int) ([]api.TopError, error) {
	return list(s.reader(), func(rows *sql.Rows) (e api.TopError, err error) {
		err = rows.Scan(&e.Class, &e.Status, &e.Error, &e.Records, &e.MiniBatches, &e.Example)
		return e, err
	}, `SELECT class, status, error, SUM(records), COUNT(*), MIN(example) FROM mini_batches
		WHERE run_id = $1 AND class <> '' GROUP BY class, status, error ORDER BY SUM(records) DESC, error LIMIT $2`, run, limit)
}

// DeadLetters calls yield for each dead letter of a run, in input order.
func (s *Store) DeadLetters(run string, yield func(api.DeadLetter) error) error {
	rows, err := s.readDB.Query(`SELECT body FROM dead_letters WHERE run_id = $1 ORDER BY mini_batch, position`, run)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	for rows.Next() {
		var (
			body   string
			letter api.DeadLetter
		)
		if err := rows.Scan(&body); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(body), &letter); err != nil {
			return err
		}
		if err := yield(letter); err != nil {
			return err
		}
	}
	return rows.Err()
}
