package engine_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/sink/sinktest"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// progressive has the job publish mini-batches one by one, in order.
func progressive(b *bench) {
	b.job.Output.Publish, b.job.Parallelism = api.PublishProgressive, new(int64(1))
}

// halt lets nothing after a record be predicted until release is called; it
// gives a channel that is closed once the record has arrived.
func (b *bench) halt(record string) (arrived <-chan struct{}, release func()) {
	here, going := make(chan struct{}), make(chan struct{})
	b.server.Inject(predicttest.Fault{Record: record, Times: 1, Do: func() { close(here); <-going }})
	return here, func() { close(going) }
}

func (b *bench) has(name string) bool {
	b.t.Helper()
	_, err := os.Stat(filepath.Join(b.folder(occurrence), name))
	return err == nil
}

func TestMiniBatchesBecomeVisibleOneByOne(t *testing.T) {
	b := newBench(t)
	progressive(b)
	b.start()
	arrived, release := b.halt("81")
	run := b.queue(occurrence)
	<-arrived
	run = b.until(run.ID, func(run store.Run) bool { return run.Counts.Committed == 80 })
	if run.State != api.RunRunning || run.Counts.Staged != 0 || run.Counts.Unfinished != 70 {
		t.Errorf("under way the run is %s %+v", run.State, run.Counts)
	}
	if rows := b.published(b.folder(occurrence)); len(rows) != 80 {
		t.Errorf("%d records are visible, want 80", len(rows))
	}
	if m := b.manifest(b.folder(occurrence)); m.State != api.RunRunning || m.Run != run.ID || b.has(sink.SuccessName) {
		t.Errorf("under way the folder says %s of run %s, _SUCCESS %v", m.State, m.Run, b.has(sink.SuccessName))
	}
	if _, err := os.Stat(filepath.Join(b.output, sink.LatestName)); err == nil {
		t.Error("the pointer names a run under way")
	}
	release()
	run = b.wait(run.ID)
	if run.State != api.RunSucceeded || run.Revision != 1 || run.Output != b.folder(occurrence) {
		t.Fatalf("run is %s, revision %d in %s: %s", run.State, run.Revision, run.Output, run.Message)
	}
	if m, err := sinktest.Check(os.DirFS(b.folder(occurrence))); err != nil || m.Counts != run.Counts || m.State != api.RunSucceeded {
		t.Errorf("published is %+v: %v", m, err)
	}
	b.eachPredictedOnce()
}

func TestAProgressiveRunGoesOnAfterARestart(t *testing.T) {
	b := newBench(t)
	progressive(b)
	b.start()
	arrived, release := b.halt("81")
	run := b.queue(occurrence)
	<-arrived
	b.until(run.ID, func(run store.Run) bool { return run.Counts.Committed == 80 })
	go release()
	b.stop()
	b.start()
	run = b.wait(run.ID)
	if m, err := sinktest.Check(os.DirFS(b.folder(occurrence))); err != nil || run.State != api.RunSucceeded || m.Counts.Committed != 150 {
		t.Fatalf("run is %s, published %+v: %v", run.State, m, err)
	}
}

func TestAProgressiveRunAboveMaxFailedLeavesWhatIsVisible(t *testing.T) {
	for name, goOn := range map[string]func(b *bench, run string) error{
		"accept": func(b *bench, run string) error {
			_, err := b.engine.Accept(b.t.Context(), run, "good enough", "test")
			return err
		},
		"retry": func(b *bench, run string) error {
			b.job.MaxFailed = "100%"
			b.put()
			_, err := b.engine.Retry(b.t.Context(), run, api.RetryRun{}, "test")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			progressive(b)
			lines := records(150)
			for i := 121; i < 125; i++ {
				lines[i] = "ragged"
			}
			b.writeInput(lines)
			run := b.run()
			if run.State != api.RunFailed || run.Reason != api.ReasonMaxFailed || !run.Withheld {
				t.Fatalf("run is %s(%s), withheld %v: %s", run.State, run.Reason, run.Withheld, run.Message)
			}
			run = b.until(run.ID, func(run store.Run) bool { return run.Output != "" })
			m := b.manifest(b.folder(occurrence))
			if m.State != api.RunFailed || m.Reason != api.ReasonMaxFailed || m.Counts != run.Counts || b.has(sink.SuccessName) {
				t.Errorf("the folder says %s(%s) %+v of a run with %+v", m.State, m.Reason, m.Counts, run.Counts)
			}
			if rows := b.published(b.folder(occurrence)); int64(len(rows)) != run.Counts.Committed || len(rows) < 120 {
				t.Errorf("%d records are visible of %+v", len(rows), run.Counts)
			}
			must(t, goOn(b, run.ID))
			run = b.until(run.ID, func(run store.Run) bool { return run.State == api.RunIncomplete })
			m, err := sinktest.Check(os.DirFS(b.folder(occurrence)))
			if err != nil || m.State != api.RunIncomplete || m.Counts != run.Counts || run.Revision != 1 {
				t.Errorf("published is %+v, revision %d: %v", m, run.Revision, err)
			}
		})
	}
}

func TestACancelledProgressiveRunSaysSoAndCanGoOn(t *testing.T) {
	b := newBench(t)
	progressive(b)
	b.start()
	arrived, release := b.halt("81")
	run := b.queue(occurrence)
	<-arrived
	b.until(run.ID, func(run store.Run) bool { return run.Counts.Committed == 80 })
	_, err := b.engine.Cancel(t.Context(), run.ID, "test")
	must(t, err)
	release()
	b.eventually("the folder to say so", func() bool { return b.manifest(b.folder(occurrence)).State == api.RunCancelled })
	if m := b.manifest(b.folder(occurrence)); len(m.Parts) != 4 || m.Counts.Committed != 80 {
		t.Errorf("the manifest says %+v", m)
	}
	b.eventually("the execution to end", func() bool { return b.engine.Executing() == 0 })
	_, err = b.engine.Retry(t.Context(), run.ID, api.RetryRun{}, "test")
	must(t, err)
	run = b.until(run.ID, func(run store.Run) bool { return run.State == api.RunSucceeded })
	if m, err := sinktest.Check(os.DirFS(b.folder(occurrence))); err != nil || m.Counts.Committed != 150 || run.Revision != 1 {
		t.Errorf("published is %+v, revision %d: %v", m, run.Revision, err)
	}
}

// What is published whole is replaced whole, whatever the job says.
func TestAnotherRunOfAProgressiveOccurrenceIsARevision(t *testing.T) {
	b := newBench(t)
	progressive(b)
	b.run()
	arrived, release := b.halt("81")
	run := b.queue(occurrence)
	<-arrived
	b.until(run.ID, func(run store.Run) bool { return run.Counts.Staged == 80 })
	if m, err := sinktest.Check(os.DirFS(b.folder(occurrence))); err != nil || m.Revision != 1 {
		t.Errorf("under way readers see revision %d: %v", m.Revision, err)
	}
	release()
	if run = b.wait(run.ID); run.State != api.RunSucceeded || run.Revision != 2 {
		t.Fatalf("run is %s, revision %d: %s", run.State, run.Revision, run.Message)
	}
	if m, err := sinktest.Check(os.DirFS(b.folder(occurrence))); err != nil || m.Run != run.ID {
		t.Errorf("published is %+v: %v", m, err)
	}
}

func TestAProgressiveRunWhoseFolderIsGoneIsNotGoneOnWith(t *testing.T) {
	b := newBench(t)
	progressive(b)
	b.job.MaxFailed = "0"
	b.writeInput(slices.Concat(records(150)[:121], []string{"ragged"}))
	run := b.run()
	b.until(run.ID, func(run store.Run) bool { return run.Output != "" })
	must(t, os.RemoveAll(b.folder(occurrence)))
	b.job.MaxFailed = "100%"
	b.put()
	_, err := b.engine.Retry(t.Context(), run.ID, api.RetryRun{}, "test")
	must(t, err)
	run = b.until(run.ID, func(run store.Run) bool { return run.State.Ended() && run.Attempt == 2 })
	if run.State != api.RunFailed || run.Reason != api.ReasonPublish || !strings.Contains(run.Message, "run the occurrence again") {
		t.Errorf("run is %s(%s), and 120 records are gone: %s", run.State, run.Reason, run.Message)
	}
}

func TestPurgingAJobRemovesWhatItsRunsHaveStaged(t *testing.T) {
	b := newBench(t)
	b.job.Parallelism = new(int64(1))
	lines := records(150)
	for i := 141; i < 145; i++ {
		lines[i] = "ragged"
	}
	b.writeInput(lines)
	run := b.run()
	staging := filepath.Join(b.output, ".batch", run.ID)
	if _, err := os.Stat(staging); err != nil || !run.Withheld {
		t.Fatalf("run is %s, withheld %v: %v", run.State, run.Withheld, err)
	}
	logs := b.engine.RunDir(run.ID)
	must(t, os.MkdirAll(logs, 0o755))
	must(t, b.store.Write(t.Context(), func(tx *store.Tx) error { return tx.PurgeJob(run.JobUID) }))
	b.stop()
	b.start()
	for _, dir := range []string{staging, logs} {
		b.eventually(dir+" to go", func() bool { _, err := os.Stat(dir); return os.IsNotExist(err) })
	}
}
