//go:build bench

package main

import (
	"path/filepath"
	"strconv"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Memory does not grow with the input.
func BenchmarkMemory(b *testing.B) {
	url := startServer(b, "zeros")
	for b.Loop() {
		peak := predictJob(b, at(url, benchJob(writeRecords(b, scaled(1_000_000))))).peakMB()
		record(b, "rss-1m", peak)
		record(b, "rss-growth", predictJob(b, at(url, benchJob(writeRecords(b, scaled(10_000_000))))).peakMB()/peak)
	}
}

// A run whose server lets nobody in has planned, and nothing else.
func BenchmarkPlanning(b *testing.B) {
	path := filepath.Join(b.TempDir(), "records.csv")
	const record36 = "1017000,5.1,3.5,1.4,0.2,iris-setosa\n"
	records := scaled(1_000_000_000 / len(record36))
	writeLines(b, path, records, func(line []byte, i int) []byte {
		if i == 0 {
			return append(line, "id,a,b,c,d,species"...)
		}
		line = strconv.AppendInt(line, int64(1_000_000+i%9_000_000), 10)
		return append(line, record36[7:len(record36)-1]...)
	})
	job := at(startServer(b, "refuse"), benchJob(path))
	for b.Loop() {
		most := 0.0
		for range 3 {
			o := attemptJob(b, job)
			if o.State != api.RunFailed || o.Reason != api.Reason(api.ClassConfig) || o.Counts.Planned != int64(records-1) {
				b.Fatalf("the run is %s (%s) with %+v", o.State, o.Reason, o.Counts)
			}
			most = max(most, float64(records*len(record36))/1e9/(o.cost().CPU*float64(o.Counts.Planned)))
		}
		record(b, "planning", most)
	}
}
