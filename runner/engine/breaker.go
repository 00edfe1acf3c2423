package engine

import (
	"sync"
	"time"
)

// The circuit breaker's measures. They bound how long a server that stays sick
// is asked:
//
//   - One that was launched is replaced after breakerProbes failed probes, and
//     each replacement counts as a loss of the run's budget; with the budget
//     spent the run fails.
//   - An endpoint is asked in as many rounds of breakerProbes as a mini-batch
//     has attempts. Then the breaker is spent, and what is left of the run is
//     given up without a request.
//   - One that answers the probes but nothing else sends a mini-batch back
//     breakerTurns times for free; then each turn uses an attempt.
const (
	// breakerFailures is how many requests fail in a row, none succeeding
	// between them, until the breaker opens.
	breakerFailures = 5
	// breakerProbes is how many probes make a round.
	breakerProbes = 3
	// breakerPause is the wait before the first probe; it doubles up to
	// breakerPauseMax, and begins anew with a fresh server.
	breakerPause, breakerPauseMax = time.Second, time.Minute
	// breakerTurns is how often a mini-batch is turned back for free.
	breakerTurns = 5
)

// breaker opens when a server that answered before does not any more: then
// nothing is sent but controls.
type breaker struct {
	mu     sync.Mutex
	rounds int // of probes without success, until it is spent; 0: a fresh server instead

	open     bool
	failures int // in a row
	probes   int // failed since it opened, or since the last fresh server
	begun    int // rounds that have failed since the last success
	cause    error
}

// remedy is what an open breaker wants.
type remedy int

const (
	nothing remedy = iota // it is closed
	probe                 // ask the server after a while
	fresh                 // launch another one
	giveUp                // it is spent
)

// succeeded hears that a request was answered with predictions.
func (b *breaker) succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures, b.begun = 0, 0
}

// failed hears of a request that failed for no fault of its records; opened
// tells that it was the one too many.
func (b *breaker) failed(cause error) (opened bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	if b.failures < breakerFailures || b.open {
		return false
	}
	b.open, b.cause = true, cause
	return true
}

// trip opens the breaker: a control failed. opened tells that it was closed.
func (b *breaker) trip(cause error) (opened bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	opened = !b.open
	b.open, b.cause = true, cause
	return opened
}

func (b *breaker) isOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

// spent is why nothing is sent any more; nil while something is.
func (b *breaker) spent() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rounds > 0 && b.begun >= b.rounds {
		return b.cause
	}
	return nil
}

// next is what to do about a breaker that is open, and when.
func (b *breaker) next() (remedy, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.open:
		return nothing, 0
	case b.rounds > 0 && b.begun >= b.rounds:
		return giveUp, 0
	case b.rounds == 0 && b.probes >= breakerProbes:
		return fresh, 0
	}
	doubled := b.begun*breakerProbes + b.probes
	return probe, min(breakerPause<<min(doubled, 16), breakerPauseMax)
}

// replaced hears that a fresh server answers now.
func (b *breaker) replaced() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probes = 0
}

// probed hears how a probe went; one that succeeded closes the breaker.
func (b *breaker) probed(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.open, b.failures, b.probes, b.cause = false, 0, 0, nil
		return
	}
	b.cause = err
	b.probes++
	if b.rounds > 0 && b.probes >= breakerProbes {
		b.begun, b.probes = b.begun+1, 0
	}
}
