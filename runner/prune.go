package runner

import (
	"context"
	"sync"
	"time"

	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

const (
	// pruneEvery is how often history that is too old is looked for.
	pruneEvery = time.Hour
	// pruneRuns bounds what is removed before a rest of pruneRest, so that the
	// first look over a long history leaves room for the day's work.
	pruneRuns, pruneRest = 500, 2 * time.Second
	// keepBuried is how long a deleted job can be taken up again.
	keepBuried = 30 * 24 * time.Hour
)

// pruning removes what is older than it is kept for, now and then, until it is
// stopped.
func (r *Runner) pruning() (stop func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var loop sync.WaitGroup
	loop.Go(func() {
		for from := ""; ; {
			next, err := r.prune(ctx, from)
			if err != nil && ctx.Err() == nil {
				r.options.Log.Error("history was not pruned", "error", err)
			}
			wait := pruneEvery
			if from = next; next != "" {
				wait = pruneRest
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		}
	})
	return func(context.Context) error {
		cancel()
		loop.Wait() // for one transaction
		return nil
	}
}

func (r *Runner) prune(ctx context.Context, from string) (next string, err error) {
	if r.trigger.Trouble() != "" { // by a clock that is wrong, everything may look old
		return "", nil
	}
	next, err = r.store.Prune(ctx, store.Pruning{
		KeepHistory: r.options.KeepHistory, KeepBuried: keepBuried, Limit: pruneRuns, From: from, RemoveFiles: r.engine.RemoveFiles,
	})
	if err == nil && next == "" {
		err = r.engine.SweepSpools()
	}
	return next, err
}
