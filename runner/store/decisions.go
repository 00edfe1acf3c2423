package store

import (
	"database/sql"
	"errors"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

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

// Verdict is a decision with the run that it asks for.
type Verdict struct {
	api.Decision
	// Origin is the run's; empty asks for none. Without it, Run may name the
	// run of an occurrence that has run already.
	Origin api.Origin
	// Shared lets the run go on beside other shared runs of its job.
	Shared bool
}

// Decided is all that one look at the calendar decided about a job.
type Decided struct {
	Job       DueJob    // as it was claimed
	Decisions []Verdict // oldest first
	Cursor    time.Time
	NextDueAt time.Time
}

// RecordDecisions writes what was decided about many jobs: the decisions, the
// runs they ask for, and the cursors. It is guarded by the cursors and
// generations that the jobs were claimed with; where one has moved on, nothing
// is written and the error is ErrFenced.
func (t *Tx) RecordDecisions(decided []Decided) error {
	w := newDecisionWriter(t.Now)
	for _, d := range decided {
		if err := w.job(t, d); err != nil {
			return err
		}
	}
	return w.write(t)
}

// bySchedule is who asks for the runs that decisions make.
const bySchedule = "schedule"

// decisionWriter gathers the rows of many decisions, to write them with a
// statement for each table.
type decisionWriter struct {
	now int64
	// ids begin alike, at random, so that they lie side by side in their index;
	// scattered, a thousand of them would rewrite all of it.
	ids      string
	cursors  bulk
	runs     bulk
	extended bulk
	rows     bulk
	counts   bulk
}

func newDecisionWriter(now time.Time) *decisionWriter {
	return &decisionWriter{now: nanos(now), ids: runID()[:4], runs: bulk{row: "(?, ?, ?, ?, ?, ?, 1, '" + bySchedule + "', 'queued', ?, ?, ?)"}}
}

func (w *decisionWriter) job(t *Tx, d Decided) error {
	w.cursors.add(d.Job.UID, d.Job.Generation, nanos(d.Job.Cursor), nanos(d.Cursor), nanos(d.NextDueAt))
	row, err := rowBefore(t, d)
	if err != nil {
		return err
	}
	for _, v := range d.Decisions {
		if v.Origin != "" {
			if v.Run, err = w.run(t, d.Job, v); err != nil {
				return err
			}
		}
		if v.Verdict != api.VerdictRun {
			w.counts.add(d.Job.UID, v.Verdict, v.Reason, v.Count)
		}
		if row.takes(v.Decision) {
			row.Last, row.Count = v.Last, row.Count+v.Count
			continue
		}
		w.keep(d.Job.UID, row)
		row = foldedRow{Decision: v.Decision}
	}
	w.keep(d.Job.UID, row)
	return nil
}

// run queues the run that a verdict asks for, and gives its id.
func (w *decisionWriter) run(t *Tx, job DueJob, v Verdict) (id string, err error) {
	if !job.Rewound.IsZero() { // an earlier run of the occurrence may have been skipped
		run, err := t.InsertRun(Run{Shared: v.Shared, Run: api.Run{
			JobUID: job.UID, Job: job.Name, Generation: job.Generation, Occurrence: v.First, Origin: v.Origin,
		}}, "", bySchedule)
		return run.ID, err
	}
	id = w.ids + runID()[4:]
	w.runs.add(id, job.UID, job.Name, job.Generation, nanos(v.First), v.Origin, slotOrder(v.Origin), number(v.Shared), w.now)
	return id, nil
}

// foldedRow is a row that further decisions may extend.
type foldedRow struct {
	api.Decision
	stored int64 // its count in the database; 0: it is not there
}

// rowBefore is the newest row of a job, where what was decided now may extend
// it. A run never does, so that a wave of them reads nothing.
func rowBefore(t *Tx, d Decided) (foldedRow, error) {
	if len(d.Decisions) == 0 || d.Decisions[0].Origin != "" || d.Decisions[0].Run != "" {
		return foldedRow{}, nil
	}
	last, err := first(t, scanDecision, lastDecision, d.Job.UID)
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return foldedRow{last, last.Count}, err
}

// takes tells whether a decision says the same as the row.
func (r foldedRow) takes(d api.Decision) bool {
	return r.Count > 0 && d.Run == "" && r.Run == "" && r.Verdict == d.Verdict && r.Reason == d.Reason
}

func (w *decisionWriter) keep(uid string, r foldedRow) {
	switch {
	case r.Count == r.stored: // as it is in the database, or none
	case r.stored == 0:
		w.rows.add(uid, nanos(r.First), nanos(r.Last), r.Count, r.Verdict, r.Reason, r.Run)
	default:
		w.extended.add(uid, nanos(r.First), nanos(r.Last), r.Count)
	}
}

// An occurrence is decided once, so its run is the first of its origin; the
// unique key holds that.
const insertRuns = `INSERT INTO runs (id, uid, job, generation, occurrence, origin, sequence, actor, state, slot_order, shared, created_at) {rows}`

func (w *decisionWriter) write(t *Tx) error {
	for _, step := range []struct {
		rows      *bulk
		statement string
	}{
		{&w.cursors, `UPDATE jobs SET cursor = v.column4, next_due_at = v.column5 FROM ({rows}) AS v
			WHERE jobs.uid = v.column1 AND jobs.generation = v.column2 AND jobs.cursor = v.column3 AND jobs.buried_at = 0`},
		{&w.runs, insertRuns},
		{&w.extended, `UPDATE decisions SET last = v.column3, count = v.column4 FROM ({rows}) AS v
			WHERE decisions.uid = v.column1 AND decisions.first = v.column2`},
		{&w.rows, `INSERT INTO decisions (uid, first, last, count, verdict, reason, run_id) {rows}`},
		{&w.counts, `INSERT INTO decision_counts (uid, verdict, reason, count) SELECT column1, column2, column3, column4 FROM ({rows}) AS v WHERE TRUE
			ON CONFLICT (uid, verdict, reason) DO UPDATE SET count = decision_counts.count + excluded.count`},
	} {
		if err := step.rows.write(t, step.statement); err != nil {
			return err
		}
	}
	return nil
}

// Rows don't overlap, so all but one of them begin after it.
const decidedAfter = `SELECT verdict, reason, first, last, count, run_id FROM decisions WHERE uid = $1 AND last > $2
	AND first >= COALESCE((SELECT MAX(first) FROM decisions WHERE uid = $1 AND first <= $2), $2)`

// CutDecisions forgets what was decided about occurrences after an instant.
// Of a row that spans it, recount tells which occurrence stays as the last one
// and how many stay.
func (t *Tx) CutDecisions(uid string, after time.Time, recount func(row api.Decision) (last time.Time, count int64)) error {
	cut, err := list(t, scanDecision, decidedAfter, uid, nanos(after))
	if err != nil {
		return err
	}
	for _, d := range cut {
		gone := d.Count
		if d.First.After(after) {
			err = t.one(`DELETE FROM decisions WHERE uid = $1 AND first = $2`, uid, nanos(d.First))
		} else {
			last, count := recount(d)
			if count < 1 { // by another rule than the row's
				last, count = d.First, 1
			}
			gone -= count
			err = t.one(`UPDATE decisions SET last = $1, count = $2 WHERE uid = $3 AND first = $4`, nanos(last), count, uid, nanos(d.First))
		}
		if err == nil && d.Verdict != api.VerdictRun {
			err = t.exec(`UPDATE decision_counts SET count = count - $1 WHERE uid = $2 AND verdict = $3 AND reason = $4`, gone, uid, d.Verdict, d.Reason)
		}
		if err != nil {
			return err
		}
	}
	return t.exec(`DELETE FROM decision_counts WHERE uid = $1 AND count <= 0`, uid)
}
