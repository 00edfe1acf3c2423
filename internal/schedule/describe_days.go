package schedule

import (
	"fmt"
	"math/bits"
	"slices"
	"time"
)

// describeDays says on which days the pattern is due; it begins with what parts
// it from the times.
func (p *pattern) describeDays() string {
	d := &p.days
	in, of := "", " of the month"
	if p.months != allMonths {
		months := p.describeMonths()
		in, of = " in "+months, " of "+months
	}
	switch byNumber, byWeekday := !d.anyNumber(), !d.anyWeekday(); {
	case !byNumber && !byWeekday, d.either && (!byNumber || !byWeekday):
		return in // every day
	case !byWeekday:
		return " on " + d.describeNumbers() + of + p.describeShortMonths()
	case byNumber && d.either:
		return " on " + d.describeNumbers() + of + p.describeShortMonths() + " or on " + d.describeWeekdays("and") + in
	case byNumber:
		return " on " + d.describeNumbers() + of + p.describeShortMonths() + " when it is " + d.describeWeekdays("or")
	case d.nth != [5]uint8{} || d.nthLast != [5]uint8{}:
		return " on " + d.describeWeekdays("and") + of
	}
	if week := weekdayRuns(d.weekdays); len(week) == 1 && bits.OnesCount8(d.weekdays) > 1 {
		return ", " + week[0] + in
	}
	return " on " + d.describeWeekdays("and") + in
}

func (p *pattern) describeMonths() string {
	return join(runs(members(uint64(p.months)), func(m int) string { return time.Month(m).String() }, " to "), "and")
}

// describeNumbers says which days of a month are meant by their place in it.
func (d *daySet) describeNumbers() string {
	var items []string
	if days := members(uint64(d.numbers)); len(days) == 1 {
		items = append(items, fmt.Sprintf("day %d", days[0]))
	} else if len(days) > 1 {
		items = append(items, "days "+numbers(days, "%d"))
	}
	for _, n := range members(uint64(d.nearest)) {
		items = append(items, "the weekday nearest the "+ordinal(n))
	}
	if d.lastWorkday {
		items = append(items, "the last weekday")
	}
	for _, n := range slices.Backward(members(uint64(d.fromEnd))) {
		if n == 1 {
			items = append(items, "the last day")
		} else {
			items = append(items, "the "+ordinal(n)+"-last day")
		}
	}
	return join(items, "and")
}

// describeShortMonths says what becomes of days that not all the months have.
// Of many days nobody asks.
func (p *pattern) describeShortMonths() string {
	const many = 5
	shortest := 31
	for _, month := range members(uint64(p.months)) {
		shortest = min(shortest, time.Date(2026, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day())
	}
	switch {
	case p.days.numbers>>(shortest+1) == 0:
		return ""
	case p.days.clamp:
		return " or the last day of a shorter one"
	case bits.OnesCount32(p.days.numbers) == 1:
		return " where it exists"
	case bits.OnesCount32(p.days.numbers) <= many:
		return " where they exist"
	}
	return ""
}

// describeWeekdays says which days of the week, or of the weeks of a month.
func (d *daySet) describeWeekdays(word string) string {
	items := weekdayRuns(d.weekdays)
	for i, name := range []string{"first", "second", "third", "fourth", "fifth"} {
		for _, weekday := range weekdayNames(d.nth[i]) {
			items = append(items, "the "+name+" "+weekday)
		}
	}
	for i, name := range []string{"last", "second-last", "third-last", "fourth-last", "fifth-last"} {
		for _, weekday := range weekdayNames(d.nthLast[i]) {
			items = append(items, "the "+name+" "+weekday)
		}
	}
	return join(items, word)
}

// weekdayRuns writes a set of weekdays, of which Sunday is the last.
func weekdayRuns(set uint8) []string {
	return runs(fromMonday(set), func(d int) string { return time.Weekday(d % 7).String() }, " to ")
}

func weekdayNames(set uint8) []string {
	var names []string
	for _, d := range fromMonday(set) {
		names = append(names, time.Weekday(d%7).String())
	}
	return names
}

// fromMonday are the weekdays of a set with 7 for Sunday, as a week is read.
func fromMonday(set uint8) []int { return members(uint64(set)&^1 | uint64(set)&1<<7) }

func ordinal(n int) string {
	suffix := "th"
	switch {
	case n/10 == 1:
	case n%10 == 1:
		suffix = "st"
	case n%10 == 2:
		suffix = "nd"
	case n%10 == 3:
		suffix = "rd"
	}
	return fmt.Sprint(n, suffix)
}
