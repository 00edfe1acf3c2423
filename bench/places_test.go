//go:build bench

package main

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database/databasetest"
	"github.com/batchpattern/terraform-provider-batch/runner/object/objecttest"
)

// Every format in, every format out.
func BenchmarkFormats(b *testing.B) {
	url := startServer(b, "zeros")
	records := writeRecords(b, scaled(1_000_000))
	for b.Loop() {
		for _, from := range formats {
			dir := b.TempDir()
			input := records
			if from != api.FormatJSONL {
				predictJob(b, translation(at(url, benchJob(records)), dir+"/", from))
				input = onlyFile(b, filepath.Join(dir, "*", "*."+from))
			}
			for _, to := range formats {
				job := at(url, benchJob(input))
				job.Output.Files.Format = to
				record(b, matrixID(from, to), best(b, 2, func(int) api.Job { return job }).CPU*1e6)
			}
		}
	}
}

// translation is the job that writes all columns of its input into one file of
// another format.
func translation(job api.Job, uri, format string) api.Job {
	job.Output = api.Output{Keep: []string{"id", "a", "b", "c", "d"}, Files: &api.OutputFiles{URI: uri, Format: format, Layout: api.LayoutSingle}}
	if format == api.FormatParquet {
		job.Output.Files.Types = map[string]string{"id": "int64", "a": "double", "b": "double", "c": "double", "d": "double", "score": "double"}
	}
	return job
}

func onlyFile(b *testing.B, pattern string) string {
	b.Helper()
	found, err := filepath.Glob(pattern)
	must(b, err)
	if len(found) != 1 {
		b.Fatalf("%s finds %v", pattern, found)
	}
	return found[0]
}

// From an object store into the same.
func BenchmarkObjectStore(b *testing.B) {
	server := objecttest.S3(b)
	for name, value := range server.Env {
		b.Setenv(name, value) // which the runner has from its benchmark
	}
	url := startServer(b, "zeros")
	fill := translation(at(url, benchJob(writeRecords(b, scaled(1_000_000)))), server.URI+"in/", api.FormatJSONL)
	fill.Output.Files.Layout = "" // an object for each mini-batch
	predictJob(b, fill)
	for b.Loop() {
		record(b, "s3", best(b, 3, func(i int) api.Job {
			job := at(url, benchJob(server.URI+"in/*/*.jsonl"))
			job.Output.Files.URI = fmt.Sprintf("%sout%d/", server.URI, i)
			return job
		}).perSecond())
	}
}

// From a table into another of the same database.
func BenchmarkTables(b *testing.B) {
	url := startServer(b, "zeros")
	records := writeRecords(b, scaled(200_000))
	for _, kind := range []string{"postgres", "mariadb"} {
		b.Run(kind, func(b *testing.B) {
			dsn := databasetest.New(b, kind)
			table := func(name, columns string) api.Output {
				databasetest.Exec(b, dsn, "CREATE TABLE "+name+" (id INTEGER PRIMARY KEY, "+columns+" score DOUBLE PRECISION)")
				return api.Output{SQL: &api.OutputSQL{DSN: secret(b, dsn), Table: name, Write: api.WriteInsert}}
			}
			fill := at(url, benchJob(records))
			fill.Output = table("records", "a DOUBLE PRECISION, b DOUBLE PRECISION, c DOUBLE PRECISION, d DOUBLE PRECISION,")
			fill.Output.Keep = []string{"id", "a", "b", "c", "d"}
			predictJob(b, fill)
			for b.Loop() {
				record(b, kind, best(b, 3, func(i int) api.Job {
					job := at(url, benchJob(""))
					job.Input = api.Input{SQL: &api.InputSQL{DSN: secret(b, dsn), Query: "SELECT id, a, b, c, d FROM records"}, Key: []string{"id"}}
					job.Output = table(fmt.Sprintf("scores%d", i), "")
					return job
				}).perSecond())
			}
		})
	}
}
