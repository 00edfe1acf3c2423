package sink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// tableWriters is how many mini-batches one run commits at once: more of them
// would mostly wait for each other.
const tableWriters = 4

// keepMarkers is how long a marker is kept: longer than anybody goes on with a
// run. What a year-old run has staged is gone.
const keepMarkers = 365 * 24 * time.Hour

const tableHint = "see that the database answers and that the runner's user may write the table, or change output.sql"

// Table is the database table that one run writes to. Parts are staged on the
// runner's disk, as JSON lines; a transaction makes them visible: one for each
// mini-batch, or, where readers are to see nothing before the run has ended,
// one for all.
//
// Every mini-batch has a marker in that transaction, named after the run
// attempt that staged it. So whatever is tried again, by whichever attempt, it
// is written once, and what the database said of it then is its answer.
//
// A table is added to: it has no revisions, no manifest and nothing to sweep.
// Its methods may be called from several goroutines.
type Table struct {
	staging
	open    func(context.Context) (*database.DB, error)
	table   database.Table
	run     string
	at      time.Time // the occurrence
	whole   bool      // one transaction for all
	writers chan struct{}
}

// OpenTable names the table of a run's output; it touches nothing. Staging is
// the folder for parts, db gives the database.
func OpenTable(fs durable.FS, staged string, db func(context.Context) (*database.DB, error), job api.Job, o api.Occasion) *Table {
	return &Table{
		staging: staging{fs: fs, format: api.FormatJSONL, dir: staged},
		open:    db, run: o.Run, at: o.Occurrence.UTC(),
		whole:   job.Output.Publish != api.PublishProgressive,
		writers: make(chan struct{}, tableWriters),
		table:   TableOf(job),
	}
}

// TableOf is the table that a job, with its defaults, writes to.
func TableOf(job api.Job) database.Table {
	out := job.Output.SQL
	t := database.Table{
		Name: out.Table, Key: job.Input.Key, Write: out.Write, JSONColumn: out.JSONColumn, RunAt: out.RunAt,
		OnlyIfUnset: out.OnlyIfUnset != nil && *out.OnlyIfUnset,
		Results:     slices.Sorted(maps.Keys(job.Predict.Outputs)),
	}
	t.Set = t.OnlyIfUnset && job.Input.Mode == api.ModePredicate
	for _, column := range job.Output.Keep {
		if !slices.Contains(job.Input.Key, column) {
			t.Keep = append(t.Keep, column)
		}
	}
	return t
}

// Folder is what people know the output by: never the DSN.
func (t *Table) Folder() string { return "table " + t.table.Name }

// Prepare proves that parts can be staged and the table be written. An error is
// an *api.Failure; Passes tells whether it is worth another try.
func (t *Table) Prepare(ctx context.Context) error {
	err := t.probe()
	if err == nil {
		err = t.check(ctx)
	}
	if _, told := errors.AsType[*api.Failure](err); told || err == nil || ctx.Err() != nil || Passes(err) {
		return err
	}
	return api.Fail(api.ReasonOutputUnwritable, tableHint, fmt.Errorf("write table %s: %w", t.table.Name, err))
}

func (t *Table) check(ctx context.Context) error {
	db, err := t.open(ctx)
	if err != nil {
		return err
	}
	if err := db.Check(ctx, t.table); err != nil {
		return err
	}
	_ = db.PruneMarkers(ctx, t.table, t.run, keepMarkers) // the next run will, or whoever owns the table
	return nil
}

// Canonical tells which keys the table finds equal: those have the same text.
// nil is for a key that the table can't hold.
func (t *Table) Canonical(ctx context.Context, keys [][]format.Value) ([][]byte, error) {
	db, err := t.open(ctx)
	if err != nil {
		return nil, err
	}
	return db.Canonical(ctx, t.table, keys)
}

// OpenRecords reads a staged part record by record.
func (t *Table) OpenRecords(_ context.Context, part PublishedPart, columns []api.Column) (*Records, error) {
	return t.staging.OpenRecords(part, columns)
}

// CheckPublished has nothing to compare: rows are anybody's once they are
// committed.
func (t *Table) CheckPublished(context.Context, []PublishedPart) error { return nil }

// PublishedBy is nobody: no run replaces what another has written.
func (t *Table) PublishedBy(context.Context) (string, int64, error) { return "", 0, nil }

// NextRevision leaves it to the caller to know of earlier ones.
func (t *Table) NextRevision(context.Context) (int64, error) { return 1, nil }

// Begin tells whether mini-batches are committed one by one.
func (t *Table) Begin(context.Context, Manifest) (bool, error) { return !t.whole, nil }

// Conclude and Abandon have nowhere to say how a run has ended.
func (t *Table) Conclude(context.Context, Publication) error { return nil }

// Abandon is as Conclude.
func (t *Table) Abandon(context.Context) error { return nil }

// Sweep removes what is staged.
func (t *Table) Sweep(context.Context) error { return t.staging.Sweep() }

// Show commits one mini-batch, and tells which of its records had no row to be
// written to.
func (t *Table) Show(ctx context.Context, part PublishedPart, columns []api.Column) (Gone, error) {
	gone, err := t.commit(ctx, []PublishedPart{part}, columns)
	return gone[part.MiniBatch], err
}

// Committed tells which of a run's staged parts the table has, by their
// markers, with what was gone of each. A session that may still commit one of
// them is waited for.
func (t *Table) Committed(ctx context.Context, parts []PublishedPart) (map[int64]Gone, error) {
	units := map[int64]database.Commit{}
	for _, part := range parts {
		if part.Records == 0 {
			continue // all its records are dead letters: there was nothing to commit
		}
		unit, err := t.unit(part, nil)
		if err != nil {
			return nil, err
		}
		units[part.MiniBatch] = unit
	}
	db, err := t.open(ctx)
	if err != nil {
		return nil, err
	}
	markers, err := db.AwaitMarkers(ctx, t.table, t.run, slices.Collect(maps.Values(units)))
	if err != nil {
		return nil, fmt.Errorf("tell what table %s has of run %s: %w", t.table.Name, t.run, err)
	}
	committed := map[int64]Gone{}
	for number, unit := range units {
		for _, m := range markers {
			if m.RunAttempt == unit.RunAttempt && m.Unit == unit.Unit && m.Hash == unit.Hash {
				committed[number] = m.Result.Gone
			}
		}
	}
	return committed, nil
}

// Publish commits what is staged only: all of it in one transaction, or what
// could not be shown while the run was under way. A redrive is one transaction,
// so that nothing of it is visible where the table refuses some of its records.
// That is a *Refused; the caller decides what becomes of them.
func (t *Table) Publish(ctx context.Context, p Publication) (map[int64]Gone, error) {
	staged := slices.DeleteFunc(slices.Clone(p.Parts), func(part PublishedPart) bool { return part.Path == "" })
	slices.SortFunc(staged, func(a, b PublishedPart) int { return int(a.MiniBatch - b.MiniBatch) })
	var units [][]PublishedPart
	if !t.whole {
		first := slices.DeleteFunc(slices.Clone(staged), func(part PublishedPart) bool { return part.Redriven })
		staged = slices.DeleteFunc(staged, func(part PublishedPart) bool { return !part.Redriven })
		units = slices.Collect(slices.Chunk(first, 1))
	}
	units = append(units, staged)
	gone := map[int64]Gone{}
	for _, unit := range units {
		of, err := t.commit(ctx, unit, p.Columns)
		if err != nil {
			return nil, err
		}
		maps.Copy(gone, of)
	}
	failpoint.Here("sql.publish")
	return gone, nil
}

// commit writes mini-batches in one transaction.
func (t *Table) commit(ctx context.Context, parts []PublishedPart, columns []api.Column) (map[int64]Gone, error) {
	parts = slices.DeleteFunc(slices.Clone(parts), func(part PublishedPart) bool { return part.Records == 0 })
	if len(parts) == 0 {
		return nil, nil // all their records are dead letters
	}
	select {
	case t.writers <- struct{}{}:
		defer func() { <-t.writers }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	gone, err := t.write(ctx, parts, columns)
	if err == nil || ctx.Err() != nil {
		return gone, err
	}
	if database.Unfit(err) {
		err = t.refused(ctx, parts, columns, err)
	}
	err = fmt.Errorf("commit to table %s: %w", t.table.Name, err)
	failure, told := errors.AsType[*api.Failure](err)
	_, some := errors.AsType[*Refused](err)
	switch {
	case Passes(err), some:
		return nil, err
	case told:
		return nil, api.Fail(api.ReasonPublish, failure.Hint, fmt.Errorf("commit to table %s: %w", t.table.Name, failure.Err))
	default:
		return nil, api.Fail(api.ReasonPublish, tableHint, err)
	}
}

func (t *Table) write(ctx context.Context, parts []PublishedPart, columns []api.Column) (map[int64]Gone, error) {
	units := make([]database.Commit, len(parts))
	for i, part := range parts {
		unit, err := t.unit(part, columns)
		if err != nil {
			return nil, err
		}
		units[i] = unit
	}
	db, err := t.open(ctx)
	if err != nil {
		return nil, err
	}
	results, err := db.CommitAll(ctx, units)
	if err != nil {
		return nil, err
	}
	gone := map[int64]Gone{}
	for i, result := range results {
		if len(result.Gone) > 0 {
			gone[parts[i].MiniBatch] = result.Gone
		}
	}
	return gone, nil
}

// noneOf is how many records are at least written to a table that is judged by
// that it takes none of them.
const noneOf = 5

// Refused are records that the table does not take, for what is in them. Nothing
// was committed of the transaction that was to write them.
type Refused struct {
	Records map[int64][]database.Refusal // by mini-batch, and by their places in its part
	Of      int64                        // records in that transaction
}

func (r *Refused) Error() string {
	number := slices.Min(slices.Collect(maps.Keys(r.Records)))
	first := r.Records[number][0]
	text := fmt.Sprintf("mini-batch %d, record with %s: %s", number, first.Key, first.Reason)
	if more := r.count() - 1; more > 0 {
		text += fmt.Sprintf("; and %s more", api.Counted(more, "record"))
	}
	return text
}

// All tells whether the table takes none of many records: that may be the
// table's fault, not theirs.
func (r *Refused) All() bool {
	for _, records := range r.Records {
		if slices.ContainsFunc(records, func(r database.Refusal) bool { return r.Unset }) {
			return false // where it takes no NULL, it is the prediction's
		}
	}
	return r.Of >= noneOf && r.count() == r.Of
}

func (r *Refused) count() (total int64) {
	for _, records := range r.Records {
		total += int64(len(records))
	}
	return total
}

// refused finds the records that an error speaks of.
func (t *Table) refused(ctx context.Context, parts []PublishedPart, columns []api.Column, cause error) error {
	db, err := t.open(ctx)
	if err != nil {
		return err
	}
	found := Refused{Records: map[int64][]database.Refusal{}}
	for _, part := range parts {
		unit, err := t.unit(part, columns)
		if err != nil {
			return err
		}
		records, err := db.Refused(ctx, unit)
		if err != nil {
			return err
		}
		if len(records) > 0 {
			found.Records[part.MiniBatch] = records
		}
		found.Of += part.Records
	}
	if len(found.Records) == 0 {
		return cause
	}
	return &found
}

// unit is a mini-batch as the database is told of it. The path of its part
// names the run attempt and the fence that staged it.
func (t *Table) unit(part PublishedPart, columns []api.Column) (database.Commit, error) {
	attempt, attemptErr := strconv.ParseInt(filepath.Dir(part.Path), 10, 64)
	_, text, _ := strings.Cut(filepath.Base(part.Path), ".")
	fence, fenceErr := strconv.ParseInt(text, 10, 64)
	if err := errors.Join(attemptErr, fenceErr); err != nil {
		return database.Commit{}, fmt.Errorf("staged part %s has no place in a run: %w", part.Path, err)
	}
	table := t.table
	table.Results = nil
	for _, column := range columns[min(len(table.Key)+len(table.Keep), len(columns)):] {
		table.Results = append(table.Results, column.Name)
	}
	return database.Commit{
		Run: t.run, RunAttempt: attempt, Unit: fmt.Sprintf("mini_batch/%d", part.MiniBatch), Fence: fence, Hash: part.SHA256,
		Table: table, At: t.at, Rows: t.rows(part, columns), Records: part.Records, Step: step,
	}, nil
}

// step is where a crash is worth a test.
func step(point string) {
	switch point {
	case database.StepMarker:
		failpoint.Here("sql.marker")
	case database.StepCommit:
		failpoint.Here("sql.before_commit")
	case database.StepCommitted:
		failpoint.Here("sql.after_commit_before_row")
	}
}

// rows reads a staged part, each time from its beginning. That it is what was
// staged is known at its end, before anything is committed.
func (t *Table) rows(part PublishedPart, columns []api.Column) iter.Seq2[[]format.Value, error] {
	return func(yield func([]format.Value, error) bool) {
		records, err := t.staging.OpenRecords(part, columns)
		if err != nil {
			yield(nil, err)
			return
		}
		defer records.Close() //nolint:errcheck // read only
		for {
			values, err := records.Values()
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(values, err) || err != nil {
				return
			}
		}
	}
}
