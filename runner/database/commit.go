package database

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// Commit is a unit of a run's result, written in one transaction.
type Commit struct {
	Run        string
	RunAttempt int64
	Unit       string // "mini_batch/<n>", "mini_batch/<n>/<revision>", "publish"
	Fence      int64
	Hash       string // of what is written: the same unit with another hash is refused
	Table      Table
	At         time.Time // the run's occurrence
	// Rows are key, kept columns and results, in the table's order; valid until
	// the next one. No two have the same key. They may be read more than once.
	Rows    iter.Seq2[[]format.Value, error]
	Records int64 // how many Rows there are
	// Step is told where the transaction stands: StepMarker, StepCommit,
	// StepCommitted. It may be nil; that of the first unit is called.
	Step func(point string)
}

// The points that Commit.Step is told.
const (
	StepMarker    = "marker"        // a marker is written
	StepCommit    = "before_commit" // everything is
	StepCommitted = "after_commit"
)

// Result says what became of a commit's records.
type Result struct {
	Written int64
	// Gone counts the records that were not written, by reason: GoneDeleted,
	// GoneTaken, GoneNewer. Reasons without records are absent.
	Gone map[string]int64
	// Already tells that an earlier commit of the same unit had succeeded; the
	// counts are that one's.
	Already bool
}

// Why a record had no row to write to.
const (
	GoneDeleted = "deleted" // no row of that key
	GoneTaken   = "taken"   // the row has a result by now, or, with insert, exists
	GoneNewer   = "newer"   // a newer occurrence has written the row
)

// ErrOther says that a unit was committed with another result.
var ErrOther = errors.New("another result was committed for it")

// raceTries is how often a commit is repeated at once because somebody
// inserted one of its rows meanwhile. What is refused again was not a race.
const raceTries = 3

// Commit writes a unit once, however often it is called: its marker is the
// first statement of the one transaction. After a Transient error it is to be
// called again; whether the failed call's transaction took place is told by
// the marker.
func (d *DB) Commit(ctx context.Context, c Commit) (Result, error) {
	results, err := d.CommitAll(ctx, []Commit{c})
	if err != nil {
		return Result{}, err
	}
	return results[0], nil
}

// CommitAll writes units in one transaction, each with a marker of its own
// before its rows, and gives the result of each. Units that are committed
// already are left out.
func (d *DB) CommitAll(ctx context.Context, units []Commit) ([]Result, error) {
	// What is large is not taken back for the sake of one row.
	assume := len(units) == 1 && !d.surprised.Load()
	for try := 1; ; try++ {
		results, err := d.commitAll(ctx, units, assume)
		if err == nil {
			return results, nil
		}
		if errors.Is(err, errSurprised) {
			assume = false
			continue
		}
		if _, raced := errors.AsType[*racedError](err); raced && try < raceTries {
			continue
		}
		for _, c := range units {
			d.forget(c.Table) // it may have changed
		}
		return nil, explain(err)
	}
}

// racedError is a row that another session has inserted since we looked, or
// a unique index of the table that refuses it.
type racedError struct{ err error }

func (e *racedError) Error() string { return e.err.Error() }
func (e *racedError) Unwrap() error { return e.err }

// commitAll is one try. With assume each row is taken to be there and free.
func (d *DB) commitAll(ctx context.Context, units []Commit, assume bool) ([]Result, error) {
	if len(units) == 0 {
		return nil, nil
	}
	targets := make([]*target, len(units))
	for at, c := range units {
		var err error
		if targets[at], err = d.target(ctx, c.Table); err != nil {
			return nil, err
		}
	}
	step := units[0].Step
	if step == nil {
		step = func(string) {}
	}
	var results []Result
	err := d.within(ctx, true, func(s session) error {
		for at, c := range units {
			w := &writer{server: d.server, session: s, target: targets[at], at: c.At}
			commit := w.commit
			if assume && c.Table.Write != api.WriteUpsert && c.Records > 0 {
				commit = w.commitAssuming
			}
			result, err := commit(ctx, c, step)
			if err != nil {
				return fmt.Errorf("commit %s to table %s: %w", c.Unit, c.Table.Name, err)
			}
			results = append(results, result)
		}
		step(StepCommit)
		if err := s.commit(ctx); err != nil {
			return err
		}
		step(StepCommitted)
		return nil
	})
	if err == nil && !assume {
		d.surprised.Store(slices.ContainsFunc(results, func(r Result) bool { return len(r.Gone) > 0 }))
	}
	return results, err
}

// commit writes one unit, unless its marker is there.
func (w *writer) commit(ctx context.Context, c Commit, step func(string)) (Result, error) {
	fresh, err := w.mark(ctx, c)
	if err != nil {
		return Result{}, err
	}
	if !fresh {
		return w.marked(ctx, c)
	}
	step(StepMarker)
	result, err := w.writeAll(ctx, c)
	if err != nil {
		return Result{}, err
	}
	return result, w.note(ctx, c, result)
}

// target is a table's resolution, looked up once.
func (d *DB) target(ctx context.Context, t Table) (*target, error) {
	key := targetKey(t)
	if known, ok := d.targets.Load(key); ok {
		return known.(*target), nil
	}
	var found *target
	err := d.within(ctx, false, func(s session) (err error) {
		found, err = d.resolve(ctx, s, t)
		return err
	})
	if err != nil {
		return nil, err
	}
	d.targets.Store(key, found)
	return found, nil
}

// forget has a table looked up anew, whatever is asked of it.
func (d *DB) forget(t Table) {
	d.targets.Range(func(key, found any) bool {
		if found.(*target).Name == t.Name {
			d.targets.Delete(key)
		}
		return true
	})
}

func targetKey(t Table) string { return fmt.Sprintf("%#v", t) }
