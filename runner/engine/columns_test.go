package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// parquetColumns are the columns of a run's first part, with their types.
func (b *bench) parquetColumns() (columns []string) {
	b.t.Helper()
	file, err := os.Open(filepath.Join(b.folder(occurrence), "part-000001.parquet"))
	must(b.t, err)
	defer file.Close() //nolint:errcheck // read only
	info, err := file.Stat()
	must(b.t, err)
	parquet, err := format.OpenParquet(file, info.Size())
	must(b.t, err)
	for _, column := range parquet.Columns() {
		columns = append(columns, column.Name+" "+column.Type)
	}
	return columns
}

func TestParquetHasTheTypesThatTheModelAndTheFirstValuesTell(t *testing.T) {
	b := newBench(t)
	b.job.Output.Files.Format = api.FormatParquet
	b.job.Output.Keep = []string{"id", "b"}
	b.job.Output.Files.Types = map[string]string{"b": api.TypeDouble}
	run := b.run()
	if run.State != api.RunSucceeded {
		t.Fatalf("run is %s(%s): %s", run.State, run.Reason, run.Message)
	}
	if got := b.parquetColumns(); !slices.Equal(got[:2], []string{"id string", "b double"}) || !slices.Contains(got, "score double") {
		t.Errorf("columns are %q", got)
	}
}

func TestAValueThatIsNotOfItsColumnsTypeIsADeadLetter(t *testing.T) {
	b := programmed(t, api.PerSlot, `1=say {"score": null},30=say {"score": "high"}`)
	b.job.MaxFailed = "5%"
	b.job.Output.Files.Format = api.FormatParquet
	run := b.run()
	if c := run.Counts; run.State != api.RunIncomplete || c.Committed != 149 {
		t.Fatalf("run is %s(%s): %s, counts %+v", run.State, run.Reason, run.Message, c)
	}
	if got := fmt.Sprint(b.parquetColumns()); got != "[id string score double]" {
		t.Errorf("columns are %s", got)
	}
	must(t, b.store.DeadLetters(run.ID, func(d api.DeadLetter) error {
		if d.Key["id"] != "30" || d.Class != api.ClassData || !strings.Contains(d.Error, `"score"`) {
			t.Errorf("the dead letter is %+v", d)
		}
		return nil
	}))
}

func TestFeaturesThatNobodyNamesAreTheColumnsThatAreLeft(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*api.Job)
		want   string // features as planned, or the failure
	}{
		"all but the key":    {func(*api.Job) {}, "a b"},
		"nor what is kept":   {func(j *api.Job) { j.Output.Keep = []string{"id", "a"} }, "b"},
		"nor what is not in": {func(j *api.Job) { j.Predict.Features.Exclude = []string{"b"} }, "a"},
		"a typo":             {func(j *api.Job) { j.Predict.Features.Exclude = []string{"c"} }, `no column "c", only id, a, b`},
		"nothing":            {func(j *api.Job) { j.Predict.Features.Exclude = []string{"a", "b"} }, "no column of the input is left"},
		"golden": {func(j *api.Job) { j.Predict.Golden = map[string]string{"a": "1"} },
			`predict.golden has cells for ["a"], and the features are ["a" "b"]`},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.job.Predict.Features = api.Features{Exclude: []string{"id"}}
			c.change(&b.job)
			run := b.run()
			if plan, err := b.store.Plan(run.ID); err == nil {
				if got := strings.Join(plan.Spec.Predict.Features.Columns, " "); got != c.want {
					t.Errorf("features are %q, want %q", got, c.want)
				}
				return
			}
			if run.Reason != api.Reason(api.ClassConfig) || !strings.Contains(run.Message, c.want) {
				t.Errorf("run is %s(%s): %s, want %s", run.State, run.Reason, run.Message, c.want)
			}
		})
	}
}

// What no reader would take is not written: it would be staged, and could never
// be published.
func TestARecordThatIsTooLargeOnceItIsWritten(t *testing.T) {
	inMemory(t, func(b *bench) {
		lines := records(30)
		for i, line := range lines {
			lines[i] = line + ",note"
		}
		lines[7] = "7,7,0.5," + strings.Repeat("\t", 9<<20) // twice as long in JSON
		b.writeInput(lines)
		b.job.Output.Files.Format, b.job.Output.Keep = api.FormatJSONL, []string{"id", "note"}
		b.start()
		run := b.rested(b.queue(occurrence).ID)
		if run.State != api.RunIncomplete || run.Counts.Committed != 29 {
			t.Errorf("the run is %s(%s), %+v: %s", run.State, run.Reason, run.Counts, run.Message)
		}
		must(t, b.store.DeadLetters(run.ID, func(letter api.DeadLetter) error {
			if letter.Class != api.ClassData || letter.Key["id"] != "7" || !strings.Contains(letter.Error, "would be larger than 16 MiB") {
				t.Errorf("the dead letter is %+v", letter)
			}
			return nil
		}))
	})
}
