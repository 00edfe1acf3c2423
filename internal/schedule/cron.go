package schedule

import (
	"fmt"
	"strings"
)

// macros are the accepted shorthands. Each is exactly its expression.
var macros = map[string]string{
	"@hourly":   "0 * * * *",
	"@daily":    "0 0 * * *",
	"@midnight": "0 0 * * *",
	"@weekly":   "0 0 * * 0",
	"@monthly":  "0 0 1 * *",
	"@yearly":   "0 0 1 1 *",
	"@annually": "0 0 1 1 *",
}

// parseCron reads minute, hour, day-of-month, month and day-of-week, or a macro.
//
// Days follow Vixie cron: when neither day field begins with * a day matches by
// one or the other, else it must match both.
func parseCron(expression string) (*pattern, error) {
	refuse := func(format string, args ...any) (*pattern, error) {
		return nil, &Error{"cron", expression, fmt.Sprintf(format, args...)}
	}
	texts := strings.Fields(expression)
	if len(texts) > 0 && strings.HasPrefix(texts[0], "@") {
		macro, ok := macros[strings.ToLower(strings.Join(texts, " "))]
		switch {
		case strings.EqualFold(texts[0], "@every"):
			return refuse("write an interval as every, not as @every")
		case !ok:
			return refuse("is not a known shorthand; write @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually or 5 fields")
		}
		texts = strings.Fields(macro)
	}
	switch {
	case len(texts) > 0 && strings.Contains(texts[0], "="):
		return refuse("a zone is written as time_zone, not in the expression")
	case len(texts) != 5:
		return refuse("the number of fields is %d, not 5: minute hour day-of-month month day-of-week", len(texts))
	}

	var sets [5]uint64
	for i, field := range []cronField{minuteField, hourField, dayOfMonthField, monthField, dayOfWeekField} {
		set, err := field.parse(texts[i])
		if err != nil {
			return refuse("%v", err)
		}
		sets[i] = set
	}
	p := &pattern{
		minutes:     sets[0],
		hours:       uint32(sets[1]),
		daysOfMonth: uint32(sets[2]),
		months:      uint32(sets[3]),
		weekdays:    uint32(sets[4]),
		eitherDay:   !strings.HasPrefix(texts[2], "*") && !strings.HasPrefix(texts[4], "*"),
	}
	if _, ok := p.next(0); !ok {
		return refuse("never fires: no day-of-month %s in month %s", texts[2], texts[3])
	}
	return p, nil
}
