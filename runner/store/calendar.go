package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Calendar is the part of a job's specification that deciding needs, with
// defaults; without a schedule, there is no word on due occurrences. It is kept
// beside the specification, so that nobody reads the whole of it to decide.
type Calendar struct {
	Schedule *api.Schedule `json:"schedule,omitzero"`
	Paused   bool          `json:"paused,omitzero"`
	CatchUp  api.CatchUp   `json:"catch_up,omitzero"`
	Overlap  string        `json:"overlap,omitzero"`
	// MaxQueued is 0 but for the overlap that it belongs to.
	MaxQueued int64 `json:"max_queued,omitzero"`
}

func calendarOf(spec api.Job) Calendar {
	spec = spec.WithDefaults()
	c := Calendar{Schedule: spec.Schedule, Paused: *spec.Paused, Overlap: spec.Overlap}
	if spec.CatchUp != nil {
		c.CatchUp = *spec.CatchUp
	}
	if spec.MaxQueued != nil {
		c.MaxQueued = *spec.MaxQueued
	}
	return c
}

// DueJob is what deciding needs to know of a live job.
type DueJob struct {
	UID        string
	Name       string
	Generation int64
	// Cursor and NextDueAt are Job's.
	Cursor    time.Time
	NextDueAt time.Time
	Held      *api.Hold
	// Rewound is where the cursor was set back from: occurrences up to here may
	// have run already. Zero: it never was.
	Rewound time.Time
	// Calendar is shared by the jobs of one claim that are declared alike: it
	// is read only, and what is made of it may be kept by this pointer.
	Calendar *Calendar
	Active   int // runs that have not ended
	Waiting  int // of them: queued by schedule and never started
}

const dueJob = `SELECT j.uid, j.name, j.generation, j.cursor, j.next_due_at, j.rewound, j.held, j.calendar,
	(SELECT COUNT(*) FROM runs AS r WHERE r.uid = j.uid AND r.` + activeStates + `),
	(SELECT COUNT(*) FROM runs AS r WHERE r.uid = j.uid AND r.state = 'queued' AND r.` + activeStates + ` AND r.slot_order = 1 AND r.started_at = 0)
	FROM jobs AS j WHERE j.buried_at = 0 AND `

const claimDue = dueJob + `j.next_due_at > 0 AND j.next_due_at <= $1 ORDER BY j.next_due_at, j.uid LIMIT $2`

// ClaimDue lists live jobs whose next occurrence is due at or before until,
// earliest first, with all that deciding them needs.
func (t *Tx) ClaimDue(until time.Time, limit int) ([]DueJob, error) {
	return t.dueJobs(claimDue, nanos(until), limit)
}

// DueJob gives what deciding a live job needs, whether it is due or not.
func (t *Tx) DueJob(uid string) (DueJob, error) {
	all, err := t.dueJobs(dueJob+`j.uid = $1`, uid)
	if err == nil && len(all) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return DueJob{}, err
	}
	return all[0], nil
}

func (t *Tx) dueJobs(query string, args ...any) ([]DueJob, error) {
	alike := map[string]*Calendar{}
	return list(t, func(rows *sql.Rows) (j DueJob, err error) {
		var held, calendar sql.RawBytes
		if err := rows.Scan(&j.UID, &j.Name, &j.Generation, instant{&j.Cursor}, instant{&j.NextDueAt}, instant{&j.Rewound}, &held, &calendar,
			&j.Active, &j.Waiting); err != nil {
			return j, err
		}
		if len(held) > 0 {
			err = json.Unmarshal(held, &j.Held)
		}
		j.Calendar = alike[string(calendar)]
		if j.Calendar == nil {
			j.Calendar = &Calendar{}
			alike[string(calendar)] = j.Calendar
			err = errors.Join(err, json.Unmarshal(calendar, j.Calendar))
		}
		return j, err
	}, query, args...)
}

// Rewind notes that a job's cursor was set back from an instant.
func (t *Tx) Rewind(uid string, from time.Time) error {
	return t.one(`UPDATE jobs SET rewound = CASE WHEN rewound < $1 THEN $1 ELSE rewound END WHERE uid = $2`, nanos(from), uid)
}

const lookedAt = "looked_at"

// LookedAt is when the calendar was last looked at; the zero time: never.
func (s *Store) LookedAt() (time.Time, error) {
	text, err := first(s.reader(), func(rows *sql.Rows) (text string, err error) {
		err = rows.Scan(&text)
		return text, err
	}, `SELECT value FROM meta WHERE key = $1`, lookedAt)
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("read when the calendar was last looked at: %w", err)
	}
	return time.Unix(0, n).UTC(), nil
}

// SetLookedAt notes when the calendar was looked at.
func (t *Tx) SetLookedAt(at time.Time) error {
	return t.exec(`INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
		lookedAt, strconv.FormatInt(nanos(at), 10))
}

// rereadJobs works out anew what is derived from the specifications of jobs
// that an earlier version stored: their hash, which covers defaults that it
// did not know, and the part that deciding needs.
func rereadJobs(ctx context.Context, tx *sql.Tx) error {
	const chunk = 500
	type declared struct {
		uid  string
		spec api.Job
	}
	for after := ""; ; {
		rows, err := tx.QueryContext(ctx, `SELECT uid, spec FROM job_specs WHERE uid > $1 ORDER BY uid LIMIT $2`, after, chunk)
		if err != nil {
			return err
		}
		jobs, err := collect(rows, func(rows *sql.Rows) (d declared, err error) {
			err = rows.Scan(&d.uid, document{&d.spec})
			return d, err
		})
		if err != nil || len(jobs) == 0 {
			return err
		}
		for _, job := range jobs {
			if _, err := tx.ExecContext(ctx, `UPDATE jobs SET hash = $1, calendar = $2 WHERE uid = $3`,
				job.spec.Hash(), encode(calendarOf(job.spec)), job.uid); err != nil {
				return err
			}
		}
		after = jobs[len(jobs)-1].uid
	}
}
