package store

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// runnableIDs is what the engine would be offered, all of it.
func runnableIDs(t fataler, runnable iter.Seq2[Queued, error]) (ids []string) {
	t.Helper()
	for q, err := range runnable {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, q.ID)
	}
	return ids
}

func activeRuns(t fataler, s *Store) []Run {
	t.Helper()
	return must(runs(s.reader(), `WHERE `+activeStates))(t)
}

func ids(runs []Run) (ids []string) {
	for _, run := range runs {
		ids = append(ids, run.ID)
	}
	return ids
}

func TestRunsStandInSlotOrder(t *testing.T) {
	s, c := open(t)
	add := func(job string, origin api.Origin, hours int, states ...api.RunState) Run {
		c.advance(time.Minute)
		return move(t, s, newRun(t, s, newJob(t, s, job), api.Run{Origin: origin, Occurrence: hour(hours)}), states...)
	}
	backfill := add("a", api.OriginBackfill, 0)
	manual, laterManual := add("b", api.OriginManual, 0), add("c", api.OriginManual, 0)
	scheduled := add("d", api.OriginSchedule, 9)
	late, early := add("e", api.OriginCatchUp, 5), add("f", api.OriginCatchUp, 4)
	planning := add("g", api.OriginManual, 1, api.RunPlanning)
	committing := add("h", api.OriginSchedule, 1, api.RunPlanning, api.RunCommitting)
	add("i", api.OriginSchedule, 1, api.RunCancelled)

	want := []string{early.ID, late.ID, scheduled.ID, manual.ID, laterManual.ID, backfill.ID}
	if got := runnableIDs(t, s.Runnable()); !slices.Equal(got, want) {
		t.Errorf("runnable: %v\nwant %v", got, want)
	}
	for q, err := range s.Runnable() { // stops when the slots are full
		if err != nil || q != (Queued{ID: early.ID, UID: early.JobUID}) {
			t.Errorf("first is %+v, %v", q, err)
		}
		break
	}
	if got := ids(must(s.UnderWay())(t)); !slices.Equal(got, []string{committing.ID, planning.ID}) {
		t.Errorf("under way: %v", got)
	}
	states, _, err := s.ActiveWork()
	if err != nil || !reflect.DeepEqual(states, map[api.RunState]int64{api.RunQueued: 6, api.RunPlanning: 1, api.RunCommitting: 1}) {
		t.Errorf("active work: %v, %v", states, err)
	}
}

func TestOneRunOfAJobGoesOnAtATime(t *testing.T) {
	s, c := open(t)
	job := newJob(t, s, "iris")
	add := func(origin api.Origin, hours int) Run {
		c.advance(time.Minute)
		return newRun(t, s, job, api.Run{Origin: origin, Occurrence: hour(hours)})
	}
	manual, scheduled, caughtUp := add(api.OriginManual, 1), add(api.OriginSchedule, 2), add(api.OriginCatchUp, 3)
	active := func() Run { return made(t, s, func(tx *Tx) (Run, error) { return tx.ActiveRun(job.UID) }) }
	unfinished := func() []string {
		return ids(made(t, s, func(tx *Tx) ([]Run, error) { return tx.UnfinishedOf(job.UID) }))
	}
	if got := active(); got.ID != caughtUp.ID || got.Reason != api.ReasonWaitingForSlot {
		t.Errorf("first in the queue is %+v", got)
	}
	if got := must(s.Run(manual.ID))(t); got.Reason != api.ReasonWaitingForTurn {
		t.Errorf("behind it: %+v", got)
	}
	if got := runnableIDs(t, s.Runnable()); !slices.Equal(got, []string{caughtUp.ID}) {
		t.Errorf("runnable: %v", got)
	}
	manual = move(t, s, manual, api.RunPlanning)
	if got := runnableIDs(t, s.Runnable()); len(got) != 0 {
		t.Errorf("runnable beside the one under way: %v", got)
	}
	if got := must(s.Run(caughtUp.ID))(t); got.Reason != api.ReasonWaitingForTurn {
		t.Errorf("behind the one under way: %+v", got)
	}
	if got := active(); got.ID != manual.ID || got.Reason != "" {
		t.Errorf("under way is %+v", got)
	}
	if got := unfinished(); !slices.Equal(got, []string{manual.ID, caughtUp.ID, scheduled.ID}) {
		t.Errorf("unfinished: %v", got)
	}
	if got := ids(must(s.UnfinishedOf(job.UID))(t)); !slices.Equal(got, unfinished()) {
		t.Errorf("unfinished for readers: %v", got)
	}
	if way := made(t, s, func(tx *Tx) (Run, error) { return tx.RunInTheWay(caughtUp) }); way.ID != manual.ID {
		t.Errorf("in the way is %+v", way)
	}
	doErr(t, s, ErrNotFound, func(tx *Tx) error { _, err := tx.RunInTheWay(manual); return err })
	move(t, s, manual, api.RunFailed)
	doErr(t, s, ErrNotFound, func(tx *Tx) error { _, err := tx.RunInTheWay(caughtUp); return err })
}

// What may start, and why the rest waits, is what a plain reading of the rule
// over all runs gives.
func TestTurnsFollowTheRule(t *testing.T) {
	s, c := open(t)
	turn := 0
	rapid.Check(t, func(t *rapid.T) {
		turn++
		for _, run := range activeRuns(t, s) {
			move(t, s, run, api.RunCancelled)
		}
		jobs := []Job{newJob(t, s, fmt.Sprint("a", turn)), newJob(t, s, fmt.Sprint("b", turn))}
		for range rapid.IntRange(0, 8).Draw(t, "runs") {
			if rapid.Bool().Draw(t, "later") {
				c.advance(time.Second)
			}
			job := rapid.SampledFrom(jobs).Draw(t, "job")
			origin := rapid.SampledFrom([]api.Origin{api.OriginCatchUp, api.OriginSchedule, api.OriginManual, api.OriginBackfill}).Draw(t, "origin")
			run := Run{Shared: rapid.Bool().Draw(t, "shared"), Run: api.Run{JobUID: job.UID, Job: job.Spec.Name, Origin: origin,
				Occurrence: hour(rapid.IntRange(0, 2).Draw(t, "hour"))}}
			run = made(t, s, func(tx *Tx) (Run, error) { return tx.InsertRun(run, "", "test") })
			move(t, s, run, rapid.SampledFrom([][]api.RunState{{}, {}, {}, {api.RunPlanning}, {api.RunCancelled}}).Draw(t, "moves")...)
		}

		active := activeRuns(t, s)
		slices.SortFunc(active, func(a, b Run) int {
			return cmp.Or(cmp.Compare(slotOrder(a.Origin), slotOrder(b.Origin)), a.Occurrence.Compare(b.Occurrence),
				a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
		})
		var want []string
		for i, run := range active {
			if run.State != api.RunQueued {
				continue
			}
			reason := api.ReasonWaitingForSlot
			for j, other := range active {
				inTheWay := other.JobUID == run.JobUID && (other.State != api.RunQueued || j < i)
				if together := run.Shared && other.Shared; inTheWay && !together {
					reason = api.ReasonWaitingForTurn
				}
			}
			if reason == api.ReasonWaitingForSlot {
				want = append(want, run.ID)
			}
			if run.Reason != reason {
				t.Fatalf("%+v waits for %s, want %s", run, run.Reason, reason)
			}
		}
		if got := runnableIDs(t, s.Runnable()); !slices.Equal(got, want) {
			t.Fatalf("runnable: %v\nwant %v", got, want)
		}
		for _, job := range jobs {
			of := slices.DeleteFunc(slices.Clone(want), func(id string) bool { return must(s.Run(id))(t).JobUID != job.UID })
			if got := runnableIDs(t, s.RunnableOf(job.UID)); !slices.Equal(got, of) {
				t.Fatalf("runnable of one job: %v\nwant %v", got, of)
			}
		}
	})
}

func TestARunCancelledInTheQueueNeverStarted(t *testing.T) {
	s, c := open(t)
	run := move(t, s, newRun(t, s, newJob(t, s, "iris"), api.Run{}), api.RunCancelled)
	if !run.StartedAt.IsZero() || !run.StagingUntil.IsZero() || !run.EndedAt.Equal(c.now()) {
		t.Errorf("cancelled: %+v", run)
	}
}

func TestASkippedRunNeverStarted(t *testing.T) {
	s, c := open(t)
	job := newJob(t, s, "iris")
	waiting := newRun(t, s, job, api.Run{Occurrence: hour(1)})
	other := newRun(t, s, job, api.Run{Occurrence: hour(2)})
	newRun(t, s, job, api.Run{Origin: api.OriginManual})
	move(t, s, newRun(t, s, job, api.Run{Occurrence: hour(3)}), api.RunPlanning, api.RunQueued)
	list := func() []string {
		return ids(made(t, s, func(tx *Tx) ([]Run, error) { return tx.WaitingSchedule(job.UID) }))
	}
	if got := list(); !slices.Equal(got, []string{waiting.ID, other.ID}) {
		t.Errorf("waiting: %v", got)
	}
	skipped := made(t, s, func(tx *Tx) (Run, error) {
		return tx.MoveRun(waiting, RunChange{To: api.RunSkipped, Reason: api.ReasonReplaced, Actor: "schedule"})
	})
	got := must(s.Run(waiting.ID))(t)
	if !reflect.DeepEqual(got, skipped) || !got.StartedAt.IsZero() || !got.EndedAt.Equal(c.now()) || !got.StagingUntil.IsZero() || got.Reason != api.ReasonReplaced {
		t.Errorf("skipped: %+v", got)
	}
	if sweep := must(s.StagingToSweep(c.now()))(t); len(sweep) != 0 {
		t.Errorf("to sweep: %+v", sweep)
	}
	if got := list(); !slices.Equal(got, []string{other.ID}) {
		t.Errorf("waiting: %v", got)
	}
}

func TestRecentRunsAreThoseThatEndedLast(t *testing.T) {
	s, c := open(t)
	job := newJob(t, s, "iris")
	var ended []Run
	for i, to := range []api.RunState{api.RunSucceeded, api.RunFailed, api.RunSkipped, api.RunCancelled} {
		c.advance(time.Minute)
		ended = append(ended, move(t, s, newRun(t, s, job, api.Run{Occurrence: hour(9 - i)}), to))
	}
	newRun(t, s, job, api.Run{})
	move(t, s, newRun(t, s, newJob(t, s, "other"), api.Run{}), api.RunFailed)
	recent := func(limit int) []string {
		return ids(made(t, s, func(tx *Tx) ([]Run, error) { return tx.RecentMain(job.UID, limit) }))
	}
	if got := recent(9); !slices.Equal(got, []string{ended[3].ID, ended[1].ID, ended[0].ID}) {
		t.Errorf("recent: %v", got)
	}
	if got := recent(1); !slices.Equal(got, []string{ended[3].ID}) {
		t.Errorf("the most recent: %v", got)
	}
}

func TestActiveWorkIsTheSumOfItsRuns(t *testing.T) {
	s, c := open(t)
	job := newJob(t, s, "iris")
	running := runningRun(t, s, job, hour(1), 10, 10)
	stage(t, s, running, claim(t, s, running, 1)[0], 2)
	interrupted := runningRun(t, s, job, hour(2), 5)
	do(t, s, func(tx *Tx) error {
		_, err := tx.MoveRun(interrupted, RunChange{To: api.RunQueued})
		return errors.Join(err, tx.ReleaseAll(interrupted.ID))
	})
	c.advance(time.Minute)
	move(t, s, runningRun(t, s, job, hour(3), 70), api.RunFailed)
	_, total, err := s.ActiveWork()
	if want := (api.Counts{Planned: 25, DeadLettered: 2, Staged: 8, Unfinished: 23}); err != nil || total != want {
		t.Errorf("%+v, %v; want %+v", total, err, want)
	}
}
