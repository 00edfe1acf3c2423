//go:build unix

package runner_test

import (
	"math"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
	"github.com/batchpattern/terraform-provider-batch/runner"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

// fillDisk makes every write of this process behind the first few kilobytes of
// a file fail, as a full disk does; what it gives makes room again.
func fillDisk(t *testing.T) (makeRoom func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ) // which would end the process
	set := func(bytes uint64) {
		var limit syscall.Rlimit
		must(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
		limit.Cur = min(bytes, limit.Max)
		must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
	}
	makeRoom = func() { set(math.MaxUint64) }
	t.Cleanup(makeRoom)
	set(8 << 10)
	return makeRoom
}

func TestAFullDiskRefusesRunsAndFailsNone(t *testing.T) {
	dir, model := folder(t), predicttest.New(predicttest.Options{})
	hang := make(chan struct{})
	answer := sync.OnceFunc(func() { close(hang) })
	t.Cleanup(answer)
	model.Inject(predicttest.Fault{Record: "41", Do: func() { <-hang }})
	r := start(t, runner.Options{DataDir: filepath.Join(dir, "data")})
	c := connect(t, client.Options{Endpoint: r.Addr()})
	spec := job(t, dir, model.Listen(t))
	_, _, err := c.PutJob(t.Context(), "iris", api.PutJob{Spec: spec}, client.Condition{})
	must(t, err)
	run, _, err := c.StartRun(t.Context(), "iris", api.Trigger{}, "")
	must(t, err)
	await(t, c, run.ID, func(r api.Run) bool { return r.Counts.Staged == 40 })

	must(t, model.WaitSent(t.Context(), 3)) // the third mini-batch is in flight
	makeRoom := fillDisk(t)
	answer() // what can't be stored
	_, _, err = c.StartRun(t.Context(), "iris", api.Trigger{}, "another")
	if api.CodeOf(err) != api.CodeUnavailable {
		t.Fatalf("a new run is answered with %v", err)
	}
	contains(t, err.Error(), "can't be written", "make room")
	if err := c.Ready(t.Context()); api.CodeOf(err) != api.CodeUnavailable {
		t.Errorf("it is ready: %v", err)
	}
	status, err := c.Status(t.Context(), "iris")
	if err != nil || status.ActiveRun == nil || status.ActiveRun.State != api.RunRunning || status.ActiveRun.Counts.Staged != 40 {
		t.Errorf("the status is %+v, %v", status, err)
	}

	makeRoom()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(30 * time.Second); c.Ready(t.Context()) != nil; {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("there is room, and it is not ready")
		}
	}
	if run = await(t, c, run.ID, func(r api.Run) bool { return r.State.Ended() }); run.State != api.RunSucceeded || run.Counts.Committed != 150 {
		t.Errorf("the run is %+v", run)
	}
	again, _, err := c.StartRun(t.Context(), "iris", api.Trigger{}, "")
	must(t, err)
	await(t, c, again.ID, func(r api.Run) bool { return r.State == api.RunSucceeded })
}
