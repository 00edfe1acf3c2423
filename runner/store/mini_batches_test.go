package store

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func deadLetters(t fataler, s *Store, run Run) (all []api.DeadLetter) {
	t.Helper()
	err := s.DeadLetters(run.ID, func(d api.DeadLetter) error { all = append(all, d); return nil })
	return must(all, err)(t)
}

func TestClaimTakesPendingMiniBatchesInOrderWithANewFence(t *testing.T) {
	s, _ := open(t)
	run := runningRun(t, s, newJob(t, s, "iris"), begin, 10, 20, 30)
	first, second := claim(t, s, run, 2), claim(t, s, run, 2)
	if len(first) != 2 || first[0].Number != 1 || first[1].Number != 2 || len(second) != 1 || second[0].Number != 3 {
		t.Fatalf("claimed %+v, then %+v", first, second)
	}
	want := MiniBatch{Number: 2, State: api.MiniBatchRunning, Offset: 100, Length: 200, FirstLine: 11, Records: 20, Epoch: s.Epoch(), Fence: 1}
	if !reflect.DeepEqual(first[1], want) {
		t.Errorf("claimed %+v\nwant %+v", first[1], want)
	}
	if got := must(s.MiniBatches(run.ID, 1, 1))(t); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("stored %+v\nwant %+v", got, want)
	}
	if got := claim(t, s, run, 2); len(got) != 0 {
		t.Errorf("claimed twice: %+v", got)
	}
}

func TestClaimIsGuardedByTheRunsVersionAndState(t *testing.T) {
	s, _ := open(t)
	run := runningRun(t, s, newJob(t, s, "iris"), begin, 10)
	queued := move(t, s, run, api.RunQueued)
	moved := move(t, s, queued, api.RunPlanning, api.RunProvisioning, api.RunRunning)
	for _, old := range []Run{run, queued} {
		doErr(t, s, ErrFenced, func(tx *Tx) error { _, err := tx.Claim(old, 1, false); return err })
	}
	if got := states(t, s, run); got != "pending" {
		t.Errorf("mini-batches are %s", got)
	}
	if got := claim(t, s, moved, 1); len(got) != 1 {
		t.Errorf("claimed %+v", got)
	}
	committing := move(t, s, moved, api.RunCommitting)
	doErr(t, s, ErrFenced, func(tx *Tx) error { _, err := tx.Claim(committing, 1, false); return err })
}

func TestALateWorkerChangesNothing(t *testing.T) {
	s, _ := open(t)
	run := runningRun(t, s, newJob(t, s, "iris"), begin, 10)
	late := claim(t, s, run, 1)[0]
	do(t, s, func(tx *Tx) error { return tx.ReleaseAll(run.ID) })
	tryLate := func(when string) {
		t.Helper()
		before := dump(t, s)
		doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.Stage(run, late, result(late, 1)) })
		doErr(t, s, ErrFenced, func(tx *Tx) error {
			return tx.Release(run, late, Release{To: api.MiniBatchGivenUp, Failure: Failure{Class: api.ClassData}, UsesAttempt: true})
		})
		if dump(t, s) != before {
			t.Errorf("%s: the late worker changed something", when)
		}
	}
	tryLate("released")
	again := claim(t, s, run, 1)[0]
	tryLate("claimed by another")
	stage(t, s, run, again, 0)
	tryLate("staged by another")
	do(t, s, func(tx *Tx) error { return tx.CommitStaged(run.ID, nil) })
	tryLate("committed")
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.Stage(run, again, result(again, 0)) }) // its own, twice
}

func TestAResultMustAccountForEveryRecord(t *testing.T) {
	s, _ := open(t)
	run := runningRun(t, s, newJob(t, s, "iris"), begin, 10)
	m := claim(t, s, run, 1)[0]
	before := dump(t, s)
	for _, difference := range []int64{-1, 1} {
		short := result(m, 2)
		short.Records += difference
		err := s.Write(t.Context(), func(tx *Tx) error { return tx.Stage(run, m, short) })
		if err == nil || errors.Is(err, ErrFenced) || !strings.Contains(err.Error(), "are not the 10 planned") {
			t.Errorf("%+d records: %v", difference, err)
		}
	}
	forged := m
	forged.Records = 8 // the row, not the worker, knows what was planned
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.Stage(run, forged, result(forged, 0)) })
	if dump(t, s) != before {
		t.Error("a refused result left something behind")
	}
	stage(t, s, run, m, 10)
	if got := must(s.Run(run.ID))(t).Counts; got != (api.Counts{Planned: 10, DeadLettered: 10}) {
		t.Errorf("a mini-batch of dead letters counts %+v", got)
	}
}

func TestDeadLettersComeInInputOrderAndGoWithTheirMiniBatch(t *testing.T) {
	s, _ := open(t)
	run := runningRun(t, s, newJob(t, s, "iris"), begin, 10, 10, 10)
	claimed := claim(t, s, run, 3)
	stage(t, s, run, claimed[1], 2)
	stage(t, s, run, claimed[0], 1)
	do(t, s, func(tx *Tx) error { return tx.CommitStaged(run.ID, nil) })
	stage(t, s, run, claimed[2], 3)
	lines := func() (lines []int64) {
		for _, d := range deadLetters(t, s, run) {
			lines = append(lines, d.Source.Line)
		}
		return lines
	}
	if got := lines(); !reflect.DeepEqual(got, []int64{1, 11, 12, 21, 22, 23}) {
		t.Errorf("lines %v", got)
	}
	do(t, s, func(tx *Tx) error { return tx.CancelMiniBatches(run.ID) })
	if got := lines(); !reflect.DeepEqual(got, []int64{1, 11, 12}) {
		t.Errorf("after the cancellation: lines %v", got)
	}
	if got := states(t, s, run); got != "committed committed cancelled" {
		t.Errorf("mini-batches are %s", got)
	}
	do(t, s, func(tx *Tx) error { return tx.Resume(run.ID) })
	if got := states(t, s, run); got != "committed committed pending" {
		t.Errorf("after the retry, mini-batches are %s", got)
	}
	stage(t, s, run, claim(t, s, run, 1)[0], 3) // the same records again
	if got := lines(); len(got) != 6 {
		t.Errorf("after the retry: lines %v", got)
	}
}

func TestPartsAreTheStagedAndCommittedOnes(t *testing.T) {
	s, _ := open(t)
	run := runningRun(t, s, newJob(t, s, "iris"), begin, 10, 10, 10)
	claimed := claim(t, s, run, 3)
	stage(t, s, run, claimed[0], 0)
	do(t, s, func(tx *Tx) error { return tx.CommitStaged(run.ID, nil) })
	stage(t, s, run, claimed[2], 1)
	var parts []string
	if err := s.Parts(run.ID, func(m MiniBatch) error { parts = append(parts, m.StagedPath+" "+string(m.State)); return nil }); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(parts, []string{"1.1 committed", "3.1 staged"}) {
		t.Errorf("parts %q", parts)
	}
	stop := errors.New("stop")
	if err := s.Parts(run.ID, func(MiniBatch) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("stopping gave %v", err)
	}
}

func TestAttemptsAndWaitsAreCountedApart(t *testing.T) {
	s, c := open(t)
	run := runningRun(t, s, newJob(t, s, "iris"), begin, 10)
	fail := func(class api.Class, uses bool, wait time.Duration) MiniBatch {
		t.Helper()
		do(t, s, func(tx *Tx) error { _, err := tx.WakeDue(run.ID); return err })
		m := claim(t, s, run, 1)[0]
		do(t, s, func(tx *Tx) error {
			return tx.Release(run, m, Release{To: api.MiniBatchRetryWait, Failure: Failure{Class: class, Status: 503, Error: "busy", Example: "lines 1–10"}, UsesAttempt: uses, NotBefore: tx.Now.Add(wait)})
		})
		return must(s.MiniBatches(run.ID, 0, 1))(t)[0]
	}
	throttled := c.now()
	if m := fail(api.ClassThrottled, false, time.Minute); m.Attempts != 0 || !m.WaitingSince.Equal(throttled) || m.Class != api.ClassThrottled || m.Status != 503 {
		t.Errorf("got %+v", m)
	}
	if next := made(t, s, func(tx *Tx) (time.Time, error) { return tx.WakeDue(run.ID) }); !next.Equal(throttled.Add(time.Minute)) || states(t, s, run) != "retry_wait" {
		t.Errorf("the next one is due at %s; %s", next, states(t, s, run))
	}
	c.advance(time.Minute)
	if m := fail(api.ClassThrottled, false, time.Minute); m.Attempts != 0 || !m.WaitingSince.Equal(throttled) {
		t.Errorf("the unbroken row of waits began anew: %+v", m)
	}
	c.advance(time.Minute)
	if m := fail(api.ClassTransient, true, time.Minute); m.Attempts != 1 || !m.WaitingSince.IsZero() {
		t.Errorf("an attempt does not end the waits: %+v", m)
	}
	c.advance(time.Minute)
	if next := made(t, s, func(tx *Tx) (time.Time, error) { return tx.WakeDue(run.ID) }); !next.IsZero() || states(t, s, run) != "pending" {
		t.Errorf("the next one is due at %s; %s", next, states(t, s, run))
	}
	m := claim(t, s, run, 1)[0]
	do(t, s, func(tx *Tx) error {
		return tx.Release(run, m, Release{To: api.MiniBatchGivenUp, Failure: Failure{Class: api.ClassTransient}, UsesAttempt: true})
	})
	do(t, s, func(tx *Tx) error { return tx.Resume(run.ID) })
	if m := must(s.MiniBatches(run.ID, 0, 1))(t)[0]; m.Attempts != 0 || !m.WaitingSince.IsZero() || !m.NotBefore.IsZero() || m.State != api.MiniBatchPending {
		t.Errorf("resumed: %+v", m)
	}
	history := must(list(s.reader(), scanText, `SELECT fence || ' ' || outcome || ' ' || class FROM attempts ORDER BY fence`))(t)
	want := []string{"1 retry_wait throttled", "2 retry_wait throttled", "3 retry_wait transient", "4 given_up transient"}
	if !reflect.DeepEqual(history, want) {
		t.Errorf("history %q", history)
	}
}

func TestResumeGivesAttemptsBackAlsoToWhatWasDueAgain(t *testing.T) {
	s, _ := open(t)
	run := runningRun(t, s, newJob(t, s, "iris"), begin, 10)
	m := claim(t, s, run, 1)[0]
	do(t, s, func(tx *Tx) error {
		return tx.Release(run, m, Release{To: api.MiniBatchRetryWait, Failure: Failure{Class: api.ClassTransient}, UsesAttempt: true, NotBefore: tx.Now})
	})
	do(t, s, func(tx *Tx) error { _, err := tx.WakeDue(run.ID); return err })
	if m := must(s.MiniBatches(run.ID, 0, 1))(t)[0]; m.State != api.MiniBatchPending || m.Attempts != 1 {
		t.Fatalf("due again: %+v", m)
	}
	do(t, s, func(tx *Tx) error { return tx.Resume(run.ID) })
	if m := must(s.MiniBatches(run.ID, 0, 1))(t)[0]; m.State != api.MiniBatchPending || m.Attempts != 0 {
		t.Errorf("resumed: %+v", m)
	}
}

func TestTopErrorsAreThoseOfMostRecords(t *testing.T) {
	s, _ := open(t)
	run := runningRun(t, s, newJob(t, s, "iris"), begin, 1, 2, 3, 100, 5)
	claimed := claim(t, s, run, 5)
	fail := func(i int, f Failure) {
		do(t, s, func(tx *Tx) error {
			return tx.Release(run, claimed[i], Release{To: api.MiniBatchGivenUp, Failure: f, UsesAttempt: true})
		})
	}
	fail(0, Failure{api.ClassData, 422, "not a number", "line 1"})
	fail(1, Failure{api.ClassTransient, 0, "timeout", "line 2"})
	fail(2, Failure{api.ClassData, 422, "not a number", "line 4"})
	fail(4, Failure{api.ClassData, 400, "not a number", "line 107"})
	stage(t, s, run, claimed[3], 0)
	got := must(s.TopErrors(run.ID, 2))(t)
	want := []api.TopError{
		{Class: api.ClassData, Status: 400, Error: "not a number", Records: 5, MiniBatches: 1, Example: "line 107"},
		{Class: api.ClassData, Status: 422, Error: "not a number", Records: 4, MiniBatches: 2, Example: "line 1"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if all := must(s.TopErrors(run.ID, 10))(t); len(all) != 3 {
		t.Errorf("%d errors", len(all))
	}
}
