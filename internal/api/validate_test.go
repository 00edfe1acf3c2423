package api

import (
	"strings"
	"testing"
)

func TestASoundJobHasNoFindings(t *testing.T) {
	server := fullJob()
	server.Schedule.Cron, server.Predict.Endpoint, server.Predict.Features.Name = "", nil, ""
	server.Predict.Server.SecretEnv["TOKEN"] = SecretRef{File: "/run/token"}
	tensorflow := minimalJob()
	tensorflow.Predict.Protocol = ProtocolTFv1
	byExtension := minimalJob()
	byExtension.Input.Files.URI = "file:///in/{date-1d}/part-[0-9]*.JSONL"
	for name, job := range map[string]Job{"minimal": minimalJob(), "server": server, "tf_v1": tensorflow, "by extension": byExtension} {
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

		{"/input", "files is required", func(j *Job) { j.Input.Files = nil }},
		{"/input/files/uri", "is required", func(j *Job) { j.Input.Files = &InputFiles{Format: FormatCSV} }},
		{"/input/files/uri", `"iris.csv" is not absolute; write "${abspath("iris.csv")}"`, inputURI("iris.csv")},
		{"/input/files/uri", "is not absolute", inputURI("file://in/iris.csv")},
		{"/input/files/uri", "only local files are supported; write /abs/path", inputURI("s3://bucket/iris.csv")},
		{"/input/files/uri", "unknown placeholder {dat}; known are {date}", inputURI("/in/{dat}.csv")},
		{"/input/files/uri", "is not closed", inputURI("/in/{date.csv")},
		{"/input/files/uri", "climbs with ..", inputURI("/in/../etc/x.csv")},
		{"/input/files/uri", "the glob is malformed", inputURI("/in/[a.csv")},
		{"/input/files/format", `cannot be told from "/in/iris.txt"; set it to csv or jsonl`, inputURI("/in/iris.txt")},
		{"/input/files/format", `"parquet" is not one of csv, jsonl`, func(j *Job) { j.Input.Files.Format = "parquet" }},
		{"/input/key/1", `"id" is listed twice`, func(j *Job) { j.Input.Key = []string{"id", "id"} }},
		{"/input/key/0", `"" is not a column name`, func(j *Job) { j.Input.Key = []string{""} }},
		{"/input/on_empty", `"ignore" is not one of fail, skip, succeed`, func(j *Job) { j.Input.OnEmpty = "ignore" }},

		{"/mini_batch/rows", "is required in mini_batch", func(j *Job) { j.MiniBatch = &MiniBatchSpec{} }},
		{"/mini_batch/rows", "0 is not in 1–10000000", func(j *Job) { j.MiniBatch = &MiniBatchSpec{Rows: new(int64(0))} }},
		{"/parallelism", "1025 is not in 1–1024", func(j *Job) { j.Parallelism = new(int64(1025)) }},

		{"/predict/protocol", "is required: oip_v2 or tf_v1", func(j *Job) { j.Predict.Protocol = "" }},
		{"/predict/protocol", `"grpc" is not one of oip_v2, tf_v1`, func(j *Job) { j.Predict.Protocol = "grpc" }},
		{"/predict/model/name", `"" is not a model name`, func(j *Job) { j.Predict.Model.Name = "" }},
		{"/predict/model/name", "is not a model name", func(j *Job) { j.Predict.Model.Name = "a/b" }},
		{"/predict/model/version", `"../1" is not a model version`, func(j *Job) { j.Predict.Model.Version = "../1" }},
		{"/predict/features/columns", "is required", func(j *Job) { j.Predict.Features.Columns = nil }},
		{"/predict/features/columns/1", `"a" is listed twice`, func(j *Job) { j.Predict.Features.Columns = []string{"a", "a"} }},
		{"/predict/features/as", `"rows" is not one of matrix, columns`, func(j *Job) { j.Predict.Features.As = "rows" }},
		{"/predict/features/datatype", `"float" is not one of BOOL, UINT8`, func(j *Job) { j.Predict.Features.Datatype = "float" }},
		{"/predict/features/name", "names the one tensor of a matrix", func(j *Job) { j.Predict.Features.As, j.Predict.Features.Name = AsColumns, "x" }},
		{"/predict/features", "name and datatype belong to oip_v2", func(j *Job) { j.Predict.Protocol, j.Predict.Features.Datatype = ProtocolTFv1, "FP32" }},
		{"/predict/outputs/p", `"" is not an output`, func(j *Job) { j.Predict.Outputs = map[string]string{"p": ""} }},
		{"/predict/outputs/a~1b", `"proba[x]" is not an output`, func(j *Job) { j.Predict.Outputs = map[string]string{"a/b": "proba[x]"} }},
		{"/predict/outputs/id", `"id" is kept from the input too; rename`, func(j *Job) {
			j.Input.Key, j.Predict.Outputs = []string{"id"}, map[string]string{"id": "predict"}
		}},
		{"/predict/rows_per_request", "0 is not in 1–100000", func(j *Job) { j.Predict.RowsPerRequest = new(int64(0)) }},
		{"/predict/request_timeout", `"60" is not a duration`, func(j *Job) { j.Predict.RequestTimeout = "60" }},
		{"/predict/request_timeout", `"0s" is not between 1ms and`, func(j *Job) { j.Predict.RequestTimeout = "0s" }},
		{"/predict", "one of endpoint, server is required", func(j *Job) { j.Predict.Endpoint = nil }},
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

		{"/output", "files is required", func(j *Job) { j.Output.Files = nil }},
		{"/output/files/uri", "is required", outputURI("")},
		{"/output/files/uri", `"out" is not absolute; write "${abspath("out")}"`, outputURI("out")},
		{"/output/files/uri", "unknown placeholder {days}", outputURI("/out/{days}")},
		{"/output/files/uri", "climbs with ..", outputURI("/out/{date}/..")},
		{"/output/files/uri", "climbs with ..", outputURI("/out/{date:..}/etc")},
		{"/output/files/format", `"parquet" is not one of csv, jsonl`, func(j *Job) { j.Output.Files.Format = "parquet" }},
		{"/output/keep/1", `"id" is listed twice`, func(j *Job) { j.Output.Keep = []string{"id", "id"} }},

		{"/retry/policy", "is required: partial", withRetry(Retry{})},
		{"/retry/policy", `"all" is not one of partial`, withRetry(Retry{Policy: "all"})},
		{"/retry/attempts", "0 is not in 1–100", withRetry(Retry{Policy: PolicyPartial, Attempts: new(int64(0))})},
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
	want := "/name /input /predict/protocol /predict/model/name /predict/features/columns /predict /output"
	if got := strings.Join(pointers, " "); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
