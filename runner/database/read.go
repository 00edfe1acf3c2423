package database

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// Query is one SELECT of a user.
type Query struct {
	Text string
	// Params are bound where the text names them, as :scheduled_at. Instants are
	// time.Time; what has no value is nil.
	Params map[string]any
	// Watermark takes only rows whose column is in its range.
	Watermark *Range
}

// Range is (Low, High] of a column; without Low, everything up to High. Both
// are text as a row has it; instants are RFC 3339.
type Range struct {
	Column string
	Low    *string
	High   string
}

// cursor is a result as it comes from the server.
type cursor interface {
	columns() []api.Column
	// unit is how far two instants of a column are apart at least.
	unit(column int) time.Duration
	next() bool
	// append writes one cell of the row as JSON.
	append(to []byte, column int) []byte
	err() error
	close()
}

// Rows are the result of a query, read once, in one snapshot, as they come:
// memory does not grow with them.
type Rows struct {
	session session
	cursor  cursor
	names   [][]byte // `{"id":`, `,"name":`
}

// Read begins a query. The rows hold a session until they are closed.
func (d *DB) Read(ctx context.Context, q Query) (*Rows, error) {
	text, args, err := d.text(q)
	if err != nil {
		return nil, err
	}
	s, err := d.begin(ctx, false)
	if err != nil {
		return nil, explain(err)
	}
	cursor, err := s.stream(ctx, text, args)
	if err != nil {
		s.end()
		return nil, fmt.Errorf("run the query: %w", explain(err))
	}
	r := &Rows{session: s, cursor: cursor}
	if err := r.name(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// text writes a query in the database's words.
func (d *DB) text(q Query) (string, []any, error) {
	s := &statement{dialect: d.server}
	place := func(value any) string { return d.server.bound(s, value) }
	text, err := bind(q.Text, d.server.syntax(), q.Params, place)
	if err != nil || q.Watermark == nil {
		return text, s.args, err
	}
	mark := q.Watermark
	column := "q." + d.server.quote(mark.Column)
	text = fmt.Sprintf("SELECT * FROM (%s\n) AS q WHERE ", text)
	if mark.Low != nil {
		text += d.server.bounded(s, column, ">", *mark.Low) + " AND "
	}
	return text + d.server.bounded(s, column, "<=", mark.High), s.args, nil
}

// name prepares what stands before each cell, and refuses two columns of one
// name: a record could hold one of them only.
func (r *Rows) name() error {
	seen := map[string]bool{}
	for at, c := range r.cursor.columns() {
		if seen[c.Name] {
			return failf("give one of them another name with AS", "the query has two columns %s", c.Name)
		}
		seen[c.Name] = true
		before := []byte{','}
		if at == 0 {
			before[0] = '{'
		}
		r.names = append(r.names, append(format.AppendString(before, []byte(c.Name)), ':'))
	}
	if len(r.names) == 0 {
		return failf("write a SELECT", "the query returns no columns")
	}
	return nil
}

// Columns are the query's columns, in its order, each name once.
func (r *Rows) Columns() []api.Column { return r.cursor.columns() }

// Unit is how far two different instants of a column are apart at least: a day
// for dates, a second where there are no fractions.
func (r *Rows) Unit(column int) time.Duration { return r.cursor.unit(column) }

// Next goes to the next row, and tells whether there is one.
func (r *Rows) Next() bool { return r.cursor.next() }

// AppendJSON appends the row as one JSON object without a newline in it.
func (r *Rows) AppendJSON(line []byte) []byte {
	for at, name := range r.names {
		line = append(line, name...)
		line = r.cursor.append(line, at)
	}
	return append(line, '}')
}

// Err is what ended the rows early.
func (r *Rows) Err() error {
	if err := r.cursor.err(); err != nil {
		return fmt.Errorf("read the query's rows: %w", explain(err))
	}
	return nil
}

// Close gives the session back.
func (r *Rows) Close() error {
	r.cursor.close()
	r.session.end()
	return nil
}

// First is the first value of a query as text, empty for NULL or no row.
func (d *DB) First(ctx context.Context, q Query) (string, error) {
	rows, err := d.Read(ctx, q)
	if err != nil {
		return "", err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	if !rows.Next() {
		return "", rows.Err()
	}
	value := rows.cursor.append(nil, 0)
	var text string
	if len(value) > 0 && value[0] == '"' {
		err = json.Unmarshal(value, &text)
	} else if string(value) != "null" {
		text = string(value)
	}
	return text, err
}
