package api

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// queryParameters are bound in each run: a query names them with a colon
// before.
var queryParameters = []string{"scheduled_at", "previous_success_at"}

var (
	parameterForm = regexp.MustCompile(`^:([A-Za-z_][A-Za-z0-9_]*)`)
	dollarForm    = regexp.MustCompile(`^\$(?:[A-Za-z_][A-Za-z0-9_]*)?\$`)
	selectForm    = regexp.MustCompile(`(?i)^[\s(]*(select|with)\b`)
	tableForm     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?$`)
)

// query checks what can be told of a query without its database: that it is
// one statement, that it reads, and that its parameters are known.
func (v *validator) query(pointer, query string) {
	if strings.TrimSpace(query) == "" {
		v.add(pointer, "", "is required: one SELECT")
		return
	}
	if err := checkQuery(query); err != nil {
		v.add(pointer, "", "%v", err)
	}
}

func checkQuery(query string) error {
	code := codeOf(query)
	if !selectForm.MatchString(code) {
		return fmt.Errorf("%q does not read; it must be a SELECT, or a WITH that ends in one", firstWords(code))
	}
	for i := 0; i < len(code); i++ {
		switch {
		case code[i] == ';':
			return fmt.Errorf("%q holds a semicolon; write one statement, and none after it", firstWords(code))
		case strings.HasPrefix(code[i:], "::"): // a cast
			i++
		case code[i] == ':':
			name := parameterForm.FindStringSubmatch(code[i:])
			if name != nil && !slices.Contains(queryParameters, name[1]) {
				return fmt.Errorf("%q names the unknown parameter :%s; known are :%s", firstWords(code), name[1], strings.Join(queryParameters, " and :"))
			}
		}
	}
	return nil
}

func firstWords(code string) string {
	text := strings.Join(strings.Fields(code), " ")
	if len(text) > 40 {
		text = strings.ToValidUTF8(text[:40], "") + "…"
	}
	return text
}

// codeOf is a query with a blank in place of each comment, string and quoted
// name. One that is not closed ends it: the database will say so.
func codeOf(query string) string {
	var b strings.Builder
	for i := 0; i < len(query); {
		rest := query[i:]
		skip := 0
		switch {
		case strings.HasPrefix(rest, "--"):
			skip = until(rest, 2, "\n")
		case strings.HasPrefix(rest, "/*"):
			skip = until(rest, 2, "*/")
		case rest[0] == '\'', rest[0] == '"', rest[0] == '`':
			skip = until(rest, 1, rest[:1]) // a doubled quote begins another string
		case rest[0] == '$':
			if tag := dollarForm.FindString(rest); tag != "" {
				skip = until(rest, len(tag), tag)
			}
		}
		if skip == 0 {
			b.WriteByte(rest[0])
			i++
			continue
		}
		b.WriteByte(' ')
		i += skip
	}
	return b.String()
}

// until is the length of text up to and with the first end after from.
func until(text string, from int, end string) int {
	if at := strings.Index(text[from:], end); at >= 0 {
		return from + at + len(end)
	}
	return len(text)
}

// table checks the name of a table, with its schema or without.
func (v *validator) table(pointer, name string) {
	switch _, last, _ := strings.Cut(name, "."); {
	case name == "":
		v.add(pointer, "", "is required: the table that predictions are written to")
	case !tableForm.MatchString(name):
		v.add(pointer, "", "%q is not a table; write its name, with its schema where it has one: scores.churn", name)
	case name == commitsTable || last == commitsTable:
		v.add(pointer, "", "%q is where the runner keeps what it has committed; choose another table", name)
	}
}

// commitsTable is the runner's own, beside the tables that it writes to.
const commitsTable = "_batch_commits"

func (v *validator) column(pointer, name string) {
	if name == "" || !utf8.ValidString(name) {
		v.add(pointer, "", "%q is not a column name", name)
	}
}
