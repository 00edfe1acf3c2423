// Package trigger decides when jobs run. It turns the occurrences of each
// job's schedule, and requests for manual runs, into run rows that the engine
// takes up; and it keeps the jobs' declarations, because an edit of a schedule
// is itself a decision about time.
//
// The database is the scheduler: each job has a cursor, the nominal instant up
// to which everything is decided, and a next due time. A wake claims the jobs
// that are due and writes decisions, cursor and run rows in one transaction,
// so nothing is decided twice or dropped, through crash, restart, clock step
// or edit. gocron is no more than the alarm clock that causes wakes; a wake too
// many decides nothing.
//
//   - decide.go and ran.go judge what is due: pure, all the rules are there;
//   - due.go claims the jobs that are due, claim.go decides and writes them;
//   - alarm.go says when to look, clock.go whether to believe the clock;
//   - ended.go is what a run that ended means for its job;
//   - restore.go makes a store that was restored from a backup safe to decide on;
//   - jobs.go, rename.go, delete.go, manual.go, rerun.go, backfill.go, hold.go
//     and cursor.go are the requests of people, instant.go reads the instants
//     they write;
//   - health.go tells how a job is.
//
// How a run is carried out is the engine's business.
package trigger

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// Options are what a Trigger is made of.
type Options struct {
	Store *store.Store
	Log   *slog.Logger
	// Now is the clock; it must be the one the store dates its rows with.
	// Nil means the system's.
	Now func() time.Time
	// Wake tells the engine that the queue has changed. It must not block.
	Wake func()
	// Cancel ends a run inside the trigger's transaction: of a job that is being
	// deleted, or one that a newer occurrence takes the place of, which is the
	// reason then. It is called for runs that have not begun to commit, and
	// calls Ended.
	Cancel func(tx *store.Tx, run store.Run, reason api.Reason, actor string) error
}

// Trigger is the room's door. Its methods may be called from any goroutine,
// and all but Start and Stop work whether or not it is started.
type Trigger struct {
	store  *store.Store
	log    *slog.Logger
	now    func() time.Time
	wake   func()
	cancel func(*store.Tx, store.Run, api.Reason, string) error
	watch  *watchdog

	// look asks the alarm's loop to look at the calendar again.
	look chan struct{}

	mu      sync.Mutex
	running *alarm // nil: stopped
}

// New makes a Trigger that is not started.
func New(o Options) *Trigger {
	t := &Trigger{store: o.Store, log: o.Log, now: o.Now, wake: o.Wake, cancel: o.Cancel,
		watch: &watchdog{store: o.Store}, look: make(chan struct{}, 1)}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	if t.now == nil {
		t.now = time.Now
	}
	if t.wake == nil {
		t.wake = func() {}
	}
	if t.cancel == nil {
		t.cancel = func(_ *store.Tx, run store.Run, _ api.Reason, _ string) error {
			return api.Errorf(api.CodeConflict, "cancel the run first", "run %s of job %s is %s", run.ID, run.Job, run.State)
		}
	}
	return t
}

// Start begins to decide: at once what became due while nobody looked, then
// each occurrence at its time. It goes on until Stop, not until ctx ends.
// Starting twice is fine, and so is starting again after Stop.
func (t *Trigger) Start(context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running != nil {
		return nil
	}
	a, err := t.startAlarm()
	if err != nil {
		return err
	}
	t.running = a
	return nil
}

// Stop ends deciding: no run is queued by schedule any more. It waits for a
// wake under way, as long as ctx lasts; where that was too short, the error
// says so and Stop may be called again. Stopping twice, or before Start, is
// fine.
func (t *Trigger) Stop(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running == nil {
		return nil
	}
	if err := t.running.stop(ctx); err != nil {
		return err
	}
	t.running = nil
	return nil
}

// lookAgain makes the alarm's loop look at the calendar now; it never blocks.
func (t *Trigger) lookAgain() {
	select {
	case t.look <- struct{}{}:
	default:
	}
}
