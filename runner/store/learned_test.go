package store

import (
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func TestRequestSizesAreLearntPerJobAndServer(t *testing.T) {
	s, _ := open(t)
	want := func(uid, key string, rows int64) {
		t.Helper()
		if got := must(s.Learned(uid, key))(t); got != rows {
			t.Errorf("%s has learnt %d of %s, want %d", uid, got, key, rows)
		}
	}
	want("one", "server", 0)
	do(t, s, func(tx *Tx) error { return tx.Learn("one", "server", 32) })
	do(t, s, func(tx *Tx) error { return tx.Learn("one", "other", 64) })
	do(t, s, func(tx *Tx) error { return tx.Learn("one", "server", 16) })
	want("one", "server", 16)
	want("one", "other", 64)
	want("two", "server", 0)
	do(t, s, func(tx *Tx) error { return tx.Learn("one", "server", 0) })
	want("one", "server", 0)
	want("one", "other", 64)
}

func TestSuspectsAreClaimedApart(t *testing.T) {
	s, _ := open(t)
	run := runningRun(t, s, newJob(t, s, "iris"), begin, 10, 20, 30)
	for _, r := range []Release{
		{To: api.MiniBatchPending, Lost: true}, {To: api.MiniBatchPending, TimedOut: true}, {To: api.MiniBatchPending, TimedOut: true},
	} {
		m := claim(t, s, run, 1)[0]
		do(t, s, func(tx *Tx) error { return tx.Release(run, m, r) })
	}
	if rest := claim(t, s, run, 5); len(rest) != 2 || rest[0].Number != 2 || rest[0].Suspect() {
		t.Fatalf("claimed beside a suspect: %+v", rest)
	}
	suspects := made(t, s, func(tx *Tx) ([]MiniBatch, error) { return tx.Claim(run, 5, true) })
	if len(suspects) != 1 || suspects[0].Number != 1 || suspects[0].Losses != 1 || suspects[0].Timeouts != 2 || !suspects[0].Suspect() {
		t.Errorf("suspects are %+v", suspects)
	}
}

// One timeout makes a suspect where there is no attempt left to wait for the
// second, for this run attempt.
func TestOneTimeoutMayMakeASuspect(t *testing.T) {
	for already := range 2 {
		s, _ := open(t)
		run := runningRun(t, s, newJob(t, s, "iris"), begin, 10)
		for range already {
			m := claim(t, s, run, 1)[0]
			do(t, s, func(tx *Tx) error { return tx.Release(run, m, Release{To: api.MiniBatchPending, TimedOut: true}) })
		}
		m := claim(t, s, run, 1)[0]
		do(t, s, func(tx *Tx) error {
			return tx.Release(run, m, Release{To: api.MiniBatchPending, TimedOut: true, Suspect: true})
		})
		suspects := made(t, s, func(tx *Tx) ([]MiniBatch, error) { return tx.Claim(run, 5, true) })
		if len(suspects) != 1 || suspects[0].Timeouts != 2 || suspects[0].Attempts != 0 {
			t.Errorf("after %d timeouts before, the suspects are %+v", already, suspects)
		}
	}
}

func TestWhatIsolationSentIsCounted(t *testing.T) {
	s, _ := open(t)
	run := runningRun(t, s, newJob(t, s, "iris"), begin, 10)
	for range 2 {
		m := claim(t, s, run, 1)[0]
		do(t, s, func(tx *Tx) error {
			return tx.Release(run, m, Release{To: api.MiniBatchPending, Effort: Effort{Sent: true, Probes: 4, Controls: 3, Confirmations: 2}})
		})
	}
	m := claim(t, s, run, 1)[0]
	staged := result(m, 1)
	staged.Effort = Effort{Requests: 1, Sent: true, Probes: 1, Controls: 1, Confirmations: 1}
	do(t, s, func(tx *Tx) error { return tx.Stage(run, m, staged) })
	got := must(s.Run(run.ID))(t)
	if want := (api.Isolation{Probes: 9, Controls: 7, Confirmations: 5}); got.Isolation != want || got.Requests != 1 || !m.Sent {
		t.Errorf("counted %+v and %d requests, want %+v and 1; sent is %v", got.Isolation, got.Requests, want, m.Sent)
	}
	if dead := must(s.DeadPlaces(run.ID, m.Number))(t); len(dead) != 1 {
		t.Errorf("dead letters are at %v", dead)
	}
}

func TestAStuckWorkersFenceRises(t *testing.T) {
	s, _ := open(t)
	run := runningRun(t, s, newJob(t, s, "iris"), begin, 10)
	late := claim(t, s, run, 1)[0]
	do(t, s, func(tx *Tx) error { return tx.Release(run, late, Release{To: api.MiniBatchPending, Stuck: true}) })
	if again := claim(t, s, run, 1)[0]; again.Fence != late.Fence+2 {
		t.Errorf("the fence went from %d to %d", late.Fence, again.Fence)
	}
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.Stage(run, late, result(late, 0)) })
}

func TestAResultOfAnEarlierRunAttemptIsTurnedAway(t *testing.T) {
	s, _ := open(t)
	run := runningRun(t, s, newJob(t, s, "iris"), begin, 10)
	m := claim(t, s, run, 1)[0]
	earlier := run
	earlier.Attempt--
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.Stage(earlier, m, result(m, 0)) })
}

func TestLaunchesForIsolationAreCounted(t *testing.T) {
	s, _ := open(t)
	run := runningRun(t, s, newJob(t, s, "iris"), begin, 10)
	for _, want := range []int64{1, 2, 3, 3} {
		if got := made(t, s, func(tx *Tx) (int64, error) { return tx.CountIsolationLaunch(run.ID, 2) }); got != want {
			t.Errorf("%d launches, want %d", got, want)
		}
	}
	if got := must(s.Run(run.ID))(t).Isolation.Launches; got != 3 {
		t.Errorf("the run tells of %d", got)
	}
}
