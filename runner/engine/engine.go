package engine

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
	"github.com/batchpattern/terraform-provider-batch/runner/launch"
	"github.com/batchpattern/terraform-provider-batch/runner/secret"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// Options are what an Engine is made of; all but Ended, Transport and Launch
// are required.
type Options struct {
	Store   *store.Store
	FS      durable.FS
	Secrets *secret.Resolver
	Log     *slog.Logger
	Now     func() time.Time
	// Inputs are what input is read with; what is a run's own of them is filled
	// in here.
	Inputs source.Options
	// MaxConcurrentRuns is the number of slots.
	MaxConcurrentRuns int
	// Version of the runner, written into manifests.
	Version string
	// Ended is called inside each transaction that ends a run, with the run as
	// it stands then; its error undoes the transaction.
	Ended func(tx *store.Tx, run store.Run) error
	// Transport replaces the connections to prediction servers in tests.
	Transport http.RoundTripper
	// Launch replaces the processes of prediction servers in tests.
	Launch func(launch.Command) (Process, error)
}

// Engine executes queued runs, each in a slot and a goroutine of its own;
// queue.go has which of them.
type Engine struct {
	Options
	queue queue // Options.Store, which tests watch
	wake  chan struct{}
	// changed: runs may have been queued or taken back since the last look.
	changed atomic.Bool
	// retaining: a run of a job has published that keeps output for a while only.
	retaining atomic.Bool
	// exhausted: at the last look all that was left in the queue waited for
	// its job's turn. It belongs to the goroutine of schedule.
	exhausted bool

	hashes    fileHashes
	databases *databases

	mu      sync.Mutex
	started bool
	running map[string]*execution // by run id
	freed   map[string]bool       // jobs of which a run has left its slot since the last look
	awaited map[string]bool       // runs in the queue whose input is looked for
	loop    sync.WaitGroup
	// drain is closed when Stop begins: nothing new is started.
	drain   chan struct{}
	stopAll context.CancelCauseFunc
	base    context.Context
}

var (
	errDraining  = errors.New("the runner is draining")
	errCancelled = errors.New("the run was cancelled")
)

// New makes an Engine that is not started.
func New(o Options) *Engine {
	return &Engine{
		Options: o, queue: o.Store, wake: make(chan struct{}, 1), drain: make(chan struct{}), databases: newDatabases(o.Secrets),
		running: map[string]*execution{}, freed: map[string]bool{}, awaited: map[string]bool{},
	}
}

// Start reaps what an earlier process left behind and begins to work.
func (e *Engine) Start(ctx context.Context) error {
	if err := e.recover(ctx); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.started {
		return nil
	}
	e.started = true
	e.base, e.stopAll = context.WithCancelCause(context.Background())
	e.loop.Go(e.schedule)
	e.Wake()
	return nil
}

// Stop drains: nothing new is started, requests in flight may finish until
// ctx ends, and what is unfinished can be resumed. It may be called twice, and
// before Start.
func (e *Engine) Stop(ctx context.Context) error {
	e.mu.Lock()
	started := e.started
	select {
	case <-e.drain:
	default:
		close(e.drain)
	}
	e.mu.Unlock()
	failpoint.Here("drain.begin")
	if !started {
		return nil
	}
	stopped := make(chan struct{})
	go func() {
		e.loop.Wait()
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-ctx.Done():
		e.stopAll(errDraining)
		<-stopped
	}
	e.stopAll(errDraining)
	e.databases.close()
	return nil
}

// Wake makes the engine look at the queue, because it may have changed; it
// never blocks.
func (e *Engine) Wake() {
	e.changed.Store(true)
	e.ring()
}

func (e *Engine) ring() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// inputsOf are the inputs of a run.
func (e *Engine) inputsOf(run string, job api.Job) *source.Inputs {
	o := e.Inputs
	o.RunsDir, o.Run, o.FS, o.MaxSpool = filepath.Dir(e.RunDir(run)), run, e.FS, job.Input.MaxSpool.Value()
	o.Databases = e.databases.get
	return source.New(o)
}

// RunDir is where the runner keeps a run's own files.
func (e *Engine) RunDir(run string) string {
	return filepath.Join(e.Store.Dir(), "runs", run)
}

// LogPath is the log of a run's prediction servers.
func (e *Engine) LogPath(run string) string {
	return filepath.Join(e.RunDir(run), "server.log")
}

// recover ends what earlier epochs left: their prediction servers are killed,
// whichever process now is their parent. Before the first there was none, so a
// new data dir spares the look at all processes.
func (e *Engine) recover(ctx context.Context) error {
	if e.Launch != nil || e.Store.Epoch() == 1 {
		return nil
	}
	reaped, err := launch.Reap(ctx, e.Store.RunnerID()+".", func(id string) bool { return e.launchEpoch(id) == e.Store.Epoch() })
	if err != nil {
		return err
	}
	if len(reaped) > 0 {
		e.Log.Warn("stopped prediction servers that an earlier runner left behind", "pids", reaped)
	}
	return nil
}

// schedule gives free slots to queued runs until the engine stops.
func (e *Engine) schedule() {
	sweep := time.NewTicker(time.Minute)
	defer sweep.Stop()
	e.inTime(e.sweepAll)
	for {
		select {
		case <-e.drain:
			return
		case <-e.wake:
		case <-sweep.C:
			e.inTime(e.sweepAll)
			e.changed.Store(true) // whoever should have said so
		}
		if e.retaining.Swap(false) {
			e.inTime(e.retain)
		}
		if err := e.fillSlots(); err != nil {
			e.Log.Error("look at the queue", "error", err)
			time.AfterFunc(storeRetry, e.Wake)
		}
	}
}

// start executes a run in a goroutine of its own, unless the engine drains.
func (e *Engine) start(run store.Run) *execution {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.draining() {
		return nil
	}
	ctx, cancel := context.WithCancelCause(e.base)
	x := &execution{e: e, run: run, uid: run.JobUID, shared: run.Shared, cancel: cancel, log: e.Log.With("job", run.Job, "run", run.ID)}
	e.running[run.ID] = x
	e.loop.Go(func() {
		x.execute(ctx)
		cancel(nil)
		e.mu.Lock()
		delete(e.running, run.ID)
		e.freed[x.uid] = true
		e.mu.Unlock()
		e.ring()
	})
	return x
}

// execution finds a run that is in a slot.
func (e *Engine) execution(run string) (*execution, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	x, ok := e.running[run]
	return x, ok
}

// draining tells that Stop has begun.
func (e *Engine) draining() bool {
	select {
	case <-e.drain:
		return true
	default:
		return false
	}
}
