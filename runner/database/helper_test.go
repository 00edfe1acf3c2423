package database_test

import (
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/database/databasetest"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var occurrence = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

func open(t testing.TB, dsn string) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// words are names of types that differ between the databases, in the order
// sqlite, postgres, mysql.
func word(dsn, sqlite, postgres, mysql string) string {
	return map[string]string{"sqlite": sqlite, "postgres": postgres, "mysql": mysql}[databasetest.Dialect(databasetest.Kind(dsn))]
}

// quote quotes a name as the database does.
func quote(dsn, name string) string {
	q := word(dsn, `"`, `"`, "`")
	return q + strings.ReplaceAll(name, q, q+q) + q
}

// rows makes values of texts: JSON tokens as they are, anything else as text.
func rows(all ...[]string) iter.Seq2[[]format.Value, error] {
	return func(yield func([]format.Value, error) bool) {
		for _, row := range all {
			if !yield(values(row), nil) {
				return
			}
		}
	}
}

func values(row []string) []format.Value {
	var out []format.Value
	for _, cell := range row {
		text, isText := strings.CutPrefix(cell, "text:")
		out = append(out, format.Value{Bytes: []byte(text), JSON: !isText})
	}
	return out
}

// numbered are n rows of key and result, (from, 0.5), (from+1, 1.5), …
func numbered(from, n int) iter.Seq2[[]format.Value, error] {
	return func(yield func([]format.Value, error) bool) {
		for i := from; i < from+n; i++ {
			if !yield(values([]string{fmt.Sprint(i), fmt.Sprintf("%d.5", i-from)}), nil) {
				return
			}
		}
	}
}

// commit is the first mini-batch of a run.
func commit(t database.Table, all ...[]string) database.Commit {
	return database.Commit{Run: "01K", RunAttempt: 1, Unit: "mini_batch/1", Fence: 1, Hash: "h1", Table: t, At: occurrence, Rows: rows(all...), Records: int64(len(all))}
}

// items makes a table items(id, p) with n rows without predictions.
func items(t testing.TB, dsn string, n int) database.Table {
	t.Helper()
	databasetest.Exec(t, dsn, "CREATE TABLE items (id BIGINT PRIMARY KEY, p DOUBLE PRECISION)")
	if n > 0 {
		databasetest.Exec(t, dsn, series(dsn, "INSERT INTO items (id) SELECT n", n))
	}
	return database.Table{Name: "items", Key: []string{"id"}, Results: []string{"p"}, Write: "update"}
}

// series completes an INSERT … SELECT of n from 1 to last.
func series(dsn, insert string, last int) string {
	if databasetest.Kind(dsn) == "postgres" {
		return fmt.Sprintf("%s FROM generate_series(1, %d) AS s(n)", insert, last)
	}
	switch databasetest.Kind(dsn) {
	case "mariadb":
		return fmt.Sprintf("%s FROM (SELECT seq AS n FROM seq_1_to_%d) AS s", insert, last)
	case "mysql":
		return fmt.Sprintf("%s FROM JSON_TABLE(CONCAT('[0', REPEAT(',0', %d), ']'), '$[*]' COLUMNS (n FOR ORDINALITY)) AS s", insert, last-1)
	}
	return fmt.Sprintf("%s FROM (WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < %d) SELECT n FROM s) AS s", insert, last)
}

func check(t testing.TB, db *database.DB, table database.Table) {
	t.Helper()
	if err := db.Check(t.Context(), table); err != nil {
		t.Fatal(err)
	}
}

// wrote commits, and fails the test unless these are the counts.
func wrote(t testing.TB, db *database.DB, c database.Commit, want database.Result) {
	t.Helper()
	got, err := db.Commit(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if got.Written != want.Written || got.Already != want.Already || fmt.Sprint(got.Gone) != fmt.Sprint(orEmpty(want.Gone)) {
		t.Fatalf("commit gives %+v, want %+v", got, want)
	}
}

func orEmpty(gone map[string]int64) map[string]int64 {
	if gone == nil {
		return map[string]int64{}
	}
	return gone
}

// holds fails the test unless a query gives these rows, cells joined by "|".
func holds(t testing.TB, dsn, query string, want ...string) {
	t.Helper()
	var got []string
	for _, row := range databasetest.Query(t, dsn, query) {
		got = append(got, strings.Join(row, "|"))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Fatalf("%s gives\n%s\nwant\n%s", query, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
