package trigger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// live is a trigger on the system's clock, whose wakes of the engine can be
// waited for.
type live struct {
	*Trigger
	woken chan struct{}
}

func newLive(t *testing.T) live {
	t.Helper()
	s, err := store.Open(context.Background(), t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	l := live{woken: make(chan struct{}, 1000)}
	l.Trigger = New(Options{Store: s, Wake: func() { l.woken <- struct{}{} }})
	t.Cleanup(func() {
		if err := errors.Join(l.Stop(context.Background()), s.Close()); err != nil {
			t.Error(err)
		}
	})
	return l
}

func (l live) start(t *testing.T) {
	t.Helper()
	if err := l.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (l live) put(t *testing.T, spec api.Job) api.StoredJob {
	t.Helper()
	stored, _, err := l.Put(t.Context(), spec.Name, api.PutJob{Spec: spec}, Condition{}, "test")
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func (l live) wait(t *testing.T) {
	t.Helper()
	select {
	case <-l.woken:
	case <-time.After(time.Minute):
		t.Fatal("the engine was not woken")
	}
}

func TestTheAlarmFiresAJobThatWasPutWhileRunning(t *testing.T) {
	l := newLive(t)
	l.start(t)
	began := time.Now()
	uid := l.put(t, validJob("often", &api.Schedule{Every: "2s", Anchor: "2026-01-01T00:00:00Z"})).UID

	l.wait(t)

	if waited := time.Since(began); waited > tick/2 {
		t.Errorf("the first run came after %s: no alarm was set", waited)
	}
	runs, err := l.store.Runs(uid, 10)
	if err != nil || len(runs) != 1 {
		t.Fatalf("runs %+v, %v", runs, err)
	}
	if late := runs[0].CreatedAt.Sub(runs[0].Occurrence); late < 0 || late > 5*time.Second {
		t.Errorf("occurrence %s was queued at %s", runs[0].Occurrence, runs[0].CreatedAt)
	}
}

func TestStartingDecidesWhatBecameDueWhileStopped(t *testing.T) {
	l := newLive(t)
	uid := l.put(t, validJob("nightly", every("1h"))).UID
	err := l.store.Write(t.Context(), func(tx *store.Tx) error {
		job, err := tx.JobByUID(uid)
		if err != nil {
			return err
		}
		cursor := job.Cursor.Add(-48 * time.Hour)
		return tx.MoveCursor(job, cursor, cursor.Add(time.Hour).Truncate(time.Hour))
	})
	if err != nil {
		t.Fatal(err)
	}
	l.start(t)

	l.wait(t)

	if runs, err := l.store.Runs(uid, 10); err != nil || len(runs) == 0 {
		t.Errorf("runs %+v, %v", runs, err)
	}
}

// A day of alarms in virtual time: each occurrence is decided at its instant,
// not at the next tick, and a stopped trigger decides nothing.
func TestADayOfAlarms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLive(t)
		// 17 minutes past: off the ticks, which began at midnight.
		uid := l.put(t, validJob("hourly", &api.Schedule{Every: "1h", Anchor: "2026-01-01T00:17:07Z"})).UID
		l.start(t)
		for range 24 {
			<-l.woken
			runs, err := l.store.Runs(uid, 1)
			if err != nil || len(runs) != 1 {
				t.Fatal(runs, err)
			}
			if late := time.Since(runs[0].Occurrence); late != 0 {
				t.Errorf("occurrence %s was queued %s late", runs[0].Occurrence, late)
			}
			err = l.store.Write(t.Context(), func(tx *store.Tx) error {
				_, err := tx.MoveRun(runs[0], store.RunChange{To: api.RunSucceeded, Actor: "test"})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if looked, err := l.store.LookedAt(); err != nil || time.Since(looked) > lookEvery {
			t.Errorf("the last look is noted at %s, %v", looked, err)
		}
		time.Sleep(2 * time.Hour) // virtual
		decided, err := l.store.LastDecision(uid)
		if err != nil || time.Since(decided.Last) < 2*time.Hour {
			t.Errorf("a stopped trigger decided %+v, %v", decided, err)
		}
	})
}

func TestStartAndStopInAnyOrderFromAnywhere(t *testing.T) {
	l := newLive(t)
	ctx := context.Background()
	if err := errors.Join(l.Stop(ctx), l.Stop(ctx)); err != nil { // before Start
		t.Fatal(err)
	}
	l.put(t, validJob("often", every("1s")))
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range 15 {
				spec := validJob(fmt.Sprintf("job-%d-%d", i, n), every("1s"))
				_, _, err := l.Put(ctx, spec.Name, api.PutJob{Spec: spec}, Condition{}, "test")
				if err := errors.Join(err, l.Start(ctx), l.Start(ctx), l.Stop(ctx)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if err := errors.Join(l.Start(ctx), l.Stop(ctx), l.Stop(ctx)); err != nil {
		t.Error(err)
	}
	if l.running != nil {
		t.Error("it still runs")
	}
}

func TestStopGivesUpWhenItsContextEnds(t *testing.T) {
	l := newLive(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	l.now = sync.OnceValue(func() time.Time { // the first look at the calendar hangs
		close(entered)
		<-leave
		return time.Now()
	})
	l.start(t)
	<-entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()

	if err := l.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Stop gave %v", err)
	}
	close(leave)
	if err := l.Stop(context.Background()); err != nil {
		t.Errorf("the second Stop gave %v", err)
	}
}

// The host wakes up with a clock that is years ahead.
func TestTheAlarmWaitsOutAJumpOfTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, "2026-01-01T00:30:00Z")
		r.windUp()
		uid := r.put(validJob("hourly", every("1h"))).UID
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r.add(2 * 366 * 24 * time.Hour)

		time.Sleep(disbelief - time.Second)
		synctest.Wait()
		if got := r.history(uid); len(got) != 0 {
			t.Errorf("decided %q while the clock was not believed", got)
		}
		time.Sleep(2 * tick)
		synctest.Wait()
		if got := r.history(uid); len(got) != 2 {
			t.Errorf("decided %q once it was believed", got)
		}
		if err := r.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
