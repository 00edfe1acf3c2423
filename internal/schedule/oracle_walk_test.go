package schedule_test

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

// oracle is a set of rules that are judged together: bit i of a mask is rule i.
//
// It knows the package by its answers only. It walks through instants one by
// one, reads each off the calendar and the clock of a zone, and applies the text
// of the contract to what it reads:
//
//   - an instant whose wall time matches is an occurrence; of a wall time that is
//     shown twice the first instant, the last or both, as `repeated` says;
//   - where a rule cannot fire in all 24 hours of a day, a missing wall time that
//     matches is due at the first instant after its gap, unless it is skipped;
//   - occurrences that land on one instant are one;
//   - days are judged on the date of the wall time, missing or not.
type oracle struct {
	rules  []rule
	step   time.Duration
	times  []uint64     // masks by steps since midnight
	dates  []uint64     // masks by days since firstDate
	hourly []bool       // by rule: can fire in all 24 hours
	dst    [][]*api.DST // by rule: the choices to compare

	excluded []string // dates, whose masks are empty
}

var firstDate = time.Date(firstYear-1, 12, 1, 0, 0, 0, 0, time.UTC)

func newOracle(rules []rule, step time.Duration) *oracle {
	o := &oracle{rules: rules, step: step}
	for at := time.Duration(0); at < 24*time.Hour; at += step {
		c := clock{int(at.Hours()), int(at.Minutes()) % 60, int(at.Seconds()) % 60}
		o.times = append(o.times, o.mask(func(r rule) bool { return r.time(c) }))
	}
	for day := firstDate; day.Year() <= lastYear+1; day = day.AddDate(0, 0, 1) {
		d := date{day.Year(), day.Month(), day.Day(), day.Weekday()}
		o.dates = append(o.dates, o.mask(func(r rule) bool { return r.day(d) }))
	}
	for i := range rules {
		hourly := o.firesInAllHours(i)
		o.hourly, o.dst = append(o.hourly, hourly), append(o.dst, dstChoices(hourly))
	}
	return o
}

// without is the oracle of the same rules, some dates excluded.
func (o *oracle) without(days ...time.Time) *oracle {
	less := *o
	less.dates, less.excluded = slices.Clone(o.dates), nil
	for _, day := range days {
		if text := day.Format(time.DateOnly); !slices.Contains(less.excluded, text) {
			less.excluded = append(less.excluded, text)
		}
		less.dates[dayNumber(day.Date())] = 0
	}
	return &less
}

// dayNumber counts days since firstDate.
func dayNumber(year int, month time.Month, day int) int {
	return int(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Sub(firstDate) / (24 * time.Hour))
}

func (o *oracle) mask(matches func(rule) bool) uint64 {
	var mask uint64
	for i, r := range o.rules {
		if matches(r) {
			mask |= 1 << i
		}
	}
	return mask
}

func (o *oracle) firesInAllHours(rule int) bool {
	for hour := range slices.Chunk(o.times, len(o.times)/24) {
		if !slices.ContainsFunc(hour, func(mask uint64) bool { return mask>>rule&1 != 0 }) {
			return false
		}
	}
	return true
}

// dstChoices are the words a user can choose where they can matter, first none:
// what is missing never moves the times of an hourly rule.
func dstChoices(hourly bool) []*api.DST {
	choices := []*api.DST{nil, {Missing: "run_after", Repeated: "auto"}, {Repeated: "first"}, {Repeated: "last"}, {Repeated: "both"}}
	if !hourly {
		choices = append(choices, &api.DST{Missing: "skip"}, &api.DST{Missing: "skip", Repeated: "last"}, &api.DST{Missing: "skip", Repeated: "both"})
	}
	return choices
}

func (o *oracle) choices() int {
	n := 0
	for _, choices := range o.dst {
		n += len(choices)
	}
	return n
}

// rulesAt are the rules that match a wall time.
func (o *oracle) rulesAt(wall int) uint64 {
	return o.dates[wall/len(o.times)] & o.times[wall%len(o.times)]
}

// reading is one step of the walk. Its wall time is in steps since firstDate.
type reading struct {
	unix int64
	wall int
}

// candidate is an instant at which a rule may be due.
type candidate struct {
	unix  int64
	sight sight
}

// sight is what becomes of a wall time on the clock. (No zone shows one three
// times.)
type sight uint8

const (
	shownOnce sight = iota
	shownFirst
	shownLast
	missing // its instant is the first one after the gap
)

// comparison puts the rules of an oracle to the package in one zone.
type comparison struct {
	t          *testing.T
	oracle     *oracle
	zone       *time.Location
	schedules  [][]*schedule.Schedule // by rule and choice of dst
	readings   []reading
	candidates [][]candidate // by rule
	tally      tally
}

func newComparison(t *testing.T, o *oracle, zone string) *comparison {
	t.Helper()
	location, err := schedule.LoadZone(zone)
	if err != nil {
		t.Fatal(err)
	}
	c := &comparison{t: t, oracle: o, zone: location, candidates: make([][]candidate, len(o.rules))}
	for i := range o.rules {
		var schedules []*schedule.Schedule
		for _, dst := range o.dst[i] {
			s, err := schedule.Parse(c.written(i, dst))
			if err != nil {
				t.Fatalf("%s: %v", text(c.written(i, dst)), err)
			}
			schedules = append(schedules, s)
		}
		c.schedules = append(c.schedules, schedules)
	}
	return c
}

func (c *comparison) written(rule int, dst *api.DST) api.Schedule {
	written := c.oracle.rules[rule].written
	written.TimeZone, written.DST, written.ExcludeDates = c.zone.String(), dst, c.oracle.excluded
	return written
}

// window is the time after an instant, until another.
type window struct{ after, until time.Time }

// nothing is the window of what is not compared.
var nothing window

func around(at time.Time, distance time.Duration) window {
	return window{at.Add(-distance), at.Add(distance)}
}

// compare holds the package to the oracle's occurrences in a window, and in a
// part of it with each explicit choice of dst.
func (c *comparison) compare(all, explicit window) {
	c.walk(all)
	c.judge(all)
	for rule, schedules := range c.schedules {
		candidates := c.candidates[rule]
		for i, s := range schedules {
			dst, in := c.oracle.dst[rule][i], all
			if i > 0 {
				in = explicit
			}
			if in == nothing {
				break
			}
			n, difference := differ(s, in.cut(candidates), dueUnder(dst, c.oracle.hourly[rule]), in)
			if difference != "" {
				c.t.Errorf("%s in (%s, %s]: %s", text(c.written(rule, dst)), in.after.UTC(), in.until.UTC(), difference)
				return // one says enough
			}
			c.tally.occurrences += n
		}
	}
	c.tally.windows++
	c.tally.instants += int64(all.until.Sub(all.after) / c.oracle.step)
}

// walk reads the calendar and the clock at every step of a window, and of some
// hours on both sides: they tell which wall times at its ends are shown twice.
func (c *comparison) walk(w window) {
	step := int64(c.oracle.step / time.Second)
	from, to := w.after.Add(-2*longestShift), w.until.Add(2*longestShift)
	c.readings = c.readings[:0]
	var today, days int
	for unix := from.Unix() / step * step; unix < to.Unix(); unix += step {
		// The zone is looked up once, for the date and the time.
		_, offset := time.Unix(unix, 0).In(c.zone).Zone()
		shown := time.Unix(unix+int64(offset), 0).UTC()
		if year, month, day := shown.Date(); day != today {
			today = day
			days = dayNumber(year, month, day)
		}
		hour, minute, second := shown.Clock()
		steps := (hour*3600 + minute*60 + second) / int(step)
		c.readings = append(c.readings, reading{unix, days*len(c.oracle.times) + steps})
	}
}

// judge finds the candidates of every rule, in the order of their instants.
func (c *comparison) judge(w window) {
	after, until := w.after.Unix(), w.until.Unix()
	for i := range c.candidates {
		c.candidates[i] = c.candidates[i][:0]
	}
	lowest, shown := c.countShown()
	seen := make([]bool, len(shown))
	for i, r := range c.readings {
		sight := shownOnce
		if at := r.wall - lowest; shown[at] > 1 {
			sight = shownFirst
			if seen[at] {
				sight = shownLast
			}
			seen[at] = true
		}
		if r.unix <= after || r.unix > until {
			continue
		}
		for wall := c.readings[i-1].wall + 1; wall < r.wall; wall++ {
			if shown[wall-lowest] == 0 {
				c.add(wall, candidate{r.unix, missing})
			}
		}
		c.add(r.wall, candidate{r.unix, sight})
	}
}

// cut is the part of the candidates within a window.
func (w window) cut(candidates []candidate) []candidate {
	from := sort.Search(len(candidates), func(i int) bool { return candidates[i].unix > w.after.Unix() })
	to := sort.Search(len(candidates), func(i int) bool { return candidates[i].unix > w.until.Unix() })
	return candidates[from:to]
}

// countShown says how often each wall time from the lowest on is shown.
func (c *comparison) countShown() (lowest int, times []uint8) {
	lowest, highest := c.readings[0].wall, c.readings[0].wall
	for _, r := range c.readings {
		lowest, highest = min(lowest, r.wall), max(highest, r.wall)
	}
	times = make([]uint8, highest-lowest+1)
	for _, r := range c.readings {
		times[r.wall-lowest]++
	}
	return lowest, times
}

func (c *comparison) add(wall int, found candidate) {
	for rules := c.oracle.rulesAt(wall); rules != 0; rules &= rules - 1 {
		rule := bits.TrailingZeros64(rules)
		c.candidates[rule] = append(c.candidates[rule], found)
	}
}

// dueUnder says which candidates are occurrences.
func dueUnder(dst *api.DST, hourly bool) (due [4]bool) {
	if dst == nil {
		dst = &api.DST{}
	}
	due[shownOnce] = true
	due[missing] = !hourly && dst.Missing != "skip"
	switch dst.Repeated {
	case "first":
		due[shownFirst] = true
	case "last":
		due[shownLast] = true
	case "both":
		due[shownFirst], due[shownLast] = true, true
	default:
		due[shownFirst], due[shownLast] = true, hourly
	}
	return due
}

// differ counts the occurrences that are as expected, up to the first that is
// not, and tells of that.
func differ(s *schedule.Schedule, candidates []candidate, due [4]bool, w window) (compared int64, difference string) {
	const none = 0 // no window holds 1970
	next, last := 0, int64(none)
	expected := func() int64 {
		for ; next < len(candidates); next++ {
			if c := candidates[next]; due[c.sight] && c.unix != last {
				last = c.unix
				return last
			}
		}
		return none
	}
	for got := range s.Between(w.after, w.until) {
		if want := expected(); got.Unix() != want || got.Nanosecond() != 0 {
			return compared, fmt.Sprintf("due at %s, want %s", got, time.Unix(want, 0).UTC())
		}
		compared++
	}
	if want := expected(); want != none {
		return compared, fmt.Sprintf("not due at %s", time.Unix(want, 0).UTC())
	}
	return compared, ""
}

// text is a schedule as its user would find it in a plan.
func text(s api.Schedule) string {
	written, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(written)
}
