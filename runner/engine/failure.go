package engine

import (
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// waitLimit is how long a mini-batch may wait without using an attempt: for a
// server that throttles, or for space on our own disk.
const waitLimit = api.StorageLimit

// attemptOver ends a run attempt under policy complete: a mini-batch was given
// up, and so the whole plan is predicted anew, or the run fails.
type attemptOver struct {
	Class api.Class // why the mini-batch was given up
	// Reason overrules the class: the model changed.
	Reason api.Reason
	Err    error
}

func (o *attemptOver) Error() string { return o.Err.Error() }
func (o *attemptOver) Unwrap() error { return o.Err }

// why is the reason that the run fails with when no attempt is left.
func (o *attemptOver) why() api.Reason {
	if o.Reason != "" {
		return o.Reason
	}
	return api.Reason(o.Class)
}

// attemptEnd is how an attempt at a mini-batch ended without a result.
type attemptEnd struct {
	Class        api.Class
	RetryAfter   time.Duration // what a throttling server asked for
	Used         int64         // attempts used up before this one
	WaitingSince time.Time     // since when it waits without using attempts; zero: it does not
	TimedOut     bool          // by a request's timeout
	Suspect      bool          // it ran alone
}

// step is what follows.
type step struct {
	To          api.MiniBatchState
	Wait        time.Duration // in retry_wait
	UsesAttempt bool
	Suspect     bool // it runs alone from now on
	FailRun     bool // the whole run fails with this class, at once
	EndAttempt  bool // the run attempt is over: the mini-batch is given up under policy complete
}

// patience is what a job grants its mini-batches.
type patience struct {
	Policy   string
	Attempts int64           // of one mini-batch
	Backoff  []time.Duration // the waits before the 2nd, 3rd, … attempt; the last repeats
}

// afterFailure decides what follows a failed attempt.
func afterFailure(end attemptEnd, p patience, now time.Time) step {
	next := p.after(end, now)
	if p.Policy != api.PolicyComplete {
		if next.To == api.MiniBatchGivenUp && end.TimedOut && !end.Suspect {
			// One of its records may hang the server: given up, it would cost all
			// the others, too. Alone it is found, or nobody is to blame.
			return step{To: api.MiniBatchPending, Suspect: true}
		}
		return next
	}
	switch {
	case end.Class == api.ClassData, end.Class == api.ClassBadRecord:
		return step{To: api.MiniBatchPending, FailRun: true} // predicting the same records again cannot help
	case next.To == api.MiniBatchGivenUp:
		next.EndAttempt = true
	}
	return next
}

// after is what follows where mini-batches are independent of each other.
func (p patience) after(end attemptEnd, now time.Time) step {
	switch end.Class {
	case api.ClassConfig, api.ClassInputChanged:
		return step{To: api.MiniBatchPending, FailRun: true}
	case api.ClassServerLost:
		return step{To: api.MiniBatchPending}
	case api.ClassThrottled, api.ClassStorage:
		left := waitLimit
		if !end.WaitingSince.IsZero() {
			left -= now.Sub(end.WaitingSince)
		}
		if left <= 0 {
			return step{To: api.MiniBatchGivenUp}
		}
		return step{To: api.MiniBatchRetryWait, Wait: min(max(end.RetryAfter, p.Backoff[0]), left)}
	case api.ClassTransient:
		if end.Used+1 >= p.Attempts {
			return step{To: api.MiniBatchGivenUp, UsesAttempt: true}
		}
		return step{To: api.MiniBatchRetryWait, UsesAttempt: true, Wait: p.Backoff[min(end.Used, int64(len(p.Backoff))-1)]}
	default:
		// data: repeating the same records cannot help.
		return step{To: api.MiniBatchGivenUp, UsesAttempt: true}
	}
}
