package engine_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database/databasetest"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// beyond has the job take rows beyond a mark.
func beyond(t *testing.T, n int, test func(b *bench, table items)) {
	t.Helper()
	ofItems(t, n, func(b *bench, table items) {
		b.job.Input.Mode, b.job.Input.SQL.Query = api.ModeWatermark, "SELECT id, a, b, at FROM items ORDER BY at, id"
		b.job.Input.SQL.Watermark = &api.Watermark{Column: "at", Start: api.StartBeginning, Lag: "0s"}
		table.pass()
		test(b, table)
	})
}

// pass waits until the database's clock, which shows milliseconds, has moved
// on: what is written before it and what is written after it have two times.
func (i items) pass() {
	i.b.t.Helper()
	const clock = `SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')`
	var before, now string
	must(i.b.t, i.db.QueryRow(clock).Scan(&before))
	for now = before; now == before; {
		must(i.b.t, i.db.QueryRow(clock).Scan(&now))
	}
}

// more adds rows that were written after what runs have seen, and before what
// the next one sees.
func (i items) more(from, to int) {
	i.b.t.Helper()
	i.pass()
	i.insert(from, to)
	i.pass()
}

// mark is where the job's mark stands; none before the first.
func (b *bench) mark() string {
	b.t.Helper()
	job, err := b.store.Job(b.job.Name)
	must(b.t, err)
	mark, err := b.store.Mark(job.UID, b.job.InputIdentity())
	if errors.Is(err, store.ErrNotFound) {
		return ""
	}
	must(b.t, err)
	return mark.Value
}

// instant is what a mark's text says: later ones may be shorter.
func (b *bench) instant(text string) time.Time {
	b.t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	must(b.t, err)
	return at
}

// Five runs that end in every way: each row is published once, whatever became
// of the run that read it first.
func TestTheMarkAcrossRunsThatEndInEveryWay(t *testing.T) {
	beyond(t, 10, func(b *bench, table items) {
		repair := b.transient(6)
		r0 := b.day(0) // loses a mini-batch
		b.expect(r0, "incomplete() 5/5/0/0")
		b.expectOwed("r0:5*1", r0)
		first := b.mark()

		table.more(11, 15)
		away := b.server.Inject(predicttest.Fault{Purpose: predicttest.AnyPurpose, Status: 401})
		r1 := b.day(1) // commits nothing
		b.expect(r1, "failed(config) 0/0/0/10")
		b.expectOwed("r0:5*1", r0, r1)
		if b.mark() != first || first == "" {
			b.t.Errorf("a run that committed nothing moved the mark from %q to %q", first, b.mark())
		}
		away()
		repair()

		table.more(16, 18)
		r2 := b.day(2) // takes what is owed first, then all that is beyond the mark
		b.expect(r2, "succeeded() 13/0/0/0")
		b.expectIDs(2, numbers(6, 18)...)
		b.expectOwed("", r0, r1, r2)
		if got := b.planned(r2); !strings.Contains(got, "5 of them left by earlier runs") {
			b.t.Errorf("planned %q", got)
		}
		for run, taker := range map[string]string{r0.ID: "run " + r2.ID + " has finished", r1.ID: r2.ID} {
			_, err := b.engine.Retry(b.t.Context(), run, api.RetryRun{}, "test")
			refusedWith(b.t, err, api.CodeConflict, taker)
		}

		before := b.mark()
		b.expect(b.day(3), "succeeded() 0/0/0/0") // finds nothing
		if b.mark() != before {
			b.t.Errorf("a run that committed nothing moved the mark")
		}

		table.more(19, 24)
		b.refuse("20")
		b.expect(b.day(4), "incomplete() 5/0/1/0") // has a dead letter, which is nobody's any more
		b.expect(b.day(5), "succeeded() 0/0/0/0")
		b.expectEach(6, each(1, 24, 20))
		for id, n := range b.server.Predicted() {
			if n != 1 {
				b.t.Errorf("record %s was predicted %d times", id, n)
			}
		}
	})
}

func TestWhereAMarkBegins(t *testing.T) {
	t.Run("now", func(t *testing.T) {
		beyond(t, 5, func(b *bench, table items) {
			b.job.Input.SQL.Watermark.Start = api.StartNow
			b.expect(b.day(0), "succeeded() 0/0/0/0")
			begun := b.mark()
			table.more(6, 8)
			b.expect(b.day(1), "succeeded() 3/0/0/0")
			b.expectIDs(1, "6", "7", "8")
			if begun == "" || b.mark() == begun {
				b.t.Errorf("the mark began at %q and is at %q", begun, b.mark())
			}
		})
	})
	t.Run("at a value", func(t *testing.T) {
		beyond(t, 5, func(b *bench, table items) {
			table.do(`UPDATE items SET at = '2026-01-0' || id || ' 00:00:00'`)
			b.job.Input.SQL.Watermark.Start = "2026-01-02T00:00:00Z"
			b.expect(b.day(0), "succeeded() 3/0/0/0")
			b.expectIDs(0, "3", "4", "5")
		})
	})
}

func TestTheLagIsLeftForLater(t *testing.T) {
	beyond(t, 5, func(b *bench, table items) {
		b.job.Input.SQL.Watermark.Lag = "1h"
		table.do(`UPDATE items SET at = strftime('%Y-%m-%d %H:%M:%f', 'now', '-59 minutes') WHERE id > 3`)
		table.do(`UPDATE items SET at = strftime('%Y-%m-%d %H:%M:%f', 'now', '-61 minutes') WHERE id <= 3`)
		b.expect(b.day(0), "succeeded() 3/0/0/0")
		b.job.Input.SQL.Watermark.Lag = "2h" // its bound lies before the mark
		before := b.mark()
		b.expect(b.day(1), "succeeded() 0/0/0/0")
		b.job.Input.SQL.Watermark.Lag = "1m"
		b.expect(b.day(2), "succeeded() 2/0/0/0")
		if !b.instant(b.mark()).After(b.instant(before)) {
			b.t.Errorf("the mark went from %s to %s", before, b.mark())
		}
		b.expectEach(3, each(1, 5))
	})
}

func TestABackfillMovesNoMarkBack(t *testing.T) {
	beyond(t, 5, func(b *bench, table items) {
		b.expect(b.day(5), "succeeded() 5/0/0/0")
		before := b.mark()
		table.more(6, 7)
		run := b.queueRun(store.Run{Run: api.Run{Occurrence: occurrence.AddDate(0, 0, -30), Origin: api.OriginBackfill}})
		b.expect(b.rested(run.ID), "succeeded() 2/0/0/0")
		if !b.instant(b.mark()).After(b.instant(before)) {
			b.t.Errorf("the mark went from %s to %s", before, b.mark())
		}
		table.more(8, 8)
		b.expect(b.day(6), "succeeded() 1/0/0/0")
	})
}

// A run that waits to be tried again has its rows: no other reads them, nor
// passes the mark over them.
func TestARunThatWaitsForItsRetryKeepsItsRows(t *testing.T) {
	beyond(t, 10, func(b *bench, table items) {
		b.job.MaxFailed = "1"
		repair := b.transient(6)
		r0 := b.day(0)
		b.expect(r0, "failed(max_failed) 0/0/0/10")
		table.more(11, 13)
		b.stop() // both wait in the queue for the next start
		b.open()
		_, err := b.engine.Retry(b.t.Context(), r0.ID, api.RetryRun{}, "test")
		must(b.t, err)
		r1 := b.queueRun(store.Run{Run: api.Run{Occurrence: occurrence.AddDate(0, 0, 1), Origin: api.OriginCatchUp}}) // has its turn first
		repair()
		must(b.t, b.engine.Start(b.t.Context()))
		r1 = b.rested(r1.ID)
		b.expect(r1, "succeeded() 0/0/0/0")
		if got := b.planned(r1); !strings.Contains(got, "run "+r0.ID+" has some of them") {
			b.t.Errorf("planned %q", got)
		}
		b.expect(b.rested(r0.ID), "succeeded() 10/0/0/0")
		b.expect(b.day(2), "succeeded() 3/0/0/0")
		b.expectEach(3, each(1, 13))
	})
}

// A row that has changed since it was left to the next run is read anew, and
// taken once.
func TestANewerRowStandsForTheOneThatIsOwed(t *testing.T) {
	beyond(t, 10, func(b *bench, table items) {
		repair := b.transient(6)
		r0 := b.day(0)
		b.expect(r0, "incomplete() 5/5/0/0")
		repair()
		table.pass()
		table.do(`UPDATE items SET a = 108, at = strftime('%Y-%m-%d %H:%M:%f', 'now') WHERE id = 8`)
		table.more(11, 12)
		r1 := b.day(1)
		b.expect(r1, "succeeded() 7/0/0/0")
		b.expectEach(2, each(1, 12))
		if predicted := b.server.Predicted(); predicted["8"] != 0 || predicted["108"] != 1 {
			b.t.Errorf("predicted %v", predicted)
		}
		b.expectOwed("", r0, r1)
		if got := b.planned(r1); !strings.Contains(got, "1 row that earlier runs owe left out") {
			b.t.Errorf("planned %q", got)
		}
		_, err := b.engine.Retry(b.t.Context(), r0.ID, api.RetryRun{}, "test")
		refusedWith(b.t, err, api.CodeConflict, r1.ID)
	})
}

// What is owed is read in the spool of the run that owes it, whatever has
// become of the table, and through a restart.
func TestWhatIsOwedIsInTheSpoolOfItsRun(t *testing.T) {
	beyond(t, 10, func(b *bench, table items) {
		repair := b.transient(6)
		r0 := b.day(0)
		table.do(`DELETE FROM items`)
		repair()
		b.stop()
		b.start()
		r1 := b.day(1)
		b.expect(r1, "succeeded() 5/0/0/0")
		b.expectIDs(1, numbers(6, 10)...)
		b.expectOwed("", r0, r1)
	})
}

func TestAWatermarkIsAColumnOfInstants(t *testing.T) {
	beyond(t, 3, func(b *bench, _ items) {
		b.job.Input.SQL.Watermark.Column = "id"
		run := b.day(0)
		b.expect(run, "failed(config) 0/0/0/0")
		if !strings.Contains(run.Message, `column "id" of the query's result is of type int64`) {
			b.t.Errorf("it says %q", run.Message)
		}
	})
}

// A day is taken once it is over: rows of it may still come.
func TestAWatermarkOfDatesLeavesTheDayUnderWay(t *testing.T) {
	beyond(t, 0, func(b *bench, table items) {
		table.do(`CREATE TABLE days (id INTEGER PRIMARY KEY, a INTEGER, b REAL, day DATE)`)
		insert := func(id int, days string) {
			table.do(`INSERT INTO days VALUES ($1, $1, 0.5, date('now', $2))`, id, days)
		}
		b.job.Input.SQL.Query, b.job.Input.SQL.Watermark.Column = "SELECT id, a, b, day FROM days", "day"
		insert(1, "-3 days")
		insert(2, "-2 days")
		insert(3, "-0 days")
		b.expect(b.day(0), "succeeded() 2/0/0/0")
		insert(4, "-0 days")
		b.expect(b.day(1), "succeeded() 0/0/0/0")
		b.job.Input.SQL.Watermark.Lag = "48h" // its bound lies before the mark
		b.expect(b.day(2), "succeeded() 0/0/0/0")
	})
}

func TestTheMarkIsWhereTheDatabasesClockWas(t *testing.T) {
	beyond(t, 1, func(b *bench, table items) {
		var before, after string
		must(b.t, table.db.QueryRow(`SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')`).Scan(&before))
		b.expect(b.day(0), "succeeded() 1/0/0/0")
		must(b.t, table.db.QueryRow(`SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')`).Scan(&after))
		if mark := b.instant(b.mark()); mark.Before(b.instant(before)) || mark.After(b.instant(after)) {
			b.t.Errorf("the mark is %s, between %s and %s", mark, before, after)
		}
	})
}

// The clocks and columns of every kind of database tell new rows from old ones.
func TestTheMarkInEveryDatabase(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		kind := databasetest.Kind(dsn)
		column := map[string]string{"sqlite": "TIMESTAMP(3)", "postgres": "TIMESTAMPTZ", "mariadb": "TIMESTAMP(6) NULL", "mysql": "TIMESTAMP(6) NULL"}[kind]
		clock := map[string]string{"sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now')", "postgres": "clock_timestamp()", "mariadb": "NOW(6)", "mysql": "NOW(6)"}[kind]
		databasetest.Exec(t, dsn, "CREATE TABLE items (id INTEGER PRIMARY KEY, a INTEGER, b DOUBLE PRECISION, at "+column+")")
		now := func() string { return databasetest.Query(t, dsn, "SELECT "+clock)[0][0] }
		insert := func(from, to int) {
			t.Helper()
			for begun := now(); now() == begun; { // the clock of SQLite shows milliseconds
			}
			for id := from; id <= to; id++ {
				databasetest.Exec(t, dsn, fmt.Sprintf("INSERT INTO items VALUES (%d, %d, 0.5, %s)", id, id, clock))
			}
			for begun := now(); now() == begun; {
			}
		}
		b := newBench(t)
		path := filepath.Join(b.dir, "dsn")
		must(t, os.WriteFile(path, []byte(dsn), 0o600))
		b.job.Input = api.Input{Mode: api.ModeWatermark, Key: []string{"id"}, SQL: &api.InputSQL{
			DSN: api.SecretRef{File: path}, Query: "SELECT id, a, b, at FROM items",
			Watermark: &api.Watermark{Column: "at", Start: api.StartBeginning, Lag: "0s"},
		}}
		b.job.MaxFailed, b.job.MiniBatch.Rows, b.job.Predict.RowsPerRequest = "50%", new(int64(5)), new(int64(5))
		insert(1, 10)
		repair := b.outage("6")
		r0 := b.run()
		b.expect(r0, "incomplete() 5/5/0/0")
		repair()
		insert(11, 13)
		b.expect(b.wait(b.queue(occurrence.AddDate(0, 0, 1)).ID), "succeeded() 8/0/0/0")
		b.expect(b.wait(b.queue(occurrence.AddDate(0, 0, 2)).ID), "succeeded() 0/0/0/0")
		insert(14, 14)
		b.expect(b.wait(b.queue(occurrence.AddDate(0, 0, 3)).ID), "succeeded() 1/0/0/0")
		b.expectEach(4, each(1, 14))
	})
}
