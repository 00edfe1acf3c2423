package api

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// minimalJob is the shortest job that can run.
func minimalJob() Job {
	return Job{
		Name:  "iris",
		Input: Input{Files: &InputFiles{URI: "/in/iris.csv"}},
		Predict: Predict{
			Protocol: ProtocolOIPv2, Model: Model{Name: "iris"},
			Features: Features{Columns: []string{"sepal_length", "sepal_width"}},
			Endpoint: &Endpoint{URL: "http://127.0.0.1:8080"},
		},
		Output: Output{Files: &OutputFiles{URI: "/out/dt={date}/"}},
	}
}

// fullJob has every field set, also those that exclude each other.
func fullJob() Job {
	return Job{
		Name:   "iris",
		Labels: map[string]string{"team": "plants"},
		Paused: new(true),
		Schedule: &Schedule{
			Cron: "0 2 * * *", Every: "12h", At: []string{"2026-12-24T18:00"},
			Calendar: &Calendar{
				Months: []string{"jan"}, DaysOfMonth: []int64{31}, Weekdays: []string{"mon#2"}, Hours: []int64{6}, Minutes: []int64{30}, OnShortMonth: ShortMonthSkip,
			},
			Anchor: "2026-01-01T00:00:00Z", TimeZone: "Europe/Berlin", StartAt: "2026-01-01T00:00", EndAt: "2027-01-01T00:00",
			ExcludeDates: []string{"2026-12-25"}, Jitter: "10m", DST: &DST{Missing: MissingSkip, Repeated: RepeatedBoth},
		},
		CatchUp: &CatchUp{Mode: CatchUpAll, Window: "7d", MaxRuns: new(int64(5))},
		Overlap: OverlapQueueAll, MaxQueued: new(int64(7)), HoldAfterFailures: new(int64(3)),
		Input:       Input{Files: &InputFiles{URI: "/in/*.csv", Format: FormatJSONL}, Key: []string{"id"}, OnEmpty: OnEmptySkip},
		MiniBatch:   &MiniBatchSpec{Rows: new(int64(20))},
		Parallelism: new(int64(4)),
		Predict: Predict{
			Protocol: ProtocolOIPv2, Model: Model{Name: "iris", Version: "3"},
			Features:       Features{Columns: []string{"a", "b"}, As: AsColumns, Name: "x", Datatype: "FP32"},
			Outputs:        map[string]string{"label": "predict", "p": "predict_proba[1]"},
			RowsPerRequest: new(int64(10)), RequestTimeout: "5s",
			Server: &Server{
				Command: []string{"serve", "--port={port}"}, WorkingDir: "/srv", Env: map[string]string{"A": "b"},
				SecretEnv: map[string]SecretRef{"TOKEN": {Secret: "token", File: "/run/token", Env: "TOKEN"}}, StartTimeout: "1m",
			},
			Endpoint: &Endpoint{URL: "http://127.0.0.1:8080"},
		},
		Output:       Output{Files: &OutputFiles{URI: "/out/{date}", Format: FormatCSV}, Keep: []string{"id", "a"}},
		Retry:        &Retry{Policy: PolicyPartial, Attempts: new(int64(2)), Backoff: []Duration{"1s", "1m"}},
		MaxFailed:    "3%",
		KeepWithheld: "2d",
	}
}

func clone(t *testing.T, j Job) Job {
	t.Helper()
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	var copied Job
	if err := json.Unmarshal(text, &copied); err != nil {
		t.Fatal(err)
	}
	return copied
}

// leaves calls visit for each value below v that holds no further fields,
// with its JSON pointer. Maps and lists count as one value, and so do maps of
// objects; a nil pointer fails the test, so that fullJob stays full.
func leaves(t *testing.T, v reflect.Value, pointer string, visit func(pointer string, leaf reflect.Value)) {
	t.Helper()
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			t.Fatalf("%s is not set: add it to fullJob", pointer)
		}
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		if v.IsZero() {
			t.Fatalf("%s is not set: add it to fullJob", pointer)
		}
		visit(pointer, v)
		return
	}
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		leaves(t, v.Field(i), pointer+"/"+name, visit)
	}
}

// change gives a leaf another value.
func change(leaf reflect.Value) {
	switch leaf.Kind() {
	case reflect.String:
		leaf.SetString(leaf.String() + "9")
	case reflect.Int64:
		leaf.SetInt(leaf.Int() + 1)
	case reflect.Bool:
		leaf.SetBool(!leaf.Bool())
	case reflect.Slice:
		leaf.Set(reflect.Append(leaf, leaf.Index(0)))
	case reflect.Map:
		key := leaf.MapKeys()[0]
		leaf.SetMapIndex(reflect.ValueOf("another"), leaf.MapIndex(key))
	default:
		panic("no way to change a " + leaf.Kind().String())
	}
}

func TestAJobSurvivesJSONWithAbsentAndEmptyApart(t *testing.T) {
	absent, empty := minimalJob(), minimalJob()
	empty.Labels, empty.Input.Key, empty.Output.Keep = map[string]string{}, []string{}, []string{}
	empty.Predict.Outputs = map[string]string{}
	empty.Retry = &Retry{Policy: PolicyPartial, Backoff: []Duration{}}
	empty.Predict.Server = &Server{Command: []string{"x"}, Env: map[string]string{}, SecretEnv: map[string]SecretRef{}}
	for name, job := range map[string]Job{"minimal": absent, "empty": empty, "full": fullJob()} {
		if got := clone(t, job); !reflect.DeepEqual(got, job) {
			t.Errorf("%s: came back as\n%+v\nfrom\n%+v", name, got, job)
		}
	}
}

func TestWithDefaultsFillsWhatIsAbsentAndLeavesItsReceiverAlone(t *testing.T) {
	minimal := minimalJob()
	minimal.Schedule = &Schedule{Every: "1h"}
	minimal.Input.Key = []string{"id"}
	minimal.Predict.Server = &Server{Command: []string{"serve"}}
	before := clone(t, minimal)

	got := minimal.WithDefaults()

	if !reflect.DeepEqual(minimal, before) {
		t.Errorf("the receiver became %+v", minimal)
	}
	for name, pair := range map[string][2]any{
		"paused":           {*got.Paused, false},
		"time_zone":        {got.Schedule.TimeZone, "UTC"},
		"anchor":           {got.Schedule.Anchor, "1970-01-01T00:00:00Z"},
		"input.format":     {got.Input.Files.Format, "csv"},
		"on_empty":         {got.Input.OnEmpty, "fail"},
		"rows":             {*got.MiniBatch.Rows, int64(10_000)},
		"parallelism":      {*got.Parallelism, int64(8)},
		"as":               {got.Predict.Features.As, "matrix"},
		"rows_per_request": {*got.Predict.RowsPerRequest, int64(128)},
		"request_timeout":  {got.Predict.RequestTimeout, Duration("60s")},
		"start_timeout":    {got.Predict.Server.StartTimeout, Duration("10m")},
		"output.format":    {got.Output.Files.Format, "jsonl"},
		"keep":             {strings.Join(got.Output.Keep, " "), "id"},
		"policy":           {got.Retry.Policy, "partial"},
		"attempts":         {*got.Retry.Attempts, int64(4)},
		"backoff":          {len(got.Retry.Backoff), 3},
		"max_failed":       {got.MaxFailed, "1%"},
		"keep_withheld":    {got.KeepWithheld, Duration("7d")},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %v, not %v", name, pair[0], pair[1])
		}
	}
	if problems := Validate(minimalJob().WithDefaults()); len(problems) > 0 {
		t.Errorf("a job with its defaults is not valid: %v", problems)
	}
}

func TestWithDefaultsChangesNothingThatIsSet(t *testing.T) {
	full := fullJob()
	if got := full.WithDefaults(); !reflect.DeepEqual(got, full) {
		t.Errorf("became %+v", got)
	}
	if !reflect.DeepEqual(full, fullJob()) {
		t.Errorf("the receiver became %+v", full)
	}
	full.Schedule = &Schedule{Cron: "@daily"}
	if got := full.WithDefaults().Schedule.Anchor; got != "" {
		t.Errorf("a cron schedule got the anchor %q", got)
	}
}

func TestSummaryShowsWhatIsInForce(t *testing.T) {
	job := minimalJob()
	want := "manual runs only · 10,000 rows a mini-batch, 8 in flight · 128 rows a request as matrix, 60s each · " +
		"partial: failed mini-batches 4× after 10s, 1m, 5m · withheld above 1% for 7d · empty input: fail"
	if got := job.Summary("manual runs only"); got != want {
		t.Errorf("minimal:\n%s\nwant\n%s", got, want)
	}
	job = fullJob()
	want = "paused · at 02:00, Europe/Berlin · missed: all, at most 5, not older than 7d · overlap: queue_all, at most 7 · held after 3 failed runs in a row · " +
		"20 rows a mini-batch, 4 in flight · 10 rows a request as columns, 5s each · " +
		"partial: failed mini-batches 2× after 1s, 1m · withheld above 3% for 2d · empty input: skip · server starts within 1m · keeps id, a"
	if got := job.Summary("at 02:00, Europe/Berlin"); got != want {
		t.Errorf("full:\n%s\nwant\n%s", got, want)
	}
	job = minimalJob()
	job.Schedule = &Schedule{Cron: "0 2 * * MON-SAT"}
	if got := job.Summary("at 02:00"); !strings.HasPrefix(got, "at 02:00 · missed: latest · overlap: skip · 10,000 rows") {
		t.Errorf("the defaults of a scheduled job read %q", got)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -999: "-999"} {
		if got := Thousands(n); got != want {
			t.Errorf("%d reads %q, not %q", n, got, want)
		}
	}
}
