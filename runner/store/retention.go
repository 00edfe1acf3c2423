package store

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Removal is a published folder that is to go.
type Removal struct {
	Folder   string
	UID      string
	Run      string
	Revision int64
	// Kept says why the folder stays all the same; empty: it goes.
	Kept string
}

// ErrBusy says that a run may need a folder that was to go.
var ErrBusy = errors.New("a run of the job is under way")

func scanRemoval(rows *sql.Rows) (Removal, error) {
	var r Removal
	err := rows.Scan(&r.Folder, &r.UID, &r.Run, &r.Revision, &r.Kept)
	return r, err
}

// Removals lists the folders that are to go, and those that can't.
func (s *Store) Removals() ([]Removal, error) {
	return list(s.reader(), scanRemoval, `SELECT folder, uid, run_id, revision, kept FROM removals ORDER BY folder`)
}

// Retaining lists the live jobs whose spec may limit how long output is kept.
func (s *Store) Retaining() ([]Job, error) {
	uids, err := list(s.reader(), func(rows *sql.Rows) (uid string, err error) {
		err = rows.Scan(&uid)
		return uid, err
	}, `SELECT uid FROM job_specs
		WHERE (spec LIKE '%"keep_runs"%' OR spec LIKE '%"keep_for"%') AND uid IN (SELECT uid FROM jobs WHERE buried_at = 0)`)
	var jobs []Job
	for _, uid := range uids {
		job, err := s.JobByUID(uid)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, job)
	}
	return jobs, err
}

// WithOutput lists a job's ended runs whose output is there, newest
// occurrence and revision first.
func (s *Store) WithOutput(uid string) ([]Run, error) {
	all, err := runs(s.reader(), withOutput, uid)
	return slices.DeleteFunc(all, func(run Run) bool { return !run.State.Ended() }), err
}

const withOutput = `WHERE uid = $1 AND output <> '' ORDER BY occurrence DESC, revision DESC`

// UnderWayOf lists the runs of a job that have left the queue and not ended.
func (s *Store) UnderWayOf(uid string) ([]Run, error) { return underWayOf(s.reader(), uid) }

func underWayOf(q querier, uid string) ([]Run, error) {
	return runs(q, `WHERE uid = $1 AND state IN ('planning', 'provisioning', 'running', 'committing') ORDER BY id`, uid)
}

// DecideRemoval stores that a folder goes: from now on it is nobody's output.
// ErrBusy where other runs are under way than those that were looked at, or a
// run whose output it is has been taken up again.
func (t *Tx) DecideRemoval(r Removal, lookedAt []Run) error {
	now, err := underWayOf(t, r.UID)
	if err != nil {
		return err
	}
	looked := map[string]bool{}
	for _, run := range lookedAt {
		looked[run.ID] = true
	}
	for _, run := range now {
		if !looked[run.ID] {
			return fmt.Errorf("%w: %s", ErrBusy, run.ID)
		}
	}
	if again, err := t.runsWhere(`uid = $1 AND output = $2 AND ended_at = 0`, r.UID, r.Folder); err != nil {
		return err
	} else if len(again) > 0 {
		return fmt.Errorf("%w: %s", ErrBusy, again[0].ID)
	}
	if err := t.exec(`INSERT INTO removals (folder, uid, run_id, revision, since) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (folder) DO UPDATE SET uid = excluded.uid, run_id = excluded.run_id, revision = excluded.revision, since = excluded.since, kept = ''`,
		r.Folder, r.UID, r.Run, r.Revision, nanos(t.Now)); err != nil {
		return err
	}
	return t.exec(`UPDATE runs SET output = '', version = version + 1 WHERE uid = $1 AND output = $2`, r.UID, r.Folder)
}

// KeepRemoval notes why a folder stays that was to go; it tells whether that
// is news.
func (t *Tx) KeepRemoval(r Removal) (news bool, err error) {
	n, err := t.changed(`INSERT INTO removals (folder, uid, run_id, revision, since, kept) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (folder) DO UPDATE SET kept = excluded.kept, since = excluded.since WHERE kept <> excluded.kept`,
		r.Folder, r.UID, r.Run, r.Revision, nanos(t.Now), r.Kept)
	return n > 0, err
}

// EndRemoval forgets a removal, carried out or not wanted any more.
func (t *Tx) EndRemoval(folder string) error {
	return t.exec(`DELETE FROM removals WHERE folder = $1`, folder)
}

// PurgedRun is a run of a job that was purged: of what it may have left
// behind, only this is known.
type PurgedRun struct {
	Run        string
	UID        string
	Job        string
	Occurrence time.Time
	Spec       api.Job // as planned
	Staged     bool    // also outside the data dir
}

// PurgedRuns lists purged runs whose files are to be removed.
func (s *Store) PurgedRuns(limit int) ([]PurgedRun, error) {
	return list(s.reader(), func(rows *sql.Rows) (r PurgedRun, err error) {
		err = rows.Scan(&r.Run, &r.UID, &r.Job, instant{&r.Occurrence}, document{&r.Spec}, &r.Staged)
		return r, err
	}, `SELECT run_id, uid, job, occurrence, spec, staged FROM purged_runs ORDER BY run_id LIMIT $1`, limit)
}

// keepPurgedRuns notes the runs of a job about to be purged that have left the
// queue, and so may have left files behind.
func (t *Tx) keepPurgedRuns(uid string) error {
	return errors.Join(
		t.exec(`INSERT INTO purged_runs (run_id, uid, job, occurrence, spec, staged)
			SELECT runs.id, runs.uid, runs.job, runs.occurrence, COALESCE(plans.spec, job_specs.spec), runs.staging_until > 0 OR runs.shown = 1 OR runs.ended_at = 0
			FROM runs JOIN job_specs ON job_specs.uid = runs.uid LEFT JOIN plans ON plans.run_id = runs.id
			WHERE runs.uid = $1 AND runs.started_at > 0 AND (runs.pruned < $2 OR runs.staging_until > 0 OR runs.shown = 1)`, uid, prunedAll),
		t.exec(`DELETE FROM removals WHERE uid = $1`, uid))
}

// PurgedSwept forgets a purged run whose files are gone.
func (t *Tx) PurgedSwept(run string) error {
	return t.exec(`DELETE FROM purged_runs WHERE run_id = $1`, run)
}
