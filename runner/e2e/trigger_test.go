//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// A runner killed around the transaction that decides what is due decides
// each occurrence once: none twice, none lost, whatever the outage.
func TestKillAroundTheDecidingTransaction(t *testing.T) {
	for _, failpoint := range []string{"trigger.before_commit:3", "trigger.after_commit:3"} {
		t.Run(failpoint, func(t *testing.T) {
			w := newWorld(t, "")
			w.job.Schedule = &api.Schedule{Every: "1s"}
			w.job.Output.Files.URI = w.output() + "/"

			first := w.serve(failpoint)
			w.put()
			err := first.Wait() // killed at the third decision
			w.assertReached(failpoint, "", err)

			second := w.serve("")
			decisions := w.awaitDecisions(6)
			w.must(second.Process.Signal(syscall.SIGTERM))
			if err := second.Wait(); err != nil {
				t.Errorf("the runner drained with %v", err)
			}

			// On a grid of seconds, rows that tile their span have decided each
			// occurrence exactly once. They come newest first.
			runs := map[time.Time]int{}
			for i, d := range decisions {
				if d.Count != int64(d.Last.Sub(d.First)/time.Second)+1 {
					t.Errorf("%s to %s counts %d", d.First, d.Last, d.Count)
				}
				if i > 0 && !decisions[i-1].First.Equal(d.Last.Add(time.Second)) {
					t.Errorf("between %s and %s occurrences are lost or doubled", d.Last, decisions[i-1].First)
				}
				if d.Verdict == api.VerdictRun {
					runs[d.First]++
				}
			}
			if len(runs) == 0 {
				t.Error("nothing ran")
			}
			if left := w.orphans(); len(left) > 0 {
				t.Errorf("prediction servers are left: %v", left)
			}
		})
	}
}

// serve starts the daemon and waits until it is ready.
func (w *world) serve(failpoint string) *exec.Cmd {
	w.t.Helper()
	cmd := exec.Command(binary, "serve", "--data-dir", w.dataDir())
	cmd.Env = append(os.Environ(), w.failpointEnv(failpoint)...)
	log, err := os.OpenFile(filepath.Join(w.dir, "runner.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	w.must(err)
	cmd.Stdout, cmd.Stderr = log, log
	w.must(cmd.Start())
	w.must(log.Close())
	w.t.Cleanup(func() { // where the test has not waited for its end
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	w.poll("the runner to be ready", func() bool {
		answer, err := w.client().Get("http://runner/readyz")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return cmd
}

func (w *world) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(w.dataDir(), "runner.sock"))
	}}}
}

func (w *world) put() {
	w.t.Helper()
	body, err := json.Marshal(api.PutJob{Spec: w.job})
	w.must(err)
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodPut, "http://runner/v1/jobs/"+w.job.Name, bytes.NewReader(body))
	w.must(err)
	answer, err := w.client().Do(request)
	w.must(err)
	defer answer.Body.Close() //nolint:errcheck // read only
	if answer.StatusCode != http.StatusCreated {
		w.t.Fatalf("put: %s", answer.Status)
	}
}

// awaitDecisions waits until the job's decisions cover n occurrences.
func (w *world) awaitDecisions(n int64) (decisions []api.Decision) {
	w.t.Helper()
	w.poll("decisions", func() bool {
		answer, err := w.client().Get("http://runner/v1/jobs/" + w.job.Name + "/decisions?limit=1000")
		if err != nil {
			return false
		}
		defer answer.Body.Close() //nolint:errcheck // read only
		var body struct {
			Decisions []api.Decision `json:"decisions"`
		}
		w.must(json.NewDecoder(answer.Body).Decode(&body))
		decisions = body.Decisions
		total := int64(0)
		for _, d := range decisions {
			total += d.Count
		}
		return total >= n
	})
	return decisions
}

// poll asks another process again and again: it sends no signals of its own.
func (w *world) poll(what string, done func() bool) {
	w.t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			log, _ := os.ReadFile(filepath.Join(w.dir, "runner.log"))
			w.t.Fatalf("waited too long for %s\n%s", what, log)
		}
	}
}
