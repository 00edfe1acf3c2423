package database_test

import (
	"fmt"
	"math"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/database/databasetest"
)

// throughProxy gives a DSN of the same database behind a proxy.
func throughProxy(t *testing.T, dsn string) (string, *proxy) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	p := newProxy(t, u.Host)
	u.Host = p.address
	return u.String(), p
}

// until repeats a commit as its caller does: while its error is transient.
func until(t *testing.T, db *database.DB, c database.Commit) database.Result {
	t.Helper()
	for range 50 {
		result, err := db.Commit(t.Context(), c)
		if err == nil {
			return result
		}
		if !database.Transient(err) {
			t.Fatal(err)
		}
	}
	t.Fatal("50 transient errors")
	return database.Result{}
}

// The connection ends when the client has sent COMMIT: half the time the
// server never sees it, half the time it commits and nobody hears of it.
func TestACommitInDoubtHappensOnce(t *testing.T) {
	for _, kind := range []string{"postgres", "mariadb", "mysql"} {
		t.Run(kind, func(t *testing.T) {
			dsn := databasetest.New(t, kind)
			behind, p := throughProxy(t, dsn)
			db := open(t, behind)
			databasetest.Exec(t, dsn, "CREATE TABLE items (id BIGINT PRIMARY KEY, p DOUBLE PRECISION, writes BIGINT DEFAULT 0 NOT NULL)", series(dsn, "INSERT INTO items (id) SELECT n", 300))
			// What is written twice is seen.
			databasetest.Exec(t, dsn, map[string][]string{
				"postgres": {"CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.writes := OLD.writes + 1; RETURN NEW; END'",
					"CREATE TRIGGER counted BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION counted()"},
				"mysql": {"CREATE TRIGGER counted BEFORE UPDATE ON items FOR EACH ROW SET NEW.writes = OLD.writes + 1"},
			}[databasetest.Dialect(kind)]...)
			table := database.Table{Name: "items", Key: []string{"id"}, Results: []string{"p"}, Write: api.WriteUpdate}
			check(t, db, table)
			// As the protocols frame it: READ COMMITTED is no commit.
			word := map[string][]byte{"postgres": []byte("COMMIT\x00"), "mysql": []byte("\x03COMMIT")}[databasetest.Dialect(kind)]
			already := 0
			for n := range 100 {
				c := commit(table)
				c.Unit, c.Hash, c.Rows, c.Records = fmt.Sprint("mini_batch/", n), fmt.Sprint(n), numbered(1+3*n, 3), 3
				p.cutAt(word, n%2 == 0)
				result := until(t, db, c)
				if result.Written != 3 || len(result.Gone) != 0 {
					t.Fatalf("unit %d: %+v", n, result)
				}
				if result.Already {
					already++
				}
			}
			if p.cuts.Load() != 100 || already != 50 {
				t.Errorf("%d connections were cut, %d commits had taken place; want 100 and 50", p.cuts.Load(), already)
			}
			holds(t, dsn, "SELECT count(*), sum(writes), max(writes), sum(p) FROM items", "300|300|1|450")
			holds(t, dsn, "SELECT count(*), sum("+quote(dsn, "rows")+") FROM _batch_commits", "100|300")
		})
	}
}

func TestAConnectionLostInTheMiddleLeavesNothing(t *testing.T) {
	for _, kind := range []string{"postgres", "mariadb", "mysql"} {
		for _, at := range []string{"_batch_commits", "items", "UPDATE"} {
			t.Run(kind+" "+at, func(t *testing.T) {
				dsn := databasetest.New(t, kind)
				behind, p := throughProxy(t, dsn)
				db, table := open(t, behind), items(t, dsn, 2500)
				check(t, db, table)
				c := commit(table)
				c.Rows, c.Records = numbered(1, 2500), 2500
				p.cutAt([]byte(at), true)
				r, err := db.Commit(t.Context(), c)
				if err != nil && !database.Transient(err) || p.cuts.Load() != 1 {
					t.Fatalf("%v after %d cuts", err, p.cuts.Load())
				}
				if err != nil {
					r = until(t, db, c)
				}
				if r.Written != 2500 || r.Already {
					t.Errorf("%+v", r)
				}
			})
		}
	}
}

func TestManyWorkersCommitAUnitOnce(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db, table := open(t, dsn), items(t, dsn, 1000)
		check(t, db, table)
		for n := range 10 {
			var fresh atomic.Int64
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					c := commit(table)
					c.Unit, c.Rows, c.Records = fmt.Sprint(n), numbered(1, 1000), 1000
					if r := until(t, db, c); !r.Already {
						fresh.Add(1)
					}
				})
			}
			all.Wait()
			if fresh.Load() != 1 {
				t.Errorf("unit %d was written %d times", n, fresh.Load())
			}
		}
	})
}

// Workers with the same rows in opposite orders end in each other's way; who
// loses says that it passes.
func TestWorkersInEachOthersWayAllEnd(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db, table := open(t, dsn), items(t, dsn, 3000)
		check(t, db, table)
		var all sync.WaitGroup
		for n := range 4 {
			all.Go(func() {
				c := commit(table)
				c.Unit, c.Rows, c.Records = fmt.Sprint(n), numbered(1, 3000), 3000
				if n%2 == 1 {
					var turned [][]string
					for i := 3000; i > 0; i-- {
						turned = append(turned, []string{fmt.Sprint(i), "0.5"})
					}
					c.Rows = rows(turned...)
				}
				if r := until(t, db, c); r.Written != 3000 {
					t.Errorf("unit %d: %+v", n, r)
				}
			})
		}
		all.Wait()
		holds(t, dsn, "SELECT count(*) FROM _batch_commits", "4")
	})
}

// Rows come and go while they are upserted: each is counted as what it was.
func TestRowsInsertedMeanwhileAreNotInsertedTwice(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db, table := open(t, dsn), items(t, dsn, 0)
		table.Write, table.OnlyIfUnset = api.WriteUpsert, true
		check(t, db, table)
		for round := range 5 {
			var written, taken atomic.Int64
			var all sync.WaitGroup
			for n := range 4 {
				all.Go(func() {
					c := commit(table)
					c.Unit, c.Rows, c.Records = fmt.Sprint(round, n), numbered(1+round*1000, 1000), 1000
					r := until(t, db, c)
					written.Add(r.Written)
					taken.Add(r.Gone["taken"])
				})
			}
			all.Wait()
			if written.Load() != 1000 || taken.Load() != 3000 {
				t.Errorf("%d rows were written and %d taken, want 1,000 and 3,000", written.Load(), taken.Load())
			}
		}
		holds(t, dsn, "SELECT count(*) FROM items", "5000")
	})
}

// Another index of the table refuses a row: repeating does not help.
func TestARowThatAnotherIndexRefusesIsAnError(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		databasetest.Exec(t, dsn, "CREATE TABLE items (id BIGINT PRIMARY KEY, p BIGINT UNIQUE)")
		table := database.Table{Name: "items", Key: []string{"id"}, Results: []string{"p"}, Write: api.WriteInsert}
		check(t, db, table)
		if r, err := db.Commit(t.Context(), commit(table, []string{"1", "7"}, []string{"2", "7"})); err == nil || database.Transient(err) {
			t.Errorf("%+v, %v", r, err)
		}
		holds(t, dsn, "SELECT count(*) FROM items", "0")
	})
}

func TestTwoRecordsOfOneRowAreAnError(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db, table := open(t, dsn), items(t, dsn, 2)
		check(t, db, table)
		if r, err := db.Commit(t.Context(), commit(table, []string{"1", "0.5"}, []string{"2", "0.5"}, []string{"text:01", "0.7"})); err == nil || database.Transient(err) {
			t.Errorf("%+v, %v", r, err)
		}
		holds(t, dsn, "SELECT count(*) FROM items WHERE p IS NOT NULL", "0")
	})
}

func TestUnitsOfOneTransactionAreWrittenTogether(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db, table := open(t, dsn), items(t, dsn, 4)
		check(t, db, table)
		one, two, three := commit(table, []string{"1", "0.5"}), commit(table, []string{"2", "0.5"}, []string{"9", "0.5"}), commit(table, []string{"3", "text:x"})
		one.Unit, two.Unit, three.Unit = "1", "2", "3"
		wrote(t, db, one, database.Result{Written: 1})
		if databasetest.Kind(dsn) != "sqlite" { // whose columns take anything
			if _, err := db.CommitAll(t.Context(), []database.Commit{one, two, three}); err == nil {
				t.Error("a unit that can't be written is left out")
			}
		}
		holds(t, dsn, "SELECT id FROM items WHERE p IS NOT NULL", "1")
		three.Rows = rows([]string{"3", "0.5"})
		var steps []string
		one.Step = func(point string) { steps = append(steps, point) }
		results, err := db.CommitAll(t.Context(), []database.Commit{one, two, three})
		if err != nil || fmt.Sprint(results) != "[{1 map[] true} {1 map[deleted:1] false} {1 map[] false}]" {
			t.Errorf("%v, %v", results, err)
		}
		if fmt.Sprint(steps) != "[marker marker before_commit after_commit]" {
			t.Errorf("the steps are %v", steps)
		}
		holds(t, dsn, "SELECT id FROM items WHERE p IS NOT NULL ORDER BY id", "1", "2", "3")
	})
}

// The time of a commit grows with its rows, and not with their square: rows
// are found by the index, whatever the database believes of a fresh table.
func TestTimeGrowsWithTheRows(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db, table := open(t, dsn), items(t, dsn, 40_000)
		check(t, db, table)
		best := func(n int) time.Duration {
			best := time.Duration(math.MaxInt64)
			for round := range 2 {
				c := commit(table)
				c.Unit, c.Rows, c.Records = fmt.Sprint(n, round), numbered(1, n), int64(n)
				begun := time.Now()
				wrote(t, db, c, database.Result{Written: int64(n)})
				best = min(best, time.Since(begun))
			}
			return best
		}
		few, many := best(500), best(10_000)
		t.Logf("500 rows in %v, 10,000 in %v", few, many)
		if many > 100*few {
			t.Errorf("500 rows take %v, 10,000 take %v", few, many)
		}
	})
}
