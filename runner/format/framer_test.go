package format_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

func newFramer(t interface{ Fatal(args ...any) }, fileFormat string) *format.Framer {
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

// spot is a place behind a record, and the line ends before it.
type spot struct {
	end   int
	lines int64
}

// framedByHand says where the records of a CSV text end, as plainly as can be.
func framedByHand(text string) (spots []spot) {
	quoted, closed, blank, begun := false, false, true, false
	before := byte('\n')
	var lines int64
	for i := range len(text) {
		c := text[i]
		begun = true
		if c == '\n' {
			lines++
		}
		blank = blank && (c == '\n' || c == '\r')
		switch {
		case quoted:
			quoted = c != '"'
			closed = !quoted
		case c == '"':
			quoted, closed = closed || before == ',' || before == '\n', false
		case c == '\n':
			if !blank {
				spots = append(spots, spot{i + 1, lines})
			}
			closed, blank, begun = false, true, false
		default:
			closed = false
		}
		before = c
	}
	if begun && !blank {
		spots = append(spots, spot{len(text), lines})
	}
	return spots
}

// anyCSV draws a text, half of them without what CSV should not hold.
func anyCSV(t *rapid.T) string {
	cell := rapid.SampledFrom([]string{"1", "5.25", "setosa", "", "ä", "\"a\"", "\"a, b\"", "\"x\"\"y\"", "\"\"", "\"l\nm\"", "5\" disk", "\"a\"b", "\"", " ", "\r", strings.Repeat("long ", 30)})
	glue := rapid.SampledFrom([]string{",", ",", ",", ",", "\n", "\n", "\r\n", "\n\n", "\n\r\n", "\n\r\r\n"})
	sound := rapid.SampledFrom([]string{"1", "\"a, b\"", "\"x\"\"y\""})
	cells := cell
	if rapid.Bool().Draw(t, "sound") { // or nearly each block is passed byte by byte
		cells = sound
	}
	var text strings.Builder
	for range rapid.IntRange(0, 150).Draw(t, "cells") {
		text.WriteString(cells.Draw(t, "cell") + glue.Draw(t, "glue"))
	}
	return text.String()
}

// Whatever the text and however it is cut, records end where they do byte by
// byte, and so many lines are passed.
func TestBlocksAreFramedAsTheirBytesAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := []byte(anyCSV(t))
		want, limit := framedByHand(string(data)), rapid.Int64Range(1, 20).Draw(t, "limit")
		for cut := range len(data) + 1 {
			framer := newFramer(t, "csv")
			var got []spot
			at := 0
			for _, end := range []int{cut, len(data)} {
				for at < end {
					n, records := framer.Skip(data[at:end], limit-int64(len(got))%limit)
					at += n
					for range records {
						got = append(got, spot{at, framer.Lines()})
					}
					if at < end && int64(len(got))%limit != 0 {
						t.Fatalf("%q: stopped at %d, cut at %d, after %d records", data, at, cut, len(got))
					}
				}
			}
			if framer.End() {
				got = append(got, spot{at, framer.Lines()})
			}
			if len(got) != len(want) || framer.Lines() != int64(bytes.Count(data, []byte("\n"))) {
				t.Fatalf("%q cut at %d: %d records on %d lines, not %d", data, cut, len(got), framer.Lines(), len(want))
			}
			for i := int(limit) - 1; i < len(got); i += int(limit) {
				if got[i] != want[i] {
					t.Fatalf("%q cut at %d: record %d ends at %+v, not %+v", data, cut, i, got[i], want[i])
				}
			}
		}
	})
}
