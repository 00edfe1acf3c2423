package main

import (
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// story is a run as it is seen again and again.
func story() []api.Run {
	run := func(state api.RunState, staged, batches int64, reason api.Reason) api.Run {
		return api.Run{ID: "r1", Job: "iris", State: state, Reason: reason,
			Counts: api.Counts{Planned: 1500, Staged: staged}, MiniBatches: api.MiniBatchCounts{Total: 75, Staged: batches}}
	}
	dead := run(api.RunRunning, 1480, 75, "")
	dead.Counts.DeadLettered = 20
	waits := run(api.RunRunning, 320, 16, "")
	waits.MiniBatches.RetryWait = 2
	return []api.Run{
		run(api.RunQueued, 0, 0, ""), run(api.RunQueued, 0, 0, api.ReasonWaitingForTurn), run(api.RunQueued, 0, 0, api.ReasonWaitingForTurn),
		run(api.RunProvisioning, 0, 0, ""), run(api.RunRunning, 0, 0, ""), run(api.RunRunning, 20, 1, ""), run(api.RunRunning, 300, 15, ""),
		waits, run(api.RunRunning, 1480, 74, ""), dead, run(api.RunCommitting, 1480, 75, ""), run(api.RunSucceeded, 0, 0, ""),
	}
}

func played(draws bool) string {
	var out locked
	p := (&app{stderr: &out, draws: draws, width: 140}).newProgress(time.UTC)
	for _, run := range story() {
		p.show(run)
	}
	p.end()
	return out.String()
}

func TestPlainProgressIsALineForEachStateAndTenth(t *testing.T) {
	want := `  queued
  queued, waiting for turn
  provisioning
  running, 0 %: 0 of 1,500 records, 0 of 75 mini-batches
  running, 20 %: 300 of 1,500 records, 15 of 75 mini-batches
  running, 98 %: 1,480 of 1,500 records, 74 of 75 mini-batches
  running, 100 %: 1,500 of 1,500 records, 75 of 75 mini-batches, 20 dead-lettered
  committing
`
	if got := played(false); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestATerminalHasOneLineThatIsDrawnOver(t *testing.T) {
	got := played(true)
	if strings.Contains(got, "\n") || !strings.HasSuffix(got, "\r\x1b[K") {
		t.Errorf("got %q", got)
	}
	contains(t, got, "[====                    ] running, 20 %: 300 of 1,500 records", "2 mini-batches waiting to be retried")
}

func TestAWaitIsToldOnceWithItsEnd(t *testing.T) {
	var out locked
	p := (&app{stderr: &out}).newProgress(time.UTC)
	since := time.Date(2026, 1, 14, 2, 0, 0, 0, time.UTC)
	run := api.Run{State: api.RunQueued, Reason: api.ReasonWaitingForInput, Trouble: api.Trouble{Since: since, Until: since.Add(90 * time.Minute), Error: "nothing matches /in"}}
	p.show(run)
	p.show(run)
	p.event(api.Event{Kind: "storage", At: since.Add(2 * time.Hour), Detail: "no space left"})
	contains(t, out.String(), "waiting since 2026-01-14 02:00 UTC: nothing matches /in; if this lasts, the run gives up at 2026-01-14 03:30 UTC\n",
		"04:00:00 storage: no space left; if this lasts, the run gives up at 2026-01-14 05:00 UTC\n")
	if n := strings.Count(out.String(), "nothing matches"); n != 1 {
		t.Errorf("it is told %d times:\n%s", n, out.String())
	}
}

func TestALogLineDoesNotRunIntoTheBar(t *testing.T) {
	var out locked
	p := (&app{stderr: &out, draws: true}).newProgress(time.UTC)
	p.show(story()[6])
	_, err := p.Write([]byte("a warning\n"))
	must(t, err)
	if !strings.HasSuffix(out.String(), "\r\x1b[Ka warning\n") {
		t.Errorf("got %q", out.String())
	}
}

func TestALineIsCutWhereTheTerminalEnds(t *testing.T) {
	var out locked
	p := (&app{stderr: &out, draws: true, width: 20}).newProgress(time.UTC)
	p.show(story()[6])
	if got := strings.TrimPrefix(out.String(), "\r\x1b[K"); len(got) != 19 {
		t.Errorf("%q has %d characters", got, len(got))
	}
}

func TestWhatSlowsARunDownIsToldBesideItsFigures(t *testing.T) {
	var out locked
	p := (&app{stderr: &out, draws: true, width: 140}).newProgress(time.UTC)
	p.show(story()[6])
	at := time.Date(2026, 11, 21, 3, 4, 5, 0, time.UTC)
	p.event(api.Event{At: at, Kind: "ready", Detail: "http://127.0.0.1:1"})
	p.event(api.Event{At: at, Kind: "server_lost", Detail: "it exited with code 9"})
	p.event(api.Event{At: at, Kind: "state", From: "running", To: "queued", Detail: "taken up again after a restart"})
	p.event(api.Event{At: at, Kind: "state", From: "queued", To: "planning"})
	_, told, _ := strings.Cut(out.String(), "mini-batches")
	if want := "\r\x1b[K  03:04:05 server lost: it exited with code 9\n  03:04:05 running → queued: taken up again after a restart\n"; told != want {
		t.Errorf("told %q, want %q", told, want)
	}
}

func TestCostsAreAddedUpCurrencyByCurrency(t *testing.T) {
	costs := []api.Cost{{Cost: "1.20 EUR"}, {Cost: "0.0375"}, {}, {Cost: "0.80 EUR"}, {Cost: "2.5 USD"}}
	if got := summed(costs); got != "0.0375 + 2.00 EUR + 2.50 USD" {
		t.Errorf("got %q", got)
	}
}
