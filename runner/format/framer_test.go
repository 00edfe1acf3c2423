package format_test

import (
	"slices"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

func newFramer(t testing.TB, fileFormat string) *format.Framer {
	t.Helper()
	framer, err := format.NewFramer(fileFormat)
	if err != nil {
		t.Fatal(err)
	}
	return framer
}

func TestFramerFindsWhereRecordsEnd(t *testing.T) {
	for name, test := range map[string]struct {
		format  string
		text    string
		records int64
		lines   int64
	}{
		"nothing":                         {"csv", "", 0, 0},
		"lines":                           {"csv", "a,b\nc,d\n", 2, 2},
		"no line end at the end":          {"csv", "a,b\nc,d", 2, 1},
		"crlf":                            {"csv", "a,b\r\nc,d\r\n", 2, 2},
		"blank lines":                     {"csv", "\n\na\n\r\n\nb\n\n", 2, 7},
		"a line of blanks is a csv cell":  {"csv", " \n", 1, 1},
		"only a carriage return at end":   {"csv", "a\n\r", 1, 1},
		"newline in quotes":               {"csv", "1,\"a\nb\"\n2,c\n", 2, 3},
		"crlf in quotes":                  {"csv", "1,\"a\r\nb\"\r\n2,c\r\n", 2, 3},
		"doubled quotes":                  {"csv", "\"a\"\"\n\"\"b\"\nc\n", 2, 3},
		"empty quoted cell":               {"csv", "\"\"\n\"\",\"\"\n", 2, 2},
		"quote in the middle of a field":  {"csv", "1,5\" disk\n2,c\n", 2, 2},
		"text after the closing quote":    {"csv", "\"a\"b\"\n2\n", 2, 2},
		"open quote meets the next one":   {"csv", "1,\"a\n2,b\n3,\"c\"\n4,d\n", 2, 4},
		"quote open to the end":           {"csv", "1,a\n2,\"b\n3,c\n", 2, 3},
		"quote opens after a quoted cell": {"csv", "\"a\",\"b\nc\"\n", 1, 2},
		"json lines":                      {"jsonl", "{}\n{}\n", 2, 2},
		"json: quotes do not matter":      {"jsonl", "{\"a\":\"\n\"}\n", 2, 2},
		"json: lines of blanks":           {"jsonl", "\n \t\r\n{}\n  \n{}", 2, 4},
	} {
		t.Run(name, func(t *testing.T) {
			framer := newFramer(t, test.format)
			n, records := framer.Skip([]byte(test.text), 1<<40)
			if framer.End() {
				records++
			}
			if n != len(test.text) || records != test.records || framer.Lines() != test.lines {
				t.Errorf("%q: passed %d of %d bytes, %d records, %d lines; want %d records, %d lines",
					test.text, n, len(test.text), records, framer.Lines(), test.records, test.lines)
			}
		})
	}
}

func TestFramerRefusesAnUnknownFormat(t *testing.T) {
	if _, err := format.NewFramer("xlsx"); err == nil {
		t.Error("xlsx was taken")
	}
}

// ends gives the offset behind each record, found by one Next per piece.
func ends(t testing.TB, fileFormat string, text []byte, sizes []byte) []int {
	framer := newFramer(t, fileFormat)
	var found []int
	at, limit := 0, 0
	for turn := 0; at < len(text); turn++ {
		limit = len(text)
		if len(sizes) > 0 {
			limit = min(len(text), at+1+int(sizes[turn%len(sizes)])%7)
		}
		n, ended := framer.Next(text[at:limit])
		if at += n; ended {
			found = append(found, at)
		}
	}
	return found
}

// FuzzFramer: however the bytes are cut into pieces, and whether records are
// passed one by one or many at a time, their ends are the same, and a reader
// gives as many records as the framer counts.
func FuzzFramer(f *testing.F) {
	for _, text := range []string{
		"a,b\n1,\"x\ny\"\n\n\"\"\"\",2\r\n3", "1,5\" disk\n\"a\"b\n\"open\n", "{\"a\":1}\n\n \r\n{}", "\"\n\"\"\n\",\"\"\"",
	} {
		f.Add([]byte(text), []byte{0, 3, 1}, uint8(2))
	}
	f.Fuzz(func(t *testing.T, text, sizes []byte, limit uint8) {
		for _, fileFormat := range []string{"csv", "jsonl"} {
			whole := ends(t, fileFormat, text, nil)
			if cut := ends(t, fileFormat, text, sizes); !slices.Equal(whole, cut) {
				t.Fatalf("%s %q in pieces ends at %v, as a whole at %v", fileFormat, text, cut, whole)
			}
			counted := countBySkip(t, fileFormat, text, sizes, 1+int64(limit))
			reader := newReader(t, fileFormat, &pieces{text: string(text), sizes: sizes}, []string{"a"}, nil)
			if got := int64(len(read(t, reader))); got != counted {
				t.Fatalf("%s %q: read %d records, counted %d", fileFormat, text, got, counted)
			}
		}
	})
}

func countBySkip(t testing.TB, fileFormat string, text, sizes []byte, limit int64) (total int64) {
	whole := ends(t, fileFormat, text, nil)
	framer := newFramer(t, fileFormat)
	at := 0
	for turn := 0; at < len(text); turn++ {
		end := len(text)
		if len(sizes) > 0 {
			end = min(end, at+1+int(sizes[turn%len(sizes)]))
		}
		n, records := framer.Skip(text[at:end], limit)
		if n == 0 {
			t.Fatalf("%s %q: no progress at %d", fileFormat, text, at)
		}
		if at += n; records == limit && !slices.Contains(whole, at) {
			t.Fatalf("%s %q: Skip stops at %d, records end at %v", fileFormat, text, at, whole)
		}
		total += records
	}
	if framer.End() {
		total++
	}
	return total
}
