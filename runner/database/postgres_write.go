package database

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

func (p *postgres) quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func (p *postgres) placeholder(n int) string { return fmt.Sprintf("$%d", n) }

func (p *postgres) syntax() syntax { return syntax{dollar: true, nested: true} }

func (p *postgres) bound(s *statement, value any) string { return s.arg(value) }

func (p *postgres) bounded(s *statement, column, operator, bound string) string {
	return column + " " + operator + " " + s.arg(bound)
}

func (p *postgres) clock() string {
	return "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
}

func (p *postgres) user() string { return "SELECT quote_ident(current_user)" }

func (p *postgres) types() types {
	return types{text: "text", number: "double precision", json: "jsonb", instant: "timestamptz"}
}

func (p *postgres) columns(ctx context.Context, s session, schema, table string) (string, []column, error) {
	rows, err := s.query(ctx, `SELECT n.nspname, a.attname,
  pg_catalog.format_type(a.atttypid, CASE WHEN b.typname ~ '^(numeric|time|interval)' THEN a.atttypmod ELSE -1 END), b.typname,
  a.attnotnull AND NOT a.atthasdef AND a.attidentity = '', a.attgenerated <> '' OR a.attidentity = 'a',
  (SELECT quote_ident(s.nspname) || '.' || quote_ident(l.collname) FROM pg_catalog.pg_collation AS l JOIN pg_catalog.pg_namespace AS s ON s.oid = l.collnamespace
   WHERE l.oid = a.attcollation AND l.collname <> 'default')
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
JOIN pg_catalog.pg_type AS b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
WHERE c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'f')
  AND CASE WHEN $1::text = '' THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = $1::text END
ORDER BY a.attnum`, schema, table)
	if err != nil {
		return "", nil, err
	}
	var found []column
	for _, row := range rows {
		schema = row[0]
		c := column{name: row[1], cast: row[2], class: postgresClass(row[3]), required: row[4] == "t", generated: row[5] == "t", collation: row[6]}
		c.empty = slices.Contains(postgresTexts, row[3])
		c.noKey = strings.HasSuffix(c.cast, "[]") || row[3] == "json"
		c.noInstant = !c.empty && !strings.HasPrefix(row[3], "timestamp")
		found = append(found, c)
	}
	if schema == "" { // of markers beside a table that is not there
		schema = "public"
	}
	return schema, found, nil
}

// postgresTexts are types that an empty text is a value of.
var postgresTexts = []string{"text", "varchar", "bpchar", "name", "citext", "bytea"}

func postgresClass(name string) class {
	switch name {
	case "int2", "int4", "int8":
		return classInteger
	case "numeric":
		return classDecimal
	case "json", "jsonb":
		return classJSON
	case "bytea":
		return classBytes
	}
	return classText // the server reads all others
}

func (p *postgres) uniques(ctx context.Context, s session, schema, table string) ([]index, error) {
	rows, err := s.query(ctx, `SELECT i.indexrelid::regclass, a.attname
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_index AS i ON i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.attnum
WHERE c.relname = $2 AND n.nspname = $1 AND k.place <= i.indnkeyatts
ORDER BY NOT i.indisprimary, 1, k.place`, schema, table)
	return indexes(rows), err
}

// indexes gathers rows of (index, column).
func indexes(rows [][]string) []index {
	var found []index
	for _, row := range rows {
		if len(found) == 0 || found[len(found)-1].name != row[0] {
			found = append(found, index{name: row[0]})
		}
		last := &found[len(found)-1]
		last.columns = append(last.columns, row[1])
	}
	return found
}

func (p *postgres) strayKeys(context.Context, session, *target) (string, error) { return "", nil }

func (p *postgres) createMarkers(table string) string {
	return "CREATE TABLE IF NOT EXISTS " + table + ` ("run" text NOT NULL, "run_attempt" bigint NOT NULL, "unit" text NOT NULL, "fence" bigint NOT NULL, ` +
		`"rows" bigint NOT NULL, "gone" text NOT NULL, "hash" text NOT NULL, "at" timestamptz NOT NULL, PRIMARY KEY ("run", "run_attempt", "unit"))`
}

func (p *postgres) tryMarkers(table string) string { return p.createMarkers(table) }
func (p *postgres) tried(error) bool               { return false }

func (p *postgres) insertIgnoring(insert string) string { return insert + " ON CONFLICT DO NOTHING" }

func postgresState(err error, code string) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == code
}

func (p *postgres) duplicate(err error) bool { return postgresState(err, "23505") }

func (p *postgres) immediately() string { return "SET CONSTRAINTS ALL IMMEDIATE" }

func (p *postgres) denied(err error) bool { return postgresState(err, "42501") }

// source is an array of texts for each column, side by side: the casts behind
// it are those of the table's columns.
func (p *postgres) source(c *chunk, rows []int, s *statement) string {
	var arrays, names []string
	for at := range c.target.cells {
		arrays = append(arrays, s.arg(c.appendArray(nil, rows, at))+"::text[]")
		names = append(names, fmt.Sprintf("c%d", at))
	}
	return fmt.Sprintf("unnest(%s) WITH ORDINALITY AS i(%s, n)", strings.Join(arrays, ", "), strings.Join(names, ", "))
}

// appendArray writes a column of rows as an array of texts.
func (c *chunk) appendArray(to []byte, rows []int, column int) []byte {
	to = append(to, '{')
	for n, row := range rows {
		if n > 0 {
			to = append(to, ',')
		}
		text, form := c.cell(row, column)
		if form == formNull {
			to = append(to, "NULL"...)
			continue
		}
		to = append(to, '"')
		for _, b := range text {
			if b == '"' || b == '\\' {
				to = append(to, '\\')
			}
			to = append(to, b)
		}
		to = append(to, '"')
	}
	return append(to, '}')
}

func (p *postgres) number() string             { return "i.n" }
func (p *postgres) firstNumber() int           { return 1 }
func (p *postgres) cell(at int) string         { return fmt.Sprintf("i.c%d", at) }
func (p *postgres) instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func (p *postgres) key(c column, cell string) string { return p.value(c, cell) }

func (p *postgres) value(c column, cell string) string {
	if c.class == classBytes {
		cell = `('\x' || ` + cell + ")"
	}
	return cell + "::" + c.cast
}

func (p *postgres) find(t *target, status, source, on string) string {
	return fmt.Sprintf("SELECT i.n, %s FROM %s JOIN %s AS t ON %s ORDER BY i.n FOR NO KEY UPDATE OF t", status, source, t.quoted, on)
}

func (p *postgres) update(t *target, sets []string, source, on string) string {
	return fmt.Sprintf("UPDATE %s AS t SET %s FROM %s WHERE %s", t.quoted, strings.Join(sets, ", "), source, on)
}
