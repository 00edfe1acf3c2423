package trigger

import (
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
	if r.wakes != 1 {
		t.Errorf("the engine was woken %d times, want 1", r.wakes)
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

	if took := time.Since(began); took > time.Second {
		t.Errorf("took %s", took)
	}
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
		return tx.Decide(broken.UID, api.Decision{Verdict: api.VerdictRun, First: due, Last: due, Count: 1, Run: "in-the-way"})
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

	queued, err := r.store.ActiveRuns()
	if err != nil || len(queued) != jobs {
		t.Errorf("%d runs are queued, want %d (%v)", len(queued), jobs, err)
	}
}
