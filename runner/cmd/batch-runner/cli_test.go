package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

// scene has a job that succeeds, one that is withheld, one that ends
// incomplete and one that hangs.
func (b *bench) scene() *client.Client {
	b.t.Helper()
	c := b.withRunner()
	b.model.Inject(predicttest.Fault{Record: "1041", Status: 400, Body: "petals expected", Purpose: predicttest.AnyPurpose})
	b.model.Inject(predicttest.Fault{Record: "2041", Status: 400, Body: "petals expected", Purpose: predicttest.AnyPurpose})
	b.model.Inject(predicttest.Fault{Record: "3001", Hang: true})
	sour, lax := b.job("sour", 1001, 1150), b.job("lax", 2001, 2150)
	sour.MaxFailed, lax.MaxFailed = "0", "50%"
	b.declare(c, b.job("sweet", 1, 150), sour, lax, b.job("slow", 3001, 3010))
	return c
}

func TestExitCodes(t *testing.T) {
	b := newBench(t)
	c := b.scene()
	b.expect(exitDone, "status", "--fail-on", "unhealthy")
	b.expect(exitDone, "run", "sweet", "--wait")
	b.expect(exitFailed, "run", "sour", "--wait")
	b.expect(exitIncomplete, "run", "lax", "--wait")
	b.expect(exitDone, "status")
	b.expect(exitFailed, "status", "--fail-on", "unhealthy")
	b.expect(exitDone, "status", "sweet", "--fail-on", "unhealthy")
	b.expect(exitFailed, "status", "sour", "--fail-on", "unhealthy")
	b.expect(exitDone, "runs", "sweet")
	b.expect(exitDone, "runs")
	b.expect(exitDone, "history", "sweet")
	b.expect(exitDone, "cost")
	b.expect(exitDone, "doctor", "sweet")
	b.expect(exitDone, "version")

	sour := b.lastRun(c, "sour")
	b.expect(exitDone, "why", sour)
	b.expect(exitDone, "logs", sour)
	b.expect(exitFailed, "retry", sour, "--yes", "--wait")
	b.expect(exitDone, "accept", sour, "--reason", "good enough", "--yes")
	b.expect(exitConflict, "retry", b.lastRun(c, "sweet"), "--yes")
	b.expect(exitDone, "dead-letters", b.lastRun(c, "sweet"))

	b.expect(exitDone, "run", "slow")
	b.expect(exitConflict, "run", "slow", "--if-idle")
	slow := b.lastRun(c, "slow")
	b.expect(exitDone, "cancel", slow, "--yes")
	b.expect(exitConflict, "cancel", slow, "--yes")

	b.expect(exitError, "why", "nosuch")
	b.expect(exitError, "status", "nosuch")
	b.expect(exitError, "dead-letters", "nosuch")
	b.expect(exitError, "dead-letters", "nosuch", "--json")
	b.expect(exitError, "history", "nosuch")
	b.expect(exitError, "cost", "nosuch")
	b.expect(exitError, "runs", "--state", "sad")
	b.expect(exitError, "status", "--token-file", "/nowhere/token")

	b.expect(exitUnreachable, "status", "--endpoint", "unix://"+filepath.Join(b.dir, "nobody.sock"))
	for _, line := range []string{
		"", "nosuch", "status --nosuch", "status a b", "why", "run sweet --occurrence tomorrow", "status --fail-on sadness",
		"status --endpoint nosuch", "runs sweet --limit 0", "runs --since someday", "runs sweet --until 2026-11-21T03:00", "dead-letters",
		"dead-letters " + sour + " --limit -1", "history", "history sweet --limit 0", "cost --month november", "predict", "serve --log-level loud", "serve --log-format xml", "accept " + sour + " --yes",
	} {
		b.expect(exitUsage, strings.Fields(line)...)
	}
}

func TestASignalEndsTheWaitingAndNotTheRun(t *testing.T) {
	b := newBench(t)
	c := b.withRunner()
	b.model.Inject(predicttest.Fault{Record: "3001", Do: func() { b.stop <- syscall.SIGINT }, Hang: true})
	b.declare(c, b.job("slow", 3001, 3010))
	s := b.expect(exitError, "run", "slow", "--wait")
	run, err := c.Run(t.Context(), b.lastRun(c, "slow"))
	must(t, err)
	contains(t, s.err, "stopped by interrupt; run "+run.ID+" goes on: batch-runner why "+run.ID)
	if run.State != api.RunRunning {
		t.Errorf("the run is %s", run.State)
	}
}

func TestErrorsNameTheEndpointAndItsSource(t *testing.T) {
	b := newBench(t)
	endpoint := "unix://" + filepath.Join(b.dir, "nobody.sock")
	contains(t, b.expect(exitUnreachable, "status", "--endpoint", endpoint).err, endpoint, "--endpoint")
	b.env[client.EnvEndpoint] = endpoint
	contains(t, b.expect(exitUnreachable, "status").err, endpoint, "BATCH_ENDPOINT")
}

func TestWhatPeopleRead(t *testing.T) {
	b := newBench(t)
	c := b.scene()
	b.golden("status-fresh", b.expect(exitDone, "status").out)
	b.golden("runs-none", b.expect(exitDone, "runs", "sweet").out)
	b.golden("run-succeeded", b.expect(exitDone, "run", "sweet", "--wait").out)
	b.golden("run-withheld", b.expect(exitFailed, "run", "sour", "--wait", "--occurrence", "2026-11-20T01:30:00Z").out)
	b.golden("run-incomplete", b.expect(exitIncomplete, "run", "lax", "--wait").out)
	b.golden("status", b.expect(exitDone, "status").out)
	b.golden("status-one", b.expect(exitDone, "status", "sour").out)
	b.golden("runs", b.expect(exitDone, "runs", "sour").out)
	b.golden("runs-all", b.expect(exitDone, "runs", "--state", "failed,incomplete").out)
	b.golden("why", b.expect(exitDone, "why", b.lastRun(c, "sour")).out)
	b.golden("dead-letters", b.expect(exitDone, "dead-letters", b.lastRun(c, "lax")).out)
	b.golden("history", b.expect(exitDone, "history", "sweet").out)
	b.golden("cost-none", b.expect(exitDone, "cost", "sweet").out)
	b.golden("help", b.expect(exitDone, "--help").out)
}

func TestHelpFitsAScreen(t *testing.T) {
	b := newBench(t)
	for _, c := range append(commands, command{name: "--help"}) {
		args := append(strings.Fields(c.name), "--help")
		text := b.expect(exitDone, args...).out
		if lines := strings.Count(text, "\n"); lines > 24 {
			t.Errorf("%s --help has %d lines", c.name, lines)
		}
		for line := range strings.Lines(text) {
			if len([]rune(line)) > 81 {
				t.Errorf("%s --help: %q is wider than 80", c.name, line)
			}
		}
	}
}

func TestTablesAreJSONToo(t *testing.T) {
	b := newBench(t)
	c := b.scene()
	var run api.Run
	decode(t, b.expect(exitFailed, "run", "sour", "--wait", "--json").out, &run)
	if run.Job != "sour" || !run.Withheld {
		t.Errorf("run is %+v", run)
	}
	for _, args := range [][]string{
		{"status", "--json"}, {"status", "sour", "--json"}, {"runs", "sour", "--json"}, {"why", run.ID, "--json"}, {"doctor", "--json"}, {"history", "sour", "--json"}, {"cost", "--json"}, {"dead-letters", run.ID, "--json"},
		{"retry", run.ID, "--yes", "--json"}, {"run", "sweet", "--json"},
	} {
		var any map[string]json.RawMessage
		decode(t, b.expect(exitDone, args...).out, &any)
		if len(any) == 0 {
			t.Errorf("%v prints an empty object", args)
		}
	}
	if runs, err := c.Runs(t.Context(), client.RunFilter{Job: "sour"}, client.Paging{Limit: 10}); err != nil || len(runs.Items) != 1 {
		t.Errorf("%d runs, %v", len(runs.Items), err)
	}
}

func TestRunsAreFoundByWhatTheyAre(t *testing.T) {
	b := newBench(t)
	b.scene()
	for _, night := range []string{"2026-11-18", "2026-11-19", "2026-11-20"} {
		b.expect(exitDone, "rerun", "sweet", "--occurrence", night, "--wait", "--yes")
	}
	b.expect(exitFailed, "run", "sour", "--wait")
	for line, want := range map[string]int{
		"runs": 4, "runs --limit 2": 2, "runs sweet": 3, "runs --state failed": 1, "runs --state failed,succeeded": 4, "runs sweet --state failed": 0,
		"runs --origin manual": 4, "runs --origin schedule": 0,
		"runs sweet --since 2026-11-19": 2, "runs sweet --until 2026-11-19": 2, "runs sweet --since 2026-11-19 --until 2026-11-19": 1,
		"runs sweet --since 2026-11-19T01:30:01Z": 1,
	} {
		var found struct{ Runs []api.Run }
		decode(t, b.expect(exitDone, append(strings.Fields(line), "--json")...).out, &found)
		if len(found.Runs) != want {
			t.Errorf("%s finds %d runs, want %d", line, len(found.Runs), want)
		}
	}
	contains(t, b.expect(exitDone, "runs", "sweet", "--state", "failed").out, "no runs are like that")
}

func TestDeadLettersAreALineOfJSONEachAndCanBeSentAgain(t *testing.T) {
	b := newBench(t)
	c := b.withRunner()
	heal := b.model.Inject(predicttest.Fault{Record: "7", Status: 400, Body: "petals expected", Purpose: predicttest.AnyPurpose})
	b.model.Inject(predicttest.Fault{Record: "30", Status: 400, Body: "petals expected", Purpose: predicttest.AnyPurpose})
	job := b.job("lax", 1, 40)
	job.MaxFailed = "50%"
	b.declare(c, job)
	b.expect(exitIncomplete, "run", "lax", "--wait")
	run := b.lastRun(c, "lax")
	lines := strings.Split(strings.TrimSpace(b.expect(exitDone, "dead-letters", run, "--json").out), "\n")
	if len(lines) != 2 {
		t.Fatalf("got %q", lines)
	}
	var letter api.DeadLetter
	decode(t, lines[1], &letter)
	if letter.Key["id"] != "30" || letter.Input == "" || letter.Class != api.ClassData {
		t.Errorf("the second one is %+v", letter)
	}
	contains(t, b.expect(exitDone, "dead-letters", run, "--limit", "1").out, "id=7", "and 1 more")

	heal()
	again := b.expect(exitIncomplete, "retry", run, "--dead-letters", "--yes", "--wait")
	contains(t, again.err, "try 2 dead letters again")
	contains(t, again.out, "39 of 40 records committed", "1 dead-lettered")
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Errorf("%v: %s", err, text)
	}
}

func TestWritesAskFirst(t *testing.T) {
	b := newBench(t)
	c := b.scene()
	b.expect(exitFailed, "run", "sour", "--wait")
	sour := b.lastRun(c, "sour")
	for _, args := range [][]string{{"retry", sour}, {"accept", sour, "--reason", "r"}, {"cancel", sour}} {
		b.asks, b.stdin = false, ""
		contains(t, b.expect(exitUsage, args...).err, "--yes", sour, "records")
		b.asks, b.stdin = true, "n\n"
		contains(t, b.expect(exitError, args...).err, "Do it?", "nothing was done")
	}
	run, err := c.Run(t.Context(), sour)
	if err != nil || !run.Withheld || run.Attempt != 1 {
		t.Errorf("after three times no the run is %+v, %v", run, err)
	}
	b.stdin = "y\n"
	b.expect(exitDone, "accept", sour, "--reason", "good enough")
	why, err := c.Why(t.Context(), sour)
	must(t, err)
	contains(t, why.Events[len(why.Events)-1].Actor+why.Events[len(why.Events)-2].Actor, "cli:alice")
}
