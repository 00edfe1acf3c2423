package engine

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict"
)

func TestAnEndedRunMovesOnlyByRetryOrAccept(t *testing.T) {
	for _, move := range runTransitions {
		if move.from.Ended() && move.to != api.RunQueued && move.to != api.RunCommitting {
			t.Errorf("%s → %s: an ended run moves by itself", move.from, move.to)
		}
		if move.from == api.RunSucceeded || move.from == api.RunSkipped {
			t.Errorf("%s → %s: a %[1]s run moves on", move.from, move.to)
		}
	}
}

func TestOnlyAWaitingRunIsSkipped(t *testing.T) {
	for _, move := range runTransitions {
		if move.to == api.RunSkipped && move.from != api.RunQueued {
			t.Errorf("%s → %s", move.from, move.to)
		}
	}
}

func TestNothingButPublishingFollowsThePointOfNoReturn(t *testing.T) {
	for _, to := range states(runTransitions) {
		allowed := to == api.RunSucceeded || to == api.RunIncomplete || to == api.RunFailed
		if CanMove(api.RunCommitting, to) != allowed {
			t.Errorf("committing → %s is %v", to, !allowed)
		}
	}
}

func TestEveryStateOfARunCanStillSucceed(t *testing.T) {
	for _, from := range states(runTransitions) {
		reached := map[api.RunState]bool{from: true}
		for range runTransitions { // as far as any path leads
			for _, move := range runTransitions {
				reached[move.to] = reached[move.to] || reached[move.from]
			}
		}
		if !reached[api.RunSucceeded] && from != api.RunSkipped {
			t.Errorf("%s can never succeed", from)
		}
	}
}

// states are those of a machine, in the order in which it names them.
func states[S ~string](life []transition[S]) []S {
	var all []S
	for _, move := range life {
		for _, state := range []S{move.from, move.to} {
			if !slices.Contains(all, state) {
				all = append(all, state)
			}
		}
	}
	return all
}

// Its dead letters may be sent again, which makes it pending; where that comes
// to nothing it is what it was.
func TestACommittedMiniBatchMovesOnlyToBeSentAgain(t *testing.T) {
	for _, to := range states(miniBatchTransitions) {
		if to != api.MiniBatchPending && CanMoveMiniBatch(api.MiniBatchCommitted, to) {
			t.Errorf("committed → %s", to)
		}
		if to != api.MiniBatchStaged && to != api.MiniBatchPending && CanMoveMiniBatch(to, api.MiniBatchCommitted) {
			t.Errorf("%s → committed skips staging", to)
		}
	}
}

// Whatever fails, the mini-batch moves along its machine, no attempt is used
// for what is nobody's fault, and attempts run out.
func TestAfterFailure(t *testing.T) {
	classes := []api.Class{api.ClassConfig, api.ClassData, api.ClassThrottled, api.ClassTransient, api.ClassServerLost, api.ClassInputChanged, api.ClassStorage}
	now := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		attempts := rapid.Int64Range(1, 6).Draw(t, "attempts")
		backoff := []time.Duration{time.Second, time.Minute}[:rapid.IntRange(1, 2).Draw(t, "backoffs")]
		policy := rapid.SampledFrom([]string{api.PolicyPartial, api.PolicyComplete, api.PolicyNextBatch}).Draw(t, "policy")
		used, since, suspect := int64(0), time.Time{}, false
		for clock := now; ; {
			end := attemptEnd{
				Class:      rapid.SampledFrom(classes).Draw(t, "class"),
				RetryAfter: time.Duration(rapid.Int64Range(0, int64(3*time.Hour)).Draw(t, "retry after")),
				Used:       used, WaitingSince: since, Suspect: suspect,
			}
			end.TimedOut = end.Class == api.ClassTransient && rapid.Bool().Draw(t, "timed out")
			next := afterFailure(end, patience{policy, attempts, backoff}, clock)
			if !CanMoveMiniBatch(api.MiniBatchRunning, next.To) {
				t.Fatalf("%s leads from running to %s", end.Class, next.To)
			}
			if next.Wait < 0 || next.Wait > waitLimit || next.To == api.MiniBatchRetryWait && next.Wait == 0 {
				t.Fatalf("%s waits %s", end.Class, next.Wait)
			}
			blameless := end.Class == api.ClassThrottled || end.Class == api.ClassServerLost || end.Class == api.ClassStorage
			if blameless && next.UsesAttempt {
				t.Fatalf("%s uses an attempt", end.Class)
			}
			complete := policy == api.PolicyComplete
			hopeless := end.Class == api.ClassConfig || end.Class == api.ClassInputChanged || complete && end.Class == api.ClassData
			if next.FailRun != hopeless {
				t.Fatalf("%s fails the run: %v", end.Class, next.FailRun)
			}
			if next.EndAttempt != (complete && next.To == api.MiniBatchGivenUp) {
				t.Fatalf("%s under %s ends the run attempt: %v", end.Class, policy, next.EndAttempt)
			}
			if end.Class == api.ClassData && !complete && next.To != api.MiniBatchGivenUp {
				t.Fatalf("data leads to %s", next.To)
			}
			if next.To == api.MiniBatchGivenUp && end.TimedOut && !suspect && !complete {
				t.Fatal("a mini-batch that timed out is given up before it ran alone")
			}
			if next.Suspect && (suspect || complete || next.UsesAttempt || next.To != api.MiniBatchPending) {
				t.Fatalf("a suspect once more, or at the cost of an attempt: %+v after %+v", next, end)
			}
			suspect = suspect || next.Suspect
			if next.To == api.MiniBatchGivenUp || next.FailRun {
				return
			}
			switch {
			case next.UsesAttempt:
				used, since = used+1, time.Time{}
			case since.IsZero() && next.To == api.MiniBatchRetryWait:
				since = clock
			}
			if !since.IsZero() && clock.Add(next.Wait).Sub(since) > waitLimit {
				t.Fatalf("%s waits until %s after it began to", end.Class, clock.Add(next.Wait).Sub(since))
			}
			if used >= attempts {
				t.Fatalf("%d attempts are used of %d and it goes on", used, attempts)
			}
			clock = clock.Add(next.Wait)
			if end.Class == api.ClassServerLost && rapid.Bool().Draw(t, "stop") {
				return
			}
		}
	})
}

// The colour of a run follows from its counts alone.
func TestJudge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) int64 { return rapid.Int64Range(0, 1000).Draw(t, name) }
		c := api.Counts{Committed: draw("committed"), DeadLettered: draw("dead"), Staged: draw("staged"), GivenUp: draw("given up")}
		c.Unfinished = c.Staged + c.GivenUp
		c.Planned = c.Committed + c.DeadLettered + c.Unfinished
		text := rapid.SampledFrom([]string{"0", "1%", "50%", "100%", "10"}).Draw(t, "max_failed")
		max, err := api.ParseThreshold(text)
		if err != nil {
			t.Fatal(err)
		}
		failed, end := c.DeadLettered+c.GivenUp, judge(c, text, max)
		switch {
		case failed > max.Allows(c.Planned):
			if end.State != api.RunFailed || end.Reason != api.ReasonMaxFailed {
				t.Fatalf("%+v under %s is %+v", c, text, end)
			}
		case c.Planned > 0 && c.Staged+c.Committed == 0:
			if end.State != api.RunFailed {
				t.Fatalf("%+v predicted nothing and is %+v", c, end)
			}
		case failed == 0 && end.State != api.RunSucceeded, failed > 0 && end.State != api.RunIncomplete:
			t.Fatalf("%+v under %s is %+v", c, text, end)
		}
	})
}

// A server that keeps saying that it does not know the model is not waited for
// as long as one that is silent, and is not launched again.
func TestHopeless(t *testing.T) {
	unknown := &predict.Error{Class: api.ClassConfig, Status: 404}
	loading := &predict.Error{Class: api.ClassTransient, Status: 503}
	for _, test := range []struct {
		answer         *predict.Error
		silence, limit time.Duration
		want           api.Reason
	}{
		{unknown, time.Minute, 10 * time.Minute, ""},
		{unknown, 3 * time.Minute, 10 * time.Minute, "config"},
		{unknown, 2 * time.Second, time.Second, "config"},
		{loading, 3 * time.Minute, 10 * time.Minute, ""},
		{loading, 11 * time.Minute, 10 * time.Minute, api.ReasonStartTimeout},
	} {
		if got := hopeless(test.answer, test.silence, test.limit); got != test.want {
			t.Errorf("%v after %s of %s: %q, want %q", test.answer.Status, test.silence, test.limit, got, test.want)
		}
	}
}
