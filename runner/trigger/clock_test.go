package trigger

import (
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// lookNow is what the alarm's loop does at each look.
func (r *room) lookNow() {
	r.t.Helper()
	if err := r.noteLook(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	r.wakeUp()
}

func TestAClockThatJumpsAheadIsNotBelievedAtOnce(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	spec := validJob("churn", every("1h"))
	uid := r.put(spec).UID
	r.lookNow()
	r.set(instant("2028-01-01T00:00:30Z"))

	if _, err := r.decideDue(t.Context()); err == nil {
		t.Error("a clock two years ahead was believed")
	}
	if trouble := r.Trouble(); !strings.Contains(trouble, "clock_jump") || !strings.Contains(trouble, "2028-01-01T00:10:30Z") {
		t.Errorf("the trouble is %q", trouble)
	}
	if status := r.status("churn"); status.Healthy || !strings.HasPrefix(status.Summary, "clock_jump") {
		t.Errorf("the status is %+v", status)
	}
	next := spec
	next.Schedule = every("2h")
	_, _, err := r.Put(t.Context(), "churn", api.PutJob{Spec: next}, Condition{}, "test")
	refused(t, err, api.CodeUnavailable, "set the host's clock")
	_, _, err = r.Put(t.Context(), "new", api.PutJob{Spec: validJob("new", nil)}, Condition{}, "test")
	refused(t, err, api.CodeUnavailable)
	_, err = r.Hold(t.Context(), "churn", api.HoldJob{Reason: "test"}, "test")
	refused(t, err, api.CodeUnavailable)
	_, err = r.SetCursor(t.Context(), "churn", api.SetCursor{To: "now"}, "test")
	refused(t, err, api.CodeUnavailable)
	next.Schedule, next.Labels = spec.Schedule, map[string]string{"team": "growth"}
	r.put(next) // decides nothing

	r.set(instant("2026-01-01T00:20:00Z")) // set right
	if trouble := r.Trouble(); trouble != "" {
		t.Errorf("the trouble is %q", trouble)
	}
	r.lookNow()
	if got := r.history(uid); len(got) != 0 {
		t.Errorf("decided %q", got)
	}
	r.set(instant("2028-01-01T00:30:00Z")) // and wrong again: the time of disbelief begins anew
	if r.Trouble() == "" {
		t.Error("the second jump was believed at once")
	}
}

func TestAClockThatIsSetTwiceIsNotBelievedForIt(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	r.put(validJob("churn", every("1h")))
	r.lookNow()
	r.set(instant("2028-01-01T00:00:00Z"))
	if r.Trouble() == "" {
		t.Fatal("two years ahead are believed")
	}

	r.set(instant("2028-03-01T00:00:00Z"))

	if r.Trouble() == "" {
		t.Error("another step, of two months, ends the disbelief")
	}
}

// The stopwatch that time.Now carries would hide that the clock was set while
// this process runs.
func TestALookIsRememberedByTheWallClock(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	r.set(time.Now())

	r.lookNow()

	if looked := r.watch.looked; strings.Contains(looked.String(), " m=") {
		t.Errorf("the last look is %s, with the stopwatch", looked)
	}
}

func TestAClockThatStaysAheadIsBelievedAfterAWhile(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	uid := r.put(validJob("churn", every("1h"))).UID
	r.lookNow()
	r.set(instant("2028-01-01T00:00:30Z"))
	for range 40 {
		if r.Trouble() == "" {
			t.Fatalf("believed at %s", r.clock.now())
		}
		r.add(tick)
	}

	r.lookNow()

	if got := r.history(uid); len(got) != 2 || got[0] != "missed outage 01T01:00-31T23:00 x17519" || got[1] != "run catch_up 01T00:00" {
		t.Errorf("decided %q", got)
	}
	r.add(time.Second)
	if trouble := r.Trouble(); trouble != "" {
		t.Errorf("the trouble is %q", trouble)
	}
}

func TestALookIsRememberedThroughARestart(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	r.put(validJob("churn", every("36h")))
	r.lookNow()
	for range 30 * 24 { // a month of looks that decide little
		r.add(time.Hour)
		r.lookNow()
	}
	again := New(Options{Store: r.store, Now: r.clock.now})

	r.add(360 * 24 * time.Hour)
	if trouble := again.Trouble(); trouble != "" {
		t.Errorf("360 days after the last look: %s", trouble)
	}
	r.add(10 * 24 * time.Hour)
	if again.Trouble() == "" {
		t.Error("370 days after the last look are believed")
	}
}

func TestAClockBehindTheCursorIsReported(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:30:00Z")
	r.put(validJob("churn", every("1h")))
	r.set(instant("2026-01-02T00:00:00Z"))
	r.wakeUp()
	r.finish(r.job("churn").UID)

	r.set(instant("2026-01-01T23:59:00Z"))
	if status := r.status("churn"); !status.Healthy {
		t.Errorf("a minute behind: %q", status.Summary)
	}
	r.set(instant("2026-01-01T23:58:59Z"))
	if status := r.status("churn"); status.Healthy || !strings.HasPrefix(status.Summary, "clock_behind") || !strings.Contains(status.Summary, "batch-runner cursor churn --to now") {
		t.Errorf("more than a minute behind: %q", status.Summary)
	}
}
