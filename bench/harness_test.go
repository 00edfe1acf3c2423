//go:build bench

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// binary is the runner as it is released, python has the packages of the peers;
// bench.sh sees to both.
const (
	binary = "../build/batch-runner"
	python = "../build/bench/venv/bin/python"
)

var (
	// resultsFile is where figures are gathered.
	resultsFile = os.Getenv("BENCH_RESULTS")
	// measured is what this process has seen.
	measured results
	// scale makes everything smaller, while one works on the benchmarks.
	scale = 1.0
)

func TestMain(m *testing.M) {
	if os.Getenv("BENCH_SERVER") != "" {
		serve("127.0.0.1:"+os.Getenv("PORT"), os.Getenv("BENCH_SERVER"))
		return
	}
	if input := os.Getenv("BENCH_BARE"); input != "" {
		if err := bare(input, os.Getenv("BENCH_BARE_URL"), os.Getenv("BENCH_BARE_OUT")); err != nil {
			panic(err)
		}
		return
	}
	if text := os.Getenv("BENCH_SCALE"); text != "" {
		var err error
		if scale, err = strconv.ParseFloat(text, 64); err != nil {
			panic(err)
		}
	}
	var err error
	if measured, err = readResults(resultsFile); err != nil {
		panic(err)
	}
	measured.Scale, measured.Machine, measured.Date = scale, thisMachine(), time.Now().UTC().Truncate(time.Second)
	if commit := os.Getenv("BENCH_COMMIT"); !slices.Contains(measured.Commits, commit) {
		measured.Commits = append(measured.Commits, commit)
	}
	os.Exit(m.Run())
}

// scaled is a number of records.
func scaled(n int) int { return max(int(float64(n)*scale), 1) }

// record keeps the value of a bar.
func record(b *testing.B, id string, value float64) {
	b.Helper()
	bar, ok := findBar(id)
	if !ok {
		b.Fatalf("there is no bar %s", id)
	}
	b.ReportMetric(value, id+"-"+strings.ReplaceAll(bar.unit, " ", "-"))
	measured.Figures[id] = value
	must(b, measured.write(resultsFile))
}

// enough is the time after which a comparison takes no further turn.
const enough = time.Minute

// turns has both sides work in turn, n times unless that takes too long, and
// keeps of each what it needed when it was disturbed least.
func turns(b *testing.B, id string, n int, ours, peer func() cost) pair {
	b.Helper()
	if !findComparison(id) {
		b.Fatalf("there is no comparison %s", id)
	}
	begin := time.Now()
	p := pair{Turns: 1, Ours: ours(), Peer: peer()}
	for ; p.Turns < n && time.Since(begin) < enough; p.Turns++ {
		p.Ours, p.Peer = p.Ours.least(ours()), p.Peer.least(peer())
	}
	b.ReportMetric(p.Ours.perSecond(), id+"-ours/s")
	b.ReportMetric(p.Peer.perSecond(), id+"-peer/s")
	b.ReportMetric(p.Ours.CPU*1e6, id+"-ours-cpu-us")
	b.ReportMetric(p.Peer.CPU*1e6, id+"-peer-cpu-us")
	b.ReportMetric(p.wall(), id+"-wall-ratio")
	b.ReportMetric(p.cpu(), id+"-cpu-ratio")
	measured.Pairs[id] = p
	must(b, measured.write(resultsFile))
	return p
}

func (c cost) least(other cost) cost {
	return cost{Wall: min(c.Wall, other.Wall), CPU: min(c.CPU, other.CPU)}
}

// run runs a command to its end and gives what it cost per record; what its
// own children used is part of it.
func run(b *testing.B, records int, cmd *exec.Cmd) cost {
	b.Helper()
	var messages bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &messages
	}
	cmd.Stderr = &messages
	begin := time.Now()
	err := cmd.Run()
	wall := time.Since(begin)
	if err != nil {
		b.Fatalf("%s: %v\n%s", cmd, err, messages.String())
	}
	return costOf(cmd.ProcessState, wall, records)
}

func costOf(state *os.ProcessState, wall time.Duration, records int) cost {
	return cost{Wall: wall.Seconds() / float64(records), CPU: (state.UserTime() + state.SystemTime()).Seconds() / float64(records)}
}

// best is the least that n jobs need, each of which is made anew.
func best(b *testing.B, n int, job func(i int) api.Job) cost {
	b.Helper()
	least := predictJob(b, job(0)).cost()
	for i := 1; i < n; i++ {
		least = least.least(predictJob(b, job(i)).cost())
	}
	return least
}

// outcome is how a run of ours ended and what its process needed.
type outcome struct {
	api.Run
	state *os.ProcessState
	wall  time.Duration
}

func (o outcome) cost() cost { return costOf(o.state, o.wall, int(o.Counts.Planned)) }

// peakMB is the process's largest memory.
func (o outcome) peakMB() float64 { return float64(o.state.SysUsage().(*syscall.Rusage).Maxrss) / 1024 }

// predictJob carries out a job as a whole process, in a folder that is gone
// afterwards, and all its records must be committed.
func predictJob(b *testing.B, job api.Job) outcome {
	b.Helper()
	o := attemptJob(b, job)
	if o.State != api.RunSucceeded || o.Counts.Committed == 0 {
		b.Fatalf("the run is %s: %+v, %s", o.State, o.Counts, o.Reason)
	}
	return o
}

// attemptJob is predictJob for runs that may fail.
func attemptJob(b *testing.B, job api.Job) outcome {
	b.Helper()
	dir, err := os.MkdirTemp("", "bench")
	must(b, err)
	defer os.RemoveAll(dir) //nolint:errcheck // nothing depends on it
	if job.Output.Files != nil && job.Output.Files.URI == "" {
		files := *job.Output.Files
		files.URI = filepath.Join(dir, "out") + "/"
		job.Output.Files = &files
	}
	text, err := json.Marshal(job)
	must(b, err)
	file := filepath.Join(dir, "job.json")
	must(b, os.WriteFile(file, text, 0o600))
	cmd := exec.Command(binary, "predict", "-f", file, "--data-dir", filepath.Join(dir, "data"), "--json")
	var out, messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &messages
	begin := time.Now()
	failed := cmd.Run()
	wall := time.Since(begin)
	var why api.Why
	if err := json.Unmarshal(out.Bytes(), &why); err != nil {
		b.Fatalf("%v: %v\n%s\n%s", failed, err, out.String(), messages.String())
	}
	return outcome{why.Run, cmd.ProcessState, wall}
}

// benchJob is JSON Lines to JSON Lines with a server of its own; its output is
// below the folder of the run.
func benchJob(input string) api.Job {
	return api.Job{
		Name:        "bench",
		Input:       api.Input{Files: &api.InputFiles{URI: input}, Key: []string{"id"}},
		Parallelism: new(int64(8)),
		Predict: api.Predict{
			Protocol: api.ProtocolOIPv2, Model: api.Model{Name: "m"}, Features: api.Features{Columns: []string{"a", "b", "c", "d"}},
			RowsPerRequest: new(int64(128)),
			Server:         &api.Server{Command: []string{os.Args[0]}, Env: map[string]string{"BENCH_SERVER": "zeros"}},
		},
		Output: api.Output{Files: &api.OutputFiles{}},
	}
}

// at has a job ask a server that runs already, so that the process's own CPU
// time holds no server's.
func at(url string, job api.Job) api.Job {
	job.Predict.Server, job.Predict.Endpoint = nil, &api.Endpoint{URL: url}
	return job
}

// writeRecords gives the path of so many records.
func writeRecords(b *testing.B, n int) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), fmt.Sprintf("records-%d.jsonl", n))
	writeLines(b, path, n, func(line []byte, i int) []byte {
		line = strconv.AppendInt(append(line, `{"id":`...), int64(i), 10)
		line = strconv.AppendInt(append(line, `,"a":`...), int64(i%1000), 10)
		return append(line, `.5,"b":0.25,"c":-1.75,"d":3e2}`...)
	})
	return path
}

func writeLines(b *testing.B, path string, n int, line func(line []byte, i int) []byte) {
	b.Helper()
	file, err := os.Create(path)
	must(b, err)
	w := bufio.NewWriterSize(file, 1<<20)
	var buffer []byte
	for i := range n {
		buffer = append(line(buffer[:0], i), '\n')
		_, _ = w.Write(buffer)
	}
	must(b, w.Flush())
	must(b, file.Close())
}

// startServer is this binary as a prediction server, in a process of its own
// until the benchmark ends.
func startServer(b *testing.B, kind string) (url string) {
	b.Helper()
	return start(b, exec.Command(os.Args[0]), "BENCH_SERVER="+kind)
}

// start starts a server that listens where PORT says, and waits until it
// answers.
func start(b *testing.B, cmd *exec.Cmd, env ...string) (url string) {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	address := listener.Addr().String()
	must(b, listener.Close())
	_, port, err := net.SplitHostPort(address)
	must(b, err)
	cmd.Env = append(append(os.Environ(), env...), "PORT="+port)
	cmd.Stderr = os.Stderr
	must(b, cmd.Start())
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	poll(b, "the server to answer", func() bool {
		request, err := http.NewRequestWithContext(context.Background(), "GET", "http://"+address+"/v2/health/ready", nil)
		must(b, err)
		answer, err := client.Do(request)
		if err != nil {
			return false
		}
		return answer.Body.Close() == nil
	})
	return "http://" + address
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// peer notes the version of what we are compared with, as a command prints it.
func peer(name string, command ...string) {
	out, _ := exec.Command(command[0], command[1:]...).CombinedOutput() // wrk -v ends with 1
	measured.Peers[name] = version.FindString(string(out))
}

var version = regexp.MustCompile(`[0-9][0-9A-Za-z.]*`)

func thisMachine() machine {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version()}
	m.CPU = after("/proc/cpuinfo", "model name\t: ")
	kilobytes, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(after("/proc/meminfo", "MemTotal:")), " kB"))
	m.MemoryGB = (kilobytes + 1<<19) >> 20
	m.System = strings.Trim(after("/etc/os-release", "PRETTY_NAME="), `"`)
	return m
}

// after is the rest of a file's first line that begins so.
func after(path, prefix string) string {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// findBar gives the bar of a figure.
func findBar(id string) (bar, bool) {
	for _, g := range groups {
		if i := slices.IndexFunc(g.bars, func(b bar) bool { return b.id == id }); i >= 0 {
			return g.bars[i], true
		}
	}
	for _, from := range formats {
		for _, to := range formats {
			if matrixID(from, to) == id {
				return bar{id: id, unit: "µs"}, true
			}
		}
	}
	return bar{}, false
}

func findComparison(id string) bool {
	return slices.ContainsFunc(comparisons, func(c comparison) bool { return c.id == id })
}
