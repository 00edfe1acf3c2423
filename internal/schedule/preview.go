package schedule

import (
	"fmt"
	"math/bits"
	"slices"
	"time"
)

// Note says why an occurrence is not simply what the rule says.
type Note string

// The notes.
const (
	InGap    Note = "in_gap"   // its wall time does not exist that day; it is due at the first instant after
	Repeated Note = "repeated" // its wall time is shown twice that day
	Moved    Note = "moved"    // on_short_month or W moved its day
)

// Occurrence is one instant of a rule, with what people want to know of it.
type Occurrence struct {
	At      time.Time // in UTC
	Local   time.Time // the same instant in the rule's zone
	Nominal string    // the wall time that the rule means, "2026-03-08T02:30:00"
	Note    Note
	Text    string // the note in words; empty without one
}

// Preview lists the first occurrences after an instant.
func (s *Schedule) Preview(after time.Time, count int) []Occurrence {
	var list []Occurrence
	for len(list) < count {
		at, ok := s.Next(after)
		if !ok {
			break
		}
		list = append(list, s.explain(at))
		after = at
	}
	return list
}

func (s *Schedule) explain(at time.Time) Occurrence {
	p := &s.zone.periods[s.zone.periodAt(at.Unix())]
	shown := at.Unix() + p.offset
	o := Occurrence{At: at, Local: at.In(s.Location()), Nominal: wallText(shown)}
	r := s.local()
	if r == nil || s.isInstant(at.Unix()) {
		return o
	}
	if w, ok := r.walls.next(shown); !ok || w != shown {
		missing, _ := r.walls.next(p.earlierWall + 1)
		o.Nominal, o.Note = wallText(missing), InGap
		o.Text = fmt.Sprintf("%s does not exist on %s; due at the first instant after the gap, %s", timeText(missing), dateText(missing), timeText(shown))
		if dateText(shown) != dateText(missing) {
			o.Text += " on " + dateText(shown)
		}
		return o
	}
	switch {
	case shown <= p.earlierWall:
		o.Note, o.Text = Repeated, timeText(shown)+" is shown twice on "+dateText(shown)+"; due the second time"
	case shown >= p.laterWall:
		o.Note, o.Text = Repeated, timeText(shown)+" is shown twice on "+dateText(shown)+"; due the first time"
	default:
		if text := s.pattern().moved(shown); text != "" {
			o.Note, o.Text = Moved, text
		}
	}
	return o
}

// isInstant tells whether an occurrence is written as an instant, which no
// clock has a say in.
func (s *Schedule) isInstant(u int64) bool {
	r, ok := s.rule.(*points)
	if !ok {
		return false
	}
	_, found := slices.BinarySearch(r.instants, u)
	return found
}

// moved says from where the day of a wall time was moved; empty where it was
// not.
func (p *pattern) moved(w int64) string {
	if p == nil {
		return ""
	}
	m, day := date(floorDiv(w, secondsPerDay))
	switch from := p.days.movedFrom(m, day); {
	case from == 0:
		return ""
	case from > m.length():
		return fmt.Sprintf("%s %d has no day %d; its last day stands in", time.Month(m.number), m.year, from)
	default:
		return fmt.Sprintf("%s is a %s; moved to the nearest weekday", dateText((m.first+int64(from)-1)*secondsPerDay), time.Weekday(m.weekday(from)))
	}
}

// movedFrom is the day that is moved to another one of its month, by clamp or
// nearest; 0 where that one matches by itself.
func (d *daySet) movedFrom(m month, day int) int {
	length := m.length()
	unmoved := *d
	unmoved.clamp = false
	unmoved.nearest &= monthOfWeeks(workdays, m.weekday(1))
	if unmoved.in(m)&(1<<day) != 0 {
		return 0
	}
	for nearest := d.nearest & monthMask(length); nearest != 0; nearest &= nearest - 1 {
		from := nearest & -nearest
		if nearestWorkdays(from, m, length) == 1<<day {
			return bits.TrailingZeros32(from)
		}
	}
	return bits.TrailingZeros32(d.numbers &^ monthMask(length))
}

func wallText(w int64) string { return time.Unix(w, 0).UTC().Format("2006-01-02T15:04:05") }
func dateText(w int64) string { return time.Unix(w, 0).UTC().Format(time.DateOnly) }

// timeText leaves out seconds that are none.
func timeText(w int64) string {
	if floorMod(w, 60) == 0 {
		return time.Unix(w, 0).UTC().Format("15:04")
	}
	return time.Unix(w, 0).UTC().Format(time.TimeOnly)
}
