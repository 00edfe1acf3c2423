package schedule_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
	"pgregory.net/rapid"
)

func TestNextIsTheFirstLaterOccurrence(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawSchedule(rt).parsed
		from := drawInstant(rt)

		next, ok := s.Next(from)
		if !ok {
			if last, ok := s.Previous(at("2399-01-01T00:00:00Z")); ok && last.After(from) {
				rt.Fatalf("Next(%s) = none, but Previous finds %s", from, last)
			}
			return
		}
		if !next.After(from) || next.Location() != time.UTC || next.Nanosecond() != 0 {
			rt.Fatalf("Next(%s) = %s, want a later instant, whole seconds, in UTC", from, next)
		}
		if again, _ := s.Next(next.Add(-time.Nanosecond)); !again.Equal(next) {
			rt.Fatalf("Next(just before %s) = %s", next, again)
		}
	})
}

func TestPreviousMirrorsNext(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawSchedule(rt).parsed
		from := drawInstant(rt)
		next, ok := s.Next(from)
		if !ok {
			return
		}
		if back, _ := s.Previous(next.Add(time.Nanosecond)); !back.Equal(next) {
			rt.Fatalf("Previous(just after %s) = %s", next, back)
		}
		previous, ok := s.Previous(next)
		switch there, _ := s.Next(previous); {
		case !ok && previous.IsZero():
			return // next is the first there is
		case previous.After(from):
			rt.Fatalf("Previous(%s) = %s, and so is Next(%s) not the first", next, previous, from)
		case !there.Equal(next):
			rt.Fatalf("Next(Previous(%s)) = %s", next, there)
		}
	})
}

func TestBetweenIsNextRepeated(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawSchedule(rt).parsed
		after := drawInstant(rt)
		until := after.Add(rapid.SampledFrom([]time.Duration{26 * time.Hour, 400 * 24 * time.Hour, 40 * 24 * time.Hour, 90 * time.Minute, time.Second, 0}).Draw(rt, "length"))

		var want []time.Time
		for u, ok := s.Next(after); ok && !u.After(until); u, ok = s.Next(u) {
			if want = append(want, u); len(want) == 300 {
				until = u // enough
			}
		}

		if got := slices.Collect(s.Between(after, until)); !slices.Equal(got, want) {
			rt.Fatalf("Between(%s, %s) = %v, want %v", after, until, got, want)
		}
		span := schedule.Span{Count: len(want)}
		if len(want) > 0 {
			span.First, span.Last = want[0], want[len(want)-1]
		}
		if got := s.Span(after, until); got != span {
			rt.Fatalf("Span(%s, %s) = %v, want %v", after, until, got, span)
		}
		var backwards []time.Time
		for u, ok := s.Previous(until.Add(time.Nanosecond)); ok && u.After(after); u, ok = s.Previous(u) {
			backwards = append(backwards, u)
		}
		slices.Reverse(backwards)
		if !slices.Equal(backwards, want) {
			rt.Fatalf("Previous repeated from %s to %s = %v, want %v", until, after, backwards, want)
		}
	})
}

// A bound or an excluded date takes occurrences away, and adds or moves none.
func TestBoundsAndExclusionsOnlyTakeAway(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		drawn := drawSchedule(rt)
		bare := drawn.written
		bare.StartAt, bare.EndAt, bare.ExcludeDates = "", "", nil
		all, err := schedule.Parse(bare)
		if err != nil {
			rt.Fatalf("%s is refused without its bounds: %v", text(drawn.written), err)
		}
		after := drawInstant(rt)
		until := after.Add(36 * time.Hour)
		due := slices.Collect(all.Between(after, until))
		for kept := range drawn.parsed.Between(after, until) {
			if _, found := slices.BinarySearchFunc(due, kept, time.Time.Compare); !found {
				rt.Fatalf("%s is due at %s, and not so without bounds and exclusions", text(drawn.written), kept)
			}
		}
	})
}

// Jitter moves no occurrence to or past the next.
func TestJitterIsShorterThanAnyInterval(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		written := drawSchedule(rt).written
		written.Jitter = rapid.SampledFrom([]api.Duration{"1s", "59s", "14m", "29m", "30m", "59m", "1h", "119m", "23h"}).Draw(rt, "jitter")
		s, err := schedule.Parse(written)
		if err != nil {
			return // too long
		}
		for _, change := range []string{"2026-03-08T07:00:00Z", "2026-03-29T01:00:00Z", "2026-04-04T15:00:00Z", "2026-10-25T01:00:00Z", "2026-11-01T06:00:00Z"} {
			var before time.Time
			for due := range s.Between(at(change).Add(-26*time.Hour), at(change).Add(2*time.Hour)) {
				if due.Sub(before) <= s.Jitter() {
					rt.Fatalf("%s is due at %s and %s", text(written), before, due)
				}
				before = due
			}
		}
		if offset := s.Offset(rapid.String().Draw(rt, "key")); offset < 0 || offset >= s.Jitter() || offset%time.Second != 0 {
			rt.Fatalf("%s: an offset of %s", text(written), offset)
		}
	})
}

// What a runner stores as JSON and reads again is due at the same instants, and
// reads the same to people. So do the defaults when they are written out.
func TestStoredSchedulesStayTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		drawn := drawSchedule(rt)
		var stored api.Schedule
		if err := json.Unmarshal([]byte(text(drawn.written)), &stored); err != nil {
			rt.Fatal(err)
		}
		after := drawInstant(rt)
		want := slices.Collect(drawn.parsed.Between(after, after.Add(36*time.Hour)))
		job := api.Job{Schedule: &stored}.WithDefaults()
		for _, same := range []api.Schedule{stored, *job.Schedule} {
			s, err := schedule.Parse(same)
			if err != nil {
				rt.Fatalf("%s: %v", text(same), err)
			}
			if got := slices.Collect(s.Between(after, after.Add(36*time.Hour))); !slices.Equal(got, want) {
				rt.Fatalf("%s is due at %v, want %v", text(same), got, want)
			}
			if s.Describe() != drawn.parsed.Describe() {
				rt.Fatalf("%s reads %q, want %q", text(same), s.Describe(), drawn.parsed.Describe())
			}
		}
	})
}

type drawnSchedule struct {
	written api.Schedule
	parsed  *schedule.Schedule
}

// drawSchedule draws one that is accepted: of any kind, with and without bounds,
// exclusions and words about daylight saving.
func drawSchedule(rt *rapid.T) drawnSchedule {
	written := rapid.Custom(drawWritten).Filter(func(s api.Schedule) bool {
		_, err := schedule.Parse(s)
		return err == nil
	}).Draw(rt, "schedule")
	parsed, err := schedule.Parse(written)
	if err != nil {
		rt.Fatal(err)
	}
	return drawnSchedule{written, parsed}
}

func drawWritten(rt *rapid.T) api.Schedule {
	s := api.Schedule{TimeZone: rapid.SampledFrom([]string{
		"", "America/New_York", "Europe/Berlin", "Antarctica/Troll", "Australia/Lord_Howe", "America/Sao_Paulo",
		"Asia/Kolkata", "Pacific/Apia", "Africa/Casablanca", "America/Juneau", "Africa/Monrovia",
	}).Draw(rt, "zone")}
	switch kind := rapid.IntRange(0, 9).Draw(rt, "kind"); {
	case kind < 2:
		s.Every = drawEvery(rt)
		s.Anchor = time.Unix(rapid.Int64Range(-1_000_000, 1_000_000).Draw(rt, "anchor"), 0).UTC().Format(time.RFC3339)
	case kind < 4:
		s.Calendar = drawCalendar(rt)
	case kind < 5:
		s.At = rapid.SliceOfNDistinct(rapid.Custom(drawTime), 1, 5, rapid.ID).Draw(rt, "at")
	default:
		s.Cron = drawCron(rt)
	}
	if rapid.IntRange(0, 5).Draw(rt, "bounded") == 5 {
		s.StartAt = drawTime(rt)
		if rapid.Bool().Draw(rt, "ended") {
			s.EndAt = drawTime(rt)
		}
	}
	if rapid.IntRange(0, 2).Draw(rt, "excluding") == 2 {
		date := rapid.Custom(func(rt *rapid.T) string { return drawTime(rt)[:len(time.DateOnly)] })
		s.ExcludeDates = rapid.SliceOfNDistinct(date, 1, 4, rapid.ID).Draw(rt, "exclude_dates")
	}
	if s.Every == "" && rapid.Bool().Draw(rt, "with dst") {
		s.DST = &api.DST{
			Missing:  rapid.SampledFrom([]string{"run_after", "skip"}).Draw(rt, "missing"),
			Repeated: rapid.SampledFrom([]string{"auto", "first", "last", "both"}).Draw(rt, "repeated"),
		}
	}
	return s
}

func drawEvery(rt *rapid.T) api.Duration {
	return api.Duration((time.Duration(rapid.IntRange(1, 100_000).Draw(rt, "seconds")) * time.Second).String())
}

func drawCron(rt *rapid.T) string {
	fields := []string{
		drawField(rt, "minute", 0, 59), drawField(rt, "hour", 0, 23),
		drawOneOf(rt, "days", drawOneOf(rt, "every day", "*", drawField(rt, "day", 1, 28)), "L", "L-3", "LW", "15W", "1W", "31W", "1,15,L", "31", "?"),
		drawOneOf(rt, "months", "*", drawField(rt, "month", 1, 12)),
		drawOneOf(rt, "weekdays", drawOneOf(rt, "any weekday", "*", drawField(rt, "weekday", 0, 7)), "FRIL", "0L", "MON#2", "5#5", "MON-SAT", "?"),
	}
	if rapid.IntRange(0, 3).Draw(rt, "with seconds") == 0 {
		fields = append([]string{drawField(rt, "second", 0, 59)}, fields...)
	}
	return strings.Join(fields, " ")
}

// drawOneOf draws the first as often as all the others together.
func drawOneOf(rt *rapid.T, name, first string, others ...string) string {
	return rapid.SampledFrom(append(slices.Repeat([]string{first}, len(others)), others...)).Draw(rt, name)
}

func drawField(rt *rapid.T, name string, low, high int) string {
	a := rapid.IntRange(low, high).Draw(rt, name)
	b := rapid.IntRange(a, high).Draw(rt, name+" to")
	step := rapid.IntRange(1, 7).Draw(rt, name+" step")
	return rapid.SampledFrom([]string{
		"*", "*", fmt.Sprint(a), fmt.Sprintf("%d,%d", a, b), fmt.Sprintf("%d-%d/%d", a, b, step), fmt.Sprintf("*/%d", step),
	}).Draw(rt, name+" text")
}

func drawCalendar(rt *rapid.T) *api.Calendar {
	numbers := func(name string, least int, values ...int64) []int64 {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(values), least, 4, rapid.ID).Draw(rt, name)
	}
	words := func(name string, values ...string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(values), 0, 4, rapid.ID).Draw(rt, name)
	}
	c := &api.Calendar{
		Months:      words("months", "jan", "2", "mar", "apr", "10", "nov"),
		DaysOfMonth: numbers("days_of_month", 0, 1, 7, 8, 15, 28, 29, 30, 31, -1, -2, -28),
		Weekdays:    words("weekdays", "mon", "tue", "fri", "sun", "mon#1", "sun#2", "wed#5", "sun#-1", "fri#-5"),
		Hours:       numbers("hours", 1, 0, 1, 2, 3, 12, 23),
		Minutes:     numbers("minutes", 0, 0, 15, 30, 59),
	}
	if rapid.IntRange(0, 5).Draw(rt, "hourly") == 0 {
		c.Hours = allHours()
	}
	if slices.ContainsFunc(c.DaysOfMonth, func(day int64) bool { return day > 28 }) {
		c.OnShortMonth = rapid.SampledFrom([]string{"last_day", "skip"}).Draw(rt, "on_short_month")
	}
	return c
}

// drawTime draws what at, start_at and end_at accept.
func drawTime(rt *rapid.T) string {
	layout := rapid.SampledFrom([]string{time.RFC3339, "2006-01-02T15:04", "2006-01-02T15:04:05"}).Draw(rt, "layout")
	return drawInstant(rt).Format(layout)
}

// drawInstant prefers the days on which clocks change.
func drawInstant(rt *rapid.T) time.Time {
	base := at("1850-01-01T00:00:00Z").Add(time.Duration(rapid.Int64Range(0, 290*365).Draw(rt, "day")) * 24 * time.Hour)
	if rapid.IntRange(0, 3).Draw(rt, "near a change") > 0 {
		base = at(rapid.SampledFrom([]string{
			"2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z", "2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z",
			"2026-10-03T15:30:00Z", "2026-04-04T15:00:00Z", "2018-11-04T03:00:00Z", "2018-02-18T02:00:00Z",
			"2011-12-30T10:00:00Z", "1867-10-18T15:30:00Z", "1972-01-07T00:44:30Z", "2024-12-31T12:00:00Z",
		}).Draw(rt, "change"))
	}
	distance := time.Duration(rapid.IntRange(-30*60*60, 30*60*60).Draw(rt, "seconds from it")) * time.Second
	return base.Add(distance + rapid.SampledFrom([]time.Duration{0, 0, 1, time.Second - 1}).Draw(rt, "fraction"))
}
