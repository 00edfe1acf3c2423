package database

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// sqliteFile is a SQLite database.
type sqliteFile struct {
	db *sql.DB
}

func openSQLite(u *url.URL) (server, error) {
	if err := onlyOptions(u); err != nil {
		return nil, err
	}
	// Opening would create what a typing error names.
	if _, err := os.Stat(u.Path); err != nil {
		return nil, fail("create the database, or correct the path of the dsn", err)
	}
	uri := url.URL{Scheme: "file", Path: u.Path, RawQuery: url.Values{
		"mode":    {"rw"},
		"_pragma": {"busy_timeout(60000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"},
	}.Encode()}
	db, err := sql.Open("sqlite", uri.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(keptIdle)
	db.SetConnMaxIdleTime(keptIdleFor)
	return &sqliteFile{db: db}, nil
}

func (f *sqliteFile) kind() string { return "sqlite" }

func (f *sqliteFile) close() { _ = f.db.Close() }

func (f *sqliteFile) begin(ctx context.Context, writes bool) (session, error) {
	text := "BEGIN"
	if writes {
		text = "BEGIN IMMEDIATE"
	}
	s, err := beginSQL(ctx, f.db, text)
	if err != nil {
		return nil, err
	}
	s.cells = newSQLiteCells
	s.shown = func(column *sql.ColumnType) string { return sqliteWord(column.DatabaseTypeName()) }
	s.unit = sqliteUnit
	return s, nil
}

// sqliteUnit is that of CURRENT_TIMESTAMP, unless the declared type has digits,
// as TIMESTAMP(3) has: a text may have fractions or not.
func sqliteUnit(column *sql.ColumnType) time.Duration {
	if sqliteWord(column.DatabaseTypeName()) == api.TypeDate {
		return day
	}
	name, digits, _ := strings.Cut(strings.ToUpper(column.DatabaseTypeName()), "(")
	if name != "DATETIME" && name != "TIMESTAMP" {
		digits = "" // the length of a text
	}
	known, _ := strconv.ParseInt(strings.TrimSuffix(digits, ")"), 10, 64) // none: whole seconds
	return fraction(known)
}

// sqliteWord is the type of a column for an output, by its declared type.
func sqliteWord(declared string) string {
	declared = strings.ToUpper(declared)
	switch has := func(part string) bool { return strings.Contains(declared, part) }; {
	case has("BOOL"):
		return api.TypeBoolean
	case has("INT"):
		return api.TypeInt64
	case has("JSON"):
		return api.TypeJSON
	case declared == "DATE":
		return api.TypeDate
	case declared == "DATETIME" || declared == "TIMESTAMP":
		return api.TypeTimestamp
	case has("REAL"), has("FLOA"), has("DOUBLE"):
		return api.TypeDouble
	}
	return api.TypeString
}

// sqliteCells reads values of whatever type each of them has.
type sqliteCells struct {
	words  []string
	values []any
	to     []any
}

func newSQLiteCells(types []*sql.ColumnType) cells {
	c := &sqliteCells{values: make([]any, len(types))}
	for at, column := range types {
		c.words = append(c.words, sqliteWord(column.DatabaseTypeName()))
		c.to = append(c.to, &c.values[at])
	}
	return c
}

func (c *sqliteCells) scan(rows *sql.Rows) error { return rows.Scan(c.to...) }

func (c *sqliteCells) append(to []byte, column int) []byte {
	word := c.words[column]
	switch v := c.values[column].(type) {
	case nil:
		return append(to, "null"...)
	case int64:
		if word == api.TypeBoolean && (v == 0 || v == 1) {
			return strconv.AppendBool(to, v == 1)
		}
		return strconv.AppendInt(to, v, 10)
	case float64:
		return appendFloat(to, v)
	case []byte:
		return appendBytes(to, v)
	case time.Time:
		if word == api.TypeDate {
			return append(v.AppendFormat(append(to, '"'), time.DateOnly), '"')
		}
		return appendTime(to, v)
	case string:
		if word == api.TypeJSON && json.Valid([]byte(v)) {
			return appendJSON(to, []byte(v))
		}
		return format.AppendString(to, []byte(v))
	default:
		return format.AppendString(to, fmt.Append(nil, v))
	}
}
