package trigger

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

const (
	// maxStep is how far the clock may have gone since the calendar was looked
	// at last and still be believed at once. A host that was off for longer is
	// rarer than one that boots with a broken clock.
	maxStep = 366 * 24 * time.Hour
	// disbelief is how long nothing is decided after a step above maxStep, so
	// that a clock that is about to be set right does no harm.
	disbelief = 10 * time.Minute
	// lookEvery is how often a look that decides nothing is written down.
	lookEvery = time.Hour
	// behindBy is how far the clock may lie behind a job's cursor before that
	// is reported.
	behindBy = time.Minute
)

// watchdog knows when the calendar was looked at last, also by an earlier
// process, and so whether the clock can be believed.
type watchdog struct {
	store *store.Store

	mu     sync.Mutex
	loaded bool
	looked time.Time // as on disk; zero: never
	since  time.Time // when the step that is not believed was seen first; zero: there is none
	seen   time.Time // when it was seen last
}

// check is an *api.Error while now is not believed.
func (w *watchdog) check(now time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now = onTheWall(now)
	if err := w.load(); err != nil {
		return err
	}
	if w.looked.IsZero() || now.Sub(w.looked) <= maxStep {
		w.since = time.Time{}
		return nil
	}
	if w.since.IsZero() || now.Before(w.since) || now.Sub(w.seen) > disbelief {
		w.since = now // seen first, or set once more: the alarm looks far more often than that
	}
	w.seen = now
	believed := w.since.Add(disbelief)
	if !now.Before(believed) {
		return nil
	}
	return api.Errorf(api.CodeUnavailable, "set the host's clock if it is wrong; if it is right, wait until then",
		"clock_jump: the clock says %s, and the calendar was looked at last at %s; nothing is decided until %s",
		now.UTC().Format(time.RFC3339), w.looked.UTC().Format(time.RFC3339), believed.UTC().Format(time.RFC3339))
}

// note remembers a look that is on disk.
func (w *watchdog) note(looked time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loaded, w.looked = true, onTheWall(looked)
}

// onTheWall is what the clock shows. Instants taken in one process carry a
// stopwatch beside it, by which a clock that is set does not seem to move.
func onTheWall(t time.Time) time.Time { return t.Round(0) }

// stale tells whether a look is to be written down though it decides nothing.
func (w *watchdog) stale(now time.Time) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.load()
	return now.Sub(w.looked).Abs() >= lookEvery, err
}

func (w *watchdog) load() (err error) {
	if w.loaded {
		return nil
	}
	if w.looked, err = w.store.LookedAt(); err != nil {
		return fmt.Errorf("read when the calendar was looked at last: %w", err)
	}
	w.loaded = true
	return nil
}

// Trouble says in words why nothing is decided; empty: there is no trouble.
func (t *Trigger) Trouble() string {
	if err := t.watch.check(t.now()); err != nil {
		return err.Error()
	}
	return ""
}

// noteLook writes down that the calendar is looked at, if that was not done
// for long.
func (t *Trigger) noteLook(ctx context.Context) error {
	now := t.now()
	stale, err := t.watch.stale(now)
	if err != nil || !stale {
		return err
	}
	if err := t.store.Write(ctx, func(tx *store.Tx) error { return tx.SetLookedAt(now) }); err != nil {
		return fmt.Errorf("note a look at the calendar: %w", err)
	}
	t.watch.note(now)
	return nil
}
