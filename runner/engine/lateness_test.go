package engine_test

import (
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// A worker whose attempt has timed out may come back with a result: too late,
// even where the next attempt is still under way.
func TestALateWorkerIsFencedOff(t *testing.T) {
	dir := memoryDir(t)
	synctest.Test(t, func(t *testing.T) {
		b := bubbleBench(t, dir)
		b.job.MiniBatch.Timeout = "2s"
		b.server.Inject(predicttest.Fault{Record: "41", Hang: true, Times: 2})
		b.start()
		defer b.stop()
		run := b.queue(occurrence)

		late := b.attemptAt(run.ID, 3, 1)
		b.attemptAt(run.ID, 3, late.Fence+1)
		run = b.until(run.ID, func(run store.Run) bool { return run.State == api.RunRunning })
		err := b.store.Write(t.Context(), func(tx *store.Tx) error {
			return tx.Stage(run, late, store.Staged{Path: "1/000003.1", Records: late.Records, SHA256: "late"})
		})
		if !errors.Is(err, store.ErrFenced) {
			t.Errorf("the late worker's result: %v, want %v", err, store.ErrFenced)
		}
		b.server.Release()
		if run = b.wait(run.ID); run.State != api.RunSucceeded || len(b.published(b.folder(occurrence))) != 150 {
			t.Errorf("run is %s(%s): %s", run.State, run.Reason, run.Message)
		}
	})
}

// A server that is late three times with a record refuses nothing by that.
func TestATimeoutIsNoRecordsFault(t *testing.T) {
	dir := memoryDir(t)
	synctest.Test(t, func(t *testing.T) {
		b := bubbleBench(t, dir)
		b.job.Predict.RowsPerRequest = new(int64(1))
		b.server.Inject(predicttest.Fault{Record: "41", Delay: time.Minute, Times: 3})
		defer b.stop()
		if run := b.run(); run.State != api.RunSucceeded || run.Counts.Committed != 150 {
			t.Errorf("run is %s(%s), %+v: %s", run.State, run.Reason, run.Counts, run.Message)
		}
	})
}

// bubbleBench is a bench whose server is reached in memory, for a
// testing/synctest bubble.
func bubbleBench(t *testing.T, dir string) *bench {
	b := &bench{t: t, dir: dir, server: predicttest.New(predicttest.Options{}), fs: durabletest.NoSync(), log: slog.New(slog.DiscardHandler), slots: 1}
	b.input, b.output = filepath.Join(dir, "in", "iris.csv"), filepath.Join(dir, "out")
	b.url, b.reach = predicttest.MemoryURL, b.server.RoundTripper(t, 4)
	b.writeInput(records(150))
	b.job = b.baseJob()
	return b
}

// attemptAt waits until a mini-batch is claimed with a fence.
func (b *bench) attemptAt(run string, number, fence int64) (m store.MiniBatch) {
	b.t.Helper()
	b.eventually("the attempt", func() bool {
		batches, err := b.store.MiniBatches(run, number-1, 1)
		must(b.t, err)
		if len(batches) == 0 {
			return false
		}
		m = batches[0]
		return m.State == api.MiniBatchRunning && m.Fence == fence
	})
	return m
}
