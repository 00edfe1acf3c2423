package engine

import (
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// waitLimit is how long a mini-batch may wait without using an attempt: for a
// server that throttles, or for space on our own disk.
const waitLimit = time.Hour

// attemptEnd is how an attempt at a mini-batch ended without a result.
type attemptEnd struct {
	Class        api.Class
	RetryAfter   time.Duration // what a throttling server asked for
	Used         int64         // attempts used up before this one
	WaitingSince time.Time     // since when it waits without using attempts; zero: it does not
}

// step is what follows.
type step struct {
	To          api.MiniBatchState
	Wait        time.Duration // in retry_wait
	UsesAttempt bool
	FailRun     bool // the whole run fails with this class, at once
}

// afterFailure decides what follows a failed attempt under policy partial.
// attempts is how many a mini-batch has; backoff holds the waits before the
// 2nd, 3rd, … and its last one repeats.
func afterFailure(end attemptEnd, attempts int64, backoff []time.Duration, now time.Time) step {
	switch end.Class {
	case api.ClassConfig, api.ClassInputChanged:
		return step{To: api.MiniBatchPending, FailRun: true}
	case api.ClassServerLost:
		return step{To: api.MiniBatchPending}
	case api.ClassThrottled, api.ClassStorage:
		if !end.WaitingSince.IsZero() && now.Sub(end.WaitingSince) >= waitLimit {
			return step{To: api.MiniBatchGivenUp}
		}
		return step{To: api.MiniBatchRetryWait, Wait: max(min(end.RetryAfter, waitLimit), backoff[0])}
	case api.ClassTransient:
		if end.Used+1 >= attempts {
			return step{To: api.MiniBatchGivenUp, UsesAttempt: true}
		}
		return step{To: api.MiniBatchRetryWait, UsesAttempt: true, Wait: backoff[min(end.Used, int64(len(backoff))-1)]}
	default:
		// data: repeating the same records cannot help.
		return step{To: api.MiniBatchGivenUp, UsesAttempt: true}
	}
}
