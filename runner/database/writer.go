package database

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// writer writes rows to a table inside of one transaction.
type writer struct {
	server  server
	session session
	target  *target
	at      time.Time
}

// What find tells of a row, beside GoneNewer and GoneTaken.
const (
	statusFree    = "free"
	statusMissing = "missing"
)

func (w *writer) quoted(names ...string) string {
	for at, name := range names {
		names[at] = w.server.quote(name)
	}
	return strings.Join(names, ", ")
}

// find locks the rows that a chunk names and tells the status of each, in the
// chunk's order.
func (w *writer) find(ctx context.Context, c *chunk) ([]string, error) {
	s := &statement{dialect: w.server}
	status := w.status(s)
	source := w.server.source(c, c.order, s)
	found, err := w.session.query(ctx, w.server.find(w.target, status, source, on(w.server, w.target)), s.args...)
	if err != nil {
		return nil, err
	}
	statuses := make([]string, c.rows())
	for at := range statuses {
		statuses[at] = statusMissing
	}
	for _, row := range found {
		at, err := strconv.Atoi(row[0])
		if err != nil || at < w.server.firstNumber() || at-w.server.firstNumber() >= len(statuses) {
			return nil, fmt.Errorf("the database answers for row %q of %d", row[0], len(statuses))
		}
		statuses[at-w.server.firstNumber()] = row[1]
	}
	return statuses, nil
}

// status is the SQL that says whether a row may be written.
func (w *writer) status(s *statement) string {
	var when strings.Builder
	if w.target.RunAt != "" {
		fmt.Fprintf(&when, " WHEN t.%s > %s THEN '%s'", w.server.quote(w.target.RunAt), w.occurrence(s), GoneNewer)
	}
	if w.target.OnlyIfUnset {
		for _, name := range w.target.results() {
			fmt.Fprintf(&when, " WHEN t.%s IS NOT NULL THEN '%s'", w.server.quote(name), GoneTaken)
		}
	}
	if when.Len() == 0 {
		return "'" + statusFree + "'"
	}
	return "CASE" + when.String() + " ELSE '" + statusFree + "' END"
}

func (w *writer) occurrence(s *statement) string {
	return w.server.value(w.target.runAt, s.arg(w.server.instant(w.at)))
}

// update writes rows of a chunk to rows that are there.
func (w *writer) update(c *chunk, rows []int) call { return w.updateWhere(c, rows, false) }

// updateFree writes rows of a chunk to rows that are there and may be written.
func (w *writer) updateFree(c *chunk, rows []int) call { return w.updateWhere(c, rows, true) }

func (w *writer) updateWhere(c *chunk, rows []int, free bool) call {
	s := &statement{dialect: w.server}
	assign := func(name, value string) string { return w.server.quote(name) + " = " + value }
	var sets []string
	// MySQL names what is joined before what is set.
	source, where := w.server.source(c, rows, s), on(w.server, w.target)
	if free && (w.target.RunAt != "" || w.target.OnlyIfUnset) {
		where += " AND " + w.status(s) + " = '" + statusFree + "'"
	}
	for at, column := range w.target.cells[len(w.target.Key):] {
		sets = append(sets, assign(column.name, w.server.value(column, w.server.cell(len(w.target.Key)+at))))
	}
	if w.target.RunAt != "" {
		sets = append(sets, assign(w.target.RunAt, w.occurrence(s)))
	}
	return s.call(w.server.update(w.target, sets, source, where))
}

// insert writes rows of a chunk that are not there.
func (w *writer) insert(c *chunk, rows []int) call {
	s := &statement{dialect: w.server}
	names := w.quoted(w.target.written()...)
	var values []string
	for at, column := range w.target.cells {
		values = append(values, w.server.value(column, w.server.cell(at)))
	}
	if w.target.RunAt != "" {
		names += ", " + w.server.quote(w.target.RunAt)
		values = append(values, w.occurrence(s))
	}
	return s.call(fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s", w.target.quoted, names, strings.Join(values, ", "), w.server.source(c, rows, s)))
}
