package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/launch"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// fleet is the prediction servers of one run attempt: replicas that are
// launched side by side, or an endpoint, which is a fleet of one that is never
// lost. Its methods are safe for concurrent use, but only one goroutine at a
// time may call fresh, rest and stop.
//
// A server is in ready from its first readiness until it is lost or stopped.
// Launches go on in the background; acquire begins those that are missing, and
// waits only while no server is ready.
type fleet struct {
	x   *execution
	run store.Run // as it stood at the opening: x.run moves on beside the launches
	log *launch.Log

	ctx    context.Context // of all launches
	cancel context.CancelCauseFunc
	// watchers wait for the loss of a server each.
	watchers sync.WaitGroup

	printing sync.Mutex      // guards what follows
	print    *fingerprint    // of the model that the run is bound to
	others   map[string]bool // ids of other models that on_model_change lets in

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced whenever something below changes
	ready    []*readyServer
	starting int // launches under way, and losses whose successor is not decided
	limit    int // servers that there may be; it falls where launching is given up
	failure  error
	halted   bool               // between clear and the next launch
	recall   context.CancelFunc // ends the launches under way
	wave     context.Context    // of the launches under way
	alone    bool               // there is one server only, on trial: see fresh
	took     time.Duration      // the longest start so far
	launched int                // servers so far, for their names in the log
}

// openFleet launches the replicas side by side and returns when the first of
// them is ready.
func (x *execution) openFleet(ctx context.Context) (*fleet, error) {
	f := &fleet{x: x, run: x.run, limit: 1, changed: make(chan struct{}), others: map[string]bool{}}
	if server := x.job.Predict.Server; server != nil {
		f.limit = int(*server.Replicas)
	}
	if x.launches() {
		var err error
		if f.log, err = x.openServerLog(); err != nil {
			return nil, err
		}
	}
	f.ctx, f.cancel = context.WithCancelCause(ctx)
	f.wave, f.recall = context.WithCancel(f.ctx)
	if err := f.await(ctx, func() bool { f.fill(f.limit); return len(f.ready) > 0 }); err != nil {
		return nil, errors.Join(err, f.stop("not used"))
	}
	return f, nil
}

// acquire gives the ready server with the fewest requests in flight; whoever
// got it must release it. Missing servers are launched, and while none is
// ready it waits. The error is an *api.Failure where no server is left and
// none will be launched.
func (f *fleet) acquire(ctx context.Context) (*readyServer, error) {
	var server *readyServer
	err := f.await(ctx, func() bool {
		f.alone = false
		f.fill(f.limit)
		server = f.idlest()
		return server != nil
	})
	return server, err
}

// release tells that a request is over.
func (f *fleet) release(s *readyServer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.inFlight--
}

// fresh stops every server and launches a single one, on trial: until the next
// acquire its loss is the caller's affair, neither counted against the run nor
// followed by a launch. It needs no release. Where healthy servers give way to
// it because they answer wrongly, why is freshSick, and that counts as a loss.
func (f *fleet) fresh(ctx context.Context, why string) (*readyServer, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx) // also of a worker that was left behind: others have the servers now
	}
	f.mu.Lock()
	counted := why == freshSick && !f.alone && f.x.launches()
	f.mu.Unlock()
	if err := f.clear(why); err != nil {
		return nil, err
	}
	if counted {
		if err := f.charge(ctx); err != nil {
			return nil, err
		}
	}
	var server *readyServer
	err := f.await(ctx, func() bool {
		f.alone = true
		f.fill(min(1, f.limit))
		server = f.idlest()
		if server != nil {
			server.inFlight--
		}
		return server != nil
	})
	return server, err
}

// What a fresh server is for.
const (
	freshSuspect = "suspect" // records that may have ended servers are tried
	freshSick    = "sick"    // the server refuses what it has answered before
)

// rest tells that nothing is runnable until then. Where that is longer than a
// start takes, the servers are stopped; the next acquire launches them again.
func (f *fleet) rest(until time.Time) {
	if !f.x.launches() {
		return
	}
	f.mu.Lock()
	pause, busy := until.Sub(f.x.e.Now()), len(f.ready)+f.starting
	idle := busy > 0 && pause > f.took
	f.mu.Unlock()
	if !idle {
		return
	}
	if err := f.clear("idle"); err != nil {
		f.x.log.Warn("stop idle prediction servers", "error", err)
	}
	if err := f.event(f.ctx, "idle", "servers stopped, nothing is runnable before "+until.UTC().Format(time.RFC3339)); err != nil {
		f.x.log.Warn("note that servers were idle", "error", err)
	}
}

// stop ends the fleet: all its servers are gone when it returns.
func (f *fleet) stop(why string) error {
	f.mu.Lock()
	if f.failure == nil {
		f.failure = errors.New("the fleet was stopped")
	}
	f.mu.Unlock()
	f.cancel(nil)
	err := f.clear(why)
	f.watchers.Wait()
	if f.log != nil {
		err = errors.Join(err, f.log.Close())
	}
	return err
}

// clear stops every server, and launches under way, in parallel.
func (f *fleet) clear(why string) error {
	f.mu.Lock()
	f.halted = true
	f.recall()
	var stopping sync.WaitGroup
	errs := make([]error, len(f.ready))
	for i, server := range f.ready {
		stopping.Go(func() { errs[i] = server.stop(why) })
	}
	f.ready = nil
	for f.starting > 0 {
		changed := f.changed
		f.mu.Unlock()
		<-changed
		f.mu.Lock()
	}
	f.mu.Unlock()
	stopping.Wait()

	f.mu.Lock()
	defer f.mu.Unlock()
	f.wave, f.recall = context.WithCancel(f.ctx)
	f.halted = false
	f.notify()
	return errors.Join(errs...)
}

// await waits until there is what it asks for, in the fleet's lock; until the
// fleet has failed; or until the context ends.
func (f *fleet) await(ctx context.Context, there func() bool) error {
	for {
		f.mu.Lock()
		found, failure, changed := there(), f.failure, f.changed
		f.mu.Unlock()
		if found {
			return nil
		}
		if failure != nil {
			return failure
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// idlest takes the ready server with the fewest requests in flight, nil where
// none is ready. The lock is held.
func (f *fleet) idlest() *readyServer {
	var best *readyServer
	for _, server := range f.ready {
		if !server.isLost() && (best == nil || server.inFlight < best.inFlight) {
			best = server
		}
	}
	if best != nil {
		best.inFlight++
	}
	return best
}

// fill begins the launches that are missing up to n servers. The lock is held.
func (f *fleet) fill(n int) {
	for !f.halted && f.failure == nil && len(f.ready)+f.starting < n {
		f.starting++
		f.launched++
		number, wave := f.launched, f.wave
		go func() { f.join(f.provision(wave, number)) }()
	}
}

// join takes a launch's end into account.
func (f *fleet) join(server *readyServer, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.starting--
	defer f.notify()
	if err == nil && f.halted {
		// It got ready while the fleet was being cleared.
		f.starting++
		go func() {
			err := server.stop("not used")
			f.mu.Lock()
			defer f.mu.Unlock()
			f.starting--
			f.notify()
			if err != nil {
				f.x.log.Warn("stop the prediction server", "error", err)
			}
		}()
		return
	}
	switch {
	case err == nil:
		f.ready = append(f.ready, server)
		f.took = max(f.took, server.took)
		if server.lost() != nil {
			f.watchers.Go(func() { f.watch(server) })
		}
	case f.halted:
	case f.limit > 1 && isLaunchFailure(err):
		f.limit--
		f.x.log.Warn("go on with fewer prediction servers", "servers", f.limit, "error", err)
	default:
		f.fail(err)
	}
}

// isLaunchFailure tells a server that does not come up from one that
// contradicts the job.
func isLaunchFailure(err error) bool {
	failure, ok := errors.AsType[*api.Failure](err)
	return ok && (failure.Reason == api.ReasonLaunchFailed || failure.Reason == api.ReasonStartTimeout)
}

// watch hears of a loss that no request meets, as long as there is a fleet: a
// process that no signal ends must not keep its run from ending.
func (f *fleet) watch(server *readyServer) {
	select {
	case <-server.lost():
	case <-f.ctx.Done():
		return
	}
	if _, err := f.lose(f.ctx, server); err != nil {
		f.x.log.Warn("record the loss of a prediction server", "error", err)
	}
}

// fail ends the fleet. The lock is held.
func (f *fleet) fail(err error) {
	if f.failure == nil {
		f.failure = err
	}
}

// notify wakes whoever waits for the fleet to change. The lock is held.
func (f *fleet) notify() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// forget takes a server out of the ready ones; false where it is out already.
// The lock is held.
func (f *fleet) forget(s *readyServer) bool {
	at := slices.Index(f.ready, s)
	if at >= 0 {
		f.ready = slices.Delete(f.ready, at, at+1)
	}
	return at >= 0
}

func (f *fleet) event(ctx context.Context, kind, detail string) error {
	return f.x.e.Store.Write(ctx, func(tx *store.Tx) error { return f.eventIn(tx, kind, detail) })
}

func (f *fleet) eventIn(tx *store.Tx, kind, detail string) error {
	return tx.Event(store.Event{UID: f.run.JobUID, Run: f.run.ID, Event: api.Event{Kind: kind, Actor: "runner", Detail: detail}})
}
