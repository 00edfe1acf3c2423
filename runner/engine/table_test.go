package engine_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// table is one of somebody's database that predictions go to.
type table struct {
	*bench
	db *sql.DB
}

// intoTable is inMemory for a job that updates the rows of 30 items.
func intoTable(t *testing.T, test func(b *table)) {
	t.Helper()
	inMemory(t, func(b *bench) {
		i := newTable(b, 30)
		defer i.db.Close() //nolint:errcheck // a test's
		test(i)
		b.stop()
	})
}

// newTable has a bench's job update the rows of so many items, in a database
// that no crash of the runner takes away.
func newTable(b *bench, items int) *table {
	path := filepath.Join(filepath.Dir(b.input), "items.db")
	must(b.t, os.MkdirAll(filepath.Dir(path), 0o755))
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(wal)&_txlock=immediate")
	must(b.t, err)
	dsn := filepath.Join(filepath.Dir(b.input), "dsn")
	must(b.t, os.WriteFile(dsn, []byte("sqlite://"+path+"\n"), 0o600))
	i := &table{b, db}
	i.exec(`CREATE TABLE items (id INTEGER PRIMARY KEY, score REAL, predicted_for TEXT)`)
	for id := 1; id <= items; id++ {
		i.exec(`INSERT INTO items (id) VALUES (?)`, id)
	}
	b.job.Predict.Outputs = map[string]string{"score": "score"}
	b.job.Output = api.Output{SQL: &api.OutputSQL{DSN: api.SecretRef{File: dsn}, Table: "items", Write: api.WriteUpdate}}
	b.job.Parallelism = new(int64(1))
	return i
}

func (i *table) exec(statement string, args ...any) {
	i.t.Helper()
	_, err := i.db.Exec(statement, args...)
	must(i.t, err)
}

// text asks for one value.
func (i *table) text(query string, args ...any) (value string) {
	i.t.Helper()
	must(i.t, i.db.QueryRow(query, args...).Scan(&value))
	return value
}

// predicted are the ids of the items that have a prediction, as ranges would be
// too clever: "1 2 3".
func (i *table) predicted() string {
	i.t.Helper()
	return i.text(`SELECT COALESCE(group_concat(id, ' '), '') FROM (SELECT id FROM items WHERE score IS NOT NULL ORDER BY id)`)
}

func (i *table) expectPredicted(want ...string) {
	i.t.Helper()
	if got := i.predicted(); got != strings.Join(want, " ") {
		i.t.Fatalf("predicted are %q, want %q", got, strings.Join(want, " "))
	}
}

// halted starts a run and gives it when a record has been sent, with what lets
// it go on.
func (i *table) halted(record string) (run store.Run, release func()) {
	i.t.Helper()
	if i.store == nil {
		i.start()
	}
	here, going := make(chan struct{}), make(chan struct{})
	i.server.Inject(predicttest.Fault{Record: record, Times: 1, Do: func() { close(here); <-going }})
	run = i.queue(occurrence)
	<-here
	synctest.Wait()
	run, err := i.store.Run(run.ID)
	must(i.t, err)
	return run, func() { close(going) }
}

func (i *table) expectGone(run store.Run, want int64, message string) {
	i.t.Helper()
	if run.Counts.Gone != want || !strings.Contains(run.Message, message) {
		i.t.Errorf("%d records are gone, want %d: %s", run.Counts.Gone, want, run.Message)
	}
}

// Keys that only the table finds equal are found before anything is predicted.
func TestKeysThatTheTableFindsEqualAreTold(t *testing.T) {
	intoTable(t, func(b *table) {
		lines := records(30)
		lines[17] = "+3,17,0.5"
		b.writeInput(lines)
		run := b.day(0)
		b.expect(run, "failed(config) 0/0/0/0")
		if !strings.Contains(run.Message, "the table takes the keys id=3 and id=+3 for the same") || !strings.Contains(run.Message, ":4 and ") {
			t.Errorf("the run says: %s", run.Message)
		}
		if sent := b.server.Predicted(); len(sent) > 0 {
			t.Errorf("predictions were asked for: %v", sent)
		}
		b.job.Input.DuplicateKeys = api.DuplicatesLast
		run = b.day(1)
		b.expect(run, "succeeded() 29/0/0/0")
	})
}

func TestPredictionsGoIntoATable(t *testing.T) {
	intoTable(t, func(b *table) {
		run := b.day(0)
		b.expect(run, "succeeded() 30/0/0/0")
		b.expectPredicted(numbers(1, 30)...)
		if run.Output != "table items" || run.Revision != 1 {
			b.t.Errorf("the run's output is %q, revision %d", run.Output, run.Revision)
		}
		if got := b.text(`SELECT COUNT(*) || ' ' || SUM(rows) || ' ' || MIN(unit) FROM _batch_commits WHERE run = ? AND run_attempt = 1`, run.ID); got != "6 30 mini_batch/1" {
			b.t.Errorf("the markers say %s", got)
		}
		if _, err := os.Stat(filepath.Join(b.engine.RunDir(run.ID), "staged")); !errors.Is(err, os.ErrNotExist) {
			b.t.Errorf("staged parts are left: %v", err)
		}
	})
}

func TestATableShowsMiniBatchesOneByOne(t *testing.T) {
	intoTable(t, func(b *table) {
		run, release := b.halted("16")
		if run.State != api.RunRunning || run.Counts.Committed != 15 || run.Counts.Staged != 0 {
			b.t.Errorf("under way the run is %s %+v", run.State, run.Counts)
		}
		b.expectPredicted(numbers(1, 15)...)
		release()
		b.expect(b.rested(run.ID), "succeeded() 30/0/0/0")
		b.expectPredicted(numbers(1, 30)...)
	})
}

func TestRowsThatAreDeletedOrTakenMeanwhileAreGone(t *testing.T) {
	intoTable(t, func(b *table) {
		b.job.Output.SQL.OnlyIfUnset = new(true)
		run, release := b.halted("16")
		b.exec(`DELETE FROM items WHERE id IN (3, 18, 19)`) // the first is there already
		b.exec(`UPDATE items SET score = -1 WHERE id = 25`)
		release()
		run = b.rested(run.ID)
		b.expect(run, "succeeded() 27/0/0/0")
		b.expectGone(run, 3, "3 of 30 records had no row to be written to: deleted 2, taken 1")
		if got := b.text(`SELECT score FROM items WHERE id = 25`); got != "-1" {
			b.t.Errorf("somebody else's prediction became %s", got)
		}
	})
}

func TestARunWhoseRowsAreAllGoneHasFailed(t *testing.T) {
	for _, publish := range []string{api.PublishProgressive, api.PublishOnComplete} {
		intoTable(t, func(b *table) {
			b.job.Output.Publish = publish
			b.exec(`DELETE FROM items`)
			run := b.day(0)
			b.expect(run, "failed(nothing_succeeded) 0/0/0/0")
			b.expectGone(run, 30, "30")
			b.expect(b.retry(run.ID), "failed(nothing_succeeded) 0/0/0/0")
		})
	}
}

func TestAnOlderRunNeverOverwritesANewer(t *testing.T) {
	intoTable(t, func(b *table) {
		b.job.Output.SQL.RunAt = "predicted_for"
		b.writeInput(records(10))
		b.expect(b.day(1), "succeeded() 10/0/0/0")
		newer := b.text(`SELECT DISTINCT predicted_for FROM items WHERE predicted_for IS NOT NULL`)
		b.writeInput(records(30))
		run := b.day(0)
		b.expect(run, "succeeded() 20/0/0/0")
		b.expectGone(run, 10, "newer 10")
		if got := b.text(`SELECT COUNT(*) FROM items WHERE id <= 10 AND predicted_for = ?`, newer); got != "10" {
			b.t.Errorf("%s rows are of the newer run", got)
		}
		b.expect(b.day(2), "succeeded() 30/0/0/0")
	})
}

// Under policy complete, and where the job says so, a reader sees nothing
// before the run has ended.
func TestATableWrittenInOneGo(t *testing.T) {
	for name, setUp := range map[string]func(b *table){
		"complete":    func(b *table) { b.policy(api.PolicyComplete) },
		"on_complete": func(b *table) { b.job.Output.Publish = api.PublishOnComplete },
	} {
		t.Run(name, func(t *testing.T) {
			intoTable(t, func(b *table) {
				setUp(b)
				run, release := b.halted("26")
				if run.Counts.Staged != 25 || run.Counts.Committed != 0 {
					b.t.Errorf("under way: %+v", run.Counts)
				}
				b.expectPredicted("")
				b.exec(`DELETE FROM items WHERE id = 7`)
				release()
				run = b.rested(run.ID)
				b.expect(run, "succeeded() 29/0/0/0")
				b.expectGone(run, 1, "deleted 1")
			})
		})
	}
}

func TestACompleteRunThatFailsWritesNothing(t *testing.T) {
	intoTable(t, func(b *table) {
		b.policy(api.PolicyComplete)
		accept := b.refuse("26")
		run := b.day(0)
		b.expect(run, "failed(data) 0/0/0/30")
		b.expectPredicted("")
		accept()
		b.expect(b.retry(run.ID), "succeeded() 30/0/0/0")
		b.expectPredicted(numbers(1, 30)...)
		if got := b.text(`SELECT MIN(run_attempt) || ' ' || MAX(run_attempt) FROM _batch_commits`); got != "2 2" {
			b.t.Errorf("the rows are of run attempts %s", got)
		}
	})
}

func TestARedriveAddsToATable(t *testing.T) {
	for _, publish := range []string{api.PublishProgressive, api.PublishOnComplete} {
		intoTable(t, func(b *table) {
			b.job.Output.Publish = publish
			accept := b.refuse("1", "13", "14")
			run := b.day(0)
			b.expect(run, "incomplete() 27/0/3/0")
			b.exec(`UPDATE items SET score = -1 WHERE score IS NOT NULL`)
			b.exec(`DELETE FROM items WHERE id = 14`)
			accept()
			b.redrive(run.ID)
			run = b.rested(run.ID)
			b.expect(run, "succeeded() 29/0/0/0")
			b.expectGone(run, 1, "deleted 1")
			if got := b.text(`SELECT group_concat(id, ' ') FROM items WHERE score <> -1`); got != "1 13" || run.Revision != 2 {
				b.t.Errorf("written again, as revision %d: %s", run.Revision, got)
			}
		})
	}
}

func TestARetryAddsWhatWasGivenUp(t *testing.T) {
	intoTable(t, func(b *table) {
		repair := b.outage("12")
		run := b.day(0)
		b.expect(run, "incomplete() 25/0/0/5")
		// Meanwhile the occurrence is run again: nothing of it is replaced.
		again := b.day(0)
		b.expect(again, "incomplete() 25/0/0/5")
		repair()
		run = b.retry(run.ID)
		b.expect(run, "succeeded() 30/0/0/0")
		b.expectPredicted(numbers(1, 30)...)
		if run.Revision != 3 || again.Revision != 2 {
			b.t.Errorf("revisions are %d and %d", run.Revision, again.Revision)
		}
	})
}

func TestAWithheldRunLeavesWhatIsInTheTable(t *testing.T) {
	intoTable(t, func(b *table) {
		b.job.MaxFailed = "0"
		b.refuse("18")
		run := b.day(0)
		b.expect(run, "failed(max_failed) 19/0/1/10")
		b.expectPredicted(slices.Concat(numbers(1, 17), numbers(19, 20))...)
		run, err := b.store.Run(run.ID)
		must(b.t, err)
		if run.Output != "table items" || !run.Withheld {
			b.t.Errorf("the run's output is %q, withheld %v", run.Output, run.Withheld)
		}
		_, err = b.engine.Accept(b.t.Context(), run.ID, "good enough", "test")
		must(b.t, err)
		b.expect(b.rested(run.ID), "incomplete(accepted) 19/0/1/10")
	})
}

// A database that can't be written for a while costs waiting, nothing else.
func TestATableThatIsLockedIsWaitedFor(t *testing.T) {
	intoTable(t, func(b *table) {
		b.exec(`PRAGMA busy_timeout = 0`)
		run, release := b.halted("16")
		lock, err := b.db.Begin()
		must(b.t, err)
		_, err = lock.Exec(`UPDATE items SET predicted_for = NULL`) // and nobody else writes until it ends
		must(b.t, err)
		release()
		time.Sleep(10 * time.Minute) // of the bubble's time: the run is committing, again and again
		if run, err = b.store.Run(run.ID); err != nil || run.State != api.RunCommitting || run.Counts.Committed != 15 || run.Counts.Staged != 15 {
			b.t.Errorf("while the table is locked the run is %s %+v: %v", run.State, run.Counts, err)
		}
		must(b.t, lock.Rollback())
		b.expect(b.rested(run.ID), "succeeded() 30/0/0/0")
	})
}

// What will not pass ends the run at once, with the database's words.
func TestATableThatIsNoLongerWhatItWas(t *testing.T) {
	intoTable(t, func(b *table) {
		run, release := b.halted("16")
		b.exec(`DROP TABLE items`)
		release()
		run = b.rested(run.ID)
		if run.State != api.RunFailed || run.Reason != api.ReasonPublish || !strings.Contains(run.Message, "items") || run.Counts.Committed != 15 {
			b.t.Errorf("the run is %s(%s) %+v: %s", run.State, run.Reason, run.Counts, run.Message)
		}
		b.exec(`CREATE TABLE items (id INTEGER PRIMARY KEY, score REAL, predicted_for TEXT)`)
		b.exec(`INSERT INTO items (id) SELECT value FROM json_each('[16,17,18,19,20,21,22,23,24,25,26,27,28,29,30]')`)
		b.expect(b.retry(run.ID), "succeeded() 30/0/0/0")
		b.expectPredicted(numbers(16, 30)...)
	})
}

func TestATableIsCheckedBeforeAnythingIsPredicted(t *testing.T) {
	intoTable(t, func(b *table) {
		b.job.Output.SQL.Table = "itmes"
		run := b.day(0)
		b.expect(run, "failed(config) 0/0/0/0")
		if !strings.Contains(run.Message, "itmes") || len(b.server.Sends()) > 0 {
			b.t.Errorf("%d requests were sent, then: %s", len(b.server.Sends()), run.Message)
		}
	})
}

// A run that the process left in the middle of goes on: what was staged is
// committed, what was committed is left alone.
func TestATableRunGoesOnAfterARestart(t *testing.T) {
	intoTable(t, func(b *table) {
		run, release := b.halted("16")
		go release()
		b.stop()
		b.start()
		b.expect(b.rested(run.ID), "succeeded() 30/0/0/0")
		b.expectPredicted(numbers(1, 30)...)
		units := b.text(`SELECT COUNT(*) || ' ' || COUNT(DISTINCT unit) FROM _batch_commits`)
		if units != "6 6" {
			b.t.Errorf("markers, and units: %s", units)
		}
	})
}

func TestKeptColumnsGoIntoNewRows(t *testing.T) {
	intoTable(t, func(b *table) {
		b.exec(`CREATE TABLE scores (id INTEGER PRIMARY KEY, b REAL, score REAL)`)
		b.job.Output.SQL.Table, b.job.Output.SQL.Write, b.job.Output.Keep = "scores", api.WriteUpsert, []string{"b"}
		b.expect(b.day(0), "succeeded() 30/0/0/0")
		if got := b.text(`SELECT COUNT(*) || ' ' || MIN(b) || ' ' || MAX(b) FROM scores WHERE score IS NOT NULL`); got != "30 0.5 0.5" {
			b.t.Errorf("the table holds %s", got)
		}
	})
}

// The database may have committed a mini-batch that the store takes for staged
// when its run is cancelled. A retry hears of it, and writes nothing twice.
func TestACancelledRunKnowsWhatTheTableHolds(t *testing.T) {
	intoTable(t, func(b *table) {
		run, release := b.halted("11")
		lock, err := b.db.Begin()
		must(b.t, err)
		_, err = lock.Exec(`UPDATE items SET predicted_for = NULL`)
		must(b.t, err)
		here, going := make(chan struct{}), make(chan struct{})
		b.server.Inject(predicttest.Fault{Record: "16", Times: 1, Do: func() { close(here); <-going }})
		release()
		<-here
		synctest.Wait()
		must(b.t, lock.Rollback())
		run, err = b.store.Run(run.ID)
		must(b.t, err)
		staged, err := b.store.MiniBatches(run.ID, 2, 1)
		must(b.t, err)
		if run.Counts.Staged != 5 || staged[0].State != api.MiniBatchStaged {
			b.t.Fatalf("the run is at %+v", run.Counts)
		}
		// This is what it has committed, had the answer not been lost.
		b.exec(`UPDATE items SET score = -7 WHERE id BETWEEN 11 AND 14`)
		b.exec(`INSERT INTO _batch_commits (run, run_attempt, unit, fence, rows, gone, hash, at) VALUES (?, 1, 'mini_batch/3', 1, 4, '{"deleted":1}', ?, CURRENT_TIMESTAMP)`,
			run.ID, staged[0].SHA256)

		_, err = b.engine.Cancel(b.t.Context(), run.ID, "test")
		must(b.t, err)
		close(going)
		b.expect(b.rested(run.ID), "cancelled() 10/0/0/20")
		run = b.retry(run.ID)
		b.expect(run, "succeeded() 29/0/0/0")
		b.expectGone(run, 1, "deleted 1")
		if got := b.text(`SELECT group_concat(id, ' ') FROM items WHERE score = -7`); got != "11 12 13 14" {
			b.t.Errorf("what was there before the cancellation is now: %s", got)
		}
		if n := b.server.Predicted()["11"]; n != 1 {
			b.t.Errorf("record 11 was predicted %d times", n)
		}
	})
}
