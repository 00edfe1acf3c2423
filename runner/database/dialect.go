package database

import (
	"context"
	"strings"
	"time"
)

// dialect is the SQL of one kind of database. Statements name the row to be
// written i and the table t.
type dialect interface {
	quote(name string) string
	// placeholder stands for the nth argument of a statement, from 1.
	placeholder(n int) string
	// syntax is what the scanner of users' queries must know.
	syntax() syntax
	// bound adds an argument of a user's query.
	bound(s *statement, value any) string
	// bounded compares a column of a user's query with a bound.
	bounded(s *statement, column, operator, bound string) string
	clock() string // a query for the time in UTC
	user() string  // a query for who we are, as GRANT names it
	types() types

	// columns gives the columns of a table and the schema it is in; none where
	// there is no such table.
	columns(ctx context.Context, s session, schema, table string) (string, []column, error)
	uniques(ctx context.Context, s session, schema, table string) ([]index, error)
	// strayKeys names a column of the key that holds what no key is read as or
	// written as, so that rows would be written beside those; empty for none.
	strayKeys(ctx context.Context, s session, t *target) (string, error)
	createMarkers(table string) string
	// tryMarkers is createMarkers to be taken back; where nothing is, it fails
	// with an error that tried knows, behind the check of rights.
	tryMarkers(table string) string
	tried(err error) bool
	// insertIgnoring makes an INSERT one that writes nothing where the marker
	// exists, if that can be said.
	insertIgnoring(insert string) string
	duplicate(err error) bool
	// immediately is a statement that has constraints checked at once which
	// would be checked by COMMIT; empty where there are none.
	immediately() string
	denied(err error) bool

	// source is a FROM item with the alias i for rows of a chunk, given as
	// arguments.
	source(c *chunk, rows []int, s *statement) string
	number() string                     // the number of a source's row
	firstNumber() int                   // what the rows of a source are counted from
	cell(at int) string                 // one of its cells
	key(c column, cell string) string   // a cell made comparable with a key column
	value(c column, cell string) string // a cell made assignable to a column
	// canonical is a text that two cells share exactly where a key column finds
	// them equal; it is not empty, and NULL where the column can't hold the cell.
	canonical(c column, cell string) string
	instant(t time.Time) string // as an argument
	find(t *target, status, source, on string) string
	update(t *target, sets []string, source, on string) string
}

// types are the names that DDL in hints uses.
type types struct{ text, number, json, instant string }

// statement collects the arguments of a statement while it is written.
type statement struct {
	dialect dialect
	args    []any
}

// arg adds an argument and gives what stands for it. Arguments are added in
// the order in which they stand in the text.
func (s *statement) arg(value any) string {
	s.args = append(s.args, value)
	return s.dialect.placeholder(len(s.args))
}

// call is the statement with what was added to it.
func (s *statement) call(text string) call { return call{text: text, args: s.args} }

// on joins rows of i with those of t by their key.
func on(d dialect, t *target) string {
	var equal []string
	for at, c := range t.key() {
		equal = append(equal, "t."+d.quote(c.name)+" = "+d.key(c, d.cell(at)))
	}
	return strings.Join(equal, " AND ")
}
