//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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
	cmd := w.launch(failpoint)
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

// launch starts the daemon.
func (w *world) launch(failpoint string) *exec.Cmd {
	w.t.Helper()
	cmd := exec.Command(binary, "serve", "--data-dir", w.dataDir())
	if w.slots > 0 {
		cmd.Args = append(cmd.Args, "--max-concurrent-runs", strconv.Itoa(w.slots))
	}
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
	return cmd
}

func (w *world) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(w.dataDir(), "runner.sock"))
	}}}
}

func (w *world) put() {
	w.t.Helper()
	w.send(http.MethodPut, "/v1/jobs/"+w.job.Name, api.PutJob{Spec: w.job}, nil)
}

// send asks the daemon to create something and decodes what it answers.
func (w *world) send(method, path string, body, answer any) {
	w.t.Helper()
	text, err := json.Marshal(body)
	w.must(err)
	request, err := http.NewRequestWithContext(w.t.Context(), method, "http://runner"+path, bytes.NewReader(text))
	w.must(err)
	response, err := w.client().Do(request)
	w.must(err)
	defer response.Body.Close() //nolint:errcheck // read only
	said, err := io.ReadAll(response.Body)
	w.must(err)
	if response.StatusCode != http.StatusCreated {
		w.t.Fatalf("%s %s: %s\n%s", method, path, response.Status, said)
	}
	if answer != nil {
		w.must(json.Unmarshal(said, answer))
	}
}

// awaitDecisions waits until the job's decisions cover n occurrences.
func (w *world) awaitDecisions(n int64) []api.Decision {
	w.t.Helper()
	var body struct {
		Decisions []api.Decision `json:"decisions"`
	}
	w.poll("decisions", func() bool {
		total := int64(0)
		if w.get("/v1/jobs/"+w.job.Name+"/decisions?limit=1000", &body) {
			for _, d := range body.Decisions {
				total += d.Count
			}
		}
		return total >= n
	})
	return body.Decisions
}

// get asks the daemon; it gives false where that can't be reached.
func (w *world) get(path string, answer any) bool {
	w.t.Helper()
	response, err := w.client().Get("http://runner" + path)
	if err != nil {
		return false
	}
	defer response.Body.Close() //nolint:errcheck // read only
	w.must(json.NewDecoder(response.Body).Decode(answer))
	return true
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
			w.t.Fatalf("waited too long for %s\n%s", what, w.log())
		}
	}
}

// log is what the daemons of this world wrote.
func (w *world) log() string {
	log, _ := os.ReadFile(filepath.Join(w.dir, "runner.log"))
	return string(log)
}
