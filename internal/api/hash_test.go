package api

import (
	"reflect"
	"strings"
	"testing"
)

func TestTwoSpellingsOfOneJobHashAlike(t *testing.T) {
	hash := fullJob().Hash()
	for name, respell := range map[string]func(*Job){
		"days":            func(j *Job) { j.KeepWithheld = "48h" },
		"hours":           func(j *Job) { j.Schedule.Every = "720m" },
		"cron spaces":     func(j *Job) { j.Schedule.Cron = " 0  2 * * *" },
		"anchor's zone":   func(j *Job) { j.Schedule.Anchor = "2026-01-01T01:00:00+01:00" },
		"jitter":          func(j *Job) { j.Schedule.Jitter = "600s" },
		"window":          func(j *Job) { j.CatchUp.Window = "168h" },
		"request timeout": func(j *Job) { j.Predict.RequestTimeout = "5000ms" },
		"start timeout":   func(j *Job) { j.Predict.Server.StartTimeout = "60s" },
		"backoff":         func(j *Job) { j.Retry.Backoff[1] = "60s" },
		"min age":         func(j *Job) { j.Input.Files.MinAge = "300s" },
		"timeout":         func(j *Job) { j.MiniBatch.Timeout = "60m" },
		"kept":            func(j *Job) { j.Output.KeepFor = "720h" },
		"spool":           func(j *Job) { j.Input.MaxSpool = "2000MB" },
		"lag":             func(j *Job) { j.Input.SQL.Watermark.Lag = "600s" },
		"waiting":         func(j *Job) { j.Input.WaitFor.Timeout = "120m" },
		"dead letters":    func(j *Job) { j.DeadLetters.KeepFor = "336h" },
	} {
		job := fullJob()
		respell(&job)
		if job.Hash() != hash {
			t.Errorf("%s: another spelling has another hash", name)
		}
	}

	for name, schedule := range map[string]*Schedule{
		"none": nil, "cron": {Cron: "@daily"}, "every": {Every: "1h"}, "calendar": {Calendar: &Calendar{Hours: []int64{6}}},
	} {
		job := minimalJob()
		job.Schedule = schedule
		if job.WithDefaults().Hash() != job.Hash() {
			t.Errorf("schedule %s: defaults written out have another hash", name)
		}
	}
	for _, policy := range []string{PolicyPartial, PolicyComplete, PolicyNextBatch} {
		for _, mode := range []string{ModeFull, ModeNewFiles} {
			job := minimalJob()
			job.Retry, job.Input.Mode = &Retry{Policy: policy}, mode
			if job.WithDefaults().Hash() != job.Hash() {
				t.Errorf("%s, %s: defaults written out have another hash", policy, mode)
			}
		}
	}
	for name, job := range map[string]Job{"table": tableJob(), "program": programJob()} {
		if job.WithDefaults().Hash() != job.Hash() {
			t.Errorf("%s: defaults written out have another hash", name)
		}
	}
	hash = minimalJob().Hash()
	for name, respell := range map[string]func(*Job){
		"labels":  func(j *Job) { j.Labels = map[string]string{} },
		"outputs": func(j *Job) { j.Predict.Outputs = map[string]string{} },
		"key":     func(j *Job) { j.Input.Key = []string{} },
		"keep":    func(j *Job) { j.Output.Keep = []string{} },
		"folders": func(j *Job) { j.Output.Files.PartitionBy, j.Output.Files.Types = []string{}, map[string]string{} },
		"golden":  func(j *Job) { j.Predict.Golden = map[string]string{} },
		"statuses": func(j *Job) {
			j.Predict.PermanentStatuses, j.Predict.TransientStatuses = []int64{}, []int64{}
		},
	} {
		job := minimalJob()
		respell(&job)
		if job.Hash() != hash {
			t.Errorf("%s: empty and absent say the same, but hash differently", name)
		}
	}

	ordered, other := minimalJob(), minimalJob()
	ordered.Predict.PermanentStatuses, other.Predict.PermanentStatuses = []int64{409, 410}, []int64{410, 409}
	if ordered.Hash() != other.Hash() {
		t.Error("the order of statuses says nothing, but they hash differently")
	}

	bare, empty := fullJob(), fullJob()
	bare.Predict.Server.Env, bare.Predict.Server.SecretEnv = nil, nil
	empty.Predict.Server.Env, empty.Predict.Server.SecretEnv = map[string]string{}, map[string]SecretRef{}
	if bare.Hash() != empty.Hash() {
		t.Error("an empty environment and none hash differently")
	}
}

func TestKeepingNothingIsNotKeepingTheKey(t *testing.T) {
	theKey, nothing := fullJob(), fullJob()
	theKey.Output.Keep, nothing.Output.Keep = nil, []string{}
	if theKey.Hash() == nothing.Hash() {
		t.Error("keep = [] hashes like an absent keep")
	}
}

// partOf tells which part of a job a value belongs to: what is frozen with its
// plan, or what may change between the attempts at it. Labels, name, all that
// says when a run begins and what becomes of it afterwards have no say in how
// it goes.
func partOf(pointer string) (plan, exec bool) {
	for _, prefix := range []string{"/name", "/labels", "/paused", "/schedule", "/catch_up", "/overlap", "/max_queued", "/hold_after_failures",
		"/accept_incomplete", "/input/state", "/output/keep_runs", "/output/keep_for"} {
		if strings.HasPrefix(pointer, prefix) {
			return false, false
		}
	}
	for _, prefix := range []string{"/input", "/mini_batch/rows", "/predict/features", "/predict/outputs", "/predict/nan", "/output", "/retry/policy"} {
		if strings.HasPrefix(pointer, prefix) {
			return true, false
		}
	}
	return false, true
}

func TestEveryFieldChangesTheHashAndTheHashOfItsPart(t *testing.T) {
	before := fullJob()
	seen := 0
	var pointers []string
	leaves(t, reflect.ValueOf(new(fullJob())), "", func(pointer string, _ reflect.Value) { pointers = append(pointers, pointer) })
	for _, wanted := range pointers {
		job := fullJob()
		leaves(t, reflect.ValueOf(&job), "", func(pointer string, leaf reflect.Value) {
			if pointer == wanted {
				change(leaf)
				seen++
			}
		})
		if job.Hash() == before.Hash() {
			t.Errorf("%s does not change the hash", wanted)
		}
		plan, exec := partOf(wanted)
		if changed := job.PlanSpecHash() != before.PlanSpecHash(); changed != plan {
			t.Errorf("%s changes the plan's hash: %t, want %t", wanted, changed, plan)
		}
		if changed := job.ExecSpecHash() != before.ExecSpecHash(); changed != exec {
			t.Errorf("%s changes the execution's hash: %t, want %t", wanted, changed, exec)
		}
	}
	if seen < 35 || seen != len(pointers) {
		t.Errorf("only %d of %d fields were changed", seen, len(pointers))
	}
}

func TestHashLeavesTheJobAlone(t *testing.T) {
	for _, job := range []Job{minimalJob(), fullJob()} {
		before := clone(t, job)
		job.Hash()
		job.PlanSpecHash()
		job.ExecSpecHash()
		if !reflect.DeepEqual(job, before) {
			t.Errorf("hashing made it %+v", job)
		}
	}
}

func TestALaterAttemptTakesThePlanAsPlannedAndTheRestAsItIsNow(t *testing.T) {
	planned, current := fullJob(), fullJob()
	leaves(t, reflect.ValueOf(&current), "", func(_ string, leaf reflect.Value) { change(leaf) })
	currentBefore, plannedBefore := clone(t, current), clone(t, planned)

	got := current.WithPlanOf(planned)

	if got.PlanSpecHash() != planned.PlanSpecHash() {
		t.Error("the plan's part is not the planned one")
	}
	if got.ExecSpecHash() != current.ExecSpecHash() {
		t.Error("the execution's part is not the current one")
	}
	if got.Name != current.Name || got.Schedule.Cron != current.Schedule.Cron {
		t.Errorf("name and schedule are not the current ones: %s, %s", got.Name, got.Schedule.Cron)
	}
	if !reflect.DeepEqual(current, currentBefore) || !reflect.DeepEqual(planned, plannedBefore) {
		t.Error("the jobs it was made of were changed")
	}
}

func TestALaterAttemptKeepsThePlannedPolicy(t *testing.T) {
	of := func(policy string) Job {
		job := minimalJob()
		job.Retry = &Retry{Policy: policy}
		return job
	}
	partial := of(PolicyPartial)
	partial.Retry.Attempts, partial.MaxFailed = new(int64(7)), "5%"

	if got := partial.WithPlanOf(of(PolicyComplete)); got.Retry.Policy != PolicyComplete || *got.Retry.MaxRunAttempts != 2 || *got.Retry.Attempts != 7 || got.MaxFailed != "0" {
		t.Errorf("all or nothing became %+v, max_failed %s", got.Retry, got.MaxFailed)
	}
	if got := partial.WithPlanOf(of(PolicyNextBatch)); got.Retry.Policy != PolicyNextBatch || *got.Retry.MaxCarries != 3 || *got.Retry.Attempts != 1 {
		t.Errorf("one attempt became %+v", got.Retry)
	}
	if got := of(PolicyComplete).WithPlanOf(partial); got.Retry.Policy != PolicyPartial || *got.Retry.Attempts != 4 || got.MaxFailed != "1%" {
		t.Errorf("partial became %+v, max_failed %s", got.Retry, got.MaxFailed)
	}
}

func TestWhatTheMemoryOfAnInputIsAbout(t *testing.T) {
	job := minimalJob()
	if got := job.InputIdentity(); got != "" {
		t.Errorf("mode full remembers %q", got)
	}
	job.Input.Mode = ModeNewFiles
	identity := job.InputIdentity()
	for name, change := range map[string]func(*Job){
		"spelling":    func(j *Job) { j.Input.Files.URI = "file:///in/iris.csv" },
		"key":         func(j *Job) { j.Input.Key = []string{"id"} },
		"min_age":     func(j *Job) { j.Input.Files.MinAge = "5m" },
		"done_marker": func(j *Job) { j.Input.Files.DoneMarker = "*.done" },
		"state":       func(j *Job) { j.Input.State = StateReset },
		"name":        func(j *Job) { j.Name = "lily" },
	} {
		other := clone(t, job)
		change(&other)
		if other.InputIdentity() != identity {
			t.Errorf("%s makes it another input", name)
		}
	}
	job.Input.Files.URI = "/in/lily.csv"
	if job.InputIdentity() == identity {
		t.Error("another uri is the same input")
	}
}

func TestWhatTheMemoryOfAQueryIsAbout(t *testing.T) {
	job := tableJob()
	job.Input.Mode, job.Input.SQL.Watermark = ModeWatermark, &Watermark{Column: "updated_at", Start: StartNow}
	identity := job.InputIdentity()
	same := clone(t, job)
	same.Input.SQL.Query = "SELECT id, a\n  FROM items WHERE prediction IS NULL"
	same.Input.SQL.Watermark.Start, same.Input.SQL.Watermark.Lag = StartBeginning, "1h"
	if same.InputIdentity() != identity {
		t.Error("blanks, start or lag make it another input")
	}
	for name, change := range map[string]func(*Job){
		"query":    func(j *Job) { j.Input.SQL.Query = "SELECT * FROM other" },
		"database": func(j *Job) { j.Input.SQL.DSN.Secret = "other" },
		"column":   func(j *Job) { j.Input.SQL.Watermark.Column = "created_at" },
		"mode":     func(j *Job) { j.Input.Mode = ModePredicate },
	} {
		other := clone(t, job)
		change(&other)
		if other.InputIdentity() == identity {
			t.Errorf("another %s is the same input", name)
		}
	}
}

// Jobs that were stored before there were tables, compression and programs
// must not look changed.
func TestTheHashesOfEarlierJobsStayAsTheyWere(t *testing.T) {
	job := minimalJob()
	for name, pair := range map[string][2]string{
		"job":       {job.Hash(), "e870525c4b6e8fdb5975e3eb4dfc373700befeec92d91abfaf7f15207389ebd1"},
		"plan":      {job.PlanSpecHash(), "c64790ad91531661463aaabf852e26f07a1595eab91779bb496056862822b211"},
		"execution": {job.ExecSpecHash(), "97e25ddb48c177e52b88c63c04f1abcf298b33781f1ca3b159a5a691d027c6d5"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %s, and it was %s", name, pair[0], pair[1])
		}
	}
}

func TestALaterAttemptKeepsThePlannedDefaults(t *testing.T) {
	planned, current := minimalJob(), minimalJob()
	planned.Input.Key = []string{"id"}
	current.Input.Key = []string{"number"}
	current.MiniBatch = &MiniBatchSpec{Rows: new(int64(5))}
	got := current.WithPlanOf(planned)
	if *got.MiniBatch.Rows != DefaultRows || got.Output.Keep[0] != "id" {
		t.Errorf("rows %d, keep %v", *got.MiniBatch.Rows, got.Output.Keep)
	}
}
