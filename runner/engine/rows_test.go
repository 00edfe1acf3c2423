package engine_test

import (
	"database/sql"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database/databasetest"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// items is a table that a job reads its input from.
type items struct {
	b  *bench
	db *sql.DB
}

// ofItems has the job read a table of SQLite, with rows 1 to n.
func ofItems(t *testing.T, n int, test func(b *bench, table items)) {
	t.Helper()
	inMemory(t, func(b *bench) {
		path := filepath.Join(b.dir, "items.db")
		db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(wal)&_pragma=busy_timeout(5000)")
		must(t, err)
		defer func() { must(t, db.Close()) }()
		table := items{b, db}
		table.do(`CREATE TABLE items (id INTEGER PRIMARY KEY, a INTEGER, b REAL, at TIMESTAMP(3), prediction TEXT)`)
		table.insert(1, n)
		dsn := filepath.Join(b.dir, "dsn")
		must(t, os.WriteFile(dsn, []byte("sqlite://"+path+"\n"), 0o600))
		b.job.Input = api.Input{Key: []string{"id"}, SQL: &api.InputSQL{DSN: api.SecretRef{File: dsn}, Query: "SELECT id, a, b FROM items ORDER BY id"}}
		test(b, table)
	})
}

func (i items) do(statement string, args ...any) {
	i.b.t.Helper()
	_, err := i.db.Exec(statement, args...)
	must(i.b.t, err)
}

// insert adds rows as of now.
func (i items) insert(from, to int) {
	i.b.t.Helper()
	for id := from; id <= to; id++ {
		i.do(`INSERT INTO items (id, a, b, at) VALUES ($1, $1, 0.5, strftime('%Y-%m-%d %H:%M:%f', 'now'))`, id)
	}
}

// planned is what the history of a run says of its plan.
func (b *bench) planned(run store.Run) string {
	b.t.Helper()
	return b.detail(run.ID, "planned")
}

// refusedWith holds an error to a code and a part of its text.
func refusedWith(t *testing.T, err error, code api.Code, part string) {
	t.Helper()
	if api.CodeOf(err) != code || !strings.Contains(err.Error(), part) {
		t.Errorf("got %v, want %s with %q", err, code, part)
	}
}

func TestRowsArePredictedAsTheyWereReadAtPlanning(t *testing.T) {
	ofItems(t, 30, func(b *bench, table items) {
		var once sync.Once
		b.server.Inject(predicttest.Fault{Delay: 1, Do: func() {
			once.Do(func() {
				table.do(`UPDATE items SET a = 1000 WHERE id = 30`)
				table.do(`DELETE FROM items WHERE id BETWEEN 20 AND 25`)
				table.insert(31, 40)
			})
		}})
		run := b.day(0)
		b.expect(run, "succeeded() 30/0/0/0")
		b.expectIDs(0, numbers(1, 30)...)
		if predicted := b.server.Predicted(); predicted["30"] != 1 || predicted["1000"] != 0 {
			b.t.Errorf("predicted %v", predicted)
		}
		b.expect(b.day(1), "succeeded() 34/0/0/0") // mode full takes all, each time
	})
}

// What a run has read lies in its spool: nothing asks the table again.
func TestARetryReadsTheSpool(t *testing.T) {
	ofItems(t, 10, func(b *bench, table items) {
		b.policy(api.PolicyNextBatch) // in mode full, rows come back by themselves
		repair := b.transient(6)
		run := b.day(0)
		b.expect(run, "incomplete() 5/0/0/5")
		b.expectOwed("", run)
		table.do(`DELETE FROM items`)
		b.stop()
		b.start()
		repair()
		b.expect(b.retry(run.ID), "succeeded() 10/0/0/0")
		b.expectIDs(0, numbers(1, 10)...)
		b.expect(b.day(1), "failed(input_empty) 0/0/0/0")
	})
}

func TestAQueryIsToldItsOccurrenceAndTheLastSuccess(t *testing.T) {
	ofItems(t, 3, func(b *bench, table items) {
		table.do(`UPDATE items SET at = '2026-11-' || (20 + id) || ' 01:00:00'`) // before the occurrences of days 0, 1 and 2
		b.job.Input.SQL.Query = `SELECT id, a, b FROM items WHERE datetime(at) <= datetime(:scheduled_at)
			AND (:previous_success_at IS NULL OR datetime(at) > datetime(:previous_success_at)) -- ':none'`
		b.expect(b.day(0), "succeeded() 1/0/0/0")
		repair := b.server.Inject(predicttest.Fault{Purpose: predicttest.AnyPurpose, Status: 401})
		b.expect(b.day(1), "failed(config) 0/0/0/1")
		repair()
		b.expect(b.day(2), "succeeded() 2/0/0/0")
		b.expectIDs(2, "2", "3")
		again := b.wait(b.queue(occurrence.AddDate(0, 0, 2)).ID) // itself is no previous one
		b.expect(again, "succeeded() 2/0/0/0")
	})
}

func TestAQueryThatDoesNotServeFailsWithWhatItHas(t *testing.T) {
	for name, test := range map[string]struct {
		query string
		says  []string
	}{
		"lacks a feature":    {"SELECT id, b, at AS date FROM items", []string{`lacks "a"`, `has "id", "b", "date"`, "input.sql.query"}},
		"does not run":       {"SELECT id, a, b, c FROM items", []string{"refuses the query", "no such column: c", "try input.sql.query by hand"}},
		"has a column twice": {"SELECT id, a, b, 1 AS a FROM items", []string{"two columns a"}},
		"finds nothing":      {"SELECT id, a, b FROM items WHERE id > 100 ORDER BY id -- ", []string{"input.sql.query finds no row"}},
	} {
		t.Run(name, func(t *testing.T) {
			ofItems(t, 4, func(b *bench, _ items) {
				b.job.Input.SQL.Query = test.query
				run := b.day(0)
				if run.State != api.RunFailed {
					b.t.Errorf("it %s", run.State)
				}
				for _, part := range test.says {
					if !strings.Contains(run.Message, part) {
						b.t.Errorf("it says %q, and not %q", run.Message, part)
					}
				}
			})
		})
	}
}

func TestDuplicateKeysOfAQuery(t *testing.T) {
	for which, want := range map[string]struct {
		end, ids, says string
	}{
		api.DuplicatesError: {"failed(config) 0/0/0/0", "", "key id=0: row 1 of the query and row 5 of the query; 4 such keys in the input, 6 records too many"},
		api.DuplicatesFirst: {"succeeded() 4/0/0/0", "0 1 2 3", `6 records left out: only the first with its key is taken`},
		api.DuplicatesLast:  {"succeeded() 4/0/0/0", "2 3 0 1", `6 records left out: only the last with its key is taken`},
	} {
		t.Run(which, func(t *testing.T) {
			ofItems(t, 10, func(b *bench, table items) {
				b.job.Input.SQL.Query = "SELECT (id - 1) % 4 AS id, a, b FROM items ORDER BY items.id"
				b.job.Input.DuplicateKeys = which
				run := b.day(0)
				b.expect(run, want.end)
				if says := run.Message + b.planned(run); !strings.Contains(says, want.says) {
					b.t.Errorf("it says %q", says)
				}
				if got := strings.Join(b.idsOrNone(0), " "); got != want.ids {
					b.t.Errorf("published %q", got)
				}
			})
		})
	}
}

func TestDuplicateKeysOfFiles(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.job.Input.Files.URI = filepath.Join(b.dir, "in", "*.csv")
		b.file("z.csv", 28, 6) // beside 1 to 30
		b.job.Input.DuplicateKeys = api.DuplicatesError
		run := b.day(0)
		b.expect(run, "failed(config) 0/0/0/0")
		if !strings.Contains(run.Message, b.input+":29 and "+filepath.Join(b.dir, "in", "z.csv")+":2") {
			b.t.Errorf("it says %q", run.Message)
		}
		b.job.Input.DuplicateKeys = api.DuplicatesLast
		b.server.Inject(predicttest.Fault{Record: "28", Status: 400, Purpose: predicttest.AnyPurpose})
		run = b.day(1)
		b.expect(run, "incomplete() 32/0/1/0")
		if letters := b.letters(run.ID); len(letters) != 1 || letters[0].Source.File != filepath.Join(b.dir, "in", "z.csv") || letters[0].Source.Line != 2 {
			b.t.Errorf("dead letters %+v", letters)
		}
		if got := b.planned(run); !strings.Contains(got, "3 records left out: only the last with its key is taken") {
			b.t.Errorf("planned %q", got)
		}
	})
}

// idsOrNone are the ids that a day's run has published, if it has.
func (b *bench) idsOrNone(day int) []string {
	b.t.Helper()
	if _, err := os.Stat(b.folder(occurrence.AddDate(0, 0, day))); err != nil {
		return nil
	}
	return b.ids(day)
}

// predicts has the table hold a prediction for what a day's run has published, as a
// job would that writes to it.
func (i items) predicts(day int) {
	i.b.t.Helper()
	for _, id := range i.b.ids(day) {
		i.do(`UPDATE items SET prediction = 'x' WHERE id = $1`, id)
	}
}

// unpredicted has the job take rows without a prediction.
func unpredicted(t *testing.T, n int, test func(b *bench, table items)) {
	t.Helper()
	ofItems(t, n, func(b *bench, table items) {
		b.job.Input.Mode, b.job.Input.SQL.Query = api.ModePredicate, "SELECT id, a, b FROM items WHERE prediction IS NULL ORDER BY id"
		test(b, table)
	})
}

func TestADeadRowIsLeftOutUntilItChanges(t *testing.T) {
	unpredicted(t, 10, func(b *bench, table items) {
		accept := b.refuse("3", "7")
		r0 := b.day(0)
		b.expect(r0, "incomplete() 8/0/2/0")
		table.predicts(0)
		sends := len(b.server.Sends())
		r1 := b.day(1)
		b.expect(r1, "succeeded() 0/0/0/0")
		if got := b.planned(r1); !strings.Contains(got, "2 rows left out: dead letters of run "+r0.ID+", unchanged") || len(b.server.Sends()) != sends {
			b.t.Errorf("planned %q", got)
		}
		table.do(`UPDATE items SET at = 'some other day' WHERE id = 7`) // which no run reads
		b.expect(b.day(2), "succeeded() 0/0/0/0")
		table.do(`UPDATE items SET b = 0.75 WHERE id = 3`)
		table.insert(11, 13)
		r3 := b.day(3)
		b.expect(r3, "incomplete() 3/0/1/0") // it is still refused
		table.predicts(3)
		r4 := b.day(4)
		b.expect(r4, "succeeded() 0/0/0/0")
		if got := b.planned(r4); !strings.Contains(got, "2 rows left out") || !strings.Contains(got, r0.ID) || !strings.Contains(got, r3.ID) {
			b.t.Errorf("planned %q", got)
		}
		accept()
		table.do(`UPDATE items SET b = 0.25 WHERE id = 3`)
		b.expect(b.day(5), "succeeded() 1/0/0/0")
		b.expectIDs(5, "3")
	})
}

func TestARedriveClearsWhatItPredicts(t *testing.T) {
	unpredicted(t, 10, func(b *bench, table items) {
		accept := b.refuse("3", "7")
		r0 := b.day(0)
		table.predicts(0)
		accept()
		b.refuse("7")
		b.redrive(r0.ID)
		b.expect(b.rested(r0.ID), "incomplete() 9/0/1/0")
		table.do(`UPDATE items SET prediction = NULL WHERE id = 3`) // wanted once more
		r1 := b.day(1)
		b.expect(r1, "succeeded() 1/0/0/0")
		b.expectIDs(1, "3")
		if got := b.planned(r1); !strings.Contains(got, "1 row left out: dead letters of run "+r0.ID) {
			b.t.Errorf("planned %q", got)
		}
	})
}

func TestRowsOfAPredicateComeBackByThemselves(t *testing.T) {
	unpredicted(t, 10, func(b *bench, table items) {
		repair := b.transient(6)
		r0 := b.day(0)
		b.expect(r0, "incomplete() 5/0/0/5")
		b.expectOwed("", r0)
		table.predicts(0)
		repair()
		b.expect(b.day(1), "succeeded() 5/0/0/0")
		b.expectIDs(1, numbers(6, 10)...)
	})
}

func TestARunThatCommitsNothingRemembersNoDeadRow(t *testing.T) {
	unpredicted(t, 2, func(b *bench, table items) {
		b.job.MaxFailed = "100%"
		table.do(`UPDATE items SET a = 'no number'`)
		b.expect(b.day(0), "failed(nothing_succeeded) 0/0/2/0")
		table.insert(3, 5)
		b.expect(b.day(1), "incomplete() 3/0/2/0") // has them again, and remembers them now
		table.predicts(1)
		b.expect(b.day(2), "succeeded() 0/0/0/0")
	})
}

func TestTheMemoryOfAPredicateIsBoundToItsQuery(t *testing.T) {
	for state, want := range map[string]string{api.StateReset: "incomplete() 1/0/1/0", api.StateKeep: "succeeded() 1/0/0/0"} {
		t.Run(state, func(t *testing.T) {
			unpredicted(t, 5, func(b *bench, table items) {
				b.refuse("3")
				b.expect(b.day(0), "incomplete() 4/0/1/0")
				table.predicts(0)
				table.insert(6, 6)
				b.job.Input.SQL.Query = strings.Replace(b.job.Input.SQL.Query, "WHERE", "WHERE id > 0 AND", 1)
				job := b.put()
				must(b.t, b.store.Write(b.t.Context(), func(tx *store.Tx) error { // as package trigger has it
					if state == api.StateReset {
						return tx.ForgetInputs(job.UID)
					}
					return tx.KeepInputs(job.UID, b.job.InputIdentity())
				}))
				b.expect(b.day(1), want)
			})
		})
	}
}

// byKey counts how often each id was published by any day's run.
func (b *bench) byKey(days int) map[string]int {
	b.t.Helper()
	counts := map[string]int{}
	for day := range days {
		for _, id := range b.idsOrNone(day) {
			counts[id]++
		}
	}
	return counts
}

// each expects every id of a range once, but for some.
func each(from, to int, but ...int) map[string]int {
	want := map[string]int{}
	for id := from; id <= to; id++ {
		if !slices.Contains(but, id) {
			want[fmt.Sprint(id)] = 1
		}
	}
	return want
}

func (b *bench) expectEach(days int, want map[string]int) {
	b.t.Helper()
	if got := b.byKey(days); !maps.Equal(got, want) {
		b.t.Errorf("published by key: %v", got)
	}
}

// A job over the table that it writes to: a refused row does not block the rest,
// and comes back by itself once it is repaired.
func TestAPredicateOverTheTableThatItFills(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		databasetest.Exec(t, dsn, "CREATE TABLE items (id INTEGER PRIMARY KEY, a INTEGER, b DOUBLE PRECISION, prediction TEXT)")
		for id := 1; id <= 10; id++ {
			databasetest.Exec(t, dsn, fmt.Sprintf("INSERT INTO items VALUES (%d, %d, 0.5, NULL)", id, id))
		}
		b := newBench(t)
		path := filepath.Join(b.dir, "dsn")
		must(t, os.WriteFile(path, []byte(dsn), 0o600))
		ref := api.SecretRef{File: path}
		b.job.Input = api.Input{Mode: api.ModePredicate, Key: []string{"id"}, SQL: &api.InputSQL{DSN: ref, Query: "SELECT id, a, b FROM items WHERE prediction IS NULL"}}
		b.job.Output = api.Output{Keep: []string{}, SQL: &api.OutputSQL{DSN: ref, Table: "items", Write: api.WriteUpdate, JSONColumn: "prediction"}}
		b.job.MaxFailed, b.job.MiniBatch.Rows = "50%", new(int64(4))
		accept := b.refuse("3")
		unpredicted := func() string {
			return fmt.Sprint(databasetest.Query(t, dsn, "SELECT id FROM items WHERE prediction IS NULL ORDER BY id"))
		}
		r0 := b.run()
		b.expect(r0, "incomplete() 9/0/1/0")
		if got := unpredicted(); got != "[[3]]" {
			t.Errorf("without a prediction: %s", got)
		}
		r1 := b.wait(b.queue(occurrence.AddDate(0, 0, 1)).ID)
		b.expect(r1, "succeeded() 0/0/0/0")
		if got := b.planned(r1); !strings.Contains(got, "1 row left out: dead letters of run "+r0.ID+", unchanged") {
			t.Errorf("planned %q", got)
		}
		accept()
		databasetest.Exec(t, dsn, "UPDATE items SET b = 0.75 WHERE id = 3")
		b.expect(b.wait(b.queue(occurrence.AddDate(0, 0, 2)).ID), "succeeded() 1/0/0/0")
		if got := unpredicted(); got != "[]" {
			t.Errorf("without a prediction: %s", got)
		}
	})
}
