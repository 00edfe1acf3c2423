package engine_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// gate stops runs at their first request until it is opened.
type gate struct {
	arrived chan struct{}
	opened  chan struct{}
	open    func()
}

func (b *bench) gate() gate {
	g := gate{arrived: make(chan struct{}, 100), opened: make(chan struct{})}
	g.open = sync.OnceFunc(func() { close(g.opened) })
	b.t.Cleanup(g.open)
	b.server.Inject(predicttest.Fault{Record: "1", Do: func() {
		g.arrived <- struct{}{}
		<-g.opened
	}})
	return g
}

// day is the occurrence n days on: each has an output folder of its own.
func day(n int) time.Time { return occurrence.AddDate(0, 0, n) }

func scheduled(at time.Time, shared bool) store.Run {
	return store.Run{Run: api.Run{Occurrence: at, Origin: api.OriginSchedule}, Shared: shared}
}

func TestSharedRunsOfAJobGoBesideEachOther(t *testing.T) {
	b := newBench(t)
	g := b.gate()
	b.start()
	var runs []store.Run
	for n := range 3 {
		runs = append(runs, b.queueRun(scheduled(day(n), true)))
	}
	<-g.arrived
	<-g.arrived // both slots
	third := b.until(runs[2].ID, func(run store.Run) bool { return run.Reason != "" })
	if third.State != api.RunQueued || third.Reason != api.ReasonWaitingForSlot {
		t.Errorf("the third run is %s(%s)", third.State, third.Reason)
	}
	g.open()
	for n, run := range runs {
		if run = b.wait(run.ID); run.State != api.RunSucceeded || len(b.published(b.folder(day(n)))) != 150 {
			t.Errorf("run %d is %s: %s", n, run.State, run.Message)
		}
	}
}

// A run that must be alone waits for those under way and then goes, though
// shared ones behind it in the queue could have gone at once.
func TestARunThatMustBeAloneIsNotOvertaken(t *testing.T) {
	b := newBench(t)
	b.slots = 3
	g := b.gate()
	b.start()
	first := b.queueRun(scheduled(day(0), true))
	<-g.arrived
	alone := b.queueRun(scheduled(day(1), false))
	behind := b.queueRun(scheduled(day(2), true))
	other := b.otherJob("other") // proves that the engine has looked, and had a slot
	<-g.arrived
	for _, run := range []store.Run{alone, behind} {
		if run, err := b.store.Run(run.ID); err != nil || run.State != api.RunQueued || run.Reason != api.ReasonWaitingForTurn {
			t.Errorf("the run of %s is %s(%s) %v", run.Occurrence, run.State, run.Reason, err)
		}
	}
	g.open()
	b.wait(other.ID)
	first, alone, behind = b.wait(first.ID), b.wait(alone.ID), b.wait(behind.ID)
	if alone.StartedAt.Before(first.EndedAt) || behind.StartedAt.Before(alone.EndedAt) {
		t.Errorf("first ended %s, alone %s to %s, behind started %s", first.EndedAt, alone.StartedAt, alone.EndedAt, behind.StartedAt)
	}
}

func TestSlotsAreGivenByOriginAndThenByOccurrence(t *testing.T) {
	b := newBench(t)
	b.slots = 1
	b.open()
	var want []string
	queued := map[string]string{}
	for _, q := range []struct {
		name   string
		origin api.Origin
		at     time.Time
	}{ // last first
		{"5 backfill", api.OriginBackfill, day(-9)},
		{"4 manual", api.OriginManual, day(-8)},
		{"3 schedule", api.OriginSchedule, day(0)},
		{"2 catch_up, newer", api.OriginCatchUp, day(-1)},
		{"1 catch_up, older", api.OriginCatchUp, day(-2)},
	} {
		b.job.Name = "j" + q.name[:1]
		b.job.Output.Files.URI = b.output + "/" + b.job.Name + "/dt={date}/"
		run := b.queueRun(store.Run{Run: api.Run{Occurrence: q.at, Origin: q.origin}})
		queued[run.ID] = q.name
		want = append(want, q.name)
	}
	must(t, b.engine.Start(t.Context()))
	var runs []store.Run
	for id := range queued {
		runs = append(runs, b.wait(id))
	}
	slices.SortFunc(runs, func(one, other store.Run) int { return one.StartedAt.Compare(other.StartedAt) })
	var got []string
	for _, run := range runs {
		got = append(got, queued[run.ID])
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("started %q", got)
	}
}

func TestARetriedRunKeepsItsPlace(t *testing.T) {
	b := newBench(t)
	b.slots = 1
	must(t, os.Rename(b.input, b.input+".away"))
	b.start()
	failed := b.queueRun(store.Run{Run: api.Run{Occurrence: day(-1), Origin: api.OriginCatchUp}, Shared: true})
	if run := b.wait(failed.ID); run.Reason != api.ReasonInputMissing {
		t.Fatalf("run is %s(%s): %s", run.State, run.Reason, run.Message)
	}
	must(t, os.Rename(b.input+".away", b.input))
	g := b.gate()
	first := b.queue(day(0))
	<-g.arrived
	behind := b.queueRun(scheduled(day(1), false))
	_, err := b.engine.Retry(t.Context(), failed.ID, api.RetryRun{}, "test")
	must(t, err)
	g.open()
	b.wait(first.ID)
	behind, retried := b.wait(behind.ID), b.wait(failed.ID)
	if retried.State != api.RunSucceeded || !retried.Shared || !b.ranBefore(retried, behind) {
		t.Errorf("the retried run is %s, shared %v, ended %s; the one behind it started %s", retried.State, retried.Shared, retried.EndedAt, behind.StartedAt)
	}
}

// ranBefore tells that one had ended when the other first started.
func (b *bench) ranBefore(one, other store.Run) bool { return !other.StartedAt.Before(one.EndedAt) }

func TestAcceptRespectsWhoIsUnderWay(t *testing.T) {
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprintf("shared %v", shared), func(t *testing.T) {
			b := newBench(t)
			b.job.Parallelism = new(int64(1))
			repair := b.outage("41")
			b.start()
			withheld := b.wait(b.queueRun(scheduled(day(0), true)).ID)
			if !withheld.Withheld {
				t.Fatalf("run is %s: %s", withheld.State, withheld.Message)
			}
			repair()
			g := b.gate()
			b.queueRun(scheduled(day(1), shared))
			<-g.arrived
			_, err := b.engine.Accept(t.Context(), withheld.ID, "why not", "test")
			if shared && err != nil || !shared && api.CodeOf(err) != api.CodeConflict {
				t.Errorf("accept: %v", err)
			}
			if shared {
				b.until(withheld.ID, func(run store.Run) bool { return run.State == api.RunIncomplete })
			}
			g.open()
		})
	}
}

func TestASkippedRunIsNotRetried(t *testing.T) {
	b := newBench(t)
	b.open()
	run := b.queueRun(scheduled(day(0), false))
	must(t, b.store.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.MoveRun(run, store.RunChange{To: api.RunSkipped, Reason: api.ReasonReplaced, Actor: bySkip})
		return err
	}))
	_, err := b.engine.Retry(t.Context(), run.ID, api.RetryRun{}, "test")
	if refusal, ok := errors.AsType[*api.Error](err); !ok || refusal.Code != api.CodeConflict || !strings.Contains(refusal.Hint, "run iris --occurrence 2026-11-21T02:00:00Z") {
		t.Errorf("retry: %#v", err)
	}
	if _, err := b.engine.Cancel(t.Context(), run.ID, "test"); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("cancel: %v", err)
	}
}

func TestEndedHearsOfEveryEndOnce(t *testing.T) {
	b := newBench(t)
	b.job.Parallelism, b.job.MaxFailed = new(int64(1)), "0"
	b.start()
	check := func(what string, run store.Run, want ...string) {
		t.Helper()
		if err := b.endsHeard(run.ID); err != nil || !slices.Equal(b.ends[run.ID], want) {
			t.Errorf("%s: ended %v, want %v: %v", what, b.ends[run.ID], want, err)
		}
	}
	check("success", b.wait(b.queue(day(0)).ID), "succeeded")

	repair := b.outage("41")
	withheld := b.wait(b.queue(day(1)).ID)
	check("too many failed", withheld, "failed")
	_, err := b.engine.Accept(t.Context(), withheld.ID, "why not", "test")
	must(t, err)
	b.until(withheld.ID, func(run store.Run) bool { return run.State == api.RunIncomplete })
	check("accept", withheld, "failed", "incomplete")
	repair()
	_, err = b.engine.Retry(t.Context(), withheld.ID, api.RetryRun{}, "test")
	must(t, err)
	check("retry", b.until(withheld.ID, func(run store.Run) bool { return run.State == api.RunSucceeded }), "failed", "incomplete", "succeeded")

	g := b.gate()
	running := b.queue(day(2))
	<-g.arrived
	waiting := b.queue(day(3))
	for _, run := range []store.Run{waiting, running} {
		_, err := b.engine.Cancel(t.Context(), run.ID, "test")
		must(t, err)
	}
	g.open()
	b.eventually("the cancelled execution to end", func() bool { return b.engine.Executing() == 0 })
	check("cancel in the queue", waiting, "cancelled")
	check("cancel under way", running, "cancelled")

	must(t, os.Remove(b.input))
	check("failure", b.wait(b.queue(day(4)).ID), "failed")
}

// What the hook refuses does not happen.
func TestAnEndIsUndoneWithItsTransaction(t *testing.T) {
	b := newBench(t)
	b.open()
	refusal := errors.New("the trigger is out of order")
	b.engine.Ended = func(*store.Tx, store.Run) error { return refusal }
	run := b.queue(occurrence)
	if _, err := b.engine.Cancel(t.Context(), run.ID, "test"); !errors.Is(err, refusal) {
		t.Errorf("cancel: %v", err)
	}
	if run, err := b.store.Run(run.ID); err != nil || run.State != api.RunQueued {
		t.Errorf("run is %s %v", run.State, err)
	}
}

func TestACancelledRunSaysWhy(t *testing.T) {
	b := newBench(t)
	b.open()
	run := b.queue(occurrence)
	must(t, b.store.Write(t.Context(), func(tx *store.Tx) error { return b.engine.CancelIn(tx, run, api.ReasonOverlap, "schedule") }))
	run, err := b.store.Run(run.ID)
	must(t, err)
	if run.State != api.RunCancelled || run.Reason != api.ReasonOverlap {
		t.Errorf("run is %s(%s)", run.State, run.Reason)
	}
}

// However long the queue is, what filling the slots reads grows with the runs
// that end, and not with those that wait.
func TestALongQueueIsNotRead(t *testing.T) {
	const (
		queued = manyRecords / 5
		ended  = 100
	)
	for name, jobs := range map[string]int{"of one job": 1, "of many jobs": queued / 10} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.log = slog.New(slog.DiscardHandler)
			must(t, os.Remove(b.input)) // so that a run is over at once
			b.slots = 4
			b.open()
			reads := b.engine.CountReads()
			b.fill(queued, jobs)
			must(t, b.engine.Start(t.Context()))
			b.eventually("some runs to end", func() bool {
				b.mu.Lock()
				defer b.mu.Unlock()
				return len(b.ends) >= ended
			})
			b.stop()
			// A run's end is followed by a look, at most, that reads what is under
			// way, what has just started, and what may start.
			bound := int64(len(b.ends)+b.slots) * int64(3*b.slots)
			if rows := reads.Rows.Load(); rows > bound {
				t.Errorf("%d rows were read for %d runs, want at most %d", rows, len(b.ends), bound)
			}
			if looks := reads.Looks.Load(); jobs == 1 && looks > 5 {
				t.Errorf("%d looks at the whole queue, of which nothing but the head may start", looks)
			}
		})
	}
}

// fill queues runs of so many jobs.
func (b *bench) fill(runs, jobs int) {
	b.t.Helper()
	must(b.t, b.store.Write(b.t.Context(), func(tx *store.Tx) error {
		var job store.Job
		for n := range runs {
			if n < jobs {
				spec := b.job
				spec.Name = fmt.Sprintf("j%d", n)
				var err error
				if job, err = tx.InsertJob(store.Job{StoredJob: api.StoredJob{Spec: spec}, Cursor: tx.Now}); err != nil {
					return err
				}
			}
			at := occurrence.Add(time.Duration(n) * time.Second)
			if _, err := tx.InsertRun(store.Run{Run: api.Run{JobUID: job.UID, Job: job.Spec.Name, Generation: 1, Occurrence: at, Origin: api.OriginSchedule}}, "", "test"); err != nil {
				return err
			}
		}
		return nil
	}))
}

// otherJob queues a run of another job.
func (b *bench) otherJob(name string) store.Run {
	b.t.Helper()
	defer func(job api.Job) { b.job = job }(b.job)
	b.job.Name, b.job.Output.Files = name, &api.OutputFiles{URI: b.output + "/" + name + "/dt={date}/"}
	return b.queue(occurrence)
}
