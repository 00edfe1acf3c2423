package database_test

import (
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/runner/database/databasetest"
)

func TestTheMarkersOfARunSayWhatItHasCommitted(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db, table := open(t, dsn), items(t, dsn, 3)
		if markers, err := db.Markers(t.Context(), table, "01K"); err != nil || len(markers) > 0 {
			t.Fatalf("without a table of markers: %+v, %v", markers, err)
		}
		check(t, db, table)
		c := commit(table, []string{"1", "0.5"}, []string{"9", "0.5"})
		if _, err := db.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		c.Run = "01L"
		if _, err := db.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		markers, err := db.Markers(t.Context(), table, "01K")
		if err != nil || len(markers) != 1 {
			t.Fatalf("%+v, %v", markers, err)
		}
		if m := markers[0]; m.RunAttempt != 1 || m.Unit != "mini_batch/1" || m.Hash != "h1" || m.Result.Written != 1 || m.Result.Gone["deleted"] != 1 {
			t.Errorf("%+v", m)
		}
	})
}

func TestOldMarkersAreRemovedButThoseOfTheRunItself(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db, table := open(t, dsn), items(t, dsn, 3)
		if err := db.PruneMarkers(t.Context(), table, "new", time.Hour); err != nil {
			t.Fatalf("without a table of markers: %v", err)
		}
		check(t, db, table)
		for _, run := range []string{"old", "old, but mine", "new"} {
			c := commit(table, []string{"1", "0.5"})
			c.Run = run
			if _, err := db.Commit(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		databasetest.Exec(t, dsn, "UPDATE _batch_commits SET "+quote(dsn, "at")+" = '2024-02-29 23:00:00' WHERE run <> 'new'")
		if err := db.PruneMarkers(t.Context(), table, "old, but mine", 365*24*time.Hour); err != nil {
			t.Fatal(err)
		}
		holds(t, dsn, "SELECT run FROM _batch_commits ORDER BY run", "new", "old, but mine")
	})
}
