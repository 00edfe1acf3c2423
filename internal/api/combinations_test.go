package api

import (
	"os"
	"strings"
	"testing"
)

// combined is a row of the table of combinations: what can't go together, and
// the finding that says so.
type combined struct {
	name          string // as the guide's row begins
	change        func(*Job)
	pointer, text string
}

var combinations = []combined{
	{"`complete` + `publish = \"progressive\"`", func(j *Job) {
		j.Retry, j.Output.Publish = &Retry{Policy: PolicyComplete}, PublishProgressive
	}, "/output/publish", `"progressive" shows mini-batches before the run has ended, and retry.policy "complete" promises all or nothing; change one of them`},
	{"`complete` + `max_failed` above 0", func(j *Job) {
		j.Retry, j.MaxFailed = &Retry{Policy: PolicyComplete}, "1%"
	}, "/max_failed", `"1%" lets records fail, and retry.policy "complete" promises all or nothing; set it to "0" or remove it`},
	{"`complete` + `on_model_change = \"continue\"`", func(j *Job) {
		j.Retry, j.Predict.OnModelChange = &Retry{Policy: PolicyComplete}, ModelChangeContinue
	}, "/predict/on_model_change", `"continue" lets a run mix models, and with retry.policy "complete" all predictions come from one; change one of them`},
	{"`complete` + `overlap = \"allow\"`", allow(func(j *Job) { j.Retry = &Retry{Policy: PolicyComplete} }),
		"/overlap", `"allow" lets runs go on side by side, which retry.policy "complete" can't; use "queue_one"`},
	{"`next_batch` + `overlap = \"allow\"`", allow(func(j *Job) { j.Retry = &Retry{Policy: PolicyNextBatch} }),
		"/overlap", `"allow" lets runs go on side by side, which retry.policy "next_batch" can't; use "queue_one"`},
	{"`new_files` + `overlap = \"allow\"`", allow(func(j *Job) { j.Input.Mode = ModeNewFiles }),
		"/overlap", `"allow" lets runs go on side by side, and with input.mode "new_files" each begins where the last one ended; use "queue_one"`},
	{"`next_batch` + `attempts` above 1", func(j *Job) { j.Retry = &Retry{Policy: PolicyNextBatch, Attempts: new(int64(2))} },
		"/retry/attempts", `2: with policy "next_batch" a mini-batch has one attempt, and what fails is carried to the next run; remove attempts`},
	{"`next_batch` + `duplicate_keys = \"first\"` or `\"last\"` of Parquet files", func(j *Job) {
		j.Retry, j.Input.Files.Format, j.Input.Key, j.Input.DuplicateKeys = &Retry{Policy: PolicyNextBatch}, FormatParquet, []string{"id"}, DuplicatesLast
	}, "/input/duplicate_keys", `"last" copies the file without what it leaves out, and with retry.policy "next_batch" runs owe rows of a Parquet file by their number; use "error"`},
	{"`max_run_attempts` without `complete`", func(j *Job) { j.Retry = &Retry{Policy: PolicyPartial, MaxRunAttempts: new(int64(2))} },
		"/retry/max_run_attempts", `goes with policy "complete" only; remove it or set that`},
	{"`max_carries` without `next_batch`, `new_files` or `watermark`", func(j *Job) { j.Retry = &Retry{Policy: PolicyPartial, MaxCarries: new(int64(2))} },
		"/retry/max_carries", `goes with records that one run leaves to the next, and this job's runs leave none; remove it, or set policy "next_batch" or an input.mode that remembers`},
	{"`max_carries` + `complete`", func(j *Job) {
		j.Input.Mode, j.Retry = ModeNewFiles, &Retry{Policy: PolicyComplete, MaxCarries: new(int64(2))}
	}, "/retry/max_carries", `goes with records that one run leaves to the next, and policy "complete" leaves none; remove it`},
	{"`new_files` + `on_empty`", func(j *Job) { j.Input.Mode, j.Input.OnEmpty = ModeNewFiles, OnEmptySkip },
		"/input/on_empty", `goes with mode "full" only: with mode "new_files" a run that finds nothing new has succeeded; remove it`},
	{"`state` with mode `full`", func(j *Job) { j.Input.State = StateReset },
		"/input/state", `is about what earlier runs took, and mode "full" takes everything; remove it, or set another input.mode`},
	{"`min_age` or `done_marker` without `new_files`", func(j *Job) { j.Input.Files.MinAge = "1m" },
		"/input/files/min_age", `goes with input.mode "new_files" only; remove it or set that`},
	{"`publish = \"progressive\"` + `layout = \"single\"` or `\"per_input_file\"`", progressive(func(f *OutputFiles) { f.Layout = LayoutSingle }),
		"/output/publish", `"progressive" publishes each mini-batch by itself, and layout "single" has no file for each; change one of them`},
	{"`publish = \"progressive\"` + `partition_by`", progressive(func(f *OutputFiles) { f.PartitionBy = []string{"id"} }),
		"/output/publish", `"progressive" publishes each mini-batch by itself, and partition_by spreads it over folders; change one of them`},
	{"`publish = \"progressive\"` + an object store", progressive(func(f *OutputFiles) { f.URI = "s3://scores/{date}" }),
		"/output/publish", `"progressive" is for folders and tables, and an object store shows a run as a whole only; remove it`},
	{"`input.files.uri` that matches what the runs publish", func(j *Job) {
		j.Input.Files.URI, j.Input.Files.Format = "s3://b/in/**", FormatCSV
		j.Output = Output{Keep: []string{"id"}, Files: &OutputFiles{URI: "s3://b/in/out/{date}", Format: FormatCSV, PartitionBy: []string{"id"}}}
	}, "/output/files/uri", `"s3://b/in/**" takes what the runs publish, as s3://b/in/out/1970-01-01/id=value/part-000001.r1.csv, for input`},
	{"`output.sql` + `overlap = \"allow\"`", allow(func(j *Job) { j.Input.Key, j.Output = []string{"id"}, tableJob().Output }),
		"/overlap", `"allow" lets runs publish at the same time, so each needs a place of its own, and a table is one; use "queue_one"`},
	{"`output.sql` without `input.key`", func(j *Job) { j.Output = tableJob().Output },
		"/input/key", "is required with output.sql: the columns that tell which row a prediction belongs to"},
	{"`output.sql` + `keep_runs` or `keep_for`", func(j *Job) { *j = tableJob(); j.Output.KeepRuns = new(int64(5)) },
		"/output/keep_runs", "is about published folders, and predictions go to a table; remove it"},
	{"`dead_letters.input = \"key_only\"` without `input.key`", func(j *Job) { j.DeadLetters = &DeadLetters{Input: DeadInputKeyOnly} },
		"/dead_letters/input", `"key_only" keeps nothing but the key, and the job has none; list its columns in input.key`},
}

func allow(change func(*Job)) func(*Job) {
	return func(j *Job) {
		j.Schedule, j.Overlap, j.Output.Files.URI = &Schedule{Cron: "@daily"}, OverlapAllow, "/out/{date}/{run}"
		change(j)
	}
}

func progressive(change func(*OutputFiles)) func(*Job) {
	return func(j *Job) {
		j.Input.Key, j.Output.Publish = []string{"id"}, PublishProgressive
		change(j.Output.Files)
	}
}

func TestEachRowOfTheTableOfCombinations(t *testing.T) {
	for _, row := range combinations {
		job := minimalJob()
		row.change(&job)
		problems := Validate(job)
		if len(problems) != 1 || problems[0].Pointer != row.pointer || problems[0].Message != row.text {
			t.Errorf("%s: want only %s %q, got %v", row.name, row.pointer, row.text, Invalid("job", problems))
		}
	}
	for pointer, change := range map[string]func(*Job){
		"/output/keep_for":         func(j *Job) { *j = tableJob(); j.Output.KeepFor = "1d" },
		"/output/publish":          progressive(func(f *OutputFiles) { f.Layout = LayoutPerInputFile }),
		"/input/files/done_marker": func(j *Job) { j.Input.Files.DoneMarker = "*.done" },
	} {
		job := minimalJob()
		change(&job)
		if problems := Validate(job); len(problems) != 1 || problems[0].Pointer != pointer {
			t.Errorf("want only %s, got %v", pointer, Invalid("job", problems))
		}
	}
}

func TestWhatGoesTogether(t *testing.T) {
	for name, change := range map[string]func(*Job){
		"complete, all or nothing": func(j *Job) {
			j.Retry, j.MaxFailed = &Retry{Policy: PolicyComplete, MaxRunAttempts: new(int64(3))}, "0%"
		},
		"complete over new files": func(j *Job) { j.Retry, j.Input.Mode = &Retry{Policy: PolicyComplete}, ModeNewFiles },
		"next_batch": func(j *Job) {
			j.Retry = &Retry{Policy: PolicyNextBatch, Attempts: new(int64(1)), MaxCarries: new(int64(5))}
		},
		"next_batch, progressive": func(j *Job) { j.Retry, j.Output.Publish = &Retry{Policy: PolicyNextBatch}, PublishProgressive },
		"new files, partial": func(j *Job) {
			j.Input.Mode, j.Input.State, j.Retry = ModeNewFiles, StateKeep, &Retry{Policy: PolicyPartial, MaxCarries: new(int64(5))}
			j.Input.Files.MinAge, j.Input.Files.DoneMarker = "0s", "_SUCCESS"
		},
		"partial side by side": allow(func(*Job) {}),
		"keys only":            func(j *Job) { j.Input.Key, j.DeadLetters = []string{"id"}, &DeadLetters{Input: DeadInputKeyOnly} },
	} {
		job := minimalJob()
		change(&job)
		if problems := Validate(job); len(problems) > 0 {
			t.Errorf("%s: %v", name, Invalid("job", problems))
		}
	}
}

// The guide's table is these rows, in this order.
func TestTheGuideHoldsTheTableOfCombinations(t *testing.T) {
	guide, err := os.ReadFile("../../templates/guides/retrying.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(guide), "| combination | why it is an error at plan |\n|---|---|\n")
	if !found {
		t.Fatal("the guide has no table of combinations")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	lines := strings.Split(strings.TrimSpace(table), "\n")
	if len(lines) != len(combinations) {
		t.Errorf("the guide's table has %d rows, and there are %d rules", len(lines), len(combinations))
	}
	for i, row := range combinations {
		if i < len(lines) && !strings.HasPrefix(lines[i], "| "+row.name+" |") {
			t.Errorf("row %d is %q; want %q", i+1, lines[i], row.name)
		}
	}
}

func TestWhatRunsPublishIsNoInput(t *testing.T) {
	for _, c := range []struct {
		in, out, layout string
		taken           bool
	}{
		{"/d/in/**/*.csv", "/d/in", "", true},
		{"/d/in/*/*.csv", "/d/in", "", true}, // the folder of the occurrence is appended
		{"/d/{date}/*.csv", "file:///d/{date}/", "", true},
		{"/d/out/*/*.csv", "/d/out/{date}", LayoutSingle, true},
		{"gs://b/out/*/out*.csv", "gs://b/out/", LayoutSingle, true},
		{"/d/in/*.csv", "/d/in", "", false},
		{"/d/in/*.csv", "/d/in/{date}", "", false},
		{"/d/in/**/*.csv", "/d/in/_scores/{date}", "", false}, // no wildcard matches a hidden folder
		{"/d/in/**/2*.csv", "/d/in", "", false},
		{"/d/{date-1d}/*.csv", "/d/{date}", "", false}, // a job may go on from its last night
		{"s3://a/in/**", "s3://b/in", "", false},
	} {
		j := minimalJob()
		j.Input.Files.URI, j.Input.Files.Format = c.in, FormatCSV
		j.Output = Output{Files: &OutputFiles{URI: c.out, Format: FormatCSV, Layout: c.layout}}
		if said := Validate(j); (len(said) > 0) != c.taken {
			t.Errorf("%s to %s: %v", c.in, c.out, said)
		}
	}
}
