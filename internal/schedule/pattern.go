package schedule

import (
	"math/bits"
	"time"
)

// pattern is a set of wall times: calendar days, and minutes within them. Bit n
// of each set stands for the value n.
//
// Wall times are seconds since 1970-01-01T00:00:00 as if the wall clock ran in
// UTC, so that finding them is plain arithmetic. To accept more kinds of days,
// widen daysIn; nothing else here knows how days are chosen.
type pattern struct {
	minutes     uint64
	hours       uint32
	daysOfMonth uint32
	months      uint32
	weekdays    uint32 // Sunday is 0
	// eitherDay says that a day matches by its number or by its weekday;
	// otherwise both must match.
	eitherDay bool
}

const (
	secondsPerDay = 24 * 60 * 60
	allHours      = 1<<24 - 1
	// searchMonths bounds every search. The rarest days a pattern can name (29
	// February on one weekday) come back after at most 40 years.
	searchMonths = 41 * 12
)

// next is the first wall time of the pattern at or after w.
func (p *pattern) next(w int64) (int64, bool) {
	day := floorDiv(w, secondsPerDay)
	year, month, dom := date(day)
	first := day - int64(dom) + 1 // of the month
	days := p.daysIn(year, month) >> dom << dom
	if days&(1<<dom) != 0 {
		if s, ok := p.timeFrom(w - day*secondsPerDay); ok {
			return day*secondsPerDay + s, true
		}
		days &^= 1 << dom
	}
	for range searchMonths {
		if days != 0 {
			s, _ := p.timeFrom(0)
			return (first+int64(bits.TrailingZeros32(days))-1)*secondsPerDay + s, true
		}
		month++
		if month > time.December {
			year, month = year+1, time.January
		}
		if days = p.daysIn(year, month); days != 0 {
			first = dayNumber(year, month, 1)
		}
	}
	return 0, false
}

// prev is the last wall time of the pattern at or before w.
func (p *pattern) prev(w int64) (int64, bool) {
	day := floorDiv(w, secondsPerDay)
	year, month, dom := date(day)
	first := day - int64(dom) + 1
	days := p.daysIn(year, month) & (1<<(dom+1) - 1)
	if days&(1<<dom) != 0 {
		if s, ok := p.timeUpTo(w - day*secondsPerDay); ok {
			return day*secondsPerDay + s, true
		}
		days &^= 1 << dom
	}
	for range searchMonths {
		if days != 0 {
			s, _ := p.timeUpTo(secondsPerDay - 1)
			return (first+int64(bits.Len32(days))-2)*secondsPerDay + s, true
		}
		month--
		if month < time.January {
			year, month = year-1, time.December
		}
		if days = p.daysIn(year, month); days != 0 {
			first = dayNumber(year, month, 1)
		}
	}
	return 0, false
}

// daysIn is the set of days of one month that match.
func (p *pattern) daysIn(year int, month time.Month) uint32 {
	if p.months&(1<<month) == 0 {
		return 0
	}
	first := dayNumber(year, month, 1)
	length := dayNumber(year, month+1, 1) - first
	firstWeekday := floorMod(first+int64(time.Thursday), 7) // day 0 was a Thursday
	// Rotate the week so that bit 0 is the weekday of the 1st, then repeat it.
	week := uint64(p.weekdays)
	week = (week>>firstWeekday | week<<(7-firstWeekday)) & (1<<7 - 1)
	byWeekday := uint32(week * (1 | 1<<7 | 1<<14 | 1<<21 | 1<<28) << 1)

	days := p.daysOfMonth & byWeekday
	if p.eitherDay {
		days = p.daysOfMonth | byWeekday
	}
	return days & (1<<(length+1) - 2)
}

// timeFrom is the first second of a day, at or after s, that matches.
func (p *pattern) timeFrom(s int64) (int64, bool) {
	minuteOfDay := (s + 59) / 60
	hour := minuteOfDay / 60
	if p.hours&(1<<hour) != 0 {
		if minutes := p.minutes >> (minuteOfDay % 60) << (minuteOfDay % 60); minutes != 0 {
			return hour*3600 + int64(bits.TrailingZeros64(minutes))*60, true
		}
	}
	hours := p.hours >> (hour + 1) << (hour + 1)
	if hours == 0 {
		return 0, false
	}
	return int64(bits.TrailingZeros32(hours))*3600 + int64(bits.TrailingZeros64(p.minutes))*60, true
}

// timeUpTo is the last second of a day, at or before s, that matches.
func (p *pattern) timeUpTo(s int64) (int64, bool) {
	hour, minute := s/3600, s/60%60
	if p.hours&(1<<hour) != 0 {
		if minutes := p.minutes & (1<<(minute+1) - 1); minutes != 0 {
			return hour*3600 + int64(bits.Len64(minutes)-1)*60, true
		}
	}
	hours := p.hours & (1<<hour - 1)
	if hours == 0 {
		return 0, false
	}
	return int64(bits.Len32(hours)-1)*3600 + int64(bits.Len64(p.minutes)-1)*60, true
}

// dayNumber counts days from 1970-01-01. A month of 13 is next year's January.
func dayNumber(year int, month time.Month, day int) int64 {
	return floorDiv(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix(), secondsPerDay)
}

func date(dayNumber int64) (int, time.Month, int) {
	return time.Unix(dayNumber*secondsPerDay, 0).UTC().Date()
}

func floorDiv(a, b int64) int64 { return (a - floorMod(a, b)) / b }

func floorMod(a, b int64) int64 { return (a%b + b) % b }
