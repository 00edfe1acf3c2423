package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
)

func TestRunPredictsEveryRecordOnceInInputOrder(t *testing.T) {
	b := newBench(t)
	run := b.run()
	if run.State != api.RunSucceeded || run.Message != "" {
		t.Fatalf("run ended %s %s: %s", run.State, run.Reason, run.Message)
	}
	want := api.Counts{Planned: 150, Committed: 150}
	if run.Counts != want {
		t.Errorf("counts are %+v, want %+v", run.Counts, want)
	}
	if run.MiniBatches.Committed != 8 {
		t.Errorf("%d mini-batches committed, want 8", run.MiniBatches.Committed)
	}
	rows := b.published(b.folder(occurrence))
	if len(rows) != 150 {
		t.Fatalf("%d records published, want 150", len(rows))
	}
	for i, row := range rows {
		if row["id"] != fmt.Sprint(i+1) || row["score"] != float64(i+1)+0.5 {
			t.Fatalf("record %d is %v", i+1, row)
		}
	}
	for record, n := range b.server.Predicted() {
		if n != 1 {
			t.Errorf("record %s was predicted %d times", record, n)
		}
	}
	if m := b.manifest(b.folder(occurrence)); m.Counts != want || m.Revision != 1 || len(m.Parts) != 8 || m.Run != run.ID {
		t.Errorf("manifest is %+v", m)
	}
	for _, name := range []string{filepath.Join(b.folder(occurrence), sink.SuccessName), filepath.Join(b.output, sink.LatestName)} {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
	b.stop()
	if left, _ := filepath.Glob(filepath.Join(b.output, ".batch", "*")); len(left) > 0 {
		t.Errorf("staging is left behind: %v", left)
	}
}

func TestARequestSizeThatWasTooLargeIsLearntForTheRun(t *testing.T) {
	b := newBench(t)
	b.server.Inject(predicttest.Fault{MoreThan: 6, Status: 413})
	run := b.run()
	plan, err := b.store.Plan(run.ID)
	must(t, err)
	if run.State != api.RunSucceeded || plan.RowsPerRequest != 5 { // 20, halved until it fits
		t.Errorf("run ended %s with %d rows a request", run.State, plan.RowsPerRequest)
	}
	b.eachPredictedOnce()
}
