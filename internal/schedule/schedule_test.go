package schedule_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
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

		{"seconds first", "15,45 59 23 * * *", "UTC", "2026-01-01T23:00:00Z", "2026-01-02T23:59:20Z",
			[]string{"2026-01-01T23:59:15Z", "2026-01-01T23:59:45Z", "2026-01-02T23:59:15Z"}},
		{"the last day of the month", "0 6 L * *", "UTC", "2028-01-01T00:00:00Z", "2028-05-01T00:00:00Z",
			[]string{"2028-01-31T06:00:00Z", "2028-02-29T06:00:00Z", "2028-03-31T06:00:00Z", "2028-04-30T06:00:00Z"}},
		{"three days before it", "0 6 L-3 * *", "UTC", "2026-01-01T00:00:00Z", "2026-05-01T00:00:00Z",
			[]string{"2026-01-28T06:00:00Z", "2026-02-25T06:00:00Z", "2026-03-28T06:00:00Z", "2026-04-27T06:00:00Z"}},
		{"thirty days before it is the 1st of long months", "0 6 L-30 * *", "UTC", "2026-01-01T00:00:00Z", "2026-05-02T00:00:00Z",
			[]string{"2026-01-01T06:00:00Z", "2026-03-01T06:00:00Z", "2026-05-01T06:00:00Z"}},
		{"the last weekday: Friday 30 January, Friday 27 February, Tuesday 31 March", "0 6 LW * *", "UTC", "2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z",
			[]string{"2026-01-30T06:00:00Z", "2026-02-27T06:00:00Z", "2026-03-31T06:00:00Z"}},
		{"the last weekday when the last day is a Sunday", "0 6 LW 5 *", "UTC", "2026-05-01T00:00:00Z", "2026-06-01T00:00:00Z",
			[]string{"2026-05-29T06:00:00Z"}},
		{"the weekday nearest to the 15th: a Sunday, a Saturday, a Tuesday", "0 6 15W 3,8,9 *", "UTC", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z",
			[]string{"2026-03-16T06:00:00Z", "2026-08-14T06:00:00Z", "2026-09-15T06:00:00Z"}},
		{"the nearest weekday stays in its month: the 1st is a Saturday", "0 6 1W 8 *", "UTC", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z",
			[]string{"2026-08-03T06:00:00Z"}},
		{"the nearest weekday stays in its month: the 31st is a Sunday", "0 6 31W * *", "UTC", "2026-04-01T00:00:00Z", "2026-08-01T00:00:00Z",
			[]string{"2026-05-29T06:00:00Z", "2026-07-31T06:00:00Z"}},
		{"the second Monday", "0 6 * * MON#2", "UTC", "2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z",
			[]string{"2026-01-12T06:00:00Z", "2026-02-09T06:00:00Z", "2026-03-09T06:00:00Z"}},
		{"the fifth Friday is not in every month", "0 6 * * FRI#5", "UTC", "2026-01-01T00:00:00Z", "2026-08-01T00:00:00Z",
			[]string{"2026-01-30T06:00:00Z", "2026-05-29T06:00:00Z", "2026-07-31T06:00:00Z"}},
		{"the last Friday", "0 6 * * FRIL", "UTC", "2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z",
			[]string{"2026-01-30T06:00:00Z", "2026-02-27T06:00:00Z", "2026-03-27T06:00:00Z"}},
		{"the 1st, the last day and the last Friday, by either", "0 6 1,L * FRIL", "UTC", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z",
			[]string{"2026-01-01T06:00:00Z", "2026-01-30T06:00:00Z", "2026-01-31T06:00:00Z"}},

		{"two restricted day fields match by either", "0 0 13 * FRI", "UTC", "2026-02-01T00:00:00Z", "2026-02-28T00:00:00Z",
			[]string{"2026-02-06T00:00:00Z", "2026-02-13T00:00:00Z", "2026-02-20T00:00:00Z", "2026-02-27T00:00:00Z"}},
		{"a day field that begins with * is no restriction to be joined by or", "0 0 */10 * FRI", "UTC", "2026-01-01T00:00:00Z", "2026-07-31T23:00:00Z",
			[]string{"2026-05-01T00:00:00Z", "2026-07-31T00:00:00Z"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := mustParse(t, api.Schedule{Cron: tt.cron, TimeZone: tt.zone})
			assertInstants(t, slices.Collect(s.Between(at(tt.after), at(tt.until))), tt.want)
		})
	}
}

func TestEveryCountsElapsedTimeFromItsAnchor(t *testing.T) {
	tests := []struct {
		name         string
		declared     api.Schedule
		after, until string
		want         []string
	}{
		{"from the epoch by default", api.Schedule{Every: "7h"}, "1969-12-31T12:00:00Z", "1970-01-01T14:00:00Z",
			[]string{"1969-12-31T17:00:00Z", "1970-01-01T00:00:00Z", "1970-01-01T07:00:00Z", "1970-01-01T14:00:00Z"}},
		{"from an anchor, before it too", api.Schedule{Every: "1h", Anchor: "2030-01-01T00:10:05Z"}, "2026-01-01T00:00:00Z", "2026-01-01T02:00:00Z",
			[]string{"2026-01-01T00:10:05Z", "2026-01-01T01:10:05Z"}},
		{"through the repeated hour", api.Schedule{Every: "12h", TimeZone: "America/New_York"}, "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z",
			[]string{"2026-11-01T12:00:00Z", "2026-11-02T00:00:00Z"}},
		{"of a second", api.Schedule{Every: "1s"}, "2026-01-01T00:00:00Z", "2026-01-01T00:00:02Z",
			[]string{"2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := mustParse(t, tt.declared)
			assertInstants(t, slices.Collect(s.Between(at(tt.after), at(tt.until))), tt.want)
		})
	}
}

func TestSpanSumsUpAnOutage(t *testing.T) {
	s := mustParse(t, api.Schedule{Cron: "0 * * * *", TimeZone: "Europe/Berlin"})

	got := s.Span(at("2026-01-01T00:30:00Z"), at("2026-04-11T00:00:00Z"))

	want := schedule.Span{First: at("2026-01-01T01:00:00Z"), Last: at("2026-04-11T00:00:00Z"), Count: 2400}
	if got != want {
		t.Errorf("Span = %+v, want %+v", got, want)
	}
	if empty := s.Span(at("2026-01-01T00:10:00Z"), at("2026-01-01T00:20:00Z")); empty != (schedule.Span{}) {
		t.Errorf("Span of a stretch without occurrences = %+v, want zero", empty)
	}
}

func TestStringIsTheExpressionWithItsZone(t *testing.T) {
	tests := []struct {
		declared api.Schedule
		want     string
	}{
		{api.Schedule{Cron: "0 2 * * MON-SAT", TimeZone: "Europe/Berlin"}, "0 2 * * MON-SAT Europe/Berlin"},
		{api.Schedule{Cron: "  0\t2 * *  1 "}, "0 2 * * 1 UTC"},
		{api.Schedule{Cron: "@daily"}, "@daily UTC"},
	}
	for _, tt := range tests {
		if got := mustParse(t, tt.declared).String(); got != tt.want {
			t.Errorf("String() = %q, want %q", got, tt.want)
		}
	}
}

func TestAnswersStayWithinTheCalendar(t *testing.T) {
	for _, declared := range []api.Schedule{{Cron: "* * * * *"}, {Cron: "0 0 29 2 *", TimeZone: "Asia/Tokyo"}, {Every: "1h"}} {
		s := mustParse(t, declared)
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

func mustParse(t testing.TB, declared api.Schedule) *schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse(declared)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func assertRefused(t testing.TB, declared api.Schedule, want string) {
	t.Helper()
	if _, err := schedule.Parse(declared); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%+v: Parse = %v, want %s", declared, err, want)
	}
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
