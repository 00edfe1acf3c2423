package store

import (
	"crypto/rand"
	"database/sql"
	"errors"
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
}

const jobColumns = `uid, generation, spec, settings, owner, hash, created_at, updated_at, buried_at, cursor, next_due_at`

func scanJob(rows *sql.Rows) (Job, error) {
	var j Job
	err := rows.Scan(&j.UID, &j.Generation, document{&j.Spec}, document{&j.Settings}, &j.Owner, &j.Hash,
		instant{&j.CreatedAt}, instant{&j.UpdatedAt}, instant{&j.BuriedAt}, instant{&j.Cursor}, instant{&j.NextDueAt})
	return j, err
}

func jobByName(q querier, name string) (Job, error) {
	return first(q, scanJob, `SELECT `+jobColumns+` FROM jobs WHERE name = $1 AND buried_at = 0`, name)
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
	return first(q, scanJob, `SELECT `+jobColumns+` FROM jobs WHERE uid = $1`, uid)
}

// BuriedJob finds the job of that name that was buried last.
func (t *Tx) BuriedJob(name string) (Job, error) {
	return first(t, scanJob, `SELECT `+jobColumns+` FROM jobs WHERE name = $1 AND buried_at > 0 ORDER BY buried_at DESC LIMIT 1`, name)
}

// Jobs lists the live jobs by name.
func (s *Store) Jobs() ([]Job, error) {
	return list(s.reader(), scanJob, `SELECT `+jobColumns+` FROM jobs WHERE buried_at = 0 ORDER BY name`)
}

// DueJobs lists live jobs whose next occurrence lies at or before until.
func (t *Tx) DueJobs(until time.Time, limit int) ([]Job, error) {
	return list(t, scanJob, `SELECT `+jobColumns+` FROM jobs
		WHERE buried_at = 0 AND next_due_at > 0 AND next_due_at <= $1 ORDER BY next_due_at LIMIT $2`, nanos(until), limit)
}

// DueInstants lists the distinct instants up to until at which a live job is
// due, earliest first.
func (s *Store) DueInstants(until time.Time, limit int) ([]time.Time, error) {
	return list(s.reader(), func(rows *sql.Rows) (t time.Time, err error) {
		err = rows.Scan(instant{&t})
		return t, err
	}, `SELECT DISTINCT next_due_at FROM jobs WHERE buried_at = 0 AND next_due_at > 0 AND next_due_at <= $1 ORDER BY next_due_at LIMIT $2`,
		nanos(until), limit)
}

// InsertJob stores a new job in its first generation; UID, times and
// generation are filled in.
func (t *Tx) InsertJob(j Job) (Job, error) {
	j.UID, j.Generation, j.CreatedAt, j.UpdatedAt, j.Hash = strings.ToLower(rand.Text()), 1, t.Now, t.Now, j.Spec.Hash()
	err := t.exec(`INSERT INTO jobs (`+jobColumns+`, name) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		j.UID, j.Generation, encode(j.Spec), encode(j.Settings), j.Owner, j.Hash,
		nanos(j.CreatedAt), nanos(j.UpdatedAt), 0, nanos(j.Cursor), nanos(j.NextDueAt), j.Spec.Name)
	if err != nil {
		return Job{}, err
	}
	return j, t.keepGeneration(j)
}

// UpdateJob stores a job's next generation, also digging up a buried one.
func (t *Tx) UpdateJob(j Job) (Job, error) {
	j.Generation, j.UpdatedAt, j.BuriedAt, j.Hash = j.Generation+1, t.Now, time.Time{}, j.Spec.Hash()
	err := t.one(`UPDATE jobs SET generation = $1, spec = $2, settings = $3, owner = $4, hash = $5, updated_at = $6,
		buried_at = 0, cursor = $7, next_due_at = $8, name = $9 WHERE uid = $10 AND generation = $11`,
		j.Generation, encode(j.Spec), encode(j.Settings), j.Owner, j.Hash, nanos(j.UpdatedAt),
		nanos(j.Cursor), nanos(j.NextDueAt), j.Spec.Name, j.UID, j.Generation-1)
	if err != nil {
		return Job{}, err
	}
	return j, t.keepGeneration(j)
}

// RespellJob stores another spelling of a job's specification, whose canonical
// hash is the same: no new generation.
func (t *Tx) RespellJob(j Job) error {
	return t.one(`UPDATE jobs SET spec = $1 WHERE uid = $2 AND generation = $3 AND hash = $4`, encode(j.Spec), j.UID, j.Generation, j.Spec.Hash())
}

func (t *Tx) keepGeneration(j Job) error {
	return t.exec(`INSERT INTO job_generations (uid, generation, spec, owner, at) VALUES ($1, $2, $3, $4, $5)`,
		j.UID, j.Generation, encode(j.Spec), j.Owner, nanos(t.Now))
}

// BuryJob ends a job's life on the schedule and keeps all else.
func (t *Tx) BuryJob(uid string) error {
	return t.one(`UPDATE jobs SET buried_at = $1, next_due_at = 0 WHERE uid = $2 AND buried_at = 0`, nanos(t.Now), uid)
}

// PurgeJob removes a job and everything the store knows of it.
func (t *Tx) PurgeJob(uid string) error {
	var errs []error
	for _, table := range []string{"plans", "run_attempts", "mini_batches", "attempts", "dead_letters", "launches", "events"} {
		errs = append(errs, t.exec(`DELETE FROM `+table+` WHERE run_id IN (SELECT id FROM runs WHERE uid = $1)`, uid))
	}
	for _, table := range []string{"runs", "decisions", "job_generations", "jobs"} {
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

func scanDecision(rows *sql.Rows) (api.Decision, error) {
	var d api.Decision
	err := rows.Scan(&d.Verdict, &d.Reason, instant{&d.First}, instant{&d.Last}, &d.Count, &d.Run)
	return d, err
}

const lastDecision = `SELECT verdict, reason, first, last, count, run_id FROM decisions WHERE uid = $1 ORDER BY first DESC LIMIT 1`

// LastDecision is the newest decision about a job, or ErrNotFound.
func (s *Store) LastDecision(uid string) (api.Decision, error) {
	return first(s.reader(), scanDecision, lastDecision, uid)
}

// Decisions lists a job's decisions, newest first.
func (s *Store) Decisions(uid string, limit int) ([]api.Decision, error) {
	return list(s.reader(), scanDecision, `SELECT verdict, reason, first, last, count, run_id FROM decisions
		WHERE uid = $1 ORDER BY first DESC LIMIT $2`, uid, limit)
}

// Decide records a verdict. It extends the newest row where that says the
// same, so that an outage is one row and not thousands.
func (t *Tx) Decide(uid string, d api.Decision) error {
	last, err := first(t, scanDecision, lastDecision, uid)
	if err == nil && d.Run == "" && last.Run == "" && last.Verdict == d.Verdict && last.Reason == d.Reason {
		return t.one(`UPDATE decisions SET last = $1, count = count + $2 WHERE uid = $3 AND first = $4`,
			nanos(d.Last), d.Count, uid, nanos(last.First))
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return t.exec(`INSERT INTO decisions (uid, first, last, count, verdict, reason, run_id) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		uid, nanos(d.First), nanos(d.Last), d.Count, d.Verdict, d.Reason, d.Run)
}
