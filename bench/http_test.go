//go:build bench

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// How much of what a server can take reaches it: wrk sends one of our requests
// over and over; we read records, ask, and write predictions.
func BenchmarkAgainstWrk(b *testing.B) {
	peer("wrk", "wrk", "-v")
	input, script := writeRecords(b, scaled(4_000_000)), recordRequest(b)
	against := func(id, kind string, n int) pair {
		url := startServer(b, kind)
		return turns(b, id, n, func() cost { return predictJob(b, at(url, benchJob(input))).cost() }, func() cost {
			return wrk(b, url, script, max(time.Second, time.Duration(scale*float64(4*time.Second))))
		})
	}
	for b.Loop() {
		against("wrk", "decode", 5)
		record(b, "client-cpu-128", against("wrk-zeros", "zeros", 3).Ours.CPU*1e6)
	}
}

// wrk sends requests of 128 records with 8 connections, and gives what one of
// the records costs.
func wrk(b *testing.B, url string, script []string, duration time.Duration) cost {
	b.Helper()
	var out bytes.Buffer
	cmd := exec.Command("wrk", append([]string{"--threads", "2", "--connections", "8", "--duration", strconv.Itoa(int(duration.Seconds())) + "s",
		"--script", "peers/wrk.lua", url + "/v2/models/m/infer", "--"}, script...)...)
	cmd.Stdout = &out
	cost := run(b, 1, cmd)
	_, summary, _ := bytes.Cut(out.Bytes(), []byte("requests="))
	var requests, microseconds, failed int
	if _, err := fmt.Sscanf(string(summary), "%d microseconds=%d failed=%d", &requests, &microseconds, &failed); err != nil || failed > 0 || requests == 0 {
		b.Fatalf("%v\n%s", err, out.String())
	}
	cost.Wall = float64(microseconds) / 1e6 / float64(requests*128)
	cost.CPU /= float64(requests * 128)
	return cost
}

// recordRequest gives the arguments of the script of wrk: files with the body
// and the headers of a request of ours with 128 records.
func recordRequest(b *testing.B) []string {
	b.Helper()
	body, headers := filepath.Join(b.TempDir(), "body"), filepath.Join(b.TempDir(), "headers")
	var once sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, err := io.ReadAll(r.Body)
		if err == nil && r.Method == http.MethodPost && r.Header.Get("Batch-Purpose") == "" {
			once.Do(func() {
				var lines bytes.Buffer
				_ = r.Header.WriteSubset(&lines, map[string]bool{"Content-Length": true})
				_ = os.WriteFile(headers, bytes.ReplaceAll(lines.Bytes(), []byte("\r"), nil), 0o600)
				_ = os.WriteFile(body, content, 0o600)
			})
		}
		r.Body = io.NopCloser(bytes.NewReader(content))
		if r.Method == http.MethodGet {
			describe(w, r)
			return
		}
		zeros(w, r)
	}))
	defer server.Close()
	predictJob(b, at(server.URL, benchJob(writeRecords(b, 128))))
	if _, err := os.Stat(body); err != nil {
		b.Fatalf("no request came: %v", err)
	}
	return []string{body, headers}
}

// The client's share of a record where requests are large.
func BenchmarkLargeRequests(b *testing.B) {
	job := at(startServer(b, "zeros"), benchJob(writeRecords(b, scaled(4_000_000))))
	job.Predict.RowsPerRequest = new(int64(1024))
	for b.Loop() {
		record(b, "client-cpu-1024", best(b, 3, func(int) api.Job { return job }).CPU*1e6)
	}
}

// What people write instead: a script with one record per request, the same
// with many, and that with all that makes it faster.
func BenchmarkAgainstAiohttp(b *testing.B) {
	peer("Python", python, "--version")
	peer("aiohttp", python, "-c", "import aiohttp; print(aiohttp.__version__)")
	url := startServer(b, "zeros")
	job := at(url, benchJob(writeRecords(b, scaled(2_000_000))))
	script := func(records int, args ...string) func() cost {
		input, output := writeRecords(b, records), filepath.Join(b.TempDir(), "out.jsonl")
		return func() cost {
			return run(b, records, exec.Command(python, append([]string{"peers/aiohttp_script.py", url + "/v2/models/m/infer", input, output}, args...)...))
		}
	}
	ours := func() cost { return predictJob(b, job).cost() }
	for b.Loop() {
		turns(b, "aiohttp-1", 3, ours, script(scaled(15_000), "--records-per-request", "1", "--in-flight", "8"))
		turns(b, "aiohttp-128", 3, ours, script(scaled(300_000), "--records-per-request", "128", "--in-flight", "8"))
		turns(b, "aiohttp-tuned", 3, ours, script(scaled(500_000), "--records-per-request", "128", "--in-flight", "8", "--tuned"))
	}
}

// And without a script.
func BenchmarkAgainstCurl(b *testing.B) {
	peer("GNU parallel", "parallel", "--version")
	peer("curl", "curl", "--version")
	url := startServer(b, "zeros")
	job := at(url, benchJob(writeRecords(b, scaled(2_000_000))))
	records := scaled(20_000)
	input, output := writeRecords(b, records), filepath.Join(b.TempDir(), "out.jsonl")
	for b.Loop() {
		turns(b, "curl", 3, func() cost { return predictJob(b, job).cost() }, func() cost {
			return run(b, records, exec.Command("bash", "peers/curl.sh", url+"/v2/models/m/infer", input, output))
		})
	}
}
