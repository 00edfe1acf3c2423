package engine_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

// serve is this test binary as a prediction server that the engine launches:
// mode says how it misbehaves.
func serve(mode string) {
	fmt.Fprintln(os.Stderr, "loading the model")
	server := predicttest.New(predicttest.Options{})
	switch mode {
	case "dies":
		fmt.Fprintln(os.Stderr, "the model file is missing")
		os.Exit(3)
	case "never ready":
		server.SetReady(false)
	case "dies once", "dies always":
		marker := os.Getenv("TEST_MARKER")
		died := func() bool { _, err := os.Stat(marker); return err == nil }
		if mode == "dies always" || !died() {
			server.Inject(predicttest.Fault{Purpose: predicttest.AnyPurpose, Record: "41", Do: func() {
				if mode == "dies once" && died() { // of another replica
					return
				}
				_ = os.WriteFile(marker, nil, 0o600)
				if model := os.Getenv("TEST_MODEL"); model != "" {
					_ = os.WriteFile(model, []byte("v2"), 0o600)
				}
				fmt.Fprintln(os.Stderr, "out of memory")
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}})
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = http.Serve(listener, server)
}

// launched makes the job launch this test binary as its server.
func launched(b *bench, mode string) {
	b.job.Predict.Endpoint = nil
	b.job.Predict.Server = &api.Server{
		Command:      []string{os.Args[0], "{port}"},
		Env:          map[string]string{"TEST_SERVER": mode, "TEST_MARKER": filepath.Join(b.dir, "marker")},
		StartTimeout: "10s",
	}
}

func TestALaunchedServerLivesAsLongAsItsRun(t *testing.T) {
	b := newBench(t)
	launched(b, "good")
	run := b.run()
	if run.State != api.RunSucceeded || run.Launches != 1 || run.Counts.Committed != 150 {
		t.Fatalf("run ended %s after %d launches: %s", run.State, run.Launches, run.Message)
	}
	if pids := b.servers(); len(pids) > 0 {
		t.Errorf("servers %v outlive their run", pids)
	}
	log, err := os.ReadFile(b.engine.LogPath(run.ID))
	if err != nil || !strings.Contains(string(log), "loading the model") {
		t.Errorf("the server's output is not kept: %q %v", log, err)
	}
}

func TestLaunchedServersThatFail(t *testing.T) {
	for _, f := range []struct {
		mode     string
		state    api.RunState
		reason   api.Reason
		launches int64 // 0: it depends on what else was in flight
		dead     int64
		text     []string
	}{
		{"dies", api.RunFailed, api.ReasonLaunchFailed, 3, 0, []string{"3 launches failed", "code 3", "the model file is missing", "batch-runner logs"}},
		{"never ready", api.RunFailed, api.ReasonStartTimeout, 3, 0, []string{"not ready", "503", "1s"}},
		{"dies once", api.RunSucceeded, "", 2, 0, nil},
		{"dies always", api.RunIncomplete, "", 0, 1, nil}, // of one record, which is found
	} {
		t.Run(f.mode, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			launched(b, f.mode)
			if f.mode == "never ready" {
				b.job.Predict.Server.StartTimeout = "1s"
			}
			run := b.run()
			if run.State != f.state || run.Reason != f.reason || f.launches > 0 && run.Launches != f.launches {
				t.Fatalf("run ended %s(%s) after %d launches: %s", run.State, run.Reason, run.Launches, run.Message)
			}
			for _, text := range f.text {
				if !strings.Contains(run.Message, text) {
					t.Errorf("%q does not appear in: %s", text, run.Message)
				}
			}
			if f.state != api.RunFailed && (run.Counts.Committed != 150-f.dead || run.Counts.DeadLettered != f.dead) {
				t.Errorf("counts are %+v", run.Counts)
			}
			if pids := b.servers(); len(pids) > 0 {
				t.Errorf("servers %v outlive their run", pids)
			}
		})
	}
}

func TestACommandThatDoesNotExistFailsTheRunAtOnce(t *testing.T) {
	b := newBench(t)
	b.job.Predict.Endpoint = nil
	b.job.Predict.Server = &api.Server{Command: []string{"no-such-program"}}
	run := b.run()
	if run.State != api.RunFailed || run.Reason != api.ReasonLaunchFailed || run.Launches != 0 || !strings.Contains(run.Message, "no-such-program") {
		t.Fatalf("run ended %s(%s) after %d launches: %s", run.State, run.Reason, run.Launches, run.Message)
	}
}

// servers are the processes that hold a launch id of this data dir.
func (b *bench) servers() []string {
	b.t.Helper()
	var found []string
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	must(b.t, err)
	for _, path := range environs {
		environ, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(environ), "BATCH_LAUNCH_ID="+b.store.RunnerID()) {
			found = append(found, path)
		}
	}
	return found
}
