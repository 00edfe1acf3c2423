package runner_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// folder is a folder with a short path, since sockets take no other.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "r")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

// start starts a runner that ends with the test.
func start(t *testing.T, o runner.Options) *runner.Runner {
	t.Helper()
	r, err := runner.New(t.Context(), o)
	must(t, err)
	t.Cleanup(func() { stop(t, r) })
	must(t, r.Start(t.Context()))
	return r
}

func stop(t *testing.T, r *runner.Runner) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func connect(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	c, err := client.New(o)
	must(t, err)
	t.Cleanup(c.Close)
	return c
}

// job is a job over 150 records in mini-batches of 20, one at a time.
func job(t *testing.T, dir, url string) api.Job {
	t.Helper()
	lines := []string{"id,a,b"}
	for i := 1; i <= 150; i++ {
		lines = append(lines, fmt.Sprintf("%d,%d,0.5", i, i))
	}
	must(t, os.WriteFile(filepath.Join(dir, "in.csv"), []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	return api.Job{
		Name: "iris", Input: api.Input{Files: &api.InputFiles{URI: filepath.Join(dir, "in.csv")}, Key: []string{"id"}},
		MiniBatch: &api.MiniBatchSpec{Rows: new(int64(20))}, Parallelism: new(int64(1)),
		Predict: api.Predict{
			Protocol: api.ProtocolOIPv2, Model: api.Model{Name: "m"}, Features: api.Features{Columns: []string{"a", "b"}},
			Endpoint: &api.Endpoint{URL: url},
		},
		Output: api.Output{Files: &api.OutputFiles{URI: filepath.Join(dir, "out") + "/{date}/"}},
	}
}

func TestARunnerServesItsAPIAndRunsJobs(t *testing.T) {
	dir, model := folder(t), predicttest.New(predicttest.Options{})
	r := start(t, runner.Options{DataDir: filepath.Join(dir, "data"), Version: "1.2.3", ConfigHash: "h"})
	c := connect(t, client.Options{Endpoint: r.Addr()})
	must(t, c.Ready(t.Context()))
	info, err := c.Info(t.Context())
	must(t, err)
	if info.Version != "1.2.3" || info.ConfigHash != "h" || info.Zones == "" || info.Epoch != 1 || info.PID != os.Getpid() {
		t.Errorf("info is %+v", info)
	}
	_, _, err = c.PutJob(t.Context(), "iris", api.PutJob{Spec: job(t, dir, model.Listen(t))}, client.Condition{})
	must(t, err)
	run, _, err := c.StartRun(t.Context(), "iris", api.Trigger{}, "")
	must(t, err)
	if run = await(t, c, run.ID, func(r api.Run) bool { return r.State.Ended() }); run.State != api.RunSucceeded || run.Counts.Committed != 150 {
		t.Errorf("the run is %+v", run)
	}
}

// await asks for a run until it is as wanted; no outcome depends on how often.
func await(t *testing.T, c *client.Client, id string, done func(api.Run) bool) api.Run {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(30 * time.Second); ; {
		run, err := c.Run(t.Context(), id)
		must(t, err)
		if done(run) {
			return run
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("run %s did not get there: %+v", id, run)
		}
	}
}

func TestDeletingAJobEndsItsRunUnderWay(t *testing.T) {
	dir, model := folder(t), predicttest.New(predicttest.Options{})
	model.Inject(predicttest.Fault{Record: "41", Hang: true})
	r := start(t, runner.Options{DataDir: filepath.Join(dir, "data")})
	c := connect(t, client.Options{Endpoint: r.Addr()})
	spec := job(t, dir, model.Listen(t))
	_, _, err := c.PutJob(t.Context(), "iris", api.PutJob{Spec: spec}, client.Condition{})
	must(t, err)
	run, _, err := c.StartRun(t.Context(), "iris", api.Trigger{}, "")
	must(t, err)
	await(t, c, run.ID, func(r api.Run) bool { return r.Counts.Staged == 40 })
	must(t, c.DeleteJob(t.Context(), "iris", false))
	if run, err = c.Run(t.Context(), run.ID); err != nil || run.State != api.RunCancelled {
		t.Fatalf("the run is %+v, %v", run, err)
	}
	// Its slot is free again only once its work was interrupted; the job is
	// declared anew and waits for that.
	_, _, err = c.PutJob(t.Context(), "iris", api.PutJob{Spec: spec}, client.Condition{})
	must(t, err)
	again, _, err := c.StartRun(t.Context(), "iris", api.Trigger{}, "")
	must(t, err)
	await(t, c, again.ID, func(r api.Run) bool { return r.State == api.RunRunning })
}

func TestADataDirHasOneRunnerAndAFailedNewLeavesNothing(t *testing.T) {
	dir := folder(t)
	o := runner.Options{DataDir: dir}
	first, err := runner.New(t.Context(), o)
	must(t, err)
	if _, err := runner.New(t.Context(), o); err == nil || !strings.Contains(err.Error(), "in use by another runner") {
		t.Errorf("a second runner: %v", err)
	}
	stop(t, first) // never started
	bad := o
	bad.Listen = "0.0.0.0:80"
	if _, err := runner.New(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("a bad address: %v", err)
	}
	second, err := runner.New(t.Context(), o)
	must(t, err) // the failed ones gave the data dir back
	stop(t, second)
	if err := second.Start(t.Context()); err == nil {
		t.Error("a stopped runner starts")
	}
}

func TestAPortWantsTheTokenOfTheDataDir(t *testing.T) {
	dir := folder(t)
	o := runner.Options{DataDir: dir, Listen: "127.0.0.1:0"}
	r := start(t, o)
	info, err := os.Stat(filepath.Join(dir, "token"))
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the token has mode %v", info.Mode())
	}
	if err := connect(t, client.Options{Endpoint: r.Addr()}).Ready(t.Context()); api.CodeOf(err) != api.CodeUnauthorized {
		t.Errorf("without a token: %v", err)
	}
	token, err := client.ReadToken(filepath.Join(dir, "token"))
	must(t, err)
	must(t, connect(t, client.Options{Endpoint: r.Addr(), Token: token}).Ready(t.Context()))
	stop(t, r)
	start(t, o)
	if again, err := client.ReadToken(filepath.Join(dir, "token")); err != nil || again != token {
		t.Errorf("the next start has token %q, %v", again, err)
	}
}

func TestAKilledDrainLosesNothingAndPredictGoesOn(t *testing.T) {
	dir, model := folder(t), predicttest.New(predicttest.Options{})
	release := model.Inject(predicttest.Fault{Record: "41", Hang: true})
	p := runner.Prediction{Job: job(t, dir, model.Listen(t)), Actor: "test", Begun: func(api.Run, bool) {}}
	o := runner.Options{DataDir: filepath.Join(dir, "data"), Manual: true}

	first, err := runner.New(t.Context(), o)
	must(t, err)
	interrupted := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	var id string
	p.Progress = func(run api.Run) {
		if id = run.ID; run.Counts.Staged == 40 {
			cancel(interrupted)
		}
	}
	if _, err := first.Predict(ctx, p); !errors.Is(err, interrupted) {
		t.Fatalf("the interrupted Predict gives %v", err)
	}
	first.Kill()
	must(t, first.Stop(t.Context())) // the hanging request would drain forever

	release()
	second, err := runner.New(t.Context(), o)
	must(t, err)
	defer stop(t, second)
	resumed := false
	p.Progress, p.Begun = func(api.Run) {}, func(run api.Run, goesOn bool) { resumed = goesOn && run.ID == id }
	why, err := second.Predict(t.Context(), p)
	must(t, err)
	if !resumed || why.Run.ID != id || why.Run.State != api.RunSucceeded || why.Run.Counts.Committed != 150 {
		t.Errorf("resumed %v, ended %+v", resumed, why.Run)
	}
	for record, times := range model.Predicted() {
		if times != 1 {
			t.Errorf("record %s was predicted %d times", record, times)
		}
	}
}

func TestRunDrainsWhenItsContextEnds(t *testing.T) {
	dir := folder(t)
	r, err := runner.New(t.Context(), runner.Options{DataDir: dir})
	must(t, err)
	must(t, r.Start(t.Context())) // Run's own Start then finds it done
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	must(t, connect(t, client.Options{Endpoint: r.Addr()}).Ready(t.Context()))
	cancel()
	running.Wait()
	if _, err := os.Lstat(filepath.Join(dir, "runner.sock")); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
}

// Start and Stop may come from anywhere, in any order, any number of times.
func TestStartAndStopUnderStress(t *testing.T) {
	for range 10 {
		r, err := runner.New(t.Context(), runner.Options{DataDir: folder(t)})
		must(t, err)
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				switch i % 4 {
				case 0, 1:
					_ = r.Start(t.Context()) // an error where a Stop came first
				case 2:
					stop(t, r)
				case 3:
					r.Kill()
				}
			})
		}
		all.Wait()
		stop(t, r)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func contains(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
}
