package store

import (
	"database/sql"
	"encoding/json"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Plan is a run's pinned input. It never changes once stored; RowsPerRequest
// and Columns are resolved at the first readiness and then stay.
type Plan struct {
	Run            string
	Format         int64
	Spec           api.Job // with defaults, as planned
	Generation     int64
	Files          json.RawMessage // the source's identities
	Records        int64
	Hash           string
	PlanSpecHash   string
	ExecSpecHash   string
	RowsPerRequest int64
	Columns        []api.Column
	Mark           *MarkMove // in mode "watermark"
	Remembered     bool      // its run has committed something and ended: what the job remembers of its input has moved
	CreatedAt      time.Time
}

func scanPlan(rows *sql.Rows) (Plan, error) {
	var p Plan
	err := rows.Scan(&p.Run, &p.Format, document{&p.Spec}, &p.Generation, document{&p.Files}, &p.Records, &p.Hash,
		&p.PlanSpecHash, &p.ExecSpecHash, &p.RowsPerRequest, document{&p.Columns}, document{&p.Mark}, &p.Remembered, instant{&p.CreatedAt})
	return p, err
}

const selectPlan = `SELECT run_id, format, spec, generation, files, records, plan_hash, plan_spec_hash,
	exec_spec_hash, rows_per_request, columns, mark, remembered, created_at FROM plans WHERE `

// Plan finds a run's plan; ErrNotFound while it is not planned.
func (s *Store) Plan(run string) (Plan, error) {
	return first(s.reader(), scanPlan, selectPlan+`run_id = $1`, run)
}

// Plan finds a run's plan; ErrNotFound while it is not planned.
func (t *Tx) Plan(run string) (Plan, error) { return first(t, scanPlan, selectPlan+`run_id = $1`, run) }

// DropUnplanned removes the mini-batches of a planning that never ended.
func (t *Tx) DropUnplanned(run string) error {
	return t.exec(`DELETE FROM mini_batches WHERE run_id = $1 AND NOT EXISTS (SELECT 1 FROM plans WHERE plans.run_id = $1)`, run)
}

// InsertMiniBatches stores a stretch of a plan under way. Without its Plan
// row, which comes last, a plan does not exist.
func (t *Tx) InsertMiniBatches(run string, slices []MiniBatch) error {
	for _, m := range slices {
		err := t.exec(`INSERT INTO mini_batches (run_id, number, state, file, offset, length, first_line, records, checksum, ledger)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			run, m.Number, api.MiniBatchPending, m.File, m.Offset, m.Length, m.FirstLine, m.Records, m.Checksum, m.Ledger)
		if err != nil {
			return err
		}
	}
	return nil
}

// DropUnplannedAfter removes those of a planning under way that come after
// number: their file is left out.
func (t *Tx) DropUnplannedAfter(run string, number int64) error {
	return t.exec(`DELETE FROM mini_batches WHERE run_id = $1 AND number > $2 AND NOT EXISTS (SELECT 1 FROM plans WHERE plans.run_id = $1)`, run, number)
}

// SetPlanFormat notes that a run goes on over its plan in another form.
func (t *Tx) SetPlanFormat(run string, format int64) error {
	return t.one(`UPDATE plans SET format = $1 WHERE run_id = $2`, format, run)
}

// InsertPlan completes a plan.
func (t *Tx) InsertPlan(p Plan) error {
	return t.exec(`INSERT INTO plans (run_id, format, spec, generation, files, records, plan_hash, plan_spec_hash, exec_spec_hash, mark, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		p.Run, p.Format, encode(p.Spec), p.Generation, string(p.Files), p.Records, p.Hash, p.PlanSpecHash, p.ExecSpecHash, encode(p.Mark), nanos(t.Now))
}

// ResolvePlan fixes what the first readiness told: once set, it stays.
func (t *Tx) ResolvePlan(run string, rowsPerRequest int64, columns []api.Column) error {
	return t.exec(`UPDATE plans SET rows_per_request = $1, columns = $2 WHERE run_id = $3 AND columns = ''`,
		rowsPerRequest, encode(columns), run)
}

// ShrinkRequests notes that requests of a run hold at most rows records from
// now on: within a run the number only shrinks.
func (t *Tx) ShrinkRequests(run string, rows int64) error {
	return t.exec(`UPDATE plans SET rows_per_request = $1 WHERE run_id = $2 AND rows_per_request > $1`, rows, run)
}

// StartAttempt records what a run attempt is executed with.
func (t *Tx) StartAttempt(run string, attempt, generation int64, execSpecHash string) error {
	return t.exec(`INSERT INTO run_attempts (run_id, attempt, generation, exec_spec_hash, started_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (run_id, attempt) DO UPDATE SET generation = excluded.generation, exec_spec_hash = excluded.exec_spec_hash`,
		run, attempt, generation, execSpecHash, nanos(t.Now))
}

// endAttempt records how a run's attempt ended; one that never began has no
// row.
func (t *Tx) endAttempt(run Run, end AttemptEnd) error {
	return t.exec(`UPDATE run_attempts SET ended_at = $1, outcome = $2, reason = $3, message = $4 WHERE run_id = $5 AND attempt = $6`,
		nanos(t.Now), end.Outcome, end.Reason, end.Message, run.ID, run.Attempt)
}

// Repeats is how many attempts of a run ended right before the present one
// without ending the run.
func (t *Tx) Repeats(run Run) (n int64, err error) {
	err = t.row(`SELECT COUNT(*) FROM run_attempts WHERE run_id = $1 AND outcome = 'queued' AND attempt > COALESCE(
		(SELECT MAX(attempt) FROM run_attempts WHERE run_id = $1 AND outcome NOT IN ('', 'queued', 'superseded')), 0)`, run.ID)(&n)
	return n, err
}
