package engine_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
)

// unpointed is a disk on which a folder can be published, and the pointer to it
// not be moved, until it is mended.
type unpointed struct {
	durable.FS
	mended atomic.Bool
}

func (u *unpointed) Rename(from, to string) error {
	if filepath.Base(to) == sink.LatestName && !u.mended.Load() {
		return syscall.EIO
	}
	return u.FS.Rename(from, to)
}

// What readers see was taken, whatever the run's rows say: its files are not for
// the next run.
func TestWhatIsVisibleThoughPublishingFailedIsNotTakenTwice(t *testing.T) {
	newFiles(t, func(b *bench) {
		disk := &unpointed{FS: durable.OS()}
		b.fs = disk
		b.file("a.csv", 1, 10)
		r0 := b.day(0)
		if r0.State != api.RunFailed || r0.Reason != api.ReasonPublish || r0.Counts.Staged != 10 {
			b.t.Fatalf("the run ended %s(%s) %+v: %s", r0.State, r0.Reason, r0.Counts, r0.Message)
		}
		b.expectIDs(0, numbers(1, 10)...)
		disk.mended.Store(true)
		b.file("b.csv", 11, 5)
		b.expect(b.day(1), "succeeded() 5/0/0/0")
		b.expectIDs(1, numbers(11, 15)...)
		r0, err := b.store.Run(r0.ID)
		must(b.t, err)
		b.expect(r0, "failed(publish) 10/0/0/0")
		b.expectKnown("a.csv b.csv")
		if r0.Output != b.folder(occurrence) {
			b.t.Errorf("the output is %q", r0.Output)
		}
		b.expect(b.retry(r0.ID), "succeeded() 10/0/0/0")
		b.expectIDs(0, numbers(1, 10)...)
	})
}

// The parts go once nobody is to publish them any more; what they hold is
// visible, and stays counted as that.
func TestWhatIsVisibleIsCommittedWhenItsStagingGoes(t *testing.T) {
	newFiles(t, func(b *bench) {
		disk := &unpointed{FS: durable.OS()}
		b.fs = disk
		b.file("a.csv", 1, 10)
		r0 := b.day(0)
		disk.mended.Store(true)
		time.Sleep(api.DefaultKeepWithheld.Value() + time.Hour)
		b.engine.Wake()
		synctest.Wait()
		r0, err := b.store.Run(r0.ID)
		must(b.t, err)
		b.expect(r0, "failed(publish) 10/0/0/0")
		if left, _ := filepath.Glob(filepath.Join(b.output, ".batch", "*")); len(left) > 0 {
			b.t.Errorf("staging is left: %v", left)
		}
	})
}

// unpublished is a disk on which no folder can take its place, until it is
// mended.
type unpublished struct {
	durable.FS
	broken atomic.Bool
}

func (u *unpublished) Exchange(a, b string) error {
	if u.broken.Load() {
		return syscall.EIO
	}
	return u.FS.Exchange(a, b)
}

// Dead rows whose new predictions could not be published are dead still: the
// next run leaves them out, and the retry predicts nothing twice.
func TestARedriveThatIsNotPublishedForgetsNoDeadRow(t *testing.T) {
	unpredicted(t, 10, func(b *bench, table items) {
		disk := &unpublished{FS: durable.OS()}
		b.fs = disk
		accept := b.refuse("3")
		r0 := b.day(0)
		b.expect(r0, "incomplete() 9/0/1/0")
		table.predicts(0)
		accept()
		disk.broken.Store(true)
		b.redrive(r0.ID)
		r0 = b.rested(r0.ID)
		if r0.State != api.RunFailed || r0.Reason != api.ReasonPublish {
			b.t.Fatalf("the redrive ended %s(%s): %s", r0.State, r0.Reason, r0.Message)
		}
		r1 := b.day(1)
		b.expect(r1, "succeeded() 0/0/0/0")
		if got := b.planned(r1); !strings.Contains(got, "1 row left out: dead letters of run "+r0.ID) {
			b.t.Errorf("planned %q", got)
		}
		disk.broken.Store(false)
		b.expect(b.retry(r0.ID), "succeeded() 10/0/0/0")
		if n := b.server.Predicted()["3"]; n != 1 {
			b.t.Errorf("row 3 was predicted %d times", n)
		}
	})
}

// The output of a withheld run is no more, and the job writes elsewhere by now.
func TestAnOutputThatIsNoMoreHoldsUpNoLaterRun(t *testing.T) {
	unpredicted(t, 10, func(b *bench, table items) {
		path := filepath.Join(b.dir, "out.db")
		db, err := sql.Open("sqlite", "file:"+path)
		must(t, err)
		_, err = db.Exec(`CREATE TABLE scores (id INTEGER PRIMARY KEY, prediction TEXT)`)
		must(t, err)
		must(t, db.Close())
		dsn := filepath.Join(b.dir, "other-dsn")
		must(t, os.WriteFile(dsn, []byte("sqlite://"+path+"\n"), 0o600))
		files := b.job.Output
		b.job.Output = api.Output{Keep: []string{}, Publish: api.PublishOnComplete, SQL: &api.OutputSQL{DSN: api.SecretRef{File: dsn}, Table: "scores", Write: api.WriteUpsert, JSONColumn: "prediction"}}
		b.job.MaxFailed = "1"
		accept := b.refuse("6", "7", "8", "9")
		if run := b.day(0); run.Reason != api.ReasonMaxFailed || run.Counts.Staged != 6 {
			t.Fatalf("it ended %s(%s): %+v", run.State, run.Reason, run.Counts)
		}
		accept()
		must(t, os.Remove(dsn))
		b.job.Output = files
		if run := b.day(1); run.State != api.RunSucceeded || run.Counts.Committed == 0 {
			t.Errorf("the next ended %s(%s): %s", run.State, run.Reason, run.Message)
		}
	})
}

// Whether a folder still shows what a run has published can't be told once
// somebody has put something into it: that is said, until the run's staging goes.
func TestWhatCannotBeSettledIsSaidAndGivenUpWithTheStaging(t *testing.T) {
	newFiles(t, func(b *bench) {
		disk := &unpointed{FS: durable.OS()}
		b.fs = disk
		b.file("a.csv", 1, 10)
		first := b.day(0)
		b.expect(first, "failed(publish) 0/0/0/10")
		disk.mended.Store(true)
		must(t, os.WriteFile(filepath.Join(b.folder(occurrence), "note.txt"), []byte("mine"), 0o644))
		b.file("b.csv", 11, 5)
		second := b.day(1)
		b.expect(second, "failed(output_taken) 0/0/0/0")
		if !strings.Contains(second.Message, first.ID) {
			t.Errorf("it does not say whose output is meant: %s", second.Message)
		}
		time.Sleep(api.DefaultKeepWithheld.Value() + time.Minute)
		b.engine.Wake()
		synctest.Wait()
		b.expect(b.day(2), "succeeded() 15/0/0/0")
	})
}

// A mini-batch whose records are all dead letters has nothing in the table.
func TestAWithheldMiniBatchOfDeadLettersHoldsUpNoLaterRun(t *testing.T) {
	for _, publish := range []string{api.PublishProgressive, api.PublishOnComplete} {
		t.Run(publish, func(t *testing.T) {
			unpredicted(t, 10, func(b *bench, table items) {
				table.fills()
				b.job.Output.Publish = publish
				b.job.MaxFailed = "3"
				accept := b.refuse("6", "7", "8", "9", "10")
				b.expect(b.day(0), map[string]string{api.PublishProgressive: "failed(max_failed) 5/0/5/0", api.PublishOnComplete: "failed(max_failed) 0/0/5/5"}[publish])
				accept()
				b.expect(b.day(1), map[string]string{api.PublishProgressive: "succeeded() 0/0/0/0", api.PublishOnComplete: "succeeded() 10/0/0/0"}[publish])
			})
		})
	}
}
