package schedule

import (
	"math/bits"
	"time"
)

// The shortest time between two occurrences is sought through the weekdays and
// leap years of one round of 28 years; in this century the next one is like it.
// A zone's offset changes are those of the same years.
const shortestFrom, shortestUntil = 2024, 2052

// shortest is the shortest time between two occurrences; false where there are
// no two. Excluded dates count as days like others. Where the answer is surely
// above enough it may be less than exact.
func (s *Schedule) shortest(enough time.Duration) (time.Duration, bool) {
	var seconds int64
	var ok bool
	switch r := s.rule.(type) {
	case *interval:
		return r.period, true
	case *points:
		seconds, ok = r.shortest()
	case *localRule:
		p := s.pattern()
		if seconds, ok = p.shortest(); ok {
			seconds = r.shortest(seconds, int64(enough/time.Second), p.hourly())
		}
	}
	return time.Duration(seconds) * time.Second, ok
}

func (r *points) shortest() (shortest int64, ok bool) {
	before, found := r.next(minUnix)
	for found {
		var u int64
		if u, found = r.next(before + 1); found {
			if !ok || u-before < shortest {
				shortest, ok = u-before, true
			}
			before = u
		}
	}
	return shortest, ok
}

// shortest of a pattern is that between two of its wall times: in one minute,
// one hour or one day, or from the last of a day to the first of another.
func (p *pattern) shortest() (int64, bool) {
	inMinute := span(p.seconds)
	inHour := 60*span(p.minutes) + inMinute
	shortest, ok := gap(p.seconds)
	for _, next := range []struct{ gap, unit, span int64 }{
		{gapOf(p.minutes), 60, inMinute},
		{gapOf(uint64(p.hours)), 3600, inHour},
		{p.dayGap(), secondsPerDay, int64(p.lastTime() - p.firstTime())},
	} {
		if d := next.gap*next.unit - next.span; next.gap > 0 && (!ok || d < shortest) {
			shortest, ok = d, true
		}
	}
	return shortest, ok
}

// gap is the least distance between two members of a set.
func gap(set uint64) (int64, bool) {
	for k := 1; k < 64; k++ {
		if set&(set>>k) != 0 {
			return int64(k), true
		}
	}
	return 0, false
}

// gapOf is gap with 0 for none.
func gapOf(set uint64) int64 {
	k, _ := gap(set)
	return k
}

// span is the distance between the least and the greatest member of a set.
func span(set uint64) int64 { return int64(bits.Len64(set) - 1 - bits.TrailingZeros64(set)) }

// dayGap is the least number of days from one matching day to another.
func (p *pattern) dayGap() int64 {
	var shortest, last int64
	note := func(days int64) {
		if shortest == 0 || days < shortest {
			shortest = days
		}
	}
	begin := monthOf(shortestFrom-1, 12)
	for m := begin.after(p.months); m.year < shortestUntil && shortest != 1; m = m.after(p.months) {
		days := p.days.in(m)
		if days == 0 {
			continue
		}
		if inMonth := gapOf(uint64(days)); inMonth > 0 {
			note(inMonth)
		}
		if last != 0 {
			note(m.first + int64(bits.TrailingZeros32(days)) - 1 - last)
		}
		last = m.first + int64(bits.Len32(days)) - 2
	}
	return shortest
}

// shortest of a local rule is that of its wall times, unless a change of the
// zone's offset brings two occurrences closer.
func (r *localRule) shortest(wall, enough int64, hourly bool) int64 {
	z := r.zone
	begin := z.periodAt(monthOf(shortestFrom, 1).first*secondsPerDay) + 1
	end := z.periodAt(monthOf(shortestUntil, 1).first*secondsPerDay) + 1
	switch largest, wholeHours := z.shifts(begin, end); {
	case hourly && wholeHours:
		return wall // it goes on at the same minutes of an hour
	case (r.first || r.last) && wall-largest > enough:
		return wall // where no time counts twice, no two come closer than by a shift
	}
	shortest := wall
	for i := begin; i < end; i++ {
		// The change lies between before and at; and at may stand for a missing
		// time, so the one after it counts too.
		before, found := r.prev(z.periods[i].start - 1)
		at, ok := r.next(z.periods[i].start)
		if !ok {
			break
		}
		if found {
			shortest = min(shortest, at-before)
		}
		if after, ok := r.next(at + 1); ok {
			shortest = min(shortest, after-at)
		}
	}
	return shortest
}

// shifts tells of the changes of offset that begin the periods [begin, end):
// the largest, and whether all are of whole hours.
func (z *zone) shifts(begin, end int) (largest int64, wholeHours bool) {
	wholeHours = true
	for i := begin; i < end; i++ {
		shift := z.periods[i].offset - z.periods[i-1].offset
		largest = max(largest, shift, -shift)
		wholeHours = wholeHours && shift%3600 == 0
	}
	return largest, wholeHours
}
