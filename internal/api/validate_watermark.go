package api

import (
	"regexp"
	"strings"
	"time"
)

// markForms are how a watermark's start is written. A time without a zone is in
// UTC.
var markForms = []string{
	time.DateOnly, time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04",
	"2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04",
}

// ParseMark reads a watermark's start that is neither StartBeginning nor
// StartNow; false: it is no date or time.
func ParseMark(text string) (time.Time, bool) {
	for _, form := range markForms {
		if at, err := time.Parse(form, text); err == nil {
			return at.UTC(), true
		}
	}
	return time.Time{}, false
}

func (v *validator) markStart(pointer, start string) {
	switch start {
	case StartBeginning, StartNow:
	case "":
		v.add(pointer, "", "is required: %q, %q, or a date or time to start above", StartBeginning, StartNow)
	default:
		if _, ok := ParseMark(start); !ok {
			v.add(pointer, "", "%q is not %q, %q, a date like 2026-01-31 or a time like 2026-01-31T18:00:00Z", start, StartBeginning, StartNow)
		}
	}
}

var (
	// partForm is what makes a query give a part of the rows that it finds.
	partForm = regexp.MustCompile(`(?i)^(limit\b|tablesample\b|fetch\s+(?:first|next)\b|offset\s+[0-9:(])`)
	// rowsForm ends where a parenthesis holds what the rows of the result come
	// from; elsewhere it holds a value of one row.
	rowsForm = regexp.MustCompile(`(?i)(^|\b(from|join|as|in|any|all|materialized)|\()\s*$`)
	wordForm = regexp.MustCompile(`^[A-Za-z0-9_$.]+`)
)

// partialBy finds the word by which a query gives but a part of its rows. A mark
// passes those that are left out, and nobody ever reads them.
func partialBy(query string) string {
	code := codeOf(query)
	rows := []bool{true} // of each open parenthesis
	for i := 0; i < len(code); {
		inner := rows[len(rows)-1]
		switch word := wordForm.FindString(code[i:]); {
		case inner && partForm.MatchString(code[i:]):
			return strings.ToUpper(wordForm.FindString(code[i:]))
		case word != "": // whole: a column may be called t.limit
			i += len(word)
			continue
		case code[i] == '(':
			rows = append(rows, inner && rowsForm.MatchString(code[:i]))
		case code[i] == ')' && len(rows) > 1:
			rows = rows[:len(rows)-1]
		}
		i++
	}
	return ""
}
