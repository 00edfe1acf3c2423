package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

// daemon is batch-runner serve in a process of its own.
type daemon struct {
	*client.Client
	t       *testing.T
	process *exec.Cmd
	log     locked
}

func (b *bench) daemon(flags ...string) *daemon {
	b.t.Helper()
	data := filepath.Join(b.dir, "data")
	d := &daemon{t: b.t, process: exec.Command(os.Args[0], append([]string{"serve", "--data-dir", data}, flags...)...)}
	d.process.Env, d.process.Stderr = append(os.Environ(), asProgram+"=1"), &d.log
	must(b.t, d.process.Start())
	b.t.Cleanup(func() { _ = d.process.Process.Kill() }) // where the test failed
	c, err := client.New(client.Options{Endpoint: client.SocketEndpoint(data)})
	must(b.t, err)
	b.t.Cleanup(c.Close)
	d.Client = c
	d.until("the daemon is ready", func() bool { return c.Ready(b.t.Context()) == nil })
	return d
}

func (d *daemon) until(what string, is func() bool) {
	d.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); !is(); {
		select {
		case <-tick.C:
		case <-deadline:
			d.t.Fatalf("it does not come to pass that %s:\n%s", what, d.log.String())
		}
	}
}

// runTo starts a run of iris and waits until so many records are staged and the
// request for the next ones is under way.
func (d *daemon) runTo(b *bench, staged int64) (id string) {
	d.t.Helper()
	b.declare(d.Client, b.job("iris", 1, 150))
	run, _, err := d.StartRun(d.t.Context(), "iris", api.Trigger{}, "")
	must(d.t, err)
	d.until("mini-batches are staged", func() bool {
		run, err = d.Run(d.t.Context(), run.ID)
		return err == nil && run.Counts.Staged == staged
	})
	must(d.t, b.model.WaitSent(d.t.Context(), int(staged/20)+1))
	return run.ID
}

func (d *daemon) signal(s os.Signal) {
	d.t.Helper()
	must(d.t, d.process.Process.Signal(s))
}

// ends waits until the process has ended by itself, and well.
func (d *daemon) ends() {
	d.t.Helper()
	if err := d.process.Wait(); err != nil {
		d.t.Errorf("it ended with %v:\n%s", err, d.log.String())
	}
}

// finished has the next daemon end the run, and tells how often each record
// was predicted by then.
func (b *bench) finished(id string) map[string]int {
	b.t.Helper()
	d := b.daemon()
	d.until("the run has succeeded", func() bool {
		run, err := d.Run(b.t.Context(), id)
		return err == nil && run.State == api.RunSucceeded && run.Counts.Committed == 150 && run.Attempt == 1
	})
	d.signal(syscall.SIGTERM)
	d.ends()
	return b.model.Predicted()
}

func TestASignalDrainsWhatIsInFlightAndTheRestGoesOnLater(t *testing.T) {
	b := newBench(t)
	hang := make(chan struct{})
	answer := sync.OnceFunc(func() { close(hang) })
	t.Cleanup(answer)
	b.model.Inject(predicttest.Fault{Record: "41", Do: func() { <-hang }})
	d := b.daemon()
	id := d.runTo(b, 40)
	d.signal(syscall.SIGTERM)
	d.until("it says that it drains", func() bool { return d.Ready(t.Context()) != nil })
	answer() // the request in flight
	d.ends()
	for record, times := range b.finished(id) {
		if times != 1 { // what was in flight was finished, and nothing begun
			t.Errorf("record %s was predicted %d times", record, times)
		}
	}
}

func TestASecondSignalEndsWhatIsInFlightAndNothingIsLost(t *testing.T) {
	b := newBench(t)
	b.model.Inject(predicttest.Fault{Record: "41", Hang: true, Times: 1})
	d := b.daemon("--drain-timeout", "1h")
	id := d.runTo(b, 40)
	d.signal(syscall.SIGTERM)
	d.until("it says that it drains", func() bool { return d.Ready(t.Context()) != nil })
	d.signal(syscall.SIGTERM)
	d.ends() // though the request in flight hangs
	for record, times := range b.finished(id) {
		if times != 1 {
			t.Errorf("record %s was predicted %d times", record, times)
		}
	}
}
