package sourcetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/split"
)

// stored are the ways to store a file.
var stored = []struct{ format, compression string }{
	{api.FormatCSV, api.CompressionNone}, {api.FormatCSV, api.CompressionGzip}, {api.FormatCSV, api.CompressionZstd},
	{api.FormatJSONL, api.CompressionNone}, {api.FormatJSONL, api.CompressionGzip}, {api.FormatJSONL, api.CompressionZstd},
	{api.FormatParquet, api.CompressionNone},
}

// many are records enough for several slices, with what files trip over.
func many() [][]format.Value {
	odd := []string{"plain", `quo"ted`, "com,ma", "line\nbreak", "", "Füße", `\back`}
	var all [][]format.Value
	for i := range 1000 {
		all = append(all, record(fmt.Sprint(i), odd[i%len(odd)], fmt.Sprintf("%d.5", i)))
	}
	return all
}

func sameRecords(t *testing.T, p Place) {
	var want []string
	for _, r := range many() {
		want = append(want, cells(r))
	}
	for _, s := range stored {
		t.Run(s.format+" "+s.compression, func(t *testing.T) {
			name := "a." + s.format + "." + s.compression
			p.Write(t, name, encode(t, s.format, s.compression, many()))
			files := p.find(t, p.files(name, s.format, s.compression), "x", "id")
			for _, rows := range []int64{7, 300, 100_000} {
				if got := p.read(t, files, rows, "id", "text", "x"); !slices.Equal(got, want) {
					t.Errorf("in slices of %d: %d records, want %d: %.300q", rows, len(got), len(want), got)
				}
			}
			if got, err := p.Inputs.Columns(t.Context(), files); err != nil || strings.Join(got, " ") != "id text x" {
				t.Errorf("columns %q, %v", got, err)
			}
		})
	}
}

// read reads files slice by slice, as runs do: a record's cells each.
func (p Place) read(t *testing.T, files []source.File, rows int64, project ...string) []string {
	t.Helper()
	var all []string
	for i, file := range files {
		stored, err := json.Marshal(file)
		if err != nil {
			t.Fatal(err)
		}
		var planned source.File // as it comes back with the plan
		if err := json.Unmarshal(stored, &planned); err != nil {
			t.Fatal(err)
		}
		err = split.File(t.Context(), p.Inputs, i, planned, split.Options{Rows: rows}, func(s split.Slice) error {
			part, err := p.slice(t, planned, s, project)
			if err == nil && int64(len(part)) != s.Records {
				err = fmt.Errorf("slice %+v holds %d records", s, len(part))
			}
			all = append(all, part...)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// slice reads one slice, as an attempt at a mini-batch does.
func (p Place) slice(t *testing.T, file source.File, s split.Slice, project []string) (part []string, err error) {
	opened, err := p.Inputs.Open(t.Context(), file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	reader, err := opened.Records(source.Stretch{Offset: s.Offset, Length: s.Length, FirstLine: s.FirstLine, Checksum: s.Checksum}, project)
	if err != nil {
		return nil, err
	}
	for {
		r, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return part, opened.Check()
		}
		if err != nil {
			return nil, err
		}
		if r.Bad != nil {
			return nil, fmt.Errorf("line %d: %w", r.Line, r.Bad)
		}
		part = append(part, cells(r.Values))
	}
}

// cells is a record for comparison, however its format writes it.
func cells(values []format.Value) string {
	texts := make([]string, len(values))
	for i, v := range values {
		text := string(v.Bytes)
		var decoded any
		if v.JSON && json.Unmarshal(v.Bytes, &decoded) == nil {
			text = fmt.Sprint(decoded)
		}
		texts[i] = text
	}
	return strings.Join(texts, "|")
}
