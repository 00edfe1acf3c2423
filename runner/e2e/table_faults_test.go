//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/runner/database/databasetest"
	"github.com/batchpattern/terraform-provider-batch/runner/e2e/faultynet"
)

// Whatever a database answers that passes, the run waits, says it again, and
// every row is written once. The errors are raised in the middle of a
// mini-batch's rows; sequences count across transactions that are taken back.
func TestErrorsOfATableThatPass(t *testing.T) {
	for kind, statements := range map[string][]string{
		"postgres": {`CREATE SEQUENCE strikes`, `CREATE FUNCTION strike() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			CASE nextval('strikes')
			WHEN 7 THEN RAISE 'serialization' USING ERRCODE = '40001';
			WHEN 30 THEN RAISE 'deadlock' USING ERRCODE = '40P01';
			WHEN 60 THEN RAISE 'lock timeout' USING ERRCODE = '55P03';
			WHEN 90 THEN RAISE 'out of memory' USING ERRCODE = '53200';
			ELSE NULL; END CASE; RETURN NEW; END $$`,
			`CREATE TRIGGER strike BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION strike()`},
		"mariadb": {`CREATE SEQUENCE strikes`, `CREATE TRIGGER strike BEFORE UPDATE ON items FOR EACH ROW BEGIN
			CASE NEXTVAL(strikes)
			WHEN 7 THEN SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213;
			WHEN 30 THEN SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1205;
			WHEN 60 THEN SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1020;
			WHEN 90 THEN SIGNAL SQLSTATE '08S01' SET MYSQL_ERRNO = 1053;
			ELSE BEGIN END; END CASE; END`},
		// The next number of a table counts on, whatever is taken back.
		"mysql": {`CREATE TABLE strikes (n INTEGER AUTO_INCREMENT PRIMARY KEY)`, `CREATE TRIGGER strike BEFORE UPDATE ON items FOR EACH ROW BEGIN
			INSERT INTO strikes VALUES ();
			CASE LAST_INSERT_ID()
			WHEN 7 THEN SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213;
			WHEN 30 THEN SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1205;
			WHEN 60 THEN SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 3572;
			WHEN 90 THEN SIGNAL SQLSTATE '08S01' SET MYSQL_ERRNO = 1053;
			ELSE BEGIN END; END CASE; END`},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newTableWorld(t, kind, "")
			w.query(statements...)
			w.predicts(0)
			w.once()
			if reached := w.query(map[string]string{"postgres": `SELECT last_value FROM strikes`, "mariadb": `SELECT NEXTVAL(strikes)`, "mysql": `SELECT MAX(n) FROM strikes`}[kind])[0][0]; len(reached) < 3 {
				t.Errorf("rows were updated %s times: not every error was raised", reached)
			}
		})
	}
}

// once fails the test unless every item has its prediction, written once.
func (w *tableWorld) once() {
	w.t.Helper()
	w.audit()
	items := w.items()
	for id := 1; id <= 150; id++ {
		if item := items[fmt.Sprint(id)]; !strings.HasPrefix(item, fmt.Sprint(id)+".5, ") || !strings.HasSuffix(item, ", 1") {
			w.t.Errorf("item %d is %q", id, item)
		}
	}
}

// Connections are lost at any byte of an answer: while the run is planned, in a
// transaction, and with the answer to COMMIT.
func TestLostConnectionsToATable(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for kind, size := range map[string]int64{"postgres": 1500, "mariadb": 6000, "mysql": 6001} { // about what a connection answers
		random := rand.New(rand.NewPCG(seed, uint64(size)))
		lost := 0
		for n := range 4 {
			t.Run(fmt.Sprint(kind, " ", n), func(t *testing.T) {
				w := newTableWorld(t, kind, "")
				u, err := url.Parse(w.dsn)
				w.must(err)
				var mu sync.Mutex
				left := 3
				proxy, err := faultynet.Listen(u.Host, func() (faultynet.Fault, int64) {
					mu.Lock()
					defer mu.Unlock()
					if left--; left < 0 {
						return faultynet.None, 0
					}
					return []faultynet.Fault{faultynet.Reset, faultynet.Cut}[random.IntN(2)], random.Int64N(size)
				})
				w.must(err)
				defer proxy.Close() //nolint:errcheck // a test's
				u.Host = proxy.Addr()
				w.must(os.WriteFile(filepath.Join(w.dir, "dsn"), []byte(u.String()+"\n"), 0o600))
				w.predicts(0)
				w.once()
				t.Logf("lost: %v", proxy.Struck())
				lost += len(proxy.Struck())
			})
		}
		if lost == 0 {
			t.Errorf("%s: no connection was lost", kind)
		}
	}
}

// Somebody else locks rows in the opposite order, in serializable
// transactions, and ends the runner's sessions as a restarted server does.
func TestOthersAtATable(t *testing.T) {
	for _, kind := range databasetest.Kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newTableWorld(t, kind, "")
			w.faults(map[string]any{"Delay": 40 * time.Millisecond})
			cmd := w.command("")
			var output bytes.Buffer
			cmd.Stdout, cmd.Stderr = &output, &output
			w.must(cmd.Start())
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			w.poll("a staged part", func() bool {
				parts, _ := filepath.Glob(filepath.Join(w.dataDir(), "runs", "*", "staged", "*", "*"))
				return len(parts) > 0 || len(ended) > 0
			})
			disturbed := 0
			for ; disturbed < 6 && len(ended) == 0; disturbed++ {
				w.lockBackwards()
				w.endSessions()
			}
			if err := <-ended; err != nil {
				t.Fatalf("%v\n%s", err, output.String())
			}
			w.once()
			t.Logf("disturbed %d times", disturbed)
		})
	}
}

// lockBackwards locks all items, the last first, and lets them go. It may be
// what a deadlock ends.
func (w *tableWorld) lockBackwards() {
	switch databasetest.Dialect(w.kind) {
	case "postgres":
		_ = databasetest.Try(w.dsn, `BEGIN ISOLATION LEVEL SERIALIZABLE`, `DO $$ BEGIN FOR i IN REVERSE 150..1 LOOP
			PERFORM 1 FROM items WHERE id = i FOR UPDATE; PERFORM pg_sleep(0.001); END LOOP; END $$`, `COMMIT`)
	case "mysql":
		statements := []string{`SET TRANSACTION ISOLATION LEVEL SERIALIZABLE`, `BEGIN`}
		for id := 150; id > 0; id-- {
			statements = append(statements, fmt.Sprintf(`SELECT id FROM items WHERE id = %d FOR UPDATE`, id))
		}
		_ = databasetest.Try(w.dsn, append(statements, `COMMIT`)...)
	case "sqlite":
		_ = databasetest.Try(w.dsn, `BEGIN EXCLUSIVE`, `WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 300000) SELECT max(n) FROM s`, `COMMIT`)
	}
}

// endSessions ends what the runner has open at a server.
func (w *tableWorld) endSessions() {
	w.t.Helper()
	switch databasetest.Dialect(w.kind) {
	case "postgres":
		w.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'batch-runner'`)
	case "mysql":
		for _, row := range w.query(`SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()`) {
			_ = databasetest.Try(w.dsn, `KILL `+row[0]) // it may have ended
		}
	}
}
