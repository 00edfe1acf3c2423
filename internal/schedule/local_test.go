package schedule

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Around every kind of transition of every zone, each second is judged by
// itself: which instants show a wall time is found by asking all periods.
func TestLocalRulesAgreeWithASecondBySecondJudgement(t *testing.T) {
	const around = 5 * 3600
	zones := allZones(t)
	rapid.Check(t, func(rt *rapid.T) {
		z := rapid.SampledFrom(zones).Draw(rt, "zone")
		i := rapid.IntRange(0, len(z.periods)-1).Draw(rt, "period")
		center := max(z.periods[i].start, minUnix+3*secondsPerDay)
		rule := drawLocalRule(rt, z)
		from, to := center-around, center+around

		want := rule.judge(from, to)

		var got []int64
		for u, ok := rule.next(from); ok && u <= to; u, ok = rule.next(u + 1) {
			got = append(got, u)
		}
		if !slices.Equal(got, want) {
			rt.Fatalf("%s around %d: got %v, want %v", z.location, center, got, want)
		}
		got = nil
		for u, ok := rule.prev(to); ok && u >= from; u, ok = rule.prev(u - 1) {
			got = append(got, u)
		}
		slices.Reverse(got)
		if !slices.Equal(got, want) {
			rt.Fatalf("%s around %d, backwards: got %v, want %v", z.location, center, got, want)
		}
	})
}

func drawLocalRule(rt *rapid.T, z *zone) *localRule {
	r := &localRule{zone: z, runAfter: rapid.Bool().Draw(rt, "run after")}
	r.first = rapid.Bool().Draw(rt, "first")
	r.last = !r.first && rapid.Bool().Draw(rt, "last")
	r.walls = &pattern{
		seconds: rapid.SampledFrom([]uint64{1, 1 << 59, 1<<60 - 1}).Draw(rt, "seconds"),
		minutes: rapid.SampledFrom([]uint64{1, 1 << 30, 1<<60 - 1}).Draw(rt, "minutes"),
		hours:   rapid.SampledFrom([]uint32{allHours, 1, 1 << 23, 1<<1 | 1<<2, 0x555555}).Draw(rt, "hours"),
		months:  allMonths,
		days:    daySet{numbers: allDays, weekdays: rapid.SampledFrom([]uint8{allWeekdays, 1, 1 << 6}).Draw(rt, "weekdays")},
	}
	return r
}

// judge gives the occurrences in [from, to].
func (r *localRule) judge(from, to int64) []int64 {
	z, p := r.zone, r.walls.(*pattern)
	var due []int64
	for u := from; u <= to; u++ {
		w := z.wall(u)
		if !matches(p, w) {
			continue
		}
		shown := z.showings(w)
		if r.first && u != shown[0] || r.last && u != shown[len(shown)-1] {
			continue
		}
		due = append(due, u)
	}
	for i := 1; i < len(z.periods) && r.runAfter; i++ {
		start := z.periods[i].start
		if start < from || start > to {
			continue
		}
		for w := start + z.periods[i-1].offset; w < start+z.periods[i].offset; w++ {
			if matches(p, w) && len(z.showings(w)) == 0 {
				due = append(due, start)
				break
			}
		}
	}
	slices.Sort(due)
	return slices.Compact(due)
}

func matches(p *pattern, w int64) bool {
	found, ok := p.next(w)
	return ok && found == w
}

// showings are the instants that show a wall time, ascending.
func (z *zone) showings(w int64) []int64 {
	var shown []int64
	for i := z.periodAt(w - maxOffset); i < len(z.periods) && z.periods[i].start <= w+maxOffset; i++ {
		if u := w - z.periods[i].offset; u >= z.periods[i].start && u < z.end(i) {
			shown = append(shown, u)
		}
	}
	return shown
}
