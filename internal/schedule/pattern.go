package schedule

import (
	"math/bits"
	"slices"
)

// pattern is a set of wall times: days, and seconds within them. Bit n of each
// set stands for the value n. How days are chosen is daySet's business.
type pattern struct {
	seconds  uint64
	minutes  uint64
	hours    uint32
	months   uint32
	days     daySet
	excluded dates
}

const (
	allHours = 1<<24 - 1
	// searchYears bounds every search. The rarest days a pattern can name (29
	// February on one weekday) come back after at most 40 years.
	searchYears = 41
)

// hourly tells a pattern that can fire in all hours of a day.
func (p *pattern) hourly() bool { return p.hours == allHours }

// next is the first wall time of the pattern at or after w.
func (p *pattern) next(w int64) (int64, bool) {
	day := floorDiv(w, secondsPerDay)
	m, dom := date(day)
	days := p.daysIn(m) >> dom << dom
	if days&(1<<dom) != 0 {
		if s, ok := p.timeFrom(int(w - day*secondsPerDay)); ok {
			return day*secondsPerDay + int64(s), true
		}
		days &^= 1 << dom
	}
	for end := p.excluded.lastYear(m.year) + searchYears; days == 0; days = p.daysIn(m) {
		if m = m.after(p.months); m.year > min(end, maxYear) {
			return 0, false
		}
	}
	return (m.first+int64(bits.TrailingZeros32(days))-1)*secondsPerDay + int64(p.firstTime()), true
}

// prev is the last wall time of the pattern at or before w.
func (p *pattern) prev(w int64) (int64, bool) {
	day := floorDiv(w, secondsPerDay)
	m, dom := date(day)
	days := p.daysIn(m) & (1<<(dom+1) - 1)
	if days&(1<<dom) != 0 {
		if s, ok := p.timeUpTo(int(w - day*secondsPerDay)); ok {
			return day*secondsPerDay + int64(s), true
		}
		days &^= 1 << dom
	}
	for end := p.excluded.firstYear(m.year) - searchYears; days == 0; days = p.daysIn(m) {
		if m = m.before(p.months); m.year < max(end, minYear) {
			return 0, false
		}
	}
	return (m.first+int64(bits.Len32(days))-2)*secondsPerDay + int64(p.lastTime()), true
}

// daysIn is the set of days of a month that match.
func (p *pattern) daysIn(m month) uint32 {
	if p.months&(1<<m.number) == 0 {
		return 0
	}
	days := p.days.in(m)
	if len(p.excluded) > 0 {
		days &^= p.excluded.in(m)
	}
	return days
}

// timeFrom is the first second of a day, at or after s, that matches.
func (p *pattern) timeFrom(s int) (int, bool) {
	hour, minute, second := s/3600, s/60%60, s%60
	if p.hours&(1<<hour) != 0 {
		if p.minutes&(1<<minute) != 0 {
			if seconds := p.seconds >> second << second; seconds != 0 {
				return hour*3600 + minute*60 + bits.TrailingZeros64(seconds), true
			}
		}
		if minutes := p.minutes >> (minute + 1) << (minute + 1); minutes != 0 {
			return hour*3600 + bits.TrailingZeros64(minutes)*60 + bits.TrailingZeros64(p.seconds), true
		}
	}
	hours := p.hours >> (hour + 1) << (hour + 1)
	if hours == 0 {
		return 0, false
	}
	return bits.TrailingZeros32(hours)*3600 + bits.TrailingZeros64(p.minutes)*60 + bits.TrailingZeros64(p.seconds), true
}

// timeUpTo is the last second of a day, at or before s, that matches.
func (p *pattern) timeUpTo(s int) (int, bool) {
	hour, minute, second := s/3600, s/60%60, s%60
	if p.hours&(1<<hour) != 0 {
		if p.minutes&(1<<minute) != 0 {
			if seconds := p.seconds & (1<<(second+1) - 1); seconds != 0 {
				return hour*3600 + minute*60 + bits.Len64(seconds) - 1, true
			}
		}
		if minutes := p.minutes & (1<<minute - 1); minutes != 0 {
			return hour*3600 + (bits.Len64(minutes)-1)*60 + bits.Len64(p.seconds) - 1, true
		}
	}
	hours := p.hours & (1<<hour - 1)
	if hours == 0 {
		return 0, false
	}
	return (bits.Len32(hours)-1)*3600 + (bits.Len64(p.minutes)-1)*60 + bits.Len64(p.seconds) - 1, true
}

func (p *pattern) firstTime() int {
	s, _ := p.timeFrom(0)
	return s
}

func (p *pattern) lastTime() int {
	s, _ := p.timeUpTo(secondsPerDay - 1)
	return s
}

// dates are day numbers, ascending: local dates without an occurrence.
type dates []int64

func (d dates) contains(day int64) bool {
	_, found := slices.BinarySearch(d, day)
	return found
}

// in is the set of a month's days among the dates.
func (d dates) in(m month) uint32 {
	var days uint32
	i, _ := slices.BinarySearch(d, m.first)
	for ; i < len(d) && d[i]-m.first < 31; i++ {
		days |= 1 << (d[i] - m.first + 1)
	}
	return days
}

// runEnd is the first day after a date, and those that follow it without a gap,
// that is not among the dates.
func (d dates) runEnd(day int64) int64 {
	i, _ := slices.BinarySearch(d, day)
	for ; i < len(d) && d[i] == day; i++ {
		day++
	}
	return day
}

// runBegin is the last day before a date, and those that lead up to it without
// a gap, that is not among the dates.
func (d dates) runBegin(day int64) int64 {
	i, _ := slices.BinarySearch(d, day)
	for ; i >= 0 && i < len(d) && d[i] == day; i-- {
		day--
	}
	return day
}

// lastYear and firstYear widen a search that begins in a year to where no date
// is in its way.
func (d dates) lastYear(year int) int {
	if len(d) == 0 {
		return year
	}
	m, _ := date(d[len(d)-1])
	return max(year, m.year)
}

func (d dates) firstYear(year int) int {
	if len(d) == 0 {
		return year
	}
	m, _ := date(d[0])
	return min(year, m.year)
}
