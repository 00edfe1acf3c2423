//go:build unix

package format_test

import (
	"io"
	"strconv"
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
	for _, fileFormat := range allFormats {
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

func BenchmarkParquetReader(b *testing.B) {
	columns := []api.Column{{Name: "id", Type: api.TypeInt64}, {Name: "sepal_length", Type: api.TypeDouble}, {Name: "sepal_width", Type: api.TypeDouble},
		{Name: "petal_length", Type: api.TypeDouble}, {Name: "petal_width", Type: api.TypeDouble}, {Name: "species", Type: api.TypeString}}
	var records [][]format.Value
	for i := range 100_000 {
		records = append(records, []format.Value{token(strconv.Itoa(i)), token("5.1"), token("3.5"), token("1.4"), token(strconv.Itoa(i%30) + ".2"), text("setosa")})
	}
	data := writtenTyped(b, api.FormatParquet, columns, records...)
	p := openParquet(b, []byte(data))
	var reader format.Reader
	left := int64(0)
	b.ReportAllocs()
	begun := cpuTime(b)
	for b.Loop() {
		if left == 0 {
			var err error
			if reader, err = p.Read(0, p.Rows(), irisWanted); err != nil {
				b.Fatal(err)
			}
			left = p.Rows()
		}
		if record, err := reader.Read(); err != nil || record.Bad != nil {
			b.Fatal(err, record)
		}
		left--
	}
	b.ReportMetric(float64(cpuTime(b)-begun)/float64(b.N), "cpu-ns/op")
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
