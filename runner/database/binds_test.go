package database

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

func TestNamesAreBoundOutsideOfTextsAndComments(t *testing.T) {
	all := map[string]syntax{"postgres": (&postgres{}).syntax(), "mysql": (&mySQL{}).syntax(), "sqlite": (&sqliteFile{}).syntax()}
	for _, c := range []struct{ dialects, text, want string }{
		{"postgres mysql sqlite", "SELECT :a, :b_1 FROM t WHERE x=:a", "SELECT <1>, <2> FROM t WHERE x=<1>"},
		{"postgres mysql sqlite", "SELECT ':a', 'it''s :a', \":a\" FROM t WHERE x > :a", "SELECT ':a', 'it''s :a', \":a\" FROM t WHERE x > <1>"},
		{"postgres mysql sqlite", "SELECT 1 -- :a\n, :a /* :a */", "SELECT 1 -- :a\n, <1> /* :a */"},
		{"postgres mysql sqlite", "SELECT :a; -- the end ; :a\n ", "SELECT <1>"},
		{"postgres mysql sqlite", "SELECT 'é:a', :a, 'open :a", "SELECT 'é:a', <1>, 'open :a"},
		{"postgres", "SELECT x::a, y::text, z[1:a], :a::date", "SELECT x::a, y::text, z[1:a], <1>::date"},
		{"postgres", "SELECT $$ :a $$, $t$ $$ :a $t$, E'\\' :a', $1, :a", "SELECT $$ :a $$, $t$ $$ :a $t$, E'\\' :a', $1, <1>"},
		{"postgres", "SELECT /* /* :a */ :a */ :a", "SELECT /* /* :a */ :a */ <1>"},
		{"postgres sqlite", `SELECT '\', :a`, `SELECT '\', <1>`},
		{"mysql", `SELECT '\' :a', :a # :a`, `SELECT '\' :a', <1> # :a`},
		{"mysql sqlite", "SELECT `:a``:a`, :a", "SELECT `:a``:a`, <1>"},
		{"mysql", "SELECT @x := 1, :a", "SELECT @x := 1, <1>"},
	} {
		for _, name := range strings.Fields(c.dialects) {
			place := func(value any) string { return value.(string) }
			got, err := bind(c.text, all[name], map[string]any{"a": "<1>", "b_1": "<2>"}, place)
			if err != nil || got != c.want {
				t.Errorf("%s: %s\nbecomes %s (%v)\nwant    %s", name, c.text, got, err, c.want)
			}
		}
	}
}

// Whatever the text, the scanner ends, and without names it changes nothing
// but a semicolon at the end.
func TestATextWithoutNamesStaysAsItIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`([a-z '"$\x60/*#\n\\-]|--|/\*|\*/|\$a\$|::)*`).Draw(t, "text")
		s := rapid.SampledFrom([]syntax{(&postgres{}).syntax(), (&mySQL{}).syntax(), (&sqliteFile{}).syntax()}).Draw(t, "syntax")
		if got, err := bind(text, s, nil, nil); err != nil || got != text {
			t.Fatalf("becomes %q, %v", got, err)
		}
	})
}

func TestAStringIsJSONOfItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		line := format.AppendString(nil, []byte(text))
		var back string
		if err := json.Unmarshal(line, &back); err != nil || utf8.ValidString(text) && back != text || strings.ContainsAny(string(line), "\n\r") {
			t.Fatalf("%q becomes %s, %v", text, line, err)
		}
	})
}

func TestNamesOfTablesAreTakenApart(t *testing.T) {
	for name, want := range map[string][2]string{
		"items": {"", "items"}, "a.items": {"a", "items"}, `"a.b".items`: {"a.b", "items"}, `"it ems"`: {"", "it ems"}, `a."b.c"`: {"a", "b.c"},
		"": {}, ".": {}, "a.": {}, ".a": {}, "a.b.c": {}, `"a`: {}, `"a"b`: {}, `""`: {},
	} {
		schema, table, err := splitName(name)
		if got := [2]string{schema, table}; got != want || (err != nil) != (want == [2]string{}) {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}
}
