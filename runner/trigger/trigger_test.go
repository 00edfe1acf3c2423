package trigger

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a hand-driven clock.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = t
}

func (c *clock) add(d time.Duration) { c.set(c.now().Add(d)) }

// room is a trigger on a store of its own, with a clock driven by hand. It is
// not started: tests wake it.
type room struct {
	*Trigger
	*clock
	t     testing.TB
	wakes int // of the engine
}

func newRoom(t testing.TB, now string) *room {
	t.Helper()
	r := &room{t: t, clock: &clock{t: instant(now)}}
	s, err := store.Open(t.Context(), t.TempDir(), r.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	r.Trigger = New(Options{
		Store: s, Now: r.clock.now, Wake: func() { r.wakes++ },
		Cancel: func(tx *store.Tx, run store.Run, actor string) error {
			_, err := tx.MoveRun(run, store.RunChange{To: api.RunCancelled, Actor: actor})
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
	runs, err := r.store.Runs(uid, 1000)
	if err != nil {
		r.t.Fatal(err)
	}
	return runs
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
	r.write(func(tx *store.Tx) (err error) {
		run, err = tx.MoveRun(run, store.RunChange{To: to, Actor: "test"})
		return err
	})
	return run
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
