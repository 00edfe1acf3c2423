package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// fault is one row of what bad input and bad servers get.
type fault struct {
	name   string
	spoil  func(b *bench)
	state  api.RunState
	reason api.Reason // of the run, or the class of its top error
	// planned, committed, dead-lettered, unfinished
	counts [4]int64
	// text must appear in the run's message, its top errors or dead letters.
	text []string
}

func TestWhatBadInputAndBadServersGet(t *testing.T) {
	for _, f := range []fault{
		{"ragged CSV record", line(77, "76,76"), api.RunIncomplete, "bad_record", [4]int64{150, 149, 1, 0},
			[]string{"iris.csv:77", "2 fields", "3"}},
		{"not a number", line(77, "76,many,0.5"), api.RunIncomplete, "bad_record", [4]int64{150, 149, 1, 0},
			[]string{"iris.csv:77", `"a"`, `"many"`}},
		{"bad UTF-8", line(77, "7\xff6,76,0.5"), api.RunIncomplete, "bad_record", [4]int64{150, 149, 1, 0},
			[]string{"iris.csv:77", "UTF-8"}},
		{"too many bad records", func(b *bench) {
			lines := records(150)
			for i := 10; i < 14; i++ {
				lines[i] = "x"
			}
			b.writeInput(lines)
		}, api.RunFailed, api.ReasonMaxFailed, [4]int64{150, 0, 4, 146}, []string{"4 of 150 records failed", "iris.csv:11"}},
		{"empty file", func(b *bench) { b.writeInput(records(0)) }, api.RunFailed, api.ReasonInputEmpty, [4]int64{},
			[]string{"iris.csv", "no record", "input.on_empty"}},
		{"no file", func(b *bench) { must(b.t, os.Remove(b.input)) }, api.RunFailed, api.ReasonInputMissing, [4]int64{},
			[]string{"iris.csv"}},
		{"a column that is not there", func(b *bench) { b.job.Predict.Features.Columns = []string{"a", "c"} }, api.RunFailed, "config", [4]int64{},
			[]string{`"c"`, "iris.csv"}},
		{"file changed after planning", func(b *bench) {
			b.server.Inject(predicttest.Fault{Record: "1", Times: 1, Do: func() { b.writeInput(records(151)) }})
		}, api.RunFailed, "input_changed", [4]int64{150, 0, 0, 150}, []string{"iris.csv"}},
		{"too few predictions", answer(predicttest.Fault{Record: "41", Short: 1}), api.RunIncomplete, "data", [4]int64{150, 149, 1, 0},
			[]string{"iris.csv:42", "id:41", "0", "1"}},
		{"not JSON", answer(predicttest.Fault{Record: "41", BadJSON: true}), api.RunIncomplete, "data", [4]int64{150, 149, 1, 0},
			[]string{"JSON", "id:41"}},
		{"400", answer(predicttest.Fault{Record: "41", Status: 400, Body: "wrong shape"}), api.RunIncomplete, "data", [4]int64{150, 149, 1, 0},
			[]string{"400 Bad Request: wrong shape", "iris.csv:42", "id:41"}},
		{"401", answer(predicttest.Fault{Record: "41", Status: 401}), api.RunFailed, "config", [4]int64{150, 0, 0, 150},
			[]string{"401 Unauthorized"}},
		{"404 at warm-up", func(b *bench) {
			b.server.Inject(predicttest.Fault{Purpose: predicttest.AnyPurpose, Status: 404, Body: "no such model"})
		}, api.RunFailed, "config", [4]int64{150, 0, 0, 150}, []string{"404 Not Found: no such model", "predict.model"}},
		{"413", answer(predicttest.Fault{MoreThan: 6, Status: 413}), api.RunSucceeded, "", [4]int64{150, 150, 0, 0}, nil},
		{"429", answer(predicttest.Fault{Record: "41", Times: 1, Status: 429, Header: map[string]string{"Retry-After": "1"}}),
			api.RunSucceeded, "", [4]int64{150, 150, 0, 0}, nil},
		{"500 once", answer(predicttest.Fault{Record: "41", Times: 1, Status: 500}), api.RunSucceeded, "", [4]int64{150, 150, 0, 0}, nil},
		{"500 for good", answer(predicttest.Fault{Record: "41", Status: 500, Body: "boom"}), api.RunIncomplete, "data", [4]int64{150, 149, 1, 0},
			[]string{"500 Internal Server Error: boom", "iris.csv:42", "id:41"}},
		{"a status that is permanent for this server", func(b *bench) {
			b.job.Predict.PermanentStatuses = []int64{409, 503}
			b.server.Inject(predicttest.Fault{Record: "41", Status: 503, Header: map[string]string{"Retry-After": "3600"}})
		}, api.RunIncomplete, "data", [4]int64{150, 149, 1, 0}, []string{"503 Service Unavailable", "id:41"}},
		{"a status that passes for this server", func(b *bench) {
			b.job.Predict.TransientStatuses, b.job.Retry.Attempts = []int64{422}, new(int64(1))
			b.server.Inject(predicttest.Fault{Record: "41", Status: 422})
		}, api.RunFailed, api.ReasonMaxFailed, [4]int64{150, 0, 0, 150}, []string{"transient", "422", "id=41"}},
		{"503 for a while", answer(predicttest.Fault{Record: "41", Times: 5, Status: 503}), api.RunSucceeded, "", [4]int64{150, 150, 0, 0}, nil},
		{"truncated answer once", answer(predicttest.Fault{Record: "41", Times: 1, Truncate: true}), api.RunSucceeded, "", [4]int64{150, 150, 0, 0}, nil},
		{"output folder not writable", func(b *bench) {
			must(b.t, os.WriteFile(b.output, nil, 0o644)) // a file where the folder should be
		}, api.RunFailed, api.ReasonOutputUnwritable, [4]int64{}, []string{"out"}},
		{"output taken by another job", func(b *bench) {
			must(b.t, os.MkdirAll(b.folder(occurrence), 0o755))
			must(b.t, os.WriteFile(filepath.Join(b.folder(occurrence), sink.ManifestName), []byte(`{"format":1,"job":"other","uid":"x"}`), 0o644))
		}, api.RunFailed, api.ReasonOutputTaken, [4]int64{}, []string{"dt=2026-11-21", "other"}},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			f.spoil(b)
			run := b.run()
			said := b.said(run)
			if run.State != f.state || f.reason != "" && run.Reason != f.reason && !strings.Contains(said, string(f.reason)) {
				t.Fatalf("run ended %s(%s), want %s(%s): %s", run.State, run.Reason, f.state, f.reason, said)
			}
			c := run.Counts
			if got := [4]int64{c.Planned, c.Committed, c.DeadLettered, c.Unfinished}; got != f.counts && !f.stopsEarly(got) {
				t.Errorf("planned, committed, dead-lettered, unfinished are %v, want %v", got, f.counts)
			}
			for _, text := range f.text {
				if !strings.Contains(said, text) {
					t.Errorf("%q does not appear in:\n%s", text, said)
				}
			}
			if run.State == api.RunFailed {
				if _, err := os.Stat(filepath.Join(b.folder(occurrence), sink.SuccessName)); err == nil {
					t.Error("a failed run was published")
				}
			}
			for record, n := range b.server.Predicted() {
				if n != 1 && run.State == api.RunSucceeded {
					t.Errorf("record %s was predicted %d times", record, n)
				}
			}
		})
	}
}

// stopsEarly tells that a run above max_failed stopped at its first dead
// letters: which of the others were found by then is a matter of scheduling.
func (f fault) stopsEarly(got [4]int64) bool {
	return f.reason == api.ReasonMaxFailed && got[0] == f.counts[0] && got[1] == 0 && got[2] == f.counts[2] && got[3] == got[0]-got[2]
}

// line replaces one physical line of the input.
func line(n int, text string) func(*bench) {
	return func(b *bench) {
		lines := records(150)
		lines[n-1] = text
		b.writeInput(lines)
	}
}

func answer(f predicttest.Fault) func(*bench) {
	return func(b *bench) { b.server.Inject(f) }
}

// said is everything a person is told about a run.
func (b *bench) said(run store.Run) string {
	b.t.Helper()
	text := run.Message + "\n"
	errors, err := b.store.TopErrors(run.ID, 5)
	must(b.t, err)
	for _, e := range errors {
		text += fmt.Sprintf("%s %d %s (%s)\n", e.Class, e.Status, e.Error, e.Example)
	}
	must(b.t, b.store.DeadLetters(run.ID, func(d api.DeadLetter) error {
		text += fmt.Sprintf("%s %s %v\n", d.Class, d.Error, d.Key)
		return nil
	}))
	return text
}
