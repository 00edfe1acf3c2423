//go:build bench

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
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

// binary is the runner as it is released; make bench builds it.
const binary = "../../build/batch-runner"

func TestMain(m *testing.M) {
	if os.Getenv("BENCH_SERVER") != "" {
		serveNothing("127.0.0.1:" + os.Getenv("PORT"))
		return
	}
	if input := os.Getenv("BENCH_BARE"); input != "" {
		if err := bare(input, os.Getenv("BENCH_BARE_URL"), os.Getenv("BENCH_BARE_OUT")); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// serveNothing is a prediction server that costs next to nothing: it reads the
// number of records out of the request and answers that many zeros.
func serveNothing(address string) {
	zeros := bytes.Repeat([]byte("0,"), 1<<16)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/models/m" {
			_, _ = io.WriteString(w, `{"name":"m","inputs":[{"name":"input","datatype":"FP64","shape":[-1,4]}]}`)
		}
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		body := bufio.NewReaderSize(r.Body, 1<<10)
		head, _ := body.Peek(512)
		_, shape, _ := bytes.Cut(head, []byte(`"shape":[`))
		digits, _, _ := bytes.Cut(shape, []byte(","))
		n, _ := strconv.Atoi(string(digits))
		_, _ = io.Copy(io.Discard, body)
		answer := make([]byte, 0, 128+2*n)
		answer = fmt.Appendf(answer, `{"outputs":[{"name":"score","datatype":"FP64","shape":[%d],"data":[`, n)
		answer = append(answer, zeros[:2*n-1]...)
		answer = append(answer, "]}]}"...)
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		_, _ = w.Write(answer)
	})
	listener, err := net.Listen("tcp", address)
	if err != nil {
		panic(err)
	}
	panic(http.Serve(listener, mux))
}

func benchJob(dir, input string) api.Job {
	return api.Job{
		Name:        "bench",
		Input:       api.Input{Files: &api.InputFiles{URI: input}, Key: []string{"id"}},
		Parallelism: new(int64(8)),
		Predict: api.Predict{
			Protocol: api.ProtocolOIPv2, Model: api.Model{Name: "m"}, Features: api.Features{Columns: []string{"a", "b", "c", "d"}},
			RowsPerRequest: new(int64(128)),
			Server:         &api.Server{Command: []string{os.Args[0]}, Env: map[string]string{"BENCH_SERVER": "1"}},
		},
		Output: api.Output{Files: &api.OutputFiles{URI: filepath.Join(dir, "out") + "/"}},
	}
}

func writeRecords(b *testing.B, path string, n int) {
	b.Helper()
	file, err := os.Create(path)
	must(b, err)
	w := bufio.NewWriterSize(file, 1<<20)
	for i := range n {
		_, _ = fmt.Fprintf(w, `{"id":%d,"a":%d.5,"b":0.25,"c":-1.75,"d":3e2}`+"\n", i, i%1000)
	}
	must(b, w.Flush())
	must(b, file.Close())
}

// predictJob runs a job as a whole process and gives the run and what it cost.
func predictJob(b *testing.B, job api.Job, dir string) (api.Run, *os.ProcessState, time.Duration) {
	b.Helper()
	text, err := json.Marshal(job)
	must(b, err)
	file := filepath.Join(dir, "job.json")
	must(b, os.WriteFile(file, text, 0o600))
	cmd := exec.Command(binary, "predict", "-f", file, "--data-dir", filepath.Join(dir, "data"), "--json")
	var out, messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &messages
	start := time.Now()
	err = cmd.Run()
	wall := time.Since(start)
	if err != nil {
		b.Fatalf("%v\n%s\n%s", err, out.String(), messages.String())
	}
	var why api.Why
	must(b, json.Unmarshal(out.Bytes(), &why))
	return why.Run, cmd.ProcessState, wall
}

// What a run costs beside its predictions: a server launched and stopped,
// 150 records planned, predicted and committed.
func BenchmarkOverheadOfARun(b *testing.B) {
	dir := b.TempDir()
	input := filepath.Join(dir, "records.jsonl")
	writeRecords(b, input, 150)
	for b.Loop() {
		run, _, wall := predictJob(b, benchJob(dir, input), dir)
		b.ReportMetric(float64(run.EndedAt.Sub(run.StartedAt).Milliseconds()), "run-ms")
		b.ReportMetric(float64(wall.Milliseconds()), "process-ms")
	}
}

func BenchmarkOneMillionRecords(b *testing.B) {
	dir := b.TempDir()
	input := filepath.Join(dir, "records.jsonl")
	writeRecords(b, input, 1_000_000)
	// An endpoint, so that the process's own CPU time holds no server's.
	job := benchJob(dir, input)
	job.Predict.Server, job.Predict.Endpoint = nil, &api.Endpoint{URL: startServer(b)}
	for b.Loop() {
		run, state, wall := predictJob(b, job, dir)
		if run.Counts.Committed != 1_000_000 {
			b.Fatalf("counts are %+v", run.Counts)
		}
		cpu := state.UserTime() + state.SystemTime()
		b.ReportMetric(1e6/wall.Seconds(), "records/s")
		b.ReportMetric(float64(cpu.Nanoseconds())/1e6, "cpu-ns/record")
		b.ReportMetric(float64(state.SysUsage().(*syscall.Rusage).Maxrss)/1024, "peak-MB")
	}
}

// startServer is serveNothing in a process of its own until the benchmark ends.
func startServer(b *testing.B) (url string) {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	address := listener.Addr().String()
	must(b, listener.Close())
	_, port, err := net.SplitHostPort(address)
	must(b, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "BENCH_SERVER=1", "PORT="+port)
	must(b, cmd.Start())
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return "http://" + address
}

func BenchmarkIdleRunner(b *testing.B) {
	for b.Loop() {
		d := startDaemon(b, b.TempDir())
		b.ReportMetric(d.memory("VmRSS"), "idle-MB")
		d.stop()
	}
}

func BenchmarkSizeOfTheRunner(b *testing.B) {
	for b.Loop() {
		info, err := os.Stat(binary)
		must(b, err)
		b.ReportMetric(float64(info.Size())/1e6, "MB")
	}
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
