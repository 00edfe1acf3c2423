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
		return unfitState(e.Code) || !slices.Contains(postgresClasses, e.Code[:min(2, len(e.Code))]) // a trigger's own
	}
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return unfitState(string(e.SQLState[:])) || unfitNumbers[e.Number]
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return slices.Contains([]int{sqliteTooBig, sqliteConstraint, sqliteMismatch}, e.Code()&0xff)
	}
	return false
}

// unfitState judges the class of a SQLSTATE: a subquery's rows, a value, a
// constraint, a trigger's exception, what it calls, a view's check, a trigger's
// signal, too long or too deep, PL/pgSQL.
func unfitState(state string) bool {
	return len(state) > 1 && slices.Contains([]string{"21", "22", "23", "38", "39", "44", "45", "54", "P0"}, state[:2])
}

// postgresClasses are all classes of SQLSTATE that PostgreSQL has itself: of any
// other, a trigger has raised it.
var postgresClasses = strings.Fields("00 01 02 03 08 09 0A 0B 0F 0L 0P 0Z 10 20 21 22 23 24 25 26 27 28 2B 2D 2F 34 38 39 3B 3D 3F 40 42 44 53 54 55 57 58 72 F0 HV P0 XX")

// unfitNumbers are errors of MySQL and MariaDB that speak of a row, where the
// SQLSTATE does not say so.
var unfitNumbers = map[uint16]bool{
	1265: true, 1300: true, 1366: true, 1411: true, 3020: true, 3751: true, 4038: true, // values, JSON
	1118: true, 1713: true, // a row that is too large
	1369: true, 1526: true, 1644: true, 1748: true, 1863: true, 3819: true, // a view's check, a partition, a trigger's signal, a check
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
