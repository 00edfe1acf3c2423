package store

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func hour(n int) time.Time { return begin.Add(time.Duration(n) * time.Hour) }

// dueIn declares a job that is due in so many hours; 0: never by itself.
func dueIn(t fataler, s *Store, name string, hours int) Job {
	t.Helper()
	return made(t, s, func(tx *Tx) (Job, error) {
		j := Job{StoredJob: api.StoredJob{Spec: api.Job{Name: name}}, Cursor: begin}
		if hours > 0 {
			j.NextDueAt = hour(hours)
		}
		return tx.InsertJob(j)
	})
}

// verdict is one about the occurrence in so many hours.
func verdict(v api.Verdict, reason string, hours int) Verdict {
	d := Verdict{Decision: api.Decision{Verdict: v, Reason: reason, First: hour(hours), Last: hour(hours), Count: 1}}
	if v == api.VerdictRun {
		d.Origin = api.OriginSchedule
	}
	return d
}

// decide records decisions and moves the cursor to the last of them.
func decide(tx *Tx, uid string, verdicts ...Verdict) error {
	job, err := tx.DueJob(uid)
	if err != nil {
		return err
	}
	cursor := verdicts[len(verdicts)-1].Last
	return tx.RecordDecisions([]Decided{{Job: job, Decisions: verdicts, Cursor: cursor, NextDueAt: cursor.Add(time.Hour)}})
}

func TestDueJobsComeWithAllThatDecidingNeeds(t *testing.T) {
	s, _ := open(t)
	spec := api.Job{Name: "iris", Schedule: &api.Schedule{Cron: "0 * * * *"}, Overlap: api.OverlapQueueAll, CatchUp: &api.CatchUp{Mode: api.CatchUpAll}}
	declare := func(name string, hours int) Job {
		spec.Name = name
		return made(t, s, func(tx *Tx) (Job, error) {
			return tx.InsertJob(Job{StoredJob: api.StoredJob{Spec: spec}, Cursor: begin, NextDueAt: hour(hours)})
		})
	}
	late, early := declare("late", 3), declare("early", 1)
	declare("later", 9)
	dueIn(t, s, "manual", 0)
	newRun(t, s, early, api.Run{Origin: api.OriginManual})
	newRun(t, s, early, api.Run{Occurrence: hour(1)})
	interrupted := move(t, s, newRun(t, s, early, api.Run{Occurrence: hour(2)}), api.RunPlanning, api.RunQueued)
	move(t, s, newRun(t, s, early, api.Run{Occurrence: hour(3)}), api.RunPlanning)
	move(t, s, newRun(t, s, early, api.Run{Occurrence: hour(4)}), api.RunCancelled)
	do(t, s, func(tx *Tx) error { return decide(tx, late.UID, verdict(api.VerdictSkipped, api.DecidedPaused, 1)) })
	if interrupted.StartedAt.IsZero() {
		t.Fatal("the interrupted run never started")
	}

	due := made(t, s, func(tx *Tx) ([]DueJob, error) { return tx.ClaimDue(hour(3), 10) })
	if len(due) != 2 {
		t.Fatalf("due: %+v", due)
	}
	calendar := spec.WithDefaults()
	want := []DueJob{
		{UID: early.UID, Name: "early", Generation: 1, Cursor: begin, NextDueAt: hour(1), Active: 4, Waiting: 1},
		{UID: late.UID, Name: "late", Generation: 1, Cursor: hour(1), NextDueAt: hour(2)},
	}
	for i := range want {
		want[i].Calendar = &Calendar{Schedule: calendar.Schedule, CatchUp: *calendar.CatchUp, Overlap: api.OverlapQueueAll, MaxQueued: api.DefaultMaxQueued}
		if !reflect.DeepEqual(due[i], want[i]) {
			t.Errorf("due is   %+v\nwant %+v", due[i], want[i])
		}
	}
	if due[0].Calendar != due[1].Calendar {
		t.Error("jobs that are declared alike have a calendar each")
	}
	if got := made(t, s, func(tx *Tx) ([]DueJob, error) { return tx.ClaimDue(hour(3), 1) }); len(got) != 1 || got[0].UID != early.UID {
		t.Errorf("for a limit of 1: %+v", got)
	}
}

// 243 jobs take a statement of each size.
func TestDecisionsAboutManyJobsAreWrittenTogether(t *testing.T) {
	s, c := open(t)
	for i := range 243 {
		dueIn(t, s, fmt.Sprintf("job-%03d", i), 1)
	}
	c.advance(time.Hour)
	decideAll := func(tx *Tx) error {
		due, err := tx.ClaimDue(tx.Now, 1000)
		decided := make([]Decided, len(due))
		for i, job := range due {
			catchUp := verdict(api.VerdictRun, api.DecidedCatchUp, 0)
			catchUp.Origin, catchUp.Shared = api.OriginCatchUp, true
			decided[i] = Decided{Job: job, Cursor: tx.Now, NextDueAt: hour(2), Decisions: []Verdict{
				verdict(api.VerdictMissed, api.DecidedOutage, -1), catchUp, verdict(api.VerdictRun, api.DecidedDue, 1)}}
		}
		return errors.Join(err, tx.RecordDecisions(decided))
	}
	do(t, s, decideAll)

	jobs := must(s.Jobs())(t)
	for _, job := range jobs {
		if !job.Cursor.Equal(hour(1)) || !job.NextDueAt.Equal(hour(2)) || job.Generation != 1 {
			t.Fatalf("job %s: %+v", job.Spec.Name, job)
		}
		runs := must(s.Runs(job.UID, 10))(t)
		if len(runs) != 2 {
			t.Fatalf("job %s has runs %+v", job.Spec.Name, runs)
		}
		scheduled, caught := runs[0], runs[1]
		want := Run{Version: 1, Run: api.Run{ID: scheduled.ID, Job: job.Spec.Name, JobUID: job.UID, Generation: 1, Occurrence: hour(1),
			Origin: api.OriginSchedule, Sequence: 1, Attempt: 1, State: api.RunQueued, Reason: api.ReasonWaitingForTurn, CreatedAt: hour(1)}}
		if !reflect.DeepEqual(scheduled, want) {
			t.Fatalf("the scheduled run is %+v\nwant %+v", scheduled, want)
		}
		if caught.Origin != api.OriginCatchUp || !caught.Shared || !caught.Occurrence.Equal(begin) || caught.Reason != api.ReasonWaitingForSlot {
			t.Fatalf("the catch-up run is %+v", caught)
		}
		decisions := must(s.Decisions(job.UID, 10))(t)
		if len(decisions) != 3 || decisions[0].Run != scheduled.ID || decisions[1].Run != caught.ID || decisions[2].Verdict != api.VerdictMissed {
			t.Fatalf("decisions %+v", decisions)
		}
		events := must(s.Events(scheduled.ID))(t)
		if want := (api.Event{At: hour(1), Kind: "state", Actor: "schedule", To: "queued", Reason: "schedule"}); len(events) != 1 || events[0] != want {
			t.Fatalf("events %+v", events)
		}
	}

	before := dump(t, s)
	do(t, s, decideAll) // nothing is due any more
	if dump(t, s) != before {
		t.Error("what was decided is decided again")
	}
}

func TestDecisionsAreGuardedByTheClaim(t *testing.T) {
	s, _ := open(t)
	edited, other := dueIn(t, s, "edited", 1), dueIn(t, s, "other", 1)
	due := made(t, s, func(tx *Tx) ([]DueJob, error) { return tx.ClaimDue(hour(1), 10) })
	var decided []Decided
	for _, job := range due {
		decided = append(decided, Decided{Job: job, Cursor: hour(1), NextDueAt: hour(2), Decisions: []Verdict{verdict(api.VerdictRun, api.DecidedDue, 1)}})
	}
	record := func(tx *Tx) error { return tx.RecordDecisions(decided) }
	made(t, s, func(tx *Tx) (Job, error) { return tx.UpdateJob(edited) })
	before := dump(t, s)
	doErr(t, s, ErrFenced, record)
	if dump(t, s) != before {
		t.Error("a fenced claim left something behind")
	}
	decided = slices.DeleteFunc(decided, func(d Decided) bool { return d.Job.UID == edited.UID })
	do(t, s, record)
	doErr(t, s, ErrFenced, record) // the cursor has moved
	decided[0].Job = made(t, s, func(tx *Tx) (DueJob, error) { return tx.DueJob(other.UID) })
	do(t, s, func(tx *Tx) error { return tx.BuryJob(other.UID) })
	doErr(t, s, ErrFenced, record)
}

// Only a cursor that was set back leads past an occurrence again.
func TestAnOccurrenceDecidedAnewGetsTheNextSequence(t *testing.T) {
	s, _ := open(t)
	job := dueIn(t, s, "iris", 1)
	do(t, s, func(tx *Tx) error { return tx.Rewind(job.UID, hour(1)) })
	newRun(t, s, job, api.Run{Occurrence: hour(1), Origin: api.OriginSchedule})
	newRun(t, s, job, api.Run{Occurrence: hour(1), Origin: api.OriginManual})
	do(t, s, func(tx *Tx) error { return decide(tx, job.UID, verdict(api.VerdictRun, api.DecidedDue, 1)) })
	run := must(s.Run(must(s.LastDecision(job.UID))(t).Run))(t)
	if run.Sequence != 2 {
		t.Errorf("the run is %+v", run)
	}
	// No decision about an occurrence is overwritten.
	if err := s.Write(t.Context(), func(tx *Tx) error { return decide(tx, job.UID, verdict(api.VerdictRun, api.DecidedDue, 1)) }); err == nil {
		t.Error("one occurrence was decided twice")
	}
}

func TestEqualNeighbouringDecisionsAreOneRow(t *testing.T) {
	s, _ := open(t)
	job, other := newJob(t, s, "iris"), newJob(t, s, "other")
	outage := verdict(api.VerdictMissed, api.DecidedOutage, 3)
	outage.Last, outage.Count = hour(8), 6
	for _, wake := range [][]Verdict{
		{verdict(api.VerdictSkipped, api.DecidedPaused, 1), verdict(api.VerdictSkipped, api.DecidedPaused, 2), outage},
		{verdict(api.VerdictMissed, api.DecidedOutage, 9)},
		{verdict(api.VerdictMissed, api.DecidedOutage, 10), verdict(api.VerdictMissed, api.DecidedTooOld, 11)},
		{verdict(api.VerdictRun, api.DecidedDue, 12)}, // runs stay apart
		{verdict(api.VerdictRun, api.DecidedDue, 13), verdict(api.VerdictMissed, api.DecidedOutage, 14)},
	} {
		do(t, s, func(tx *Tx) error { return decide(tx, job.UID, wake...) })
	}
	do(t, s, func(tx *Tx) error { return decide(tx, other.UID, verdict(api.VerdictSkipped, api.DecidedHeld, 9)) })
	type row struct {
		verdict api.Verdict
		reason  string
		first   time.Time
		last    time.Time
		count   int64
		run     bool
	}
	var got []row
	for _, d := range must(s.Decisions(job.UID, 10))(t) {
		got = append(got, row{d.Verdict, d.Reason, d.First, d.Last, d.Count, d.Run != ""})
	}
	want := []row{
		{api.VerdictMissed, api.DecidedOutage, hour(14), hour(14), 1, false},
		{api.VerdictRun, api.DecidedDue, hour(13), hour(13), 1, true},
		{api.VerdictRun, api.DecidedDue, hour(12), hour(12), 1, true},
		{api.VerdictMissed, api.DecidedTooOld, hour(11), hour(11), 1, false},
		{api.VerdictMissed, api.DecidedOutage, hour(3), hour(10), 8, false},
		{api.VerdictSkipped, api.DecidedPaused, hour(1), hour(2), 2, false},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if last := must(s.LastDecision(job.UID))(t); !last.First.Equal(hour(14)) {
		t.Errorf("the last decision is %+v", last)
	}
	if _, err := s.LastDecision("nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("of nobody: %v", err)
	}
	standing := must(s.Standing(job.UID))(t)
	if !reflect.DeepEqual(standing.Missed, map[string]int64{api.DecidedOutage: 9, api.DecidedTooOld: 1}) ||
		!reflect.DeepEqual(standing.Skipped, map[string]int64{api.DecidedPaused: 2}) {
		t.Errorf("missed %v, skipped %v", standing.Missed, standing.Skipped)
	}
}

func TestDecisionsAfterAnInstantAreForgotten(t *testing.T) {
	s, _ := open(t)
	job := newJob(t, s, "iris")
	outage := verdict(api.VerdictMissed, api.DecidedOutage, 3)
	outage.Last, outage.Count = hour(8), 6
	do(t, s, func(tx *Tx) error {
		return decide(tx, job.UID, verdict(api.VerdictSkipped, api.DecidedPaused, 1), outage, verdict(api.VerdictSkipped, api.DecidedHeld, 9),
			verdict(api.VerdictRun, api.DecidedDue, 10))
	})
	cut := func(after time.Time) {
		do(t, s, func(tx *Tx) error {
			return tx.CutDecisions(job.UID, after, func(row api.Decision) (time.Time, int64) {
				last := after.Truncate(time.Hour)
				return last, int64(last.Sub(row.First)/time.Hour) + 1
			})
		})
	}
	cut(hour(10))
	if got := must(s.Decisions(job.UID, 10))(t); len(got) != 4 {
		t.Errorf("nothing lies later, left are %+v", got)
	}
	cut(hour(5).Add(time.Minute))
	got := must(s.Decisions(job.UID, 10))(t)
	if len(got) != 2 || !got[0].First.Equal(hour(3)) || !got[0].Last.Equal(hour(5)) || got[0].Count != 3 {
		t.Errorf("left are %+v", got)
	}
	standing := must(s.Standing(job.UID))(t)
	if !reflect.DeepEqual(standing.Missed, map[string]int64{api.DecidedOutage: 3}) || !reflect.DeepEqual(standing.Skipped, map[string]int64{api.DecidedPaused: 1}) {
		t.Errorf("missed %v, skipped %v", standing.Missed, standing.Skipped)
	}
	cut(begin)
	if got := must(s.Decisions(job.UID, 10))(t); len(got) != 0 {
		t.Errorf("left are %+v", got)
	}
	if standing := must(s.Standing(job.UID))(t); len(standing.Missed)+len(standing.Skipped) != 0 {
		t.Errorf("missed %v, skipped %v", standing.Missed, standing.Skipped)
	}
}

func TestARewoundJobSaysSo(t *testing.T) {
	s, _ := open(t)
	job := newJob(t, s, "iris")
	rewound := func() time.Time {
		return made(t, s, func(tx *Tx) (DueJob, error) { return tx.DueJob(job.UID) }).Rewound
	}
	if at := rewound(); !at.IsZero() {
		t.Errorf("a new job is rewound from %s", at)
	}
	do(t, s, func(tx *Tx) error { return errors.Join(tx.Rewind(job.UID, hour(5)), tx.Rewind(job.UID, hour(3))) })
	if at := rewound(); !at.Equal(hour(5)) {
		t.Errorf("rewound from %s", at)
	}
	// An occurrence that has run already keeps its run, and its row.
	ran := verdict(api.VerdictRun, api.DecidedDue, 1)
	ran.Origin, ran.Run = "", "r1"
	again := ran
	again.First, again.Last = hour(2), hour(2)
	do(t, s, func(tx *Tx) error { return decide(tx, job.UID, ran, again) })
	if got := must(s.Decisions(job.UID, 10))(t); len(got) != 2 || got[1] != ran.Decision {
		t.Errorf("decisions %+v", got)
	}
	if got := must(s.Runs(job.UID, 10))(t); len(got) != 0 {
		t.Errorf("runs %+v", got)
	}
}

func TestTheLastLookIsRemembered(t *testing.T) {
	s, c := open(t)
	if at := must(s.LookedAt())(t); !at.IsZero() {
		t.Errorf("before the first look: %s", at)
	}
	do(t, s, func(tx *Tx) error { return errors.Join(tx.SetLookedAt(hour(1)), tx.SetLookedAt(hour(2))) })
	closeStore(t, s)
	if at := must(openAt(t, s.Dir(), c).LookedAt())(t); !at.Equal(hour(2)) {
		t.Errorf("looked at %s", at)
	}
}
