//go:build bench

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/predict"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/split"
)

// What states, retries and metrics cost on the data path: the CPU time of a run
// against that of a bare loop over the same rooms (split, read, predict, write,
// sync), which keeps no books and can't go on after anything. What a run of one
// record costs, the start of the process above all, is taken off both. The two
// take turns, and the least disturbed of each are compared.
func BenchmarkStateAndRetries(b *testing.B) {
	const pairs = 5
	records := scaled(500_000)
	long, short := writeRecords(b, records), writeRecords(b, 1)
	url := startServer(b, "zeros")
	whole := func(input string) float64 {
		o := predictJob(b, at(url, benchJob(input)))
		return o.cost().CPU * float64(o.Counts.Planned)
	}
	for b.Loop() {
		ours, theirs := math.Inf(1), math.Inf(1)
		for range pairs {
			ours = min(ours, whole(long)-whole(short))
			theirs = min(theirs, bareLoop(b, long, url)-bareLoop(b, short, url))
		}
		record(b, "over-bare", 100*(ours/theirs-1))
		b.ReportMetric(ours*1e9/float64(records), "cpu-ns/record")
		b.ReportMetric(theirs*1e9/float64(records), "bare-cpu-ns/record")
	}
}

// bareLoop runs bare in a process of its own and gives its CPU time.
func bareLoop(b *testing.B, input, url string) float64 {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "BENCH_BARE="+input, "BENCH_BARE_URL="+url, "BENCH_BARE_OUT="+filepath.Join(b.TempDir(), "out")+"/")
	return run(b, 1, cmd).CPU
}

// bare predicts a file without books.
func bare(input, url, out string) error {
	ctx := context.Background()
	job := benchJob(input)
	job.Output.Files.URI = out
	job = job.WithDefaults()
	columns := slices.Concat(job.Predict.Features.Columns, job.Output.Keep)
	occasion := api.Occasion{Occurrence: time.Unix(0, 0).UTC(), Run: "bare"}
	inputs := source.New(source.Options{})
	files, err := inputs.Find(ctx, job.Input, occasion, columns)
	if err != nil {
		return err
	}
	output, err := sink.Open(durable.OS(), *job.Output.Files, job.Name, "uid", occasion)
	if err != nil {
		return err
	}
	if err := output.Prepare(); err != nil {
		return err
	}
	client, err := predict.New(predict.Config{Protocol: job.Predict.Protocol, BaseURL: url, Model: job.Predict.Model, Features: job.Predict.Features,
		Outputs: job.Predict.Outputs, Parallelism: int(*job.Parallelism), Timeout: job.Predict.RequestTimeout.Value()})
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Describe(ctx); err != nil {
		return err
	}
	var cuts []split.Slice
	for i, file := range files {
		err = errors.Join(err, split.File(ctx, inputs, i, file, split.Options{Rows: *job.MiniBatch.Rows}, func(s split.Slice) error {
			cuts = append(cuts, s)
			return nil
		}))
	}
	for n, s := range cuts {
		if err == nil {
			err = barePart(ctx, inputs, job, files[s.File], s, client, output, int64(n+1))
		}
	}
	return err
}

// asked is a request and what came of it.
type asked struct {
	keys     []byte // one behind the other
	ends     []int  // of each
	response *predict.Response
	err      error
	done     chan struct{}
}

// questions are used again, as those of a run are.
var questions = sync.Pool{New: func() any { return &asked{} }}

func newAsked() *asked {
	q := questions.Get().(*asked)
	*q = asked{keys: q.keys[:0], ends: q.ends[:0], done: make(chan struct{})}
	return q
}

// barePart predicts a slice: requests side by side, answers in order.
func barePart(ctx context.Context, inputs *source.Inputs, job api.Job, pinned source.File, s split.Slice, client *predict.Client, output *sink.Files, number int64) error {
	file, err := inputs.Open(ctx, pinned)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // read only
	features := len(job.Predict.Features.Columns)
	reader, err := file.Records(source.Stretch{Offset: s.Offset, Length: s.Length, FirstLine: s.FirstLine, Checksum: s.Checksum}, slices.Concat(job.Predict.Features.Columns, job.Output.Keep))
	if err != nil {
		return err
	}
	ordered, read := make(chan *asked, *job.Parallelism), make(chan error, 1)
	go func() {
		defer close(ordered)
		var q *asked
		request := client.NewRequest()
		send := func() {
			going, current := request, q
			ordered <- current
			go func() {
				defer close(current.done)
				current.response, current.err = client.Predict(ctx, going, predict.Send{Key: fmt.Sprint(number)})
				going.Release()
			}()
			q, request = nil, client.NewRequest()
		}
		for {
			record, err := reader.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err == nil && q == nil {
				q = newAsked()
			}
			if err == nil {
				err = request.Add(record.Values[:features])
			}
			if err != nil {
				read <- err
				return
			}
			q.keys = append(q.keys, record.Values[features].Bytes...)
			q.ends = append(q.ends, len(q.keys))
			if int64(request.Len()) == *job.Predict.RowsPerRequest {
				send()
			}
		}
		if q != nil {
			send()
		}
		read <- nil
	}()
	var part *sink.Part
	var cells []format.Value
	for q := range ordered {
		<-q.done
		if q.err != nil {
			return q.err
		}
		if part == nil {
			var columns []api.Column
			for _, name := range slices.Concat(job.Output.Keep, q.response.Columns()) {
				columns = append(columns, api.Column{Name: name})
			}
			if part, err = output.Stage(1, number, 1, columns); err != nil {
				return err
			}
		}
		begin := 0
		for i, end := range q.ends {
			cells = q.response.Values(i, append(cells[:0], format.Value{Bytes: q.keys[begin:end], JSON: true}))
			begin = end
			if err := part.Write(cells); err != nil {
				return err
			}
		}
		q.response.Release()
		questions.Put(q)
	}
	if err := <-read; err != nil {
		return err
	}
	_, err = part.Finish()
	return err
}
