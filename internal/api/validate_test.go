package api

import (
	"strings"
	"testing"
)

func TestASoundJobHasNoFindings(t *testing.T) {
	server := fullJob()
	server.Schedule.Cron, server.Predict.Endpoint, server.Predict.Features.Name = "", nil, ""
	server.Predict.Program, server.Predict.Features.Exclude = nil, nil
	server.Input.SQL, server.Output.SQL, server.Input.Files.Header, server.Input.Files.Columns, server.Input.Files.NullValues = nil, nil, nil, nil, nil
	server.Input.WaitFor = &WaitFor{URI: "/in/_SUCCESS", Timeout: "2h"}
	server.Output.Files.Layout, server.Output.Files.PartitionBy, server.Output.Files.Types = "", nil, nil
	server.Input.OnEmpty, server.Retry.MaxRunAttempts = "", nil
	server.Predict.Server.SecretEnv["TOKEN"] = SecretRef{File: "/run/token"}
	tensorflow := minimalJob()
	tensorflow.Predict.Protocol = ProtocolTFv1
	byExtension := minimalJob()
	byExtension.Input.Files.URI = "file:///in/{date-1d}/part-[0-9]*.JSONL"
	for name, job := range map[string]Job{"minimal": minimalJob(), "server": server, "tf_v1": tensorflow, "by extension": byExtension, "table": tableJob(), "program": programJob()} {
		if problems := Validate(job); len(problems) > 0 {
			t.Errorf("%s: %v", name, Invalid("job", problems))
		}
	}
}

func TestEachRuleIsReportedAtItsValue(t *testing.T) {
	withServer := func(change func(*Server)) func(*Job) {
		return func(j *Job) {
			j.Predict.Endpoint = nil
			j.Predict.Server = &Server{Command: []string{"serve"}}
			change(j.Predict.Server)
		}
	}
	withSecret := func(ref SecretRef) func(*Job) {
		return withServer(func(s *Server) { s.SecretEnv = map[string]SecretRef{"TOKEN": ref} })
	}
	withRetry := func(r Retry) func(*Job) { return func(j *Job) { j.Retry = &r } }
	withSchedule := func(change func(*Job)) func(*Job) {
		return func(j *Job) {
			j.Schedule = &Schedule{Cron: "@daily"}
			change(j)
		}
	}
	newFiles := func(change func(*Job)) func(*Job) {
		return func(j *Job) {
			j.Input.Mode = ModeNewFiles
			change(j)
		}
	}
	inputURI := func(uri string) func(*Job) { return func(j *Job) { j.Input.Files.URI = uri } }
	outputURI := func(uri string) func(*Job) { return func(j *Job) { j.Output.Files.URI = uri } }

	for _, test := range []struct {
		pointer, text string
		change        func(*Job)
	}{
		{"/name", "is not a job name; use 1 to 63 lower-case letters", func(j *Job) { j.Name = "" }},
		{"/name", `"../etc" is not a job name`, func(j *Job) { j.Name = "../etc" }},
		{"/name", "is not a job name", func(j *Job) { j.Name = "Iris" }},
		{"/name", "is not a job name", func(j *Job) { j.Name = "iris-" }},
		{"/name", "is not a job name", func(j *Job) { j.Name = "iris\n" }},
		{"/name", "is not a job name", func(j *Job) { j.Name = strings.Repeat("a", 64) }},
		{"/labels", "a label needs a name", func(j *Job) { j.Labels = map[string]string{"": "x"} }},

		{"/overlap", `"wait" is not one of skip, queue_one, queue_all, cancel_running, allow`, withSchedule(func(j *Job) { j.Overlap = "wait" })},
		{"/overlap", "add {run} to output.files.uri", withSchedule(func(j *Job) { j.Overlap = OverlapAllow })},
		{"/overlap", "a job without a schedule has none", func(j *Job) { j.Overlap = OverlapSkip }},
		{"/max_queued", `goes with overlap = "queue_all" only`, withSchedule(func(j *Job) { j.MaxQueued = new(int64(5)) })},
		{"/max_queued", "0 is not in 1–10000", withSchedule(func(j *Job) { j.Overlap, j.MaxQueued = OverlapQueueAll, new(int64(0)) })},
		{"/hold_after_failures", "0 is not in 1–1000", func(j *Job) { j.HoldAfterFailures = new(int64(0)) }},
		{"/catch_up", "a job without a schedule has none", func(j *Job) { j.CatchUp = &CatchUp{Mode: CatchUpNone} }},
		{"/catch_up/mode", "is required: latest or all or none", withSchedule(func(j *Job) { j.CatchUp = &CatchUp{} })},
		{"/catch_up/window", `"soon" is not a duration`, withSchedule(func(j *Job) { j.CatchUp = &CatchUp{Mode: CatchUpAll, Window: "soon"} })},
		{"/catch_up/window", `mode "none" catches up with nothing`, withSchedule(func(j *Job) { j.CatchUp = &CatchUp{Mode: CatchUpNone, Window: "1d"} })},
		{"/catch_up/max_runs", `goes with mode "all" only`, withSchedule(func(j *Job) { j.CatchUp = &CatchUp{Mode: CatchUpLatest, MaxRuns: new(int64(2))} })},
		{"/catch_up/max_runs", "0 is not in 1–1000", withSchedule(func(j *Job) { j.CatchUp = &CatchUp{Mode: CatchUpAll, MaxRuns: new(int64(0))} })},

		{"/input", "one of files, sql is required", func(j *Job) { j.Input.Files = nil }},
		{"/input/files/uri", "is required", func(j *Job) { j.Input.Files = &InputFiles{Format: FormatCSV} }},
		{"/input/files/uri", `"iris.csv" is not absolute; write "${abspath("iris.csv")}"`, inputURI("iris.csv")},
		{"/input/files/uri", "is not absolute", inputURI("file://in/iris.csv")},
		{"/input/files/uri", "its store is not known; write /abs/path, file:///abs/path, az://account/container/path, gs://bucket/path, s3://bucket/path", inputURI("ftp://host/iris.csv")},
		{"/input/files/uri", "unknown placeholder {dat}; known are {date}", inputURI("/in/{dat}.csv")},
		{"/input/files/uri", "is not closed", inputURI("/in/{date.csv")},
		{"/input/files/uri", "climbs with ..", inputURI("/in/../etc/x.csv")},
		{"/input/files/uri", "the glob is malformed", inputURI("/in/[a.csv")},
		{"/input/files/format", `cannot be told from "/in/iris.txt"; set it to csv, jsonl or parquet`, inputURI("/in/iris.txt")},
		{"/input/files/format", `"orc" is not one of csv, jsonl, parquet`, func(j *Job) { j.Input.Files.Format = "orc" }},
		{"/input/key/1", `"id" is listed twice`, func(j *Job) { j.Input.Key = []string{"id", "id"} }},
		{"/input/key/0", `"" is not a column name`, func(j *Job) { j.Input.Key = []string{""} }},
		{"/input/on_empty", `"ignore" is not one of fail, skip, succeed`, func(j *Job) { j.Input.OnEmpty = "ignore" }},

		{"/input/mode", `"old_files" is not one of full, new_files`, func(j *Job) { j.Input.Mode = "old_files" }},
		{"/input/state", `"forget" is not one of reset, keep`, newFiles(func(j *Job) { j.Input.State = "forget" })},
		{"/input/files/min_age", `"soon" is not a duration`, newFiles(func(j *Job) { j.Input.Files.MinAge = "soon" })},
		{"/input/files/min_age", "is not between 0s and 365d", newFiles(func(j *Job) { j.Input.Files.MinAge = "366d" })},
		{"/input/files/done_marker", `"a/b" is not the name of a marker; write "*.done"`, newFiles(func(j *Job) { j.Input.Files.DoneMarker = "a/b" })},
		{"/input/files/done_marker", `"*" is not the name of a marker`, newFiles(func(j *Job) { j.Input.Files.DoneMarker = "*" })},
		{"/input/files/done_marker", `"*.*" is not the name of a marker`, newFiles(func(j *Job) { j.Input.Files.DoneMarker = "*.*" })},

		{"/mini_batch/timeout", `"1ms" is not between 1s and 30d`, func(j *Job) { j.MiniBatch = &MiniBatchSpec{Rows: new(int64(1)), Timeout: "1ms"} }},
		{"/mini_batch/rows", "is required in mini_batch", func(j *Job) { j.MiniBatch = &MiniBatchSpec{} }},
		{"/mini_batch/rows", "0 is not in 1–10000000", func(j *Job) { j.MiniBatch = &MiniBatchSpec{Rows: new(int64(0))} }},
		{"/parallelism", "1025 is not in 1–1024", func(j *Job) { j.Parallelism = new(int64(1025)) }},

		{"/predict/protocol", "is required: oip_v2 or tf_v1", func(j *Job) { j.Predict.Protocol = "" }},
		{"/predict/protocol", `"grpc" is not one of oip_v2, tf_v1`, func(j *Job) { j.Predict.Protocol = "grpc" }},
		{"/predict/model/name", `"" is not a model name`, func(j *Job) { j.Predict.Model.Name = "" }},
		{"/predict/model/name", "is not a model name", func(j *Job) { j.Predict.Model.Name = "a/b" }},
		{"/predict/model/version", `"../1" is not a model version`, func(j *Job) { j.Predict.Model.Version = "../1" }},
		{"/predict/features", "one of columns, exclude is required", func(j *Job) { j.Predict.Features.Columns = nil }},
		{"/predict/features", "columns and exclude are both set; keep one", func(j *Job) { j.Predict.Features.Exclude = []string{} }},
		{"/predict/features/columns", "is empty; list the input columns to send", func(j *Job) { j.Predict.Features.Columns = []string{} }},
		{"/predict/features/exclude/1", `"a" is listed twice`, func(j *Job) { j.Predict.Features = Features{Exclude: []string{"a", "a"}} }},
		{"/predict/nan", `"zero" is not one of null, error, string`, func(j *Job) { j.Predict.NaN = "zero" }},
		{"/predict/features/columns/1", `"a" is listed twice`, func(j *Job) { j.Predict.Features.Columns = []string{"a", "a"} }},
		{"/predict/features/as", `"rows" is not one of matrix, columns`, func(j *Job) { j.Predict.Features.As = "rows" }},
		{"/predict/features/datatype", `"float" is not one of BOOL, UINT8`, func(j *Job) { j.Predict.Features.Datatype = "float" }},
		{"/predict/features/name", "names the one tensor of a matrix", func(j *Job) { j.Predict.Features.As, j.Predict.Features.Name = AsColumns, "x" }},
		{"/predict/features", "name and datatype belong to oip_v2", func(j *Job) { j.Predict.Protocol, j.Predict.Features.Datatype = ProtocolTFv1, "FP32" }},
		{"/predict/outputs/p", `"" is not an output`, func(j *Job) { j.Predict.Outputs = map[string]string{"p": ""} }},
		{"/predict/outputs/a~1b", `"proba[x]" is not an output`, func(j *Job) { j.Predict.Outputs = map[string]string{"a/b": "proba[x]"} }},
		{"/predict/outputs/p", `"/a~2" is not an output`, func(j *Job) { j.Predict.Outputs = map[string]string{"p": "/a~2"} }},
		{"/predict/outputs/id", `"id" is kept from the input too; rename`, func(j *Job) {
			j.Input.Key, j.Predict.Outputs = []string{"id"}, map[string]string{"id": "predict"}
		}},
		{"/predict/rows_per_request", "0 is not in 1–100000", func(j *Job) { j.Predict.RowsPerRequest = new(int64(0)) }},
		{"/predict/request_timeout", `"60" is not a duration`, func(j *Job) { j.Predict.RequestTimeout = "60" }},
		{"/predict/request_timeout", `"0s" is not between 1ms and`, func(j *Job) { j.Predict.RequestTimeout = "0s" }},
		{"/predict/requests", `"any" is not one of adaptive, fixed`, func(j *Job) { j.Predict.Requests = "any" }},
		{"/predict/on_model_change", `"ignore" is not one of fail, continue`, func(j *Job) { j.Predict.OnModelChange = "ignore" }},
		{"/predict/permanent_statuses/1", "200 is not the status of a refusal, 400–599", func(j *Job) { j.Predict.PermanentStatuses = []int64{409, 200} }},
		{"/predict/transient_statuses/0", "600 is not the status of a refusal", func(j *Job) { j.Predict.TransientStatuses = []int64{600} }},
		{"/predict/permanent_statuses/1", "409 is listed in permanent_statuses already", func(j *Job) { j.Predict.PermanentStatuses = []int64{409, 409} }},
		{"/predict/transient_statuses/0", "409 is listed in permanent_statuses already; keep one", func(j *Job) {
			j.Predict.PermanentStatuses, j.Predict.TransientStatuses = []int64{409}, []int64{409}
		}},
		{"/predict/golden", `has no cell for "sepal_length", "sepal_width"; give it one for each of predict.features.columns`, func(j *Job) {
			j.Predict.Features.Columns = append(j.Predict.Features.Columns, "petal")
			j.Predict.Golden = map[string]string{"petal": "1"}
		}},
		{"/predict/golden/id", "is not among predict.features.columns; remove it", func(j *Job) {
			j.Predict.Golden = map[string]string{"sepal_length": "1", "sepal_width": "1", "id": "7"}
		}},
		{"/predict", "one of endpoint, program, server is required", func(j *Job) { j.Predict.Endpoint = nil }},
		{"/predict", "endpoint and server are both set; keep one", func(j *Job) { j.Predict.Server = &Server{Command: []string{"serve"}} }},
		{"/predict/endpoint/url", "is not the address of a server; write it like http://", func(j *Job) { j.Predict.Endpoint.URL = "127.0.0.1:8080" }},
		{"/predict/endpoint/url", "is not the address of a server", func(j *Job) { j.Predict.Endpoint.URL = "http://" }},
		{"/predict/endpoint/url", "is not the address of a server", func(j *Job) { j.Predict.Endpoint.URL = "ftp://host" }},

		{"/predict/server/command", "is required: the program", withServer(func(s *Server) { s.Command = nil })},
		{"/predict/server/command/1", "unknown placeholder {prt}; known are {port}", withServer(func(s *Server) { s.Command = []string{"serve", "{prt}"} })},
		{"/predict/server/working_dir", `"srv" is not absolute; write abspath("srv")`, withServer(func(s *Server) { s.WorkingDir = "srv" })},
		{"/predict/server/env/1A", "is not the name of an environment variable", withServer(func(s *Server) { s.Env = map[string]string{"1A": ""} })},
		{"/predict/server/env/PORT", "PORT is set by the runner", withServer(func(s *Server) { s.Env = map[string]string{"PORT": "1"} })},
		{"/predict/server/env/BATCH_X", "BATCH_X is set by the runner", withServer(func(s *Server) { s.Env = map[string]string{"BATCH_X": "1"} })},
		{"/predict/server/env/A", "unknown placeholder {date}", withServer(func(s *Server) { s.Env = map[string]string{"A": "{date}"} })},
		{"/predict/server/start_timeout", "is not between 1s and", withServer(func(s *Server) { s.StartTimeout = "1ms" })},
		{"/predict/server/secret_env/TOKEN", "one of env, file, secret is required", withSecret(SecretRef{})},
		{"/predict/server/secret_env/TOKEN", "env and file are both set", withSecret(SecretRef{File: "/a", Env: "A"})},
		{"/predict/server/secret_env/TOKEN", "TOKEN is set in env too; keep one", withServer(func(s *Server) {
			s.Env, s.SecretEnv = map[string]string{"TOKEN": ""}, map[string]SecretRef{"TOKEN": {Env: "A"}}
		})},
		{"/predict/server/secret_env/A-B", "is not the name of an environment variable", withServer(func(s *Server) { s.SecretEnv = map[string]SecretRef{"A-B": {Env: "A"}} })},
		{"/predict/server/secret_env/TOKEN/secret", `"../x" is not the name of a file in secrets_dir`, withSecret(SecretRef{Secret: "../x"})},
		{"/predict/server/secret_env/TOKEN/secret", `".." is not the name of a file`, withSecret(SecretRef{Secret: ".."})},
		{"/predict/server/secret_env/TOKEN/file", `"token" is not absolute; write abspath("token")`, withSecret(SecretRef{File: "token"})},
		{"/predict/server/secret_env/TOKEN/env", `"A B" is not the name of an environment variable`, withSecret(SecretRef{Env: "A B"})},

		{"/predict/server/replicas", "65 is not in 1–64", withServer(func(s *Server) { s.Replicas = new(int64(65)) })},
		{"/predict/server/model_files/0", `"m.bin" is not absolute; write abspath("m.bin")`, withServer(func(s *Server) { s.ModelFiles = []string{"m.bin"} })},
		{"/predict/server/model_files/0", "the glob is malformed", withServer(func(s *Server) { s.ModelFiles = []string{"/m/[a"} })},
		{"/predict/server/price_per_hour", `"35 cents" is not a price; write it like "0.35" or "0.35 EUR"`, withServer(func(s *Server) { s.PricePerHour = "35 cents" })},

		{"/output", "one of files, sql is required", func(j *Job) { j.Output.Files = nil }},
		{"/output/files/uri", "is required", outputURI("")},
		{"/output/files/uri", `"out" is not absolute; write "${abspath("out")}"`, outputURI("out")},
		{"/output/files/uri", "unknown placeholder {days}", outputURI("/out/{days}")},
		{"/output/files/uri", "climbs with ..", outputURI("/out/{date}/..")},
		{"/output/files/uri", "climbs with ..", outputURI("/out/{date:..}/etc")},
		{"/output/files/format", `"orc" is not one of csv, jsonl, parquet`, func(j *Job) { j.Output.Files.Format = "orc" }},
		{"/output/keep/1", `"id" is listed twice`, func(j *Job) { j.Output.Keep = []string{"id", "id"} }},

		{"/output/publish", `"at_once" is not one of on_complete, progressive`, func(j *Job) { j.Output.Publish = "at_once" }},
		{"/output/keep_runs", "0 is not in 1–1000000", func(j *Job) { j.Output.KeepRuns = new(int64(0)) }},
		{"/output/keep_for", `"1m" is not between 1h and 36500d`, func(j *Job) { j.Output.KeepFor = "1m" }},

		{"/dead_letters/input", "is required: full or key_only", func(j *Job) { j.DeadLetters = &DeadLetters{KeepFor: "1d"} }},
		{"/dead_letters/input", `"none" is not one of full, key_only`, func(j *Job) { j.DeadLetters = &DeadLetters{Input: "none"} }},
		{"/dead_letters/keep_for", `"1s" is not between 1h and 3650d`, func(j *Job) { j.DeadLetters = &DeadLetters{Input: DeadInputFull, KeepFor: "1s"} }},

		{"/retry/policy", "is required: partial or complete or next_batch", withRetry(Retry{})},
		{"/retry/policy", `"all" is not one of partial`, withRetry(Retry{Policy: "all"})},
		{"/retry/attempts", "0 is not in 1–100", withRetry(Retry{Policy: PolicyPartial, Attempts: new(int64(0))})},
		{"/retry/max_run_attempts", "0 is not in 1–100", withRetry(Retry{Policy: PolicyComplete, MaxRunAttempts: new(int64(0))})},
		{"/retry/max_carries", "0 is not in 1–1000", withRetry(Retry{Policy: PolicyNextBatch, MaxCarries: new(int64(0))})},
		{"/retry/backoff", "is empty; list the waits", withRetry(Retry{Policy: PolicyPartial, Backoff: []Duration{}})},
		{"/retry/backoff/1", "is empty; write it like 10s", withRetry(Retry{Policy: PolicyPartial, Backoff: []Duration{"1s", ""}})},
		{"/retry/backoff/0", `"soon" is not a duration`, withRetry(Retry{Policy: PolicyPartial, Backoff: []Duration{"soon"}})},

		{"/max_failed", `"few" is neither a count nor a percentage; write it like 0, 25 or 0.1%`, func(j *Job) { j.MaxFailed = "few" }},
		{"/keep_withheld", `"0s" is not between 1m and 3650d`, func(j *Job) { j.KeepWithheld = "0s" }},
	} {
		job := minimalJob()
		test.change(&job)
		problems := Validate(job)
		if len(problems) != 1 || problems[0].Pointer != test.pointer || problems[0].Code != CodeInvalid || !strings.Contains(problems[0].Message, test.text) {
			t.Errorf("want only %s %q, got %d: %v", test.pointer, test.text, len(problems), Invalid("job", problems))
		}
	}
}

func TestAllFindingsOfAnEmptyJobAreReportedAtOnce(t *testing.T) {
	var pointers []string
	for _, problem := range Validate(Job{}) {
		pointers = append(pointers, problem.Pointer)
	}
	want := "/name /input /predict/protocol /predict/model/name /predict/features /predict /output"
	if got := strings.Join(pointers, " "); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
