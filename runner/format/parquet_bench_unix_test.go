//go:build unix

package format_test

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

const benchRows = 100_000

// readRecords are four numbers of a record; of the short ones the shortest
// digits are found quickly, of the long ones not.
var readRecords = map[string]func(i int) [4]float64{
	"short": func(i int) [4]float64 { return [4]float64{5.1, 3.5, 1.4, float64(i%30) + 0.2} },
	"long": func(i int) [4]float64 {
		x := float64(i + 1)
		return [4]float64{1 / x, x / 3, x / 7, 22 / (7 * x)}
	},
}

// BenchmarkParquetReader reads four doubles of six columns as JSON, and beside
// it, in turn, makes a bare loop over the library's pages the same numbers:
// decoded only, and written as JSON by strconv.
func BenchmarkParquetReader(b *testing.B) {
	columns := []api.Column{{Name: "id", Type: api.TypeInt64}, {Name: "sepal_length", Type: api.TypeDouble}, {Name: "sepal_width", Type: api.TypeDouble},
		{Name: "petal_length", Type: api.TypeDouble}, {Name: "petal_width", Type: api.TypeDouble}, {Name: "species", Type: api.TypeString}}
	for name, numbers := range readRecords {
		b.Run(name, func(b *testing.B) {
			var records [][]format.Value
			for i := range benchRows {
				record := []format.Value{token(strconv.Itoa(i))}
				for _, f := range numbers(i) {
					record = append(record, token(strconv.FormatFloat(f, 'g', -1, 64)))
				}
				records = append(records, append(record, text("setosa")))
			}
			data := []byte(writtenTyped(b, api.FormatParquet, columns, records...))
			var ours, decoded, bare time.Duration
			for b.Loop() {
				ours += timed(b, func() error { return readOurs(b, data) })
				decoded += timed(b, func() error { return readBare(data, false) })
				bare += timed(b, func() error { return readBare(data, true) })
			}
			reportRatio(b, ours, decoded, bare)
		})
	}
}

// reportRatio says what a record costs.
func reportRatio(b *testing.B, ours, plain, bare time.Duration) {
	records := float64(b.N) * benchRows
	b.ReportMetric(float64(ours)/records, "cpu-ns/record")
	b.ReportMetric(float64(plain)/records, "library-ns/record")
	b.ReportMetric(float64(bare)/records, "bare-ns/record")
	b.ReportMetric(float64(ours)/float64(bare), "×bare")
}

func timed(b *testing.B, work func() error) time.Duration {
	b.Helper()
	begun := cpuTime(b)
	if err := work(); err != nil {
		b.Fatal(err)
	}
	return cpuTime(b) - begun
}

func readOurs(b *testing.B, data []byte) error {
	p := openParquet(b, data)
	reader, err := p.Read(0, p.Rows(), irisWanted)
	if err != nil {
		return err
	}
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = record.Bad
		}
		if err != nil {
			return err
		}
	}
}

func readBare(data []byte, write bool) error {
	file, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return err
	}
	var line []byte
	for _, group := range file.RowGroups() {
		pages := make([]*barePages, len(irisWanted))
		for i := range pages {
			pages[i] = &barePages{pages: group.ColumnChunks()[i+1].Pages()}
		}
		for range group.NumRows() {
			line = append(line[:0], '{')
			for i, p := range pages {
				v, err := p.next()
				if err != nil {
					return err
				}
				if !write {
					continue
				}
				line = append(line, `,"`...)
				line = append(line, irisWanted[i]...)
				line = append(line, `":`...)
				line = strconv.AppendFloat(line, v.Double(), 'f', -1, 64)
			}
		}
		for _, p := range pages {
			if err := p.pages.Close(); err != nil {
				return err
			}
		}
	}
	return nil
}

// barePages reads values as the library's documentation does.
type barePages struct {
	pages  parquet.Pages
	page   parquet.Page
	values parquet.ValueReader
	batch  [256]parquet.Value
	at, n  int
}

func (p *barePages) next() (*parquet.Value, error) {
	for p.at == p.n {
		if p.values == nil {
			page, err := p.pages.ReadPage()
			if err != nil {
				return nil, err
			}
			p.page, p.values = page, page.Values()
		}
		n, err := p.values.ReadValues(p.batch[:])
		if p.at, p.n = 0, n; errors.Is(err, io.EOF) {
			p.values = nil
		} else if err != nil {
			return nil, err
		}
	}
	p.at++
	return &p.batch[p.at-1], nil
}

// BenchmarkParquetWriter writes records of three cells, and beside it, in turn,
// makes the library write the same values: ready as they are, and parsed from
// the text by strconv.
func BenchmarkParquetWriter(b *testing.B) {
	columns := []api.Column{{Name: "id", Type: api.TypeInt64}, {Name: "label", Type: api.TypeString}, {Name: "p", Type: api.TypeDouble}}
	record := []format.Value{text("1017"), token(`"setosa"`), token("0.97123")}
	var ours, ready, bare time.Duration
	for b.Loop() {
		ours += timed(b, func() error {
			writer, err := format.NewWriter(api.FormatParquet, io.Discard, columns)
			if err != nil {
				return err
			}
			for range benchRows {
				if err := writer.Write(record); err != nil {
					return err
				}
			}
			return writer.Close()
		})
		ready += timed(b, func() error { return writeBare(record, false) })
		bare += timed(b, func() error { return writeBare(record, true) })
	}
	reportRatio(b, ours, ready, bare)
}

type bareRecord struct {
	ID    *int64   `parquet:"id,optional,snappy"`
	Label *string  `parquet:"label,optional,snappy"`
	P     *float64 `parquet:"p,optional,snappy"`
}

func writeBare(record []format.Value, parse bool) error {
	writer := parquet.NewGenericWriter[bareRecord](io.Discard, parquet.DataPageVersion(1), parquet.DataPageStatistics(false))
	var rows [64]bareRecord
	var ids [64]int64
	var labels [64]string
	var numbers [64]float64
	for i := range rows {
		ids[i], labels[i], numbers[i] = 1017, "setosa", 0.97123
		rows[i] = bareRecord{ID: &ids[i], Label: &labels[i], P: &numbers[i]}
	}
	for written := 0; written < benchRows; written += len(rows) {
		for i := 0; parse && i < len(rows); i++ {
			var err error
			if ids[i], err = strconv.ParseInt(string(record[0].Bytes), 10, 64); err != nil {
				return err
			}
			if labels[i], err = strconv.Unquote(string(record[1].Bytes)); err != nil {
				return err
			}
			if numbers[i], err = strconv.ParseFloat(string(record[2].Bytes), 64); err != nil {
				return err
			}
		}
		if _, err := writer.Write(rows[:min(len(rows), benchRows-written)]); err != nil {
			return err
		}
	}
	return writer.Close()
}
