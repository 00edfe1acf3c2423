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
	{"`max_run_attempts` without `complete`", func(j *Job) { j.Retry = &Retry{Policy: PolicyPartial, MaxRunAttempts: new(int64(2))} },
		"/retry/max_run_attempts", `goes with policy "complete" only; remove it or set that`},
	{"`max_carries` without `next_batch` or `new_files`", func(j *Job) { j.Retry = &Retry{Policy: PolicyPartial, MaxCarries: new(int64(2))} },
		"/retry/max_carries", `goes with policy "next_batch" or input.mode "new_files" only; remove it or set one of them`},
	{"`max_carries` + `complete`", func(j *Job) {
		j.Input.Mode, j.Retry = ModeNewFiles, &Retry{Policy: PolicyComplete, MaxCarries: new(int64(2))}
	}, "/retry/max_carries", `goes with records that one run leaves to the next, and policy "complete" leaves none; remove it`},
	{"`new_files` + `on_empty`", func(j *Job) { j.Input.Mode, j.Input.OnEmpty = ModeNewFiles, OnEmptySkip },
		"/input/on_empty", `goes with mode "full" only: with mode "new_files" a run without new files has succeeded; remove it`},
	{"`state`, `min_age` or `done_marker` without `new_files`", func(j *Job) { j.Input.State = StateReset },
		"/input/state", `goes with input.mode "new_files" only; remove it or set that`},
	{"`dead_letters.input = \"key_only\"` without `input.key`", func(j *Job) { j.DeadLetters = &DeadLetters{Input: DeadInputKeyOnly} },
		"/dead_letters/input", `"key_only" keeps nothing but the key, and the job has none; list its columns in input.key`},
}

func allow(change func(*Job)) func(*Job) {
	return func(j *Job) {
		j.Schedule, j.Overlap, j.Output.Files.URI = &Schedule{Cron: "@daily"}, OverlapAllow, "/out/{date}/{run}"
		change(j)
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
		"/input/files/min_age":     func(j *Job) { j.Input.Files.MinAge = "1m" },
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
