package store

import (
	"database/sql"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	stepOne = `CREATE TABLE birds (name TEXT NOT NULL); INSERT INTO birds VALUES ('wren'), ('wren')`
	stepTwo = `CREATE TABLE nests (bird TEXT); INSERT INTO nests SELECT name FROM birds; ALTER TABLE birds ADD COLUMN seen INTEGER NOT NULL DEFAULT 0`
	// stepBad succeeds halfway and then meets data it can't take.
	stepBad = `DELETE FROM nests; CREATE UNIQUE INDEX birds_by_name ON birds (name)`
)

var update = flag.Bool("update", false, "write schema.sql anew")

// A new store is what the migrations would have made of it, statistics
// included.
func TestANewStoreIsAsMigrated(t *testing.T) {
	migrated := openRaw(t, filepath.Join(t.TempDir(), File))
	steps := must(loadMigrations())(t)
	if err := apply(t.Context(), migrated, steps, 0); err != nil {
		t.Fatal(err)
	}
	want := script(t, migrated)
	if *update {
		if err := os.WriteFile("schema.sql", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		schema = want
	}
	path := filepath.Join(t.TempDir(), File)
	fresh := openRaw(t, path)
	if err := migrate(t.Context(), fresh, path); err != nil {
		t.Fatal(err)
	}
	if got := script(t, fresh); got != want {
		t.Errorf("schema.sql is outdated; write it anew: go test ./runner/store -run ANewStore -update\n%s", got)
	}
	if count(t, fresh, `PRAGMA user_version`) != len(steps) {
		t.Error("it has the version of another schema")
	}
}

// script makes a database like db, whose tables are empty but for SQLite's
// statistics.
func script(t *testing.T, db *sql.DB) string {
	t.Helper()
	text := "-- Written by the migrations. Go on with a new one of them, not here.\n"
	rows := must(db.Query(`SELECT sql || ';' FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
UNION ALL SELECT 'ANALYZE sqlite_schema;' UNION ALL SELECT 'DELETE FROM sqlite_stat1;'
UNION ALL SELECT format('INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (%Q, %Q, %Q);', tbl, idx, stat) FROM sqlite_stat1
UNION ALL SELECT 'ANALYZE sqlite_schema;'`))(t)
	defer func() {
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	}()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		text += line + "\n"
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return text
}

func scripts(texts ...string) (steps []step) {
	for _, text := range texts {
		steps = append(steps, step{script: text})
	}
	return steps
}

func openRaw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db := must(openDB(path))(t)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func count(t *testing.T, db *sql.DB, query string) (n int) {
	t.Helper()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAnOlderStoreIsMigratedAndBackedUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), File)
	db := openRaw(t, path)
	if err := migrateBy(t.Context(), db, path, scripts(stepOne)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + ".schema-0"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a new store was backed up: %v", err)
	}
	if err := migrateBy(t.Context(), db, path, scripts(stepOne, stepTwo)); err != nil {
		t.Fatal(err)
	}
	if count(t, db, `PRAGMA user_version`) != 2 || count(t, db, `SELECT COUNT(seen) FROM birds`) != 2 || count(t, db, `SELECT COUNT(*) FROM nests`) != 2 {
		t.Error("the second step is not applied once")
	}
	backup := openRaw(t, path+".schema-1")
	if count(t, backup, `PRAGMA user_version`) != 1 || count(t, backup, `SELECT COUNT(*) FROM birds`) != 2 {
		t.Error("the backup is not the old state")
	}
	noRehearsalLeft(t, path)
	if err := migrateBy(t.Context(), db, path, scripts(stepOne, stepTwo)); err != nil {
		t.Errorf("migrating what is up to date: %v", err)
	}
}

func TestAMigrationThatFailsLeavesTheStoreAsItWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), File)
	db := openRaw(t, path)
	if err := migrateBy(t.Context(), db, path, scripts(stepOne)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // trying again changes nothing
		err := migrateBy(t.Context(), db, path, scripts(stepOne, stepTwo, stepBad))
		if err == nil || !strings.Contains(err.Error(), "from schema 1 to 3 and was left as it is: migration 3:") {
			t.Fatalf("got %v", err)
		}
		if count(t, db, `PRAGMA user_version`) != 1 || count(t, db, `SELECT COUNT(*) FROM sqlite_schema`) != 1 || count(t, db, `SELECT COUNT(*) FROM birds`) != 2 {
			t.Error("the original changed, though the copy showed the failure")
		}
		noRehearsalLeft(t, path)
	}
}

func TestAStepIsAppliedWholeOrNotAtAll(t *testing.T) {
	db := openRaw(t, filepath.Join(t.TempDir(), File))
	if err := apply(t.Context(), db, scripts(stepOne, stepTwo, stepBad), 0); err == nil {
		t.Fatal("the bad step passed")
	}
	if count(t, db, `PRAGMA user_version`) != 2 || count(t, db, `SELECT COUNT(*) FROM nests`) != 2 {
		t.Error("the bad step is applied in part")
	}
}

func noRehearsalLeft(t *testing.T, path string) {
	t.Helper()
	if left := must(filepath.Glob(path + "*.rehearsal*"))(t); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
