package schedule

import (
	"fmt"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// calendar reads a calendar in words into the pattern it stands for. Months,
// days of the month and weekdays all restrict the days: unlike in cron a day
// must match every one that is set.
func (p *parser) calendar(c api.Calendar) *pattern {
	days := &pattern{
		seconds:  1,
		minutes:  1,
		hours:    uint32(p.numbers("/calendar/hours", c.Hours, 23)),
		months:   allMonths,
		days:     daySet{numbers: allDays, weekdays: allWeekdays},
		excluded: p.excluded,
	}
	if len(c.Hours) == 0 {
		p.refuseField("/calendar/hours", "is required: the hours of the day to fire in, 0–23")
	}
	if len(c.Minutes) > 0 {
		days.minutes = p.numbers("/calendar/minutes", c.Minutes, 59)
	}
	if len(c.Months) > 0 {
		days.months = p.months(c.Months)
	}
	if len(c.DaysOfMonth) > 0 {
		p.daysOfMonth(c.DaysOfMonth, &days.days)
	}
	if len(c.Weekdays) > 0 {
		p.weekdays(c.Weekdays, &days.days)
	}
	p.onShortMonth(c, &days.days)
	return days
}

// numbers reads a list of numbers from 0 on.
func (p *parser) numbers(pointer string, list []int64, top int64) uint64 {
	var set uint64
	for i, n := range list {
		if n < 0 || n > top {
			p.refuse(fmt.Sprintf("%s/%d", pointer, i), fmt.Sprint(n), "is not in 0–%d", top)
			continue
		}
		set |= 1 << n
	}
	return set
}

func (p *parser) months(list []string) uint32 {
	var set uint32
	for i, written := range list {
		n, err := monthField.parseValue(written)
		if err != nil {
			p.refuse(fmt.Sprintf("/calendar/months/%d", i), written, "is not a month; write jan to dec, or 1 to 12")
			continue
		}
		set |= 1 << n
	}
	return set
}

func (p *parser) daysOfMonth(list []int64, to *daySet) {
	to.numbers = 0
	for i, n := range list {
		switch {
		case n >= 1 && n <= 31:
			to.numbers |= 1 << n
		case n <= -1 && n >= -28:
			to.fromEnd |= 1 << -n
		default:
			p.refuse(fmt.Sprintf("/calendar/days_of_month/%d", i), fmt.Sprint(n), "is not a day of a month; write 1 to 31, or -1 (the last day) to -28")
		}
	}
}

func (p *parser) weekdays(list []string, to *daySet) {
	to.weekdays = 0
	for i, written := range list {
		if set := to.counted(written); set != nil {
			name, _, _ := strings.Cut(written, "#")
			if weekday, ok := dayOfWeekField.named(name); ok {
				*set |= 1 << weekday
				continue
			}
		}
		p.refuse(fmt.Sprintf("/calendar/weekdays/%d", i), written, "is not a weekday; write sun to sat, mon#2 for the second Monday of the month (up to #5), or fri#-1 for its last Friday (up to #-5)")
	}
}

// counted is the set that a weekday is for: every one, the second or the last
// of the month; nil where its count is not one.
func (d *daySet) counted(written string) *uint8 {
	_, count, counted := strings.Cut(written, "#")
	if !counted {
		return &d.weekdays
	}
	back, fromEnd := strings.CutPrefix(count, "-")
	n, ok := parseNumber(back)
	switch {
	case !ok || n < 1 || n > len(d.nth):
		return nil
	case fromEnd:
		return &d.nthLast[n-1]
	}
	return &d.nth[n-1]
}

// onShortMonth reads what a day above 28 is in a month without it. There is no
// default: both answers surprise somebody.
func (p *parser) onShortMonth(c api.Calendar, to *daySet) {
	const pointer = "/calendar/on_short_month"
	above := int64(0)
	for _, n := range c.DaysOfMonth {
		if n > 28 && n <= 31 {
			above = max(above, n)
		}
	}
	switch {
	case above > 0 && c.OnShortMonth == "":
		p.refuseField(pointer, "is required, since not every month has a day %d: %q (its last day stands in) or %q (no occurrence in that month)",
			above, api.ShortMonthLastDay, api.ShortMonthSkip)
	case above == 0 && c.OnShortMonth != "":
		p.refuse(pointer, c.OnShortMonth, "goes with a day above 28 in days_of_month only; remove it")
	default:
		p.word(pointer, c.OnShortMonth, api.ShortMonthLastDay, api.ShortMonthSkip)
	}
	to.clamp = c.OnShortMonth == api.ShortMonthLastDay
}
