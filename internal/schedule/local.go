package schedule

// localRule gives the wall times of a pattern their instants in a zone.
//
// A pattern that can fire in all 24 hours of a day is hourly: it fires at every
// instant whose wall time matches, so in both passes of a repeated hour, and not
// at all for wall times that a gap skips.
//
// Any other pattern is fixed: each wall time has one instant, the first at which
// the wall clock shows that time or a later one. That is the first of two for a
// repeated wall time and the end of the gap for a missing one. The map never
// decreases, so wall times that fall on one instant are neighbours and count
// once. (It would be wrong for a gap that the clock falls back into; no zone has
// one, and a test over all of them says so.)
type localRule struct {
	pattern *pattern
	zone    *zone
	hourly  bool
}

func newLocalRule(p *pattern, z *zone) localRule {
	return localRule{pattern: p, zone: z, hourly: p.hours == allHours}
}

func (r localRule) next(from int64) (int64, bool) {
	if r.hourly {
		return r.nextMatch(from)
	}
	// The occurrences at or after from are those of the wall times that the
	// clock has not shown or passed before.
	w, ok := r.pattern.next(r.zone.latestWall(from-1) + 1)
	if !ok {
		return 0, false
	}
	return r.zone.firstAtOrPast(w)
}

func (r localRule) prev(upTo int64) (int64, bool) {
	if r.hourly {
		return r.prevMatch(upTo)
	}
	w, ok := r.pattern.prev(r.zone.latestWall(upTo))
	if !ok {
		return 0, false
	}
	return r.zone.firstAtOrPast(w)
}

// nextMatch is the first instant at or after from whose wall time matches.
func (r localRule) nextMatch(from int64) (int64, bool) {
	for i := r.zone.periodAt(from); i < len(r.zone.periods); i++ {
		p := r.zone.periods[i]
		w, ok := r.pattern.next(max(from, p.start) + p.offset)
		if !ok {
			return 0, false
		}
		if u := w - p.offset; u < r.zone.end(i) {
			return u, true
		}
	}
	return 0, false
}

// prevMatch is the last instant at or before upTo whose wall time matches.
func (r localRule) prevMatch(upTo int64) (int64, bool) {
	for i := r.zone.periodAt(upTo); i >= 0; i-- {
		p := r.zone.periods[i]
		w, ok := r.pattern.prev(min(upTo, r.zone.end(i)-1) + p.offset)
		if !ok {
			return 0, false
		}
		if u := w - p.offset; u >= p.start {
			return u, true
		}
	}
	return 0, false
}
