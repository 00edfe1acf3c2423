package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/runner/compare"
)

func TestARunAgainstOtherFiles(t *testing.T) {
	b := newBench(t)
	c := b.withRunner()
	b.declare(c, b.job("sweet", 1, 150))
	b.expect(exitDone, "run", "sweet", "--wait")
	run, err := c.Run(t.Context(), b.lastRun(c, "sweet"))
	must(t, err)

	// The other files are the run's own, then with a record changed, one gone
	// and one more.
	var old []byte
	for _, part := range []string{"000001", "000002", "000003", "000004", "000005", "000006", "000007", "000008"} {
		text, err := os.ReadFile(filepath.Join(run.Output, "part-"+part+".jsonl"))
		must(t, err)
		old = append(old, text...)
	}
	other := filepath.Join(b.dir, "old.jsonl")
	must(t, os.WriteFile(other, old, 0o600))
	s := b.expect(exitDone, "diff", run.ID, "--against", other, "--key", "id", "--fail-on", "any")
	contains(t, s.out, "equal    150", "differ   0")
	b.expect(exitDone, "diff", run.Output, "--against", other, "--key", "id", "--fail-on", "any") // the folder, without the runner

	first := regexp.MustCompile(`^\{"id":("?)1("?),.*\n`)
	changed := append(first.ReplaceAll(old, []byte(`{"id":${1}1$2,"score":-7}`+"\n")), []byte(`{"id":"999","score":1}`+"\n")...)
	changed = regexp.MustCompile(`(?m)^\{"id":"?150"?,.*\n`).ReplaceAll(changed, nil)
	must(t, os.WriteFile(other, changed, 0o600))
	args := []string{"diff", run.ID, "--against", other, "--key", "id", "--columns", "score"}
	b.golden("diff", b.expect(exitDone, args...).out)
	for _, kind := range []string{"any", "differ", "missing", "extra", "missing,extra"} {
		b.expect(exitFailed, append(args, "--fail-on", kind)...)
	}
	var told compare.Result
	must(t, json.Unmarshal([]byte(b.expect(exitFailed, append(args, "--fail-on", "any", "--json")...).out), &told))
	if told.Equal != 148 || told.Differ != 1 || told.Missing != 1 || told.Extra != 1 || len(told.Examples) != 3 {
		t.Errorf("%+v", told)
	}

	contains(t, b.expect(exitError, "diff", run.ID, "--against", b.dir+"/none.csv", "--key", "id").err, "no file matches "+b.dir+"/none.csv")
	contains(t, b.expect(exitError, "diff", run.ID, "--against", other, "--key", "nosuch").err, `no column "nosuch"`)
	must(t, os.RemoveAll(run.Output))
	contains(t, b.expect(exitError, "diff", run.ID, "--against", other, "--key", "id").err, "call diff on the runner's host")
	for _, line := range [][]string{
		{}, {run.ID}, {run.ID, "--against", other}, {run.ID, "--key", "id"},
		{run.ID, "--against", other, "--key", "id", "--fail-on", "all"}, {run.ID, "--against", other, "--key", "id", "--tolerance", "-1"},
		{run.ID, "--against", other, "--key", "id", "--examples", "-1"},
	} {
		b.expect(exitUsage, append([]string{"diff"}, line...)...)
	}
}

func TestARunThatPublishedNothingHasNothingToCompare(t *testing.T) {
	b := newBench(t)
	c := b.scene()
	b.expect(exitFailed, "run", "sour", "--wait")
	s := b.expect(exitConflict, "diff", b.lastRun(c, "sour"), "--against", "old.csv", "--key", "id")
	contains(t, s.err, "has published nothing: it is failed (max_failed)")
}
