package schedule_test

import (
	"slices"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

func TestOccurrences(t *testing.T) {
	tests := []struct {
		name         string
		cron, zone   string
		after, until string
		want         []string
	}{
		// Spring forward: 02:00 EST is 03:00 EDT, at 07:00Z.
		{"hourly skips the gap", "30 * * * *", "America/New_York", "2026-03-08T06:00:00Z", "2026-03-08T08:00:00Z",
			[]string{"2026-03-08T06:30:00Z", "2026-03-08T07:30:00Z"}},
		{"missing times of one gap count once", "*/15 2 * * *", "America/New_York", "2026-03-08T05:00:00Z", "2026-03-09T05:00:00Z",
			[]string{"2026-03-08T07:00:00Z"}},
		{"a missing time runs after the gap", "30 2 * * *", "America/New_York", "2026-03-08T05:00:00Z", "2026-03-09T06:30:00Z",
			[]string{"2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"}},
		{"a missing time merges with the one after the gap", "0,30 2,3 * * *", "America/New_York", "2026-03-08T05:00:00Z", "2026-03-09T05:00:00Z",
			[]string{"2026-03-08T07:00:00Z", "2026-03-08T07:30:00Z"}},
		// Fall back: 02:00 EDT is 01:00 EST, at 06:00Z.
		{"hourly fires in both passes", "0 * * * *", "America/New_York", "2026-11-01T04:00:00Z", "2026-11-01T07:00:00Z",
			[]string{"2026-11-01T05:00:00Z", "2026-11-01T06:00:00Z", "2026-11-01T07:00:00Z"}},
		{"hours in a list make it hourly too", "0 0-11,12-23 * * *", "America/New_York", "2026-11-01T04:00:00Z", "2026-11-01T07:00:00Z",
			[]string{"2026-11-01T05:00:00Z", "2026-11-01T06:00:00Z", "2026-11-01T07:00:00Z"}},
		{"fixed fires in the first pass", "0 1-5 * * *", "America/New_York", "2026-11-01T04:00:00Z", "2026-11-01T07:00:00Z",
			[]string{"2026-11-01T05:00:00Z", "2026-11-01T07:00:00Z"}},
		{"every second hour is fixed", "0 */2 * * *", "America/New_York", "2026-11-01T03:00:00Z", "2026-11-01T07:00:00Z",
			[]string{"2026-11-01T04:00:00Z", "2026-11-01T07:00:00Z"}},
		{"23 hours are fixed", "0 0-22 * * *", "America/New_York", "2026-11-01T04:00:00Z", "2026-11-01T07:00:00Z",
			[]string{"2026-11-01T05:00:00Z", "2026-11-01T07:00:00Z"}},

		{"Troll: 01:30 is in the gap of two hours", "30 1 * * *", "Antarctica/Troll", "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z",
			[]string{"2026-03-29T01:00:00Z"}},
		{"Troll: so is 02:30, and both count once", "30 1,2 * * *", "Antarctica/Troll", "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z",
			[]string{"2026-03-29T01:00:00Z"}},
		{"Troll: both repeated hours, first pass", "30 1,2 * * *", "Antarctica/Troll", "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z",
			[]string{"2026-10-24T23:30:00Z", "2026-10-25T00:30:00Z"}},
		{"Troll: both repeated hours, both passes", "30 * * * *", "Antarctica/Troll", "2026-10-24T23:00:00Z", "2026-10-25T03:00:00Z",
			[]string{"2026-10-24T23:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"}},

		{"Apia: a Friday that never was", "0 9 * * FRI", "Pacific/Apia", "2011-12-29T00:00:00Z", "2012-01-01T00:00:00Z",
			[]string{"2011-12-30T10:00:00Z"}},
		{"Apia: the days around it", "0 9 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", "2011-12-31T00:00:00Z",
			[]string{"2011-12-29T19:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T19:00:00Z"}},
		{"Apia: hourly has no instant on it", "0 * 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", "2012-01-01T00:00:00Z", nil},

		{"Lord Howe: gap of 30 minutes", "15,30 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", "2026-10-04T12:00:00Z",
			[]string{"2026-10-03T15:30:00Z"}},
		{"Lord Howe: hourly in the gap", "15,30 * * * *", "Australia/Lord_Howe", "2026-10-03T15:00:00Z", "2026-10-03T16:15:00Z",
			[]string{"2026-10-03T15:30:00Z", "2026-10-03T16:15:00Z"}},
		{"Lord Howe: 30 minutes repeated", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00Z", "2026-04-05T12:00:00Z",
			[]string{"2026-04-04T14:45:00Z"}},
		{"Lord Howe: hourly in the repeat", "45 * * * *", "Australia/Lord_Howe", "2026-04-04T14:00:00Z", "2026-04-04T16:00:00Z",
			[]string{"2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z"}},

		{"Sao Paulo: midnight is missing", "0 0 * * *", "America/Sao_Paulo", "2018-11-03T03:00:00Z", "2018-11-05T02:00:00Z",
			[]string{"2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"}},
		{"Sao Paulo: a missing Sunday midnight is still Sunday's", "30 0 * * SUN", "America/Sao_Paulo", "2018-11-01T00:00:00Z", "2018-11-08T00:00:00Z",
			[]string{"2018-11-04T03:00:00Z"}},
		{"Sao Paulo: the last hour of a day repeats", "30 23 * * *", "America/Sao_Paulo", "2018-02-17T12:00:00Z", "2018-02-18T12:00:00Z",
			[]string{"2018-02-18T01:30:00Z"}},
		{"Kolkata: half-hour offset, no daylight saving", "30 2 * * *", "Asia/Kolkata", "2026-03-28T00:00:00Z", "2026-03-30T00:00:00Z",
			[]string{"2026-03-28T21:00:00Z", "2026-03-29T21:00:00Z"}},

		{"29 February", "0 0 29 2 *", "UTC", "2023-01-01T00:00:00Z", "2033-01-01T00:00:00Z",
			[]string{"2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"}},
		{"29 February skips 2100", "0 0 29 2 *", "UTC", "2096-01-01T00:00:00Z", "2105-01-01T00:00:00Z",
			[]string{"2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z"}},
		{"29 February on a Sunday", "0 0 29 2 */7", "UTC", "2060-01-01T00:00:00Z", "2130-01-01T00:00:00Z",
			[]string{"2060-02-29T00:00:00Z", "2088-02-29T00:00:00Z", "2128-02-29T00:00:00Z"}},
		{"the 31st", "0 12 31 * *", "UTC", "2026-01-01T00:00:00Z", "2026-09-01T00:00:00Z",
			[]string{"2026-01-31T12:00:00Z", "2026-03-31T12:00:00Z", "2026-05-31T12:00:00Z", "2026-07-31T12:00:00Z", "2026-08-31T12:00:00Z"}},
		{"the end of a year", "59 23 31 12 *", "Europe/Berlin", "2024-12-31T00:00:00Z", "2026-01-01T00:00:00Z",
			[]string{"2024-12-31T22:59:00Z", "2025-12-31T22:59:00Z"}},
		{"@yearly", "@yearly", "Asia/Tokyo", "2024-12-31T15:00:00Z", "2026-12-31T15:00:00Z",
			[]string{"2025-12-31T15:00:00Z", "2026-12-31T15:00:00Z"}},
		{"the window leaves out its start and holds its end", "0 * * * *", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T02:00:00Z",
			[]string{"2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z"}},

		{"two restricted day fields match by either", "0 0 13 * FRI", "UTC", "2026-02-01T00:00:00Z", "2026-02-28T00:00:00Z",
			[]string{"2026-02-06T00:00:00Z", "2026-02-13T00:00:00Z", "2026-02-20T00:00:00Z", "2026-02-27T00:00:00Z"}},
		{"a day field that begins with * is no restriction to be joined by or", "0 0 */10 * FRI", "UTC", "2026-01-01T00:00:00Z", "2026-07-31T23:00:00Z",
			[]string{"2026-05-01T00:00:00Z", "2026-07-31T00:00:00Z"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := mustParse(t, schedule.Spec{Cron: tt.cron, TimeZone: tt.zone})
			assertInstants(t, slices.Collect(s.Between(at(tt.after), at(tt.until))), tt.want)
		})
	}
}

func TestEveryCountsElapsedTimeFromItsAnchor(t *testing.T) {
	tests := []struct {
		name         string
		spec         schedule.Spec
		after, until string
		want         []string
	}{
		{"from the epoch by default", schedule.Spec{Every: 7 * time.Hour}, "1969-12-31T12:00:00Z", "1970-01-01T14:00:00Z",
			[]string{"1969-12-31T17:00:00Z", "1970-01-01T00:00:00Z", "1970-01-01T07:00:00Z", "1970-01-01T14:00:00Z"}},
		{"from an anchor, before it too", schedule.Spec{Every: time.Hour, Anchor: at("2030-01-01T00:10:05Z")}, "2026-01-01T00:00:00Z", "2026-01-01T02:00:00Z",
			[]string{"2026-01-01T00:10:05Z", "2026-01-01T01:10:05Z"}},
		{"through the repeated hour", schedule.Spec{Every: 12 * time.Hour, TimeZone: "America/New_York"}, "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z",
			[]string{"2026-11-01T12:00:00Z", "2026-11-02T00:00:00Z"}},
		{"of a second", schedule.Spec{Every: time.Second}, "2026-01-01T00:00:00Z", "2026-01-01T00:00:02Z",
			[]string{"2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := mustParse(t, tt.spec)
			assertInstants(t, slices.Collect(s.Between(at(tt.after), at(tt.until))), tt.want)
		})
	}
}

func TestSpanSumsUpAnOutage(t *testing.T) {
	s := mustParse(t, schedule.Spec{Cron: "0 * * * *", TimeZone: "Europe/Berlin"})

	got := s.Span(at("2026-01-01T00:30:00Z"), at("2026-04-11T00:00:00Z"))

	want := schedule.Span{First: at("2026-01-01T01:00:00Z"), Last: at("2026-04-11T00:00:00Z"), Count: 2400}
	if got != want {
		t.Errorf("Span = %+v, want %+v", got, want)
	}
	if empty := s.Span(at("2026-01-01T00:10:00Z"), at("2026-01-01T00:20:00Z")); empty != (schedule.Span{}) {
		t.Errorf("Span of a stretch without occurrences = %+v, want zero", empty)
	}
}

func TestStringIsTheRuleAsWritten(t *testing.T) {
	tests := []struct {
		spec schedule.Spec
		want string
	}{
		{schedule.Spec{Cron: "0 2 * * MON-SAT", TimeZone: "Europe/Berlin"}, "0 2 * * MON-SAT Europe/Berlin"},
		{schedule.Spec{Cron: "  0\t2 * *  1 "}, "0 2 * * 1 UTC"},
		{schedule.Spec{Cron: "@daily"}, "@daily UTC"},
		{schedule.Spec{Every: 15 * time.Minute}, "every 15m UTC"},
		{schedule.Spec{Every: 24 * time.Hour, TimeZone: "Asia/Kolkata"}, "every 24h Asia/Kolkata"},
		{schedule.Spec{Every: 90 * time.Second}, "every 1m30s UTC"},
		{schedule.Spec{Every: 10 * time.Hour, Anchor: at("2026-01-01T06:00:00+01:00")}, "every 10h from 2026-01-01T05:00:00Z, UTC"},
	}
	for _, tt := range tests {
		if got := mustParse(t, tt.spec).String(); got != tt.want {
			t.Errorf("String() = %q, want %q", got, tt.want)
		}
	}
}

func TestAnswersStayWithinTheCalendar(t *testing.T) {
	for _, spec := range []schedule.Spec{{Cron: "* * * * *"}, {Cron: "0 0 29 2 *", TimeZone: "Asia/Tokyo"}, {Every: time.Hour}} {
		s := mustParse(t, spec)
		if got, ok := s.Next(at("2399-12-31T23:59:59Z")); ok {
			t.Errorf("%s: Next after the last second = %s, want none", s, got)
		}
		if got, ok := s.Previous(time.Time{}); ok {
			t.Errorf("%s: Previous before year 1 = %s, want none", s, got)
		}
		if got, ok := s.Next(time.Unix(-1<<50, 0)); !ok || got.Year() < 1 {
			t.Errorf("%s: Next after a time far back = %s, %t, want the first of the calendar", s, got, ok)
		}
		if got, ok := s.Previous(time.Unix(1<<50, 0)); !ok || got.Year() > 2399 {
			t.Errorf("%s: Previous before a time far ahead = %s, %t, want the last of the calendar", s, got, ok)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	for _, spec := range []schedule.Spec{
		{Cron: "0 2 * * MON-SAT", TimeZone: "Europe/Berlin"},
		{Cron: "*/15 * * * *", TimeZone: "America/New_York"},
		{Cron: "0 0 29 2 *", TimeZone: "Australia/Lord_Howe"},
		{Cron: "0 * 1 1 *", TimeZone: "Europe/Berlin"},
		{Every: 15 * time.Minute},
	} {
		s := mustParse(b, spec)
		b.Run(s.String(), func(b *testing.B) {
			start := at("2026-03-08T05:00:00Z")
			next := start
			for b.Loop() {
				var ok bool
				if next, ok = s.Next(next); !ok {
					next = start
				}
			}
		})
	}
}

func mustParse(t testing.TB, spec schedule.Spec) *schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func assertInstants(t *testing.T, got []time.Time, want []string) {
	t.Helper()
	var texts []string
	for _, instant := range got {
		texts = append(texts, instant.Format(time.RFC3339Nano))
	}
	if !slices.Equal(texts, want) {
		t.Errorf("occurrences:\n got %v\nwant %v", texts, want)
	}
}

func at(text string) time.Time {
	instant, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return instant
}
