package format_test

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

func TestCSVRecords(t *testing.T) {
	big := strings.Repeat("x", format.MaxRecord)
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"plain":                       {"1,2,3\n4,5,6\n", []string{"1: 3|1", "2: 6|4"}},
		"no line end at the end":      {"1,2,3\n4,5,6", []string{"1: 3|1", "2: 6|4"}},
		"crlf":                        {"1,2,3\r\n4,5,6\r\n", []string{"1: 3|1", "2: 6|4"}},
		"crlf missing at the end":     {"1,2,3\r\n4,5,6\r", []string{"1: 3|1", "2: 6|4"}},
		"blank lines are no records":  {"\n1,2,3\n\r\n\n4,5,6\n\n", []string{"2: 3|1", "5: 6|4"}},
		"empty cells":                 {",,\n", []string{"1: |"}},
		"quoted":                      {"\"1\",2,\"3\"\n", []string{"1: 3|1"}},
		"empty quoted":                {"\"\",\"\",\"\"\n", []string{"1: |"}},
		"comma in quotes":             {"\"1,1\",2,3\n", []string{"1: 3|1,1"}},
		"doubled quotes":              {"\"a\"\"b\",2,\"\"\"\"\n", []string{"1: \"|a\"b"}},
		"newline in quotes":           {"\"a\nb\",2,\"c\r\n\r\nd\"\ne,f,g\n", []string{"1: c\r\n\r\nd|a\nb", "5: g|e"}},
		"blanks belong to the cell":   {" 1 ,2, 3\n", []string{"1:  3| 1 "}},
		"other alphabets":             {"ä,β,日本\n", []string{"1: 日本|ä"}},
		"too few fields":              {"1,2,3\n4,5\n6,7,8\n", []string{"1: 3|1", "2! has 2 fields where the header has 3", "3: 8|6"}},
		"too many fields":             {"1,2,3,4\n6,7,8\n", []string{"1! has 4 fields where the header has 3", "2: 8|6"}},
		"too many fields, quoted":     {"1,\"2\",3,4\n", []string{"1! has 4 fields where the header has 3"}},
		"bare quote":                  {"1,2,5\" disk\n6,7,8\n", []string{"1! column \"c\": has a quote in a field that does not begin with one; put the field in quotes and double those inside", "2: 8|6"}},
		"blank before the quote":      {"1, \"2\",3\n6,7,8\n", []string{"1! column \"b\": has a quote in a field that does not begin with one; put the field in quotes and double those inside", "2: 8|6"}},
		"text after the quote":        {"\"1\"x,2,3\n6,7,8\n", []string{"1! column \"a\": has text after the closing quote; double the quotes inside the field", "2: 8|6"}},
		"bad quote behind the header": {"1,2,3,\"x\"y\n6,7,8\n", []string{"1! field 4: has text after the closing quote; double the quotes inside the field", "2: 8|6"}},
		"quote never closed":          {"1,2,3\n4,5,\"6\n7,8,9\n", []string{"1: 3|1", "2! has a quote that is never closed, so it takes in the rest of the file; close the quote, or double it where it is text"}},
		"not utf-8":                   {"1,2,3\n4,\xff,6\n7,8,9\n", []string{"1: 3|1", "2! is not UTF-8 at byte 3", "3: 9|7"}},
		"as large as can be":          {"1,2," + big[4:] + "\n4,5,6\n", []string{"1: " + big[4:] + "|1", "2: 6|4"}},
		"too large":                   {"1,2," + big[3:] + "\n4,5,6\n", []string{"1! " + tooLarge, "2: 6|4"}},
		"much too large":              {"1,2,3\n4,5,\"" + strings.Repeat(big+"\n", 5) + "\"\n7,8,9\n", []string{"1: 3|1", "2! " + tooLarge, "8: 9|7"}},
	} {
		t.Run(name, func(t *testing.T) {
			header, project := []string{"a", "b", "c"}, []string{"c", "a"}
			got := read(t, newReader(t, "csv", strings.NewReader(test.text), header, project))
			if !slices.Equal(got, test.want) {
				t.Errorf("got  %.300q\nwant %.300q", got, test.want)
			}
			if len(test.text) > format.MaxRecord {
				return
			}
			got = read(t, newReader(t, "csv", &pieces{text: test.text}, header, project))
			if !slices.Equal(got, test.want) {
				t.Errorf("byte by byte: got %.300q\nwant %.300q", got, test.want)
			}
		})
	}
}

func TestRawIsTheRecordAsItStands(t *testing.T) {
	reader := newReader(t, "csv", strings.NewReader("\r\n\"a\"\"\r\nb\",c\r\nd\n"), []string{"a", "b"}, []string{"a"})
	for _, want := range []string{"\"a\"\"\r\nb\",c", "d"} {
		record, err := reader.Read()
		if err != nil || string(record.Raw) != want {
			t.Errorf("raw is %q, %v; want %q", record.Raw, err, want)
		}
	}
}

func TestAColumnCanBeWantedTwice(t *testing.T) {
	got := read(t, newReader(t, "csv", strings.NewReader("1,2\n"), []string{"a", "b"}, []string{"b", "a", "b"}))
	if want := []string{"1: 2|1|2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCSVReaderNeedsAHeaderWithTheColumns(t *testing.T) {
	if _, err := format.NewReader(format.Options{Format: "csv"}, strings.NewReader(""), nil, nil, 1); err == nil {
		t.Error("no header was fine")
	}
	_, err := format.NewReader(format.Options{Format: "csv"}, strings.NewReader(""), []string{"a"}, []string{"b"}, 1)
	if err == nil || !strings.Contains(err.Error(), `"b"`) {
		t.Errorf("a missing column gives %v", err)
	}
}

func TestAFailingInputIsNoEndOfFile(t *testing.T) {
	broken := io.MultiReader(strings.NewReader("1\n2"), iotestErr{io.ErrUnexpectedEOF})
	reader := newReader(t, "csv", broken, []string{"a"}, nil)
	if _, err := reader.Read(); err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Read(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error is %v", err)
	}
}

type iotestErr struct{ err error }

func (e iotestErr) Read([]byte) (int, error) { return 0, e.err }

// Records are the same whether they lie in the buffer when they are read, or come
// a few bytes at a time.
func TestRecordsAreTheSameHoweverTheyCome(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sameHoweverItComes(t, anyCSV(t)+"\n"+anyCSV(t), rapid.IntRange(1, 8).Draw(t, "columns"))
	})
}

func sameHoweverItComes(t interface{ Fatalf(string, ...any) }, text string, columns int) {
	header := []string{"a", "b", "c", "d", "e", "f", "g", "h"}[:columns]
	project := []string{header[columns/2], header[0], header[columns/2]}
	all := func(r io.Reader) (got []string) {
		reader, err := format.NewReader(format.Options{Format: "csv", Nulls: []string{"1", ""}}, r, header, project, 7)
		for err == nil {
			var record *format.Record
			if record, err = reader.Read(); err == nil {
				got = append(got, fmt.Sprintf("%d %q %v %v", record.Line, record.Raw, record.Values, record.Bad))
			}
		}
		return append(got, err.Error())
	}
	text += strings.Repeat("#", 70) // so that the last line is not among the last bytes, which take the slow way
	quick, slow := all(strings.NewReader(text)), all(iotest.OneByteReader(strings.NewReader(text)))
	if !slices.Equal(quick, slow) {
		t.Fatalf("%q:\n%q\nbyte by byte:\n%q", text, quick, slow)
	}
}

// FuzzCSVReader: where encoding/csv can read an input, so can we, to the same
// cells; it never panics on any other.
func FuzzCSVReader(f *testing.F) {
	for _, text := range []string{"1,2\n", "\"a\"\"b\",\"\n\"\n", "a,b\n\"c\nd,e\n", "1,5\" x\n,\n"} {
		f.Add(text, []byte{1, 4})
	}
	header := []string{"a", "b"}
	f.Fuzz(func(t *testing.T, text string, sizes []byte) {
		sameHoweverItComes(t, text, 1+len(sizes)%8)
		reader := newReader(t, "csv", &pieces{text: text, sizes: sizes}, header, header)
		var ours [][]string
		for {
			record, err := reader.Read()
			if err != nil {
				break
			}
			if record.Bad == nil {
				ours = append(ours, []string{string(record.Values[0].Bytes), string(record.Values[1].Bytes)})
			}
		}
		reference := csv.NewReader(strings.NewReader(text))
		reference.FieldsPerRecord = len(header)
		theirs, err := reference.ReadAll()
		if err != nil || strings.Contains(text, "\r") || strings.ToValidUTF8(text, "") != text {
			return // encoding/csv changes line ends and lets any bytes pass
		}
		if len(ours)+len(theirs) > 0 && !reflect.DeepEqual(ours, theirs) {
			t.Errorf("%q: got %q, encoding/csv reads %q", text, ours, theirs)
		}
	})
}
