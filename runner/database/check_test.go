package database_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/database/databasetest"
)

// refuses fails the test unless Check's failure names all of these.
func refuses(t *testing.T, db *database.DB, table database.Table, parts ...string) {
	t.Helper()
	err := db.Check(t.Context(), table)
	f, ok := errors.AsType[*api.Failure](err)
	if !ok || f.Reason != api.Reason(api.ClassConfig) || database.Transient(err) {
		t.Fatalf("the check of %s gives %v", table.Name, err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the check of %s says %q, not %q", table.Name, err, part)
		}
	}
}

func TestACheckSaysWhatIsMissingAndHowToMakeIt(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db, table := open(t, dsn), items(t, dsn, 0)
		with := func(change func(*database.Table)) database.Table {
			changed := table
			change(&changed)
			return changed
		}
		refuses(t, db, with(func(t *database.Table) { t.Name = "nothing" }), "table nothing does not exist")
		refuses(t, db, with(func(t *database.Table) { t.Results = []string{"p", "q"} }), "table items has no column", quote(dsn, "q"), "ALTER TABLE", "ADD COLUMN "+quote(dsn, "q"))
		refuses(t, db, with(func(t *database.Table) { t.RunAt = "scored_at" }), "ADD COLUMN "+quote(dsn, "scored_at"))
		refuses(t, db, with(func(t *database.Table) { t.Key, t.Results = []string{"p"}, []string{"id"} }), "the key p of table items is not unique", "CREATE UNIQUE INDEX")
		refuses(t, db, with(func(t *database.Table) { t.Name = "a.b.c" }), "a.b.c")

		databasetest.Exec(t, dsn, "CREATE TABLE owned (id BIGINT PRIMARY KEY, owner VARCHAR(9) NOT NULL, p DOUBLE PRECISION)")
		refuses(t, db, database.Table{Name: "owned", Key: []string{"id"}, Results: []string{"p"}, Write: api.WriteUpsert}, "column owner of table owned must be given", "output.keep")
		check(t, db, database.Table{Name: "owned", Key: []string{"id"}, Results: []string{"p"}, Write: api.WriteUpdate})
		check(t, db, with(func(t *database.Table) { t.Results = nil }))
		holds(t, dsn, "SELECT count(*) FROM items", "0")
		holds(t, dsn, "SELECT count(*) FROM _batch_commits", "0")
	})
}

func TestTheMarkersLieBesideTheTable(t *testing.T) {
	dsn := databasetest.New(t, "postgres")
	databasetest.Exec(t, dsn, `CREATE SCHEMA "Sco res"`, `CREATE TABLE "Sco res".items (id bigint PRIMARY KEY, p float8)`, `INSERT INTO "Sco res".items VALUES (1)`)
	db := open(t, dsn)
	table := database.Table{Name: "Sco res.items", Key: []string{"id"}, Results: []string{"p"}, Write: api.WriteUpdate}
	check(t, db, table)
	wrote(t, db, commit(table, []string{"1", "0.5"}), database.Result{Written: 1})
	holds(t, dsn, `SELECT count(*) FROM "Sco res"._batch_commits`, "1")
}

func TestManyChecksAtOnceMakeOneTableOfMarkers(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db, table := open(t, dsn), items(t, dsn, 0)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if err := db.Check(t.Context(), table); err != nil && !database.Transient(err) {
					t.Error(err)
				}
			})
		}
		all.Wait()
	})
}

func TestMissingRightsAreNamedWithTheirGrant(t *testing.T) {
	for _, kind := range []string{"postgres", "mariadb", "mysql"} {
		t.Run(kind, func(t *testing.T) {
			dsn := databasetest.New(t, kind)
			table := items(t, dsn, 1)
			u, err := url.Parse(dsn)
			if err != nil {
				t.Fatal(err)
			}
			name := "u" + u.Path[1:9]
			user := name
			if databasetest.Dialect(kind) == "mysql" {
				user = "'" + name + "'@'127.0.0.1'"
			}
			databasetest.Exec(t, dsn, "CREATE USER "+user+word(dsn, "", " PASSWORD 's3cret'", " IDENTIFIED BY 's3cret'"))
			t.Cleanup(func() {
				databasetest.Exec(t, dsn, word(dsn, "", "DROP OWNED BY "+user, "SELECT 1"), "DROP USER "+user)
			})
			u.User = url.UserPassword(name, "s3cret")
			grant := func(rights, on string) { databasetest.Exec(t, dsn, "GRANT "+rights+" ON "+on+" TO "+user) }
			grant("SELECT", "items")
			db := open(t, u.String())
			refuses(t, db, table, "_batch_commits", "run as a user who may: CREATE TABLE", "; GRANT SELECT, INSERT, UPDATE ON ", name)
			if f, ok := errors.AsType[*api.Failure](db.Look(t.Context(), table)); !ok || !strings.Contains(f.Hint, "run as a user who may: CREATE TABLE") {
				t.Errorf("a look gives %v", f)
			}
			check(t, open(t, dsn), table)
			grant("SELECT, INSERT, UPDATE", "_batch_commits")
			refuses(t, db, table, "run: GRANT SELECT, UPDATE ON ", "items", name)
			if f, ok := errors.AsType[*api.Failure](db.Look(t.Context(), table)); !ok || !strings.Contains(f.Hint, "run: GRANT SELECT, UPDATE ON ") {
				t.Errorf("a look gives %v", f)
			}
			grant("UPDATE", "items")
			check(t, db, table)
			table.Write = api.WriteUpsert
			refuses(t, db, table, "run: GRANT SELECT, INSERT, UPDATE ON ", name)
			grant("INSERT", "items")
			check(t, db, table)

			u.User = url.UserPassword(name, "wr0ng")
			_, err = database.Open(t.Context(), u.String())
			if f, ok := errors.AsType[*api.Failure](err); !ok || f.Reason != "config" || strings.Contains(err.Error(), "wr0ng") || !strings.Contains(f.Error(), name+"@") || !strings.Contains(f.Error(), "; correct ") {
				t.Errorf("a wrong password gives %v", err)
			}
		})
	}
}

func TestATableWithoutTransactionsIsRefused(t *testing.T) {
	dsn := databasetest.New(t, "mariadb")
	databasetest.Exec(t, dsn, "CREATE TABLE items (id BIGINT PRIMARY KEY, p DOUBLE) ENGINE = MyISAM")
	refuses(t, open(t, dsn), database.Table{Name: "items", Key: []string{"id"}, Results: []string{"p"}, Write: api.WriteUpdate}, "ENGINE = InnoDB")
}

// Which results there are may be known only when they are written. MariaDB rounds
// what it is not kept from rounding.
func TestATableIsWrittenAsItIsNow(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db, table := open(t, dsn), items(t, dsn, 2)
		checked := table
		checked.Results = nil
		check(t, db, checked)
		wrote(t, db, commit(table, []string{"1", "0.5"}), database.Result{Written: 1})
		databasetest.Exec(t, dsn, "DROP TABLE items", "CREATE TABLE items (id BIGINT PRIMARY KEY, p BIGINT)", "INSERT INTO items (id) VALUES (1), (2)")
		check(t, db, checked)
		c := commit(table, []string{"2", "1.5"})
		c.Unit = "mini_batch/2"
		if r, err := db.Commit(t.Context(), c); !database.Unfit(err) {
			t.Errorf("it gives %+v, %v", r, err)
		}
	})
}

// They are read as base64, which a column of texts would take as another key.
func TestBytesInAColumnOfTextsAreNoKeys(t *testing.T) {
	dsn := databasetest.New(t, "sqlite")
	db := open(t, dsn)
	for n, kind := range []string{"UUID", "TEXT", ""} {
		table := database.Table{Name: fmt.Sprint("items", n), Key: []string{"k"}, Results: []string{"p"}, Write: api.WriteUpsert}
		databasetest.Exec(t, dsn, "CREATE TABLE "+table.Name+" (k "+kind+" PRIMARY KEY, p REAL)", "INSERT INTO "+table.Name+" (k) VALUES ('a'), ('ffff')")
		check(t, db, table)
		databasetest.Exec(t, dsn, "INSERT INTO "+table.Name+" (k) VALUES (x'00ff')")
		refuses(t, db, table, "column k of table "+table.Name+" holds bytes")
	}
}

// MariaDB would take the prediction and throw it away.
func TestAColumnThatTheDatabaseSetsIsRefused(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		databasetest.Exec(t, dsn, "CREATE TABLE items (id BIGINT PRIMARY KEY, x DOUBLE PRECISION, p DOUBLE PRECISION GENERATED ALWAYS AS (x * 2) STORED, q DOUBLE PRECISION)")
		table := database.Table{Name: "items", Key: []string{"id"}, Results: []string{"p"}, Write: api.WriteUpdate}
		refuses(t, db, table, "column p of table items is generated")
		table.Results = []string{"q"}
		check(t, db, table)
	})
}

// Who only looks finds what a check would find, and leaves nothing behind.
func TestALookChangesNothing(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db, table := open(t, dsn), items(t, dsn, 1)
		for range 2 {
			if err := db.Look(t.Context(), table); err != nil {
				t.Fatal(err)
			}
		}
		if err := databasetest.Try(dsn, "SELECT * FROM _batch_commits"); err == nil {
			t.Error("there are markers")
		}
		check(t, db, table)
		if err := db.Look(t.Context(), table); err != nil {
			t.Error(err)
		}
		table.Results = []string{"nothing"}
		if f, ok := errors.AsType[*api.Failure](db.Look(t.Context(), table)); !ok || !strings.Contains(f.Hint, "ADD COLUMN") {
			t.Errorf("a missing column gives %v", f)
		}
		columns, err := db.Describe(t.Context(), database.Query{Text: "SELECT id, p FROM items;"})
		if err != nil || len(columns) != 2 || columns[1].Name != "p" {
			t.Errorf("the query has %v, %v", columns, err)
		}
	})
}

// What would fail or go wrong after everything has been predicted is refused
// before.
func TestColumnsThatDoNotServeAreRefused(t *testing.T) {
	for kind, columns := range map[string]struct{ key, instant []string }{
		"sqlite":   {[]string{"DATETIME", "TIMESTAMP"}, nil},
		"postgres": {[]string{"integer[]"}, []string{"date", "time", "bigint"}},
		"mariadb":  {[]string{"FLOAT", "BIT(8)"}, []string{"DATE", "TIME", "YEAR", "BIGINT"}},
		"mysql":    {[]string{"FLOAT", "BIT(8)"}, []string{"DATE", "TIME", "YEAR", "BIGINT"}},
	} {
		t.Run(kind, func(t *testing.T) {
			dsn := databasetest.New(t, kind)
			db := open(t, dsn)
			for n, key := range columns.key {
				table := database.Table{Name: fmt.Sprint("keys", n), Key: []string{"k"}, Results: []string{"p"}, Write: api.WriteUpdate}
				databasetest.Exec(t, dsn, "CREATE TABLE "+table.Name+" (k "+key+" PRIMARY KEY, p DOUBLE PRECISION)")
				refuses(t, db, table, "column k of table "+table.Name+" can't be the key")
			}
			for n, instant := range columns.instant {
				table := database.Table{Name: fmt.Sprint("runs", n), Key: []string{"k"}, Results: []string{"p"}, RunAt: "run_at", Write: api.WriteUpdate}
				databasetest.Exec(t, dsn, "CREATE TABLE "+table.Name+" (k BIGINT PRIMARY KEY, p DOUBLE PRECISION, run_at "+instant+")")
				refuses(t, db, table, "column run_at of table "+table.Name+" can't hold the instant")
			}
		})
	}
}
