package store

import (
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Job is a stored job with its place in the calendar.
type Job struct {
	api.StoredJob
	// Cursor is the nominal instant up to which everything is decided.
	Cursor time.Time
	// NextDueAt is the next occurrence; zero where nothing is due by itself.
	NextDueAt time.Time
	BuriedAt  time.Time
	// Actor and Reason go into the history with the generation that InsertJob
	// or UpdateJob makes; they are not read.
	Actor, Reason string
}

const selectJob = `SELECT jobs.uid, generation, spec, settings, owner, hash, created_at, updated_at, buried_at, cursor, next_due_at, held
	FROM jobs JOIN job_specs ON job_specs.uid = jobs.uid WHERE `

func scanJob(rows *sql.Rows) (Job, error) {
	var j Job
	err := rows.Scan(&j.UID, &j.Generation, document{&j.Spec}, document{&j.Settings}, &j.Owner, &j.Hash,
		instant{&j.CreatedAt}, instant{&j.UpdatedAt}, instant{&j.BuriedAt}, instant{&j.Cursor}, instant{&j.NextDueAt}, document{&j.Held})
	return j, err
}

func jobByName(q querier, name string) (Job, error) {
	return first(q, scanJob, selectJob+`name = $1 AND buried_at = 0`, name)
}

// Job finds a live job by name.
func (s *Store) Job(name string) (Job, error) { return jobByName(s.reader(), name) }

// Job finds a live job by name.
func (t *Tx) Job(name string) (Job, error) { return jobByName(t, name) }

// JobByUID finds a job, buried or not.
func (s *Store) JobByUID(uid string) (Job, error) { return jobByUID(s.reader(), uid) }

// JobByUID finds a job, buried or not.
func (t *Tx) JobByUID(uid string) (Job, error) { return jobByUID(t, uid) }

func jobByUID(q querier, uid string) (Job, error) {
	return first(q, scanJob, selectJob+`jobs.uid = $1`, uid)
}

// BuriedJob finds the job of that name that was buried last.
func (t *Tx) BuriedJob(name string) (Job, error) {
	return first(t, scanJob, selectJob+`name = $1 AND buried_at > 0 ORDER BY buried_at DESC LIMIT 1`, name)
}

// Jobs lists the live jobs by name.
func (s *Store) Jobs() ([]Job, error) {
	return list(s.reader(), scanJob, selectJob+`buried_at = 0 ORDER BY name`)
}

// DueInstants lists the distinct instants up to until at which a live job is
// due, earliest first.
func (s *Store) DueInstants(until time.Time, limit int) ([]time.Time, error) {
	// From one to the next in the index: a hundred thousand jobs may be due at
	// one instant.
	return list(s.reader(), scanInstant, dueInstants, nanos(until), limit)
}

// SQLite would read all of them for a MIN, and for a lower bound that comes
// behind the index's own.
const dueInstants = `WITH RECURSIVE due(at) AS (
		SELECT (SELECT next_due_at FROM jobs WHERE buried_at = 0 AND next_due_at > 0 ORDER BY next_due_at LIMIT 1)
		UNION ALL
		SELECT (SELECT next_due_at FROM jobs WHERE next_due_at > due.at AND buried_at = 0 AND next_due_at > 0 ORDER BY next_due_at LIMIT 1)
			FROM due WHERE due.at <= $1 LIMIT $2)
	SELECT at FROM due WHERE at <= $1`

// InsertJob stores a new job in its first generation; UID, times and
// generation are filled in.
func (t *Tx) InsertJob(j Job) (Job, error) {
	if err := t.free(j.Spec.Name, ""); err != nil {
		return Job{}, err
	}
	j.UID, j.Generation, j.CreatedAt, j.UpdatedAt, j.Hash = strings.ToLower(rand.Text()), 1, t.Now, t.Now, j.Spec.Hash()
	err := t.exec(`INSERT INTO jobs (uid, name, generation, owner, hash, created_at, updated_at, cursor, next_due_at, calendar)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, j.UID, j.Spec.Name, j.Generation, j.Owner, j.Hash,
		nanos(j.CreatedAt), nanos(j.UpdatedAt), nanos(j.Cursor), nanos(j.NextDueAt), encode(calendarOf(j.Spec)))
	if err == nil {
		err = t.keepSpec(j)
	}
	if err != nil {
		return Job{}, err
	}
	return j, t.keepGeneration(j)
}

// UpdateJob stores a job's next generation, also digging up a buried one.
func (t *Tx) UpdateJob(j Job) (Job, error) {
	if err := t.free(j.Spec.Name, j.UID); err != nil {
		return Job{}, err
	}
	j.Generation, j.UpdatedAt, j.BuriedAt, j.Hash = j.Generation+1, t.Now, time.Time{}, j.Spec.Hash()
	err := t.one(`UPDATE jobs SET name = $1, generation = $2, owner = $3, hash = $4, updated_at = $5, buried_at = 0,
		cursor = $6, next_due_at = $7, calendar = $8 WHERE uid = $9 AND generation = $10`,
		j.Spec.Name, j.Generation, j.Owner, j.Hash, nanos(j.UpdatedAt),
		nanos(j.Cursor), nanos(j.NextDueAt), encode(calendarOf(j.Spec)), j.UID, j.Generation-1)
	if err == nil {
		err = t.keepSpec(j)
	}
	if err != nil {
		return Job{}, err
	}
	return j, t.keepGeneration(j)
}

func (t *Tx) keepSpec(j Job) error {
	return t.exec(`INSERT INTO job_specs (uid, spec, settings) VALUES ($1, $2, $3)
		ON CONFLICT (uid) DO UPDATE SET spec = excluded.spec, settings = excluded.settings`, j.UID, encode(j.Spec), encode(j.Settings))
}

// free tells whether a job may take a name: ErrTaken where another live one
// has it.
func (t *Tx) free(name, uid string) error {
	holder, err := first(t, func(rows *sql.Rows) (uid string, err error) {
		err = rows.Scan(&uid)
		return uid, err
	}, `SELECT uid FROM jobs WHERE name = $1 AND buried_at = 0`, name)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && holder == uid:
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("name a job %q: %w", name, ErrTaken)
}

// RenameJob gives a job another name: in its specification as stored, and to
// its runs. It is no new generation.
func (t *Tx) RenameJob(uid, name string) error {
	job, err := t.JobByUID(uid)
	if err == nil {
		err = t.free(name, uid)
	}
	if err != nil {
		return err
	}
	job.Spec.Name = name
	if err := t.one(`UPDATE jobs SET name = $1, hash = $2 WHERE uid = $3`, name, job.Spec.Hash(), uid); err != nil {
		return err
	}
	if err := t.keepSpec(job); err != nil {
		return err
	}
	return t.exec(`UPDATE runs SET job = $1 WHERE uid = $2`, name, uid)
}

// Hold has the runner hold a job, or release it where hold is nil.
func (t *Tx) Hold(uid string, hold *api.Hold, actor string) error {
	text, event := "", Event{UID: uid, Event: api.Event{Kind: "job", Actor: actor, To: "released"}}
	if hold != nil {
		text, event.To, event.Detail = encode(hold), "held", hold.Reason
	}
	n, err := t.changed(`UPDATE jobs SET held = $1, released_at = CASE $1 WHEN '' THEN $2 ELSE released_at END
		WHERE uid = $3 AND buried_at = 0`, text, nanos(t.Now), uid)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return err
	}
	return t.Event(event)
}

// ReleasedAt is when a job was last released; the zero time: never.
func (t *Tx) ReleasedAt(uid string) (at time.Time, err error) {
	err = t.row(`SELECT released_at FROM jobs WHERE uid = $1`, uid)(instant{&at})
	return at, err
}

// RespellJob stores another spelling of a job's specification, whose canonical
// hash is the same: no new generation.
func (t *Tx) RespellJob(j Job) error {
	return t.one(`UPDATE job_specs SET spec = $1 WHERE uid = $2
		AND EXISTS (SELECT 1 FROM jobs WHERE jobs.uid = $2 AND generation = $3 AND hash = $4)`, encode(j.Spec), j.UID, j.Generation, j.Spec.Hash())
}

// BuryJob ends a job's life on the schedule and keeps all else.
func (t *Tx) BuryJob(uid string) error {
	return t.one(`UPDATE jobs SET buried_at = $1, next_due_at = 0 WHERE uid = $2 AND buried_at = 0`, nanos(t.Now), uid)
}

// PurgeJob removes a job and everything the store knows of it.
func (t *Tx) PurgeJob(uid string) error {
	errs := []error{t.keepPurgedRuns(uid)} // reads what the others delete
	for _, table := range []string{"plans", "run_attempts", "mini_batches", "attempts", "dead_letters", "redrives", "launches", "events"} {
		errs = append(errs, t.exec(`DELETE FROM `+table+` WHERE run_id IN (SELECT id FROM runs WHERE uid = $1)`, uid))
	}
	errs = append(errs, t.exec(`DELETE FROM backfill_occurrences WHERE backfill IN (SELECT id FROM backfills WHERE uid = $1)`, uid))
	for _, table := range []string{"runs", "decisions", "decision_counts", "backfills", "ledger", "known_files", "known_keys", "marks", "learned", "job_generations", "job_specs", "jobs"} {
		errs = append(errs, t.exec(`DELETE FROM `+table+` WHERE uid = $1`, uid))
	}
	return errors.Join(errs...)
}

// MoveCursor records that everything nominally due up to cursor is decided.
// It is guarded by the cursor the decision started from.
func (t *Tx) MoveCursor(j Job, cursor, next time.Time) error {
	return t.one(`UPDATE jobs SET cursor = $1, next_due_at = $2 WHERE uid = $3 AND cursor = $4 AND generation = $5 AND buried_at = 0`,
		nanos(cursor), nanos(next), j.UID, nanos(j.Cursor), j.Generation)
}
