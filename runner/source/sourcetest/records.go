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
		id := 9007199254740000 + int64(i) // soon beyond what a double can hold
		all = append(all, record(fmt.Sprint(id), odd[i%len(odd)], fmt.Sprintf("%d.5", i)))
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

// Files of other tools have no header, and texts of their own for no value; and
// they begin with a mark, and end their lines as Windows does.
func foreignCSV(t *testing.T, p Place) {
	plain := []byte("\ufeff1,\"NA\",0.5\r\n2,NA,-\r\n3,\"a\r\nb\",")
	for _, compression := range []string{api.CompressionNone, api.CompressionGzip, api.CompressionZstd} {
		name := "a.csv." + compression
		p.Write(t, name, compress(t, compression, plain))
		in := p.files(name, api.FormatCSV, compression)
		in.Files.Header, in.Files.Columns, in.Files.NullValues = new(false), []string{"id", "text", "x"}, []string{"NA", "-"}
		files := p.find(t, in, "text", "x")
		if got, want := p.read(t, files, 1, "id", "x", "text"), []string{"1|0.5|NA", "2|<null>|<null>", "3||a\r\nb"}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", compression, got, want)
		}
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
		texts[i] = string(v.Bytes)
		var text string
		if v.JSON && texts[i] == "null" {
			texts[i] = "<null>"
		} else if v.JSON && json.Unmarshal(v.Bytes, &text) == nil {
			texts[i] = text
		}
	}
	return strings.Join(texts, "|")
}
