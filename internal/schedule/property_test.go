package schedule_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
	"pgregory.net/rapid"
)

func TestPropertiesOfNextAndPrevious(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawSchedule(rt)
		from := drawInstant(rt)

		next, ok := s.Next(from)
		if !ok || !next.After(from) {
			rt.Fatalf("%s: Next(%s) = %s, %t, want a later instant", s, from, next, ok)
		}
		if next.Location() != time.UTC || next.Nanosecond() != 0 {
			rt.Fatalf("%s: Next(%s) = %s, want a whole second in UTC", s, from, next)
		}
		if again, _ := s.Next(next.Add(-time.Nanosecond)); !again.Equal(next) {
			rt.Fatalf("%s: Next(just before %s) = %s", s, next, again)
		}
		if back, _ := s.Previous(next.Add(time.Nanosecond)); !back.Equal(next) {
			rt.Fatalf("%s: Previous(just after %s) = %s", s, next, back)
		}
		previous, ok := s.Previous(next)
		if !ok || !previous.Before(next) || previous.After(from) {
			rt.Fatalf("%s: Previous(%s) = %s, %t, want none after %s, since Next of that is %s", s, next, previous, ok, from, next)
		}
		if there, _ := s.Next(previous); !there.Equal(next) {
			rt.Fatalf("%s: Next(Previous(%s)) = %s", s, next, there)
		}
	})
}

func TestBetweenIsNextRepeated(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawSchedule(rt)
		after := drawInstant(rt)
		until := after.Add(time.Duration(rapid.Int64Range(0, int64(2*24*time.Hour)).Draw(rt, "length")))

		var want []time.Time
		for u, ok := s.Next(after); ok && !u.After(until); u, ok = s.Next(u) {
			want = append(want, u)
		}

		if got := slices.Collect(s.Between(after, until)); !slices.Equal(got, want) {
			rt.Fatalf("%s: Between(%s, %s) = %v, want %v", s, after, until, got, want)
		}
		if got := s.Span(after, until); got.Count != len(want) {
			rt.Fatalf("%s: Span counts %d, want %d", s, got.Count, len(want))
		}
	})
}

func drawSchedule(rt *rapid.T) *schedule.Schedule {
	spec := schedule.Spec{TimeZone: rapid.SampledFrom([]string{
		"UTC", "America/New_York", "Europe/Berlin", "Antarctica/Troll", "Australia/Lord_Howe", "America/Sao_Paulo",
		"Asia/Kolkata", "Pacific/Apia", "Africa/Casablanca", "America/Juneau", "Africa/Monrovia",
	}).Draw(rt, "zone")}
	if rapid.IntRange(0, 9).Draw(rt, "kind") <= 1 {
		spec.Every = time.Duration(rapid.IntRange(1, 100_000).Draw(rt, "seconds")) * time.Second
		spec.Anchor = time.Unix(rapid.Int64Range(-1_000_000, 1_000_000).Draw(rt, "anchor"), 0)
	} else {
		spec.Cron = strings.Join([]string{
			drawField(rt, "minute", 0, 59), drawField(rt, "hour", 0, 23), drawField(rt, "day-of-month", 1, 28),
			drawField(rt, "month", 1, 12), drawField(rt, "day-of-week", 0, 7),
		}, " ")
	}
	s, err := schedule.Parse(spec)
	if err != nil {
		rt.Fatal(err)
	}
	return s
}

func drawField(rt *rapid.T, name string, low, high int) string {
	a := rapid.IntRange(low, high).Draw(rt, name)
	b := rapid.IntRange(a, high).Draw(rt, name+" to")
	step := rapid.IntRange(1, 7).Draw(rt, name+" step")
	return rapid.SampledFrom([]string{
		"*", "*", fmt.Sprint(a), fmt.Sprintf("%d,%d", a, b), fmt.Sprintf("%d-%d/%d", a, b, step), fmt.Sprintf("*/%d", step),
	}).Draw(rt, name+" text")
}

// drawInstant prefers the weekends and days at which clocks change.
func drawInstant(rt *rapid.T) time.Time {
	base := at("1850-01-01T00:00:00Z").Add(time.Duration(rapid.Int64Range(0, 290*365).Draw(rt, "day")) * 24 * time.Hour)
	if rapid.Bool().Draw(rt, "near a change") {
		base = at(rapid.SampledFrom([]string{
			"2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z", "2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z",
			"2026-10-03T15:30:00Z", "2026-04-04T15:00:00Z", "2018-11-04T03:00:00Z", "2018-02-18T02:00:00Z",
			"2011-12-30T10:00:00Z", "1867-10-18T15:30:00Z", "1972-01-07T00:44:30Z", "2024-12-31T12:00:00Z",
		}).Draw(rt, "change"))
	}
	return base.Add(time.Duration(rapid.Int64Range(-int64(30*time.Hour), int64(30*time.Hour)).Draw(rt, "distance")))
}
