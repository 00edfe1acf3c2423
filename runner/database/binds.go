package database

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// syntax is what a scanner must know of a database's SQL.
type syntax struct {
	backslash bool // escapes in 'strings'
	backtick  bool // quotes `names`
	dollar    bool // quotes $tag$strings$tag$
	nested    bool // /* comments /* nest */ */
	hash      bool // begins a comment
}

// bind replaces the :names in a query by what place gives for them, leaving
// strings, comments, quoted names, casts (::) and array slices alone, and takes
// off a semicolon at its end.
func bind(text string, s syntax, params map[string]any, place func(value any) string) (string, error) {
	var out strings.Builder
	end := len(text) // of the statement: its semicolon
	done := 0
	for at := 0; at < len(text); {
		if skip := s.opaque(text[at:], at == 0 || !word(text[at-1])); skip > 0 {
			if end < len(text) && !comment(text[at:], s) {
				return "", twoStatements()
			}
			at += skip
			continue
		}
		switch c := text[at]; {
		case c == ';':
			end = min(end, at)
		case end < len(text) && !strings.ContainsRune(" \t\r\n", rune(c)):
			return "", twoStatements()
		case c == ':' && at+1 < len(text) && letter(text[at+1]) && (at == 0 || !word(text[at-1]) && !strings.ContainsRune(":])", rune(text[at-1]))):
			stop := at + 1
			for stop < len(text) && word(text[stop]) {
				stop++
			}
			name := text[at+1 : stop]
			value, known := params[name]
			if !known {
				return "", failf("a query may name "+paramNames(params), "the query names :%s, which is no parameter", name)
			}
			out.WriteString(text[done:at])
			out.WriteString(place(value))
			at, done = stop, stop
			continue
		}
		at++
	}
	out.WriteString(text[done:max(end, done)])
	return out.String(), nil
}

func twoStatements() error {
	return failf("write one SELECT", "the query holds more than one statement")
}

func paramNames(params map[string]any) string {
	if len(params) == 0 {
		return "no parameter here"
	}
	return fmt.Sprint(":", strings.Join(slices.Sorted(maps.Keys(params)), ", :"))
}

// opaque is the length of the string, quoted name or comment that text begins
// with, or 0. begins tells that no word runs into it.
func (s syntax) opaque(text string, begins bool) int {
	switch c := text[0]; {
	case comment(text, s):
		return s.commentLength(text)
	case c == '\'':
		return quoted(text, '\'', s.backslash)
	case (c == 'e' || c == 'E') && s.dollar && begins && len(text) > 1 && text[1] == '\'':
		return 1 + quoted(text[1:], '\'', true)
	case c == '"':
		return quoted(text, '"', s.backslash)
	case c == '`' && s.backtick:
		return quoted(text, '`', false)
	case c == '$' && s.dollar && begins:
		return dollarQuoted(text)
	}
	return 0
}

func comment(text string, s syntax) bool {
	return strings.HasPrefix(text, "--") || strings.HasPrefix(text, "/*") || s.hash && text[0] == '#'
}

func (s syntax) commentLength(text string) int {
	if text[0] != '/' {
		if end := strings.IndexByte(text, '\n'); end >= 0 {
			return end + 1
		}
		return len(text)
	}
	depth := 1
	for at := 2; at+1 < len(text); at++ {
		switch {
		case text[at] == '*' && text[at+1] == '/':
			depth--
			at++
			if depth == 0 {
				return at + 1
			}
		case s.nested && text[at] == '/' && text[at+1] == '*':
			depth++
			at++
		}
	}
	return len(text)
}

// quoted is the length of a quoted text; a doubled quote begins a new one
// right behind it.
func quoted(text string, quote byte, backslash bool) int {
	for at := 1; at < len(text); at++ {
		switch {
		case text[at] == '\\' && backslash:
			at++
		case text[at] == quote:
			return at + 1
		}
	}
	return len(text)
}

// dollarQuoted is the length of $tag$…$tag$, or 0 where $ begins something
// else.
func dollarQuoted(text string) int {
	stop := 1
	for stop < len(text) && word(text[stop]) {
		stop++
	}
	if stop == len(text) || text[stop] != '$' || stop > 1 && !letter(text[1]) {
		return 0
	}
	tag := text[:stop+1]
	if end := strings.Index(text[len(tag):], tag); end >= 0 {
		return len(tag) + end + len(tag)
	}
	return len(text)
}

func letter(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

func word(c byte) bool { return letter(c) || c >= '0' && c <= '9' }
