package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database/databasetest"
)

// table makes a table of the first items with their right scores, or without.
func table(t *testing.T, dsn, name string, items int, scored bool) {
	t.Helper()
	databasetest.Exec(t, dsn, `CREATE TABLE `+name+` (id INTEGER PRIMARY KEY, score DOUBLE PRECISION, scored_for TEXT)`)
	var rows []string
	for id := 1; id <= items; id++ {
		score := "NULL"
		if scored {
			score = fmt.Sprintf("%d.5", id)
		}
		rows = append(rows, fmt.Sprintf("(%d, %s, NULL)", id, score))
	}
	databasetest.Exec(t, dsn, `INSERT INTO `+name+` VALUES `+strings.Join(rows, ", "))
}

func TestARunAgainstATable(t *testing.T) {
	b := newBench(t)
	c := b.withRunner()
	b.declare(c, b.job("sweet", 1, 150))
	b.expect(exitDone, "run", "sweet", "--wait")
	run := b.lastRun(c, "sweet")
	dsn := databasetest.New(t, "sqlite")
	table(t, dsn, "old", 149, true)
	b.env["OLD_DSN"] = dsn

	args := []string{"diff", run, "--against-dsn", "env:OLD_DSN", "--key", "id", "--query"}
	s := b.expect(exitDone, append(args, "SELECT id, score FROM old")...)
	contains(t, s.out, "equal    149", "differ   0", "extra    1 (only in what the run published)")
	s = b.expect(exitFailed, append(args, "SELECT id, score - 1 AS score FROM old WHERE id < 8", "--fail-on", "differ")...)
	contains(t, s.out, "differ   7", "differ id=1: score is 1.5, and 0.5 in the query")

	secret := filepath.Join(b.dir, "dsn")
	must(t, os.WriteFile(secret, []byte(dsn+"\n"), 0o600))
	b.expect(exitDone, "diff", run, "--against-dsn", "file:"+secret, "--key", "id", "--query", "SELECT id, score FROM old")
	contains(t, b.expect(exitError, append(args, "SELECT nothing")...).err, "the database refuses the query")
	contains(t, b.expect(exitError, "diff", run, "--against-dsn", "env:NOT_SET", "--key", "id", "--query", "SELECT 1").err, "NOT_SET is not set")
	for _, line := range [][]string{
		{"--query", "SELECT 1"}, {"--against-dsn", "env:OLD_DSN"}, {"--against", "x.csv", "--query", "SELECT 1", "--against-dsn", "env:OLD_DSN"},
		{"--against", "x.csv", "--against-dsn", "env:OLD_DSN"},
	} {
		b.expect(exitUsage, append([]string{"diff", run, "--key", "id"}, line...)...)
	}
	s = b.expect(exitUsage, "diff", run, "--key", "id", "--query", "SELECT 1", "--against-dsn", "postgres://me:secret@db/x")
	contains(t, s.err, "never the DSN")
}

func TestARunThatWroteToATableIsComparedByIt(t *testing.T) {
	b := newBench(t)
	c := b.withRunner()
	dsn := databasetest.New(t, "sqlite")
	table(t, dsn, "items", 150, false)
	secret := filepath.Join(b.dir, "dsn")
	must(t, os.WriteFile(secret, []byte(dsn+"\n"), 0o600))
	job := b.job("sweet", 1, 150)
	job.Output = api.Output{SQL: &api.OutputSQL{DSN: api.SecretRef{File: secret}, Table: "items", Write: api.WriteUpdate, RunAt: "scored_for"}}
	job.Predict.Outputs = map[string]string{"score": "score"}
	b.declare(c, job)
	b.expect(exitDone, "run", "sweet", "--wait")
	run := b.lastRun(c, "sweet")

	other := filepath.Join(b.dir, "old.csv")
	must(t, os.WriteFile(other, []byte("id,score\n1,1.5\n2,7\n151,1\n"), 0o600))
	s := b.expect(exitDone, "diff", run, "--against", other, "--key", "id")
	contains(t, s.out, "equal    1\n", "differ   1\n", "missing  1 ", "extra    148 ", "compared: score")

	b.env["OLD_DSN"] = dsn
	must(t, os.Remove(secret))
	contains(t, b.expect(exitError, "diff", run, "--against", other, "--key", "id").err, "say where it is with --dsn")
	s = b.expect(exitDone, "diff", run, "--query", "SELECT * FROM items", "--against-dsn", "env:OLD_DSN", "--dsn", "env:OLD_DSN", "--key", "id", "--fail-on", "any")
	contains(t, s.out, "equal    150")
}
