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

// cron reads an expression into the pattern it stands for.
//
// Days follow Vixie cron: when neither day field begins with * (or ?) a day
// matches by one or the other, else it must match both.
func (p *parser) cron(expression string) *pattern {
	days, err := parseCron(expression)
	if err != nil {
		p.refuse("/cron", expression, "%v", err)
		return &pattern{}
	}
	days.excluded = p.excluded
	return days
}

func parseCron(expression string) (*pattern, error) {
	texts, err := cronFields(expression)
	if err != nil {
		return nil, err
	}
	p := &pattern{seconds: 1}
	if len(texts) == 6 {
		if p.seconds, err = secondField.parse(texts[0]); err != nil {
			return nil, err
		}
		texts = texts[1:]
	}
	if p.minutes, err = minuteField.parse(texts[0]); err != nil {
		return nil, err
	}
	hours, err := hourField.parse(texts[1])
	if err != nil {
		return nil, err
	}
	if err := p.days.parseNumbers(texts[2]); err != nil {
		return nil, err
	}
	months, err := monthField.parse(texts[3])
	if err != nil {
		return nil, err
	}
	if err := p.days.parseWeekdays(texts[4]); err != nil {
		return nil, err
	}
	p.hours, p.months = uint32(hours), uint32(months)
	p.days.either = restricts(texts[2]) && restricts(texts[4])
	return p, nil
}

// restricts tells whether a day field is a restriction to Vixie cron.
func restricts(text string) bool { return text[0] != '*' && text[0] != '?' }

// cronFields splits an expression, or the one a shorthand stands for, into its
// five fields, or six with the seconds.
func cronFields(expression string) ([]string, error) {
	texts := strings.Fields(expression)
	if len(texts) > 0 && strings.HasPrefix(texts[0], "@") {
		macro, ok := macros[strings.ToLower(strings.Join(texts, " "))]
		switch {
		case strings.EqualFold(texts[0], "@every"):
			return nil, fmt.Errorf("write an interval as every, not as @every")
		case !ok:
			return nil, fmt.Errorf("is not a known shorthand; write @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually or 5 fields")
		}
		texts = strings.Fields(macro)
	}
	switch {
	case len(texts) > 0 && strings.Contains(texts[0], "="):
		return nil, fmt.Errorf("a zone is written as time_zone, not in the expression")
	case len(texts) != 5 && len(texts) != 6:
		return nil, fmt.Errorf("the number of fields is %d, not 5: minute hour day-of-month month day-of-week, or 6 with second first", len(texts))
	}
	return texts, nil
}

// cronNever says why an expression never fires: it can only be its days.
func cronNever(expression string) string {
	texts, err := cronFields(expression)
	if err != nil {
		return err.Error()
	}
	texts = texts[len(texts)-5:]
	text := fmt.Sprintf("no day-of-month %s in month %s", texts[2], texts[3])
	if restricts(texts[4]) {
		text += " is day-of-week " + texts[4]
	}
	return text
}
