package database_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/database/databasetest"
)

// lines reads a query to its end.
func lines(t testing.TB, db *database.DB, q database.Query) []string {
	t.Helper()
	rows, err := db.Read(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	var all []string
	for rows.Next() {
		all = append(all, string(rows.AppendJSON(nil)))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func reads(t testing.TB, db *database.DB, q database.Query, want ...string) {
	t.Helper()
	if got := lines(t, db, q); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s reads\n%s\nwant\n%s", q.Text, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// JSON has no numbers that begin with 00.
func TestZerosThatFillAColumnAreNotRead(t *testing.T) {
	for _, kind := range []string{"mariadb", "mysql"} {
		dsn := databasetest.New(t, kind)
		databasetest.Exec(t, dsn, "CREATE TABLE items (a INT(6) ZEROFILL, b DECIMAL(10,2) ZEROFILL, c DECIMAL(5,0) ZEROFILL)", "INSERT INTO items VALUES (7, 7.5, 70), (0, 0, 0)")
		reads(t, open(t, dsn), database.Query{Text: "SELECT * FROM items ORDER BY a DESC"}, `{"a":7,"b":7.50,"c":70}`, `{"a":0,"b":0.00,"c":0}`)
	}
}

func TestRowsAreReadAsTheyAreStored(t *testing.T) {
	type cell struct{ kind, literal, want, word string }
	for kind, cells := range map[string][]cell{
		"postgres": {
			{"bigint", "9223372036854775807", "9223372036854775807", "int64"},
			{"smallint", "-3", "-3", "int64"},
			{"numeric(40,20)", "12345678901234567890.12345678901234567890", "12345678901234567890.12345678901234567890", "decimal(40,20)"},
			{"numeric", "'NaN'", `"NaN"`, "string"},
			{"double precision", "0.1", "0.1", "double"},
			{"double precision", "1e300", "1e+300", "double"},
			{"double precision", "'-Infinity'", `"-Infinity"`, "double"},
			{"real", "0.1", "0.1", "double"},
			{"boolean", "true", "true", "boolean"},
			{"json", "'{\"a\":\n 1.00,\n\"n\": 123456789012345678901}'", `{"a":  1.00, "n": 123456789012345678901}`, "json"},
			{"jsonb", `'{"a": 1.00, "b": [null]}'`, `{"a": 1.00, "b": [null]}`, "json"},
			{"date", "'2026-01-02'", `"2026-01-02"`, "date"},
			{"timestamp", "'2026-01-02 03:04:05.600'", `"2026-01-02T03:04:05.6Z"`, "timestamp"},
			{"timestamptz", "'2026-01-02 03:04:05+02'", `"2026-01-02T01:04:05Z"`, "timestamp"},
			{"timestamptz", "'infinity'", `"infinity"`, "timestamp"},
			{"uuid", "'6ccd780c-baba-1026-9564-5b8c656024db'", `"6ccd780c-baba-1026-9564-5b8c656024db"`, "string"},
			{"text", `E'a"b\\c\n\té\x01'`, `"a\"b\\c\n\té\u0001"`, "string"},
			{"text", "'null'", `"null"`, "string"},
			{"bytea", `'\x00ff'`, `"AP8="`, "string"},
			{"int[]", "'{{1,2},{NULL,4}}'", "[[1,2],[null,4]]", "json"},
			{"int[]", "'[0:1]={1,2}'", "[1,2]", "json"},
			{"text[]", `ARRAY['a,b', 'q"\', '', 'NULL', NULL, '{}']`, `["a,b","q\"\\","","NULL",null,"{}"]`, "json"},
			{"float8[]", "'{0.5,NaN}'", `[0.5,"NaN"]`, "json"},
			{"jsonb[]", `ARRAY['{"a": 1}'::jsonb]`, `[{"a": 1}]`, "json"},
			{"timestamptz[]", "'{2026-01-02 03:04:05+00}'", `["2026-01-02T03:04:05Z"]`, "json"},
			{"bool[]", "'{t,f}'", "[true,false]", "json"},
			{"text[]", "'{}'", "[]", "json"},
			{"interval", "'1 day 2 hours'", `"P1DT2H"`, "string"},
			{"inet", "'10.0.0.1'", `"10.0.0.1"`, "string"},
			{"text", "NULL", "null", "string"},
			{"int[]", "NULL", "null", "json"},
		},
		"mariadb": {
			{"BIGINT", "-9223372036854775808", "-9223372036854775808", "int64"},
			{"BIGINT UNSIGNED", "18446744073709551615", "18446744073709551615", "int64"},
			{"TINYINT(1)", "1", "1", "int64"},
			{"DECIMAL(40,20)", "12345678901234567890.12345678901234567890", "12345678901234567890.12345678901234567890", "decimal(40,20)"},
			{"DOUBLE", "0.1", "0.1", "double"},
			{"DOUBLE", "1000000.5", "1000000.5", "double"},
			{"DOUBLE", "1e300", "1e+300", "double"},
			{"FLOAT", "16777215.5", "16777216", "double"},
			{"FLOAT", "0.1", "0.1", "double"},
			{"JSON", "'{\"a\":\n1.00}'", `{"a": 1.00}`, "json"},
			{"JSON", `'"text"'`, `"text"`, "json"},
			{"LONGTEXT", `'[1]'`, `"[1]"`, "string"},
			{"DATE", "'2026-01-02'", `"2026-01-02"`, "date"},
			{"DATETIME", "'2026-01-02 03:04:05'", `"2026-01-02T03:04:05Z"`, "timestamp"},
			{"DATETIME(6)", "'2026-01-02 03:04:05.6'", `"2026-01-02T03:04:05.6Z"`, "timestamp"},
			{"TIMESTAMP", "FROM_UNIXTIME(1000000000)", `"2001-09-09T01:46:40Z"`, "timestamp"},
			{"TIME", "'25:00:00'", `"25:00:00"`, "string"},
			{"YEAR", "2026", "2026", "int64"},
			{"UUID", "'6ccd780c-baba-1026-9564-5b8c656024db'", `"6ccd780c-baba-1026-9564-5b8c656024db"`, "string"},
			{"VARCHAR(20) CHARACTER SET latin1", `'a"é'`, `"a\"é"`, "string"},
			{"TEXT CHARACTER SET utf8mb4", `'€ 😀'`, `"€ 😀"`, "string"},
			{"VARBINARY(9)", "x'00ff'", `"AP8="`, "string"},
			{"BLOB", "x'00ff'", `"AP8="`, "string"},
			{"ENUM('a','b')", "'b'", `"b"`, "string"},
			{"JSON", "NULL", "null", "string"},
		},
		"mysql": {
			{"BIGINT UNSIGNED", "18446744073709551615", "18446744073709551615", "int64"},
			{"TINYINT(1)", "1", "1", "int64"},
			{"DECIMAL(40,20)", "12345678901234567890.12345678901234567890", "12345678901234567890.12345678901234567890", "decimal(40,20)"},
			{"DOUBLE", "0.1", "0.1", "double"},
			{"DOUBLE", "1e300", "1e+300", "double"},
			{"FLOAT", "0.1", "0.1", "double"},
			{"JSON", "'{\"long\": 1.00, \"a\":\n12345678901234567890}'", `{"a": 12345678901234567890, "long": 1.0}`, "json"},
			{"JSON", `'"text"'`, `"text"`, "json"},
			{"JSON", "'null'", "null", "json"},
			{"JSON", "NULL", "null", "json"},
			{"LONGTEXT", `'[1]'`, `"[1]"`, "string"},
			{"DATE", "'2026-01-02'", `"2026-01-02"`, "date"},
			{"DATETIME(6)", "'2026-01-02 03:04:05.6'", `"2026-01-02T03:04:05.6Z"`, "timestamp"},
			{"TIMESTAMP", "FROM_UNIXTIME(1000000000)", `"2001-09-09T01:46:40Z"`, "timestamp"},
			{"TIME", "'25:00:00'", `"25:00:00"`, "string"},
			{"YEAR", "2026", "2026", "int64"},
			{"VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci", "'€ 😀'", `"€ 😀"`, "string"},
			{"VARCHAR(20) CHARACTER SET latin1", `'a"é'`, `"a\"é"`, "string"},
			{"BINARY(2)", "x'00ff'", `"AP8="`, "string"},
			{"BLOB", "x'00ff'", `"AP8="`, "string"},
			{"BIT(9)", "b'100000001'", "257", "int64"},
			{"BIT(64)", "b'" + strings.Repeat("1", 64) + "'", "18446744073709551615", "int64"},
			{"INT(6) ZEROFILL", "7", "7", "int64"},
			{"ENUM('a','b')", "'b'", `"b"`, "string"},
		},
		"sqlite": {
			{"INTEGER", "9223372036854775807", "9223372036854775807", "int64"},
			{"BOOLEAN", "1", "true", "boolean"},
			{"REAL", "0.1", "0.1", "double"},
			{"REAL", "1000000.5", "1000000.5", "double"},
			{"REAL", "9e999", `"+Inf"`, "double"},
			{"TEXT", `'a"b'`, `"a\"b"`, "string"},
			{"JSON", "'{\"a\":\n1.00}'", `{"a": 1.00}`, "json"},
			{"JSON", "'no json'", `"no json"`, "json"},
			{"BLOB", "x'00ff'", `"AP8="`, "string"},
			{"DATE", "'2026-01-02'", `"2026-01-02"`, "date"},
			{"DATETIME", "'2026-01-02 03:04:05'", `"2026-01-02T03:04:05Z"`, "timestamp"},
			{"", "7", "7", "string"},
			{"TEXT", "NULL", "null", "string"},
		},
	} {
		t.Run(kind, func(t *testing.T) {
			dsn := databasetest.New(t, kind)
			var ddl, literals, want, words []string
			for at, cell := range cells {
				ddl = append(ddl, fmt.Sprintf("c%d %s", at, cell.kind))
				literals = append(literals, cell.literal)
				want = append(want, fmt.Sprintf(`"c%d":%s`, at, cell.want))
				words = append(words, cell.word)
			}
			databasetest.Exec(t, dsn, "CREATE TABLE t ("+strings.Join(ddl, ", ")+")", "INSERT INTO t VALUES ("+strings.Join(literals, ", ")+")")
			db := open(t, dsn)
			got := lines(t, db, database.Query{Text: "SELECT * FROM t"})[0]
			if wanted := "{" + strings.Join(want, ",") + "}"; got != wanted {
				t.Errorf("the row reads\n%s\nwant\n%s", got, wanted)
			}
			if !json.Valid([]byte(got)) {
				t.Error("that is no JSON")
			}
			rows, err := db.Read(t.Context(), database.Query{Text: "SELECT * FROM t"})
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close() //nolint:errcheck // rows.Err tells what matters
			for at, c := range rows.Columns() {
				if c != (api.Column{Name: fmt.Sprintf("c%d", at), Type: words[at]}) {
					t.Errorf("column %d (%s) is %+v, want type %s", at, cells[at].kind, c, words[at])
				}
			}
		})
	}
}

func TestParametersAreBoundWhereTheyAreNamed(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		databasetest.Exec(t, dsn, "CREATE TABLE items (id BIGINT PRIMARY KEY, at "+word(dsn, "TEXT", "timestamptz", "DATETIME")+")",
			"INSERT INTO items VALUES (1, '2026-11-21 01:00:00'), (2, '2026-11-21 02:00:00'), (3, '2026-11-21 03:00:00')")
		params := map[string]any{"scheduled_at": occurrence, "previous_success_at": nil, "n": int64(2), "s": "it's"}
		reads(t, db, database.Query{Params: params, Text: `SELECT id /* :n */ FROM items -- :nothing
			WHERE at <= :scheduled_at AND id = :n AND ':n' = ':n' AND :previous_success_at IS NULL; -- done`}, `{"id":2}`)
		reads(t, db, database.Query{Params: params, Text: `SELECT ` + word(dsn, "", "x.", "") + `s AS v FROM (SELECT ` + word(dsn, ":s", ":s::text", ":s") + ` AS s) AS x`}, `{"v":"it's"}`)
		if databasetest.Kind(dsn) == "postgres" {
			reads(t, db, database.Query{Params: params, Text: `SELECT id FROM items WHERE at > :scheduled_at - interval '1 hour' AND at < :scheduled_at + '1 hour'::interval`}, `{"id":2}`)
		}
		for _, bad := range []string{"SELECT :nothing", "SELECT 1; SELECT 2", "SELECT", "SELECT nothing FROM items", "SELECT 1 AS a, 2 AS a", "SELECT * FROM nothing"} {
			_, err := db.Read(t.Context(), database.Query{Params: params, Text: bad})
			if f, ok := errors.AsType[*api.Failure](err); !ok || f.Reason != "config" {
				t.Errorf("%s gives %v", bad, err)
			}
		}
	})
}

func TestAWatermarkTakesTheRowsOfItsRange(t *testing.T) {
	for name, column := range map[string]struct{ sqlite, postgres, mysql, values, low, high string }{
		"integer":  {"INTEGER", "bigint", "BIGINT", "(1, 9007199254740992), (2, 9007199254740993), (3, 9007199254740994)", "9007199254740992", "9007199254740993"},
		"instant":  {"DATETIME", "timestamptz", "DATETIME(6)", "(1, '2026-01-01 00:00:00'), (2, '2026-01-01 00:00:00.5'), (3, '2026-01-01 00:00:01.5')", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"},
		"local":    {"TEXT", "timestamp", "TIMESTAMP(6)", "(1, '2026-01-01 00:00:00'), (2, '2026-01-01 00:00:00.5'), (3, '2026-01-01 00:00:01.5')", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"},
		"text T":   {"TEXT", "", "", "(1, '2026-01-01T00:00:00Z'), (2, '2026-01-01T00:00:01Z'), (3, '2026-01-01T00:00:02Z')", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"},
		"fraction": {"TEXT", "", "", "(1, '2026-01-01T00:00:00.4Z'), (2, '2026-01-01T00:00:00.52Z'), (3, '2026-01-01T00:00:00.6Z')", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00.55Z"},
		"date":     {"DATE", "date", "DATE", "(1, '2026-01-01'), (2, '2026-01-02'), (3, '2026-01-03')", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"},
		"text":     {"TEXT", "text", "VARCHAR(10)", "(1, 'a'), (2, 'b'), (3, 'c')", "a", "b"},
	} {
		t.Run(name, func(t *testing.T) {
			databasetest.Each(t, func(t *testing.T, dsn string) {
				kind := word(dsn, column.sqlite, column.postgres, column.mysql)
				if kind == "" {
					return // nobody keeps instants as text there
				}
				if name == "date" && databasetest.Kind(dsn) == "sqlite" {
					return // its dates are texts, and compared as such
				}
				db := open(t, dsn)
				databasetest.Exec(t, dsn, "CREATE TABLE items (id INTEGER, "+quote(dsn, "my mark")+" "+kind+")", "INSERT INTO items VALUES "+column.values)
				query := database.Query{Text: "SELECT id, " + quote(dsn, "my mark") + " FROM items WHERE id <> :n -- rows", Params: map[string]any{"n": int64(7)},
					Watermark: &database.Range{Column: "my mark", Low: &column.low, High: column.high}}
				if got := lines(t, db, query); len(got) != 1 || !strings.HasPrefix(got[0], `{"id":2,`) {
					t.Errorf("(%s, %s] reads %q", column.low, column.high, got)
				}
				query.Watermark.Low = nil
				if got := lines(t, db, query); len(got) != 2 {
					t.Errorf("(…, %s] reads %q", column.high, got)
				}
			})
		})
	}
}

func TestAReadSeesOneSnapshot(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		items(t, dsn, 20_000)
		rows, err := db.Read(t.Context(), database.Query{Text: "SELECT id FROM items"})
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close() //nolint:errcheck // rows.Err tells what matters
		n := 0
		for rows.Next() {
			if n++; n == 1 {
				databasetest.Exec(t, dsn, "DELETE FROM items WHERE id > 10000", "INSERT INTO items (id) VALUES (-1)")
			}
		}
		if rows.Err() != nil || n != 20_000 {
			t.Errorf("%d rows, %v", n, rows.Err())
		}
	})
}

func TestAReadThatIsNotFinishedLeavesNothingBehind(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		table := items(t, dsn, 20_000)
		check(t, db, table)
		for range 10 {
			rows, err := db.Read(t.Context(), database.Query{Text: "SELECT id FROM items"})
			if err != nil || !rows.Next() {
				t.Fatal(err)
			}
			if err := rows.Close(); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		rows, err := db.Read(ctx, database.Query{Text: "SELECT id FROM items"})
		if err != nil || !rows.Next() {
			t.Fatal(err)
		}
		cancel()
		for rows.Next() {
		}
		if err := rows.Err(); err != nil && (!errors.Is(err, context.Canceled) || database.Transient(err)) {
			t.Errorf("a cancelled read ends with %v", err)
		}
		_ = rows.Close()
		wrote(t, db, commit(table, []string{"1", "0.5"}), database.Result{Written: 1})
	})
}

func TestMemoryDoesNotGrowWithTheRows(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		peak := func(n int) uint64 {
			rows, err := db.Read(t.Context(), database.Query{Text: series(dsn, "SELECT n, n AS m, 'a text of some length' AS s", n)})
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close() //nolint:errcheck // rows.Err tells what matters
			var line []byte
			var most uint64
			read := 0
			for rows.Next() {
				line = rows.AppendJSON(line[:0])
				if read++; read%(n/4) == 0 {
					var stats runtime.MemStats
					runtime.GC()
					runtime.ReadMemStats(&stats)
					most = max(most, stats.HeapAlloc)
				}
			}
			if rows.Err() != nil || read != n {
				t.Fatal(read, rows.Err())
			}
			return most
		}
		small, large := peak(1_000), peak(100_000)
		if large > small+1<<20 {
			t.Errorf("%d bytes with 1,000 rows, %d with 100,000", small, large)
		}
	})
}

func TestFirstGivesTheFirstValueAsText(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		for query, want := range map[string]string{
			"SELECT 1": "1", "SELECT 'a\"b'": `a"b`, "SELECT NULL": "", "SELECT 1 FROM (SELECT 2 AS a) AS s WHERE a = 3": "", "SELECT count(*) FROM (SELECT 1 AS a) AS s": "1",
		} {
			if got, err := db.First(t.Context(), database.Query{Text: query}); err != nil || got != want {
				t.Errorf("%s gives %q, %v", query, got, err)
			}
		}
		if now, err := db.Now(t.Context()); err != nil || time.Since(now).Abs() > time.Minute || now.Location() != time.UTC {
			t.Errorf("the clock says %v, %v", now, err)
		}
	})
}
