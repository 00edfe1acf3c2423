package schedule_test

import (
	"slices"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func TestSingleDateTimes(t *testing.T) {
	tests := []struct {
		name     string
		declared api.Schedule
		want     []string
	}{
		{"local and instants, in order, once each", api.Schedule{
			At: []string{"2026-12-24T18:00", "2026-07-01T00:00:00Z", "2026-12-24T17:00:00Z", "2026-07-01T02:00:30"}, TimeZone: "Europe/Berlin"},
			[]string{"2026-07-01T00:00:00Z", "2026-07-01T00:00:30Z", "2026-12-24T17:00:00Z"}},
		{"a missing one comes after the gap", api.Schedule{At: []string{"2026-03-29T02:30"}, TimeZone: "Europe/Berlin"},
			[]string{"2026-03-29T01:00:00Z"}},
		{"or is skipped", api.Schedule{At: []string{"2026-03-29T02:30", "2026-03-30T02:30"}, TimeZone: "Europe/Berlin", DST: &api.DST{Missing: "skip"}},
			[]string{"2026-03-30T00:30:00Z"}},
		{"a repeated one counts the first time", api.Schedule{At: []string{"2026-10-25T02:30"}, TimeZone: "Europe/Berlin"},
			[]string{"2026-10-25T00:30:00Z"}},
		{"or both times", api.Schedule{At: []string{"2026-10-25T02:30"}, TimeZone: "Europe/Berlin", DST: &api.DST{Repeated: "both"}},
			[]string{"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"}},
		{"an instant is out when its local date is", api.Schedule{At: []string{"2026-12-24T23:30:00Z", "2026-12-25T23:30:00Z"}, TimeZone: "Europe/Berlin", ExcludeDates: []string{"2026-12-25"}},
			[]string{"2026-12-25T23:30:00Z"}},
		{"bounds hold", api.Schedule{At: []string{"2026-01-01T00:00", "2026-01-02T00:00", "2026-01-03T00:00"}, StartAt: "2026-01-02T00:00", EndAt: "2026-01-03T00:00"},
			[]string{"2026-01-02T00:00:00Z"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := mustParse(t, tt.declared)
			assertInstants(t, slices.Collect(s.Between(at("2000-01-01T00:00:00Z"), at("2100-01-01T00:00:00Z"))), tt.want)
			var back []time.Time
			for u, ok := s.Previous(at("2100-01-01T00:00:00Z")); ok; u, ok = s.Previous(u) {
				back = append(back, u)
			}
			slices.Reverse(back)
			assertInstants(t, back, tt.want)
		})
	}
}

func TestBoundsHoldTheStartAndLeaveOutTheEnd(t *testing.T) {
	for name, declared := range map[string]api.Schedule{
		"instants":             {StartAt: "2026-01-01T12:00:00Z", EndAt: "2026-01-04T01:00:00Z"},
		"local":                {StartAt: "2026-01-02T02:00", EndAt: "2026-01-04T02:00:00"},
		"instants with offset": {StartAt: "2026-01-02T02:00:00+01:00", EndAt: "2026-01-03T21:00:00-04:00"},
	} {
		declared.Cron, declared.TimeZone = "0 2 * * *", "Europe/Berlin"
		s := mustParse(t, declared)
		want := []string{"2026-01-02T01:00:00Z", "2026-01-03T01:00:00Z"}
		t.Run(name, func(t *testing.T) {
			assertInstants(t, slices.Collect(s.Between(at("2020-01-01T00:00:00Z"), at("2030-01-01T00:00:00Z"))), want)
			if first, ok := s.Previous(at(want[1])); !ok || !first.Equal(at(want[0])) {
				t.Errorf("Previous of the second = %s, %t", first, ok)
			}
			if got, ok := s.Previous(at(want[0])); ok {
				t.Errorf("Previous of the first = %s, want none", got)
			}
			if last, ok := s.Previous(at("2030-01-01T00:00:00Z")); !ok || !last.Equal(at(want[1])) {
				t.Errorf("Previous long after = %s, %t", last, ok)
			}
			if got, ok := s.Next(at(want[1])); ok {
				t.Errorf("Next of the last = %s, want none", got)
			}
		})
	}
}

func TestALocalBoundInAGapIsItsEnd(t *testing.T) {
	s := mustParse(t, api.Schedule{Cron: "*/30 * * * *", TimeZone: "Europe/Berlin", StartAt: "2026-03-29T02:15"})
	if got, _ := s.Next(at("2026-01-01T00:00:00Z")); !got.Equal(at("2026-03-29T01:00:00Z")) {
		t.Errorf("the first occurrence is %s", got)
	}
}

func TestExcludedDates(t *testing.T) {
	tests := []struct {
		name         string
		declared     api.Schedule
		after, until string
		want         []string
	}{
		{"are local dates", api.Schedule{Cron: "30 23 * * *", TimeZone: "America/New_York", ExcludeDates: []string{"2026-01-02"}},
			"2026-01-01T00:00:00Z", "2026-01-05T00:00:00Z", []string{"2026-01-01T04:30:00Z", "2026-01-02T04:30:00Z", "2026-01-04T04:30:00Z"}},
		{"are nominal: a midnight moved out of a gap belongs to its day", api.Schedule{Cron: "0 0 * * *", TimeZone: "America/Sao_Paulo", ExcludeDates: []string{"2018-11-04"}},
			"2018-11-03T03:00:00Z", "2018-11-05T02:00:00Z", []string{"2018-11-05T02:00:00Z"}},
		{"are nominal: a day that was skipped can be excluded", api.Schedule{Cron: "0 9 * * *", TimeZone: "Pacific/Apia", ExcludeDates: []string{"2011-12-30"}},
			"2011-12-29T00:00:00Z", "2011-12-31T00:00:00Z", []string{"2011-12-29T19:00:00Z", "2011-12-30T19:00:00Z"}},
		{"of a calendar", api.Schedule{Calendar: &api.Calendar{DaysOfMonth: []int64{1}, Hours: []int64{0}}, ExcludeDates: []string{"2026-02-01", "2026-03-01"}},
			"2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z", []string{"2026-04-01T00:00:00Z"}},
		{"of an interval are those of its zone", api.Schedule{Every: "8h", TimeZone: "Asia/Tokyo", ExcludeDates: []string{"2026-01-02", "2026-01-03"}},
			"2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z", []string{"2026-01-01T08:00:00Z", "2026-01-03T16:00:00Z", "2026-01-04T00:00:00Z"}},
		// 00:00 on Sunday 18 February 2018 was put back to 23:00 on Saturday.
		{"of an interval hold through a repeated hour", api.Schedule{Every: "30m", TimeZone: "America/Sao_Paulo", ExcludeDates: []string{"2018-02-17"}},
			"2018-02-17T01:30:00Z", "2018-02-18T03:30:00Z", []string{"2018-02-18T03:00:00Z", "2018-02-18T03:30:00Z"}},
		// Sunday 29 March 2026 has 23 hours.
		{"of an interval end where their day does", api.Schedule{Every: "30m", TimeZone: "Europe/Berlin", ExcludeDates: []string{"2026-03-29"}},
			"2026-03-28T22:00:00Z", "2026-03-29T22:30:00Z", []string{"2026-03-28T22:30:00Z", "2026-03-29T22:00:00Z", "2026-03-29T22:30:00Z"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := mustParse(t, tt.declared)
			assertInstants(t, slices.Collect(s.Between(at(tt.after), at(tt.until))), tt.want)
			for i := 1; i < len(tt.want); i++ {
				if got, _ := s.Previous(at(tt.want[i])); !got.Equal(at(tt.want[i-1])) {
					t.Errorf("Previous(%s) = %s, want %s", tt.want[i], got, tt.want[i-1])
				}
			}
		})
	}
}

func TestManyExcludedDatesAreLeaptOver(t *testing.T) {
	excluded := datesOf(2026, 2126)
	for _, declared := range []api.Schedule{{Every: "1s"}, {Cron: "* * * * * *"}, {Cron: "0 0 1 1 *"}} {
		declared.ExcludeDates = excluded
		s := mustParse(t, declared)
		if got, _ := s.Next(at("2025-12-31T23:59:59Z")); !got.Equal(at("2126-01-01T00:00:00Z")) {
			t.Errorf("%s: Next = %s", declared.Cron+string(declared.Every), got)
		}
		if got, _ := s.Previous(at("2126-01-01T00:00:00Z")); got.Year() != 2025 {
			t.Errorf("%s: Previous = %s", declared.Cron+string(declared.Every), got)
		}
	}
}

// datesOf lists every date from the beginning of one year to that of another.
func datesOf(from, until int) []string {
	var dates []string
	for day := time.Date(from, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < until; day = day.AddDate(0, 0, 1) {
		dates = append(dates, day.Format(time.DateOnly))
	}
	return dates
}
