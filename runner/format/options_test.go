package format_test

import (
	"bytes"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// readFile reads a file with its options as a run does; cells of null are
// shown as <null>.
func readFile(t testing.TB, o format.Options, file string, project ...string) []string {
	t.Helper()
	preamble, err := format.ReadPreamble(o, strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	reader, err := format.NewReader(o, strings.NewReader(file[preamble.Size:]), preamble.Header, project, preamble.Lines+1)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, nulled{reader})
}

type nulled struct{ format.Reader }

func (n nulled) Read() (*format.Record, error) {
	record, err := n.Reader.Read()
	if err != nil {
		return nil, err
	}
	for i, v := range record.Values {
		if v.JSON && string(v.Bytes) == "null" {
			record.Values[i].Bytes = []byte("<null>")
		}
	}
	return record, nil
}

func TestCSVWithoutAHeader(t *testing.T) {
	o := format.Options{Format: api.FormatCSV, Columns: []string{"a", "b"}}
	for file, want := range map[string][]string{
		"1,2\n3,4\n":             {"1: 2|1", "2: 4|3"},
		"\uFEFF\"1\",2\r\n3,4\r": {"1: 2|1", "2: 4|3"},
		"\n1,2\n":                {"2: 2|1"},
		"3,4\n1,2,3\n":           {"1: 4|3", "2! has 3 fields where the header has 2"},
		"1,2\"\n3,4\n":           {"1! column \"b\": has a quote in a field that does not begin with one; put the field in quotes and double those inside", "2: 4|3"},
		"":                       nil,
	} {
		if got := readFile(t, o, file, "b", "a"); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", file, got, want)
		}
	}
}

// One wrong list of columns is one error, not a dead letter for each record.
func TestTheFirstRecordHasAsManyFieldsAsColumnsAreNamed(t *testing.T) {
	o := format.Options{Format: api.FormatCSV, Columns: []string{"a", "b"}}
	for file, want := range map[string]string{
		"\n1,2,3\n":    "line 2: the first record has 3 fields, and input.files.columns names 2; name every field there, or set",
		"\"1,2\"\n1,2": "line 1: the first record has 1 fields, and input.files.columns names 2;",
	} {
		if _, err := format.ReadPreamble(o, strings.NewReader(file)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", file, err, want)
		}
	}
}

func TestCellsThatStandForNoValue(t *testing.T) {
	o := format.Options{Format: api.FormatCSV, Header: true, Nulls: []string{"", "NA", `\N`}}
	for row, want := range map[string]string{
		"1,2":         "1|2",
		",NA":         "<null>|<null>",
		`\N,NAN`:      "<null>|NAN",
		`"",NA`:       "|<null>",
		`"NA",`:       "NA|<null>",
		`"a""b",\N`:   `a"b|<null>`,
		"NA\r":        "! has 1 field where the header has 2",
		" ,\"\"\r":    " |",
		`"x",na`:      "x|na",
		"\u00a0,\"\"": "\u00a0|",
	} {
		got := readFile(t, o, "a,b\n"+row+"\n", "a", "b")
		if len(got) != 1 || strings.TrimPrefix(strings.TrimPrefix(got[0], "2"), ": ") != want {
			t.Errorf("%q: got %q, want %q", row, got, want)
		}
	}
	if got := readFile(t, format.Options{Format: api.FormatCSV, Header: true}, "a,b\n,NA\n", "a", "b"); got[0] != "2: |NA" {
		t.Errorf("without null_values: %q", got)
	}
}

// What can go wrong in a file costs the records it is in, and no others.
func TestNoGoodRecordIsLostAmongBadOnes(t *testing.T) {
	header := format.Options{Format: api.FormatCSV, Header: true}
	for name, test := range map[string]struct {
		o    format.Options
		file string
		want []string
	}{
		"everything at once": {header, "\uFEFFa,b\r\n1,2\r\n\r\n\"x\ny\",\"\"\"\"\n3\n4,\xff\n5,a\x00b\n6,7,8\n9,\"1\"0\n\n11,12", []string{
			"2: 1|2", "4: x\ny|\"", "6! has 1 field where the header has 2", "7! is not UTF-8 at byte 3", "8: 5|a\x00b",
			"9! has 3 fields where the header has 2", `10! column "b": has text after the closing quote; double the quotes inside the field`, "12: 11|12"}},
		"carriage returns alone end nothing": {header, "a,b\n1,2\r3,4\n5,6\n", []string{"2! has 3 fields where the header has 2", "3: 5|6"}},
		"a carriage return in a cell":        {header, "a,b\n1\rx,2\n5,6\n", []string{"2: 1\rx|2", "3: 5|6"}},
		"json lines": {format.Options{Format: api.FormatJSONL}, "\uFEFF{\"a\":1,\"b\":2}\r\n\n{\"a\":1}\n{\"a\":\"\xff\",\"b\":1}\nnull\n{\"a\":\"\\u0000\",\"b\":3}", []string{
			"1: 1|2", `3! has no column "b"; write null where there is no value`, "4! is not UTF-8 at byte 7", "5! is null where a JSON object is wanted", "6: \"\\u0000\"|3"}},
	} {
		if got := readFile(t, test.o, test.file, "a", "b"); !slices.Equal(got, test.want) {
			t.Errorf("%s: got\n%q, want\n%q", name, got, test.want)
		}
	}
}

var fieldText = strings.Repeat("line of a very long field\n", 1000)

// endlessField is a record of one field of so many bytes.
type endlessField struct{ before, size, after int }

func (f *endlessField) Read(to []byte) (int, error) {
	switch {
	case f.before == 0:
		f.before = 1
		return copy(to, "1,\""), nil
	case f.size > 0:
		n := copy(to[:min(f.size, len(to))], fieldText)
		f.size -= n
		return n, nil
	case f.after == 0:
		f.after = 1
		return copy(to, "\"\n2,3\n"), nil
	default:
		return 0, io.EOF
	}
}

func TestAFieldOf100MBIsNeverHeld(t *testing.T) {
	reader := newReader(t, api.FormatCSV, &endlessField{size: 100 << 20}, []string{"a", "b"}, []string{"a"})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := read(t, reader)
	runtime.ReadMemStats(&after)
	if len(got) != 2 || got[0] != "1! "+tooLarge || !strings.HasSuffix(got[1], ": 2") {
		t.Errorf("got %q", got)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 8*format.MaxRecord {
		t.Errorf("%d MiB were allocated", took>>20)
	}
}

func TestAParquetValueAboveTheLimitIsABadRecord(t *testing.T) {
	columns := []api.Column{{Name: "a", Type: api.TypeString}}
	data := writtenTyped(t, api.FormatParquet, columns, []format.Value{text("x")}, []format.Value{text(strings.Repeat("y", format.MaxRecord))}, []format.Value{text("z")})
	p, err := format.OpenParquet(bytes.NewReader([]byte(data)), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := rowsOf(t, p, 0, 3, nil), []string{`{"a":"x"}`, "2! " + tooLarge, `{"a":"z"}`}; !slices.Equal(got, want) {
		t.Errorf("got %.100q, want %q", got, want)
	}
}

func TestAParquetValueThatIsNotItsTypeIsABadRecord(t *testing.T) {
	var out bytes.Buffer
	w := parquet.NewGenericWriter[any](&out, parquet.NewSchema("other", parquet.Group{"a": parquet.String(), "b": parquet.JSON()}))
	for _, row := range [][2]string{{"x", `{"c":[1]}`}, {"\xffx", "1"}, {"y", "[1,,]"}, {"z", " [1,\n2] "}} {
		values := parquet.Row{parquet.ByteArrayValue([]byte(row[0])).Level(0, 0, 0), parquet.ByteArrayValue([]byte(row[1])).Level(0, 0, 1)}
		if _, err := w.WriteRows([]parquet.Row{values}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	want := []string{`{"a":"x","b":{"c":[1]}}`, `2! column "a": is not UTF-8 at byte 1`, `3! column "b": is not valid JSON at byte 4: unexpected ','`, `{"a":"z","b":[1,2]}`}
	if got := rowsOf(t, openParquet(t, out.Bytes()), 0, 4, nil); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
