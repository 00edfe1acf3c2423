package api

import (
	"encoding/json"
	"reflect"
	"slices"
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

// tableJob reads rows of a table and writes predictions back to them.
func tableJob() Job {
	job := minimalJob()
	job.Input = Input{
		SQL: &InputSQL{DSN: SecretRef{Secret: "dsn"}, Query: "SELECT id, a FROM items WHERE prediction IS NULL"},
		Key: []string{"id"}, Mode: ModePredicate,
	}
	job.Output = Output{SQL: &OutputSQL{DSN: SecretRef{Secret: "dsn"}, Table: "items", Write: WriteUpdate, JSONColumn: "prediction"}}
	return job
}

// programJob has a program predict.
func programJob() Job {
	job := minimalJob()
	job.Predict = Predict{Features: Features{Exclude: []string{}}, Program: &Program{Command: []string{"awk", "{print}"}}}
	return job
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
		Input: Input{
			Files: &InputFiles{
				URI: "/in/*.csv", Format: FormatJSONL, Compression: CompressionZstd, Header: new(true), Columns: []string{"a", "b"}, NullValues: []string{"NA"}, Verify: VerifyChecksum,
				HivePartitions: new(true), MinAge: "5m", DoneMarker: "*.done",
			},
			SQL: &InputSQL{
				DSN: SecretRef{Secret: "dsn", File: "/run/dsn", Env: "DSN"}, Query: "SELECT * FROM items",
				Watermark: &Watermark{Column: "updated_at", Start: StartNow, Lag: "10m"},
			},
			Key: []string{"id"}, DuplicateKeys: DuplicatesLast, OnEmpty: OnEmptySkip, Mode: ModeNewFiles, State: StateKeep,
			WaitFor:  &WaitFor{URI: "/in/_SUCCESS", SQL: "SELECT 1", RowsAtLeast: new(int64(5)), Timeout: "2h"},
			MaxSpool: "2GB",
		},
		MiniBatch:   &MiniBatchSpec{Rows: new(int64(20)), Timeout: "1h"},
		Parallelism: new(int64(4)),
		Predict: Predict{
			Protocol: ProtocolOIPv2, Model: Model{Name: "iris", Version: "3"},
			Features:       Features{Columns: []string{"a", "b"}, Exclude: []string{"c"}, As: AsColumns, Name: "x", Datatype: "FP32"},
			Outputs:        map[string]string{"label": "predict", "p": "predict_proba[1]"},
			NaN:            NaNString,
			RowsPerRequest: new(int64(10)), Requests: RequestsFixed, RequestTimeout: "5s",
			PermanentStatuses: []int64{409}, TransientStatuses: []int64{404}, Golden: map[string]string{"a": "1", "b": "2"}, OnModelChange: ModelChangeContinue,
			Server: &Server{
				Command: []string{"serve", "--port={port}"}, WorkingDir: "/srv", Env: map[string]string{"A": "b"},
				SecretEnv: map[string]SecretRef{"TOKEN": {Secret: "token", File: "/run/token", Env: "TOKEN"}}, StartTimeout: "1m",
				Replicas: new(int64(2)), ModelFiles: []string{"/srv/model"}, PricePerHour: "0.35 EUR",
			},
			Endpoint: &Endpoint{URL: "http://127.0.0.1:8080"},
			Program: &Program{
				Command: []string{"score"}, WorkingDir: "/srv", Env: map[string]string{"A": "b"}, SecretEnv: map[string]SecretRef{"TOKEN": {Secret: "token"}}, Per: PerMiniBatch,
			},
		},
		Output: Output{
			Files: &OutputFiles{
				URI: "/out/{date}", Format: FormatCSV, Layout: LayoutSingle, PartitionBy: []string{"a"}, Types: map[string]string{"p": TypeDouble},
			},
			SQL: &OutputSQL{
				DSN: SecretRef{Secret: "dsn", File: "/run/dsn", Env: "DSN"}, Table: "scores", Write: WriteUpsert, JSONColumn: "prediction", RunAt: "scored_at", OnlyIfUnset: new(true),
			},
			Keep:    []string{"id", "a"},
			Publish: PublishProgressive, KeepRuns: new(int64(9)), KeepFor: "30d",
		},
		Retry: &Retry{
			Policy: PolicyPartial, Attempts: new(int64(2)), Backoff: []Duration{"1s", "1m"}, MaxRunAttempts: new(int64(3)), MaxCarries: new(int64(5)),
		},
		MaxFailed:        "3%",
		KeepWithheld:     "2d",
		AcceptIncomplete: new(true),
		DeadLetters:      &DeadLetters{Input: DeadInputKeyOnly, KeepFor: "14d"},
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

		"accept_incomplete": {*got.AcceptIncomplete, false},
		"dead_letters":      {*got.DeadLetters, DeadLetters{Input: "full", KeepFor: "90d"}},
		"mode":              {got.Input.Mode, "full"},
		"timeout":           {got.MiniBatch.Timeout, Duration("6h")},
		"requests":          {got.Predict.Requests, "adaptive"},
		"on_model_change":   {got.Predict.OnModelChange, "fail"},
		"replicas":          {*got.Predict.Server.Replicas, int64(1)},
		"publish":           {got.Output.Publish, "on_complete"},
		"compression":       {got.Input.Files.Compression, "none"},
		"header":            {*got.Input.Files.Header, true},
		"hive_partitions":   {*got.Input.Files.HivePartitions, false},
		"max_spool":         {got.Input.MaxSpool, Size("50GB")},
		"nan":               {got.Predict.NaN, "null"},
		"layout":            {got.Output.Files.Layout, "per_mini_batch"},
		"duplicate_keys":    {got.Input.DuplicateKeys, ""},          // where predictions go to a table only
		"min_age":           {got.Input.Files.MinAge, Duration("")}, // of new files only
		"max_run_attempts":  {got.Retry.MaxRunAttempts == nil, true},
		"max_carries":       {got.Retry.MaxCarries == nil, true},
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

func TestTheDefaultsThatFollowFromAPolicyOrAMode(t *testing.T) {
	of := func(policy, mode, marker string) Job {
		job := minimalJob()
		job.Retry = &Retry{Policy: policy}
		job.Input.Mode, job.Input.Files.DoneMarker = mode, marker
		return job.WithDefaults()
	}
	// What a policy does not use stays absent.
	type force struct {
		attempts, runAttempts, carries int64
		maxFailed, onEmpty             string
		minAge                         Duration
	}
	for name, test := range map[string]struct {
		job  Job
		want force
	}{
		"partial":               {of(PolicyPartial, "", ""), force{4, 0, 0, "1%", "fail", ""}},
		"complete":              {of(PolicyComplete, "", ""), force{4, 2, 0, "0", "fail", ""}},
		"next_batch":            {of(PolicyNextBatch, "", ""), force{1, 0, 3, "1%", "fail", ""}},
		"new files":             {of(PolicyPartial, ModeNewFiles, ""), force{4, 0, 3, "1%", "", "1m"}},
		"new files, complete":   {of(PolicyComplete, ModeNewFiles, ""), force{4, 2, 0, "0", "", "1m"}},
		"new files with marker": {of(PolicyNextBatch, ModeNewFiles, "*.done"), force{1, 0, 3, "1%", "", ""}},
	} {
		value := func(p *int64) int64 {
			if p == nil {
				return 0
			}
			return *p
		}
		r := test.job.Retry
		got := force{value(r.Attempts), value(r.MaxRunAttempts), value(r.MaxCarries), test.job.MaxFailed, test.job.Input.OnEmpty, test.job.Input.Files.MinAge}
		if got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
		if problems := Validate(test.job); len(problems) > 0 {
			t.Errorf("%s: with its defaults it is not valid: %v", name, problems)
		}
	}
}

func TestSummaryShowsWhatIsInForce(t *testing.T) {
	summary := func(change func(*Job)) string {
		job := minimalJob()
		change(&job)
		return job.Summary("by hand")
	}
	const (
		reads  = "by hand · all csv files (empty: fail) · mini-batches of 10,000 rows within 6h, 8 requests in flight · "
		asks   = "128 rows a request (adaptive) as matrix within 60s, NaN: null, no golden record · the server's version (another: fail)"
		failed = " · withheld above 1% failed for 7d (incomplete: unhealthy) · dead letters: full input for 90d"
		output = " · published on_complete as jsonl per_mini_batch, kept forever"
	)
	for name, test := range map[string]struct {
		change func(*Job)
		want   string
	}{
		"minimal": {func(*Job) {}, reads + asks + " · partial: mini-batches 4× after 10s, 1m, 5m" + failed + output},
		"complete": {func(j *Job) { j.Retry = &Retry{Policy: PolicyComplete} },
			reads + asks + " · complete: mini-batches 4× after 10s, 1m, 5m, the whole plan 2×" + strings.Replace(failed, "1%", "0", 1) + output},
		"next_batch": {func(j *Job) { j.Retry = &Retry{Policy: PolicyNextBatch} },
			reads + asks + " · next_batch: mini-batches once, carried by at most 3 runs" + failed + output},
		"new files": {func(j *Job) { j.Input.Mode = ModeNewFiles },
			strings.Replace(reads, "all csv files (empty: fail)", "new csv files unchanged for 1m", 1) + asks + " · partial: mini-batches 4× after 10s, 1m, 5m, carried by at most 3 runs" + failed + output},
		"rows into a table": {func(j *Job) { *j = tableJob() },
			"by hand · the rows that a query finds without a prediction, duplicate keys: error, spool of at most 50GB · mini-batches of 10,000 rows within 6h, 8 requests in flight · " +
				asks + " · partial: mini-batches 4× after 10s, 1m, 5m" + failed + " · published progressive by update of unset rows of items (JSON in prediction) with id"},
		"server": {func(j *Job) { j.Predict.Server = &Server{Command: []string{"serve"}} },
			reads + asks + " on 1 server ready within 10m · partial: mini-batches 4× after 10s, 1m, 5m" + failed + output},
	} {
		if got := summary(test.change); got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, test.want)
		}
	}
	want := "paused · at 02:00, Europe/Berlin · missed: all, at most 5, not older than 7d · overlap: queue_all, at most 7 · held after 3 failed runs in a row · " +
		"rows of a query whose updated_at is beyond the last run's (first: now), 10m behind the database's clock, " +
		"new zstd jsonl files of the columns a, b with [\"NA\"] for no value in hive partitions verified by checksums unchanged for 5m with *.done (memory: keep), " +
		"duplicate keys: last, spool of at most 2GB, waits 2h for /in/_SUCCESS, an answer to SELECT 1, 5 rows · mini-batches of 20 rows within 1h, 4 requests in flight · " +
		"10 rows a request (fixed) as columns within 5s, NaN: string, a program per mini_batch, 409 is permanent, 404 is transient, a golden record · " +
		"version 3 (another: continue) on 2 servers ready within 1m, model files /srv/model, 0.35 EUR an hour each · " +
		"partial: mini-batches 2× after 1s, 1m, the whole plan 3×, carried by at most 5 runs · withheld above 3% failed for 2d (incomplete: healthy) · " +
		"dead letters: key_only input for 14d · published progressive by upsert of unset rows of scores (JSON in prediction), the occurrence in scored_at as csv single in folders by a, p as double with id, a, the newest 9 and those of 30d kept"
	if got := fullJob().Summary("at 02:00, Europe/Berlin"); got != want {
		t.Errorf("full:\n%s\nwant\n%s", got, want)
	}
	job := minimalJob()
	job.Schedule = &Schedule{Cron: "0 2 * * MON-SAT"}
	if got := job.Summary("at 02:00"); !strings.HasPrefix(got, "at 02:00 · missed: latest · overlap: skip · all csv files") {
		t.Errorf("the defaults of a scheduled job read %q", got)
	}
}

// A key that Terraform drops because it is misspelt must show in the plan: so
// whatever has a default is told by the summary. What is listed here is told by
// package schedule, required, or of no use to a reader of the summary.
func TestEverySettingShowsInTheSummary(t *testing.T) {
	silent := []string{
		"/name", "/labels", "/schedule", "/input/files/uri", "/input/key", "/input/on_empty", "/output/files/uri",
		"/input/sql/dsn", "/output/sql/dsn", "/input/sql/query",
		"/predict/protocol", "/predict/model/name", "/predict/features/columns", "/predict/features/exclude", "/predict/features/name", "/predict/features/datatype",
		"/predict/outputs", "/predict/golden", "/predict/endpoint",
		"/predict/server/command", "/predict/server/working_dir", "/predict/server/env", "/predict/server/secret_env",
		"/predict/program/command", "/predict/program/working_dir", "/predict/program/env", "/predict/program/secret_env",
	}
	var pointers []string
	leaves(t, reflect.ValueOf(new(fullJob())), "", func(pointer string, _ reflect.Value) { pointers = append(pointers, pointer) })
	for _, wanted := range pointers {
		job := fullJob()
		leaves(t, reflect.ValueOf(&job), "", func(pointer string, leaf reflect.Value) {
			if pointer == wanted {
				change(leaf)
			}
		})
		if slices.ContainsFunc(silent, func(prefix string) bool { return strings.HasPrefix(wanted, prefix) }) {
			continue
		}
		if wanted == "/input/mode" { // and then the full mode's on_empty is told
			job.Input.Mode = ModeFull
		}
		if job.Summary("") == fullJob().Summary("") {
			t.Errorf("%s does not show", wanted)
		}
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -999: "-999"} {
		if got := Thousands(n); got != want {
			t.Errorf("%d reads %q, not %q", n, got, want)
		}
	}
}
