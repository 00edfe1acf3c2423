package trigger

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a clock that is set by hand. It stands still until it is wound up.
type clock struct {
	mu    sync.Mutex
	t     time.Time // what it showed when it was set
	runs  bool
	since time.Time // when it was set, while it runs
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.runs {
		return c.t.Add(time.Since(c.since))
	}
	return c.t
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t, c.since = t, time.Now()
}

// windUp lets it run on with the time of the test.
func (c *clock) windUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runs, c.since = true, time.Now()
}

func (c *clock) add(d time.Duration) { c.set(c.now().Add(d)) }

// room is a trigger on a store of its own, with a clock driven by hand. It is
// not started: tests wake it.
type room struct {
	*Trigger
	*clock
	t     testing.TB
	wakes atomic.Int32 // of the engine
}

func newRoom(t testing.TB, now string) *room {
	t.Helper()
	return roomIn(t, t.TempDir(), now)
}

// roomIn is newRoom over a data dir that may have a store.
func roomIn(t testing.TB, dir, now string) *room {
	t.Helper()
	r := &room{t: t, clock: &clock{t: instant(now)}}
	s, err := store.Open(t.Context(), dir, r.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	r.Trigger = New(Options{
		Store: s, Now: r.clock.now, Wake: func() { r.wakes.Add(1) },
		Cancel: func(tx *store.Tx, run store.Run, reason api.Reason, actor string) error {
			_, err := r.moveIn(tx, run, store.RunChange{To: api.RunCancelled, Reason: reason, Actor: actor})
			return err
		},
	})
	return r
}

// wakeUp decides all that is due, as the alarm's loop does.
func (r *room) wakeUp() {
	r.t.Helper()
	for {
		claimed, err := r.decideDue(context.Background())
		if err != nil {
			r.t.Fatal(err)
		}
		if claimed == 0 {
			return
		}
	}
}

func (r *room) put(spec api.Job) api.StoredJob {
	r.t.Helper()
	stored, _, err := r.Put(context.Background(), spec.Name, api.PutJob{Spec: spec}, Condition{}, "test")
	if err != nil {
		r.t.Fatal(err)
	}
	return stored
}

func (r *room) job(name string) store.Job {
	r.t.Helper()
	job, err := r.store.Job(name)
	if err != nil {
		r.t.Fatal(err)
	}
	return job
}

func (r *room) runs(uid string) []store.Run {
	r.t.Helper()
	runs, err := r.store.Runs(uid, 100_000)
	if err != nil {
		r.t.Fatal(err)
	}
	return runs
}

func (r *room) run(id string) store.Run {
	r.t.Helper()
	run, err := r.store.Run(id)
	if err != nil {
		r.t.Fatal(err)
	}
	return run
}

// decisions are a job's decisions, oldest first.
func (r *room) decisions(uid string) []api.Decision {
	r.t.Helper()
	newest, err := r.store.Decisions(uid, 100_000)
	if err != nil {
		r.t.Fatal(err)
	}
	oldest := make([]api.Decision, 0, len(newest))
	for i := range newest {
		oldest = append(oldest, newest[len(newest)-1-i])
	}
	return oldest
}

// write changes the store as some other room would.
func (r *room) write(f func(*store.Tx) error) {
	r.t.Helper()
	if err := r.store.Write(context.Background(), f); err != nil {
		r.t.Fatal(err)
	}
}

func (r *room) move(run store.Run, to api.RunState) store.Run {
	r.t.Helper()
	return r.moveFor(run, to, "")
}

func (r *room) moveFor(run store.Run, to api.RunState, reason api.Reason) store.Run {
	r.t.Helper()
	r.write(func(tx *store.Tx) (err error) {
		run, err = r.moveIn(tx, run, store.RunChange{To: to, Reason: reason, Actor: "test"})
		return err
	})
	return run
}

// moveIn moves a run as the engine does.
func (r *room) moveIn(tx *store.Tx, run store.Run, c store.RunChange) (store.Run, error) {
	run, err := tx.MoveRun(run, c)
	if err == nil && run.State.Ended() {
		err = r.Ended(tx, run)
	}
	return run, err
}

// active are a job's runs that have not ended, those under way first.
func (r *room) active(uid string) []store.Run {
	r.t.Helper()
	runs, err := r.store.UnfinishedOf(uid)
	if err != nil {
		r.t.Fatal(err)
	}
	return runs
}

func (r *room) status(name string) api.JobStatus {
	r.t.Helper()
	status, err := r.Status(context.Background(), name)
	if err != nil {
		r.t.Fatal(err)
	}
	return status
}

// history is what was decided about a job, a line for each row.
func (r *room) history(uid string) []string {
	r.t.Helper()
	lines := []string{}
	for _, d := range r.decisions(uid) {
		line := fmt.Sprintf("%s %s %s", d.Verdict, d.Reason, d.First.Format("02T15:04"))
		if d.Count > 1 {
			line += fmt.Sprintf("-%s x%d", d.Last.Format("02T15:04"), d.Count)
		}
		lines = append(lines, line)
	}
	return lines
}

// finish ends every run of a job.
func (r *room) finish(uid string) {
	r.t.Helper()
	for _, run := range r.runs(uid) {
		if !run.State.Ended() {
			r.move(run, api.RunSucceeded)
		}
	}
}

func instant(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

func cron(expression, zone string) *api.Schedule {
	return &api.Schedule{Cron: expression, TimeZone: zone}
}

func every(period api.Duration) *api.Schedule { return &api.Schedule{Every: period} }

// validJob is a job that says as little as a job can.
func validJob(name string, s *api.Schedule) api.Job {
	return api.Job{
		Name: name, Schedule: s,
		Input: api.Input{Files: &api.InputFiles{URI: "/in/*.csv"}},
		Predict: api.Predict{
			Protocol: api.ProtocolOIPv2, Model: api.Model{Name: "iris"},
			Features: api.Features{Columns: []string{"a"}}, Endpoint: &api.Endpoint{URL: "http://127.0.0.1:8080"},
		},
		Output: api.Output{Files: &api.OutputFiles{URI: "/out/{scheduled_at}"}},
	}
}

func paused(spec api.Job, yes bool) api.Job {
	spec.Paused = &yes
	return spec
}
