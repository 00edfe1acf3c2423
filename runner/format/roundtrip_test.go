package format_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

var allFormats = []string{api.FormatCSV, api.FormatJSONL, api.FormatParquet}

var mixed = []api.Column{
	{Name: "id", Type: api.TypeInt64}, {Name: "p", Type: api.TypeDouble}, {Name: "ok", Type: api.TypeBoolean}, {Name: "label", Type: api.TypeString},
	{Name: "at", Type: api.TypeTimestamp}, {Name: "day", Type: api.TypeDate}, {Name: "more", Type: api.TypeJSON}, {Name: "price", Type: "decimal(18,4)"},
}

func mixedRecords(n int) [][]format.Value {
	var records [][]format.Value
	for i := range n {
		record := []format.Value{
			token(fmt.Sprint(i)), token(fmt.Sprint(float64(i) / 3)), token(fmt.Sprint(i%2 == 0)), text(fmt.Sprintf("a, \"%d\"\né", i)),
			text(fmt.Sprintf("2026-01-02T03:04:05.%06dZ", i)), text("2026-01-02"), token(fmt.Sprintf(`{"i":[%d,"x"]}`, i)), token(fmt.Sprintf("-%d.2500", i)),
		}
		if i%7 == 3 {
			for c := range record {
				record[c] = token("null")
			}
			record[3] = text("")
		}
		records = append(records, record)
	}
	return records
}

// readBack reads a file of any format as a run does.
func readBack(t testing.TB, fileFormat string, data []byte, columns []api.Column) [][]format.Value {
	t.Helper()
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	var reader format.Reader
	var err error
	if fileFormat == api.FormatParquet {
		p := openParquet(t, data)
		reader, err = p.Read(0, p.Rows(), names)
	} else {
		o := format.Options{Format: fileFormat, Header: true}
		var preamble format.Preamble
		if preamble, err = format.ReadPreamble(o, bytes.NewReader(data)); err == nil {
			reader, err = format.NewReader(o, bytes.NewReader(data[preamble.Size:]), preamble.Header, names, preamble.Lines+1)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	var records [][]format.Value
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return records
		}
		if err != nil || record.Bad != nil {
			t.Fatal(err, record)
		}
		var values []format.Value
		for _, v := range record.Values {
			values = append(values, format.Value{Bytes: bytes.Clone(v.Bytes), JSON: v.JSON})
		}
		records = append(records, values)
	}
}

// Whatever format records pass through, they end as the same Parquet file; but
// for nested values, which CSV makes text of.
func TestAnyFormatInAnyFormatOut(t *testing.T) {
	const nested = 6
	columns, records := slices.Delete(slices.Clone(mixed), nested, nested+1), mixedRecords(100)
	for i := range records {
		records[i] = slices.Delete(records[i], nested, nested+1)
	}
	want := writtenTyped(t, api.FormatParquet, columns, records...)
	for _, in := range allFormats {
		for _, out := range allFormats {
			first := writtenTyped(t, in, columns, records...)
			second := writtenTyped(t, out, columns, readBack(t, in, []byte(first), columns)...)
			if got := writtenTyped(t, api.FormatParquet, columns, readBack(t, out, []byte(second), columns)...); got != want {
				t.Errorf("%s, then %s, changes the records", in, out)
			}
		}
	}
}

func TestParquetIsAFunctionOfItsValues(t *testing.T) {
	records := mixedRecords(3000)
	data := writtenTyped(t, api.FormatParquet, mixed, records...)
	if again := writtenTyped(t, api.FormatParquet, mixed, records...); again != data {
		t.Error("the same records make another file")
	}
	var out bytes.Buffer
	writer, err := format.NewWriter(api.FormatParquet, &out, mixed)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rowsOf(t, openParquet(t, []byte(data)), 0, 3000, nil) {
		if err := writer.Copy([]byte(row + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil || out.String() != data {
		t.Errorf("copied records make another file: %v", err)
	}
	if writer.Write(records[0]) == nil || writer.Close() == nil {
		t.Error("a complete file was written on")
	}
}

// What a writer holds is bounded by its row groups.
func TestParquetIsWrittenInRowGroups(t *testing.T) {
	columns := []api.Column{{Name: "s", Type: api.TypeString}}
	record := []format.Value{text(strings.Repeat("0123456789", 10_000))}
	var out bytes.Buffer
	writer, err := format.NewWriter(api.FormatParquet, &out, columns)
	if err != nil {
		t.Fatal(err)
	}
	for range 500 {
		if err := writer.Write(record); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if groups := openParquet(t, out.Bytes()).Groups(); len(groups) < 2 || slices.Max(groups) > 200 {
		t.Errorf("50 MB are in row groups of %d", groups)
	}
}

func partsOf(parts ...string) iter.Seq2[format.Part, error] {
	return func(yield func(format.Part, error) bool) {
		for _, p := range parts {
			if !yield(strings.NewReader(p), nil) {
				return
			}
		}
	}
}

func TestMergedPartsAreOneFile(t *testing.T) {
	records := mixedRecords(90)
	for _, fileFormat := range allFormats {
		var parts []string
		for i := 0; i < len(records); i += 30 {
			parts = append(parts, writtenTyped(t, fileFormat, mixed, records[i:i+30]...))
		}
		parts = append(parts, writtenTyped(t, fileFormat, mixed)) // an empty one
		var merged bytes.Buffer
		if err := format.Merge(fileFormat, &merged, mixed, partsOf(parts...)); err != nil {
			t.Fatal(err)
		}
		whole := writtenTyped(t, fileFormat, mixed, records...)
		if fileFormat != api.FormatParquet && merged.String() != whole {
			t.Errorf("%s: merged parts are another file", fileFormat)
		}
		asParquet := func(data string) string {
			return writtenTyped(t, api.FormatParquet, mixed, readBack(t, fileFormat, []byte(data), mixed)...)
		}
		if asParquet(merged.String()) != asParquet(whole) {
			t.Errorf("%s: merged parts hold other records", fileFormat)
		}
		merged.Reset()
		if err := format.Merge(fileFormat, &merged, mixed, partsOf()); err != nil || len(readBack(t, fileFormat, merged.Bytes(), mixed)) != 0 {
			t.Errorf("%s: no parts: %v", fileFormat, err)
		}
	}
}

func TestMergeRefuses(t *testing.T) {
	other := []api.Column{{Name: "x", Type: api.TypeInt64}}
	for _, fileFormat := range []string{api.FormatCSV, api.FormatParquet} {
		err := format.Merge(fileFormat, io.Discard, mixed, partsOf(writtenTyped(t, fileFormat, mixed), writtenTyped(t, fileFormat, other)))
		if err == nil || !strings.Contains(err.Error(), "merge part 2: its columns are") {
			t.Errorf("%s: other columns give %v", fileFormat, err)
		}
	}
	gone := errors.New("it is gone")
	err := format.Merge(api.FormatJSONL, io.Discard, mixed, func(yield func(format.Part, error) bool) { yield(nil, gone) })
	if !errors.Is(err, gone) {
		t.Errorf("a part that is gone gives %v", err)
	}
	if format.Merge("xlsx", io.Discard, mixed, partsOf()) == nil {
		t.Error("xlsx was merged")
	}
}

// Every number survives Parquet: doubles as the same double, decimals with all
// digits.
func TestNumbersSurviveParquet(t *testing.T) {
	columns := []api.Column{{Name: "f", Type: api.TypeDouble}, {Name: "i", Type: api.TypeInt64}, {Name: "d", Type: "decimal(30,10)"}}
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.OneOf(rapid.Float64Range(-1e300, 1e300), rapid.Float64Range(-1e22, 1e22), rapid.Custom(func(t *rapid.T) float64 {
			return float64(rapid.Int64Range(-1e16, 1e16).Draw(t, "digits")) / math.Pow10(rapid.IntRange(0, 8).Draw(t, "scale"))
		})).Draw(t, "f")
		i := rapid.Int64().Draw(t, "i")
		d := rapid.StringMatching(`-?[1-9][0-9]{0,19}\.[0-9]{10}`).Draw(t, "d")
		record := []format.Value{token(fmt.Sprint(f)), token(fmt.Sprint(i)), token(d)}
		var out bytes.Buffer
		writer, err := format.NewWriter(api.FormatParquet, &out, columns)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(writer.Write(record), writer.Close()); err != nil {
			t.Fatal(err)
		}
		p, err := format.OpenParquet(bytes.NewReader(out.Bytes()), int64(out.Len()))
		if err != nil {
			t.Fatal(err)
		}
		reader, err := p.Read(0, 1, []string{"f", "i", "d"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := reader.Read()
		if err != nil || got.Bad != nil {
			t.Fatal(err, got)
		}
		want := strconv.FormatFloat(f, 'f', -1, 64)
		if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
			want = strconv.FormatFloat(f, 'e', -1, 64)
		}
		if string(got.Values[0].Bytes) != want {
			t.Errorf("%s became %s", want, got.Values[0].Bytes)
		}
		if string(got.Values[1].Bytes) != fmt.Sprint(i) || string(got.Values[2].Bytes) != d {
			t.Errorf("%d, %s became %s, %s", i, d, got.Values[1].Bytes, got.Values[2].Bytes)
		}
	})
}
