package engine

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var errBroken = errors.New("broken")

func TestBreakerOpensAfterFailuresInARowOnly(t *testing.T) {
	b := breaker{rounds: 1}
	for range 3 {
		for range breakerFailures - 1 {
			if b.failed(errBroken) {
				t.Fatal("it opens early")
			}
		}
		b.succeeded()
	}
	for n := range breakerFailures {
		if opened := b.failed(errBroken); opened != (n == breakerFailures-1) {
			t.Fatalf("failure %d in a row: opened is %v", n+1, opened)
		}
	}
	if b.failed(errBroken) || b.trip(errBroken) {
		t.Error("it opens twice")
	}
}

// An endpoint that stays sick is asked in rounds with growing pauses, and then
// never again.
func TestBreakerGivesAnEndpointUp(t *testing.T) {
	b := breaker{rounds: 2}
	b.trip(errBroken)
	var waits []time.Duration
	for {
		remedy, wait := b.next()
		if remedy == giveUp {
			break
		}
		if remedy != probe || len(waits) > 6 {
			t.Fatalf("remedy %d after %v", remedy, waits)
		}
		waits = append(waits, wait)
		b.probed(errBroken)
	}
	for i, wait := range waits {
		if want := time.Second << i; wait != want {
			t.Errorf("probe %d is sent after %s, want %s", i+1, wait, want)
		}
	}
	if len(waits) != 6 || !errors.Is(b.spent(), errBroken) {
		t.Errorf("spent is %v after %d probes", b.spent(), len(waits))
	}
}

func TestBreakerReplacesALaunchedServerAfterThreeProbes(t *testing.T) {
	b := breaker{}
	b.trip(errBroken)
	for range breakerProbes {
		if remedy, _ := b.next(); remedy != probe {
			t.Fatalf("remedy %d", remedy)
		}
		b.probed(errBroken)
	}
	if remedy, _ := b.next(); remedy != fresh {
		t.Fatalf("after three probes the remedy is %d", remedy)
	}
	b.replaced()
	if remedy, wait := b.next(); remedy != probe || wait != breakerPause {
		t.Fatalf("a fresh server: remedy %d after %s", remedy, wait)
	}
	b.probed(nil)
	if remedy, _ := b.next(); remedy != nothing || b.isOpen() {
		t.Errorf("it answers and the remedy is %d", remedy)
	}
}

// Whatever the server does, an open breaker comes to an end: it closes, asks
// for a fresh server, or is spent, after a bounded wait.
func TestBreakerNeverWaitsForEver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rounds := rapid.IntRange(0, 10).Draw(t, "rounds")
		b := breaker{rounds: rounds}
		b.trip(errBroken)
		waited, asked := time.Duration(0), 0
		for {
			remedy, wait := b.next()
			if remedy != probe {
				break
			}
			if asked++; asked > breakerProbes*max(rounds, 1) {
				t.Fatalf("%d probes", asked)
			}
			waited += wait
			if rapid.IntRange(0, 5).Draw(t, "heals") == 0 {
				b.probed(nil)
			} else {
				b.probed(errBroken)
			}
		}
		if waited > time.Duration(asked)*breakerPauseMax {
			t.Fatalf("it waited %s for %d probes", waited, asked)
		}
	})
}
