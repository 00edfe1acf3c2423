package trigger

import (
	"slices"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func (r *room) setCursor(name, to string) api.JobStatus {
	r.t.Helper()
	status, err := r.SetCursor(r.t.Context(), name, api.SetCursor{To: to}, "cli:ann")
	if err != nil {
		r.t.Fatal(err)
	}
	return status
}

func TestACursorSetForwardSkipsWhatLiesBetween(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	uid := r.put(validJob("churn", every("1h"))).UID
	r.set(instant("2026-01-01T05:30:00Z"))

	status := r.setCursor("churn", "2026-01-01T04:30")

	if !status.Cursor.Equal(instant("2026-01-01T04:30:00Z")) || !status.NextDueAt.Equal(instant("2026-01-01T05:00:00Z")) || status.Skipped[api.DecidedCursor] != 4 {
		t.Errorf("the status is %+v", status)
	}
	r.wakeUp()
	if got, want := r.history(uid), []string{"skipped cursor 01T01:00-01T04:00 x4", "run catch_up 01T05:00"}; !slices.Equal(got, want) {
		t.Errorf("decided %q, want %q", got, want)
	}
}

// The clock was a month ahead, and is set right.
func TestACursorSetBackForgetsWhatAWrongClockDecided(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:30:00Z")
	uid := r.put(validJob("churn", every("1h"))).UID
	r.set(instant("2026-01-01T01:00:00Z"))
	r.wakeUp()
	r.finish(uid)
	r.set(instant("2026-01-01T05:30:00Z")) // wrong: it is 02:10
	r.wakeUp()                             // 05:00 runs, the others are missed
	r.finish(uid)
	r.set(instant("2026-01-01T02:10:00Z"))
	if r.status("churn").Healthy {
		t.Error("a clock that went back is not reported")
	}

	status := r.setCursor("churn", "now")

	if !status.Healthy || !status.Cursor.Equal(r.clock.now()) || !status.NextDueAt.Equal(instant("2026-01-01T03:00:00Z")) || status.Missed[api.DecidedOutage] != 1 {
		t.Errorf("the status is %+v", status)
	}
	for r.clock.now().Before(instant("2026-01-01T06:00:00Z")) {
		r.add(10 * time.Minute)
		r.wakeUp()
		r.finish(uid)
	}
	want := []string{"run due 01T01:00", "missed outage 01T02:00", "run due 01T03:00", "run due 01T04:00", "run due 01T05:00", "run due 01T06:00"}
	if got := r.history(uid); !slices.Equal(got, want) {
		t.Errorf("decided %q, want %q", got, want)
	}
	for i, run := range r.runs(uid) { // newest first
		if want := 6 - i; i < 4 && run.Occurrence.Hour() != want || len(r.runs(uid)) != 5 {
			t.Errorf("run %d is of %s, and there are %d; want one of each", i, run.Occurrence, len(r.runs(uid)))
		}
	}
	if runs := r.runs(uid); runs[1].Origin != api.OriginCatchUp {
		t.Errorf("05:00 ran again: %+v", runs[1])
	}
}

func TestARowThatSpansTheCursorKeepsItsBeginning(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:30:00Z")
	spec := paused(validJob("churn", every("1h")), true)
	uid := r.put(spec).UID
	r.set(instant("2026-01-01T03:30:00Z"))
	spec.Schedule = every("30m") // 04:00 and on: its rows fold with those of the old rule
	r.put(spec)
	r.set(instant("2026-01-01T06:00:00Z"))
	r.wakeUp()
	if got, want := r.history(uid), []string{"skipped paused 01T01:00-01T06:00 x8"}; !slices.Equal(got, want) {
		t.Fatalf("decided %q, want %q", got, want)
	}

	status := r.setCursor("churn", "2026-01-01T05:10")

	if got, want := r.history(uid), []string{"skipped paused 01T01:00-01T05:00 x6"}; !slices.Equal(got, want) {
		t.Errorf("decided %q, want %q", got, want)
	}
	if status.Skipped[api.DecidedPaused] != 6 {
		t.Errorf("the status counts %v", status.Skipped)
	}
}

func TestWhatACursorIsNotSetTo(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:30:00Z")
	r.put(validJob("churn", every("1h")))
	for to, says := range map[string]string{
		"2026-01-01T00:31": "future", "2025-12-31": "add the time", "": "is not an instant", "2026-01-01T00:00:00.5Z": "fraction",
	} {
		_, err := r.SetCursor(t.Context(), "churn", api.SetCursor{To: to}, "test")
		refused(t, err, api.CodeInvalid, says)
	}
	_, err := r.SetCursor(t.Context(), "none", api.SetCursor{To: "now"}, "test")
	refused(t, err, api.CodeNotFound)
	before := r.job("churn")
	r.setCursor("churn", before.Cursor.Format(time.RFC3339))
	if after := r.job("churn"); !after.Cursor.Equal(before.Cursor) || !after.NextDueAt.Equal(before.NextDueAt) {
		t.Errorf("the cursor is %s", after.Cursor)
	}
}

// Only what a cursor was set back over may have run under the wrong clock. A
// manual run that names a later occurrence does not stand in for it.
func TestARunAfterTheOldCursorTakesNoOccurrencesPlace(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:30:00Z")
	spec := validJob("churn", every("1h"))
	spec.CatchUp = &api.CatchUp{Mode: api.CatchUpNone}
	uid := r.put(spec).UID
	r.set(instant("2026-01-01T05:00:00Z")) // wrong: it is 02:10
	r.wakeUp()
	r.finish(uid)
	r.set(instant("2026-01-01T02:10:00Z"))
	r.setCursor("churn", "now")
	r.set(instant("2026-01-01T07:02:00Z"))
	manual, _, err := r.Run(t.Context(), "churn", api.Trigger{Occurrence: instant("2026-01-01T07:00:00Z")}, "", "cli:ann")
	if err != nil {
		t.Fatal(err)
	}
	r.finish(uid)

	r.wakeUp()

	want := []string{"missed outage 01T01:00-01T04:00 x4", "run due 01T05:00", "missed outage 01T06:00", "run due 01T07:00"}
	if got := r.history(uid); !slices.Equal(got, want) {
		t.Errorf("decided %q, want %q", got, want)
	}
	if decisions := r.decisions(uid); decisions[len(decisions)-1].Run == manual.ID || len(r.active(uid)) != 1 {
		t.Errorf("07:00 is left to the manual run %s: %+v", manual.ID, decisions)
	}
}
