//go:build unix

package format_test

import (
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

func BenchmarkFramerSkip(b *testing.B) {
	for _, bench := range []struct{ name, format, record string }{
		{"csv", "csv", irisCSV}, {"csv_quoted", "csv", irisQuoted}, {"jsonl", "jsonl", irisJSONL},
	} {
		b.Run(bench.name, func(b *testing.B) {
			data := []byte(strings.Repeat(bench.record, 256<<10/len(bench.record)))
			framer := newFramer(b, bench.format)
			b.SetBytes(int64(len(data)))
			begun := cpuTime(b)
			for b.Loop() {
				framer.Skip(data, 1<<40)
			}
			b.ReportMetric(float64(b.N)*float64(len(data))/float64(cpuTime(b)-begun), "GB/cpu-s")
		})
	}
}

func BenchmarkReader(b *testing.B) {
	for _, bench := range []struct{ name, format, record string }{
		{"csv", "csv", irisCSV}, {"csv_quoted", "csv", irisQuoted}, {"jsonl", "jsonl", irisJSONL},
	} {
		b.Run(bench.name, func(b *testing.B) {
			reader := newReader(b, bench.format, &endless{text: []byte(strings.Repeat(bench.record, 10_000))}, irisHeader, irisWanted)
			b.ReportAllocs()
			begun := cpuTime(b)
			for b.Loop() {
				if record, err := reader.Read(); err != nil || record.Bad != nil {
					b.Fatal(err, record)
				}
			}
			b.ReportMetric(float64(cpuTime(b)-begun)/float64(b.N), "cpu-ns/op")
		})
	}
}

func BenchmarkWriter(b *testing.B) {
	columns := []api.Column{{Name: "id", Type: api.TypeInt64}, {Name: "label", Type: api.TypeString}, {Name: "p", Type: api.TypeDouble}}
	for _, fileFormat := range []string{api.FormatCSV, api.FormatJSONL} {
		b.Run(fileFormat, func(b *testing.B) {
			writer, err := format.NewWriter(fileFormat, io.Discard, columns)
			if err != nil {
				b.Fatal(err)
			}
			record := []format.Value{text("1017"), token(`"setosa"`), token("0.97123")}
			b.ReportAllocs()
			begun := cpuTime(b)
			for b.Loop() {
				if err := writer.Write(record); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpuTime(b)-begun)/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpuTime is what this process has used: on a busy machine the only figure
// worth comparing.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano())
}
