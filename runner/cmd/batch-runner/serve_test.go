package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/client"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

func TestServeRunsUntilItIsToldToStop(t *testing.T) {
	b := newBench(t)
	data := filepath.Join(b.dir, "data")
	b.env["BATCH_RUNNER_DATA_DIR"], b.env["BATCH_RUNNER_LOG_FORMAT"] = data, "json"
	var (
		serving sync.WaitGroup
		s       said
	)
	serving.Go(func() { s = b.cli("serve", "--config-hash", "h1") })
	c, err := client.New(client.Options{Endpoint: client.SocketEndpoint(data)})
	must(t, err)
	defer c.Close()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); c.Ready(t.Context()) != nil; {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the daemon is not ready")
		}
	}
	info, err := c.Info(t.Context())
	must(t, err)
	if info.ConfigHash != "h1" || info.DataDir != data {
		t.Errorf("info is %+v", info)
	}
	b.stop <- syscall.SIGTERM
	serving.Wait()
	if s.code != exitDone {
		t.Errorf("exit code %d: %s", s.code, s.err)
	}
	for line := range strings.Lines(s.err) {
		if !json.Valid([]byte(line)) {
			t.Errorf("%q is not JSON", line)
		}
	}
	contains(t, s.err, "runner is ready", "runner drains", "runner stopped")
}

func TestWaitingForARunOutlastsARestartOfTheRunner(t *testing.T) {
	b := newBench(t)
	c, stop := b.startRunner()
	b.declare(c, b.job("iris", 1, 150))
	release := b.model.Inject(predicttest.Fault{Record: "41", Hang: true})
	var (
		waiting sync.WaitGroup
		s       said
	)
	waiting.Go(func() { s = b.cli("run", "iris", "--wait") })
	must(t, b.model.WaitSent(t.Context(), 3)) // the third mini-batch hangs
	stop()
	release()
	b.startRunner()
	waiting.Wait()
	if s.code != exitDone {
		t.Errorf("exit code %d: %s", s.code, s.err)
	}
}

func TestAWrongVariableIsNamed(t *testing.T) {
	b := newBench(t)
	b.env["BATCH_RUNNER_DRAIN_TIMEOUT"] = "soon"
	contains(t, b.expect(exitUsage, "serve", "--data-dir", b.dir).err, "BATCH_RUNNER_DRAIN_TIMEOUT", "soon")
}
