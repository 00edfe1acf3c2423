package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
	"github.com/batchpattern/terraform-provider-batch/runner/object/objecttest"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// nights runs the job for so many nights, from the n-th on, one after another.
func (b *bench) nights(from, to int) []store.Run {
	b.t.Helper()
	var runs []store.Run
	for n := from; n <= to; n++ {
		runs = append(runs, b.wait(b.queue(night(n)).ID))
	}
	return runs
}

func night(n int) time.Time { return occurrence.AddDate(0, 0, n-1) }

// there are the nights, of so many, whose folders exist.
func (b *bench) there(of int) string {
	all := ""
	for n := 1; n <= of; n++ {
		if _, err := os.Stat(b.folder(night(n))); err == nil {
			all += string(rune('0' + n))
		}
	}
	return all
}

func (b *bench) retained(run store.Run) (all []string) {
	b.t.Helper()
	events, err := b.store.Events(run.ID)
	must(b.t, err)
	for _, e := range events {
		if e.Kind == "retention" {
			all = append(all, e.Detail)
		}
	}
	return all
}

func TestOnlyTheNewestOutputIsKept(t *testing.T) {
	b := newBench(t)
	b.job.Output.KeepRuns = new(int64(2))
	b.start()
	runs := b.nights(1, 4)
	b.eventually("two nights to go", func() bool { return b.there(4) == "34" })
	for _, run := range runs[:2] {
		run = b.until(run.ID, func(run store.Run) bool { return run.Output == "" && len(b.retained(run)) == 1 })
		if run.State != api.RunSucceeded || run.Revision != 1 || !strings.Contains(b.retained(run)[0], b.folder(run.Occurrence)) {
			t.Errorf("run is %s, revision %d, %v", run.State, run.Revision, b.retained(run))
		}
	}
	// An occurrence whose output is gone may be run again, as a later revision.
	again := b.wait(b.queue(night(1)).ID)
	if again.State != api.RunSucceeded || again.Revision != 2 {
		t.Errorf("run again it is %s, revision %d: %s", again.State, again.Revision, again.Message)
	}
}

func TestTheLastSuccessIsKeptHoweverOld(t *testing.T) {
	b := newBench(t)
	b.job.Output.KeepRuns = new(int64(1))
	b.start()
	b.nights(1, 1)
	lines := records(150)
	lines[7] = "ragged"
	b.writeInput(lines)
	runs := b.nights(2, 4)
	if runs[2].State != api.RunIncomplete {
		t.Fatalf("run is %s: %s", runs[2].State, runs[2].Message)
	}
	b.eventually("two nights to go", func() bool { return b.there(4) == "14" })
	b.until(runs[0].ID, func(run store.Run) bool { return run.Output == "" })
	_, err := b.engine.Retry(t.Context(), runs[0].ID, api.RetryRun{}, "test")
	if api.CodeOf(err) != api.CodeConflict || !strings.Contains(err.Error(), "removed") {
		t.Errorf("retry of a run whose output is gone: %v", err)
	}
}

func TestAForeignFileKeepsAFolderAndIsToldOnce(t *testing.T) {
	b := newBench(t)
	b.job.Output.KeepRuns = new(int64(1))
	b.start()
	runs := b.nights(1, 1)
	notes := filepath.Join(b.folder(night(1)), "notes.txt")
	must(t, os.WriteFile(notes, []byte("mine"), 0o644))
	b.nights(2, 4)
	b.eventually("two nights to go", func() bool { return b.there(4) == "14" })
	if told := b.retained(runs[0]); len(told) != 1 || !strings.Contains(told[0], "notes.txt") {
		t.Errorf("told is %q", told)
	}
	if run := b.until(runs[0].ID, func(store.Run) bool { return true }); run.Output == "" {
		t.Error("the folder is there, and is not the run's output any more")
	}
	must(t, os.Remove(notes))
	b.nights(5, 5)
	b.eventually("the first night to go", func() bool { return b.there(5) == "5" })
}

func TestARemovalThatFailsHalfwayIsFinishedLater(t *testing.T) {
	b := newBench(t)
	disk := &stuckFolder{FS: durable.OS(), folder: b.folder(night(1))}
	b.fs = disk
	b.job.Output.KeepRuns = new(int64(1))
	b.start()
	b.nights(1, 1)
	disk.stuck.Store(true)
	runs := b.nights(2, 2)
	b.eventually("the removal to fail", func() bool {
		removals, err := b.store.Removals()
		must(t, err)
		return len(removals) == 1
	})
	b.eventually("the folder not to look published", func() bool {
		_, err := os.Stat(filepath.Join(b.folder(night(1)), sink.SuccessName))
		return os.IsNotExist(err)
	})
	if b.there(2) != "12" {
		t.Fatalf("there are nights %s", b.there(2))
	}
	b.stop()
	disk.stuck.Store(false)
	b.start()
	b.eventually("the first night to go", func() bool { return b.there(2) == "2" })
	b.eventually("the removal to be forgotten", func() bool {
		removals, err := b.store.Removals()
		must(t, err)
		return len(removals) == 0
	})
	if run := b.until(runs[0].ID, func(store.Run) bool { return true }); run.Output != b.folder(night(2)) {
		t.Errorf("the newest output is %q", run.Output)
	}
}

// stuckFolder is a disk that removes nothing but _SUCCESS from a folder.
type stuckFolder struct {
	durable.FS
	folder string
	stuck  atomic.Bool
}

func (s *stuckFolder) Remove(path string) error {
	if s.stuck.Load() && filepath.Dir(path) == s.folder && filepath.Base(path) != sink.SuccessName {
		return syscall.EIO
	}
	return s.FS.Remove(path)
}

// Between its attempts a run stands in the queue, and may publish at any moment.
func TestAFolderThatARunIsAboutToReplaceStays(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.policy(api.PolicyComplete)
		b.job.Retry.Backoff = []api.Duration{"1h"}
		for n := range 3 {
			b.expect(b.day(n), "succeeded() 30/0/0/0")
		}
		b.server.Inject(predicttest.Fault{Record: "11", Times: 4, Status: 503})
		b.job.Output.KeepRuns = new(int64(1))
		again := b.queue(occurrence)
		time.Sleep(10 * time.Minute) // it waits for its second attempt
		if run, err := b.store.Run(again.ID); err != nil || run.State != api.RunQueued || run.Attempt != 2 {
			b.t.Fatalf("the run is %s in attempt %d: %v", run.State, run.Attempt, err)
		}
		if got := b.there(3); got != "13" {
			b.t.Errorf("the nights %s are left", got)
		}
		b.expect(b.rested(again.ID), "succeeded() 30/0/0/0")
	})
}

// hanging is a bucket that, once it is closed, says nothing any more.
type hanging struct {
	object.Bucket
	closed atomic.Bool
}

func (h *hanging) Stat(ctx context.Context, key string) (object.Info, error) {
	if h.closed.Load() {
		<-ctx.Done()
		return object.Info{}, ctx.Err()
	}
	return h.Bucket.Stat(ctx, key)
}

// What is to be removed from a store that hangs holds up nobody's runs for long.
func TestAStoreThatHangsDoesNotHoldUpRuns(t *testing.T) {
	inMemory(t, func(b *bench) {
		local := b.job.Output
		bucket := &hanging{Bucket: objecttest.NewMemory()}
		b.stores = object.StoresOf(map[string]object.Bucket{"s3://bucket": bucket})
		files := *local.Files
		files.URI, files.Layout = "s3://bucket/out", ""
		b.job.Output.Files = &files
		b.expect(b.day(0), "succeeded() 30/0/0/0")
		b.expect(b.day(1), "succeeded() 30/0/0/0")
		bucket.closed.Store(true)
		b.job.Output, b.job.Output.KeepRuns = local, new(int64(1))
		b.expect(b.day(2), "succeeded() 30/0/0/0")
		since := time.Now()
		b.expect(b.day(3), "succeeded() 30/0/0/0")
		if took := time.Since(since); took > time.Minute {
			b.t.Errorf("a run beside the removal took %s", took)
		}
	})
}

// shaky is a bucket that leaves one question unanswered.
type shaky struct {
	object.Bucket
	until atomic.Int64 // so many questions from now on; below zero: that has passed
}

func (s *shaky) Stat(ctx context.Context, key string) (object.Info, error) {
	if s.until.Add(-1) == 0 {
		return object.Info{}, syscall.ECONNRESET
	}
	return s.Bucket.Stat(ctx, key)
}

// A store that is away for a moment, whichever, is no reason to give up a run
// that has published something before.
func TestARetryOutlastsAStoreThatIsAway(t *testing.T) {
	inMemory(t, func(b *bench) {
		bucket := &shaky{Bucket: objecttest.NewMemory()}
		b.stores = object.StoresOf(map[string]object.Bucket{"s3://bucket": bucket})
		files := *b.job.Output.Files
		files.URI, files.Layout = "s3://bucket/out", ""
		b.job.Output.Files = &files
		for n := range 12 {
			repair := b.transient(17)
			run := b.day(n)
			b.expect(run, "incomplete() 25/0/0/5")
			repair()
			bucket.until.Store(int64(n + 1))
			b.expect(b.retry(run.ID), "succeeded() 30/0/0/0")
		}
	})
}
