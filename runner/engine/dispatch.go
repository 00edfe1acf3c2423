package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// windowPerPermit bounds the answers that wait for their turn in the output:
// requests sent or answered but not yet written, per request in flight.
const windowPerPermit = 4

// claimPause is how long a place for a mini-batch may stay free while the
// others are enough: claims are dear, and one for several costs as much as one.
const claimPause = 100 * time.Millisecond

// errServerLost interrupts what is in flight when its prediction server goes.
var errServerLost = errors.New("the prediction server is gone")

// errOver interrupts the workers when the run is decided: too much failed.
var errOver = errors.New("the run is over")

func (x *execution) transition(ctx context.Context, to api.RunState, detail string) error {
	return x.e.Store.Write(ctx, func(tx *store.Tx) error {
		return x.move(tx, store.RunChange{To: to, Actor: "runner", Detail: detail})
	})
}

// dispatcher coordinates the mini-batches of one run attempt on its servers.
type dispatcher struct {
	x     *execution
	fleet *fleet
	// gate holds the requests in flight, window the answers not yet written.
	gate     *gate
	window   chan struct{}
	patience patience
	rows     *requestSize
	shrunk   atomic.Bool // a request was too large in this run
	// builder makes requests: the client of the server that was used last.
	builder  atomic.Pointer[predict.Client]
	control  control
	controls atomic.Int64 // sent, for their keys
	breaker  breaker
	hands    hands
	results  chan outcome
	failed   int64 // records that failed so far
	max      api.Threshold

	// suspects is where they run; nil while anything else does.
	suspects *trial
	ended    chan struct{}
	watchers sync.WaitGroup

	claimed time.Time // when mini-batches were claimed last
	freed   bool      // a place became free since

	mu       sync.Mutex
	lives    map[*readyServer]context.Context
	turned   map[int64]int  // mini-batches that the breaker turned back, how often
	unproven map[int64]bool // mini-batches in which nothing succeeded, while nothing has in the run
	stop     context.CancelCauseFunc
}

// outcome is what a worker reports after its transition is stored.
type outcome struct {
	failed  int64 // records that became dead letters or were given up
	failure error // ends the run attempt
}

// dispatch claims pending mini-batches by number, keeps parallelism requests
// in flight, and returns when none is left, or with what ended it.
func (x *execution) dispatch(ctx context.Context, f *fleet) error {
	d, err := x.newDispatcher(ctx, f)
	if err != nil {
		return err
	}
	err = d.run(ctx)
	close(d.ended)
	d.hands.rest()
	d.watchers.Wait()
	if err == nil {
		return d.grow(ctx)
	}
	return err
}

func (x *execution) newDispatcher(ctx context.Context, f *fleet) (*dispatcher, error) {
	parallelism := int(*x.job.Parallelism)
	sofar, err := x.e.Store.Run(x.run.ID)
	if err != nil {
		return nil, err
	}
	max, err := x.maxFailed()
	if err != nil {
		return nil, err
	}
	server, err := f.acquire(ctx)
	if err != nil {
		return nil, err
	}
	f.release(server)
	d := &dispatcher{
		x: x, fleet: f, max: max,
		gate: newGate(parallelism), window: make(chan struct{}, windowPerPermit*parallelism),
		patience: patience{x.job.Retry.Policy, *x.job.Retry.Attempts, x.backoff()},
		rows:     newRequestSize(x.rowsPerRequest()),
		hands:    newHands(),
		results:  make(chan outcome, parallelism),
		failed:   sofar.Counts.Failed(),
		ended:    make(chan struct{}),
		lives:    map[*readyServer]context.Context{}, turned: map[int64]int{}, unproven: map[int64]bool{},
	}
	d.builder.Store(server.client)
	if !x.launches() {
		d.breaker.rounds = int(d.patience.Attempts)
	}
	return d, nil
}

// run is the loop of the dispatcher.
func (d *dispatcher) run(ctx context.Context) error {
	work, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	wave := d.begin(work)
	active, verdict := 0, error(nil)
	for {
		var next time.Time
		if verdict == nil && active == 0 && d.breaker.isOpen() {
			if verdict = d.mend(ctx); verdict == nil {
				wave = d.begin(work)
			}
		}
		switch later := d.claimed.Add(claimPause); {
		case verdict != nil || d.turning():
		case d.freed && d.enough(active) && d.x.e.Now().Before(later):
			next = later
		default:
			claimed, due, err := d.claim(ctx, active)
			if err != nil {
				verdict = err
				cancel(interruption{error: err})
			}
			next = due
			for _, m := range claimed {
				active++
				go func(on *trial) { d.results <- d.work(wave, m, on) }(d.suspects)
			}
		}
		if active == 0 && (verdict != nil || next.IsZero()) {
			return verdict
		}
		if active == 0 {
			d.fleet.rest(next)
		}
		timer := alarm(next.Sub(d.x.e.Now()), !next.IsZero() && verdict == nil)
		var drain <-chan struct{}
		if verdict == nil {
			drain = d.x.e.drain
		}
		select {
		case result := <-d.results:
			active--
			d.freed = true
			if err := d.judge(result); err != nil && verdict == nil {
				verdict = err
				if result.failure != nil {
					err = interruption{error: err}
				}
				cancel(err)
			}
		case <-drain:
			verdict = errDraining // what is in flight may finish
		case <-timer.C:
		case <-ctx.Done():
			if verdict == nil {
				verdict = context.Cause(ctx)
			}
			for ; active > 0; active-- {
				<-d.results
			}
		}
		timer.Stop()
	}
}

// enough tells whether the mini-batches that are worked on keep parallelism
// requests in flight for a while.
func (d *dispatcher) enough(active int) bool {
	parallelism := *d.x.job.Parallelism
	requests := *d.x.job.MiniBatch.Rows / d.rows.current()
	return int64(active) > parallelism/2 && int64(active)*requests >= 4*parallelism
}

// begin gives the context of what is started until the breaker opens.
func (d *dispatcher) begin(work context.Context) context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stop != nil {
		d.stop(nil)
	}
	wave, stop := context.WithCancelCause(work)
	d.stop = stop
	return wave
}

// turning tells that the breaker is open and work in flight is turned back.
func (d *dispatcher) turning() bool { return d.breaker.isOpen() && d.breaker.spent() == nil }

// alarm is a timer that fires after d, or never.
func alarm(d time.Duration, armed bool) *time.Timer {
	if !armed {
		d = 365 * 24 * time.Hour
	}
	return time.NewTimer(max(d, 0))
}

// claim makes due mini-batches pending and takes as many of the pending as
// there is room for. Suspects run alone: one of them is taken when nothing
// else is left, and nothing beside it. next is when the next waiting
// mini-batch is due.
func (d *dispatcher) claim(ctx context.Context, active int) (claimed []store.MiniBatch, next time.Time, err error) {
	limit := int(*d.x.job.Parallelism) - active
	d.claimed, d.freed = d.x.e.Now(), false
	if d.suspects != nil && active > 0 {
		limit = 0
	}
	suspects := false
	err = d.x.e.Store.Write(ctx, func(tx *store.Tx) error {
		if next, err = tx.WakeDue(d.x.run.ID); err != nil {
			return err
		}
		if limit <= 0 {
			return nil
		}
		if claimed, err = tx.Claim(d.x.run, limit, false); err != nil || len(claimed) > 0 || active > 0 {
			return err
		}
		claimed, err = tx.Claim(d.x.run, 1, true)
		suspects = len(claimed) > 0
		return err
	})
	if err != nil {
		return nil, time.Time{}, err // nothing is claimed where the commit failed
	}
	switch {
	case suspects && d.suspects == nil:
		d.suspects = &trial{d: d, turn: make(chan struct{}, 1)}
	case !suspects && len(claimed) > 0:
		d.suspects = nil
	}
	return claimed, next, nil
}

// judge takes a worker's report into account.
func (d *dispatcher) judge(result outcome) error {
	if result.failure != nil {
		return result.failure
	}
	d.failed += result.failed
	if exceeded(d.failed, d.x.plan.Records, d.max) {
		return errOver
	}
	return nil
}

// trip opens the breaker and turns back what is in flight.
func (d *dispatcher) trip(ctx context.Context, cause error) {
	if d.breaker.trip(cause) {
		d.opened(ctx, cause)
	}
}

func (d *dispatcher) opened(ctx context.Context, cause error) {
	d.x.log.Warn("the prediction server is sick", "error", cause)
	if err := d.x.event(context.WithoutCancel(ctx), "breaker", "nothing is sent but controls: "+cause.Error()); err != nil {
		d.x.log.Warn("note that the breaker is open", "error", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stop(errSick)
}

// mend asks the server, while the breaker is open and nothing is in flight,
// until it answers again, is replaced, or is given up.
func (d *dispatcher) mend(ctx context.Context) error {
	d.suspects = nil // their server is asked as any other
	for {
		remedy, wait := d.breaker.next()
		switch remedy {
		case nothing:
			return d.x.event(ctx, "breaker", "the prediction server answers again")
		case giveUp:
			return nil
		case fresh:
			if _, err := d.fleet.fresh(ctx, freshSick); err != nil {
				return err
			}
			d.breaker.replaced()
		case probe:
			if err := d.x.rest(ctx, wait); err != nil {
				return err
			}
			err := d.probe(ctx)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if failure, ok := errors.AsType[*api.Failure](err); ok {
				return failure // no server is left
			}
			d.breaker.probed(err)
		}
	}
}

func (x *execution) backoff() []time.Duration {
	waits := make([]time.Duration, len(x.job.Retry.Backoff))
	for i, wait := range x.job.Retry.Backoff {
		waits[i] = wait.Value()
	}
	return waits
}
