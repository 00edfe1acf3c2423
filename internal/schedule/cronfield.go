package schedule

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// cronField is one of the fields of an expression.
type cronField struct {
	name     string
	min, max int
	names    []string // of the values from min on
	also     string   // what is accepted beside values; cronday.go reads it
}

var (
	secondField     = cronField{name: "second", min: 0, max: 59}
	minuteField     = cronField{name: "minute", min: 0, max: 59}
	hourField       = cronField{name: "hour", min: 0, max: 23}
	dayOfMonthField = cronField{name: "day-of-month", min: 1, max: 31, also: ", L, L-3, LW, 15W and ?"}
	monthField      = cronField{name: "month", min: 1, max: 12, names: []string{
		"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}}
	// Day-of-week also takes 7 for Sunday; parseValue and parseRange know.
	dayOfWeekField = cronField{name: "day-of-week", min: 0, max: 6, also: ", FRIL, MON#2 and ?", names: []string{
		"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}}
)

// parse reads a list of items into the set of their values.
func (f *cronField) parse(text string) (uint64, error) {
	var set uint64
	for item := range strings.SplitSeq(text, ",") {
		values, err := f.parseItem(item)
		if err != nil {
			return 0, err
		}
		set |= values
	}
	return set, nil
}

// parseItem reads *, a value or a range, each with a step or without, into the
// set of its values.
func (f *cronField) parseItem(item string) (uint64, error) {
	span, stepText, stepped := strings.Cut(item, "/")
	step := 1
	if stepped {
		var err error
		if step, err = f.parseStep(stepText); err != nil {
			return 0, err
		}
	}
	from, to, err := f.parseSpan(span, stepped)
	if err != nil {
		return 0, err
	}
	var set uint64
	for v := from; v <= to; v += step {
		set |= 1 << v
	}
	if f.isWeek() && set&(1<<7) != 0 {
		set = set&^(1<<7) | 1
	}
	return set, nil
}

// parseSpan reads what a step goes through. A value with a step, like 5/10,
// begins a range that ends with the field.
func (f *cronField) parseSpan(span string, stepped bool) (from, to int, err error) {
	first, last, isRange := strings.Cut(span, "-")
	switch {
	case span == "":
		err = fmt.Errorf("%s has an empty item; write *, a value, a range or a list of them", f.name)
	case span == "*":
		from, to = f.min, f.max
	case isRange:
		from, to, err = f.parseRange(first, last)
	default:
		from, err = f.parseValue(span)
		to = from
		if stepped {
			to = f.max
			if f.isWeek() && from == 7 {
				from = 0
			}
		}
	}
	return from, to, err
}

func (f *cronField) parseStep(text string) (int, error) {
	step, ok := parseNumber(text)
	if !ok || step < 1 || step > f.top() {
		return 0, fmt.Errorf("%s step %q is not in 1–%d", f.name, text, f.top())
	}
	return step, nil
}

// parseRange reads a range, which must ascend. Sunday begins a week as 0 and
// ends one as 7, however it is written.
func (f *cronField) parseRange(first, last string) (from, to int, err error) {
	if first == "" || last == "" {
		return 0, 0, fmt.Errorf("%s range %s-%s lacks an end; write it like %d-%d", f.name, first, last, f.min, f.max)
	}
	if from, err = f.parseValue(first); err != nil {
		return 0, 0, err
	}
	if to, err = f.parseValue(last); err != nil {
		return 0, 0, err
	}
	if f.isWeek() && from == 7 && to < 7 {
		from = 0
	}
	if f.isWeek() && to == 0 && from > 0 {
		to = 7
	}
	if from > to {
		return 0, 0, fmt.Errorf("%s range %s-%s runs backwards; write it as two: %s-%s,%s-%s",
			f.name, first, last, first, f.write(f.max, first), f.write(f.min, last), last)
	}
	return from, to, nil
}

func (f *cronField) parseValue(text string) (int, error) {
	if v, ok := f.named(text); ok {
		return v, nil
	}
	v, ok := parseNumber(text)
	if !ok {
		return 0, f.explain(text)
	}
	if v < f.min || v > f.top() {
		return 0, fmt.Errorf("%s %s is not in %s", f.name, text, f.values())
	}
	return v, nil
}

// write is a value as another one of the field is written: FRI-SAT, but 5-6.
func (f *cronField) write(v int, like string) string {
	if _, ok := f.named(like); ok {
		return f.names[v-f.min]
	}
	return strconv.Itoa(v)
}

// named is the value that has a name.
func (f *cronField) named(text string) (int, bool) {
	for i, name := range f.names {
		if strings.EqualFold(name, text) {
			return f.min + i, true
		}
	}
	return 0, false
}

// explain says why a text is not a value. The letters and signs that other cron
// dialects know are named, so that nobody looks for a typo.
func (f *cronField) explain(text string) error {
	if foreign, ok := f.foreign(text); ok {
		return fmt.Errorf("%s %q: %c is not accepted here; accepted are *, %s, ranges (1-5), steps (*/5), lists (1,5)%s",
			f.name, text, foreign, f.values(), f.also)
	}
	return fmt.Errorf("%s %q is not in %s", f.name, text, f.values())
}

// foreign finds a sign that has no meaning here in L, LW, 15W, 5L, FRIL, MON#2
// or ?.
func (f *cronField) foreign(text string) (rune, bool) {
	for _, r := range text {
		if strings.ContainsRune("#?*", r) {
			return r, true
		}
	}
	rest := strings.TrimLeft(strings.ToUpper(text), "0123456789")
	for _, name := range f.names {
		rest = strings.TrimPrefix(rest, name)
	}
	switch rest {
	case "L", "W", "LW":
		return rune(rest[0]), true
	}
	return 0, false
}

func (f *cronField) isWeek() bool { return f.name == dayOfWeekField.name }

// top is the largest number that may be written.
func (f *cronField) top() int {
	if f.isWeek() {
		return 7
	}
	return f.max
}

func (f *cronField) values() string {
	if len(f.names) == 0 {
		return fmt.Sprintf("%d–%d", f.min, f.top())
	}
	return fmt.Sprintf("%d–%d or %s–%s", f.min, f.top(), f.names[0], f.names[len(f.names)-1])
}

// parseNumber accepts digits only: no sign, no space.
func parseNumber(text string) (int, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		n = math.MaxInt // too large for any field
	}
	return n, true
}
