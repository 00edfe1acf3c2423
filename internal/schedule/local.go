package schedule

// walls is a set of wall times.
type walls interface {
	next(w int64) (int64, bool) // the first at or after w
	prev(w int64) (int64, bool) // the last at or before w
}

// localRule gives wall times their instants in a zone.
//
// A wall time's instants are those at which the clock shows it. Daylight saving
// repeats some: first keeps the first instant that shows the time, last the
// last one, neither keeps both. And it removes some: with runAfter a missing
// time falls on the first instant after its gap, else it has no instant. Times
// that land on one instant count once.
type localRule struct {
	walls       walls
	zone        *zone
	first, last bool
	runAfter    bool
}

// next walks the zone's periods from the one that holds an instant, and leaps
// over those that show no wall time of the rule.
func (r *localRule) next(from int64) (int64, bool) {
	z := r.zone
	for i := z.periodAt(from); i < len(z.periods); {
		p := &z.periods[i]
		lo := r.opens(p)
		if from > p.start {
			lo = max(lo, from+p.offset)
		}
		w, ok := r.walls.next(lo)
		if ok && w < r.closes(i) {
			return p.instant(w), true
		}
		i++
		// There is no wall time of the rule in [lo, w). Unless the clock falls
		// back behind lo, the next one cannot be shown before w is.
		if p.laterWall >= lo {
			if !ok {
				break
			}
			i = max(i, z.periodAt(w-maxOffset))
		}
	}
	return 0, false
}

// prev is next backwards.
func (r *localRule) prev(upTo int64) (int64, bool) {
	z := r.zone
	for i := z.periodAt(upTo); i >= 0; {
		p := &z.periods[i]
		hi := min(r.closes(i), upTo+p.offset+1)
		w, ok := r.walls.prev(hi - 1)
		if ok && w >= r.opens(p) {
			return p.instant(w), true
		}
		i--
		if p.earlierWall < hi {
			if !ok {
				break
			}
			i = min(i, z.periodAt(w+maxOffset))
		}
	}
	return 0, false
}

// opens is the first wall time that has its instant in a period. Those of a gap
// that ends with the period's start come before the first one it shows.
func (r *localRule) opens(p *period) int64 {
	shown, fresh := p.start+p.offset, p.earlierWall+1
	switch {
	case r.first && r.runAfter:
		return fresh
	case r.first:
		return max(fresh, shown)
	case r.runAfter:
		return min(fresh, shown)
	}
	return shown
}

// closes is the wall time before which those of a period end.
func (r *localRule) closes(i int) int64 {
	p := &r.zone.periods[i]
	end := r.zone.end(i) + p.offset
	if r.last {
		end = min(end, p.laterWall)
	}
	return end
}

// wallList is a set of single wall times, ascending.
type wallList []int64

func (l wallList) next(w int64) (int64, bool) { return firstFrom(l, w) }
func (l wallList) prev(w int64) (int64, bool) { return lastUpTo(l, w) }
