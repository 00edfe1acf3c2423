package runner_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
	"github.com/batchpattern/terraform-provider-batch/runner"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

func TestARunOlderThanTheHistoryLosesItsDetailsAndItsLogs(t *testing.T) {
	dir, model, clock := folder(t), predicttest.New(predicttest.Options{}), &hand{}
	data := filepath.Join(dir, "data")
	o := runner.Options{DataDir: data, Now: clock.now, KeepHistory: 24 * time.Hour}
	clock.set(1, 0)
	r := start(t, o)
	c := connect(t, client.Options{Endpoint: r.Addr()})
	_, _, err := c.PutJob(t.Context(), "iris", api.PutJob{Spec: job(t, dir, model.Listen(t))}, client.Condition{})
	must(t, err)
	runs := map[string]string{} // with the folder of its log
	for _, name := range []string{"old", "last"} {
		clock.Add(int64(time.Hour))
		run, _, err := c.StartRun(t.Context(), "iris", api.Trigger{}, "")
		must(t, err)
		await(t, c, run.ID, func(r api.Run) bool { return r.State == api.RunSucceeded })
		runs[name] = run.ID
		must(t, os.MkdirAll(filepath.Join(data, "runs", run.ID), 0o700))
		must(t, os.WriteFile(filepath.Join(data, "runs", run.ID, "server.log"), []byte("log"), 0o600))
	}
	stop(t, r)
	clock.Add(int64(48 * time.Hour))
	c = connect(t, client.Options{Endpoint: start(t, o).Addr()})
	await(t, c, runs["old"], func(api.Run) bool {
		_, err := os.Stat(filepath.Join(data, "runs", runs["old"]))
		return errors.Is(err, fs.ErrNotExist)
	})
	_, err = c.Retry(t.Context(), runs["old"], api.RetryRun{})
	if api.CodeOf(err) != api.CodeConflict {
		t.Errorf("going on with it: %v", err)
	}
	run, err := c.Run(t.Context(), runs["old"])
	if err != nil || run.State != api.RunSucceeded || run.Counts.Committed != 150 {
		t.Errorf("its row is %+v, %v", run, err)
	}
	if _, err := os.Stat(filepath.Join(data, "runs", runs["last"], "server.log")); err != nil {
		t.Errorf("the last run's log: %v", err)
	}
}

func TestAHistoryOfLessThanADayIsASlipOfThePen(t *testing.T) {
	_, err := runner.New(t.Context(), runner.Options{DataDir: folder(t), KeepHistory: time.Hour})
	if err == nil {
		t.Fatal("it is taken")
	}
	contains(t, err.Error(), "keep-history 1h0m0s", "24h")
}
