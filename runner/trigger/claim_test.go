package trigger

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

func TestADueOccurrenceBecomesADecisionAndAQueuedRun(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	stored := r.put(validJob("churn", cron("0 2 * * *", "Europe/Berlin")))
	r.set(instant("2026-01-01T01:00:02Z"))

	r.wakeUp()

	runs := r.runs(stored.UID)
	if len(runs) != 1 {
		t.Fatalf("there are %d runs, want 1", len(runs))
	}
	run := runs[0]
	if run.State != api.RunQueued || run.Origin != api.OriginSchedule || run.Sequence != 1 || run.Job != "churn" ||
		run.Generation != 1 || !run.Occurrence.Equal(instant("2026-01-01T01:00:00Z")) {
		t.Errorf("the run is %+v", run.Run)
	}
	decisions := r.decisions(stored.UID)
	if len(decisions) != 1 || decisions[0].Run != run.ID || decisions[0].Verdict != api.VerdictRun || decisions[0].Reason != "due" {
		t.Errorf("decided %+v", decisions)
	}
	job := r.job("churn")
	if !job.Cursor.Equal(r.clock.now()) || !job.NextDueAt.Equal(instant("2026-01-02T01:00:00Z")) {
		t.Errorf("cursor %s, next due %s", job.Cursor, job.NextDueAt)
	}
	if r.wakes.Load() != 1 {
		t.Errorf("the engine was woken %d times, want 1", r.wakes.Load())
	}
}

func TestASecondWakeDecidesNothing(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:30:00Z")
	stored := r.put(validJob("churn", every("1h")))
	r.set(instant("2026-01-01T01:00:00Z"))

	r.wakeUp()
	r.wakeUp()
	r.set(instant("2026-01-01T00:40:00Z")) // the clock goes back
	r.wakeUp()
	r.set(instant("2026-01-01T01:10:00Z"))
	r.wakeUp()

	if runs, decisions := r.runs(stored.UID), r.decisions(stored.UID); len(runs) != 1 || len(decisions) != 1 {
		t.Errorf("%d runs, decisions %+v; want one of each", len(runs), decisions)
	}
}

func TestAHundredDaysOfOutageAreOneRunAndOneRow(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:30:00Z")
	stored := r.put(validJob("churn", every("1h")))
	r.set(instant("2026-01-01T00:30:00Z").AddDate(0, 0, 100))
	began := time.Now()

	r.wakeUp()

	t.Logf("decided in %s", time.Since(began))
	decisions := r.decisions(stored.UID)
	if len(decisions) != 2 {
		t.Fatalf("decided %+v, want 2 rows", decisions)
	}
	if missed := decisions[0]; missed.Verdict != api.VerdictMissed || missed.Reason != "outage" || missed.Count != 2399 ||
		!missed.First.Equal(instant("2026-01-01T01:00:00Z")) || !missed.Last.Equal(instant("2026-04-10T23:00:00Z")) {
		t.Errorf("the outage is %+v", missed)
	}
	runs := r.runs(stored.UID)
	if len(runs) != 1 || runs[0].Origin != api.OriginCatchUp || !runs[0].Occurrence.Equal(instant("2026-04-11T00:00:00Z")) ||
		decisions[1].Run != runs[0].ID {
		t.Errorf("the runs are %+v, the decision %+v", runs, decisions[1])
	}
}

func TestAQueuedRunIsActiveForTheNextOccurrence(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	stored := r.put(validJob("churn", every("1h")))
	for range 4 {
		r.add(time.Hour)
		r.wakeUp()
	}
	decisions := r.decisions(stored.UID)
	if len(decisions) != 2 || decisions[1].Verdict != api.VerdictSkipped || decisions[1].Reason != "overlap" || decisions[1].Count != 3 {
		t.Fatalf("decided %+v, want one run and one row of 3 skipped", decisions)
	}
	if len(r.runs(stored.UID)) != 1 {
		t.Errorf("there are %d runs, want 1", len(r.runs(stored.UID)))
	}

	r.finish(stored.UID)
	r.add(time.Hour)
	r.wakeUp()
	if len(r.runs(stored.UID)) != 2 {
		t.Error("the occurrence after the run ended was not run")
	}
}

// A row in the decision's place makes the second of the transaction's three
// writes fail.
func TestADecisionThatFailsInTheMiddleLeavesNothing(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:30:00Z")
	broken, sound := r.put(validJob("broken", every("1h"))), r.put(validJob("sound", every("1h")))
	due := instant("2026-01-01T01:00:00Z")
	r.write(func(tx *store.Tx) error {
		job, err := tx.DueJob(broken.UID)
		if err != nil {
			return err
		}
		row := store.Verdict{Decision: api.Decision{Verdict: api.VerdictRun, First: due, Last: due, Count: 1, Run: "in-the-way"}}
		return tx.RecordDecisions([]store.Decided{{Job: job, Decisions: []store.Verdict{row}, Cursor: job.Cursor, NextDueAt: job.NextDueAt}})
	})
	before := r.job("broken")
	r.set(due)

	r.wakeUp()

	after := r.job("broken")
	if len(r.runs(broken.UID)) != 0 || len(r.decisions(broken.UID)) != 1 || !after.Cursor.Equal(before.Cursor) {
		t.Errorf("half a decision is stored: runs %+v, cursor %s → %s", r.runs(broken.UID), before.Cursor, after.Cursor)
	}
	if len(r.runs(sound.UID)) != 1 {
		t.Error("the sound job was kept from its run")
	}
	if want := due.Add(postponement); !after.NextDueAt.Equal(want) {
		t.Errorf("the broken job is tried again at %s, want %s", after.NextDueAt, want)
	}
}

func TestMoreJobsThanOneTransactionTakes(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:30:00Z")
	const jobs = claimLimit + 5
	r.write(func(tx *store.Tx) error {
		for i := range jobs {
			spec := validJob("job-"+string(rune('a'+i%26))+"-"+time.Duration(i).String(), every("1h"))
			if _, err := tx.InsertJob(store.Job{StoredJob: api.StoredJob{Spec: spec}, Cursor: tx.Now, NextDueAt: instant("2026-01-01T01:00:00Z")}); err != nil {
				return err
			}
		}
		return nil
	})
	r.set(instant("2026-01-01T01:00:00Z"))

	r.wakeUp()

	states, _, err := r.store.ActiveWork()
	if err != nil || states[api.RunQueued] != jobs {
		t.Errorf("the runs are %v, want %d queued (%v)", states, jobs, err)
	}
}

func TestANewerOccurrenceReplacesTheOneThatWaits(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:30:00Z")
	spec := validJob("churn", every("1h"))
	spec.Overlap = api.OverlapQueueOne
	uid := r.put(spec).UID
	r.set(instant("2026-01-01T01:00:00Z"))
	r.wakeUp()
	underWay := r.move(r.active(uid)[0], api.RunRunning)
	if _, _, err := r.Run(t.Context(), "churn", api.Trigger{}, "", "test"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r.add(time.Hour)
		r.wakeUp()
	}

	var states []string
	for _, run := range r.runs(uid) { // newest occurrence first
		states = append(states, fmt.Sprintf("%s %s %s %s", run.Origin, run.Occurrence.Format("15"), run.State, run.Reason))
	}
	slices.Sort(states)
	want := []string{"manual 01 queued waiting_for_turn", "schedule 01 running ", "schedule 02 skipped replaced", "schedule 03 queued waiting_for_turn"}
	if !slices.Equal(states, want) {
		t.Errorf("the runs are %q, want %q", states, want)
	}
	if got := r.history(uid); !slices.Equal(got, []string{"run due 01T01:00", "run due 01T02:00", "run due 01T03:00"}) {
		t.Errorf("decided %q", got)
	}
	r.move(underWay, api.RunSucceeded)
	if last := r.status("churn").LastRun; last.State == api.RunSkipped {
		t.Errorf("the last run is %+v", last)
	}
}

func TestANewerOccurrenceCancelsTheRunUnderWay(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	spec := validJob("churn", every("1h"))
	spec.Overlap = api.OverlapCancelRunning
	uid := r.put(spec).UID
	due := func() store.Run {
		r.add(time.Hour)
		r.wakeUp()
		active := r.active(uid)
		return active[len(active)-1]
	}
	first := r.move(due(), api.RunRunning)
	second := r.move(due(), api.RunCommitting)
	third := due()

	if first := r.run(first.ID); first.State != api.RunCancelled || first.Reason != api.ReasonOverlap {
		t.Errorf("the run under way is %+v", first.Run)
	}
	if second := r.run(second.ID); second.State != api.RunCommitting {
		t.Errorf("the committing run is %+v", second.Run)
	}
	fourth := due()
	if third := r.run(third.ID); third.State != api.RunSkipped || third.Reason != api.ReasonReplaced {
		t.Errorf("the run that waited is %+v", third.Run)
	}
	if fourth.State != api.RunQueued {
		t.Errorf("the newest run is %+v", fourth.Run)
	}
}

// Whether the engine took it up again before the next occurrence is decided is
// chance.
func TestANewerOccurrenceCancelsARunThatARestartInterrupted(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	spec := validJob("churn", every("1h"))
	spec.Overlap = api.OverlapCancelRunning
	uid := r.put(spec).UID
	r.add(time.Hour)
	r.wakeUp()
	first := r.move(r.move(r.active(uid)[0], api.RunRunning), api.RunQueued)
	r.add(time.Hour)

	r.wakeUp()

	if first := r.run(first.ID); first.State != api.RunCancelled || first.Reason != api.ReasonOverlap {
		t.Errorf("the run that was interrupted is %+v", first.Run)
	}
	if active := r.active(uid); len(active) != 1 || !active[0].Occurrence.Equal(r.clock.now()) {
		t.Errorf("active: %+v", active)
	}
}

func TestAllowedRunsAreShared(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	spec := validJob("churn", every("1h"))
	spec.Overlap, spec.Output.Files.URI = api.OverlapAllow, "/out/{scheduled_at}/{run}"
	uid := r.put(spec).UID
	for range 2 {
		r.add(time.Hour)
		r.wakeUp()
	}
	if active := r.active(uid); len(active) != 2 || !active[0].Shared || !active[1].Shared {
		t.Errorf("the runs are %+v", active)
	}
}

func TestJitterIsTheJobsOwnAndStable(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	declared := &api.Schedule{Every: "1h", Jitter: "50m"}
	offsets := map[time.Duration]bool{}
	for i := range 8 {
		name := fmt.Sprint("job-", i)
		uid := r.put(validJob(name, declared)).UID
		rule, err := ruleOf(declared)
		if err != nil {
			t.Fatal(err)
		}
		offset := rule.Offset(uid)
		offsets[offset] = true
		status := r.status(name)
		if want := instant("2026-01-01T01:00:00Z"); !status.NextOccurrence.Equal(want) || !status.NextDueAt.Equal(want.Add(offset)) ||
			!r.job(name).NextDueAt.Equal(status.NextDueAt) {
			t.Errorf("next occurrence %s, due at %s, want %s later", status.NextOccurrence, status.NextDueAt, offset)
		}
	}
	if len(offsets) < 4 {
		t.Errorf("eight jobs have the offsets %v", offsets)
	}
}

// The end of a rule decides what its jitter still holds back: an edit never
// swallows what was due.
func TestAnEditDecidesWhatJitterHoldsBack(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:30:00Z")
	spec := validJob("churn", &api.Schedule{Every: "1h", Jitter: "50m"})
	uid := r.put(spec).UID
	if !r.job("churn").NextDueAt.After(instant("2026-01-01T01:00:00Z")) {
		return // one uid in three thousand has no part of the jitter
	}
	r.set(instant("2026-01-01T01:00:00Z"))
	r.wakeUp()
	if got := r.history(uid); len(got) != 0 {
		t.Fatalf("decided %q before its time", got)
	}

	spec.Schedule = every("2h")
	r.put(spec)

	if got := r.history(uid); !slices.Equal(got, []string{"run due 01T01:00"}) {
		t.Errorf("decided %q", got)
	}
}
