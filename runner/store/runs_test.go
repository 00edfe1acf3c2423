package store

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func TestRunsOfOneOccurrenceAreNumbered(t *testing.T) {
	s, _ := open(t)
	iris, other := newJob(t, s, "iris"), newJob(t, s, "other")
	for _, test := range []struct {
		job  Job
		run  api.Run
		want int64
	}{
		{iris, api.Run{Origin: api.OriginManual}, 1},
		{iris, api.Run{Origin: api.OriginManual}, 2},
		{iris, api.Run{Origin: api.OriginSchedule}, 1},
		{iris, api.Run{Origin: api.OriginManual, Occurrence: begin.Add(time.Second)}, 1},
		{other, api.Run{Origin: api.OriginManual}, 1},
		{iris, api.Run{Origin: api.OriginManual}, 3},
	} {
		run := newRun(t, s, test.job, test.run)
		if run.Sequence != test.want || run.State != api.RunQueued || run.Attempt != 1 {
			t.Errorf("%+v got %+v", test, run)
		}
		got := must(s.Run(run.ID))(t)
		got.Reason = "" // why it waits is known to readers only
		if !reflect.DeepEqual(got, run) {
			t.Errorf("stored is %+v\nwant %+v", got, run)
		}
	}
}

func TestATokenMakesOneRunOfAJob(t *testing.T) {
	s, _ := open(t)
	iris, other := newJob(t, s, "iris"), newJob(t, s, "other")
	insert := func(job Job, token string) error {
		return s.Write(t.Context(), func(tx *Tx) error {
			_, err := tx.InsertRun(Run{Run: api.Run{JobUID: job.UID, Origin: api.OriginManual, Occurrence: begin}}, token, "me")
			return err
		})
	}
	if err := errors.Join(insert(iris, "a"), insert(iris, "b"), insert(other, "a"), insert(iris, ""), insert(iris, "")); err != nil {
		t.Fatal(err)
	}
	before := dump(t, s)
	if insert(iris, "a") == nil {
		t.Error("one token made two runs")
	}
	if dump(t, s) != before {
		t.Error("the refused run left something behind")
	}
	run := made(t, s, func(tx *Tx) (Run, error) { return tx.RunByToken(iris.UID, "a") })
	if run.JobUID != iris.UID || run.Sequence != 1 {
		t.Errorf("found %+v", run)
	}
	for _, token := range []string{"", "c"} {
		doErr(t, s, ErrNotFound, func(tx *Tx) error { _, err := tx.RunByToken(iris.UID, token); return err })
	}
}

func TestATransitionIsGuardedAndWritten(t *testing.T) {
	s, c := open(t)
	queued := newRun(t, s, newJob(t, s, "iris"), api.Run{})
	c.advance(time.Minute)
	started := c.now()
	planning := made(t, s, func(tx *Tx) (Run, error) {
		return tx.MoveRun(queued, RunChange{To: api.RunPlanning, Actor: "runner", Detail: "slot 1"})
	})
	before := dump(t, s)
	doErr(t, s, ErrFenced, func(tx *Tx) error { _, err := tx.MoveRun(queued, RunChange{To: api.RunCancelled}); return err })
	older := planning
	older.Version--
	doErr(t, s, ErrFenced, func(tx *Tx) error { _, err := tx.MoveRun(older, RunChange{To: api.RunFailed}); return err })
	wrongState := planning
	wrongState.State = api.RunRunning
	doErr(t, s, ErrFenced, func(tx *Tx) error { _, err := tx.MoveRun(wrongState, RunChange{To: api.RunFailed}); return err })
	if dump(t, s) != before {
		t.Error("a fenced transition left something behind")
	}

	c.advance(time.Minute)
	intent := Intent{State: api.RunSucceeded, Revision: 1, Folder: "/out/a", At: c.now(), Counts: api.Counts{Planned: 3, Committed: 3}}
	committing := made(t, s, func(tx *Tx) (Run, error) {
		return tx.MoveRun(planning, RunChange{To: api.RunCommitting, Actor: "runner", Intent: &intent})
	})
	withheld := c.now().Add(time.Hour)
	ended := made(t, s, func(tx *Tx) (Run, error) {
		return tx.MoveRun(committing, RunChange{To: api.RunFailed, Actor: "runner", Reason: api.ReasonMaxFailed, Message: "too many failed",
			KeepStaging: withheld, Output: "/out/a", Revision: 1, Attempt: 2})
	})
	got := must(s.Run(queued.ID))(t)
	if !reflect.DeepEqual(got, ended) {
		t.Errorf("stored is %+v\nwant %+v", got, ended)
	}
	if got.Version != 4 || !reflect.DeepEqual(got.Intent, intent) || !got.StartedAt.Equal(started) ||
		!got.EndedAt.Equal(c.now()) || !got.Withheld || !got.WithheldUntil.Equal(withheld) || got.Revision != 1 || got.Attempt != 2 {
		t.Errorf("got %+v", got)
	}
	again := move(t, s, ended, api.RunQueued)
	if again.Withheld || !again.EndedAt.IsZero() || !again.StartedAt.Equal(started) || again.Output != "/out/a" || again.Reason != "" {
		t.Errorf("queued again: %+v", again)
	}

	var history []string
	for _, e := range must(s.Events(queued.ID))(t) {
		history = append(history, e.From+">"+e.To+" "+e.Actor+" "+e.Reason+" "+e.Detail)
	}
	want := []string{">queued test schedule ", "queued>planning runner  slot 1", "planning>committing runner  ",
		"committing>failed runner max_failed too many failed", "failed>queued test  "}
	if !reflect.DeepEqual(history, want) {
		t.Errorf("history %q\nwant %q", history, want)
	}
}

func TestWithheldStagingIsForgottenWithItsAccounting(t *testing.T) {
	s, c := open(t)
	run := runningRun(t, s, newJob(t, s, "iris"), begin, 10, 10, 10)
	claimed := claim(t, s, run, 3)
	stage(t, s, run, claimed[0], 1)
	do(t, s, func(tx *Tx) error {
		return errors.Join(tx.Release(run, claimed[1], Release{To: api.MiniBatchGivenUp, Failure: Failure{Class: api.ClassData}, UsesAttempt: true}), tx.ReleaseAll(run.ID))
	})
	run = made(t, s, func(tx *Tx) (Run, error) {
		return tx.MoveRun(run, RunChange{To: api.RunFailed, Reason: api.ReasonMaxFailed, KeepStaging: c.now().Add(time.Hour)})
	})
	if want := (api.Counts{Planned: 30, DeadLettered: 1, Unfinished: 29, Staged: 9, GivenUp: 10}); run.Counts != want {
		t.Errorf("withheld with %+v", run.Counts)
	}
	if got := must(s.StagingToSweep(c.now()))(t); len(got) != 0 {
		t.Errorf("expired at once: %v", got)
	}
	c.advance(time.Hour)
	expired := must(s.StagingToSweep(c.now()))(t)
	if len(expired) != 1 || expired[0].ID != run.ID {
		t.Fatalf("expired: %v", expired)
	}
	dropped := made(t, s, func(tx *Tx) (Run, error) { return tx.DropStaged(expired[0]) })
	do(t, s, func(tx *Tx) error { return tx.StagingSwept(dropped) })
	got := must(s.Run(run.ID))(t)
	if want := (api.Counts{Planned: 30, Unfinished: 30}); got.Counts != want || got.Withheld || got.State != api.RunFailed || !got.EndedAt.Equal(run.EndedAt) {
		t.Errorf("forgotten: %+v", got)
	}
	if got.MiniBatches != (api.MiniBatchCounts{Total: 3, Cancelled: 3}) || len(deadLetters(t, s, run)) != 0 {
		t.Errorf("mini-batches %+v, dead letters %v", got.MiniBatches, deadLetters(t, s, run))
	}
	before := dump(t, s)
	doErr(t, s, ErrFenced, func(tx *Tx) error { _, err := tx.DropStaged(run); return err })
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.StagingSwept(run) })
	if dump(t, s) != before {
		t.Error("forgetting late changed something")
	}
}

func TestLaunchesAreCountedAndClosed(t *testing.T) {
	s, c := open(t)
	run := newRun(t, s, newJob(t, s, "iris"), api.Run{})
	do(t, s, func(tx *Tx) error {
		return errors.Join(tx.InsertLaunch(Launch{ID: "one", Run: run.ID}), tx.InsertLaunch(Launch{ID: "two", Run: run.ID}), tx.RecordLaunch("one", 42, "123"), tx.EndLaunch("one", "stopped"))
	})
	if got := must(s.Run(run.ID))(t); got.Launches != 2 || got.Version != run.Version {
		t.Errorf("got %+v", got)
	}
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.RecordLaunch("none", 1, "") })
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.InsertLaunch(Launch{ID: "three", Run: "none"}) })
	outcomes := func() []string {
		return must(list(s.reader(), scanText, `SELECT id || ' ' || outcome FROM launches ORDER BY id`))(t)
	}
	if got := outcomes(); !reflect.DeepEqual(got, []string{"one stopped", "two "}) {
		t.Errorf("in its own epoch: %q", got)
	}
	closeStore(t, s)
	s = openAt(t, s.Dir(), c)
	if got := outcomes(); !reflect.DeepEqual(got, []string{"one stopped", "two the runner ended"}) {
		t.Errorf("in the next epoch: %q", got)
	}
}

// A crash between the end of a run and the removal of its staged files leaves
// a row that says so.
func TestAnEndedRunIsSweptUntilItSaysSo(t *testing.T) {
	s, c := open(t)
	run := runningRun(t, s, newJob(t, s, "iris"), begin, 10)
	run = made(t, s, func(tx *Tx) (Run, error) { return tx.MoveRun(run, RunChange{To: api.RunStopped}) })
	if run.Withheld {
		t.Error("a stopped run is withheld")
	}
	if got := must(s.StagingToSweep(c.now()))(t); len(got) != 1 || got[0].ID != run.ID {
		t.Fatalf("to sweep: %v", got)
	}
	do(t, s, func(tx *Tx) error { return tx.StagingSwept(run) })
	if got := must(s.StagingToSweep(c.now()))(t); len(got) != 0 {
		t.Errorf("to sweep: %v", got)
	}
}
