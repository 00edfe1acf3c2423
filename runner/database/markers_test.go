package database_test

import (
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/runner/database"
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

// A session may still commit though nobody hears of it any more: who asks what is
// committed is told once it has ended.
func TestMarkersAreAwaitedWhileASessionMayCommit(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db, table := open(t, dsn), items(t, dsn, 3)
		check(t, db, table)
		c := commit(table, []string{"1", "0.5"})
		asked := make(chan []database.Marker, 1)
		begun := c
		begun.Step = func(point string) {
			if point != database.StepCommit { // all is written but the end
				return
			}
			if early, err := db.Markers(t.Context(), table, c.Run); err != nil || len(early) > 0 {
				t.Errorf("before the end there are %+v, %v", early, err)
			}
			go func() {
				markers, err := db.AwaitMarkers(t.Context(), table, c.Run, []database.Commit{c})
				if err != nil {
					t.Error(err)
				}
				asked <- markers
			}()
			untilOneWaits(t, dsn)
		}
		if _, err := db.Commit(t.Context(), begun); err != nil {
			t.Fatal(err)
		}
		if markers := <-asked; len(markers) != 1 || markers[0].Unit != c.Unit {
			t.Errorf("it was told %+v", markers)
		}
		other := c
		other.Unit = "mini_batch/2"
		if markers, err := db.AwaitMarkers(t.Context(), table, c.Run, []database.Commit{c, other}); err != nil || len(markers) != 1 {
			t.Errorf("of a unit that nobody commits it is told %+v, %v", markers, err)
		}
		holds(t, dsn, "SELECT unit FROM _batch_commits", "mini_batch/1")
	})
}

// untilOneWaits asks the server until a session waits for another. SQLite has none
// to ask: there one writer waits for the other anyway.
func untilOneWaits(t *testing.T, dsn string) {
	t.Helper()
	status := map[string]string{"mariadb": "information_schema.GLOBAL_STATUS", "mysql": "performance_schema.global_status"}[databasetest.Kind(dsn)]
	waiting := word(dsn, "", "SELECT count(*) FROM pg_locks WHERE NOT granted", "SELECT variable_value FROM "+status+" WHERE variable_name = 'Innodb_row_lock_current_waits'")
	for waiting != "" && t.Context().Err() == nil && databasetest.Query(t, dsn, waiting)[0][0] == "0" {
	}
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
