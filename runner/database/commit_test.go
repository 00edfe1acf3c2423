package database_test

import (
	"errors"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/database/databasetest"
)

func TestAnUpdateWritesTheRowsThatAreThere(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db, table := open(t, dsn), items(t, dsn, 3)
		check(t, db, table)
		wrote(t, db, commit(table, []string{"3", "0.25"}, []string{"7", "0.5"}, []string{"1", "null"}, []string{"text:2", "1e-7"}),
			database.Result{Written: 3, Gone: map[string]int64{"deleted": 1}})
		holds(t, dsn, "SELECT id, p FROM items ORDER BY id", "1|NULL", "2|1e-07", "3|0.25")
		holds(t, dsn, "SELECT run, run_attempt, unit, fence, "+quote(dsn, "rows")+", gone, hash FROM _batch_commits", `01K|1|mini_batch/1|1|3|{"deleted":1}|h1`)
	})
}

func TestACommitHappensOnceHoweverOftenItIsCalled(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db, table := open(t, dsn), items(t, dsn, 2)
		check(t, db, table)
		c := commit(table, []string{"1", "0.5"}, []string{"9", "0.5"})
		want := database.Result{Written: 1, Gone: map[string]int64{"deleted": 1}}
		wrote(t, db, c, want)
		databasetest.Exec(t, dsn, "UPDATE items SET p = 7 WHERE id = 1")
		want.Already = true
		wrote(t, db, c, want)
		wrote(t, open(t, dsn), c, want)
		holds(t, dsn, "SELECT id, p FROM items ORDER BY id", "1|7", "2|NULL")

		c.Hash = "h2"
		if _, err := db.Commit(t.Context(), c); !errors.Is(err, database.ErrOther) || database.Transient(err) {
			t.Fatalf("another result for the same unit gives %v", err)
		}
		c.Unit = "mini_batch/1/2"
		wrote(t, db, c, database.Result{Written: 1, Gone: map[string]int64{"deleted": 1}})
		holds(t, dsn, "SELECT id, p FROM items ORDER BY id", "1|0.5", "2|NULL")
	})
}

func TestWhatAFailedCommitHadWrittenIsTakenBack(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db, table := open(t, dsn), items(t, dsn, 2)
		check(t, db, table)
		c := commit(table, []string{"1", "0.5"}, []string{"2", "0.5"})
		c.Records = 3
		if _, err := db.Commit(t.Context(), c); err == nil {
			t.Fatal("a commit with too few rows succeeds")
		}
		holds(t, dsn, "SELECT count(*) FROM items WHERE p IS NOT NULL", "0")
		holds(t, dsn, "SELECT count(*) FROM _batch_commits", "0")
	})
}

func TestAnUpsertWritesRowsThatAreThereAndNewOnes(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		databasetest.Exec(t, dsn, "CREATE TABLE scores (id VARCHAR(20), day DATE, name VARCHAR(20), p DOUBLE PRECISION, PRIMARY KEY (id, day))",
			"INSERT INTO scores VALUES ('a', '2026-01-01', 'old', 0.1)")
		table := database.Table{Name: "scores", Key: []string{"id", "day"}, Keep: []string{"id", "day", "name"}, Results: []string{"p"}, Write: api.WriteUpsert}
		check(t, db, table)
		wrote(t, db, commit(table,
			[]string{"text:b", `"2026-01-01"`, "text:b", `"2026-01-01"`, "text:new ü", "0.5"},
			[]string{`"a"`, `"2026-01-01"`, `"a"`, `"2026-01-01"`, `"up\nper"`, "0.75"}), database.Result{Written: 2})
		holds(t, dsn, "SELECT id, day, replace(name, '\n', '/'), p FROM scores ORDER BY id", word(dsn, "a|2026-01-01T00:00:00Z|up/per|0.75", "a|2026-01-01|up/per|0.75", "a|2026-01-01|up/per|0.75"),
			word(dsn, "b|2026-01-01T00:00:00Z|new ü|0.5", "b|2026-01-01|new ü|0.5", "b|2026-01-01|new ü|0.5"))
	})
}

func TestAnInsertLeavesRowsAloneThatAreThere(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db, table := open(t, dsn), items(t, dsn, 2)
		table.Write = api.WriteInsert
		check(t, db, table)
		wrote(t, db, commit(table, []string{"5", "0.5"}, []string{"2", "0.5"}), database.Result{Written: 1, Gone: map[string]int64{"taken": 1}})
		holds(t, dsn, "SELECT id, p FROM items ORDER BY id", "1|NULL", "2|NULL", "5|0.5")
	})
}

func TestANewerRunsRowsStayAsTheyAre(t *testing.T) {
	for _, write := range []string{api.WriteUpdate, api.WriteUpsert} {
		databasetest.Each(t, func(t *testing.T, dsn string) {
			db, table := open(t, dsn), items(t, dsn, 3)
			databasetest.Exec(t, dsn, "ALTER TABLE items ADD COLUMN scored_at "+word(dsn, "TEXT", "timestamptz", "DATETIME(6)"))
			table.RunAt, table.Write = "scored_at", write
			check(t, db, table)

			newer := commit(table, []string{"2", "0.9"})
			newer.At, newer.Run = occurrence.Add(time.Hour), "newer"
			wrote(t, db, newer, database.Result{Written: 1})
			older := commit(table, []string{"1", "0.1"}, []string{"2", "0.1"}, []string{"3", "0.1"})
			older.Run = "older"
			wrote(t, db, older, database.Result{Written: 2, Gone: map[string]int64{"newer": 1}})
			again := commit(table, []string{"3", "0.3"})
			again.Run = "again"
			wrote(t, db, again, database.Result{Written: 1})

			holds(t, dsn, "SELECT id, p FROM items ORDER BY id", "1|0.1", "2|0.9", "3|0.3")
			at := word(dsn, "2026-11-21T02:00:00Z", "2026-11-21 02:00:00+00", "2026-11-21 02:00:00.000000")
			databasetest.Exec(t, dsn, "DELETE FROM items WHERE id = 2")
			holds(t, dsn, word(dsn, "SELECT DISTINCT scored_at FROM items", "SELECT DISTINCT scored_at AT TIME ZONE 'UTC' || '+00' FROM items", "SELECT DISTINCT scored_at FROM items"), at)
		})
	}
}

func TestRowsThatOthersHaveFilledStayAsTheyAre(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db, table := open(t, dsn), items(t, dsn, 2)
		table.OnlyIfUnset = true
		check(t, db, table)
		databasetest.Exec(t, dsn, "UPDATE items SET p = 42 WHERE id = 1")
		wrote(t, db, commit(table, []string{"1", "0.1"}, []string{"2", "0.1"}, []string{"3", "0.1"}),
			database.Result{Written: 1, Gone: map[string]int64{"taken": 1, "deleted": 1}})
		holds(t, dsn, "SELECT id, p FROM items ORDER BY id", "1|42", "2|0.1")
	})
}

func TestAJSONColumnTakesAllResultsAsOneObject(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		databasetest.Exec(t, dsn, "CREATE TABLE items (id BIGINT PRIMARY KEY, prediction "+word(dsn, "JSON", "json", "JSON")+")", "INSERT INTO items (id) VALUES (1)")
		table := database.Table{Name: "items", Key: []string{"id"}, Keep: []string{"id"}, Results: []string{"label", `p"1`}, JSONColumn: "prediction", Write: api.WriteUpdate}
		check(t, db, table)
		wrote(t, db, commit(table, []string{"1", "1", `"set\"osa"`, "0.12345678901234567890"}), database.Result{Written: 1})
		want := `{"label":"set\"osa","p\"1":0.12345678901234567890}`
		if databasetest.Kind(dsn) == "mysql" { // whose type for JSON sorts names by length and has doubles
			want = `{"p\"1": 0.12345678901234568, "label": "set\"osa"}`
		}
		holds(t, dsn, "SELECT prediction FROM items", want)
	})
}

func TestNamesAreWhatTheyAreWhateverTheyHold(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		names := []string{"group", "sel lect", `q"uo`, "back`tick", "Ünï", "a.b", "1st", "'"}
		table := database.Table{Name: `"My.Table"`, Key: []string{"order", "key"}, Results: names, Write: api.WriteUpsert, RunAt: "when"}
		ddl := "CREATE TABLE " + quote(dsn, "My.Table") + " (" + quote(dsn, "order") + " BIGINT, " + quote(dsn, "key") + " BIGINT, " + quote(dsn, "when") + word(dsn, " TEXT", " timestamptz", " DATETIME")
		row, want := []string{"1", "2"}, "1|2"
		columns := quote(dsn, "order") + ", " + quote(dsn, "key")
		for _, name := range names {
			ddl += ", " + quote(dsn, name) + " VARCHAR(20)"
			columns += ", " + quote(dsn, name)
			row = append(row, `"`+"x'\\\\{}"+`"`)
			want += `|x'\{}`
		}
		databasetest.Exec(t, dsn, ddl+", UNIQUE ("+quote(dsn, "key")+", "+quote(dsn, "order")+"))")
		check(t, db, table)
		wrote(t, db, commit(table, row), database.Result{Written: 1})
		second := commit(table, row)
		second.Run = "again"
		wrote(t, db, second, database.Result{Written: 1})
		holds(t, dsn, "SELECT "+columns+" FROM "+quote(dsn, "My.Table"), want)
	})
}

func TestCellsKeepAllTheirDigits(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		databasetest.Exec(t, dsn, "CREATE TABLE items (id BIGINT PRIMARY KEY, big BIGINT, exact "+word(dsn, "TEXT", "numeric(40,20)", "DECIMAL(40,20)")+", raw "+
			word(dsn, "BLOB", "bytea", "BLOB")+", yes "+word(dsn, "BOOLEAN", "boolean", "BOOLEAN")+", list "+word(dsn, "JSON", "jsonb", "JSON")+")")
		table := database.Table{Name: "items", Key: []string{"id"}, Keep: []string{"big", "exact", "raw", "yes"}, Results: []string{"list"}, Write: api.WriteUpsert}
		check(t, db, table)
		wrote(t, db, commit(table, []string{"9223372036854775807", "-9007199254740993", "12345678901234567890.12345678901234567890", `"AP8="`, "true", `[1, "a"]`}), database.Result{Written: 1})
		holds(t, dsn, "SELECT id, big, exact, "+word(dsn, "hex(raw)", "upper(encode(raw, 'hex'))", "hex(raw)")+", yes, list FROM items",
			"9223372036854775807|-9007199254740993|12345678901234567890.12345678901234567890|00FF|"+word(dsn, "1", "t", "1")+`|[1, "a"]`)
		wrote(t, db, database.Commit{Run: "2", Unit: "u", Hash: "h", Table: table, At: occurrence, Records: 1,
			Rows: rows([]string{"9223372036854775807", "null", "text:0.1", "null", "false", `"text"`})}, database.Result{Written: 1})
		holds(t, dsn, "SELECT id, big, "+word(dsn, "exact", "trim_scale(exact)", "trim(trailing '0' from exact)")+", yes, list FROM items",
			"9223372036854775807|NULL|0.1|"+word(dsn, "0", "f", "0")+`|"text"`)
	})
}

func TestKeysOfEveryTypeFindTheirRows(t *testing.T) {
	keys := []struct{ name, sqlite, postgres, mysql, literal, cell string }{
		{"text", "TEXT", "text", "VARCHAR(50) CHARACTER SET latin1", "'ä b'", `"ä b"`},
		{"newer", "TEXT", "text", "VARCHAR(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci", "'ä €'", `"ä €"`},
		{"bin", "TEXT", "varchar(9)", "VARCHAR(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "'€'", "text:€"},
		{"char", "TEXT", "char(9)", "CHAR(9)", "'ab'", "text:ab"},
		{"uuid", "TEXT", "uuid", "UUID", "'6ccd780c-baba-1026-9564-5b8c656024db'", `"6ccd780c-baba-1026-9564-5b8c656024db"`},
		{"unsigned", "-", "numeric(20)", "BIGINT UNSIGNED", "18446744073709551615", "18446744073709551615"},
		{"decimal", "TEXT", "numeric", "DECIMAL(30,10)", "'1234567890.0000000001'", "1234567890.0000000001"},
		{"date", "TEXT", "date", "DATE", "'2026-01-02'", `"2026-01-02"`},
		{"instant", "-", "timestamp", "DATETIME(3)", "'2026-01-02 03:04:05.678'", `"2026-01-02T03:04:05.678Z"`},
		{"bytes", "BLOB", "bytea", "VARBINARY(9)", "", `"AP8="`},
		{"untyped", "", "bigint", "INT", "42", "42"},
	}
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		for _, key := range keys {
			kind := word(dsn, key.sqlite, key.postgres, key.mysql)
			if kind == "-" || kind == "UUID" && databasetest.Kind(dsn) == "mysql" {
				continue // it has no such type
			}
			literal := key.literal
			if key.name == "bytes" {
				literal = word(dsn, "x'00ff'", `'\x00ff'`, "x'00ff'")
			}
			name := "keys_" + key.name
			databasetest.Exec(t, dsn, "CREATE TABLE "+name+" (k "+kind+" PRIMARY KEY, p DOUBLE PRECISION)", "INSERT INTO "+name+" (k) VALUES ("+literal+")")
			table := database.Table{Name: name, Key: []string{"k"}, Results: []string{"p"}, Write: api.WriteUpsert}
			check(t, db, table)
			c := commit(table, []string{key.cell, "0.5"})
			c.Unit = key.name
			wrote(t, db, c, database.Result{Written: 1})
			holds(t, dsn, "SELECT count(*), sum(p) FROM "+name, "1|0.5")
		}
	})
}

func TestAKeyThatIsNoneIsRefused(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db, table := open(t, dsn), items(t, dsn, 20)
		check(t, db, table)
		for _, key := range []string{"1.7", "null", `"1x"`, `""`, "1e1"} {
			if r, err := db.Commit(t.Context(), commit(table, []string{key, "0.5"})); err == nil {
				t.Errorf("key %s gives %+v", key, r)
			}
		}
		holds(t, dsn, "SELECT count(*) FROM items WHERE p IS NOT NULL", "0")
	})
}

func TestAValueThatDoesNotFitIsRefused(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		if databasetest.Kind(dsn) == "sqlite" {
			return // its columns take anything
		}
		db := open(t, dsn)
		databasetest.Exec(t, dsn, "CREATE TABLE items (id BIGINT PRIMARY KEY, p DOUBLE PRECISION, label VARCHAR(3))", "INSERT INTO items (id) VALUES (1)")
		table := database.Table{Name: "items", Key: []string{"id"}, Results: []string{"p", "label"}, Write: api.WriteUpdate}
		check(t, db, table)
		for _, row := range [][]string{{"1", `"n/a"`, "null"}, {"1", "0.5", `"four"`}} {
			if r, err := db.Commit(t.Context(), commit(table, row)); err == nil || database.Transient(err) {
				t.Errorf("row %q gives %+v, %v", row, r, err)
			}
		}
		holds(t, dsn, "SELECT p, label FROM items", "NULL|NULL")
	})
}
