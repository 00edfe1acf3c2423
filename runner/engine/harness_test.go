package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/engine"
	"github.com/batchpattern/terraform-provider-batch/runner/launch"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/secret"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

func TestMain(m *testing.M) {
	if mode := os.Getenv("TEST_SERVER"); mode != "" {
		serve(mode)
		return
	}
	if _, program := os.LookupEnv("TEST_PROGRAM"); program {
		predictLines()
		return
	}
	goleak.VerifyTestMain(m)
}

// bench is an engine with its store, its input and output folders and a
// prediction server with fault switches.
type bench struct {
	t       *testing.T
	dir     string
	input   string
	output  string
	server  *predicttest.Server
	url     string
	fs      durable.FS
	reach   http.RoundTripper // nil: over the network
	log     *slog.Logger
	store   *store.Store
	engine  *engine.Engine
	job     api.Job
	slots   int
	stores  *object.Stores // nil: none can be reached
	stopped bool

	declared map[int64]api.Job                            // by generation
	launch   func(launch.Command) (engine.Process, error) // nil: real processes

	clock, storeClock func() time.Time // the engine's and the store's clock

	mu   sync.Mutex
	ends map[string][]string // the states in which the engine said that runs ended
}

// bySkip is the actor of tests that skip runs, which is not the engine's doing.
const bySkip = "who skips"

// occurrence is the due time of the tests' runs.
var occurrence = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

// newBench prepares 150 records in mini-batches of 20, as the quickstart has.
func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), server: predicttest.New(predicttest.Options{}), fs: durable.OS(), slots: 2}
	b.input, b.output = filepath.Join(b.dir, "in", "iris.csv"), filepath.Join(b.dir, "out")
	b.log = slog.New(slog.NewTextHandler(testWriter{t}, nil))
	b.url = b.server.Listen(t)
	b.writeInput(records(150))
	b.job = b.baseJob()
	t.Cleanup(b.stop)
	return b
}

func (b *bench) baseJob() api.Job {
	return api.Job{
		Name:        "iris",
		Input:       api.Input{Files: &api.InputFiles{URI: b.input}, Key: []string{"id"}},
		MiniBatch:   &api.MiniBatchSpec{Rows: new(int64(20))},
		Parallelism: new(int64(4)),
		Predict: api.Predict{
			Protocol: api.ProtocolOIPv2, Model: api.Model{Name: "m"},
			Features:       api.Features{Columns: []string{"a", "b"}},
			RequestTimeout: "5s",
			Endpoint:       &api.Endpoint{URL: b.url},
		},
		Output: api.Output{Files: &api.OutputFiles{URI: b.output + "/dt={date}/"}},
		Retry:  &api.Retry{Policy: api.PolicyPartial, Attempts: new(int64(3)), Backoff: []api.Duration{"1ms"}},
	}
}

// records are CSV lines "id,a,b" with a header; the first feature names the
// record to the prediction server.
func records(n int) []string {
	lines := []string{"id,a,b"}
	for i := 1; i <= n; i++ {
		lines = append(lines, fmt.Sprintf("%d,%d,0.5", i, i))
	}
	return lines
}

func (b *bench) writeInput(lines []string) {
	b.t.Helper()
	must(b.t, os.MkdirAll(filepath.Dir(b.input), 0o755))
	must(b.t, os.WriteFile(b.input, []byte(strings.Join(lines, "\n")+"\n"), 0o644))
}

// start opens the data dir and starts the engine.
func (b *bench) start() {
	b.t.Helper()
	b.open()
	must(b.t, b.engine.Start(b.t.Context()))
}

// open opens the data dir for an engine that is not started yet.
func (b *bench) open() {
	b.t.Helper()
	var err error
	if b.clock == nil {
		b.clock, b.storeClock = time.Now, time.Now
	}
	newStore(b.t, filepath.Join(b.dir, "data"))
	b.store, err = store.Open(b.t.Context(), filepath.Join(b.dir, "data"), b.storeClock)
	must(b.t, err)
	b.engine = engine.New(engine.Options{
		Store: b.store, FS: b.fs, Secrets: secret.New("", ""), Log: b.log, Now: b.clock, MaxConcurrentRuns: b.slots, Version: "test",
		Inputs: source.Options{Objects: b.stores},
		Ended:  b.ended, Transport: b.reach, Launch: b.launch,
	})
	b.stopped = false
}

// ended is the engine's hook.
func (b *bench) ended(_ *store.Tx, run store.Run) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ends == nil {
		b.ends = map[string][]string{}
	}
	b.ends[run.ID] = append(b.ends[run.ID], string(run.State))
	return nil
}

// endsHeard says what is wrong with the calls of the hook: there must be one
// for each end in a run's history, in order, and no other.
func (b *bench) endsHeard(id string) error {
	want := b.endsOf(id)
	b.mu.Lock()
	defer b.mu.Unlock()
	if got := b.ends[id]; !slices.Equal(got, want) {
		return fmt.Errorf("run %s ended %v and Ended heard %v", id, want, got)
	}
	return nil
}

// endsOf are the ends in a run's history.
func (b *bench) endsOf(id string) (ends []string) {
	b.t.Helper()
	events, err := b.store.Events(id)
	must(b.t, err)
	for _, e := range events {
		if e.Kind == "state" && e.Actor != bySkip && api.RunState(e.To).Ended() {
			ends = append(ends, e.To)
		}
	}
	return ends
}

func (b *bench) stop() {
	if b.engine == nil || b.stopped {
		return
	}
	b.stopped = true
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := b.engine.Stop(ctx); err != nil {
		b.t.Error(err)
	}
	if err := b.store.Close(); err != nil {
		b.t.Error(err)
	}
}

// put stores the job as it stands and gives it.
func (b *bench) put() store.Job {
	b.t.Helper()
	if problems := api.Validate(b.job); len(problems) > 0 {
		b.t.Fatal(problems)
	}
	var stored store.Job
	must(b.t, b.store.Write(b.t.Context(), func(tx *store.Tx) error {
		job, err := tx.Job(b.job.Name)
		if err != nil {
			stored, err = tx.InsertJob(store.Job{StoredJob: api.StoredJob{Spec: b.job}, Cursor: tx.Now})
			return err
		}
		job.Spec = b.job
		stored, err = tx.UpdateJob(job)
		return err
	}))
	if b.declared == nil {
		b.declared = map[int64]api.Job{}
	}
	b.declared[stored.Generation] = b.job
	return stored
}

// queue queues a run of the job for an occurrence.
func (b *bench) queue(at time.Time) store.Run {
	b.t.Helper()
	return b.queueRun(store.Run{Run: api.Run{Occurrence: at, Origin: api.OriginManual}})
}

// queueRun queues a run of the job.
func (b *bench) queueRun(run store.Run) store.Run {
	b.t.Helper()
	job := b.put()
	run.JobUID, run.Job, run.Generation = job.UID, job.Spec.Name, job.Generation
	must(b.t, b.store.Write(b.t.Context(), func(tx *store.Tx) (err error) {
		run, err = tx.InsertRun(run, "", "test")
		return err
	}))
	b.engine.Wake()
	return run
}

// run starts where needed, queues a run and waits for its end.
func (b *bench) run() store.Run {
	b.t.Helper()
	if b.store == nil {
		b.start()
	}
	return b.wait(b.queue(occurrence).ID)
}

// wait waits until a run has ended, and holds it to the accounting law all
// the way.
func (b *bench) wait(id string) store.Run {
	b.t.Helper()
	return b.until(id, func(run store.Run) bool { return run.State.Ended() })
}

// until waits for a run's row to be as wanted. The store has no change feed,
// so it is read again and again; no outcome depends on how often.
func (b *bench) until(id string, done func(store.Run) bool) store.Run {
	b.t.Helper()
	var run store.Run
	b.eventually("run "+id+" to get there", func() bool {
		var err error
		run, err = b.store.Run(id)
		must(b.t, err)
		if !run.Counts.Balanced() {
			b.t.Fatalf("the accounting law is broken: %+v", run.Counts)
		}
		return done(run)
	})
	return run
}

// eventually asks again and again what sends no signal, less and less often; no
// outcome depends on how often, nor on how long the machine takes.
func (b *bench) eventually(what string, done func() bool) {
	b.t.Helper()
	deadline := time.After(3 * time.Minute)
	for pause := time.Millisecond; !done(); pause = min(2*pause, 16*time.Millisecond) {
		select {
		case <-time.After(pause):
		case <-deadline:
			b.t.Fatalf("waited too long for %s", what)
		}
	}
}

// folder is where the run of an occurrence is published.
func (b *bench) folder(at time.Time) string {
	return filepath.Join(b.output, "dt="+at.Format("2006-01-02"))
}

// published reads the records of all parts in order.
func (b *bench) published(folder string) []map[string]any {
	b.t.Helper()
	parts, err := filepath.Glob(filepath.Join(folder, "part-*"))
	must(b.t, err)
	var rows []map[string]any
	for _, part := range parts {
		text, err := os.ReadFile(part)
		must(b.t, err)
		for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
			var row map[string]any
			must(b.t, json.Unmarshal([]byte(line), &row))
			rows = append(rows, row)
		}
	}
	return rows
}

func (b *bench) manifest(folder string) sink.Manifest {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, sink.ManifestName))
	must(b.t, err)
	var m sink.Manifest
	must(b.t, json.Unmarshal(text, &m))
	return m
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// testWriter puts the engine's log beside the test it belongs to.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(text []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(text)))
	return len(text), nil
}

// outage has requests with a record meet no server until it is repaired, and
// their mini-batch given up after one attempt: nothing is wrong with its data.
func (b *bench) outage(record string) (repair func()) {
	b.job.Retry.Attempts = new(int64(1))
	return b.server.Inject(predicttest.Fault{Record: record, Reset: true})
}
