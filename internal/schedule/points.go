package schedule

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// points is the rule of `at`: single date-times.
type points struct {
	local    *localRule // those written as local date-times; nil without any
	instants []int64    // those written as instants, ascending
}

func (r *points) next(from int64) (int64, bool) {
	u, ok := firstFrom(r.instants, from)
	if r.local != nil {
		if l, found := r.local.next(from); found && (!ok || l < u) {
			return l, true
		}
	}
	return u, ok
}

func (r *points) prev(upTo int64) (int64, bool) {
	u, ok := lastUpTo(r.instants, upTo)
	if r.local != nil {
		if l, found := r.local.prev(upTo); found && (!ok || l > u) {
			return l, true
		}
	}
	return u, ok
}

// points reads `at`. Excluded dates are left out here: of an instant it is the
// local date that counts.
func (p *parser) points() *points {
	r := &points{}
	var locals wallList
	for i, written := range p.declared.At {
		m, err := parseMoment(written)
		switch {
		case err != nil:
			p.refuse(fmt.Sprintf("/at/%d", i), written, "%v", err)
		case m.local && !p.excluded.contains(floorDiv(m.seconds, secondsPerDay)):
			locals = append(locals, m.seconds)
		case !m.local && !p.excluded.contains(floorDiv(p.zone.wall(m.seconds), secondsPerDay)):
			r.instants = append(r.instants, m.seconds)
		}
	}
	slices.Sort(locals)
	slices.Sort(r.instants)
	if len(locals) > 0 {
		r.local = p.localRule(locals, false)
	}
	return r
}

// moment is a date-time as people write it: an instant, or what a clock shows.
type moment struct {
	seconds int64 // Unix seconds, or a wall time
	local   bool
}

// in is the moment's instant in a zone: for a repeated wall time the first one,
// for a missing one the end of its gap.
func (m moment) in(z *zone) int64 {
	if m.local {
		return z.firstAtOrPast(m.seconds)
	}
	return m.seconds
}

var (
	errNotWritten = errors.New("is not a date-time; write it like 2026-12-24T18:00, in time_zone, or with an offset like 2026-12-24T18:00:00+01:00")
	errFraction   = errors.New("has a fraction of a second; write whole seconds")
	errYear       = errors.New("is not in the years 1–2399")
)

func parseMoment(written string) (moment, error) {
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if len(written) != len(layout) {
			continue
		}
		t, err := time.Parse(layout, written)
		if err != nil {
			return moment{}, errNotWritten
		}
		seconds, err := withinCalendar(t)
		return moment{seconds, true}, err
	}
	seconds, err := parseInstant(written)
	return moment{seconds, false}, err
}

// parseInstant reads RFC 3339, which the time package takes literally only when
// it unmarshals.
func parseInstant(written string) (int64, error) {
	var t time.Time
	if err := t.UnmarshalText([]byte(written)); err != nil {
		return 0, errNotWritten
	}
	return withinCalendar(t)
}

func withinCalendar(t time.Time) (int64, error) {
	switch u := t.Unix(); {
	case t.Nanosecond() != 0:
		return 0, errFraction
	case u < minUnix || u >= endUnix:
		return 0, errYear
	default:
		return u, nil
	}
}

func firstFrom(ascending []int64, from int64) (int64, bool) {
	i, _ := slices.BinarySearch(ascending, from)
	if i == len(ascending) {
		return 0, false
	}
	return ascending[i], true
}

func lastUpTo(ascending []int64, upTo int64) (int64, bool) {
	i, found := slices.BinarySearch(ascending, upTo)
	switch {
	case found:
		return upTo, true
	case i == 0:
		return 0, false
	}
	return ascending[i-1], true
}
