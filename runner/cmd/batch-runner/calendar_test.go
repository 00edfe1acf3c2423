package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

func TestTheCalendarOfAJobIsTold(t *testing.T) {
	b := newBench(t)
	c := b.withRunner()
	b.declare(c, b.job("sweet", 1, 150))
	b.golden("hold", b.expect(exitDone, "hold", "sweet", "--reason", "looking", "--yes").out)
	b.golden("hold-again", b.expect(exitDone, "hold", "sweet", "--reason", "still looking", "--yes").err)
	b.golden("status-held", b.expect(exitDone, "status", "sweet").out)
	b.asks, b.stdin = true, "n\n"
	contains(t, b.expect(exitError, "release", "sweet").err, "Do it?", "nothing was done")
	b.golden("release-asks", b.expect(exitDone, "release", "sweet", "--yes").err)
	contains(t, b.expect(exitConflict, "release", "sweet", "--yes").err, "not held")
	b.golden("cursor", b.expect(exitDone, "cursor", "sweet", "--to", "now", "--yes").out)
}

func TestRerunAndBackfill(t *testing.T) {
	b := newBench(t)
	c := b.withRunner()
	b.declare(c, b.job("sweet", 1, 150))
	rerun := b.expect(exitDone, "rerun", "sweet", "--occurrence", "2026-11-19", "--wait", "--yes")
	b.golden("rerun", rerun.out)
	contains(t, rerun.err, "run sweet once more for 2026-11-19")

	span := []string{"backfill", "sweet", "--from", "2026-11-17", "--to", "2026-11-20"}
	dry := b.expect(exitDone, append(span, "--dry-run")...)
	b.golden("backfill-dry-run", dry.out)
	if runs, err := c.Runs(t.Context(), client.RunFilter{Job: "sweet"}, client.Paging{Limit: 10}); err != nil || len(runs.Items) != 1 {
		t.Fatalf("a dry run left %d runs, %v", len(runs.Items), err)
	}
	done := b.expect(exitDone, append(span, "--wait", "--yes")...)
	contains(t, done.err, strings.TrimSpace(dry.out)) // what is agreed to is what a dry run tells
	b.golden("backfill", done.out)
	b.golden("runs-backfill", b.expect(exitDone, "runs", "sweet").out)
	contains(t, b.expect(exitDone, append(span, "--yes")...).out, "nothing to run\n", "4 occurrences left out by --only missing")
	contains(t, b.expect(exitConflict, "backfill", "sweet", "--cancel", "--yes").err, "no backfill of job sweet goes on")
}

func TestTheExitCodeOfABackfillIsThatOfItsWorstRun(t *testing.T) {
	run := func(state api.RunState) api.Run { return api.Run{Backfill: "b", State: state} }
	for name, test := range map[string]struct {
		ended api.Backfill
		runs  []api.Run
		want  exit
	}{
		"all well":             {api.Backfill{ID: "b", Succeeded: 1}, []api.Run{run(api.RunSucceeded)}, exitDone},
		"incomplete":           {api.Backfill{ID: "b", Succeeded: 1, Failed: 1}, []api.Run{run(api.RunSucceeded), run(api.RunIncomplete)}, exitIncomplete},
		"one failed":           {api.Backfill{ID: "b", Failed: 2}, []api.Run{run(api.RunFailed), run(api.RunIncomplete)}, exitFailed},
		"failed, not listed":   {api.Backfill{ID: "b", Failed: 1}, nil, exitFailed},
		"cancelled":            {api.Backfill{ID: "b", Waiting: 1}, nil, exitFailed},
		"another's run failed": {api.Backfill{ID: "b", Succeeded: 1}, []api.Run{run(api.RunSucceeded), {State: api.RunFailed}}, exitDone},
	} {
		if got := backfillOutcome(test.ended, test.runs); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

func TestABackfillIsCancelled(t *testing.T) {
	b := newBench(t)
	c := b.scene()
	b.expect(exitDone, "backfill", "slow", "--from", "2026-11-17", "--to", "2026-11-20", "--yes")
	contains(t, b.expect(exitConflict, "backfill", "slow", "--from", "2026-11-17", "--to", "2026-11-20", "--yes").err, "backfill")
	cancelled := b.expect(exitDone, "backfill", "slow", "--cancel", "--yes")
	contains(t, cancelled.err, "with 3 occurrences still to run; its runs so far (1) go on")
	contains(t, cancelled.out, "is cancelled", "3 never run")
	if all, err := c.Backfills(t.Context(), "slow", 0); err != nil || len(all) != 1 || all[0].Waiting != 3 {
		t.Errorf("backfills %+v, %v", all, err)
	}
}

func TestAPreviewNeedsNoRunner(t *testing.T) {
	b := newBench(t)
	b.golden("preview-gap", b.expect(exitDone, "schedule", "preview", "--cron", "30 2 * * *", "--time-zone", "America/New_York", "--from", "2026-03-07", "--count", "3").out)
	file := b.write(b.job("sweet", 1, 1))
	b.golden("preview-file", b.expect(exitDone, "schedule", "preview", "-f", file, "--from", "2026-11-21T02:30", "--count", "2").out)
	var shown previewed
	decode(t, b.expect(exitDone, "schedule", "preview", "-f", file, "--from", "2026-11-21T02:30", "--count", "2", "--json").out, &shown)
	if len(shown.Occurrences) != 2 || !shown.Occurrences[0].DueAt.Equal(now.Add(30*time.Minute)) || shown.TimeZone != "Europe/Berlin" {
		t.Errorf("as JSON it is %+v", shown)
	}
	// 02:30 does not exist there that day: it stands for 03:00, when the rule is due.
	contains(t, b.expect(exitDone, "schedule", "preview", "--cron", "0 2 * * *", "--time-zone", "Europe/Berlin", "--from", "2027-03-28T02:30", "--count", "1").out, "Sun 2027-03-28 03:00 CEST")
	utc := b.expect(exitDone, "schedule", "preview", "--cron", "0 2 * * *", "--from", "2027-03-28", "--count", "1").out
	contains(t, utc, "DUE, UTC                  NOTE\n", "Sun 2027-03-28 02:00 UTC  -\n")
	contains(t, b.expect(exitUsage, "schedule", "preview", "--cron", "0 25 * * *").err, `--cron "0 25 * * *"`)
	contains(t, b.expect(exitUsage, "schedule", "preview", "--cron", "0 2 * * *", "--time-zone", "Berlin").err, `--time-zone "Berlin"`)
}

// A job's jitter is spread by its uid, which only its runner knows.
func TestAPreviewOfAJobHasItsPartOfTheJitter(t *testing.T) {
	b := newBench(t)
	c := b.withRunner()
	job := b.job("sweet", 1, 1)
	job.Schedule.Jitter = "30m"
	b.declare(c, job)
	status, err := c.Status(t.Context(), "sweet")
	must(t, err)
	var shown previewed
	said := b.expect(exitDone, "schedule", "preview", "sweet", "--from", "2026-11-21T02:00", "--count", "1", "--json")
	decode(t, said.out, &shown)
	if o := shown.Occurrences[0]; !o.Occurrence.Equal(status.NextOccurrence) || !o.DueAt.Equal(status.NextDueAt) {
		t.Errorf("previewed %+v; the runner says %s, due %s", o, status.NextOccurrence, status.NextDueAt)
	}
	contains(t, b.expect(exitDone, "schedule", "preview", "sweet").out, "this job's own part of the jitter")
	if said.err != "" {
		t.Errorf("it warns of %s", said.err)
	}

	job.Paused = new(true)
	_, _, err = c.PutJob(t.Context(), "sweet", api.PutJob{Spec: job}, client.Condition{})
	must(t, err)
	contains(t, b.expect(exitDone, "schedule", "preview", "sweet").err, "job sweet is paused")
}

func TestAPreviewWarnsOfARunnerWithOtherTimeZones(t *testing.T) {
	b := newBench(t)
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/info" {
			must(t, json.NewEncoder(w).Encode(api.Info{API: api.Version, RunnerID: "r", Zones: "1999a", Version: "0.1.0"}))
			return
		}
		must(t, json.NewEncoder(w).Encode(api.StoredJob{Spec: b.job("sweet", 1, 1), UID: "u"}))
	}))
	t.Cleanup(old.Close)
	b.env[client.EnvEndpoint] = old.URL
	contains(t, b.expect(exitDone, "schedule", "preview", "sweet").err, "release 1999a", schedule.ZoneRelease(), "0.1.0")
}

func TestCalendarExitCodes(t *testing.T) {
	b := newBench(t)
	c := b.withRunner()
	b.declare(c, b.job("sweet", 1, 10))
	file := b.write(b.job("sweet", 1, 10))
	for line, want := range map[string]exit{
		"schedule":                             exitUsage,
		"schedule preview":                     exitUsage,
		"schedule preview sweet --cron @daily": exitUsage,
		"schedule preview -f " + file + " --time-zone UTC":  exitUsage,
		"schedule preview sweet --count 0":                  exitUsage,
		"schedule preview sweet --from soon":                exitUsage,
		"schedule preview nosuch":                           exitError,
		"schedule preview -f /nowhere/job.json":             exitError,
		"hold sweet --yes":                                  exitUsage,
		"hold nosuch --reason r --yes":                      exitError,
		"release nosuch --yes":                              exitError,
		"release sweet --yes":                               exitConflict,
		"release sweet":                                     exitConflict, // nothing to agree to
		"cursor sweet --yes":                                exitUsage,
		"cursor sweet --to someday --yes":                   exitError,
		"cursor nosuch --to now --yes":                      exitError,
		"rerun sweet --yes":                                 exitUsage,
		"rerun sweet --occurrence someday --yes":            exitError,
		"rerun sweet --occurrence 2030-01-01 --yes":         exitError,
		"backfill sweet --yes":                              exitUsage,
		"backfill sweet --cancel --dry-run":                 exitUsage,
		"backfill sweet --from someday --to 2026-11-20":     exitError,
		"backfill nosuch --from 2026-11-01 --to 2026-11-20": exitError,
		"backfill sweet --from 2026-11-20 --to 2026-11-20 ": exitUsage, // nobody can be asked
		"backfill sweet --cancel --yes":                     exitConflict,
		"backfill sweet --from x --to y --max-parallel 0":   exitUsage,
	} {
		b.expect(want, strings.Fields(line)...)
	}
}

func TestWordsToAJobAskFirst(t *testing.T) {
	b := newBench(t)
	c := b.withRunner()
	b.declare(c, b.job("sweet", 1, 150))
	for _, line := range []string{
		"hold sweet --reason r", "cursor sweet --to 2026-11-20T00:00:00Z", "rerun sweet --occurrence 2026-11-20", "backfill sweet --from 2026-11-20 --to 2026-11-20",
	} {
		b.asks, b.stdin = false, ""
		contains(t, b.expect(exitUsage, strings.Fields(line)...).err, "--yes", "sweet")
		b.asks, b.stdin = true, "n\n"
		contains(t, b.expect(exitError, strings.Fields(line)...).err, "Do it?", "nothing was done")
	}
	status, err := c.Status(t.Context(), "sweet")
	must(t, err)
	if runs, _ := c.Runs(t.Context(), client.RunFilter{Job: "sweet"}, client.Paging{Limit: 1}); len(runs.Items) > 0 || status.Held != nil || !status.Cursor.Equal(now) {
		t.Errorf("after four times no: %+v, runs %v", status, runs.Items)
	}
}

func TestAStatusTellsWhatTheCalendarDid(t *testing.T) {
	b, berlin := newBench(t), zoneOf(api.Job{Schedule: &api.Schedule{TimeZone: "Europe/Berlin"}})
	day := func(d int) time.Time { return time.Date(2026, 11, d, 1, 30, 0, 0, time.UTC) }
	status := api.JobStatus{
		Job: "churn", Summary: "held by cli:alice", Reasons: []string{"held by cli:alice", "failed: its server said\nmodel is broken"}, Held: &api.Hold{By: "cli:alice", Reason: "looking", Since: day(20)},
		NextOccurrence: day(22), NextDueAt: day(22).Add(3 * time.Minute),
		Missed: map[string]int64{api.DecidedOutage: 2399, api.DecidedTooOld: 1}, Skipped: map[string]int64{api.DecidedHeld: 1},
		Backfill:     &api.Backfill{ID: "b1", From: day(1), To: day(18), Total: 18, Succeeded: 4, Failed: 1, Active: 2, Waiting: 11},
		LastDecision: &api.Decision{Verdict: api.VerdictSkipped, Reason: api.DecidedOverlap, First: day(18), Last: day(20), Count: 3},
	}
	var out locked
	(&printer{w: &out}).status(status, berlin)
	_, _ = fmt.Fprintln(&out)
	paused := status
	paused.Job, paused.Paused = "iris", true
	(&printer{w: &out}).statuses([]api.JobStatus{status, paused}, func(string) *time.Location { return berlin })
	b.golden("status-calendar", out.String())
}

func TestABackfillShowsALineForEachTenth(t *testing.T) {
	var out locked
	p := (&app{stderr: &out}).newProgress(time.UTC)
	for done := range int64(31) {
		p.backfill(api.Backfill{Total: 30, Succeeded: done, Active: min(1, 30-done), Waiting: max(0, 29-done)})
	}
	p.end()
	if lines := strings.Count(out.String(), "\n"); lines != 11 {
		t.Errorf("%d lines:\n%s", lines, out.String())
	}
	contains(t, out.String(), "  3 of 30 occurrences succeeded, 1 active, 26 waiting\n")
}
