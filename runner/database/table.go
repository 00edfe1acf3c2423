package database

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Table is where predictions go, and how.
type Table struct {
	Name string // optionally with its schema: scores.churn; names with dots in double quotes
	// Key are the columns that identify a row, Keep those that are copied from
	// the input, Results one for each output.
	Key, Keep, Results []string
	// Write is one of the words of output.sql.write.
	Write string
	// JSONColumn takes all results as one object {"<result>": …} instead of
	// columns of their own.
	JSONColumn string
	// RunAt is the column for Commit.At; empty for none.
	RunAt string
	// OnlyIfUnset leaves rows alone whose results are set: where any of them is
	// not NULL.
	OnlyIfUnset bool
	// Set says that no result may be NULL, which is refused: whoever looks for rows
	// without one would find the row again.
	Set bool
}

// results are the columns that predictions are written to.
func (t Table) results() []string {
	if t.JSONColumn != "" {
		return []string{t.JSONColumn}
	}
	return t.Results
}

// kept are the columns of Keep that are not part of the key.
func (t Table) kept() []string {
	return slices.DeleteFunc(slices.Clone(t.Keep), func(name string) bool { return contains(t.Key, name) })
}

// written are the columns that the cells of a chunk go to: key, kept, results.
func (t Table) written() []string {
	return slices.Concat(t.Key, t.kept(), t.results())
}

func contains(names []string, name string) bool { return slices.Contains(names, name) }

// class says what a cell must look like for a column.
type class int

const (
	classText class = iota
	classInteger
	classNumber  // decimals and floats
	classDecimal // PostgreSQL's, which the server reads
	classBoolean
	classJSON
	classBytes
	classInstant
	classAny // whatever it is given: SQLite's columns without a type
)

// column is a column of a table as the catalog has it.
type column struct {
	name      string
	cast      string // the type as a cast names it
	class     class
	charset   string // of MySQL's text
	collation string // of texts, and in PostgreSQL where it is not the default
	noKey     bool   // what is written to it is not what it is found by
	noInstant bool   // it has no place for a date and a time of day
	empty     bool   // an empty text is a value of it
	generated bool   // the database sets it, and nobody else
	required  bool   // an INSERT must give it: NOT NULL without a default
}

// index is a unique index.
type index struct {
	name    string
	columns []string
}

// target is a table together with what its catalog says.
type target struct {
	Table
	schema, name string
	quoted       string // the table
	markers      string // _batch_commits beside it, quoted
	index        string // the unique index that rows are found by
	cells        []column
	runAt        column
}

const markerTable = "_batch_commits"

// key are the columns that find a row.
func (t *target) key() []column { return t.cells[:len(t.Key)] }

// resolve looks a table up in the catalog, and finds what is missing there.
func (d *DB) resolve(ctx context.Context, s session, t Table) (*target, error) {
	schema, name, err := splitName(t.Name)
	if err != nil {
		return nil, err
	}
	schema, columns, err := d.server.columns(ctx, s, schema, name)
	if err != nil {
		return nil, fmt.Errorf("look up table %s: %w", t.Name, explain(err))
	}
	if len(columns) == 0 {
		return nil, failf("create it, correct output.sql.table, or grant the user of output.sql.dsn rights to it",
			"table %s does not exist, or this user can't see it", t.Name)
	}
	found := &target{Table: t, schema: schema, name: name}
	found.quoted = qualified(d.server, schema, name)
	found.markers = qualified(d.server, schema, markerTable)
	if err := d.findColumns(found, columns); err != nil {
		return nil, err
	}
	if err := d.findIndex(ctx, s, found); err != nil {
		return nil, err
	}
	stray, err := d.server.strayKeys(ctx, s, found)
	if err != nil {
		return nil, fmt.Errorf("look up the keys of table %s: %w", t.Name, explain(err))
	}
	if stray != "" && t.Write != api.WriteUpdate {
		return nil, failf("declare it as BLOB, or keep texts in it",
			"column %s of table %s holds bytes and is not declared as BLOB: a row would be written beside the one that it is the key of", stray, t.Name)
	}
	return found, nil
}

// findColumns takes the columns that are written from those of the table.
func (d *DB) findColumns(t *target, columns []column) error {
	var missing []string
	find := func(name, ddl string) column {
		at := slices.IndexFunc(columns, func(c column) bool { return c.name == name })
		if at < 0 {
			missing = append(missing, fmt.Sprintf("ADD COLUMN %s %s", d.server.quote(name), ddl))
			return column{}
		}
		return columns[at]
	}
	types := d.server.types()
	for _, name := range append(slices.Clone(t.Key), t.kept()...) {
		t.cells = append(t.cells, find(name, types.text))
	}
	for _, name := range t.results() {
		ddl := types.number
		if t.JSONColumn != "" {
			ddl = types.json
		}
		c := find(name, ddl)
		if t.JSONColumn != "" {
			c.class = classJSON // whatever holds it
		}
		t.cells = append(t.cells, c)
	}
	if t.RunAt != "" {
		t.runAt = find(t.RunAt, types.instant)
	}
	if len(missing) > 0 {
		hint := fmt.Sprintf("correct the names in the job, or run: ALTER TABLE %s %s", t.quoted, strings.Join(missing, ", "))
		if t.JSONColumn == "" {
			hint += fmt.Sprintf(" (%s for a prediction that is text, %s for one that is a list or an object)", types.text, types.json)
		}
		return failf(hint,
			"table %s has no column %s", t.Name, namesOf(missing))
	}
	set := t.cells[len(t.Key):]
	if t.Write != api.WriteUpdate {
		set = t.cells
	}
	for _, c := range append(slices.Clone(set), t.runAt) {
		if c.generated {
			return failf("name another column", "column %s of table %s is generated: the database sets it, and takes no value for it", c.name, t.Name)
		}
	}
	for _, c := range t.key() {
		if c.noKey {
			return failf("name a key of integers, decimals, texts or instants", "column %s of table %s can't be the key: its type does not find again what is written to it", c.name, t.Name)
		}
	}
	if t.runAt.noInstant {
		return failf(fmt.Sprintf("name a column of type %s in output.sql.run_at, or run: ALTER TABLE %s ADD COLUMN %s %s", types.instant, t.quoted, d.server.quote(t.name+"_run_at"), types.instant),
			"column %s of table %s can't hold the instant of a run, down to the second", t.RunAt, t.Name)
	}
	if t.Write == api.WriteUpdate {
		return nil
	}
	for _, c := range columns {
		if c.required && !contains(t.written(), c.name) && c.name != t.RunAt {
			return failf(fmt.Sprintf("name it in output.keep, or give it a default: ALTER TABLE %s ALTER COLUMN %s SET DEFAULT …", t.quoted, d.server.quote(c.name)),
				"column %s of table %s must be given and has no default, and the job does not write it", c.name, t.Name)
		}
	}
	return nil
}

// namesOf takes the quoted names out of the clauses that add them.
func namesOf(clauses []string) string {
	var names []string
	for _, clause := range clauses {
		name := strings.TrimPrefix(clause, "ADD COLUMN ")
		names = append(names, name[:strings.LastIndex(name, name[:1])+1])
	}
	return strings.Join(names, ", ")
}

// findIndex finds the unique index that makes a key name at most one row.
func (d *DB) findIndex(ctx context.Context, s session, t *target) error {
	indexes, err := d.server.uniques(ctx, s, t.schema, t.name)
	if err != nil {
		return fmt.Errorf("look up the indexes of table %s: %w", t.Name, explain(err))
	}
	for _, i := range indexes {
		if !slices.ContainsFunc(i.columns, func(name string) bool { return !contains(t.Key, name) }) {
			t.index = i.name
			return nil
		}
	}
	var key []string
	for _, name := range t.Key {
		key = append(key, d.server.quote(name))
	}
	return failf(fmt.Sprintf("run: CREATE UNIQUE INDEX %s ON %s (%s)", d.server.quote(t.name+"_batch_key"), t.quoted, strings.Join(key, ", ")),
		"the key %s of table %s is not unique: no unique index has just these columns", strings.Join(t.Key, ", "), t.Name)
}

// splitName takes schema.table apart; either may be in double quotes.
func splitName(name string) (schema, table string, err error) {
	var parts []string
	for rest := name; ; {
		var part string
		if quoted, ok := strings.CutPrefix(rest, `"`); ok {
			part, rest, ok = strings.Cut(quoted, `"`)
			if !ok {
				return "", "", failf("close the quote", "output.sql.table %s has an open quote", name)
			}
		} else if dot := strings.IndexByte(rest, '.'); dot >= 0 {
			part, rest = rest[:dot], rest[dot:]
		} else {
			part, rest = rest, ""
		}
		parts = append(parts, part)
		if rest == "" {
			break
		}
		if rest[0] != '.' {
			return "", "", failf("write table, schema.table, or \"a name\".\"another\"", "output.sql.table %s is not the name of a table", name)
		}
		rest = rest[1:]
	}
	if len(parts) > 2 || slices.Contains(parts, "") {
		return "", "", failf("write table, schema.table, or \"a name\".\"another\"", "output.sql.table %s is not the name of a table", name)
	}
	if len(parts) == 2 {
		schema = parts[0]
	}
	return schema, parts[len(parts)-1], nil
}

func qualified(d dialect, schema, name string) string {
	if schema == "" {
		return d.quote(name)
	}
	return d.quote(schema) + "." + d.quote(name)
}
