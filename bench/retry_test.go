//go:build bench

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

// What a retry under policy partial sends: the mini-batches that failed, and
// not one record besides.
func BenchmarkPartialRetry(b *testing.B) {
	const records, rows, failing = 20_000, 200, 7
	for b.Loop() {
		dir := b.TempDir()
		server := predicttest.New(predicttest.Options{})
		job := at(server.Listen(b), benchJob(writeRecords(b, records)))
		job.Output.Files.URI = filepath.Join(dir, "out") + "/"
		job.Predict.Features.Columns = []string{"id", "a"}
		job.MiniBatch, job.MaxFailed = &api.MiniBatchSpec{Rows: new(int64(rows))}, "10%"
		job.Retry = &api.Retry{Policy: api.PolicyPartial, Attempts: new(int64(1))}
		var heal []func()
		for i := range failing {
			heal = append(heal, server.Inject(predicttest.Fault{Record: fmt.Sprint(i * 2000), Status: 503}))
		}
		d := startDaemon(b, filepath.Join(dir, "data"))
		d.ask("PUT", "/v1/jobs/bench", api.PutJob{Spec: job}, nil)
		var run api.Run
		d.ask("POST", "/v1/jobs/bench/runs", api.Trigger{}, &run)
		first := d.await(run.ID, 1)
		for _, remove := range heal {
			remove()
		}
		before := len(server.Seen(""))
		sends := len(server.Sends())
		d.ask("POST", "/v1/runs/"+run.ID+"/retry", api.RetryRun{}, nil)
		last := d.await(run.ID, 2)
		d.stop()
		sent := map[string]bool{}
		for _, send := range server.Sends()[sends:] {
			for _, record := range send.Records {
				if send.Purpose == "" {
					sent[record] = true
				}
			}
		}
		if first.MiniBatches.GivenUp != failing || last.State != api.RunSucceeded || before != records || len(sent) != failing*rows {
			b.Fatalf("first %s with %d mini-batches given up, then %s; %d records were sent, and %d again", first.State, first.MiniBatches.GivenUp, last.State, before, len(sent))
		}
		record(b, "resent", float64(len(sent))/(failing*rows))
	}
}

// await polls until a run attempt has ended.
func (d *daemon) await(run string, attempt int64) (r api.Run) {
	d.b.Helper()
	poll(d.b, "the run's end", func() bool {
		d.ask("GET", "/v1/runs/"+run, nil, &r)
		return r.State.Ended() && r.Attempt >= attempt
	})
	return r
}

// ask asks the runner by its API.
func (d *daemon) ask(method, path string, body, answer any) {
	d.b.Helper()
	text, err := json.Marshal(body)
	must(d.b, err)
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(d.dir, "runner.sock"))
	}}}
	request, err := http.NewRequestWithContext(context.Background(), method, "http://runner"+path, bytes.NewReader(text))
	must(d.b, err)
	response, err := client.Do(request)
	must(d.b, err)
	defer response.Body.Close() //nolint:errcheck // read only
	if response.StatusCode >= 300 {
		d.b.Fatalf("%s %s: %s", method, path, response.Status)
	}
	if answer != nil {
		must(d.b, json.NewDecoder(response.Body).Decode(answer))
	}
}
