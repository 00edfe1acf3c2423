package store

import (
	"crypto/rand"
	"database/sql"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Run is a stored run.
type Run struct {
	api.Run
	// Version is the run's fence: each transition raises it.
	Version int64
	// StagingUntil is how long the staged files of an ended run are kept; the
	// zero time says that it has none.
	StagingUntil time.Time
	Intent       Intent
	// Shared lets it go on beside other shared runs of its job.
	Shared bool
}

// Intent is what publishing will do, decided at the point of no return and
// read again after a crash.
type Intent struct {
	State    api.RunState `json:"state"` // succeeded or incomplete
	Reason   api.Reason   `json:"reason,omitzero"`
	Message  string       `json:"message,omitzero"`
	Revision int64        `json:"revision"`
	Folder   string       `json:"folder"`
	Parts    string       `json:"parts,omitzero"` // hash of the list of parts
	At       time.Time    `json:"at"`
	Counts   api.Counts   `json:"counts"` // as they will stand once published
	// NoOutput: there is nothing new to show, what is published stays.
	NoOutput bool `json:"no_output,omitzero"`
	// MaxCarries is how many runs may have sent what the ledger takes.
	MaxCarries int64 `json:"max_carries,omitzero"`
}

const runColumns = `id, uid, job, generation, occurrence, origin, sequence, backfill, shared, state, ` + shownReason + `, message, version, attempt,
	staging_until, intent, revision, output, counts, launches, isolation_launches, created_at, started_at, ended_at,
	COALESCE((SELECT plan_hash FROM plans WHERE plans.run_id = runs.id), ''),
	COALESCE((SELECT fingerprint ->> 'id' FROM plans WHERE plans.run_id = runs.id AND fingerprint <> ''), '')`

// frozen is what a run's accounting was when it ended.
type frozen struct {
	Counts      api.Counts          `json:"counts"`
	MiniBatches api.MiniBatchCounts `json:"mini_batches"`
	Requests    int64               `json:"requests"`
	Isolation   api.Isolation       `json:"isolation,omitzero"`
}

func frozenOf(r Run) frozen { return frozen{r.Counts, r.MiniBatches, r.Requests, r.Isolation} }

// scanRun reads a run; the accounting of a run that has not ended is not
// frozen in its row, withCounts adds it.
func scanRun(rows *sql.Rows) (Run, error) {
	var (
		r     Run
		final frozen
		// launches that suspects cost, counted at once and not frozen
		launches int64
	)
	err := rows.Scan(&r.ID, &r.JobUID, &r.Job, &r.Generation, instant{&r.Occurrence}, &r.Origin, &r.Sequence,
		&r.Backfill, &r.Shared, &r.State, &r.Reason, &r.Message, &r.Version, &r.Attempt, instant{&r.StagingUntil}, document{&r.Intent},
		&r.Revision, &r.Output, document{&final}, &r.Launches, &launches, instant{&r.CreatedAt}, instant{&r.StartedAt},
		instant{&r.EndedAt}, &r.PlanHash, &r.Fingerprint)
	r.Counts, r.MiniBatches, r.Requests, r.Isolation = final.Counts, final.MiniBatches, final.Requests, final.Isolation
	r.Isolation.Launches = launches
	r.markWithheld()
	return r, err
}

// markWithheld tells a run whose results wait for retry or accept from one
// that merely keeps its staging for retry.
func (r *Run) markWithheld() {
	r.Withheld = r.State == api.RunFailed && r.Reason == api.ReasonMaxFailed && !r.StagingUntil.IsZero()
	r.WithheldUntil = time.Time{}
	if r.Withheld {
		r.WithheldUntil = r.StagingUntil
	}
}

func runs(q querier, where string, args ...any) ([]Run, error) {
	all, err := list(q, scanRun, `SELECT `+runColumns+` FROM runs `+where, args...)
	for i := range all {
		if err == nil && !all[i].State.Ended() && all[i].PlanHash != "" {
			err = account(q, &all[i])
		}
	}
	if err == nil {
		err = addUsage(q, all)
	}
	return all, err
}

func run1(q querier, where string, args ...any) (Run, error) {
	all, err := runs(q, where, args...)
	if err == nil && len(all) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Run{}, err
	}
	return all[0], nil
}

func (t *Tx) runsWhere(condition string, args ...any) ([]Run, error) {
	return runs(t, `WHERE `+condition, args...)
}

// Run finds a run by id.
func (s *Store) Run(id string) (Run, error) { return run1(s.reader(), `WHERE id = $1`, id) }

// Run finds a run by id.
func (t *Tx) Run(id string) (Run, error) { return run1(t, `WHERE id = $1`, id) }

// RunByToken finds the run that a trigger with this token made.
func (t *Tx) RunByToken(uid, token string) (Run, error) {
	return run1(t, `WHERE uid = $1 AND token = $2 AND token <> ''`, uid, token)
}

// Runs lists a job's runs, newest occurrence first.
func (s *Store) Runs(uid string, limit int) ([]Run, error) {
	return runs(s.reader(), `WHERE uid = $1 ORDER BY occurrence DESC, created_at DESC LIMIT $2`, uid, limit)
}

// StagingToSweep lists ended runs whose staged files need not be kept longer.
func (s *Store) StagingToSweep(now time.Time) ([]Run, error) {
	return runs(s.reader(), `WHERE staging_until > 0 AND staging_until <= $1`, nanos(now))
}

func runID() string { return "r" + strings.ToLower(rand.Text()[:12]) }

// InsertRun queues a run. Its id and the next free sequence of its (job,
// occurrence, origin) are filled in.
func (t *Tx) InsertRun(r Run, token, actor string) (Run, error) {
	r.ID = runID()
	r.State, r.Version, r.Attempt, r.CreatedAt = api.RunQueued, 1, 1, t.Now
	if err := t.row(`SELECT COALESCE(MAX(sequence), 0) + 1 FROM runs WHERE uid = $1 AND occurrence = $2 AND origin = $3`,
		r.JobUID, nanos(r.Occurrence), r.Origin)(&r.Sequence); err != nil {
		return Run{}, err
	}
	return r, t.exec(`INSERT INTO runs (id, uid, job, generation, occurrence, origin, sequence, token, actor, state, slot_order, backfill, shared, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		r.ID, r.JobUID, r.Job, r.Generation, nanos(r.Occurrence), r.Origin, r.Sequence, token, actor, r.State, slotOrder(r.Origin), r.Backfill,
		number(r.Shared), nanos(r.CreatedAt))
}

// RunChange is one transition of a run and what goes with it.
type RunChange struct {
	To      api.RunState
	Actor   string
	Reason  api.Reason
	Message string // for people; kept in the row
	Detail  string // for the event only
	// Attempt, where above zero, starts that run attempt.
	Attempt int64
	// EndsAttempt is how the attempt so far ended, where the run goes on with
	// the next one by itself; its end otherwise is that of the run.
	EndsAttempt AttemptEnd
	// KeepStaging is until when the staged files of an ended run are kept;
	// the zero time has them swept at once.
	KeepStaging time.Time
	Intent      *Intent
	// Output and Revision are set when the run is published.
	Output   string
	Revision int64
}

// AttemptEnd is how a run attempt ended.
type AttemptEnd struct {
	Outcome string
	Reason  api.Reason
	Message string
}

// published tells a run that ends with an output from one that ends without.
func published(c RunChange) bool { return c.To == api.RunSucceeded || c.To == api.RunIncomplete }

// MoveRun makes one transition, guarded by the state and version that run was
// read in; ErrFenced where the row has moved on. Whether the transition is
// allowed is the caller's to know.
func (t *Tx) MoveRun(run Run, c RunChange) (Run, error) {
	from := run.State
	// One that ends in the queue has done nothing and staged nothing.
	neverStarted := run.StartedAt.IsZero() && (c.To == api.RunSkipped || c.To == api.RunCancelled)
	run.State, run.Reason, run.Message = c.To, c.Reason, c.Message
	if c.To.Ended() {
		c.EndsAttempt = AttemptEnd{string(c.To), c.Reason, c.Message}
	}
	if c.EndsAttempt.Outcome != "" {
		if err := t.endAttempt(run, c.EndsAttempt); err != nil {
			return Run{}, err
		}
	}
	if c.Attempt > 0 {
		run.Attempt = c.Attempt
	}
	if c.Intent != nil {
		run.Intent = *c.Intent
	}
	if c.Revision > 0 {
		run.Output, run.Revision = c.Output, c.Revision
	}
	if run.StartedAt.IsZero() && c.To != api.RunQueued && !neverStarted {
		run.StartedAt = t.Now
	}
	run.EndedAt, run.StagingUntil = time.Time{}, time.Time{}
	final, copies := "", time.Time{}
	if c.To.Ended() {
		run.EndedAt, run.StagingUntil = t.Now, c.KeepStaging
		if c.KeepStaging.IsZero() && !neverStarted {
			run.StagingUntil = t.Now
		}
		if !published(c) && c.Reason != api.ReasonPublish { // which a retry goes on with
			if err := t.RestoreRedriven(run.ID); err != nil {
				return Run{}, err
			}
		}
		if err := account(t, &run); err != nil {
			return Run{}, err
		}
		final = encode(frozenOf(run))
		var err error
		if copies, err = t.copiesUntil(run); err != nil {
			return Run{}, err
		}
	}
	run.markWithheld()
	err := t.one(`UPDATE runs SET state = $1, reason = $2, message = $3, version = version + 1, attempt = $4, staging_until = $5,
		intent = $6, revision = $7, output = $8, counts = $9, started_at = $10, ended_at = $11,
		input_until = $12, awaiting = CASE WHEN $11 > 0 THEN 0 ELSE awaiting END
		WHERE id = $13 AND state = $14 AND version = $15`,
		run.State, run.Reason, run.Message, run.Attempt, nanos(run.StagingUntil), encode(run.Intent), run.Revision, run.Output,
		final, nanos(run.StartedAt), nanos(run.EndedAt), nanos(copies), run.ID, from, run.Version)
	if err != nil {
		return Run{}, err
	}
	run.Version++
	detail := c.Detail
	if detail == "" {
		detail = c.Message
	}
	return run, t.Event(Event{UID: run.JobUID, Run: run.ID, Event: api.Event{
		Kind: "state", Actor: c.Actor, From: string(from), To: string(c.To), Reason: string(c.Reason), Detail: detail}})
}

// DropStaged gives up the staged results of an ended run, so that their files
// may be removed: what is not committed is cancelled, and the accounting
// follows.
func (t *Tx) DropStaged(run Run) (Run, error) {
	if err := t.one(`UPDATE runs SET version = version + 1 WHERE id = $1 AND version = $2`, run.ID, run.Version); err != nil {
		return Run{}, err
	}
	run.Version++
	if err := t.CancelMiniBatches(run.ID); err != nil {
		return Run{}, err
	}
	// What a run has left that moved the job's memory is in the ledger.
	err := t.exec(`UPDATE mini_batches SET carried = 1 WHERE run_id = $1 AND ledger > 0 AND state = 'cancelled'
		AND EXISTS (SELECT 1 FROM plans WHERE plans.run_id = $1 AND remembered = 1)`, run.ID)
	if err != nil {
		return Run{}, err
	}
	if err := account(t, &run); err != nil {
		return Run{}, err
	}
	return run, t.exec(`UPDATE runs SET counts = $1 WHERE id = $2`, encode(frozenOf(run)), run.ID)
}

// StagingSwept notes that an ended run has no staged files any more.
func (t *Tx) StagingSwept(run Run) error {
	return t.one(`UPDATE runs SET staging_until = 0, version = version + 1 WHERE id = $1 AND version = $2`, run.ID, run.Version)
}

// Event is an entry of a run's history, with the job it belongs to.
type Event struct {
	api.Event
	UID string
	Run string
}

// Event appends to the history; its instant is the transaction's.
func (t *Tx) Event(e Event) error {
	return t.exec(`INSERT INTO events (uid, run_id, at, kind, actor, "from", "to", reason, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		e.UID, e.Run, nanos(t.Now), e.Kind, e.Actor, e.From, e.To, e.Reason, e.Detail)
}

// Events lists a run's history, oldest first. That it was queued is told by its
// own row, so that a hundred thousand runs of one second need no event each.
func (s *Store) Events(run string) ([]api.Event, error) {
	return list(s.reader(), func(rows *sql.Rows) (e api.Event, err error) {
		err = rows.Scan(instant{&e.At}, &e.Kind, &e.Actor, &e.From, &e.To, &e.Reason, &e.Detail)
		return e, err
	}, `SELECT at, kind, actor, "from", "to", reason, detail FROM (
			SELECT 0 AS id, created_at AS at, 'state' AS kind, actor, '' AS "from", 'queued' AS "to", origin AS reason, '' AS detail FROM runs WHERE id = $1
			UNION ALL
			SELECT id, at, kind, actor, "from", "to", reason, detail FROM events WHERE uid = (SELECT uid FROM runs WHERE id = $1) AND run_id = $1)
		ORDER BY id`, run)
}

// NewerRevision finds a run that published the same occurrence after run did.
func (t *Tx) NewerRevision(run Run) (Run, error) {
	return run1(t, `WHERE uid = $1 AND occurrence = $2 AND id <> $3 AND revision > $4 LIMIT 1`, run.JobUID, nanos(run.Occurrence), run.ID, run.Revision)
}
