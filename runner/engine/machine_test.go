package engine_test

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

const (
	worldRecords = 30
	worldRows    = 5 // records of a mini-batch
)

// Whatever happens to runs of an occurrence, in whatever order: the accounts
// balance at every moment, what is staged is not sent again, and once all is
// repaired every good record is published exactly once, every bad one a dead
// letter.
func TestWhateverHappensEveryRecordHasOneOutcome(t *testing.T) {
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		must(t, flag.Set("rapid.checks", "40"))
		defer func() { must(t, flag.Set("rapid.checks", checks.DefValue)) }()
	}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) { // no wait takes time, and there is no deadline to ask for
		worlds := 0
		rapid.Check(struct{ testing.TB }{t}, func(r *rapid.T) {
			worlds++
			w := newWorld(t, r, filepath.Join(dir, fmt.Sprint(worlds)))
			defer w.stop()
			for range rapid.IntRange(2, 9).Draw(r, "steps") {
				steps := []func(){w.fault, w.fault, w.heal, w.fillDisk, w.makeRoom, w.queue, w.cancel, w.skip, w.retry, w.accept, w.restart, w.edit, w.let, w.let}
				rapid.SampledFrom(steps).Draw(r, "step")()
				w.observe()
			}
			w.finish()
			w.check()
		})
	})
}

// world is a bench in which everything happens.
type world struct {
	r *rapid.T
	*bench
	disk   *durabletest.Faulty
	bad    map[int]bool
	faults []func()
	runs   []string
	// settled are the records of each run that were staged, with the number
	// of requests seen by then.
	settled map[string]map[string]int
}

func newWorld(t *testing.T, r *rapid.T, dir string) *world {
	w := &world{r: r, bad: map[int]bool{}, settled: map[string]map[string]int{}}
	w.disk = durabletest.New(durabletest.NoSync())
	b := &bench{t: t, dir: dir, server: predicttest.New(predicttest.Options{}), fs: w.disk, log: slog.New(slog.DiscardHandler), slots: 2}
	w.bench = b
	b.input, b.output = filepath.Join(dir, "in", "iris.csv"), filepath.Join(dir, "out")
	b.url, b.reach = predicttest.MemoryURL, b.server.RoundTripper(t, 4)
	lines := records(worldRecords)
	for _, i := range rapid.SliceOfN(rapid.IntRange(1, worldRecords), 0, 4).Draw(r, "bad records") {
		w.bad[i], lines[i] = true, "ragged"
	}
	b.writeInput(lines)
	b.job = b.baseJob()
	b.job.Retry.Backoff = []api.Duration{"5s", "20s"}
	b.job.MiniBatch.Rows, b.job.Predict.RowsPerRequest = new(int64(worldRows)), new(rapid.Int64Range(1, worldRows).Draw(r, "rows per request"))
	w.setUp()
	b.start()
	w.queue()
	return w
}

func (w *world) setUp() {
	w.job.Parallelism = new(rapid.Int64Range(1, 4).Draw(w.r, "parallelism"))
	w.job.MaxFailed = rapid.SampledFrom([]string{"0", "1%", "30%", "100%"}).Draw(w.r, "max_failed")
	w.job.Retry.Attempts = new(rapid.Int64Range(1, 3).Draw(w.r, "attempts"))
}

func (w *world) edit() {
	w.setUp()
	w.put()
}

func (w *world) fault() {
	f := rapid.SampledFrom([]predicttest.Fault{
		{Status: 400}, {Status: 500}, {Status: 500, Times: 5}, {Status: 401}, {Status: 429, Times: 3, Header: map[string]string{"Retry-After": "40"}},
		{MoreThan: 2, Status: 413}, {Reset: true, Times: 6}, {Truncate: true}, {Short: 1}, {BadJSON: true, Times: 1}, {Hang: true, Times: 2}, {Delay: time.Second},
	}).Draw(w.r, "fault")
	if f.MoreThan == 0 {
		f.Record = fmt.Sprint(rapid.IntRange(1, worldRecords).Draw(w.r, "record"))
	}
	w.faults = append(w.faults, w.server.Inject(f))
}

func (w *world) heal() {
	for _, remove := range w.faults {
		remove()
	}
	w.faults = nil
}

func (w *world) fillDisk() { w.disk.SetSpace(rapid.Int64Range(0, 2000).Draw(w.r, "space")) }
func (w *world) makeRoom() { w.disk.SetSpace(-1) }

func (w *world) queue() { w.runs = append(w.runs, w.bench.queue(occurrence).ID) }

func (w *world) pick() string { return rapid.SampledFrom(w.runs).Draw(w.r, "run") }

// expected are the answers to what a run can't do as it stands.
func (w *world) expected(err error) {
	if err != nil && api.CodeOf(err) != api.CodeConflict {
		w.r.Fatal(err)
	}
}

func (w *world) cancel() {
	run := w.pick()
	_, err := w.engine.Cancel(w.t.Context(), run, "test")
	w.expected(err)
	if err == nil {
		delete(w.settled, run)
	}
}

// skip takes a run out of the queue, as the trigger does with one that a newer
// occurrence replaces.
func (w *world) skip() {
	id := w.pick()
	must(w.t, w.store.Write(w.t.Context(), func(tx *store.Tx) error {
		run, err := tx.Run(id)
		if err == nil && run.State == api.RunQueued && run.StartedAt.IsZero() {
			_, err = tx.MoveRun(run, store.RunChange{To: api.RunSkipped, Reason: api.ReasonReplaced, Actor: bySkip})
		}
		return err
	}))
}

func (w *world) retry() {
	_, err := w.engine.Retry(w.t.Context(), w.pick(), "test")
	w.expected(err)
}

func (w *world) accept() {
	_, err := w.engine.Accept(w.t.Context(), w.pick(), "why not", "test")
	w.expected(err)
}

func (w *world) restart() {
	w.stopWithin(rapid.SampledFrom([]time.Duration{0, 100 * time.Millisecond, time.Minute}).Draw(w.r, "drain timeout"))
	w.start()
}

// let lets a while go by.
func (w *world) let() {
	time.Sleep(rapid.SampledFrom([]time.Duration{time.Millisecond, 50 * time.Millisecond, time.Second, time.Minute}).Draw(w.r, "while"))
}

// observe holds every run to the law, as it stands.
func (w *world) observe() {
	for _, id := range w.runs {
		run, err := w.store.Run(id)
		must(w.t, err)
		c, m := run.Counts, run.MiniBatches
		sent := len(w.server.Sends())
		switch {
		case !c.Balanced():
			w.r.Fatalf("%s run %s: the accounting law is broken: %+v", run.State, id, c)
		case m.Total != m.Pending+m.Running+m.RetryWait+m.Staged+m.Committed+m.GivenUp+m.Cancelled:
			w.r.Fatalf("%s run %s: mini-batches do not add up: %+v", run.State, id, m)
		case run.State == api.RunSucceeded && (c.Unfinished > 0 || c.Committed != worldRecords):
			w.r.Fatalf("run %s succeeded with %+v", id, c)
		case run.State.Ended() && m.Running > 0:
			w.r.Fatalf("%s run %s has running mini-batches: %+v", run.State, id, m)
		}
		if run.State.Ended() || run.State == api.RunCancelled {
			w.settle(run, sent)
		}
	}
}

// settle notes what a run that rests has staged or committed.
func (w *world) settle(run store.Run, sent int) {
	if w.settled[run.ID] == nil {
		w.settled[run.ID] = map[string]int{}
	}
	must(w.t, w.store.Parts(run.ID, func(m store.MiniBatch) error {
		for i := range m.Records {
			record := fmt.Sprint((m.Number-1)*worldRows + i + 1)
			if _, known := w.settled[run.ID][record]; !known {
				w.settled[run.ID][record] = sent
			}
		}
		return nil
	}))
}

// finish repairs everything and brings every run to the best end it can have.
func (w *world) finish() {
	w.heal()
	w.makeRoom()
	w.server.Release()
	w.job.MaxFailed, w.job.Parallelism = "100%", new(int64(4))
	w.put()
	if !slices.ContainsFunc(w.runs, func(id string) bool { return w.await(id).State != api.RunSkipped }) {
		w.queue()
	}
	for _, id := range w.runs {
		for tries := 0; ; tries++ {
			run := w.await(id)
			if run.Counts.Unfinished == 0 && run.Counts.Planned > 0 {
				break
			}
			_, err := w.engine.Retry(w.t.Context(), id, "test")
			w.expected(err)
			if err != nil {
				break // another run has replaced its output
			}
			if tries > 5 {
				w.r.Fatalf("run %s does not succeed: %s(%s) %+v %s", id, run.State, run.Reason, run.Counts, run.Message)
			}
		}
	}
}

func (w *world) await(id string) store.Run {
	for range 10_000 {
		w.observe()
		run, err := w.store.Run(id)
		must(w.t, err)
		if run.State.Ended() {
			return run
		}
		time.Sleep(time.Second)
	}
	run, err := w.store.Run(id)
	w.r.Fatalf("run %s hangs in %s: %+v %+v %v", id, run.State, run.Counts, run.MiniBatches, err)
	return run
}

// check compares what is published with the input.
func (w *world) check() {
	for _, id := range w.runs {
		if err := w.endsHeard(id); err != nil {
			w.r.Fatal(err)
		}
	}
	folder := w.folder(occurrence)
	var want []string
	for i := 1; i <= worldRecords; i++ {
		if !w.bad[i] {
			want = append(want, fmt.Sprintf("%d=%g", i, float64(i)+0.5))
		}
	}
	var got []string
	for _, row := range w.published(folder) {
		got = append(got, fmt.Sprintf("%s=%g", row["id"], row["score"]))
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		w.r.Fatalf("published %s\nwant %s", got, want)
	}
	letters, err := os.ReadFile(filepath.Join(folder, sink.DeadLettersName))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.r.Fatal(err)
	}
	if n := strings.Count(string(letters), "\n"); n != len(w.bad) {
		w.r.Fatalf("%d dead letters are published, want %d", n, len(w.bad))
	}
	m := w.manifest(folder)
	if run, err := w.store.Run(m.Run); err != nil || run.Counts != m.Counts || run.Revision != m.Revision {
		w.r.Fatalf("the manifest says revision %d %+v, its run %d %+v %v", m.Revision, m.Counts, run.Revision, run.Counts, err)
	}
	for i, send := range w.server.Sends() {
		run, _, _ := strings.Cut(send.Key, "/")
		for _, record := range send.Records {
			if since, settled := w.settled[run][record]; settled && send.Purpose == "" && i >= since {
				w.r.Fatalf("record %s of run %s was staged and is sent again: %s", record, run, send.Key)
			}
		}
	}
}
