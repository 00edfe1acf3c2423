package engine_test

import (
	"context"
	"database/sql"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// What is found wrong with the input counts, not that requests under way are
// given up because of it.
func TestAFaultOfTheInputIsToldThoughRequestsAreInFlight(t *testing.T) {
	b := newBench(t)
	b.job.Parallelism, b.job.Predict.RowsPerRequest = new(int64(2)), new(int64(5))
	b.job.MiniBatch.Rows = new(int64(150))
	before, err := os.Stat(b.input)
	must(t, err)
	text, err := os.ReadFile(b.input)
	must(t, err)
	merged := strings.Replace(string(text), "\n150,", ",,,,,", 1) // one record less in as many bytes
	b.server.Inject(predicttest.Fault{Purpose: "warm-up", Do: func() {
		must(t, os.WriteFile(b.input, []byte(merged), 0o644))
		must(t, os.Chtimes(b.input, time.Time{}, before.ModTime())) // nor does the clock tell
	}})
	b.server.Inject(predicttest.Fault{Record: "141", Hang: true})
	run := b.run()
	if run.State != api.RunFailed || run.Reason != api.Reason(api.ClassInputChanged) || !strings.Contains(run.Message, "149 records now, 150 were planned") {
		t.Fatalf("run is %s(%s): %s", run.State, run.Reason, run.Message)
	}
}

// With checksums no change of the input goes unseen, whatever the file system
// says of it: not within a run, and not by a later one that takes what is owed.
func TestChecksumsShowAnInputThatWasRewrittenInPlace(t *testing.T) {
	newFiles(t, func(b *bench) {
		b.job.Input.Files.Verify = api.VerifyChecksum
		path := b.file("a.csv", 1, 10)
		before, err := os.Stat(path)
		must(t, err)
		text, err := os.ReadFile(path)
		must(t, err)
		repair := b.transient(6)
		run := b.day(0)
		b.expect(run, "incomplete() 5/5/0/0")
		repair()
		must(t, os.WriteFile(path, []byte(strings.Replace(string(text), "\n7,", "\n9,", 1)), 0o644))
		must(t, os.Chtimes(path, time.Time{}, before.ModTime()))
		run = b.retry(run.ID)
		if run.Reason != api.Reason(api.ClassInputChanged) || !strings.Contains(run.Message, "the checksum differs") {
			t.Errorf("the retry is %s(%s): %s", run.State, run.Reason, run.Message)
		}
		b.expect(b.day(1), "failed(max_failed) 0/0/5/0")
	})
}

func TestARetryWritesWhereItsPlanSaysThoughTheTimeZoneWasEdited(t *testing.T) {
	b := newBench(t)
	b.job.Schedule = &api.Schedule{Cron: "0 2 * * *", TimeZone: "UTC"}
	b.job.MaxFailed = "50%"
	repair := b.outage("41")
	run := b.run()
	if run.State != api.RunIncomplete {
		t.Fatalf("run is %s: %s", run.State, run.Message)
	}
	repair()
	b.job.Schedule.TimeZone = "America/New_York" // where it still is the day before
	b.put()
	_, err := b.engine.Retry(t.Context(), run.ID, api.RetryRun{}, "test")
	must(t, err)
	run = b.wait(run.ID)
	if run.State != api.RunSucceeded || run.Output != b.folder(occurrence) || run.Revision != 2 {
		t.Fatalf("run is %s, revision %d in %s: %s", run.State, run.Revision, run.Output, run.Message)
	}
	b.eachPredictedOnce()
}

func TestAFullDiskBeforePredictingIsWaitedOut(t *testing.T) {
	b := newBench(t)
	disk := durabletest.New(durable.OS())
	disk.SetSpace(0)
	b.fs = disk
	b.start()
	run := b.queue(occurrence)
	b.until(run.ID, func(run store.Run) bool {
		if run.State.Ended() {
			t.Fatalf("run is %s(%s): %s", run.State, run.Reason, run.Message)
		}
		return strings.Contains(b.history(run), "no space left on device")
	})
	disk.SetSpace(-1)
	if run = b.wait(run.ID); run.State != api.RunSucceeded {
		t.Fatalf("run is %s: %s", run.State, run.Message)
	}
	b.eachPredictedOnce()
}

func TestAReadOnlyOutputFailsTheRunAtOnce(t *testing.T) {
	b := newBench(t)
	disk := durabletest.New(durable.OS())
	disk.Fail(durabletest.MkdirAll, syscall.EROFS)
	b.fs = disk
	run := b.run()
	if run.State != api.RunFailed || run.Reason != api.ReasonOutputUnwritable {
		t.Fatalf("run is %s(%s): %s", run.State, run.Reason, run.Message)
	}
}

func TestStopDoesNotWaitForAServerThatIsNotReady(t *testing.T) {
	b := newBench(t)
	b.server.SetReady(false)
	b.start()
	run := b.queue(occurrence)
	must(t, b.server.WaitProbes(t.Context(), 1))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	must(t, b.engine.Stop(ctx))
	if ctx.Err() != nil {
		t.Error("Stop used up its time")
	}
	if now, err := b.store.Run(run.ID); err != nil || now.State != api.RunQueued {
		t.Errorf("run is %s: %v", now.State, err)
	}
}

// A run's committed parts go with the folder that another run replaces, so it
// can't be completed any more.
func TestARunWhoseOutputWasReplacedIsLeftAlone(t *testing.T) {
	b := newBench(t)
	b.job.MaxFailed, b.job.Parallelism = "50%", new(int64(1))
	repair := b.outage("41")
	old := b.run()
	release, blocked := make(chan struct{}), make(chan struct{})
	repair()
	unblock := b.server.Inject(predicttest.Fault{Record: "1", Times: 1, Do: func() { close(blocked); <-release }})
	newer := b.queue(occurrence)
	<-blocked
	_, err := b.engine.Retry(t.Context(), old.ID, api.RetryRun{}, "test") // has its turn after the newer run
	must(t, err)
	unblock()
	close(release)
	if newer = b.wait(newer.ID); newer.State != api.RunSucceeded || newer.Revision != 2 {
		t.Fatalf("the newer run is %s, revision %d: %s", newer.State, newer.Revision, newer.Message)
	}
	old = b.until(old.ID, func(run store.Run) bool { return run.State.Ended() && run.Attempt == 2 })
	if old.State != api.RunFailed || old.Reason != api.ReasonPublish || !strings.Contains(old.Message, newer.ID) {
		t.Errorf("the older run is %s(%s): %s", old.State, old.Reason, old.Message)
	}
	if m := b.manifest(b.folder(occurrence)); m.Run != newer.ID || m.Counts.Committed != 150 {
		t.Errorf("published is %+v", m)
	}
}

func TestAcceptDoesNotReplaceANewerOutput(t *testing.T) {
	b := newBench(t)
	b.job.Parallelism = new(int64(1))
	repair := b.outage("41")
	withheld := b.run()
	repair()
	if newer := b.run(); newer.State != api.RunSucceeded {
		t.Fatalf("the newer run is %s: %s", newer.State, newer.Message)
	}
	if _, err := b.engine.Accept(t.Context(), withheld.ID, "40 are better than none", "test"); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("accept: %v", err)
	}
	if rows := b.published(b.folder(occurrence)); len(rows) != 150 {
		t.Errorf("%d records are published, want 150", len(rows))
	}
}

func TestAcceptSaysWhoseTheOutputIs(t *testing.T) {
	b := newBench(t)
	b.job.Parallelism = new(int64(1))
	b.outage("41")
	run := b.run()
	must(t, os.MkdirAll(b.folder(occurrence), 0o755))
	must(t, os.WriteFile(filepath.Join(b.folder(occurrence), "report.txt"), nil, 0o644))
	_, err := b.engine.Accept(t.Context(), run.ID, "good enough", "test")
	if api.CodeOf(err) != api.CodeConflict || !strings.Contains(err.Error(), "report.txt") {
		t.Errorf("accept: %v", err)
	}
}

func TestPublishingEndsWhenTryingAgainCannotHelp(t *testing.T) {
	b := newBench(t)
	disk := durabletest.New(durable.OS())
	disk.Fail(durabletest.Link, syscall.EIO)
	b.fs = disk
	b.start()
	run := b.queue(occurrence)
	run = b.until(run.ID, func(store.Run) bool { // its first try has failed
		return slices.ContainsFunc(disk.Steps(), func(s durabletest.Step) bool { return s.Op == durabletest.Link && s.Err != nil })
	})
	must(t, os.MkdirAll(b.folder(occurrence), 0o755))
	must(t, os.WriteFile(filepath.Join(b.folder(occurrence), sink.ManifestName), []byte(`{"format":1,"job":"iris","uid":"`+run.JobUID+`","revision":7,"run":"other"}`), 0o644))
	disk.Fail(durabletest.Link, nil)
	run = b.wait(run.ID)
	if run.State != api.RunFailed || run.Reason != api.ReasonPublish || run.Counts.Staged != 150 {
		t.Fatalf("run is %s(%s) %+v: %s", run.State, run.Reason, run.Counts, run.Message)
	}
	if _, err := b.engine.Retry(t.Context(), run.ID, api.RetryRun{}, "test"); err != nil {
		t.Fatal(err)
	}
	if run = b.wait(run.ID); run.State != api.RunSucceeded || run.Revision != 8 {
		t.Fatalf("the retry is %s, revision %d: %s", run.State, run.Revision, run.Message)
	}
	b.eachPredictedOnce()
}

// Records that turn out to be bad only in the retry are published too, though
// no prediction joins what is there.
func TestDeadLettersOfARetryArePublished(t *testing.T) {
	b := newBench(t)
	b.job.Parallelism, b.job.MaxFailed = new(int64(1)), "0"
	lines := records(60)
	for i := 41; i <= 60; i++ {
		lines[i] = "ragged"
	}
	b.writeInput(lines)
	b.outage("21") // before the bad records are found
	run := b.run()
	_, err := b.engine.Accept(t.Context(), run.ID, "20 will do", "test")
	must(t, err)
	b.until(run.ID, func(run store.Run) bool { return run.State == api.RunIncomplete })
	b.job.MaxFailed = "100%"
	b.put()
	_, err = b.engine.Retry(t.Context(), run.ID, api.RetryRun{}, "test")
	must(t, err)
	if run = b.wait(run.ID); run.State != api.RunIncomplete || run.Counts.DeadLettered != 20 {
		t.Fatalf("run is %s %+v: %s", run.State, run.Counts, run.Message)
	}
	letters, err := os.ReadFile(filepath.Join(b.folder(occurrence), sink.DeadLettersName))
	if n := strings.Count(string(letters), "\n"); err != nil || n != 20 {
		t.Errorf("%d dead letters are published, want 20: %v", n, err)
	}
	if m := b.manifest(b.folder(occurrence)); m.Counts != run.Counts {
		t.Errorf("the manifest counts %+v, the run %+v", m.Counts, run.Counts)
	}
}

func TestARetryBeyondMaxFailedSendsNothing(t *testing.T) {
	b := newBench(t)
	b.job.Parallelism = new(int64(1))
	lines := records(150)
	for i := 1; i <= 4; i++ {
		lines[i] = "ragged"
	}
	b.writeInput(lines)
	run := b.run()
	if run.Reason != api.ReasonMaxFailed || run.Counts.DeadLettered != 4 {
		t.Fatalf("run is %s(%s) %+v", run.State, run.Reason, run.Counts)
	}
	sent := len(b.server.Sends())
	_, err := b.engine.Retry(t.Context(), run.ID, api.RetryRun{}, "test")
	must(t, err)
	if run = b.wait(run.ID); run.Reason != api.ReasonMaxFailed || !run.Withheld || run.Attempt != 2 {
		t.Fatalf("run is %s(%s): %s", run.State, run.Reason, run.Message)
	}
	if n := len(b.server.Sends()); n != sent {
		t.Errorf("%d requests were sent for a verdict that stood", n-sent)
	}
	b.job.MaxFailed = "4"
	b.put()
	_, err = b.engine.Retry(t.Context(), run.ID, api.RetryRun{}, "test")
	must(t, err)
	if run = b.wait(run.ID); run.State != api.RunIncomplete || run.Counts.Committed != 146 {
		t.Fatalf("run is %s %+v: %s", run.State, run.Counts, run.Message)
	}
}

func TestTheKeyOfADeadLetterIsReadable(t *testing.T) {
	b := newBench(t)
	b.input = filepath.Join(b.dir, "in", "iris.jsonl")
	b.job = b.baseJob()
	b.job.MaxFailed = "100%"
	b.writeInput([]string{`{"id":"caf\u00e9 \"1\"","a":"many","b":1}`, `{"id":2,"a":2,"b":1}`})
	run := b.run()
	if said := b.said(run); !strings.Contains(said, `map[id:café "1"]`) {
		t.Errorf("run is %s:\n%s", run.State, said)
	}
}

func TestARunThatIsPurgedLeavesNothingBehind(t *testing.T) {
	b := newBench(t)
	purged := make(chan struct{})
	var run store.Run
	b.server.Inject(predicttest.Fault{Purpose: "warm-up", Times: 1, Status: 401, Do: func() {
		<-purged // as long as the run is under way
	}})
	b.start()
	run = b.queue(occurrence)
	b.until(run.ID, func(run store.Run) bool { return run.State == api.RunProvisioning })
	must(t, b.store.Write(t.Context(), func(tx *store.Tx) error { return tx.PurgeJob(run.JobUID) }))
	close(purged)
	b.eventually("the execution to end", func() bool { return b.engine.Executing() == 0 })
	if left, _ := filepath.Glob(filepath.Join(b.output, ".batch", "*")); len(left) > 0 {
		t.Errorf("staging is left behind: %v", left)
	}
}

// A store that refuses to write is not asked without end.
func TestTheEngineIsPatientWithAStoreThatRefuses(t *testing.T) {
	b := newBench(t)
	var tries atomic.Int64
	b.log = slog.New(counting{slog.DiscardHandler, &tries})
	b.start()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.dir, "data", store.File)+"?_pragma=busy_timeout(10000)")
	must(t, err)
	defer db.Close() //nolint:errcheck // nothing was written since
	_, err = db.ExecContext(t.Context(), `CREATE TRIGGER refuse BEFORE UPDATE ON runs WHEN OLD.state = 'planning' BEGIN SELECT RAISE(ABORT, 'refused'); END`)
	must(t, err)
	job := b.put()
	must(t, b.store.Write(t.Context(), func(tx *store.Tx) error {
		run, err := tx.InsertRun(store.Run{Run: api.Run{JobUID: job.UID, Job: "iris", Occurrence: occurrence, Origin: api.OriginManual}}, "", "test")
		if err == nil { // as after an execution that could not even end
			_, err = tx.MoveRun(run, store.RunChange{To: api.RunPlanning})
		}
		return err
	}))
	b.engine.Wake()
	b.eventually("the first try", func() bool { return tries.Load() > 0 })
	for range 200 { // each takes as long as a try without a pause would
		must(t, b.store.Write(t.Context(), func(tx *store.Tx) error { return tx.Event(store.Event{}) }))
		b.engine.Wake()
	}
	if n := tries.Load(); n != 1 {
		t.Errorf("%d tries within moments", n)
	}
}

// counting counts errors.
type counting struct {
	slog.Handler
	errors *atomic.Int64
}

func (c counting) Enabled(context.Context, slog.Level) bool { return true }
func (c counting) WithAttrs([]slog.Attr) slog.Handler       { return c }
func (c counting) Handle(_ context.Context, r slog.Record) error {
	if r.Level == slog.LevelError {
		c.errors.Add(1)
	}
	return nil
}

// history is what a run's events say.
func (b *bench) history(run store.Run) string {
	b.t.Helper()
	events, err := b.store.Events(run.ID)
	must(b.t, err)
	var text strings.Builder
	for _, e := range events {
		text.WriteString(e.Kind + " " + e.Detail + "\n")
	}
	return text.String()
}
