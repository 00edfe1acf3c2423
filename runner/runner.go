package runner

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	_ "golang.org/x/crypto/x509roots/fallback" // https must work on a bare host

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
	"github.com/batchpattern/terraform-provider-batch/runner/engine"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
	"github.com/batchpattern/terraform-provider-batch/runner/secret"
	"github.com/batchpattern/terraform-provider-batch/runner/server"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
	"github.com/batchpattern/terraform-provider-batch/runner/trigger"
)

const (
	// triggerTimeout is far more than the longest transaction takes.
	triggerTimeout = 30 * time.Second
	// startsFor is how long the first looks at jobs and runs take. What they
	// needed is given back: most runners rest for most of the day.
	startsFor = time.Second
)

// Runner is one daemon. Start and Stop may be called from any goroutine, in
// any order and again; a stopped Runner stays stopped.
type Runner struct {
	options Options
	store   *store.Store
	engine  *engine.Engine
	trigger *trigger.Trigger
	server  *server.Server // nil: nothing listens

	// cleanups undo what New built and Start began; they run last first.
	cleanups []func(context.Context) error
	// killed ends when a drain is to end at once.
	killed context.Context
	kill   context.CancelFunc

	mu       sync.Mutex
	started  bool
	startErr error
	stopped  bool
	stopErr  error
}

// New opens the data dir and binds the address, so that what is wrong with
// either is told here. Nothing works before Start.
func New(ctx context.Context, o Options) (_ *Runner, err error) {
	o, err = o.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Runner{options: o}
	r.killed, r.kill = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			err = errors.Join(err, r.cleanUp(context.WithoutCancel(ctx)))
		}
	}()
	if r.store, err = store.Open(ctx, o.DataDir, o.Now); err != nil {
		return nil, err
	}
	r.cleanup(func(context.Context) error { return r.store.Close() })

	secrets := secret.New(o.SecretsDir, o.EnvironmentFile)
	inputs := source.Options{Objects: object.NewStores(environment(secrets))}
	r.engine = engine.New(engine.Options{
		Store: r.store, FS: o.FS, Secrets: secrets, Log: o.Log, Now: o.Now,
		MaxConcurrentRuns: o.MaxConcurrentRuns, Version: o.Version, Transport: o.Transport, Inputs: inputs,
		Ended: func(tx *store.Tx, run store.Run) error { return r.trigger.Ended(tx, run) },
	})
	c := &canceller{store: r.store, engine: r.engine}
	r.trigger = trigger.New(trigger.Options{Store: r.store, Log: o.Log, Now: o.Now, Wake: c.wake, Cancel: c.cancel})
	if err := r.trigger.TakeUpRestoration(ctx); err != nil {
		return nil, err
	}
	if o.Manual {
		return r, nil
	}
	token, err := o.token()
	if err != nil {
		return nil, err
	}
	r.server, err = server.New(server.Options{
		Listen: o.Listen, Token: token, Store: r.store, Engine: r.engine, Trigger: r.trigger, Secrets: secrets,
		Info: r.info(), SecretsDir: o.SecretsDir, EnvironmentFile: o.EnvironmentFile, Inputs: inputs, Log: o.Log, Now: o.Now,
	})
	if err != nil {
		return nil, err
	}
	r.cleanup(r.server.Stop)
	return r, nil
}

func (r *Runner) info() api.Info {
	return api.Info{
		API: api.Version, Version: r.options.Version, ConfigHash: r.options.ConfigHash, Zones: schedule.ZoneRelease(),
		RunnerID: r.store.RunnerID(), Epoch: r.store.Epoch(), DataDir: r.options.DataDir, StartedAt: r.options.Now().UTC(),
	}
}

// Start begins to work: the API answers first, so that a start that takes
// long can be told from one that failed.
func (r *Runner) Start(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.stopped:
		return errors.New("start the runner: it was stopped; make a new one")
	case r.started:
		return r.startErr
	}
	r.started = true
	r.startErr = r.start(ctx)
	return r.startErr
}

func (r *Runner) start(ctx context.Context) error {
	if r.server != nil {
		r.server.Start()
	}
	r.cleanup(r.engine.Stop)
	if err := r.engine.Start(ctx); err != nil {
		return fmt.Errorf("start the engine: %w", err)
	}
	if r.options.Manual {
		return nil
	}
	r.cleanup(r.pruning())
	r.cleanup(func(ctx context.Context) error {
		// It only waits for a transaction under way: no drain to cut short.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), triggerTimeout)
		defer cancel()
		return r.trigger.Stop(ctx)
	})
	if err := r.trigger.Start(ctx); err != nil {
		return fmt.Errorf("start the trigger: %w", err)
	}
	r.server.SetReady(true)
	return nil
}

// Stop drains: nothing new begins, what is in flight may finish until ctx
// ends, and what is unfinished goes on after the next start.
func (r *Runner) Stop(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return r.stopErr
	}
	r.stopped = true
	if r.server != nil {
		r.server.SetReady(false)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.killed, cancel)()
	r.stopErr = r.cleanUp(ctx)
	return r.stopErr
}

// Kill makes a Stop that is under way, or comes, end without waiting for what
// is in flight. Nothing is lost by it but the work of unfinished mini-batches.
func (r *Runner) Kill() { r.kill() }

// Run starts, works until ctx ends, and drains within DrainTimeout.
func (r *Runner) Run(ctx context.Context) error {
	err := r.Start(ctx)
	if err == nil {
		r.options.Log.Info("runner is ready", "version", r.options.Version, "data_dir", r.options.DataDir, "listen", r.Addr(), "runner_id", r.store.RunnerID())
		defer time.AfterFunc(startsFor, debug.FreeOSMemory).Stop()
		select {
		case <-ctx.Done():
			r.options.Log.Info("runner drains", "drain_timeout", r.options.DrainTimeout)
		case err = <-r.failed():
		}
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.options.DrainTimeout)
	defer cancel()
	err = errors.Join(err, r.Stop(stopping))
	if err == nil {
		r.options.Log.Info("runner stopped")
	}
	return err
}

// failed tells when nobody can reach the runner any more.
func (r *Runner) failed() <-chan error {
	if r.server == nil {
		return nil
	}
	return r.server.Failed()
}

// Addr is the endpoint that clients use: unix:///path or http://host:port.
func (r *Runner) Addr() string {
	if r.server == nil {
		return ""
	}
	return r.server.Endpoint()
}

func (r *Runner) cleanup(f func(context.Context) error) { r.cleanups = append(r.cleanups, f) }

func (r *Runner) cleanUp(ctx context.Context) error {
	var errs []error
	for _, f := range slices.Backward(r.cleanups) {
		errs = append(errs, f(ctx))
	}
	return errors.Join(errs...)
}
