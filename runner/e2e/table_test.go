//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database/databasetest"
	"github.com/batchpattern/terraform-provider-batch/runner/e2e/accountant"
)

// tableWorld is a world whose predictions go into a table of 150 items. A
// trigger of the database counts how often each has got a prediction.
type tableWorld struct {
	*world
	kind, dsn string
	others    map[string]bool // items that the test has deleted or filled
}

// theirs is the prediction that the test gives to items before the runner does.
const theirs = "-1"

func newTableWorld(t *testing.T, kind, input string) *tableWorld {
	t.Helper()
	w := &tableWorld{world: newWorld(t, input), kind: kind, dsn: databasetest.New(t, kind), others: map[string]bool{}}
	secret := filepath.Join(w.dir, "dsn")
	w.must(os.WriteFile(secret, []byte(w.dsn+"\n"), 0o600))
	w.job.Predict.Outputs = map[string]string{"score": "score"}
	w.job.Output = api.Output{SQL: &api.OutputSQL{DSN: api.SecretRef{File: secret}, Table: "items", Write: api.WriteUpdate, RunAt: "scored_for"}}
	instant := map[string]string{"sqlite": "TEXT", "postgres": "TIMESTAMPTZ", "mysql": "DATETIME(6)"}[databasetest.Dialect(kind)]
	statements := []string{`CREATE TABLE items (id INTEGER PRIMARY KEY, score DOUBLE PRECISION, scored_for ` + instant + `, writes INTEGER NOT NULL DEFAULT 0)`}
	switch databasetest.Dialect(kind) {
	case "sqlite":
		statements = append(statements, `PRAGMA journal_mode = wal`, `CREATE TRIGGER counts AFTER UPDATE OF score ON items WHEN NEW.score <> -1
			BEGIN UPDATE items SET writes = writes + 1 WHERE id = NEW.id; END`)
	case "postgres":
		statements = append(statements, `CREATE FUNCTION counts() RETURNS trigger LANGUAGE plpgsql AS
			'BEGIN IF NEW.score <> -1 THEN NEW.writes := OLD.writes + 1; END IF; RETURN NEW; END'`,
			`CREATE TRIGGER counts BEFORE UPDATE OF score ON items FOR EACH ROW EXECUTE FUNCTION counts()`)
	case "mysql":
		statements = append(statements, `CREATE TRIGGER counts BEFORE UPDATE ON items FOR EACH ROW SET NEW.writes = OLD.writes + IF(NEW.score <> -1, 1, 0)`)
	}
	var ids []string
	for id := 1; id <= 150; id++ {
		ids = append(ids, fmt.Sprintf("(%d)", id))
	}
	w.query(append(statements, `INSERT INTO items (id) VALUES `+strings.Join(ids, ", "))...)
	return w
}

func (w *tableWorld) query(statements ...string) [][]string {
	w.t.Helper()
	return databasetest.Query(w.t, w.dsn, statements...)
}

// marked tells whether the runner has made its table beside the items.
func (w *tableWorld) marked() bool {
	catalog := "information_schema.tables WHERE table_name"
	switch databasetest.Dialect(w.kind) {
	case "sqlite":
		catalog = "sqlite_schema WHERE name"
	case "mysql":
		catalog = "information_schema.tables WHERE table_schema = DATABASE() AND table_name"
	}
	return w.query(`SELECT COUNT(*) FROM ` + catalog + ` = '_batch_commits'`)[0][0] != "0"
}

func (w *tableWorld) audit() *accountant.Account {
	w.t.Helper()
	w.ended()
	quote := `"`
	if databasetest.Dialect(w.kind) == "mysql" {
		quote = "`"
	}
	account, err := accountant.AuditTable(w.dataDir(), "id", accountant.Table{
		Query: func(statement string) [][]string { return w.query(statement) }, Quote: quote, Marked: w.marked(),
		Name: "items", Prediction: "score", Others: w.others,
	})
	w.must(err)
	if err := account.Err(); err != nil {
		w.t.Error(err)
	}
	return account
}

// ended waits until the server has noticed that a runner is gone, and is done with
// what it has got of it: a COMMIT may be on its way.
func (w *tableWorld) ended() {
	w.t.Helper()
	sessions := map[string]string{
		"postgres": `SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`,
		"mysql":    `SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()`,
	}[databasetest.Dialect(w.kind)]
	if sessions != "" {
		w.poll("the end of all sessions", func() bool { return w.query(sessions)[0][0] == "0" })
	}
}

// items are the rows of the table: "score, for which occurrence, how often".
func (w *tableWorld) items() map[string]string {
	w.t.Helper()
	rows := map[string]string{}
	for _, row := range w.query(`SELECT id, score, scored_for, writes FROM items`) {
		rows[row[0]] = strings.Join(row[1:], ", ")
	}
	return rows
}

// tableSetups are ways to run a job with a table, with the failpoints that are
// worth a kill.
var tableSetups = []struct {
	name     string
	apply    func(*world)
	failures []string
}{
	{name: "progressive", failures: []string{
		"stage.row:4", "sql.marker:4", "sql.before_commit:4", "sql.after_commit_before_row:4", "reveal.row:4", "publish.intent", "sql.publish", "publish.row",
	}},
	{name: "on_complete", apply: func(w *world) { w.job.Output.Publish = api.PublishOnComplete }, failures: []string{
		"publish.intent", "sql.marker", "sql.before_commit", "sql.after_commit_before_row", "sql.publish",
	}},
	{name: "complete", apply: func(w *world) {
		w.job.Retry = &api.Retry{Policy: api.PolicyComplete, Backoff: []api.Duration{"10ms"}}
	}, failures: []string{"stage.row:4", "sql.before_commit", "sql.after_commit_before_row", "sql.publish"}},
}

// Killed at any failpoint, the same command again leaves the table that an
// undisturbed run leaves: every row written, and written once.
func TestKillWhileWritingATable(t *testing.T) {
	for _, kind := range databasetest.Kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel() // each waits for a disk
			reference := newTableWorld(t, kind, "")
			reference.predicts(0)
			reference.audit()
			want := reference.items()
			if got := want["57"]; !strings.HasPrefix(got, "57.5, ") || !strings.HasSuffix(got, ", 1") {
				t.Fatalf("an undisturbed run left item 57 as %q", got)
			}
			for _, s := range tableSetups {
				for _, failpoint := range s.failures {
					t.Run(s.name+" "+failpoint, func(t *testing.T) {
						w := newTableWorld(t, kind, reference.input)
						if s.apply != nil {
							s.apply(w.world)
						}
						output, err := w.predict(failpoint)
						w.assertReached(failpoint, output, err)
						account := w.audit()
						for _, run := range account.Runs {
							if n := run.Count(accountant.Published); s.apply != nil && n != 0 && n != 150 {
								t.Errorf("%d of 150 rows are visible before the run has ended", n)
							}
						}
						if failpoint == "publish.row" {
							assertSameTree(t, want, w.items(), "")
							return // the run has ended
						}
						w.predicts(0)
						assertSameTree(t, want, w.items(), "")
						w.audit()
						if left := w.orphans(); len(left) > 0 {
							t.Errorf("prediction servers are left: %v", left)
						}
					})
				}
			}
		})
	}
}

// tableKills is how many times a table's runner is killed at random for each
// kind of database and way to publish.
const tableKills = 4

// Kills at random instants while somebody else deletes and fills rows: every
// other row is written once, and what is not written is gone for a reason.
func TestRandomKillsWhileWritingATable(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	input := newWorld(t, "").input
	for lane, kind := range databasetest.Kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, uint64(lane)))
			for n := range tableKills {
				t.Run(fmt.Sprint(n), func(t *testing.T) {
					w := newTableWorld(t, kind, input)
					if n%2 == 1 {
						w.job.Retry = &api.Retry{Policy: api.PolicyComplete, Backoff: []api.Duration{"10ms"}}
					}
					w.killAtRandom(random)
				})
			}
		})
	}
}

func (w *tableWorld) killAtRandom(random *rand.Rand) {
	w.job.Output.SQL.OnlyIfUnset = new(true)
	w.faults(map[string]any{"Delay": 40 * time.Millisecond})
	victim := []string{"runner", "server", "both"}[random.IntN(3)]
	cmd := w.command("")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	w.must(cmd.Start())
	w.poll("a staged part", func() bool {
		parts, _ := filepath.Glob(filepath.Join(w.dataDir(), "runs", "*", "staged", "*", "*"))
		return len(parts) > 0 || cmd.ProcessState != nil
	})
	w.interfere(random)
	<-time.After(time.Duration(random.IntN(400)) * time.Millisecond) // the instant is the point
	w.strike(victim, cmd)
	err := cmd.Wait()
	killed := victim != "server" && exitCode(err) == -1
	if killed && !w.hasSucceeded() { // else the same command would be another run
		w.interfere(random)
		w.predicts(0)
	} else if err != nil && !killed {
		w.t.Errorf("%s killed: the command ended with %v\n%s", victim, err, output.String())
	}
	account := w.audit()
	if len(account.Runs) != 1 {
		w.t.Errorf("there are %d runs", len(account.Runs))
	}
	items := w.items()
	for id := 1; id <= 150; id++ {
		key := fmt.Sprint(id)
		item, there := items[key]
		switch {
		case w.others[key] && !there:
		case w.others[key] && strings.HasPrefix(item, theirs+", ") && strings.HasSuffix(item, ", 0"):
		case !strings.HasPrefix(item, key+".5, ") || !strings.HasSuffix(item, ", 1"):
			w.t.Errorf("item %s is %q (somebody else's: %v)", key, item, w.others[key])
		}
	}
	if left := w.orphans(); len(left) > 0 {
		w.t.Errorf("prediction servers are left: %v", left)
	}
	w.t.Logf("%s killed; %d rows were somebody else's", victim, len(w.others))
}

// interfere deletes items, and fills others that have no prediction yet.
func (w *tableWorld) interfere(random *rand.Rand) {
	w.t.Helper()
	ids := map[int]bool{}
	for range 6 {
		ids[1+random.IntN(150)] = true
	}
	for i, id := range slices.Sorted(maps.Keys(ids)) {
		w.others[fmt.Sprint(id)] = true
		if i%2 == 0 {
			w.query(fmt.Sprintf(`DELETE FROM items WHERE id = %d`, id))
		} else {
			w.query(fmt.Sprintf(`UPDATE items SET score = %s WHERE id = %d AND score IS NULL`, theirs, id))
		}
	}
}

// An older occurrence that is run later leaves alone what a newer one has
// written, killed or not.
func TestAnOlderRunThatIsKilledNeverOverwritesANewer(t *testing.T) {
	for _, kind := range databasetest.Kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newTableWorld(t, kind, "")
			w.occurrence = "2026-11-22T02:00:00Z"
			w.predicts(0)
			newer := w.items()
			w.occurrence = "2026-11-21T02:00:00Z"
			output, err := w.predict("sql.after_commit_before_row:4")
			w.assertReached("sql.after_commit_before_row", output, err)
			w.predicts(3) // none of its records has a row
			assertSameTree(t, newer, w.items(), "")
		})
	}
}
