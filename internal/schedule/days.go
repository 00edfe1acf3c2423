package schedule

import "math/bits"

// daySet chooses days of a month, by their number and by their weekday. Bit n
// of a set stands for the number n, or for the weekday n (Sunday is 0).
type daySet struct {
	numbers     uint32 // these days of the month
	fromEnd     uint32 // these days from its end; bit 1 is the last day
	nearest     uint32 // the weekdays (Monday to Friday) nearest to these days, in the same month
	lastWorkday bool   // its last weekday (Monday to Friday)
	clamp       bool   // a number that the month does not have is its last day

	weekdays uint8    // every one of these weekdays
	nth      [5]uint8 // nth[0]: these weekdays where they are the first of the month
	nthLast  [5]uint8 // nthLast[0]: these weekdays where they are the last of the month

	// either says that a day matches by its number or by its weekday;
	// otherwise both must match.
	either bool
}

const (
	allMonths   = 1<<13 - 2
	allDays     = 1<<32 - 2
	allWeekdays = 1<<7 - 1
	workdays    = 0b0111110
)

// anyNumber and anyWeekday tell what does not restrict the days.
func (d *daySet) anyNumber() bool  { return d.numbers == allDays }
func (d *daySet) anyWeekday() bool { return d.weekdays == allWeekdays }

// in gives the set of days of a month that match.
func (d *daySet) in(m month) uint32 {
	length := m.length()
	var days uint32
	if d.either {
		days = d.byNumber(m, length) | d.byWeekday(m, length)
	} else {
		days = d.byNumber(m, length) & d.byWeekday(m, length)
	}
	return days & monthMask(length)
}

// monthMask is the set of all days of a month.
func monthMask(length int) uint32 { return uint32(1<<(length+1) - 2) }

func (d *daySet) byNumber(m month, length int) uint32 {
	days := d.numbers
	if d.anyNumber() {
		return days
	}
	// Reversed, bit n is bit 31-n; the nth day from the end is length+1-n.
	days |= uint32(uint64(bits.Reverse32(d.fromEnd)) << 1 >> (31 - length))
	if d.clamp && d.numbers&^monthMask(length) != 0 {
		days |= 1 << length
	}
	if d.nearest != 0 || d.lastWorkday {
		wanted := d.nearest & monthMask(length)
		if d.lastWorkday {
			wanted |= 1 << length
		}
		days |= nearestWorkdays(wanted, m, length)
	}
	return days
}

// nearestWorkdays moves days that fall on a weekend: a Saturday to the Friday
// before, a Sunday to the Monday after, and where that is another month the
// other way.
func nearestWorkdays(days uint32, m month, length int) uint32 {
	first, last := uint32(1<<1), uint32(1)<<length
	saturdays := days & monthOfWeeks(1<<6, m.weekday(1))
	sundays := days & monthOfWeeks(1<<0, m.weekday(1))
	return days&^(saturdays|sundays) |
		saturdays&^first>>1 | saturdays&first<<2 |
		sundays&^last<<1 | sundays&last>>2
}

func (d *daySet) byWeekday(m month, length int) uint32 {
	if d.anyWeekday() {
		return allDays
	}
	days := monthOfWeeks(d.weekdays, m.weekday(1))
	for i, weekdays := range d.nth {
		if weekdays != 0 {
			days |= uint32(week(weekdays, m.weekday(1)) << (7*i + 1))
		}
	}
	for i, weekdays := range d.nthLast {
		if weekdays != 0 {
			begin := length - 7*(i+1) + 1 // of the seven days that can be the nth last; may lie before the 1st
			days |= uint32(week(weekdays, m.weekday(begin)) << (begin + 7) >> 7)
		}
	}
	return days
}

// week is a set of weekdays as one of days: bit 0 is a day of the weekday first.
func week(weekdays uint8, first int) uint64 {
	w := uint64(weekdays)
	return (w>>first | w<<(7-first)) & allWeekdays
}

// monthOfWeeks repeats a week from the 1st on.
func monthOfWeeks(weekdays uint8, first int) uint32 {
	return uint32(week(weekdays, first) * (1 | 1<<7 | 1<<14 | 1<<21 | 1<<28) << 1)
}
