package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a runner that answers from a table and counts.
type fake struct {
	id     atomic.Value
	api    string
	token  string
	answer map[string]func(w http.ResponseWriter, r *http.Request) // by "METHOD /path"
	seen   atomic.Int64
}

func newFake() *fake {
	f := &fake{api: api.Version, answer: map[string]func(http.ResponseWriter, *http.Request){}}
	f.id.Store("runner-1")
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.token != "" && r.Header.Get("Authorization") != "Bearer "+f.token {
		problem(w, 401, `{"code":"unauthorized","detail":"the token is wrong"}`)
		return
	}
	if r.URL.Path == "/v1/info" {
		reply(w, 200, api.Info{API: f.api, RunnerID: f.id.Load().(string), Version: "1.2.3"})
		return
	}
	f.seen.Add(1)
	if answer := f.answer[r.Method+" "+r.URL.Path]; answer != nil {
		answer(w, r)
		return
	}
	problem(w, 404, `{"code":"not_found","detail":"no such job"}`)
}

func reply(w http.ResponseWriter, status int, body any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func problem(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = fmt.Fprint(w, body)
}

// serve starts the fake on a socket, and makes a client for it.
func serve(t *testing.T, f *fake, o client.Options) *client.Client {
	t.Helper()
	return connect(t, listen(t, f, shortDir(t)), o)
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "client")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func listen(t *testing.T, f *fake, dir string) string {
	t.Helper()
	listener, err := net.Listen("unix", filepath.Join(dir, "r.sock"))
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: f}}
	server.Start()
	t.Cleanup(server.Close)
	return "unix://" + filepath.Join(dir, "r.sock")
}

func connect(t *testing.T, endpoint string, o client.Options) *client.Client {
	t.Helper()
	o.Endpoint = endpoint
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestOneListServesAThousandReadsUntilTheClientWrites(t *testing.T) {
	f := newFake()
	var lists atomic.Int64
	f.answer["GET /v1/jobs"] = func(w http.ResponseWriter, _ *http.Request) {
		lists.Add(1)
		var jobs []api.StoredJob
		for i := range 1000 {
			jobs = append(jobs, api.StoredJob{Spec: api.Job{Name: fmt.Sprintf("job-%d", i)}, Generation: 7})
		}
		reply(w, 200, map[string]any{"jobs": jobs})
	}
	f.answer["DELETE /v1/jobs/job-1"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }
	c := serve(t, f, client.Options{})

	errs := make(chan error, 1000)
	for i := range 1000 {
		go func() {
			job, err := c.Snapshot(t.Context(), fmt.Sprintf("job-%d", i))
			if err == nil && job.Generation != 7 {
				err = fmt.Errorf("job-%d has generation %d", i, job.Generation)
			}
			errs <- err
		}()
	}
	for range 1000 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Snapshot(t.Context(), "absent"); api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("an absent job gives %v", err)
	}
	if lists.Load() != 1 {
		t.Fatalf("%d lists were asked for 1001 reads", lists.Load())
	}
	if err := c.DeleteJob(t.Context(), "job-1", false); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Snapshot(t.Context(), "job-2"); err != nil || lists.Load() != 2 {
		t.Errorf("after a write: %v, %d lists in all", err, lists.Load())
	}
}

func TestAForeignRunnerIsNeverAskedForAnything(t *testing.T) {
	f := newFake()
	c := serve(t, f, client.Options{RunnerID: "runner-0", Source: "BATCH_ENDPOINT"})
	_, err := c.Job(t.Context(), "churn")
	if api.CodeOf(err) != api.CodeOtherRunner || !client.IsUnreachable(err) || !strings.Contains(err.Error(), "BATCH_ENDPOINT") {
		t.Errorf("got %v", err)
	}
	if f.seen.Load() != 0 {
		t.Errorf("%d requests reached the foreign runner", f.seen.Load())
	}
}

func TestARunnerReplacedAtTheSameAddressIsNoticedOnReconnect(t *testing.T) {
	f := newFake()
	f.answer["GET /v1/jobs/churn"] = func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, api.StoredJob{}) }
	c := serve(t, f, client.Options{})
	if _, err := c.Job(t.Context(), "churn"); err != nil {
		t.Fatal(err)
	}
	f.id.Store("runner-2")
	if _, err := c.Job(t.Context(), "churn"); err != nil {
		t.Fatalf("on the known connection: %v", err)
	}
	c.Close()
	if _, err := c.Job(t.Context(), "churn"); api.CodeOf(err) != api.CodeOtherRunner {
		t.Errorf("after a reconnect: %v", err)
	}
}

func TestWhatErrorsMean(t *testing.T) {
	silent := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	tests := map[string]struct {
		change func(*fake)
		token  string
		code   api.Code
		text   string
	}{
		"a job that is not there":   {func(*fake) {}, "", api.CodeNotFound, "no such job"},
		"a route that is not there": {func(f *fake) { f.answer["GET /v1/jobs/churn"] = http.NotFound }, "", api.CodeOldRunner, "upgrade"},
		"no token":                  {func(f *fake) { f.token = "x" }, "", api.CodeUnauthorized, "BATCH_TOKEN_FILE"},
		"a wrong token":             {func(f *fake) { f.token = "x" }, "y", api.CodeUnauthorized, "the file from my-source"},
		"another API":               {func(f *fake) { f.api = "v9" }, "", api.CodeOldRunner, `"v9"`},
		"no runner at all":          {func(f *fake) { f.id.Store("") }, "", api.CodeOtherRunner, "is not answered like a runner does"},
		"a cut connection":          {func(f *fake) { f.answer["GET /v1/jobs/churn"] = silent }, "", api.CodeUnreachable, "EOF"},
		"findings": {func(f *fake) {
			f.answer["GET /v1/jobs/churn"] = func(w http.ResponseWriter, _ *http.Request) {
				problem(w, 422, `{"code":"invalid","detail":"the job is not valid","problems":[{"pointer":"/retry/attempts","message":"0 is not in 1–100"}]}`)
			}
		}, "", api.CodeInvalid, "retry.attempts 0 is not in 1–100"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			test.change(f)
			c := serve(t, f, client.Options{Token: test.token, TokenSource: "the file from my-source"})
			_, err := c.Job(t.Context(), "churn")
			if api.CodeOf(err) != test.code || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got code %s: %v", api.CodeOf(err), err)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	c := connect(t, "unix://"+filepath.Join(shortDir(t), "r.sock"), client.Options{Source: "the default endpoint"})
	_, err := c.Job(t.Context(), "churn")
	if api.CodeOf(err) != api.CodeUnreachable || !client.IsDown(err) || !strings.Contains(err.Error(), "the default endpoint") {
		t.Errorf("got %v", err)
	}
}

func TestASilentHostIsWaitedForOnce(t *testing.T) {
	listener, err := net.Listen("unix", filepath.Join(shortDir(t), "r.sock")) // connects, and never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	c := connect(t, "unix://"+listener.Addr().String(), client.Options{Timeout: 100 * time.Millisecond})
	start := time.Now()
	for i := range 1000 {
		if _, err := c.Snapshot(t.Context(), fmt.Sprint("job-", i)); api.CodeOf(err) != api.CodeUnreachable {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("1000 reads took %s", took)
	}
}

func TestACancelledRequestIsNotAnUnreachableRunner(t *testing.T) {
	f := newFake()
	ctx, cancel := context.WithCancel(t.Context())
	f.answer["GET /v1/jobs/churn"] = func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() }
	_, err := serve(t, f, client.Options{}).Job(ctx, "churn")
	if !errors.Is(err, context.Canceled) || client.IsUnreachable(err) {
		t.Errorf("got %v", err)
	}
}

func TestWritesCarryTheirConditionAndAreRepeatedWhenARunnerIsStarting(t *testing.T) {
	f := newFake()
	var tries []http.Header
	f.answer["PUT /v1/jobs/churn"] = func(w http.ResponseWriter, r *http.Request) {
		tries = append(tries, r.Header.Clone())
		if len(tries) == 1 {
			problem(w, 503, `{"code":"unavailable","detail":"starting"}`)
			return
		}
		reply(w, 201, api.StoredJob{Generation: 1})
	}
	c := serve(t, f, client.Options{Actor: "terraform"})
	job, created, err := c.PutJob(t.Context(), "churn", api.PutJob{}, client.Condition{Create: true, Key: "k"})
	if err != nil || !created || job.Generation != 1 || len(tries) != 2 {
		t.Fatalf("got %+v, created %v, %v after %d tries", job, created, err, len(tries))
	}
	for _, h := range tries {
		if h.Get("If-None-Match") != "*" || h.Get("Idempotency-Key") != "k" || h.Get("Batch-Actor") != "terraform" || h.Get("If-Match") != "" {
			t.Errorf("headers %v", h)
		}
	}
	f.answer["PUT /v1/jobs/churn"] = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-Match") != `"3"` {
			t.Errorf("If-Match is %q", r.Header.Get("If-Match"))
		}
		problem(w, 412, `{"code":"precondition","detail":"generation 4"}`)
	}
	if _, _, err := c.PutJob(t.Context(), "churn", api.PutJob{}, client.Condition{IfMatch: 3}); api.CodeOf(err) != api.CodePrecondition {
		t.Errorf("got %v", err)
	}
}

func TestASocketPathLongerThanTheKernelTakes(t *testing.T) {
	dir := shortDir(t)
	deep := filepath.Join(dir, strings.Repeat("a", 60), strings.Repeat("b", 60))
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	endpoint := "unix://" + filepath.Join(deep, "r.sock")
	_, err := client.New(client.Options{Endpoint: endpoint})
	if err != nil {
		if !strings.Contains(err.Error(), "104") {
			t.Errorf("a system without the detour says %v", err)
		}
		return
	}
	listen(t, newFake(), dir)
	if err := os.Rename(filepath.Join(dir, "r.sock"), filepath.Join(deep, "r.sock")); err != nil {
		t.Fatal(err)
	}
	if info, err := connect(t, endpoint, client.Options{}).Info(t.Context()); err != nil || info.Version != "1.2.3" {
		t.Errorf("got %+v, %v", info, err)
	}
}

func TestEndpoints(t *testing.T) {
	tests := map[string]string{
		"unix:///run/r.sock":    "",
		"http://127.0.0.1:8080": "",
		"http://localhost:1/":   "",
		"https://runner.lan":    "",
		"unix://run/r.sock":     "no absolute path",
		"http://10.0.0.1:80":    "in the clear",
		"https://h:1/path":      "just scheme, host and port",
		"ssh://h/run/r.sock":    "neither",
		"/run/r.sock":           "neither",
		"":                      "neither",
	}
	for text, want := range tests {
		err := client.CheckEndpoint(text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v, want %q", text, err, want)
		}
	}
}
