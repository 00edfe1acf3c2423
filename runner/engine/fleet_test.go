package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/engine"
	"github.com/batchpattern/terraform-provider-batch/runner/launch"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

// servers are launched without processes: each launch is a prediction server
// of its own in memory, reached by its host.
type servers struct {
	b     *bench
	setUp func(n int, server *predicttest.Server) // of the n-th launch, counting from 1
	start time.Duration                           // how long one takes to be ready

	mu  sync.Mutex
	all []*fakeServer
}

// launchedInMemory makes the job launch such servers.
func launchedInMemory(b *bench, setUp func(n int, server *predicttest.Server)) *servers {
	s := &servers{b: b, setUp: setUp}
	b.launch, b.reach = s.launch, s
	b.job.Predict.Endpoint = nil
	b.job.Predict.Server = &api.Server{Command: []string{os.Args[0]}}
	return s
}

func (s *servers) launch(c launch.Command) (engine.Process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &fakeServer{Server: predicttest.New(predicttest.Options{}), number: len(s.all) + 1, exited: make(chan struct{}), starts: time.Now().Add(s.start)}
	f.transport = f.RoundTripper(s.b.t, 8)
	if s.setUp != nil {
		s.setUp(f.number, f.Server)
	}
	s.all = append(s.all, f)
	return f, nil
}

// RoundTrip reaches the server that a request's host names.
func (s *servers) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	var f *fakeServer
	for _, candidate := range s.all {
		if candidate.host() == r.URL.Host {
			f = candidate
		}
	}
	s.mu.Unlock()
	switch {
	case f.gone():
		return nil, errors.New("connection refused")
	case time.Now().Before(f.starts):
		return nil, errors.New("not listening yet")
	}
	r = r.Clone(r.Context())
	memory, _ := url.Parse(predicttest.MemoryURL)
	r.URL.Host = memory.Host
	return f.transport.RoundTrip(r)
}

// server is the n-th that was launched.
func (s *servers) server(n int) *fakeServer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[n-1]
}

func (s *servers) launches() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// sent counts the main requests of each server.
func (s *servers) sent() map[int]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[int]int{}
	for _, f := range s.all {
		for _, send := range f.Sends() {
			if send.Purpose == "" {
				counts[f.number]++
			}
		}
	}
	return counts
}

type fakeServer struct {
	*predicttest.Server
	number    int
	starts    time.Time
	transport *http.Transport
	once      sync.Once
	exited    chan struct{}
}

func (f *fakeServer) host() string { return fmt.Sprintf("server-%d", f.number) }
func (f *fakeServer) gone() bool {
	select {
	case <-f.exited:
		return true
	default:
		return false
	}
}

// die ends it by itself.
func (f *fakeServer) die() { f.once.Do(func() { close(f.exited) }) }

func (f *fakeServer) Start() error            { return nil }
func (f *fakeServer) PID() int                { return f.number }
func (f *fakeServer) StartTime() string       { return "" }
func (f *fakeServer) URL() string             { return "http://" + f.host() }
func (f *fakeServer) Exited() <-chan struct{} { return f.exited }
func (f *fakeServer) LastOutput() time.Time   { return time.Time{} }
func (f *fakeServer) ExitError() error        { return fmt.Errorf("server %d died", f.number) }
func (f *fakeServer) Stop(context.Context, time.Duration) error {
	f.die()
	return nil
}

// kinds counts a run's events.
func (b *bench) kinds(id string) map[string]int {
	b.t.Helper()
	events, err := b.store.Events(id)
	must(b.t, err)
	counts := map[string]int{}
	for _, e := range events {
		counts[e.Kind]++
	}
	return counts
}

func TestReplicasSpreadTheRequests(t *testing.T) {
	inMemory(t, func(b *bench) {
		s := launchedInMemory(b, func(_ int, server *predicttest.Server) {
			server.Inject(predicttest.Fault{Delay: time.Second})
		})
		b.job.Predict.Server.Replicas = new(int64(3))
		b.job.Predict.RowsPerRequest = new(int64(1))
		b.job.Parallelism = new(int64(3))
		run := b.day(0)
		if run.State != api.RunSucceeded || run.Launches != 3 {
			b.t.Fatalf("run ended %s after %d launches: %s", run.State, run.Launches, run.Message)
		}
		if sent := s.sent(); min(sent[1], sent[2], sent[3]) < 7 {
			b.t.Errorf("of 30 requests the servers got %v", sent)
		}
	})
}

func TestARunBeginsWithTheFirstReadyServer(t *testing.T) {
	inMemory(t, func(b *bench) {
		s := launchedInMemory(b, func(n int, server *predicttest.Server) { server.SetReady(n == 2) })
		b.job.Predict.Server.Replicas = new(int64(2))
		run := b.day(0)
		if run.State != api.RunSucceeded || s.sent()[1] != 0 || s.sent()[2] != 6 {
			b.t.Fatalf("run ended %s, requests %v: %s", run.State, s.sent(), run.Message)
		}
		for n := range s.launches() {
			if !s.server(n + 1).gone() {
				b.t.Errorf("server %d outlives its run", n+1)
			}
		}
	})
}

func TestALostReplicaIsReplacedAndTheOthersGoOn(t *testing.T) {
	inMemory(t, func(b *bench) {
		var s *servers
		s = launchedInMemory(b, func(n int, server *predicttest.Server) {
			server.Inject(predicttest.Fault{Delay: time.Second})
			if n == 1 {
				server.Inject(predicttest.Fault{Skip: 3, Do: func() { s.server(1).die() }, Reset: true})
			}
		})
		b.job.Predict.Server.Replicas = new(int64(2))
		b.job.Predict.RowsPerRequest = new(int64(1))
		run := b.day(0)
		if run.State != api.RunSucceeded || run.Launches != 3 || run.Counts.Committed != 30 {
			b.t.Fatalf("run ended %s after %d launches, %+v: %s", run.State, run.Launches, run.Counts, run.Message)
		}
		if sent := s.sent(); sent[2] <= sent[3] || sent[3] == 0 {
			b.t.Errorf("requests %v: the other replica did not go on, or the new one got none", sent)
		}
		if k := b.kinds(run.ID); k["server_lost"] != 1 || k["launch"] != 3 || k["ready"] != 3 {
			b.t.Errorf("events %v", k)
		}
		rows := b.published(b.folder(occurrence))
		if len(rows) != 30 {
			b.t.Errorf("%d records are published", len(rows))
		}
	})
}

// With its budget spent a run goes on with what is left of its servers.
func TestLossesAreBudgeted(t *testing.T) {
	for _, c := range []struct {
		replicas, launches int64
		state              api.RunState
	}{
		{1, 3, api.RunFailed},    // lost three times: none is left
		{2, 4, api.RunSucceeded}, // three replacements' worth of losses, and one that lives
	} {
		t.Run(fmt.Sprint(c.replicas), func(t *testing.T) {
			inMemory(t, func(b *bench) {
				var s *servers
				s = launchedInMemory(b, func(n int, server *predicttest.Server) {
					server.Inject(predicttest.Fault{Delay: time.Second})
					if c.replicas == 1 || n != 2 {
						server.Inject(predicttest.Fault{Skip: 1, Do: func() { s.server(n).die() }, Reset: true})
					}
				})
				b.job.Predict.Server.Replicas, b.job.Parallelism = new(c.replicas), new(c.replicas)
				b.job.Predict.RowsPerRequest = new(int64(1))
				// Each loss strikes other mini-batches, so that none is suspected.
				b.job.MiniBatch.Rows = new(int64(1))
				run := b.day(0)
				if run.State != c.state || run.Launches != c.launches {
					b.t.Fatalf("run ended %s(%s) after %d launches, %v: %s", run.State, run.Reason, run.Launches, s.sent(), run.Message)
				}
				if c.state == api.RunFailed && (run.Reason != api.ReasonServerLost || !strings.Contains(run.Message, "lost 3 times")) {
					b.t.Errorf("it failed with %s: %s", run.Reason, run.Message)
				}
			})
		})
	}
}

// Where max_failed allows it, a run whose servers are spent ends by what it
// has: what is left is given up, and carried where the policy says so.
func TestARunWithoutServersEndsByWhatItHas(t *testing.T) {
	for policy, left := range map[string]func(api.Counts) int64{
		api.PolicyPartial:   func(c api.Counts) int64 { return c.GivenUp },
		api.PolicyNextBatch: func(c api.Counts) int64 { return c.Carried },
	} {
		t.Run(policy, func(t *testing.T) {
			inMemory(t, func(b *bench) {
				var s *servers
				s = launchedInMemory(b, func(n int, server *predicttest.Server) {
					server.Inject(predicttest.Fault{Skip: 2, Do: func() { s.server(n).die() }, Reset: true})
				})
				b.job.Predict.RowsPerRequest, b.job.Parallelism = new(int64(1)), new(int64(1))
				b.job.MiniBatch.Rows = new(int64(1))
				b.job.MaxFailed = "99%"
				b.job.Retry = &api.Retry{Policy: policy}
				run := b.day(0)
				if run.State != api.RunIncomplete || run.Counts.Committed == 0 || left(run.Counts) != run.Counts.Planned-run.Counts.Committed {
					b.t.Fatalf("run ended %s(%s): %+v: %s", run.State, run.Reason, run.Counts, run.Message)
				}
			})
		})
	}
}

func TestIdleServersAreStoppedAndLaunchedAgain(t *testing.T) {
	inMemory(t, func(b *bench) {
		s := launchedInMemory(b, func(n int, server *predicttest.Server) {
			if n == 1 { // the first launch throttles one mini-batch for ten minutes
				server.Inject(predicttest.Fault{Record: "11", Status: 429, Header: map[string]string{"Retry-After": "600"}})
			}
		})
		s.start = 30 * time.Second
		b.start()
		begun := time.Now()
		run := b.rested(b.queue(occurrence).ID)
		if run.State != api.RunSucceeded || run.Launches != 2 || run.Counts.Committed != 30 {
			b.t.Fatalf("run ended %s after %d launches: %s", run.State, run.Launches, run.Message)
		}
		if k := b.kinds(run.ID); k["idle"] != 1 || k["server_lost"] != 0 {
			b.t.Errorf("events %v", k)
		}
		if took := time.Since(begun); run.ServerSeconds > 120 || took < 10*time.Minute {
			b.t.Errorf("in %s the servers lived %.0f seconds", took, run.ServerSeconds)
		}
	})
}

func TestServersThatStartSlowlyAreKeptThroughAShortPause(t *testing.T) {
	inMemory(t, func(b *bench) {
		s := launchedInMemory(b, func(_ int, server *predicttest.Server) {
			server.Inject(predicttest.Fault{Record: "11", Times: 1, Status: 429, Header: map[string]string{"Retry-After": "60"}})
		})
		s.start = 5 * time.Minute
		run := b.day(0)
		if k := b.kinds(run.ID); run.State != api.RunSucceeded || run.Launches != 1 || k["idle"] != 0 {
			b.t.Fatalf("run ended %s after %d launches, events %v: %s", run.State, run.Launches, k, run.Message)
		}
	})
}

// A replica that never comes up does not stop a run that has another.
func TestARunGoesOnWithFewerServers(t *testing.T) {
	inMemory(t, func(b *bench) {
		var s *servers
		s = launchedInMemory(b, func(n int, server *predicttest.Server) {
			server.Inject(predicttest.Fault{Delay: time.Minute})
			if n != 1 {
				server.SetReady(false)
				time.AfterFunc(time.Millisecond, func() { s.server(n).die() })
			}
		})
		b.job.Predict.RequestTimeout = "5m"
		b.job.Predict.Server.Replicas = new(int64(2))
		run := b.day(0)
		if run.State != api.RunSucceeded || run.Launches != 4 || s.sent()[1] != 6 {
			b.t.Fatalf("run ended %s after %d launches, %v: %s", run.State, run.Launches, s.sent(), run.Message)
		}
	})
}

// The budget of a run attempt outlives the runner.
func TestARestartGivesNoLossBack(t *testing.T) {
	inMemory(t, func(b *bench) {
		var s *servers
		s = launchedInMemory(b, func(n int, server *predicttest.Server) {
			if n == 3 {
				server.Inject(predicttest.Fault{Hang: true})
				return
			}
			server.Inject(predicttest.Fault{Skip: 1, Do: func() { s.server(n).die() }, Reset: true})
		})
		b.job.Parallelism, b.job.MiniBatch.Rows, b.job.Predict.RequestTimeout = new(int64(1)), new(int64(1)), "1h"
		b.start()
		id := b.queue(occurrence).ID
		b.inTime("the third server to be asked", func() bool { return s.launches() == 3 && s.sent()[3] == 1 })
		b.stop()
		b.start()
		run := b.rested(id)
		if run.State != api.RunFailed || run.Reason != api.ReasonServerLost || run.Launches != 4 || !strings.Contains(run.Message, "lost 3 times") {
			b.t.Fatalf("run ended %s(%s) after %d launches: %s", run.State, run.Reason, run.Launches, run.Message)
		}
		// A retry has a budget of its own.
		if run := b.retry(id); run.Launches != 7 || !strings.Contains(run.Message, "lost 3 times") {
			b.t.Errorf("the retry ended %s(%s) after %d launches: %s", run.State, run.Reason, run.Launches, run.Message)
		}
	})
}

// inTime waits in the bubble's time.
func (b *bench) inTime(what string, there func() bool) {
	b.t.Helper()
	for range 10_000 {
		if there() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.t.Fatalf("waited too long for %s", what)
}

func TestReplicasOfRealProcesses(t *testing.T) {
	b := newBench(t)
	launched(b, "dies once")
	b.job.Predict.Server.Replicas = new(int64(2))
	run := b.run()
	// The survivor may be done before the replacement is launched.
	if run.State != api.RunSucceeded || run.Launches < 2 || run.Launches > 3 || run.Counts.Committed != 150 {
		t.Fatalf("run ended %s after %d launches: %s", run.State, run.Launches, run.Message)
	}
	if pids := b.servers(); len(pids) > 0 {
		t.Errorf("servers %v outlive their run", pids)
	}
	if k := b.kinds(run.ID); k["server_lost"] != 1 {
		t.Errorf("events %v", k)
	}
	log, err := os.ReadFile(b.engine.LogPath(run.ID))
	must(t, err)
	wrote := map[string]bool{}
	for line := range strings.Lines(string(log)) {
		number, text, found := strings.Cut(line, " ")
		if !found || !slices.Contains([]string{"[1]", "[2]", "[3]"}, number) || !strings.HasSuffix(text, "\n") {
			t.Errorf("the log has the line %q", line)
		}
		wrote[number] = wrote[number] || text == "loading the model\n"
	}
	if len(wrote) < 2 {
		t.Errorf("the log has lines of %v", wrote)
	}
}

// changing makes the job's model file change when its first server dies.
func changing(b *bench, policy, onChange string) {
	launched(b, "dies once")
	model := filepath.Join(b.dir, "model.bin")
	must(b.t, os.WriteFile(model, []byte("v1"), 0o600))
	b.job.Predict.Server.Env["TEST_MODEL"] = model
	b.job.Predict.Server.ModelFiles = []string{filepath.Join(b.dir, "model.*")}
	b.job.Predict.OnModelChange = onChange
	if policy == api.PolicyComplete {
		b.job.Retry, b.job.MaxFailed = &api.Retry{Policy: policy, Attempts: new(int64(1)), Backoff: []api.Duration{"1ms"}}, ""
	}
}

func TestAModelThatChangesBetweenLaunches(t *testing.T) {
	t.Run("fails the run", func(t *testing.T) {
		b := newBench(t)
		changing(b, api.PolicyPartial, api.ModelChangeFail)
		run := b.run()
		if run.State != api.RunFailed || run.Reason != api.ReasonModelChanged {
			t.Fatalf("run ended %s(%s): %s", run.State, run.Reason, run.Message)
		}
		for _, text := range []string{"the model files", "on_model_change"} {
			if !strings.Contains(run.Message, text) {
				t.Errorf("%q does not appear in: %s", text, run.Message)
			}
		}
	})
	t.Run("begins a new attempt of a complete run", func(t *testing.T) {
		b := newBench(t)
		changing(b, api.PolicyComplete, api.ModelChangeFail)
		run := b.run()
		if run.State != api.RunSucceeded || run.Attempt != 2 || run.Counts.Committed != 150 {
			t.Fatalf("run ended %s(%s) in attempt %d: %s", run.State, run.Reason, run.Attempt, run.Message)
		}
	})
	t.Run("is noted where the run may go on", func(t *testing.T) {
		b := newBench(t)
		changing(b, api.PolicyPartial, api.ModelChangeContinue)
		b.job.Parallelism = new(int64(1)) // so that some mini-batches are staged before
		run := b.run()
		if run.State != api.RunSucceeded || run.Counts.Committed != 150 || b.kinds(run.ID)["model_changed"] != 1 {
			t.Fatalf("run ended %s(%s), events %v: %s", run.State, run.Reason, b.kinds(run.ID), run.Message)
		}
		prints := map[string]bool{}
		for _, part := range b.manifest(b.folder(occurrence)).Parts {
			prints[part.Fingerprint] = true
		}
		if len(prints) != 2 || !prints[run.Fingerprint] || prints[""] {
			t.Errorf("the manifest tells of models %v; the run began with %s", prints, run.Fingerprint)
		}
	})
}

// A model that nothing was predicted with binds nobody: its command may be
// corrected before a retry.
func TestARetryMayHaveAnotherModelWhileNothingIsPredicted(t *testing.T) {
	inMemory(t, func(b *bench) {
		launchedInMemory(b, func(n int, server *predicttest.Server) {
			if n == 1 {
				server.Inject(predicttest.Fault{Status: 401})
			}
		})
		first := b.day(0)
		b.job.Predict.Server.Command = append(b.job.Predict.Server.Command, "--with-the-key")
		b.put()
		second := b.retry(first.ID)
		if first.State != api.RunFailed || second.State != api.RunSucceeded {
			b.t.Fatalf("runs ended %s and %s(%s): %s", first.State, second.State, second.Reason, second.Message)
		}
		if first.Fingerprint == "" || first.Fingerprint == second.Fingerprint {
			b.t.Errorf("the fingerprints are %q and %q", first.Fingerprint, second.Fingerprint)
		}
	})
}

func TestAModelFileThatIsMissingIsNamed(t *testing.T) {
	b := newBench(t)
	launched(b, "good")
	b.job.Predict.Server.ModelFiles = []string{filepath.Join(b.dir, "no-such-model")}
	run := b.run()
	if run.State != api.RunFailed || run.Reason != api.Reason(api.ClassConfig) || run.Launches != 0 || !strings.Contains(run.Message, "no-such-model") {
		t.Fatalf("run ended %s(%s) after %d launches: %s", run.State, run.Reason, run.Launches, run.Message)
	}
}

func TestAServerWithAnotherVersionFailsTheRun(t *testing.T) {
	b := newBench(t)
	b.reach = answering{"/v2/models/m/versions/3", `{"name":"m","versions":["1","2"]}`}
	b.job.Predict.Model.Version = "3"
	run := b.run()
	if run.State != api.RunFailed || run.Reason != api.Reason(api.ClassConfig) {
		t.Fatalf("run ended %s(%s): %s", run.State, run.Reason, run.Message)
	}
	for _, text := range []string{`"3"`, `["1" "2"]`, "predict.model"} {
		if !strings.Contains(run.Message, text) {
			t.Errorf("%q does not appear in: %s", text, run.Message)
		}
	}
}

// answering reaches the servers of a test, and answers one address by itself.
type answering struct{ path, body string }

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path != a.path {
		return http.DefaultTransport.RoundTrip(r)
	}
	return &http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Request: r,
		Body: io.NopCloser(strings.NewReader(a.body)), ContentLength: int64(len(a.body))}, nil
}

func TestTheGoldenRecordWarmsTheModelUp(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.job.Predict.Golden = map[string]string{"a": "4711", "b": "0"}
		b.day(0)
		if seen := b.server.Seen("warm-up"); len(seen) != 1 || seen["4711"] != 1 {
			b.t.Errorf("the warm-up sent %v", seen)
		}
	})
}

// undying is a server that no signal ends, as one that hangs in a driver.
type undying struct {
	engine.Process
	exited chan struct{}
}

func (u undying) Exited() <-chan struct{} { return u.exited }
func (u undying) Stop(context.Context, time.Duration) error {
	return errors.New("it does not end after SIGKILL")
}

func TestAServerThatCannotBeKilledKeepsNoRun(t *testing.T) {
	inMemory(t, func(b *bench) {
		servers := launchedInMemory(b, nil)
		b.launch = func(c launch.Command) (engine.Process, error) {
			server, err := servers.launch(c)
			return undying{server, make(chan struct{})}, err
		}
		b.expect(b.day(0), "succeeded() 30/0/0/0")
	})
}
