package engine

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/batchpattern/terraform-provider-batch/runner/predict"
)

// pressure is the ceiling that a server's answers put on the requests in
// flight: it halves when the server shows that it has too many, and rises by
// one with each window of clean answers, a window being as many answers as the
// ceiling.
type pressure struct {
	most    int // the job's parallelism
	ceiling int
	clean   int       // answers since the ceiling last moved
	cut     time.Time // when it was halved last
}

func newPressure(parallelism int) pressure {
	return pressure{most: parallelism, ceiling: parallelism}
}

// answered takes one try into account, which was sent at began. Requests that
// were in flight when the ceiling was halved say nothing new.
func (p *pressure) answered(overloaded bool, began, now time.Time) {
	switch {
	case began.Before(p.cut):
	case overloaded:
		p.ceiling, p.clean, p.cut = max(p.ceiling/2, 1), 0, now
	case p.ceiling < p.most:
		if p.clean++; p.clean >= p.ceiling {
			p.ceiling, p.clean = p.ceiling+1, 0
		}
	}
}

// gate lets as many requests into flight as the pressure allows.
type gate struct {
	mu       sync.Mutex
	pressure pressure
	inFlight int
	waiting  []chan struct{} // closed for whoever may go, in order
}

func newGate(parallelism int) *gate { return &gate{pressure: newPressure(parallelism)} }

// enter waits for a place; whoever got one must leave.
func (g *gate) enter(ctx context.Context) error {
	g.mu.Lock()
	if g.inFlight < g.pressure.ceiling && len(g.waiting) == 0 {
		g.inFlight++
		g.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	g.waiting = append(g.waiting, turn)
	g.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, other := range g.waiting {
		if other == turn {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			return context.Cause(ctx)
		}
	}
	g.inFlight-- // the turn came together with the end
	g.admit()
	return context.Cause(ctx)
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight--
	g.admit()
}

// admit lets in who may go. The lock is held.
func (g *gate) admit() {
	for len(g.waiting) > 0 && g.inFlight < g.pressure.ceiling {
		g.inFlight++
		close(g.waiting[0])
		g.waiting = g.waiting[1:]
	}
}

// observe hears of every try of every request, also of those that are sent
// again in memory.
func (g *gate) observe(try predict.Try) {
	overloaded := try.Timeout || try.Status == http.StatusTooManyRequests || try.Status == http.StatusServiceUnavailable
	if !overloaded && try.Status/100 != 2 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pressure.answered(overloaded, try.Began, time.Now())
	g.admit()
}
