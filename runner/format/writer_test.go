package format_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

func text(s string) format.Value  { return format.Value{Bytes: []byte(s)} }
func token(s string) format.Value { return format.Value{Bytes: []byte(s), JSON: true} }

func written(t testing.TB, fileFormat string, columns []string, records ...[]format.Value) string {
	t.Helper()
	return writtenTyped(t, fileFormat, named(columns...), records...)
}

func writtenTyped(t testing.TB, fileFormat string, columns []api.Column, records ...[]format.Value) string {
	t.Helper()
	var out bytes.Buffer
	writer, err := format.NewWriter(fileFormat, &out, columns)
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records {
		if err := writer.Write(record); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestWriters(t *testing.T) {
	for name, test := range map[string]struct {
		value     format.Value
		csv, json string
	}{
		"text":                    {text("abc"), "abc", `"abc"`},
		"number in text":          {text("1.50"), "1.50", `"1.50"`},
		"empty text":              {text(""), "", `""`},
		"text with a comma":       {text("a,b"), `"a,b"`, `"a,b"`},
		"text with quotes":        {text(`"a"`), `"""a"""`, `"\"a\""`},
		"text with line ends":     {text("a\r\nb"), "\"a\r\nb\"", `"a\r\nb"`},
		"text with html":          {text("<a href='x'>&"), "<a href='x'>&", `"<a href='x'>&"`},
		"text with controls":      {text("\x00\t\\\x7f"), "\x00\t\\\x7f", `"\u0000\t\\` + "\x7f\""},
		"other alphabets":         {text("日本 😀"), "日本 😀", `"日本 😀"`},
		"not utf-8":               {text("a\xffb"), "a\xffb", `"a` + "\uFFFD" + `b"`},
		"number":                  {token("12345678901234567890.10"), "12345678901234567890.10", "12345678901234567890.10"},
		"bool":                    {token("true"), "true", "true"},
		"null":                    {token("null"), "", "null"},
		"string":                  {token(`"a\"\u00e9\n\/"`), "\"a\"\"é\n/\"", `"a\"\u00e9\n\/"`},
		"string of two escapes":   {token(`"\ud83d\ude00"`), "😀", `"\ud83d\ude00"`},
		"half a pair":             {token(`"\ud83dx\udc00"`), "\uFFFDx\uFFFD", `"\ud83dx\udc00"`},
		"list":                    {token(`[1, "a"]`), `"[1, ""a""]"`, `[1, "a"]`},
		"object":                  {token(`{"a":1}`), `"{""a"":1}"`, `{"a":1}`},
		"list over several lines": {token("[\r\n 1,\n 2\n]"), "\"[\r\n 1,\n 2\n]\"", "[ 1, 2]"},
	} {
		t.Run(name, func(t *testing.T) {
			record := []format.Value{text("k"), test.value}
			if got, want := written(t, "csv", []string{"key", "v\""}, record), "key,\"v\"\"\"\nk,"+test.csv+"\n"; got != want {
				t.Errorf("csv is %q, want %q", got, want)
			}
			if got, want := written(t, "jsonl", []string{"key", "v\""}, record), `{"key":"k","v\"":`+test.json+"}\n"; got != want {
				t.Errorf("jsonl is %q, want %q", got, want)
			}
		})
	}
}

func TestAnEmptyCellAloneIsStillARecord(t *testing.T) {
	if got, want := written(t, "csv", []string{"a"}, []format.Value{text("")}, []format.Value{token("null")}), "a\n\"\"\n\"\"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWritersRefuse(t *testing.T) {
	for _, fileFormat := range []string{"csv", "jsonl"} {
		for name, values := range map[string][]format.Value{
			"too few values":  {},
			"too many values": {text("a"), text("b")},
			"no token":        {token("")},
		} {
			writer, err := format.NewWriter(fileFormat, &bytes.Buffer{}, named("a"))
			if err != nil {
				t.Fatal(err)
			}
			if err := writer.Write(values); err == nil || !strings.HasPrefix(err.Error(), "write record: ") {
				t.Errorf("%s: %s gives %v", fileFormat, name, err)
			}
			if writer.Close() == nil {
				t.Errorf("%s: %s: half a record could be flushed", fileFormat, name)
			}
		}
		if _, err := format.NewWriter(fileFormat, &bytes.Buffer{}, nil); err == nil {
			t.Errorf("%s without columns was fine", fileFormat)
		}
	}
	if _, err := format.NewWriter("xlsx", &bytes.Buffer{}, named("a")); err == nil {
		t.Error("xlsx was taken")
	}
	writer, _ := format.NewWriter("csv", &bytes.Buffer{}, named("a"))
	if err := writer.Write([]format.Value{token(`"\x"`)}); err == nil {
		t.Error("a bad string became text")
	}
}

func TestARecordThatNoReaderWouldTakeIsNotWritten(t *testing.T) {
	columns := []api.Column{{Name: "a", Type: "string"}}
	for _, fileFormat := range []string{"csv", "jsonl", "parquet"} {
		one, two := []format.Value{text("1")}, []format.Value{text("2")}
		want := writtenTyped(t, fileFormat, columns, one, two)
		var got bytes.Buffer
		writer, err := format.NewWriter(fileFormat, &got, columns)
		if err := errors.Join(err, writer.Write(one)); err != nil {
			t.Fatal(err)
		}
		if err := writer.Write([]format.Value{text(strings.Repeat("x", format.MaxRecord+1))}); !errors.Is(err, format.ErrTooLarge) {
			t.Errorf("%s: a record of more than 16 MiB gives %v", fileFormat, err)
		}
		if err := errors.Join(writer.Write(two), writer.Close()); err != nil || got.String() != want {
			t.Errorf("%s: %d bytes were written, want %d: %v", fileFormat, got.Len(), len(want), err)
		}
	}
}

type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestAWriteErrorStays(t *testing.T) {
	writer, err := format.NewWriter("jsonl", full{}, named("a"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		err = writer.Write([]format.Value{text("abc")})
	}
	if !errors.Is(err, errFull) || !errors.Is(writer.Close(), errFull) || !errors.Is(writer.Write([]format.Value{text("a")}), errFull) {
		t.Errorf("got %v, then %v", err, writer.Close())
	}
}

// Whatever text is written, standard readers and our own read it back.
func TestWrittenTextIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		columns := []string{"a", "b"}
		cell := rapid.StringOf(rapid.RuneFrom([]rune("ab,\"\n\r\\\t é😀\x00")))
		cells := []string{cell.Draw(t, "a"), cell.Draw(t, "b")}
		quoted, _ := json.Marshal(cells[1])
		record := []format.Value{text(cells[0]), token(string(quoted))}

		asCSV := writtenRapid(t, "csv", columns, record)
		reader, err := format.NewReader(format.Options{Format: "csv"}, strings.NewReader(asCSV), columns, columns, 1)
		if err != nil {
			t.Fatal(err)
		}
		header, err := reader.Read()
		if err != nil || header.Bad != nil {
			t.Fatal(err, header)
		}
		row, err := reader.Read()
		if err != nil || row.Bad != nil || string(row.Values[0].Bytes) != cells[0] || string(row.Values[1].Bytes) != cells[1] {
			t.Fatalf("%q is read as %v, %v", asCSV, row, err)
		}
		rows, err := csv.NewReader(strings.NewReader(asCSV)).ReadAll()
		if err != nil || len(rows) != 2 {
			t.Fatalf("%q: encoding/csv reads %q, %v", asCSV, rows, err)
		}

		asJSON := writtenRapid(t, "jsonl", columns, record)
		var object map[string]string
		if err := json.Unmarshal([]byte(asJSON), &object); err != nil || object["a"] != cells[0] || object["b"] != cells[1] {
			t.Fatalf("%q is read as %q, %v", asJSON, object, err)
		}
		if strings.Count(asJSON, "\n") != 1 || !utf8.ValidString(asJSON) {
			t.Fatalf("%q is not one line", asJSON)
		}
	})
}

func writtenRapid(t *rapid.T, fileFormat string, columns []string, record []format.Value) string {
	var out bytes.Buffer
	writer, err := format.NewWriter(fileFormat, &out, named(columns...))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(writer.Write(record), writer.Close()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
