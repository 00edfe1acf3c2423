//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/e2e/accountant"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

// binary is a batch-runner with its failpoints, built once.
var binary string

func TestMain(m *testing.M) {
	if path := os.Getenv("E2E_SERVER_LOG"); path != "" {
		serve(path)
		return
	}
	dir, err := os.MkdirTemp("", "batch-e2e-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "batch-runner")
	build := exec.Command("go", "build", "-tags", "failpoint", "-o", binary, "../cmd/batch-runner")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// serve is this test binary as the prediction server that the runner
// launches. It writes down each request before it answers, has the faults in
// the file E2E_SERVER_FAULTS, and dies once by kill -9 at request number
// E2E_SERVER_DIES.
func serve(path string) {
	log, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		panic(err)
	}
	server := predicttest.New(predicttest.Options{Log: log})
	if name := os.Getenv("E2E_SERVER_FAULTS"); name != "" {
		var text []byte
		var faults []predicttest.Fault
		if text, err = os.ReadFile(name); err == nil {
			err = json.Unmarshal(text, &faults)
		}
		if err != nil {
			panic(err)
		}
		for _, fault := range faults {
			server.Inject(fault)
		}
	}
	if n, err := strconv.Atoi(os.Getenv("E2E_SERVER_DIES")); err == nil {
		marker := path + ".died"
		if _, err := os.Stat(marker); err != nil {
			server.Inject(predicttest.Fault{Skip: n - 1, Times: 1, Do: func() {
				_ = os.WriteFile(marker, nil, 0o600)
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}})
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		panic(err)
	}
	panic(http.Serve(listener, server))
}

const occurrence = "2026-11-21T02:00:00Z"

// world is one job with an input of its own, or another world's, an output
// and a data dir.
type world struct {
	t     *testing.T
	dir   string
	input string
	job   api.Job
	env   []string // of the command, beside the test's own
	slots int      // of a daemon; 0: as it comes

	occurrence string
	records    int // that have arrived
}

func newWorld(t *testing.T, input string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), input: input, occurrence: occurrence}
	if input == "" {
		w.input = filepath.Join(w.dir, "records.csv")
		var b strings.Builder
		b.WriteString("id,a,b\n")
		for i := 1; i <= 150; i++ {
			fmt.Fprintf(&b, "%d,%d,0.5\n", i, i)
		}
		w.must(os.WriteFile(w.input, []byte(b.String()), 0o644))
	}
	w.job = api.Job{
		Name:        "crash",
		Input:       api.Input{Files: &api.InputFiles{URI: w.input}, Key: []string{"id"}},
		MiniBatch:   &api.MiniBatchSpec{Rows: new(int64(10))},
		Parallelism: new(int64(3)),
		Predict: api.Predict{
			Protocol: api.ProtocolOIPv2, Model: api.Model{Name: "m"}, Features: api.Features{Columns: []string{"a", "b"}},
			RowsPerRequest: new(int64(4)),
			Server:         &api.Server{Command: []string{os.Args[0]}, Env: map[string]string{"E2E_SERVER_LOG": w.serverLog()}},
		},
		Output: api.Output{Files: &api.OutputFiles{URI: w.output() + "/dt={date}/"}},
		Retry:  &api.Retry{Policy: api.PolicyPartial, Backoff: []api.Duration{"10ms"}},
	}
	return w
}

// faults switches faults of the server on, from its next launch on; in the
// words of predicttest.Fault.
func (w *world) faults(faults ...map[string]any) {
	w.t.Helper()
	text, err := json.Marshal(faults)
	w.must(err)
	path := filepath.Join(w.dir, "faults.json")
	w.must(os.WriteFile(path, text, 0o644))
	w.job.Predict.Server.Env["E2E_SERVER_FAULTS"] = path
}

func (w *world) output() string    { return filepath.Join(w.dir, "out") }
func (w *world) dataDir() string   { return filepath.Join(w.dir, "data") }
func (w *world) serverLog() string { return filepath.Join(w.dir, "server.jsonl") }

// predict runs the command of the README; failpoint, where set, is where it
// is killed. It gives what was printed and how the command ended.
func (w *world) predict(failpoint string) (output string, err error) {
	w.t.Helper()
	out, err := w.command(failpoint).CombinedOutput()
	return string(out), err
}

// command is the command of the README.
func (w *world) command(failpoint string) *exec.Cmd {
	w.t.Helper()
	file := filepath.Join(w.dir, "job.json")
	text, err := json.Marshal(w.job)
	w.must(err)
	w.must(os.WriteFile(file, text, 0o644))
	cmd := exec.CommandContext(w.t.Context(), binary, "predict", "-f", file, "--data-dir", w.dataDir(), "--occurrence", w.occurrence)
	cmd.Env = slices.Concat(os.Environ(), w.env, w.failpointEnv(failpoint))
	return cmd
}

// predicts runs the command to its end, which must have this exit code.
func (w *world) predicts(code int) {
	w.t.Helper()
	output, err := w.predict("")
	if got := exitCode(err); got != code {
		w.t.Fatalf("the command ended with %d (%v), want %d\n%s", got, err, code, output)
	}
}

// exitCode is -1 where a command was killed or could not be run.
func exitCode(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

// audit has the accountant check the books.
func (w *world) audit() *accountant.Account {
	w.t.Helper()
	account, err := accountant.Audit(w.dataDir(), w.output(), "id")
	w.must(err)
	if err := account.Err(); err != nil {
		w.t.Error(err)
	}
	return account
}

func (w *world) failpointEnv(failpoint string) []string {
	if failpoint == "" {
		return nil
	}
	return []string{"BATCH_FAILPOINT=" + failpoint, "BATCH_FAILPOINT_LOG=" + w.failpointLog()}
}

func (w *world) failpointLog() string { return filepath.Join(w.dir, "failpoints") }

// assertReached holds that the process was killed at the failpoint and
// nowhere else.
func (w *world) assertReached(failpoint, output string, err error) {
	w.t.Helper()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		w.t.Fatalf("the runner was not killed at %s: %v\n%s", failpoint, err, output)
	}
	name, _, _ := strings.Cut(failpoint, ":")
	log, err := os.ReadFile(w.failpointLog())
	if err != nil || !strings.Contains(string(log), name) {
		w.t.Fatalf("%s was not reached: %q %v", name, log, err)
	}
}

// emptyInput is an input without a record.
func (w *world) emptyInput() string {
	w.t.Helper()
	path := filepath.Join(w.dir, "empty.csv")
	w.must(os.WriteFile(path, []byte("id,a,b\n"), 0o644))
	return path
}

// sent counts how often each record was sent in main requests.
func (w *world) sent() map[string]int {
	w.t.Helper()
	file, err := os.Open(w.serverLog())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	w.must(err)
	defer file.Close() //nolint:errcheck // read only
	counts := map[string]int{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var send predicttest.Send
		w.must(json.Unmarshal(lines.Bytes(), &send))
		if send.Purpose == "" {
			for _, record := range send.Records {
				counts[record]++
			}
		}
	}
	return counts
}

// tree is everything below the output, by relative path, without what a run
// may leave behind it (nothing) and with what names the run taken out.
func (w *world) tree() map[string]string {
	w.t.Helper()
	files := map[string]string{}
	w.must(filepath.WalkDir(w.output(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(w.output(), path)
		switch base := filepath.Base(path); {
		case base == "_MANIFEST.json":
			text = w.anonymous(text, "run", "times", "attempts", "launches", "runner", "uid")
		case base == "_LATEST.json":
			text = w.anonymous(text, "uid")
		case strings.HasPrefix(base, "_DEAD_LETTERS."):
			var letters []byte
			for line := range bytes.Lines(text) {
				letters = append(letters, w.anonymous(line, "run", "attempts", "first_seen", "last_seen")...)
			}
			text = letters
		}
		files[name] = string(text)
		return err
	}))
	return files
}

// anonymous is a document without the fields that may differ between two runs
// of one plan.
func (w *world) anonymous(document []byte, names ...string) []byte {
	w.t.Helper()
	var fields map[string]any
	w.must(json.Unmarshal(document, &fields))
	for _, name := range names {
		if _, ok := fields[name]; !ok {
			w.t.Errorf("there is no %s in %s", name, document)
		}
		delete(fields, name)
	}
	text, err := json.Marshal(fields)
	w.must(err)
	return text
}

// orphans are the processes whose environment holds this world's server log.
func (w *world) orphans() []string {
	w.t.Helper()
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	w.must(err)
	var found []string
	for _, path := range environs {
		if environ, err := os.ReadFile(path); err == nil && bytes.Contains(environ, []byte("E2E_SERVER_LOG="+w.serverLog())) {
			found = append(found, path)
		}
	}
	return found
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}
