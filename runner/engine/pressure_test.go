package engine

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/batchpattern/terraform-provider-batch/runner/predict"
)

func TestPressureHalvesOncePerWaveAndRisesByOneAWindow(t *testing.T) {
	start := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	p := newPressure(8)
	for range 8 { // all were in flight together
		p.answered(true, start, start.Add(time.Second))
	}
	if p.ceiling != 4 {
		t.Fatalf("8 refusals of one wave lower the ceiling to %d, want 4", p.ceiling)
	}
	later := start.Add(2 * time.Second)
	for n, want := range []int{4, 4, 4, 5, 5, 5, 5, 5, 6} { // windows of 4 and of 5 answers
		if p.answered(false, later, later); p.ceiling != want {
			t.Fatalf("after %d clean answers the ceiling is %d, want %d", n+1, p.ceiling, want)
		}
	}
}

func TestPressureStaysBetweenOneAndParallelism(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 64).Draw(t, "parallelism")
		p, now := newPressure(most), time.Unix(0, 0)
		for range rapid.IntRange(1, 300).Draw(t, "answers") {
			now = now.Add(time.Second)
			before, overloaded := p.ceiling, rapid.IntRange(0, 9).Draw(t, "overloaded") == 0
			p.answered(overloaded, now, now)
			switch {
			case p.ceiling < 1 || p.ceiling > most:
				t.Fatalf("the ceiling is %d of %d", p.ceiling, most)
			case overloaded && p.ceiling != max(before/2, 1):
				t.Fatalf("a refusal takes the ceiling from %d to %d", before, p.ceiling)
			case !overloaded && p.ceiling != before && p.ceiling != before+1:
				t.Fatalf("a clean answer takes the ceiling from %d to %d", before, p.ceiling)
			}
		}
	})
}

func TestGateKeepsToTheCeiling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(4)
		for range 4 {
			must(t, g.enter(t.Context()))
		}
		g.observe(predict.Try{Began: time.Now(), Status: http.StatusServiceUnavailable}) // to 2
		entered := make(chan struct{}, 2)
		for range 2 {
			go func() {
				if g.enter(t.Context()) == nil {
					entered <- struct{}{}
				}
			}()
		}
		impatient, cancel := context.WithCancelCause(t.Context())
		gone := make(chan error)
		go func() { gone <- g.enter(impatient) }()
		synctest.Wait()
		cancel(errOver)
		if err := <-gone; !errors.Is(err, errOver) {
			t.Errorf("who leaves the queue is told %v", err)
		}
		g.leave()
		g.leave()
		synctest.Wait()
		if len(entered) != 0 {
			t.Fatal("a third request is in flight under a ceiling of 2")
		}
		g.leave()
		g.leave()
		synctest.Wait()
		if len(entered) != 2 {
			t.Errorf("%d of 2 requests may go", len(entered))
		}
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
