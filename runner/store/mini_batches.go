package store

import (
	"database/sql"
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
	Checksum  *uint32 // CRC-32C of its bytes, as split.Slice has it; nil where nobody asked

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

	Ledger      int64 // the ledger row that its records come from, or have gone to; 0: they are in none
	Carried     bool  // given up, and its records are in the ledger
	Sent        bool  // a request with its records went out in this run
	Losses      int64 // servers lost while it was in flight
	Timeouts    int64 // attempts that ended by a request's timeout
	Fingerprint string
	Redrive     bool // committed before, and its dead letters are sent again

	Kept int64 // records that are in the output while its dead letters are sent again
	Gone Gone  // its records that had no row to be written to
}

// suspectAt is the number of servers lost, or of attempts timed out, from
// which on a mini-batch is suspected to be their cause.
const suspectAt = 2

// Suspect tells whether records of the mini-batch may end or hang servers.
func (m MiniBatch) Suspect() bool { return m.Losses >= suspectAt || m.Timeouts >= suspectAt }

const miniBatchColumns = `number, state, file, offset, length, first_line, records, checksum, epoch, fence, attempts, not_before, waiting_since,
	class, status, error, example, staged_path, staged_records, dead_lettered, bytes, sha256, requests,
	ledger, carried, sent, losses, timeouts, fingerprint, redrive, kept, gone_why`

func scanMiniBatch(rows *sql.Rows) (MiniBatch, error) {
	var m MiniBatch
	err := rows.Scan(&m.Number, &m.State, &m.File, &m.Offset, &m.Length, &m.FirstLine, &m.Records, &m.Checksum, &m.Epoch, &m.Fence,
		&m.Attempts, instant{&m.NotBefore}, instant{&m.WaitingSince}, &m.Class, &m.Status, &m.Error, &m.Example,
		&m.StagedPath, &m.StagedRecords, &m.DeadLettered, &m.Bytes, &m.SHA256, &m.Requests,
		&m.Ledger, &m.Carried, &m.Sent, &m.Losses, &m.Timeouts, &m.Fingerprint, &m.Redrive, &m.Kept, document{&m.Gone})
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
		WHERE run_id = $1 AND state = 'pending' AND carried = 0 AND (losses >= $2 OR timeouts >= $2) = $3 ORDER BY number LIMIT $4`
	wakeDue = `UPDATE mini_batches SET state = 'pending' WHERE run_id = $1 AND state = 'retry_wait' AND carried = 0 AND not_before <= $2`
	nextDue = `SELECT COALESCE(MIN(not_before), 0) FROM mini_batches WHERE run_id = $1 AND state = 'retry_wait' AND carried = 0`
)

// Claim takes up to limit pending mini-batches of a run for this epoch, by
// number: the suspects, or the others. What is carried is the next run's. Each claim raises the fence. It is
// guarded by the run being in state running in this version.
func (t *Tx) Claim(run Run, limit int, suspects bool) ([]MiniBatch, error) {
	if err := t.row(`SELECT 1 FROM runs WHERE id = $1 AND version = $2 AND state = 'running'`, run.ID, run.Version)(new(int)); err != nil {
		if errors.Is(err, ErrNotFound) {
			err = ErrFenced
		}
		return nil, err
	}
	claimed, err := list(t, scanMiniBatch, claimable, run.ID, suspectAt, suspects, limit)
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

// Effort is what an attempt at a mini-batch sent.
type Effort struct {
	Requests      int64 // main requests that were answered with predictions
	Sent          bool  // whether any with its records went out at all
	Probes        int64
	Controls      int64
	Confirmations int64
}

// Staged is a mini-batch's result, durable and not yet visible.
type Staged struct {
	Effort
	Path        string
	Records     int64
	Bytes       int64
	SHA256      string
	Fingerprint string // of the model, where runs may mix models
	DeadLetters []PlacedDeadLetter
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
		requests = requests + $6, class = '', status = 0, error = '', example = '', waiting_since = 0, fingerprint = $7
		WHERE run_id = $8 AND number = $9 AND state = 'running' AND epoch = $10 AND fence = $11 AND records = $12
		AND EXISTS (SELECT 1 FROM runs WHERE id = $8 AND attempt = $13)`,
		s.Path, s.Records, s.Bytes, s.SHA256, dead, s.Requests, s.Fingerprint, run.ID, m.Number, t.w.epoch, m.Fence, s.Records+dead, run.Attempt)
	if err != nil {
		return err
	}
	if err := t.spent(run, m, s.Effort); err != nil {
		return err
	}
	letters := t.insertDeadLetters
	if m.Redrive {
		letters = t.replaceDeadLetters
	}
	if err := letters(run.ID, m.Number, s.DeadLetters); err != nil {
		return err
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

// Release is the end of an attempt without a result.
type Release struct {
	Failure
	To          api.MiniBatchState // pending, retry_wait or given_up
	NotBefore   time.Time          // of retry_wait
	UsesAttempt bool
	Lost        bool // a server was lost while it was in flight
	TimedOut    bool // a request's timeout ended it
	Suspect     bool // one timeout is enough: it is a suspect from now on
	Stuck       bool // its worker may still be at it: the fence rises to turn it away
	Effort
}

// Release ends an attempt without a result.
func (t *Tx) Release(run Run, m MiniBatch, r Release) error {
	used, since := int64(0), m.WaitingSince
	switch {
	case r.UsesAttempt:
		used, since = 1, time.Time{}
	case r.To == api.MiniBatchRetryWait && since.IsZero():
		since = t.Now
	}
	timeouts := int64(0)
	switch {
	case r.Suspect:
		timeouts = max(1, suspectAt-m.Timeouts)
	case r.TimedOut:
		timeouts = 1
	}
	f, to := r.Failure, r.To
	restored := m.Redrive && to == api.MiniBatchGivenUp // to what it had before
	if restored {
		to = api.MiniBatchPending
	}
	err := t.one(`UPDATE mini_batches SET state = $1, attempts = attempts + $2, not_before = $3, waiting_since = $4, class = $5, status = $6, error = $7, example = $8,
		losses = losses + $9, timeouts = timeouts + $10, fence = fence + $11
		WHERE run_id = $12 AND number = $13 AND state = 'running' AND epoch = $14 AND fence = $15`,
		to, used, nanos(r.NotBefore), nanos(since), f.Class, f.Status, f.Error, f.Example, r.Lost, timeouts, r.Stuck, run.ID, m.Number, t.w.epoch, m.Fence)
	if err != nil {
		return err
	}
	if err := t.spent(run, m, r.Effort); err != nil {
		return err
	}
	if restored {
		if err := t.restore(run.ID, m.Number); err != nil {
			return err
		}
	}
	return t.attempt(run, m, r.To, f)
}

// spent adds what an attempt sent to its mini-batch. Main requests count with
// the result that they are part of.
func (t *Tx) spent(run Run, m MiniBatch, e Effort) error {
	if m.Sent && e.Probes+e.Controls+e.Confirmations == 0 || e == (Effort{}) {
		return nil
	}
	return t.exec(`UPDATE mini_batches SET sent = sent OR $1, probes = probes + $2, controls = controls + $3, confirmations = confirmations + $4
		WHERE run_id = $5 AND number = $6`, e.Sent, e.Probes, e.Controls, e.Confirmations, run.ID, m.Number)
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

// GiveUp gives up every mini-batch of a run that waits for its turn.
func (t *Tx) GiveUp(run string, f Failure) error {
	return t.exec(`UPDATE mini_batches SET state = 'given_up', class = $1, status = $2, error = $3, example = $4
		WHERE run_id = $5 AND state IN ('pending', 'retry_wait')`, f.Class, f.Status, f.Error, f.Example, run)
}

// CancelMiniBatches ends what is not committed.
func (t *Tx) CancelMiniBatches(run string) error {
	if err := t.RestoreRedriven(run); err != nil {
		return err
	}
	if err := t.DropResults(run); err != nil {
		return err
	}
	return t.cancelUnstaged(run)
}

// CancelUnstaged ends what has no result. What is staged stays so, with its dead
// letters: readers may see it already, though its row does not say so yet.
func (t *Tx) CancelUnstaged(run string) error {
	return errors.Join(t.RestoreRedriven(run), t.cancelUnstaged(run))
}

func (t *Tx) cancelUnstaged(run string) error {
	return t.exec(`UPDATE mini_batches SET state = 'cancelled', fence = fence + 1, staged_path = '', staged_records = 0, dead_lettered = 0
		WHERE run_id = $1 AND state NOT IN ('staged', 'committed')`, run)
}

// Resume makes every mini-batch without a result pending, with its attempts
// given back and no suspicion against it. The caller has claimed what of them
// is in the ledger.
func (t *Tx) Resume(run string) error {
	return t.exec(`UPDATE mini_batches SET state = 'pending', attempts = 0, not_before = 0, waiting_since = 0, carried = 0, losses = 0, timeouts = 0
		WHERE run_id = $1 AND state NOT IN ('staged', 'committed')`, run)
}

// StartOver has a run's next attempt predict anew all that is not committed:
// what is staged goes, too, and a redrive with it.
func (t *Tx) StartOver(run string) error {
	return errors.Join(t.RestoreRedriven(run), t.DropResults(run), t.Resume(run))
}

// DropResults cancels the mini-batches that are staged: their files are
// garbage from now on.
func (t *Tx) DropResults(run string) error {
	return errors.Join(
		t.exec(`DELETE FROM dead_letters WHERE run_id = $1 AND mini_batch IN
			(SELECT number FROM mini_batches WHERE run_id = $1 AND state = 'staged')`, run),
		t.exec(`UPDATE mini_batches SET state = 'cancelled', fence = fence + 1, staged_path = '', staged_records = 0, dead_lettered = 0
			WHERE run_id = $1 AND state = 'staged'`, run))
}

// CommitStaged makes the staged mini-batches committed: they are visible, but
// for the records that are gone.
func (t *Tx) CommitStaged(run string, gone map[int64]Gone) error {
	for number, g := range gone {
		if err := t.addGone(run, number, g); err != nil {
			return err
		}
	}
	if err := t.exec(`UPDATE mini_batches SET state = 'committed' WHERE run_id = $1 AND state = 'staged'`, run); err != nil {
		return err
	}
	return t.commitRedriven(run)
}

// Count is a run's accounting as of this transaction.
func (t *Tx) Count(run Run) (Run, error) {
	err := account(t, &run)
	return run, err
}

// account sums a run's mini-batches. Unfinished is summed, never a
// difference; a plan that does not exist yet counts nothing.
//
// What is carried is the next run's to finish. Of a mini-batch whose dead
// letters are sent again, only these are unfinished.
func account(q querier, run *Run) error {
	groups, err := list(q, scanGroup, `SELECT state, carried, COUNT(*), SUM(records), SUM(staged_records), SUM(dead_lettered), SUM(kept), SUM(gone),
		SUM(requests), SUM(probes), SUM(controls), SUM(confirmations) FROM mini_batches
		WHERE run_id = $1 AND EXISTS (SELECT 1 FROM plans WHERE plans.run_id = $1) GROUP BY state, carried`, run.ID)
	if err != nil {
		return err
	}
	run.Counts, run.MiniBatches, run.Requests = api.Counts{}, api.MiniBatchCounts{}, 0
	run.Isolation = api.Isolation{Launches: run.Isolation.Launches}
	for _, g := range groups {
		g.addTo(&run.Counts)
		g.countIn(&run.MiniBatches)
		run.Requests += g.requests
		run.Isolation.Probes += g.isolation.Probes
		run.Isolation.Controls += g.isolation.Controls
		run.Isolation.Confirmations += g.isolation.Confirmations
	}
	return nil
}

// group is the sum of mini-batches that count alike.
type group struct {
	state                 api.MiniBatchState
	carried               bool
	n                     int64
	records, staged, dead int64
	kept                  int64 // of staged, in the output while the dead letters are sent again
	gone                  int64 // of staged, committed without a row to be written to
	requests              int64
	isolation             api.Isolation
}

func scanGroup(rows *sql.Rows) (g group, err error) {
	err = rows.Scan(&g.state, &g.carried, &g.n, &g.records, &g.staged, &g.dead, &g.kept, &g.gone,
		&g.requests, &g.isolation.Probes, &g.isolation.Controls, &g.isolation.Confirmations)
	return g, err
}

// addTo adds the group's records.
func (g group) addTo(c *api.Counts) {
	c.Planned += g.records
	c.DeadLettered += g.dead
	c.Committed += g.kept
	c.Gone += g.gone
	switch {
	case g.state == api.MiniBatchCommitted:
		c.Committed += g.staged - g.gone
	case g.state == api.MiniBatchStaged:
		c.Unfinished += g.staged - g.kept - g.gone
		c.Staged += g.staged - g.kept - g.gone
	case g.carried:
		c.Carried += g.records
	default:
		c.Unfinished += g.records - g.kept - g.gone
		if g.state == api.MiniBatchGivenUp {
			c.GivenUp += g.records
		}
	}
}

// countIn adds the group's mini-batches.
func (g group) countIn(m *api.MiniBatchCounts) {
	m.Total += g.n
	state := g.state
	if g.carried && (state == api.MiniBatchPending || state == api.MiniBatchRetryWait) {
		state = api.MiniBatchGivenUp // an accepted run left it to the next one
	}
	switch state {
	case api.MiniBatchPending:
		m.Pending += g.n
	case api.MiniBatchRunning:
		m.Running += g.n
	case api.MiniBatchRetryWait:
		m.RetryWait += g.n
	case api.MiniBatchStaged:
		m.Staged += g.n
	case api.MiniBatchCommitted:
		m.Committed += g.n
	case api.MiniBatchGivenUp:
		m.GivenUp += g.n
	case api.MiniBatchCancelled:
		m.Cancelled += g.n
	}
}

// TopErrors are a run's most frequent errors of mini-batches without result.
func (s *Store) TopErrors(run string, limit int) ([]api.TopError, error) {
	return list(s.reader(), func(rows *sql.Rows) (e api.TopError, err error) {
		err = rows.Scan(&e.Class, &e.Status, &e.Error, &e.Records, &e.MiniBatches, &e.Example)
		return e, err
	}, `SELECT class, status, error, SUM(records), COUNT(*), MIN(example) FROM mini_batches
		WHERE run_id = $1 AND class <> '' GROUP BY class, status, error ORDER BY SUM(records) DESC, error LIMIT $2`, run, limit)
}
