package format_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

func TestPreamble(t *testing.T) {
	for name, test := range map[string]struct {
		format, text string
		header       []string
		rest         string
		lines        int64
	}{
		"header":                  {"csv", "a,b\n1,2\n", []string{"a", "b"}, "1,2\n", 1},
		"header only":             {"csv", "a,b\n", []string{"a", "b"}, "", 1},
		"header without line end": {"csv", "a,b", []string{"a", "b"}, "", 0},
		"crlf":                    {"csv", "a,b\r\n1,2\r\n", []string{"a", "b"}, "1,2\r\n", 1},
		"byte order mark":         {"csv", "\uFEFFa,b\n1,2\n", []string{"a", "b"}, "1,2\n", 1},
		"mark, then a quote":      {"csv", "\uFEFF\"a\nx\",b\n1,2\n", []string{"a\nx", "b"}, "1,2\n", 2},
		"blank lines before":      {"csv", "\n\r\na,b\n1,2\n", []string{"a", "b"}, "1,2\n", 3},
		"quoted names":            {"csv", "\"a\"\"b\",\"c,d\"\n1,2\n", []string{"a\"b", "c,d"}, "1,2\n", 1},
		"blanks belong to names":  {"csv", "a, b\n", []string{"a", " b"}, "", 1},
		"empty file":              {"csv", "", nil, "", 0},
		"blank file":              {"csv", "\n\n", nil, "", 2},
		"json":                    {"jsonl", "{}\n", nil, "{}\n", 0},
		"json with a mark":        {"jsonl", "\uFEFF{}\n", nil, "{}\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := format.ReadPreamble(format.Options{Format: test.format, Header: true}, strings.NewReader(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if rest := test.text[p.Size:]; !slices.Equal(p.Header, test.header) || rest != test.rest || p.Lines != test.lines {
				t.Errorf("got header %q, rest %q, %d lines", p.Header, rest, p.Lines)
			}
		})
	}
}

func TestBadHeaders(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"same name twice":  {"a,b,a\n", `line 1: column 3 of the header is named "a", and so is column 1; names must differ`},
		"name missing":     {"\na,,b\n", "line 2: column 2 of the header has no name; name every column"},
		"bare quote":       {"a,b\"\n", "line 1: the header is not CSV: column 2: has a quote in a field"},
		"quote not closed": {"a,\"b\n1,2\n", "line 1: the header is not CSV: column 2: has a quote that is never closed"},
		"not utf-8":        {"a,\xff\n", "line 1: the header is not UTF-8 at byte 3"},
		"too large":        {strings.Repeat("a", format.MaxRecord+1), "line 1: the header " + tooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := format.ReadPreamble(format.Options{Format: "csv", Header: true}, strings.NewReader(test.text))
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}
