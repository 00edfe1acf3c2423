package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

func TestRetryContinuesAWithheldRunAndPredictsNothingTwice(t *testing.T) {
	b := newBench(t)
	b.job.Parallelism = new(int64(1)) // so that mini-batches 1 and 2 are staged before 3 fails
	repair := b.outage("41")
	run := b.run()
	if !run.Withheld || run.Counts.Staged != 40 || run.Counts.GivenUp != 20 {
		t.Fatalf("run is %s, withheld %v, %+v", run.State, run.Withheld, run.Counts)
	}
	repair()
	if _, err := b.engine.Retry(t.Context(), run.ID, api.RetryRun{}, "test"); err != nil {
		t.Fatal(err)
	}
	run = b.wait(run.ID)
	if run.State != api.RunSucceeded || run.Attempt != 2 || run.Counts.Committed != 150 {
		t.Fatalf("retry ended %s, run attempt %d, %+v: %s", run.State, run.Attempt, run.Counts, run.Message)
	}
	b.eachPredictedOnce()
}

func TestRetryOfAnIncompleteRunPublishesARevision(t *testing.T) {
	b := newBench(t)
	b.job.MaxFailed = "50%"
	repair := b.outage("41")
	run := b.run()
	if run.State != api.RunIncomplete || run.Counts.Committed != 130 || run.Counts.GivenUp != 20 || run.Revision != 1 {
		t.Fatalf("run ended %s %+v revision %d: %s", run.State, run.Counts, run.Revision, run.Message)
	}
	if rows := b.published(b.folder(occurrence)); len(rows) != 130 {
		t.Fatalf("%d records published, want 130", len(rows))
	}
	repair()
	if _, err := b.engine.Retry(t.Context(), run.ID, api.RetryRun{}, "test"); err != nil {
		t.Fatal(err)
	}
	run = b.wait(run.ID)
	if run.State != api.RunSucceeded || run.Revision != 2 || len(b.published(b.folder(occurrence))) != 150 {
		t.Fatalf("retry ended %s %+v revision %d: %s", run.State, run.Counts, run.Revision, run.Message)
	}
	if m := b.manifest(b.folder(occurrence)); m.Revision != 2 || len(m.Parts) != 8 {
		t.Errorf("manifest is %+v", m)
	}
	b.eachPredictedOnce()
	_, err := b.engine.Retry(t.Context(), run.ID, api.RetryRun{}, "test")
	if api.CodeOf(err) != api.CodeConflict {
		t.Errorf("retry of a succeeded run: %v", err)
	}
}

func TestAcceptPublishesWhatIsStaged(t *testing.T) {
	b := newBench(t)
	b.job.Parallelism = new(int64(1))
	b.outage("41")
	run := b.run()
	if _, err := b.engine.Accept(t.Context(), run.ID, "", "test"); api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("accept without a reason: %v", err)
	}
	if _, err := b.engine.Accept(t.Context(), run.ID, "the rest can wait", "test"); err != nil {
		t.Fatal(err)
	}
	run = b.until(run.ID, func(run store.Run) bool { return run.State == api.RunIncomplete })
	if run.Reason != api.ReasonAccepted || run.Counts.Committed != 40 || run.Counts.Unfinished != 110 || !strings.Contains(run.Message, "the rest can wait") {
		t.Fatalf("run is %s(%s) %+v: %s", run.State, run.Reason, run.Counts, run.Message)
	}
	if rows := b.published(b.folder(occurrence)); len(rows) != 40 {
		t.Errorf("%d records published, want 40", len(rows))
	}
}

// A run that has just ended is still written by the runner: what that moves
// while an accept reads is read again, and is nobody's conflict.
func TestAcceptReadsAgainWhatMovesUnderIt(t *testing.T) {
	b := newBench(t)
	b.job.Parallelism = new(int64(1))
	b.outage("41")
	run := b.run()
	moves := 0
	ctx := asked{t.Context(), func() {
		if moves++; moves > 3 {
			return
		}
		must(t, b.store.Write(t.Context(), func(tx *store.Tx) error {
			now, err := tx.Run(run.ID)
			if err != nil {
				return err
			}
			_, err = tx.Settling(now)
			return err
		}))
	}}
	if _, err := b.engine.Accept(ctx, run.ID, "the rest can wait", "test"); err != nil || moves < 4 {
		t.Fatalf("accepted after %d moves: %v", moves, err)
	}
	if run = b.until(run.ID, func(run store.Run) bool { return run.State == api.RunIncomplete }); run.Counts.Committed != 40 {
		t.Errorf("%d records committed, want 40", run.Counts.Committed)
	}
}

// asked is a context that tells when somebody is about to wait under it.
type asked struct {
	context.Context
	tell func()
}

func (a asked) Done() <-chan struct{} {
	a.tell()
	return a.Context.Done()
}

func TestCancelStopsARunAndPublishesNothing(t *testing.T) {
	b := newBench(t)
	b.server.Inject(predicttest.Fault{Record: "41", Hang: true})
	b.start()
	run := b.queue(occurrence)
	b.until(run.ID, func(run store.Run) bool { return run.Counts.Staged > 0 })
	if _, err := b.engine.Cancel(t.Context(), run.ID, "test"); err != nil {
		t.Fatal(err)
	}
	run = b.wait(run.ID)
	if run.State != api.RunCancelled || run.Counts.Committed != 0 || run.Counts.Unfinished != 150 {
		t.Fatalf("run is %s %+v", run.State, run.Counts)
	}
	b.stop()
	if _, err := os.Stat(b.folder(occurrence)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a cancelled run left %s: %v", b.folder(occurrence), err)
	}
	if left, _ := filepath.Glob(filepath.Join(b.output, ".batch", "*")); len(left) > 0 {
		t.Errorf("staging is left behind: %v", left)
	}
}

func TestStopReleasesWhatDoesNotFinishAndTheNextStartGoesOn(t *testing.T) {
	b := newBench(t)
	b.job.Parallelism = new(int64(1))
	hangs := make(chan struct{})
	b.server.Inject(predicttest.Fault{Record: "41", Times: 1, Do: func() { close(hangs) }, Hang: true})
	b.start()
	run := b.queue(occurrence)
	<-hangs
	b.stopWithin(0) // the hanging request never finishes: it is released
	b.start()
	run = b.wait(run.ID)
	if run.State != api.RunSucceeded || run.Counts.Committed != 150 || run.Attempt != 1 {
		t.Fatalf("run is %s, run attempt %d, %+v: %s", run.State, run.Attempt, run.Counts, run.Message)
	}
	b.eachPredictedOnce()
}

func TestStopLetsRequestsInFlightFinish(t *testing.T) {
	b := newBench(t)
	b.job.Parallelism = new(int64(1))
	started := make(chan struct{})
	b.server.Inject(predicttest.Fault{Record: "41", Times: 1, Do: func() {
		close(started)
		<-b.engine.Draining() // answers only once Stop has begun
	}})
	b.start()
	run := b.queue(occurrence)
	<-started
	b.stop()
	b.start()
	if b.server.Predicted()["41"] != 1 {
		t.Error("the request in flight was not let finish")
	}
	if now := b.wait(run.ID); now.State != api.RunSucceeded {
		t.Fatalf("run is %s: %s", now.State, now.Message)
	}
	b.eachPredictedOnce()
}

func TestAFullDiskWhileStagingIsWaitedOut(t *testing.T) {
	b := newBench(t)
	disk := durabletest.New(durable.OS())
	b.fs = disk
	b.job.Parallelism = new(int64(1))
	b.server.Inject(predicttest.Fault{Record: "41", Times: 1, Do: func() { disk.SetSpace(100) }})
	b.start()
	run := b.queue(occurrence)
	b.until(run.ID, func(run store.Run) bool {
		errors, err := b.store.TopErrors(run.ID, 1)
		must(t, err)
		return len(errors) > 0 && errors[0].Class == api.ClassStorage && run.State == api.RunRunning
	})
	disk.SetSpace(-1)
	run = b.wait(run.ID)
	if run.State != api.RunSucceeded || run.Counts.Committed != 150 {
		t.Fatalf("run is %s %+v: %s", run.State, run.Counts, run.Message)
	}
	predicted := b.server.Predicted()
	for i := 1; i <= 40; i++ { // staged before the disk was full
		if n := predicted[fmt.Sprint(i)]; n != 1 {
			t.Errorf("record %d was predicted %d times", i, n)
		}
	}
}

func TestOneRunOfAJobAtATimeAndSlotsAreBounded(t *testing.T) {
	b := newBench(t)
	release := make(chan struct{})
	b.server.Inject(predicttest.Fault{Record: "1", Times: 1, Do: func() { <-release }})
	b.start()
	first := b.queue(occurrence)
	b.until(first.ID, func(run store.Run) bool { return run.State == api.RunRunning })
	second := b.queue(occurrence.Add(24 * time.Hour))
	b.until(second.ID, func(run store.Run) bool { return run.Reason == api.ReasonWaitingForTurn })
	close(release)
	if run := b.wait(first.ID); run.State != api.RunSucceeded {
		t.Fatalf("first run is %s: %s", run.State, run.Message)
	}
	if run := b.wait(second.ID); run.State != api.RunSucceeded || run.StartedAt.Before(b.wait(first.ID).EndedAt) {
		t.Fatalf("second run is %s: %s", run.State, run.Message)
	}
}

func TestAnEmptyInputSucceedsOrIsSkippedWhereTheJobSaysSo(t *testing.T) {
	for _, onEmpty := range []string{api.OnEmptySucceed, api.OnEmptySkip} {
		t.Run(onEmpty, func(t *testing.T) {
			b := newBench(t)
			b.writeInput(records(0))
			b.job.Input.OnEmpty = onEmpty
			run := b.run()
			if run.State != api.RunSucceeded || run.Launches != 0 || run.Counts != (api.Counts{}) {
				t.Fatalf("run is %s %+v: %s", run.State, run.Counts, run.Message)
			}
			_, err := os.Stat(filepath.Join(b.folder(occurrence), sink.SuccessName))
			if published := err == nil; published != (onEmpty == api.OnEmptySucceed) {
				t.Errorf("published: %v", published)
			}
			if len(b.server.Predicted()) > 0 {
				t.Error("an empty run sent requests")
			}
		})
	}
}

func TestAnEmptyInputPublishesTheHeaderOfOneFile(t *testing.T) {
	b := newBench(t)
	b.writeInput(records(0))
	b.job.Input.OnEmpty, b.job.Output.Files.Layout, b.job.Output.Files.Format = api.OnEmptySucceed, api.LayoutSingle, api.FormatCSV
	b.job.Predict.Outputs = map[string]string{"score": "predict"}
	if run := b.run(); run.State != api.RunSucceeded {
		t.Fatalf("run is %s: %s", run.State, run.Message)
	}
	content, err := os.ReadFile(filepath.Join(b.folder(occurrence), "output.csv"))
	if want := "id,score\n"; err != nil || string(content) != want {
		t.Errorf("output.csv is %q, %v; want %q", content, err, want)
	}
}

func (b *bench) stopWithin(d time.Duration) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	must(b.t, b.engine.Stop(ctx))
	must(b.t, b.store.Close())
	b.stopped = true
}

func (b *bench) eachPredictedOnce() {
	b.t.Helper()
	predicted := b.server.Predicted()
	if len(predicted) != 150 {
		b.t.Errorf("%d records were predicted, want 150", len(predicted))
	}
	for record, n := range predicted {
		if n != 1 {
			b.t.Errorf("record %s was predicted %d times", record, n)
		}
	}
}
