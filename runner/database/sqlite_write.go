package database

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"modernc.org/sqlite"
)

func (f *sqliteFile) quote(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

func (f *sqliteFile) placeholder(n int) string { return fmt.Sprintf("?%d", n) }

func (f *sqliteFile) syntax() syntax { return syntax{backtick: true} }

// bound writes instants as CURRENT_TIMESTAMP does.
func (f *sqliteFile) bound(s *statement, value any) string {
	if at, ok := value.(time.Time); ok {
		value = at.UTC().Format("2006-01-02 15:04:05.999")
	}
	return s.arg(value)
}

// bounded compares instants as texts, which is what they are, with a space or a
// T in the middle and perhaps a Z at the end. Without these a later bound is
// never the smaller text, so that no row lies between two marks twice.
func (f *sqliteFile) bounded(s *statement, column, operator, bound string) string {
	if at, err := time.Parse(time.RFC3339Nano, bound); err == nil {
		return fmt.Sprintf("replace(rtrim(%s, 'Z'), 'T', ' ') %s %s", column, operator, f.bound(s, at))
	}
	return fmt.Sprintf("%s %s CASE WHEN typeof(%s) = 'text' THEN %s ELSE CAST(%s AS NUMERIC) END", column, operator, column, s.arg(bound), s.arg(bound))
}

func (f *sqliteFile) clock() string { return "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')" }

func (f *sqliteFile) user() string { return "SELECT ''" }

func (f *sqliteFile) types() types {
	return types{text: "TEXT", number: "REAL", json: "TEXT", instant: "TEXT"}
}

func (f *sqliteFile) columns(ctx context.Context, s session, schema, table string) (string, []column, error) {
	if schema == "" {
		schema = "main"
	}
	// Not the hidden columns of virtual tables; those that are generated, too.
	rows, err := s.query(ctx, `SELECT name, type, "notnull" = 1 AND dflt_value IS NULL AND NOT (pk = 1 AND upper(type) = 'INTEGER') AND hidden = 0, hidden > 1,
  (SELECT i.coll FROM pragma_index_list(?1, ?2) AS l JOIN pragma_index_xinfo(l.name, ?2) AS i WHERE l."unique" = 1 AND i.key = 1 AND i.name = c.name)
FROM pragma_table_xinfo(?1, ?2) AS c WHERE hidden <> 1 ORDER BY cid`, table, schema)
	var found []column
	for _, row := range rows {
		c := column{name: row[0], required: row[2] == "1", generated: row[3] == "1", collation: row[4]}
		c.class, c.cast = sqliteClass(row[1])
		c.empty = c.class != classInteger && c.class != classNumber
		// It is read as an instant, whatever text is in it.
		c.noKey = c.class == classText && strings.Contains(strings.ToUpper(row[1]), "TIME")
		found = append(found, c)
	}
	return schema, found, err
}

// numeric is an affinity: of a text that reads as a number, the column keeps
// the number.
const numeric = "NUMERIC"

// sqliteClass follows the rules of affinity, and gives it where a column of texts
// may keep numbers: what is called UUID or STRING, too.
func sqliteClass(declared string) (class, string) {
	declared = strings.ToUpper(declared)
	switch has := func(part string) bool { return strings.Contains(declared, part) }; {
	case has("INT"):
		return classInteger, ""
	case has("CHAR"), has("CLOB"), has("TEXT"):
		return classText, ""
	case declared == "ANY", declared == "":
		return classAny, ""
	case has("BLOB"):
		return classBytes, ""
	case has("JSON"):
		return classJSON, ""
	case has("REAL"), has("FLOA"), has("DOUBLE"), has("NUM"), has("DEC"), has("BOOL"):
		return classNumber, ""
	}
	return classText, numeric
}

func (f *sqliteFile) uniques(ctx context.Context, s session, schema, table string) ([]index, error) {
	rows, err := s.query(ctx, `SELECT '', name FROM pragma_table_xinfo(?1, ?2) AS c WHERE pk > 0
UNION ALL
SELECT l.name, COALESCE(c.name, '') FROM pragma_index_list(?1, ?2) AS l JOIN pragma_index_info(l.name, ?2) AS c WHERE l."unique" = 1 AND l.partial = 0`, table, schema)
	return indexes(rows), err
}

// strayKeys finds bytes in a column that keeps whatever it is given: they are
// read as base64. Bytes sort behind all else, so that an index finds them.
func (f *sqliteFile) strayKeys(ctx context.Context, s session, t *target) (string, error) {
	for _, c := range t.key() {
		if c.class != classText && c.class != classAny {
			continue
		}
		rows, err := s.query(ctx, fmt.Sprintf("SELECT 1 FROM %s WHERE %s >= x'' LIMIT 1", t.quoted, f.quote(c.name)))
		if err != nil || len(rows) > 0 {
			return c.name, err
		}
	}
	return "", nil
}

func (f *sqliteFile) createMarkers(table string) string {
	return "CREATE TABLE IF NOT EXISTS " + table + ` ("run" TEXT NOT NULL, "run_attempt" INTEGER NOT NULL, "unit" TEXT NOT NULL, "fence" INTEGER NOT NULL, ` +
		`"rows" INTEGER NOT NULL, "gone" TEXT NOT NULL, "hash" TEXT NOT NULL, "at" TEXT NOT NULL, PRIMARY KEY ("run", "run_attempt", "unit"))`
}

func (f *sqliteFile) tryMarkers(table string) string { return f.createMarkers(table) }
func (f *sqliteFile) tried(error) bool               { return false }

func (f *sqliteFile) insertIgnoring(insert string) string { return insert + " ON CONFLICT DO NOTHING" }

func (f *sqliteFile) duplicate(err error) bool {
	const unique, primaryKey, rowid = 2067, 1555, 2579
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code() == unique || e.Code() == primaryKey || e.Code() == rowid)
}

func (f *sqliteFile) immediately() string { return "PRAGMA defer_foreign_keys = OFF" }

func (f *sqliteFile) denied(error) bool { return false }

// source is one JSON array of rows.
func (f *sqliteFile) source(c *chunk, rows []int, s *statement) string {
	return "json_each(" + s.arg(string(c.appendRows(nil, rows))) + ") AS i"
}

func (f *sqliteFile) number() string             { return "i.key" }
func (f *sqliteFile) firstNumber() int           { return 0 }
func (f *sqliteFile) cell(at int) string         { return fmt.Sprintf("(i.value ->> %d)", at) }
func (f *sqliteFile) instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// key leaves the text to the column's affinity.
func (f *sqliteFile) key(c column, cell string) string { return f.value(c, cell) }

func (f *sqliteFile) value(c column, cell string) string {
	if c.class == classBytes {
		return "unhex(" + cell + ")"
	}
	return cell
}

func (f *sqliteFile) find(t *target, status, source, on string) string {
	return fmt.Sprintf("SELECT i.key, %s FROM %s CROSS JOIN %s AS t WHERE %s", status, source, t.quoted, on)
}

func (f *sqliteFile) update(t *target, sets []string, source, on string) string {
	return fmt.Sprintf("UPDATE %s AS t SET %s FROM %s WHERE %s", t.quoted, strings.Join(sets, ", "), source, on)
}
