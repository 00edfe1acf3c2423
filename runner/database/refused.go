package database

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// Refusal is a record that the table does not take, for what is in it.
type Refusal struct {
	Record int64  // its place among the Rows of the Commit, from 0
	Key    string // as "id=57"
	Reason string
	Unset  bool // a result is NULL that must not be
}

// valueError is a value that does not fit its column, found before the
// database was asked.
type valueError struct{ err error }

func (e *valueError) Error() string { return e.err.Error() }
func (e *valueError) Unwrap() error { return e.err }

// Unfit tells whether an error speaks of what is in a row: a value that does not
// fit its column, or that a constraint or trigger of the table refuses. Other
// rows may be written all the same; Refused tells which ones may not.
func Unfit(err error) bool {
	if _, ok := errors.AsType[*valueError](err); ok {
		return true
	}
	if _, judged := errors.AsType[*api.Failure](err); judged {
		return false
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return strings.HasPrefix(e.Code, "22") || strings.HasPrefix(e.Code, "23") || e.Code == "44000" || e.Code == "P0001"
	}
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return unfitNumbers[e.Number]
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return slices.Contains([]int{sqliteTooBig, sqliteConstraint, sqliteMismatch}, e.Code()&0xff)
	}
	return false
}

// unfitNumbers are errors of MySQL and MariaDB that speak of a row.
var unfitNumbers = map[uint16]bool{
	1048: true, 1062: true, 1216: true, 1217: true, 1451: true, 1452: true, 1586: true, 1761: true, 3819: true, 4025: true, // constraints
	1264: true, 1265: true, 1292: true, 1300: true, 1366: true, 1367: true, 1406: true, 1411: true, 1416: true, 1441: true, 1690: true, 3020: true,
	3140: true, 3141: true, 3156: true, 3669: true, 3751: true, 3752: true, 4038: true, // values, JSON
	1369: true, 1644: true, // a view's check, a trigger's signal
}

const (
	sqliteTooBig     = 18
	sqliteConstraint = 19
	sqliteMismatch   = 20
)

// Refused tells which records of a unit the table does not take: it tries to
// write them, fewer at a time, and takes everything back.
func (d *DB) Refused(ctx context.Context, c Commit) ([]Refusal, error) {
	target, err := d.target(ctx, c.Table)
	if err != nil {
		return nil, err
	}
	var found []Refusal
	err = d.within(ctx, true, func(s session) error {
		trial := &trial{writer: &writer{server: d.server, session: s, target: target, at: c.At}, part: newChunk(target)}
		if begin := d.server.immediately(); begin != "" {
			if _, err := s.exec(ctx, call{text: begin}); err != nil {
				return err
			}
		}
		err := trial.all(ctx, c)
		found = trial.refusals
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find what table %s refuses of %s: %w", c.Table.Name, c.Unit, explain(err))
	}
	slices.SortFunc(found, func(a, b Refusal) int { return int(a.Record - b.Record) })
	return found, nil
}

// trial writes rows to see which of them are refused.
type trial struct {
	*writer
	part     *chunk
	records  []int64 // of the rows of the part
	refusals []Refusal
}

func (t *trial) all(ctx context.Context, c Commit) error {
	record := int64(-1)
	for values, err := range c.Rows {
		if err != nil {
			return fmt.Errorf("read the staged result: %w", err)
		}
		record++
		if err := t.part.add(values); Unfit(err) {
			t.refuse(record, keyText(t.target.Key, values), err)
			continue
		} else if err != nil {
			return err
		}
		t.records = append(t.records, record)
		if t.part.full() {
			if err := t.flush(ctx); err != nil {
				return err
			}
		}
	}
	return t.flush(ctx)
}

func (t *trial) flush(ctx context.Context) error {
	t.part.sort()
	err := t.halves(ctx, t.part.order)
	t.part.reset()
	t.records = t.records[:0]
	return err
}

// halves writes rows; those of them that are refused once they stand alone are
// noted.
func (t *trial) halves(ctx context.Context, rows []int) error {
	if len(rows) == 0 {
		return nil
	}
	err := t.savepoint(ctx, "SAVEPOINT")
	if err != nil {
		return err
	}
	some := *t.part
	some.order = rows
	err = t.write(ctx, &some, &Result{Gone: map[string]int64{}})
	if err == nil {
		return t.savepoint(ctx, "RELEASE SAVEPOINT")
	}
	if !Unfit(err) {
		return err
	}
	if back := t.savepoint(ctx, "ROLLBACK TO SAVEPOINT"); back != nil {
		return back
	}
	if len(rows) > 1 {
		half := len(rows) / 2
		if err := t.halves(ctx, rows[:half]); err != nil {
			return err
		}
		return t.halves(ctx, rows[half:])
	}
	t.refuse(t.records[rows[0]], t.part.key(rows[0]), databaseError(err))
	return nil
}

func (t *trial) savepoint(ctx context.Context, what string) error {
	_, err := t.session.exec(ctx, call{text: what + " batch_rows"})
	return err
}

func (t *trial) refuse(record int64, key string, err error) {
	t.refusals = append(t.refusals, Refusal{Record: record, Key: key, Reason: err.Error(), Unset: errors.Is(err, errUnset)})
}

// databaseError is what the database itself said.
func databaseError(err error) error {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e
	}
	return err
}

// keyText is the key of a row of values, for people.
func keyText(names []string, values []format.Value) string {
	var parts []string
	for at, name := range names[:min(len(names), len(values))] {
		parts = append(parts, fmt.Sprintf("%s=%s", name, strings.Trim(string(values[at].Bytes), `"`)))
	}
	return strings.Join(parts, ", ")
}

// key is the key of a row, for people.
func (c *chunk) key(row int) string {
	var parts []string
	for at, name := range c.target.Key {
		text, _ := c.cell(row, at)
		parts = append(parts, fmt.Sprintf("%s=%s", name, text))
	}
	return strings.Join(parts, ", ")
}
