// Package databasetest gives tests a fresh database of every kind: SQLite
// always, servers where BATCH_TEST_POSTGRES, BATCH_TEST_MARIADB and
// BATCH_TEST_MYSQL name them.
package databasetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	_ "modernc.org/sqlite" // the driver
)

// Kinds are the kinds of databases that Each runs a test for.
var Kinds = []string{"sqlite", "postgres", "mariadb", "mysql"}

// Each runs a test once for every kind of database, with the DSN of a new,
// empty one that is dropped afterwards.
func Each(t *testing.T, test func(t *testing.T, dsn string)) {
	t.Helper()
	for _, kind := range Kinds {
		t.Run(kind, func(t *testing.T) { test(t, New(t, kind)) })
	}
}

// New makes an empty database of a kind, and drops it after the test. Where
// its server is not named the test is skipped, but fails in CI.
func New(t testing.TB, kind string) string {
	t.Helper()
	if kind == "sqlite" {
		path := filepath.Join(t.TempDir(), "test.db")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return (&url.URL{Scheme: "sqlite", Path: path}).String()
	}
	variable := "BATCH_TEST_" + strings.ToUpper(kind)
	admin := os.Getenv(variable)
	if admin == "" {
		missing := variable + " is not set: run `tools/servers.sh start DIR`, then `. DIR/env`"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	name := "t" + strings.ToLower(rand.Text()[:12])
	// Others' defaults must not matter: text is stored in what the columns say.
	create, drop := "CREATE DATABASE "+name, "DROP DATABASE "+name
	if kind == "postgres" {
		drop += " WITH (FORCE)"
	} else {
		create += " CHARACTER SET latin1"
	}
	Exec(t, admin, create)
	t.Cleanup(func() { Exec(t, admin, drop) })
	u.Path = "/" + name
	return u.String()
}

// Kind is the kind of a DSN that New gave.
func Kind(dsn string) string {
	kind, _, _ := strings.Cut(dsn, ":")
	return kind
}

// Dialect is the SQL of a kind of database: MariaDB's is that of MySQL.
func Dialect(kind string) string {
	if kind == "mariadb" {
		return "mysql"
	}
	return kind
}

// Exec runs statements in a database as somebody else would: on a connection
// of its own, past the package database.
func Exec(t testing.TB, dsn string, statements ...string) {
	t.Helper()
	Query(t, dsn, statements...)
}

// Try is Exec where the database may refuse.
func Try(dsn string, statements ...string) error {
	_, err := query(dsn, statements)
	return err
}

// Query is Exec, and gives the rows of the last statement; NULL is "NULL".
func Query(t testing.TB, dsn string, statements ...string) [][]string {
	t.Helper()
	rows, err := query(dsn, statements)
	if err != nil {
		t.Fatalf("%s: %v", strings.Join(statements, "; "), err)
	}
	return rows
}

func query(dsn string, statements []string) ([][]string, error) {
	ctx := context.Background() // cleanups come when the test's has ended
	if Kind(dsn) == "postgres" {
		return queryPostgres(ctx, dsn, statements)
	}
	db, err := open(dsn)
	if err != nil {
		return nil, err
	}
	defer db.Close()      //nolint:errcheck // nothing of it is used again
	db.SetMaxOpenConns(1) // a transaction has one session
	var rows [][]string
	for _, statement := range statements {
		if rows, err = queryOne(ctx, db, statement); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func open(dsn string) (*sql.DB, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "sqlite" {
		file := url.URL{Scheme: "file", Path: u.Path, RawQuery: "_pragma=busy_timeout(60000)"}
		return sql.Open("sqlite", file.String())
	}
	config := mysql.NewConfig()
	config.User = u.User.Username()
	config.Passwd, _ = u.User.Password()
	config.Net, config.Addr, config.DBName = "tcp", u.Host, strings.TrimPrefix(u.Path, "/")
	config.Collation = "utf8mb4_general_ci"
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

func queryOne(ctx context.Context, db *sql.DB, statement string) ([][]string, error) {
	rows, err := db.QueryContext(ctx, statement)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	values, to := make([]sql.NullString, len(names)), make([]any, len(names))
	for at := range values {
		to[at] = &values[at]
	}
	var all [][]string
	for rows.Next() {
		if err := rows.Scan(to...); err != nil {
			return nil, err
		}
		row := make([]string, len(values))
		for at, value := range values {
			if row[at] = value.String; !value.Valid {
				row[at] = "NULL"
			}
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

func queryPostgres(ctx context.Context, dsn string, statements []string) ([][]string, error) {
	conn, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing of it is used again
	var all [][]string
	for _, statement := range statements {
		result := conn.ExecParams(ctx, statement, nil, nil, nil, nil).Read()
		if result.Err != nil {
			return nil, fmt.Errorf("%w", result.Err)
		}
		all = nil
		for _, values := range result.Rows {
			row := make([]string, len(values))
			for at, value := range values {
				if row[at] = string(value); value == nil {
					row[at] = "NULL"
				}
			}
			all = append(all, row)
		}
	}
	return all, nil
}
