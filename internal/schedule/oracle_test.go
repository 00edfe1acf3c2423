package schedule_test

import (
	"slices"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

// wallTime is what a wall clock and a calendar show in one minute.
type wallTime struct {
	year, month, day, hour, minute int
	weekday                        time.Weekday
}

// oracleRule says in Go what an expression says in cron.
type oracleRule struct {
	cron    string
	matches func(w wallTime) bool
	hourly  bool
}

var oracleRules = []oracleRule{
	{"* * * * *", func(wallTime) bool { return true }, true},
	{"0 * * * *", func(w wallTime) bool { return w.minute == 0 }, true},
	{"30 * * * *", func(w wallTime) bool { return w.minute == 30 }, true},
	{"*/15 * * * *", func(w wallTime) bool { return w.minute%15 == 0 }, true},
	{"7/20 0-23 * * SUN", func(w wallTime) bool {
		return (w.minute == 7 || w.minute == 27 || w.minute == 47) && w.weekday == time.Sunday
	}, true},
	{"10 0-11,12-23 29 * *", func(w wallTime) bool { return w.minute == 10 && w.day == 29 }, true},
	{"0 0 * * *", func(w wallTime) bool { return w.hour == 0 && w.minute == 0 }, false},
	{"30 23 * * *", func(w wallTime) bool { return w.hour == 23 && w.minute == 30 }, false},
	{"30 1 * * *", func(w wallTime) bool { return w.hour == 1 && w.minute == 30 }, false},
	{"30 2 * * *", func(w wallTime) bool { return w.hour == 2 && w.minute == 30 }, false},
	{"*/15 2 * * *", func(w wallTime) bool { return w.hour == 2 && w.minute%15 == 0 }, false},
	{"0,30 1 * * *", func(w wallTime) bool { return w.hour == 1 && (w.minute == 0 || w.minute == 30) }, false},
	{"0 1-5 * * *", func(w wallTime) bool { return w.minute == 0 && w.hour >= 1 && w.hour <= 5 }, false},
	{"0 */2 * * *", func(w wallTime) bool { return w.minute == 0 && w.hour%2 == 0 }, false},
	{"* 0-22 * * *", func(w wallTime) bool { return w.hour != 23 }, false},
	{"0 2 * * MON-SAT", func(w wallTime) bool { return w.minute == 0 && w.hour == 2 && w.weekday != time.Sunday }, false},
	{"45 0-3 * * 7", func(w wallTime) bool { return w.minute == 45 && w.hour <= 3 && w.weekday == time.Sunday }, false},
	{"15 1,2,3 29 3,10 *", func(w wallTime) bool {
		return w.minute == 15 && w.hour >= 1 && w.hour <= 3 && w.day == 29 && (w.month == 3 || w.month == 10)
	}, false},
	{"20 2 1-7 * SUN", func(w wallTime) bool {
		return w.minute == 20 && w.hour == 2 && (w.day <= 7 || w.weekday == time.Sunday)
	}, false},
	{"0 2,3 */2 * SUN", func(w wallTime) bool {
		return w.minute == 0 && (w.hour == 2 || w.hour == 3) && w.day%2 == 1 && w.weekday == time.Sunday
	}, false},
}

// The oracle walks every minute around every transition and judges it alone. It
// shares no code with the package, and knows Next only by its answers.
func TestAgainstAMinuteByMinuteOracle(t *testing.T) {
	const around = 3 * 24 * time.Hour
	compared := 0
	for _, name := range []string{
		"America/New_York", "America/Santiago", "America/Havana", "America/Nuuk", "Europe/Berlin",
		"Africa/Casablanca", "Asia/Beirut", "Australia/Lord_Howe", "Pacific/Chatham", "Antarctica/Troll", "Asia/Kolkata",
	} {
		zone, err := schedule.LoadZone(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range clockChanges(zone, 2024, 2027) {
			// The oracle needs a day more on each side, for times moved across.
			minutes := nominalMinutes(zone, change.Add(-around-24*time.Hour), change.Add(around+24*time.Hour))
			after, until := change.Add(-around), change.Add(around)
			for _, rule := range oracleRules {
				want := rule.occurrences(minutes, after, until)
				s := mustParse(t, schedule.Spec{Cron: rule.cron, TimeZone: name})
				got := slices.Collect(s.Between(after, until))
				if !slices.Equal(got, want) {
					t.Errorf("%s around %s:\n got %v\nwant %v", s, change, got, want)
				}
				askAround(t, s, want, change)
				compared += len(want)
			}
		}
	}
	if compared < 100_000 {
		t.Errorf("only %d occurrences were compared", compared)
	}
}

// askAround asks from instants that are not occurrences too: before the change,
// at it and in the time it repeats.
func askAround(t *testing.T, s *schedule.Schedule, due []time.Time, change time.Time) {
	t.Helper()
	for asked := change.Add(-6 * time.Hour); asked.Before(change.Add(6 * time.Hour)); asked = asked.Add(5 * time.Minute) {
		i, found := slices.BinarySearchFunc(due, asked, time.Time.Compare)
		if i > 0 {
			if got, _ := s.Previous(asked); !got.Equal(due[i-1]) {
				t.Errorf("%s: Previous(%s) = %s, want %s", s, asked, got, due[i-1])
			}
		}
		if found {
			i++
		}
		if i < len(due) {
			if got, _ := s.Next(asked); !got.Equal(due[i]) {
				t.Errorf("%s: Next(%s) = %s, want %s", s, asked, got, due[i])
			}
		}
	}
}

// nominalMinute pairs a minute of the wall clock with a minute of real time.
type nominalMinute struct {
	wall    wallTime
	instant time.Time
	kind    minuteKind
}

type minuteKind int

const (
	shownFirst minuteKind = iota
	shownAgain            // repeated: the clock showed it before
	neverShown            // missing: its instant is the first one after the gap
)

func nominalMinutes(zone *time.Location, from, to time.Time) []nominalMinute {
	var shown []nominalMinute
	seen := map[int]bool{}
	for u := from; u.Before(to); u = u.Add(time.Minute) {
		m := nominalMinute{wall: wallTimeOf(u.In(zone)), instant: u}
		if seen[m.wall.ordinal()] {
			m.kind = shownAgain
		}
		seen[m.wall.ordinal()] = true
		shown = append(shown, m)
	}
	all := shown[:1:1]
	for i, m := range shown[1:] {
		last := shown[i]
		for w := minuteAfter(last.wall); w.ordinal() < m.wall.ordinal(); w = minuteAfter(w) {
			if !seen[w.ordinal()] {
				all = append(all, nominalMinute{w, m.instant, neverShown})
			}
		}
		all = append(all, m)
	}
	return all
}

func (r oracleRule) occurrences(minutes []nominalMinute, after, until time.Time) []time.Time {
	passedOver := neverShown
	if !r.hourly {
		passedOver = shownAgain
	}
	var due []time.Time
	for _, m := range minutes {
		if m.kind != passedOver && m.instant.After(after) && !m.instant.After(until) && r.matches(m.wall) {
			due = append(due, m.instant)
		}
	}
	slices.SortFunc(due, time.Time.Compare)
	return slices.Compact(due)
}

func wallTimeOf(local time.Time) wallTime {
	year, month, day := local.Date()
	hour, minute, _ := local.Clock()
	return wallTime{year, int(month), day, hour, minute, local.Weekday()}
}

func minuteAfter(w wallTime) wallTime {
	return wallTimeOf(time.Date(w.year, time.Month(w.month), w.day, w.hour, w.minute+1, 0, 0, time.UTC))
}

// ordinal orders wall times, and differs between any two.
func (w wallTime) ordinal() int {
	return (((w.year*12+w.month)*32+w.day)*24+w.hour)*60 + w.minute
}

// clockChanges finds the instants at which a zone's offset changes, and one
// ordinary day for a zone that has none.
func clockChanges(zone *time.Location, firstYear, lastYear int) []time.Time {
	var changes []time.Time
	end := time.Date(lastYear+1, 1, 1, 0, 0, 0, 0, time.UTC)
	_, before := time.Date(firstYear, 1, 1, 0, 0, 0, 0, time.UTC).In(zone).Zone()
	for u := time.Date(firstYear, 1, 1, 0, 0, 0, 0, time.UTC); u.Before(end); u = u.Add(30 * time.Minute) {
		if _, offset := u.In(zone).Zone(); offset != before {
			changes, before = append(changes, u), offset
		}
	}
	if len(changes) == 0 {
		changes = append(changes, time.Date(firstYear, 12, 31, 0, 0, 0, 0, time.UTC))
	}
	return changes
}
