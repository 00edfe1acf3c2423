package server

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/engine"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/secret"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
	"github.com/batchpattern/terraform-provider-batch/runner/trigger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a server with all that stands behind it, and a prediction server
// with fault switches.
type bench struct {
	t      *testing.T
	dir    string
	model  *predicttest.Server
	url    string
	store  *store.Store
	engine *engine.Engine
	server *Server
}

func newBench(t *testing.T, change ...func(*Options)) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), model: predicttest.New(predicttest.Options{})}
	b.url = b.model.Listen(t)
	data := filepath.Join(b.dir, "data")
	var err error
	b.store, err = store.Open(t.Context(), data, time.Now)
	must(t, err)
	log, secrets := slog.New(slog.DiscardHandler), secret.New("", "")
	var decide *trigger.Trigger
	b.engine = engine.New(engine.Options{
		Store: b.store, FS: durable.OS(), Secrets: secrets, Log: log, Now: time.Now, MaxConcurrentRuns: 4, Version: "test",
		Ended: func(tx *store.Tx, run store.Run) error { return decide.Ended(tx, run) },
	})
	decide = trigger.New(trigger.Options{Store: b.store, Log: log, Wake: b.engine.Wake, Cancel: b.engine.CancelIn})
	must(t, b.engine.Start(t.Context()))
	o := Options{
		Listen: "unix://" + filepath.Join(data, "runner.sock"), Store: b.store, Engine: b.engine, Trigger: decide, Secrets: secrets, Log: log, Now: time.Now,
		Info: api.Info{API: api.Version, Version: "test", RunnerID: b.store.RunnerID(), Epoch: b.store.Epoch(), DataDir: data, StartedAt: time.Now()},
	}
	for _, f := range change {
		f(&o)
	}
	b.server, err = New(o)
	must(t, err)
	b.server.SetReady(true)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		for _, stop := range []func() error{
			func() error { return b.server.Stop(ctx) }, func() error { return b.engine.Stop(ctx) }, b.store.Close,
		} {
			if err := stop(); err != nil {
				t.Error(err)
			}
		}
	})
	return b
}

// job is a job over records first to last in mini-batches of 20.
func (b *bench) job(name string, first, last int) api.Job {
	b.t.Helper()
	input := filepath.Join(b.dir, name+".csv")
	lines := []string{"id,a,b"}
	for i := first; i <= last; i++ {
		lines = append(lines, fmt.Sprintf("%d,%d,0.5", i, i))
	}
	must(b.t, os.WriteFile(input, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	return api.Job{
		Name:        name,
		Input:       api.Input{Files: &api.InputFiles{URI: input}, Key: []string{"id"}},
		MiniBatch:   &api.MiniBatchSpec{Rows: new(int64(20))},
		Parallelism: new(int64(1)),
		Predict: api.Predict{
			Protocol: api.ProtocolOIPv2, Model: api.Model{Name: "m"}, Features: api.Features{Columns: []string{"a", "b"}},
			RequestTimeout: "60s", Endpoint: &api.Endpoint{URL: b.url},
		},
		Output: api.Output{Files: &api.OutputFiles{URI: filepath.Join(b.dir, "out", name) + "/dt={date}/"}},
		Retry:  &api.Retry{Policy: api.PolicyPartial, Attempts: new(int64(1)), Backoff: []api.Duration{"1ms"}},
	}
}

// ask sends one request.
func (b *bench) ask(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	b.t.Helper()
	r := httptest.NewRequestWithContext(b.t.Context(), method, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	b.server.http.Handler.ServeHTTP(w, r)
	return w
}

// get asks for a document that must be there.
func (b *bench) get(path string, into any) {
	b.t.Helper()
	w := b.ask("GET", path, "")
	if w.Code != http.StatusOK {
		b.t.Fatalf("GET %s: %d %s", path, w.Code, w.Body)
	}
	must(b.t, json.Unmarshal(w.Body.Bytes(), into))
}

// declare puts a job.
func (b *bench) declare(job api.Job) {
	b.t.Helper()
	if w := b.ask("PUT", "/v1/jobs/"+job.Name, encoded(b.t, api.PutJob{Spec: job})); w.Code != http.StatusCreated {
		b.t.Fatalf("declare %s: %d %s", job.Name, w.Code, w.Body)
	}
}

// trigger queues a run.
func (b *bench) trigger(job string) string {
	b.t.Helper()
	w := b.ask("POST", "/v1/jobs/"+job+"/runs", "")
	if w.Code != http.StatusCreated {
		b.t.Fatalf("trigger %s: %d %s", job, w.Code, w.Body)
	}
	var run api.Run
	must(b.t, json.Unmarshal(w.Body.Bytes(), &run))
	return run.ID
}

// until waits for a run to be as wanted. The store has no change feed, so it
// is read again and again; no outcome depends on how often.
func (b *bench) until(id string, done func(api.Run) bool) api.Run {
	b.t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		run, err := b.store.Run(id)
		must(b.t, err)
		if done(run.Run) {
			return run.Run
		}
		select {
		case <-tick.C:
		case <-deadline:
			b.t.Fatalf("run %s did not get there: %+v", id, run)
		}
	}
}

func ended(run api.Run) bool { return run.State.Ended() }

func encoded(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	must(t, err)
	return string(text)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func writeCSV(t *testing.T, path string, lines ...string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
}
