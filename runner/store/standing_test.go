package store

import (
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func TestTheLastRunIsTheNewestByOccurrenceThenRevision(t *testing.T) {
	s, c := open(t)
	job := newJob(t, s, "iris")
	end := func(origin api.Origin, hours int, revision int64, state api.RunState) Run {
		c.advance(time.Minute)
		run := newRun(t, s, job, api.Run{Occurrence: hour(hours), Origin: origin})
		return made(t, s, func(tx *Tx) (Run, error) { return tx.MoveRun(run, RunChange{To: state, Revision: revision}) })
	}
	expect := func(last, success *Run) {
		t.Helper()
		standing := must(s.Standing(job.UID))(t)
		for what, pair := range map[string][2]*Run{"last run": {standing.Last, last}, "last success": {standing.Success, success}} {
			got, want := pair[0], pair[1]
			if (got == nil) != (want == nil) || got != nil && got.ID != want.ID {
				t.Errorf("the %s is %+v\nwant %+v", what, got, want)
			}
		}
	}
	expect(nil, nil)
	succeeded := end(api.OriginManual, 2, 1, api.RunSucceeded)
	end(api.OriginCatchUp, 1, 5, api.RunSucceeded) // an older occurrence, run later
	revised := end(api.OriginManual, 2, 2, api.RunIncomplete)
	end(api.OriginManual, 2, 0, api.RunFailed)      // published nothing
	end(api.OriginBackfill, 8, 1, api.RunSucceeded) // not the calendar's
	end(api.OriginSchedule, 9, 0, api.RunSkipped)   // did nothing
	expect(&revised, &succeeded)
	newer := end(api.OriginSchedule, 3, 0, api.RunFailed)
	expect(&newer, &succeeded)
	newest := end(api.OriginManual, 3, 0, api.RunCancelled) // neither published: the later one
	expect(&newest, &succeeded)
	if got := must(s.Runs(job.UID, 3))(t); len(got) != 3 || got[0].State != api.RunSkipped || got[2].ID != newest.ID {
		t.Errorf("listed %+v", got)
	}
}

func TestEveryLiveJobHasAStanding(t *testing.T) {
	s, _ := open(t)
	iris, other, buried := newJob(t, s, "iris"), newJob(t, s, "other"), newJob(t, s, "buried")
	run := newRun(t, s, other, api.Run{})
	backfill := made(t, s, func(tx *Tx) (Backfill, error) {
		return tx.InsertBackfill(Backfill{UID: other.UID}, "", []time.Time{hour(1)})
	})
	do(t, s, func(tx *Tx) error { return tx.BuryJob(buried.UID) })
	all := must(s.Standings())(t)
	if len(all) != 2 || all[buried.UID] != nil {
		t.Fatalf("standings of %v", all)
	}
	if st := all[iris.UID]; st.Last != nil || st.Active != nil || st.Decision != nil || st.Missed == nil || st.Skipped == nil || st.Backfill != nil {
		t.Errorf("of a job that did nothing: %+v", st)
	}
	if st := all[other.UID]; st.Active.ID != run.ID || st.Active.Reason != api.ReasonWaitingForSlot || st.Last.ID != run.ID || st.Backfill.ID != backfill.ID {
		t.Errorf("of a job with a run and a backfill: %+v", st)
	}
	do(t, s, func(tx *Tx) error { return tx.EndBackfill(backfill.ID) })
	if st := must(s.Standing(other.UID))(t); st.Backfill != nil {
		t.Errorf("an ended backfill goes on: %+v", st.Backfill)
	}
}
