package provider

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

// fakeRunner keeps jobs the way a runner does, in memory, and counts what it
// is asked.
type fakeRunner struct {
	endpoint string
	server   *httptest.Server

	mu     sync.Mutex
	id     string
	token  string // wanted; empty: none
	zones  string
	jobs   map[string]api.StoredJob
	buried map[string]bool
	status map[string]api.JobStatus
	run    api.Run // what each run is, where there is no list of them
	writes []string

	runs     []api.Run
	attempts []api.RunAttempt // of each run
	errors   []api.TopError
	letters  []api.DeadLetter
	ledger   []api.OwedSlice // of each job
	backfill api.Backfill
	endless  bool   // runs never end
	conflict string // why runs are not acted on; empty: they are

	created int
	mute    bool // the next write is done, but not answered
}

func startFake(t *testing.T) *fakeRunner {
	t.Helper()
	dir, err := os.MkdirTemp("", "fake") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	f := &fakeRunner{
		endpoint: "unix://" + filepath.Join(dir, "r.sock"), id: "runner-1",
		jobs: map[string]api.StoredJob{}, buried: map[string]bool{}, status: map[string]api.JobStatus{},
		run: api.Run{ID: "run-1", State: api.RunSucceeded}, zones: schedule.ZoneRelease(),
	}
	f.listen(t)
	t.Cleanup(func() { f.server.Close() })
	return f
}

func (f *fakeRunner) listen(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("unix", f.endpoint[len("unix://"):])
	if err != nil {
		t.Fatal(err)
	}
	f.server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: f.routes()}}
	f.server.Start()
}

// The three faults of the provider's rules.
func (f *fakeRunner) stop() { f.server.Close() }
func (f *fakeRunner) becomeAnother() {
	f.change(func() { f.id = "runner-2"; f.server.CloseClientConnections() })
}
func (f *fakeRunner) wantToken() {
	f.change(func() { f.token = "t"; f.server.CloseClientConnections() })
}
func (f *fakeRunner) lose(name string) { f.change(func() { delete(f.jobs, name) }) }
func (f *fakeRunner) edit(j api.StoredJob) {
	f.change(func() { j.Generation++; f.jobs[j.Spec.Name] = j })
}
func (f *fakeRunner) hold(name string, held *api.Hold) {
	f.change(func() { j := f.jobs[name]; j.Held = held; f.jobs[name] = j })
}
func (f *fakeRunner) job(n string) api.StoredJob { f.mu.Lock(); defer f.mu.Unlock(); return f.jobs[n] }

func (f *fakeRunner) change(how func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	how()
}

// written gives the writes since it was asked last.
func (f *fakeRunner) written() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.writes
	f.writes = nil
	return w
}

func (f *fakeRunner) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/info", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, api.Info{API: api.Version, RunnerID: f.id, Version: "1.2.3", Zones: f.zones, Epoch: 3, DataDir: "/d"})
	})
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /v1/jobs", func(w http.ResponseWriter, _ *http.Request) {
		all := []api.StoredJob{}
		for _, job := range f.jobs {
			all = append(all, job)
		}
		answer(w, 200, map[string]any{"jobs": all})
	})
	mux.HandleFunc("GET /v1/jobs/{name}", func(w http.ResponseWriter, r *http.Request) {
		if job, ok := f.jobs[r.PathValue("name")]; ok {
			answer(w, 200, job)
			return
		}
		refuse(w, 404, api.Error{Code: api.CodeNotFound, Message: "no such job"})
	})
	mux.HandleFunc("PUT /v1/jobs/{name}", f.put)
	mux.HandleFunc("DELETE /v1/jobs/{name}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		if _, ok := f.jobs[name]; !ok {
			refuse(w, 404, api.Error{Code: api.CodeNotFound, Message: "no such job"})
			return
		}
		f.writes = append(f.writes, fmt.Sprintf("DELETE %s purge=%s", name, r.URL.Query().Get("purge")))
		delete(f.jobs, name)
		f.buried[name] = true
		w.WriteHeader(204)
	})
	mux.HandleFunc("GET /v1/jobs/{name}/status", func(w http.ResponseWriter, r *http.Request) {
		if status, ok := f.status[r.PathValue("name")]; ok {
			answer(w, 200, status)
			return
		}
		refuse(w, 404, api.Error{Code: api.CodeNotFound, Message: "no such job"})
	})
	mux.HandleFunc("POST /v1/jobs/{name}/runs", func(w http.ResponseWriter, r *http.Request) {
		f.writes = append(f.writes, "RUN "+r.PathValue("name")+" "+r.Header.Get("Idempotency-Key"))
		answer(w, 201, f.run)
	})
	f.routesOfRuns(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.token != "" && r.Header.Get("Authorization") != "Bearer "+f.token {
			refuse(w, 401, api.Error{Code: api.CodeUnauthorized, Message: "no"})
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (f *fakeRunner) put(w http.ResponseWriter, r *http.Request) {
	var body api.PutJob
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		refuse(w, 400, api.Error{Code: api.CodeMalformed, Message: err.Error()})
		return
	}
	name := r.PathValue("name")
	stored, exists := f.jobs[name]
	_, taken := f.jobs[body.Spec.Name]
	renames := body.Spec.Name != name
	switch {
	case body.Spec.Labels["refuse"] != "":
		refuse(w, 422, api.Error{Code: api.CodeInvalid, Message: "the job is not valid", Problems: []api.Error{
			{Code: api.CodeInvalid, Pointer: "/spec/input/files/uri", Message: `"/in" can't be`, Hint: "do otherwise"},
		}})
		return
	case r.Header.Get("If-None-Match") == "*" && exists:
		refuse(w, 409, api.Error{Code: api.CodeExists, Message: "exists"})
		return
	case r.Header.Get("If-Match") != "" && !exists:
		refuse(w, 404, api.Error{Code: api.CodeNotFound, Message: "gone"})
		return
	case r.Header.Get("If-Match") != "" && r.Header.Get("If-Match") != strconv.Quote(strconv.FormatInt(stored.Generation, 10)):
		if exists && body.Spec.Hash() == stored.Hash {
			answer(w, 200, stored) // what is asked for is so
			return
		}
		refuse(w, 412, api.Error{Code: api.CodePrecondition, Message: "changed"})
		return
	case renames && !exists:
		refuse(w, 404, api.Error{Code: api.CodeNotFound, Message: "gone"})
		return
	case renames && taken:
		refuse(w, 409, api.Error{Code: api.CodeExists, Pointer: "/name", Message: "is taken"})
		return
	}
	if renames {
		f.writes = append(f.writes, "RENAME "+name+" "+body.Spec.Name)
	} else {
		f.writes = append(f.writes, "PUT "+name)
	}
	uid := stored.UID
	if !exists {
		f.created++
		uid = fmt.Sprintf("uid-%d", f.created)
	}
	delete(f.jobs, name)
	f.jobs[body.Spec.Name] = api.StoredJob{
		Spec: body.Spec, Settings: body.Settings, Owner: body.Owner, UID: uid, Generation: stored.Generation + 1,
		Hash: body.Spec.Hash(), CreatedAt: time.Unix(1, 0), UpdatedAt: time.Unix(1, 0), Held: stored.Held,
	}
	reply := f.jobs[body.Spec.Name]
	reply.Resumed = f.buried[name]
	if f.mute { // the answer gets lost: the client asks again
		f.mute = false
		panic(http.ErrAbortHandler)
	}
	answer(w, 201, reply)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, e api.Error) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"code": e.Code, "detail": e.Message, "problems": e.Problems})
}
