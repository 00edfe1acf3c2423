package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
	"github.com/batchpattern/terraform-provider-batch/runner"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// asProgram makes the test binary be batch-runner, where a test wants a process
// of its own.
const asProgram = "BATCH_RUNNER_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// bench is a place for the command line: a folder, a prediction server with
// fault switches and, where a test wants one, a runner in this process.
type bench struct {
	t     *testing.T
	dir   string
	model *predicttest.Server
	url   string
	env   map[string]string
	stdin string
	asks  bool
	stop  chan os.Signal
}

func newBench(t *testing.T) *bench {
	t.Helper()
	dir, err := os.MkdirTemp("", "c") // short, since a socket is in it
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	b := &bench{t: t, dir: dir, model: predicttest.New(predicttest.Options{}), env: map[string]string{"USER": "alice"}, stop: make(chan os.Signal, 2)}
	b.url = b.model.Listen(t)
	return b
}

// now is the clock of the runner, so that what it tells is the same each time.
var now = time.Date(2026, 11, 21, 1, 0, 0, 0, time.UTC)

// withRunner starts a runner and points the command line to it.
func (b *bench) withRunner() *client.Client {
	b.t.Helper()
	c, _ := b.startRunner()
	return c
}

// startRunner is withRunner that also gives what stops the runner before the
// test's end.
func (b *bench) startRunner() (_ *client.Client, stop func()) {
	b.t.Helper()
	r, err := runner.New(b.t.Context(), runner.Options{DataDir: filepath.Join(b.dir, "data"), Version: "test", Now: func() time.Time { return now }})
	must(b.t, err)
	stop = func() {
		r.Kill() // what hangs would drain for long
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := r.Stop(ctx); err != nil {
			b.t.Error(err)
		}
	}
	b.t.Cleanup(stop)
	must(b.t, r.Start(b.t.Context()))
	b.env[client.EnvEndpoint] = r.Addr()
	c, err := client.New(client.Options{Endpoint: r.Addr()})
	must(b.t, err)
	b.t.Cleanup(c.Close)
	return c, stop
}

// said is what a command printed and how it ended.
type said struct {
	code     exit
	out, err string
}

// cli carries out one command line.
func (b *bench) cli(args ...string) said {
	b.t.Helper()
	var out, errs locked
	a := &app{
		stdin: strings.NewReader(b.stdin), stdout: &out, stderr: &errs, asks: b.asks, signals: b.stop,
		getenv: func(name string) string { return b.env[name] },
	}
	code := a.main(b.t.Context(), args)
	return said{code, out.String(), errs.String()}
}

// expect carries out a command line and holds it to its exit code.
func (b *bench) expect(code exit, args ...string) said {
	b.t.Helper()
	s := b.cli(args...)
	if s.code != code {
		b.t.Errorf("batch-runner %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), s.code, code, s.out, s.err)
	}
	return s
}

// job is a job over records first to last, id and place of a record alike.
func (b *bench) job(name string, first, last int) api.Job {
	b.t.Helper()
	lines := []string{"id,a,b"}
	for i := first; i <= last; i++ {
		lines = append(lines, fmt.Sprintf("%d,%d,0.5", i, i))
	}
	input := filepath.Join(b.dir, name+".csv")
	must(b.t, os.WriteFile(input, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	return api.Job{
		Name: name, Schedule: &api.Schedule{Cron: "30 2 * * *", TimeZone: "Europe/Berlin"},
		Input:     api.Input{Files: &api.InputFiles{URI: input}, Key: []string{"id"}},
		MiniBatch: &api.MiniBatchSpec{Rows: new(int64(20))}, Parallelism: new(int64(1)),
		Predict: api.Predict{
			Protocol: api.ProtocolOIPv2, Model: api.Model{Name: "m"}, Features: api.Features{Columns: []string{"a", "b"}},
			Endpoint: &api.Endpoint{URL: b.url},
		},
		Output: api.Output{Files: &api.OutputFiles{URI: filepath.Join(b.dir, "out", name) + "/{date}/"}},
	}
}

// declare declares jobs at the runner.
func (b *bench) declare(c *client.Client, jobs ...api.Job) {
	b.t.Helper()
	for _, job := range jobs {
		_, _, err := c.PutJob(b.t.Context(), job.Name, api.PutJob{Spec: job}, client.Condition{})
		must(b.t, err)
	}
}

// write makes a job file.
func (b *bench) write(job any) string {
	b.t.Helper()
	text, err := json.Marshal(job)
	must(b.t, err)
	path := filepath.Join(b.dir, "job.json")
	must(b.t, os.WriteFile(path, text, 0o600))
	return path
}

// lastRun is the id of a job's newest run.
func (b *bench) lastRun(c *client.Client, job string) string {
	b.t.Helper()
	runs, err := c.Runs(b.t.Context(), client.RunFilter{Job: job}, client.Paging{Limit: 1})
	must(b.t, err)
	return runs.Items[0].ID
}

var (
	idForm   = regexp.MustCompile(`\b[rb][a-z2-7]{12}\b`) // of a run, of a backfill
	hostForm = regexp.MustCompile(`127\.0\.0\.1:[0-9]+`)
)

// golden compares output with a file, with what differs from run to run
// replaced: ids, folders, ports.
func (b *bench) golden(name, text string) {
	b.t.Helper()
	ids := map[string]string{}
	text = idForm.ReplaceAllStringFunc(text, func(id string) string {
		if ids[id] == "" {
			ids[id] = fmt.Sprintf("%c%012d", id[0], len(ids)+1)
		}
		return ids[id]
	})
	text = hostForm.ReplaceAllString(strings.ReplaceAll(text, b.dir, "DIR"), "HOST:PORT")
	path := filepath.Join("testdata", name+".golden")
	if *update {
		must(b.t, os.MkdirAll("testdata", 0o755))
		must(b.t, os.WriteFile(path, []byte(text), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	must(b.t, err)
	if text != string(want) {
		b.t.Errorf("%s is\n%s\nwant (go test ./runner/cmd/... -update writes it)\n%s", name, text, want)
	}
}

// locked is a buffer that several goroutines may write to.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(text)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func contains(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
