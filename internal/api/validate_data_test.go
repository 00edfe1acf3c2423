package api

import (
	"strings"
	"testing"
)

func TestEachRuleAboutDataIsReportedAtItsValue(t *testing.T) {
	files := func(change func(*InputFiles)) func(*Job) { return func(j *Job) { change(j.Input.Files) } }
	written := func(change func(*OutputFiles)) func(*Job) {
		return func(j *Job) {
			j.Input.Key, j.Predict.Outputs = []string{"id"}, map[string]string{"p": "predict"}
			change(j.Output.Files)
		}
	}
	rows := func(change func(*Job)) func(*Job) { // of a query, predictions to files
		return func(j *Job) {
			j.Input = Input{SQL: &InputSQL{DSN: SecretRef{Secret: "dsn"}, Query: "SELECT 1"}, Key: []string{"id"}}
			change(j)
		}
	}
	query := func(text string) func(*Job) { return rows(func(j *Job) { j.Input.SQL.Query = text }) }
	mark := func(w Watermark) func(*Job) {
		return rows(func(j *Job) { j.Input.Mode, j.Input.SQL.Watermark = ModeWatermark, &w })
	}
	waits := func(w WaitFor) func(*Job) { return func(j *Job) { j.Input.WaitFor = &w } }
	table := func(change func(*Job)) func(*Job) {
		return func(j *Job) {
			*j = tableJob()
			change(j)
		}
	}
	program := func(change func(*Predict)) func(*Job) {
		return func(j *Job) {
			*j = programJob()
			change(&j.Predict)
		}
	}

	for _, test := range []struct {
		pointer, text string
		change        func(*Job)
	}{
		{"/input", "files and sql are both set; keep one", table(func(j *Job) { j.Input.Mode, j.Input.Files = "", &InputFiles{URI: "/in/a.csv"} })},
		{"/input/files/uri", `"hdfs://host/a.csv": its store is not known`, files(func(f *InputFiles) { f.URI = "hdfs://host/a.csv" })},
		{"/input/files/uri", `"az://account/a.csv" does not name a bucket and what is in it; write it like az://account/container/path`, files(func(f *InputFiles) { f.URI = "az://account/a.csv" })},
		{"/input/files/uri", "write it like gs://bucket/path", files(func(f *InputFiles) { f.URI = "gs://a.csv" })},
		{"/input/files/uri", `"s3:///a.csv" does not name a bucket and what is in it; write it like s3://bucket/path`, files(func(f *InputFiles) { f.URI = "s3:///a.csv" })},
		{"/input/files/uri", "does not name a bucket", files(func(f *InputFiles) { f.URI = "s3://{date}/a.csv" })},
		{"/input/files/uri", "does not name a bucket", files(func(f *InputFiles) { f.URI = "s3://bucket//a.csv" })},
		{"/input/files/uri", "climbs with ..", files(func(f *InputFiles) { f.URI = "s3://bucket/../a.csv" })},
		{"/input/files/compression", `"lz4" is not one of none, gzip, zstd`, files(func(f *InputFiles) { f.Compression = "lz4" })},
		{"/input/files/compression", `"gzip": Parquet compresses its own pages`, files(func(f *InputFiles) { f.Format, f.Compression = FormatParquet, CompressionGzip })},
		{"/input/files/compression", `"zstd": Parquet compresses its own pages`, files(func(f *InputFiles) { f.URI = "/in/a.parquet.zst" })},
		{"/input/files/header", "is about CSV, and these files are jsonl; remove it", files(func(f *InputFiles) { f.Format, f.Header = FormatJSONL, new(true) })},
		{"/input/files/columns", "is about CSV, and these files are parquet", files(func(f *InputFiles) { f.URI, f.Columns = "/in/a.parquet", []string{"a"} })},
		{"/input/files/null_values", "is about CSV", files(func(f *InputFiles) { f.Format, f.NullValues = FormatJSONL, []string{"NA"} })},
		{"/input/files/null_values", "is empty; list the texts", files(func(f *InputFiles) { f.NullValues = []string{} })},
		{"/input/files/columns", "names the columns of files without a header; set header = false", files(func(f *InputFiles) { f.Columns = []string{"a"} })},
		{"/input/files/columns", "is required with header = false", files(func(f *InputFiles) { f.Header = new(false) })},
		{"/input/files/columns/1", `"a" is listed twice`, files(func(f *InputFiles) { f.Header, f.Columns = new(false), []string{"a", "a"} })},
		{"/input/files/verify", `"md5" is not one of identity, checksum`, files(func(f *InputFiles) { f.Verify = "md5" })},
		{"/input/files/verify", "an object is read by its ETag", files(func(f *InputFiles) { f.URI, f.Verify = "s3://bucket/a.csv", VerifyChecksum })},
		{"/input/max_spool", `"big" is not a size; write it like 500MB`, func(j *Job) { j.Input.MaxSpool = "big" }},
		{"/input/max_spool", `"1kB" is not between 1MB and 1024TiB`, func(j *Job) { j.Input.MaxSpool = "1kB" }},

		{"/input/duplicate_keys", `"drop" is not one of error, first, last`, func(j *Job) { j.Input.Key, j.Input.DuplicateKeys = []string{"id"}, "drop" }},
		{"/input/duplicate_keys", "is about records of one key, and the job has none", func(j *Job) { j.Input.DuplicateKeys = DuplicatesFirst }},
		{"/input/mode", `"new_files" takes files that no run has taken, and the input is a query; use "predicate" or "watermark"`, rows(func(j *Job) { j.Input.Mode = ModeNewFiles })},
		{"/input/mode", `"watermark" takes rows of a query, and the input is files; use "new_files"`, func(j *Job) { j.Input.Mode = ModeWatermark }},
		{"/input/key", `is required with mode "predicate"`, table(func(j *Job) { j.Input.Key = nil })},

		{"/input/sql/dsn", "one of env, file, secret is required", rows(func(j *Job) { j.Input.SQL.DSN = SecretRef{} })},
		{"/input/sql/query", "is required: one SELECT", query(" ")},
		{"/input/sql/query", `"DELETE FROM items" does not read; it must be a SELECT`, query("DELETE FROM items")},
		{"/input/sql/query", "does not read", query("-- SELECT\nDELETE FROM items")},
		{"/input/sql/query", "does not read", query("selected")},
		{"/input/sql/query", `"SELECT 1; DROP TABLE items" holds a semicolon`, query("SELECT 1; DROP TABLE items")},
		{"/input/sql/query", "names the unknown parameter :since; known are :scheduled_at and :previous_success_at", query("SELECT * FROM items WHERE at > :since")},
		{"/input/sql/watermark", `is required with mode "watermark"`, rows(func(j *Job) { j.Input.Mode = ModeWatermark })},
		{"/input/sql/watermark", `goes with input.mode "watermark" only`, rows(func(j *Job) { j.Input.SQL.Watermark = &Watermark{Column: "at", Start: StartNow} })},
		{"/input/sql/watermark/column", `"" is not a column name`, mark(Watermark{Start: StartNow})},
		{"/input/sql/watermark/start", `is required: "beginning", "now", or a date or time`, mark(Watermark{Column: "at"})},
		{"/input/sql/watermark/start", `"soon" is not "beginning", "now", a date like`, mark(Watermark{Column: "at", Start: "soon"})},
		{"/input/sql/watermark/start", `"03.01.2026" is not`, mark(Watermark{Column: "at", Start: "03.01.2026"})},
		{"/input/sql/watermark/lag", `"soon" is not a duration`, mark(Watermark{Column: "at", Start: StartNow, Lag: "soon"})},

		{"/input/wait_for", "one of rows_at_least, sql, uri is required", waits(WaitFor{Timeout: "1h"})},
		{"/input/wait_for", "rows_at_least and uri are both set", rows(func(j *Job) {
			j.Input.WaitFor = &WaitFor{URI: "/in/x", RowsAtLeast: new(int64(1)), Timeout: "1h"}
		})},
		{"/input/wait_for/uri", `"x" is not absolute`, waits(WaitFor{URI: "x", Timeout: "1h"})},
		{"/input/wait_for/uri", "the glob is malformed", waits(WaitFor{URI: "/in/[a", Timeout: "1h"})},
		{"/input/wait_for/sql", "asks the database of input.sql, and the input is files", waits(WaitFor{SQL: "SELECT 1", Timeout: "1h"})},
		{"/input/wait_for/sql", "does not read", rows(func(j *Job) { j.Input.WaitFor = &WaitFor{SQL: "CALL ready()", Timeout: "1h"} })},
		{"/input/wait_for/rows_at_least", "counts the rows of input.sql, and the input is files", waits(WaitFor{RowsAtLeast: new(int64(1)), Timeout: "1h"})},
		{"/input/wait_for/rows_at_least", "0 is not in 1–", rows(func(j *Job) { j.Input.WaitFor = &WaitFor{RowsAtLeast: new(int64(0)), Timeout: "1h"} })},
		{"/input/wait_for/timeout", "is required: how long a run may wait", waits(WaitFor{URI: "/in/x"})},
		{"/input/wait_for/timeout", `"0s" is not between 1s and 30d`, waits(WaitFor{URI: "/in/x", Timeout: "0s"})},

		{"/output", "files and sql are both set; keep one", table(func(j *Job) { j.Input.Mode, j.Output.Files = "", &OutputFiles{URI: "/out/{date}"} })},
		{"/output/files/uri", "does not name a bucket", written(func(f *OutputFiles) { f.URI = "s3://bucket" })},
		{"/output/files/layout", `"per_input_file" names files after those of the input, and rows of a query come from none; use "single"`, func(j *Job) {
			*j = tableJob()
			j.Output = Output{Files: &OutputFiles{URI: "/out", Layout: LayoutPerInputFile}}
		}},
		{"/output/files/layout", `"one" is not one of per_mini_batch, single, per_input_file`, written(func(f *OutputFiles) { f.Layout = "one" })},
		{"/output/files/partition_by", `has a file in each of its folders, and layout "single" has none`, written(func(f *OutputFiles) { f.Layout, f.PartitionBy = LayoutSingle, []string{"id"} })},
		{"/output/files/partition_by/0", `"country" is not kept; add it to output.keep`, written(func(f *OutputFiles) { f.PartitionBy = []string{"country"} })},
		{"/output/files/partition_by/1", `"id" is listed twice`, written(func(f *OutputFiles) { f.PartitionBy = []string{"id", "id"} })},
		{"/output/files/types", `are those of Parquet's columns; set format = "parquet"`, written(func(f *OutputFiles) { f.Types = map[string]string{"p": TypeDouble} })},
		{"/output/files/types/p", `"float" is not a type; known are double, int64`, written(func(f *OutputFiles) { f.Format, f.Types = FormatParquet, map[string]string{"p": "float"} })},
		{"/output/files/types/p", `"decimal(4,5)" is not a type`, written(func(f *OutputFiles) { f.Format, f.Types = FormatParquet, map[string]string{"p": "decimal(4,5)"} })},
		{"/output/files/types/q", "names a column that is neither in output.keep nor in predict.outputs", written(func(f *OutputFiles) { f.Format, f.Types = FormatParquet, map[string]string{"q": TypeDouble} })},

		{"/output/sql/dsn/file", `"dsn" is not absolute`, table(func(j *Job) { j.Output.SQL.DSN = SecretRef{File: "dsn"} })},
		{"/output/sql/table", "is required: the table", table(func(j *Job) { j.Output.SQL.Table = "" })},
		{"/output/sql/table", `"items; DROP" is not a table`, table(func(j *Job) { j.Output.SQL.Table = "items; DROP" })},
		{"/output/sql/table", `"x._batch_commits" is where the runner keeps what it has committed`, table(func(j *Job) { j.Output.SQL.Table = "x._batch_commits" })},
		{"/output/sql/write", "is required: update or upsert or insert", table(func(j *Job) { j.Output.SQL.Write = "" })},
		{"/output/sql/json_column", `"id" is a column of input.key too`, table(func(j *Job) { j.Output.SQL.JSONColumn = "id" })},
		{"/output/sql/json_column", `"a" is kept from the input too`, table(func(j *Job) { j.Output.Keep, j.Output.SQL.JSONColumn = []string{"a"}, "a" })},
		{"/output/sql/run_at", `"prediction" is json_column too`, table(func(j *Job) { j.Output.SQL.RunAt = "prediction" })},
		{"/output/sql/run_at", `"p" is a result in predict.outputs too`, table(func(j *Job) {
			j.Output.SQL.JSONColumn, j.Output.SQL.RunAt, j.Predict.Outputs = "", "p", map[string]string{"p": "predict"}
		})},
		{"/predict/outputs/id", `"id" is a column of input.key too; rename the result`, table(func(j *Job) {
			j.Output.SQL.JSONColumn, j.Output.Keep, j.Predict.Outputs = "", []string{}, map[string]string{"id": "predict"}
		})},
		{"/overlap", "a table is one", rows(func(j *Job) {
			j.Output, j.Schedule, j.Overlap = tableJob().Output, &Schedule{Cron: "@daily"}, OverlapAllow
		})},

		{"/predict/protocol", "is a prediction server's, and a program has none; remove it", program(func(p *Predict) { p.Protocol = ProtocolTFv1 })},
		{"/predict/model", "is a prediction server's", program(func(p *Predict) { p.Model.Name = "iris" })},
		{"/predict/features/as", "is about tensors", program(func(p *Predict) { p.Features.As = AsMatrix })},
		{"/predict/features/datatype", "is about tensors", program(func(p *Predict) { p.Features.Datatype = "FP32" })},
		{"/predict/program/command", "is required: the program", program(func(p *Predict) { p.Program.Command = nil })},
		{"/predict/program/working_dir", `"srv" is not absolute`, program(func(p *Predict) { p.Program.WorkingDir = "srv" })},
		{"/predict/program/env/PORT", "PORT is set by the runner", program(func(p *Predict) { p.Program.Env = map[string]string{"PORT": "1"} })},
		{"/predict/program/secret_env/TOKEN", "one of env, file, secret is required", program(func(p *Predict) { p.Program.SecretEnv = map[string]SecretRef{"TOKEN": {}} })},
		{"/predict/program/per", `"row" is not one of slot, mini_batch`, program(func(p *Predict) { p.Program.Per = "row" })},
		{"/predict/rows_per_request", `with program.per "mini_batch" each is one`, program(func(p *Predict) { p.Program.Per, p.RowsPerRequest = PerMiniBatch, new(int64(5)) })},
	} {
		job := minimalJob()
		test.change(&job)
		problems := Validate(job)
		if len(problems) != 1 || problems[0].Pointer != test.pointer || !strings.Contains(problems[0].Message, test.text) {
			t.Errorf("want only %s %q, got %d: %v", test.pointer, test.text, len(problems), Invalid("job", problems))
		}
	}
}

func TestQueriesThatRead(t *testing.T) {
	for _, query := range []string{
		"SELECT 1",
		"  select * FROM items WHERE at > :previous_success_at AND at <= :scheduled_at",
		"WITH x AS (SELECT 1) SELECT * FROM x",
		"(SELECT 1) UNION (SELECT 2)",
		"-- the new ones; of today\nSELECT id::text, '12:30; :x', \"a;b\" FROM items /* ; :y */",
		"SELECT $$ it's; :z $$ FROM items",
		"SELECT a[1:2] FROM items",
		"SELECT 'not closed; :x",
	} {
		if err := checkQuery(query); err != nil {
			t.Errorf("%q: %v", query, err)
		}
	}
}

func TestDataThatIsSound(t *testing.T) {
	for name, change := range map[string]func(*Job){
		"objects": func(j *Job) {
			j.Input.Files.URI, j.Output.Files.URI = "s3://lake/dt={date}/*.parquet", "s3://scores/dt={date}"
		},
		"other stores": func(j *Job) {
			j.Input.Files.URI, j.Output.Files.URI = "gs://lake/a.csv", "az://account/scores/dt={date}"
		},
		"compressed": func(j *Job) {
			j.Input.Files.URI, j.Input.Files.NullValues, j.Input.MaxSpool = "/in/*.csv.gz", []string{"", "NA"}, "500GB"
		},
		"no header": func(j *Job) {
			j.Input.Files.Header, j.Input.Files.Columns, j.Input.Files.HivePartitions = new(false), []string{"a", "b"}, new(true)
		},
		"parquet out": func(j *Job) {
			j.Input.Key = []string{"id"}
			j.Output.Files.Format, j.Output.Files.PartitionBy = FormatParquet, []string{"id"}
			j.Output.Files.Types = map[string]string{"id": TypeInt64, "amount": "decimal(18,4)"} // outputs are not told
		},
		"watermark": func(j *Job) {
			*j = tableJob()
			j.Input.Mode, j.Input.SQL.Watermark = ModeWatermark, &Watermark{Column: "at", Start: "2026-01-01", Lag: "0s"}
			j.Input.WaitFor, j.Retry = &WaitFor{RowsAtLeast: new(int64(5)), Timeout: "1h"}, &Retry{Policy: PolicyPartial, MaxCarries: new(int64(2))}
		},
		"names within one JSON column": func(j *Job) { *j = tableJob(); j.Predict.Outputs = map[string]string{"id": "predict"} },
		"pointers":                     func(j *Job) { j.Predict.Outputs = map[string]string{"a": "/label", "b": "/scores/0", "c": "/x~1y"} },
		"a table, all or nothing":      func(j *Job) { *j = tableJob(); j.Retry = &Retry{Policy: PolicyComplete} },
	} {
		job := minimalJob()
		change(&job)
		if problems := Validate(job); len(problems) > 0 {
			t.Errorf("%s: %v", name, Invalid("job", problems))
		}
		if problems := Warnings(job); len(problems) > 0 {
			t.Errorf("%s: warns of %v", name, problems)
		}
	}
}

func TestRowsThatStayInTheirQueryAreWarnedOf(t *testing.T) {
	job := tableJob()
	job.Output = minimalJob().Output
	if warnings := Warnings(job); len(warnings) != 1 || warnings[0].Pointer != "/input/mode" || !strings.Contains(warnings[0].Message, "nothing makes a row leave the query's result") {
		t.Errorf("got %v", warnings)
	}
	if problems := Validate(job); len(problems) > 0 {
		t.Errorf("and it is an error: %v", problems)
	}
}

func TestAPartOfTheRowsThatAPredicateFindsIsWarnedOf(t *testing.T) {
	job := tableJob()
	query := *job.Input.SQL
	query.Query += " ORDER BY id LIMIT 1000"
	job.Input.SQL = &query
	if warnings := Warnings(job); len(warnings) != 1 || warnings[0].Pointer != "/input/sql/query" || !strings.Contains(warnings[0].Message, "LIMIT gives a part of the rows") {
		t.Errorf("got %v", warnings)
	}
	if problems := Validate(job); len(problems) > 0 {
		t.Errorf("and it is an error: %v", problems)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[Size]int64{"0B": 0, "500MB": 500e6, "1GiB": 1 << 30, "50GB": 50e9, "2kB": 2000} {
		if got, err := text.Parse(); err != nil || got != want {
			t.Errorf("%s is %d, %v", text, got, err)
		}
	}
	for _, text := range []Size{"", "5", "5 GB", "1.5GB", "-1MB", "1gb", "999999999TiB"} {
		if got, err := text.Parse(); err == nil {
			t.Errorf("%q passes as %d", text, got)
		}
	}
	for text, want := range map[Size]Size{"1000MB": "1GB", "1024MiB": "1GiB", "999B": "999B", "many": "many"} {
		if got := text.canonical(); got != want {
			t.Errorf("%s is spelt %s, not %s", text, got, want)
		}
	}
}
