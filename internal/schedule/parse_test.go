package schedule_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

func TestFindings(t *testing.T) {
	nightly := func(change func(*api.Schedule)) api.Schedule {
		s := api.Schedule{Cron: "0 2 * * *"}
		change(&s)
		return s
	}
	calendar := func(change func(*api.Calendar)) api.Schedule {
		c := &api.Calendar{Hours: []int64{2}}
		change(c)
		return api.Schedule{Calendar: c}
	}
	tests := []struct {
		declared api.Schedule
		want     string // as Error writes it: path and message
	}{
		{api.Schedule{}, "schedule: one of at, calendar, cron, every is required"},
		{api.Schedule{At: []string{}}, "schedule: one of at, calendar, cron, every is required"},
		{api.Schedule{Cron: "@daily", Every: "1h"}, "schedule: cron and every are both set; keep one"},
		{api.Schedule{Cron: "@daily", At: []string{"2026-12-24T18:00"}}, "schedule: at and cron are both set; keep one"},
		{api.Schedule{Cron: "@daily", Every: "1h", At: []string{"2026-12-24T18:00"}}, "schedule: at, cron and every are all set; keep one"},
		{api.Schedule{Cron: "@daily", Anchor: "2026-01-01T00:00:00Z"}, `schedule.anchor "2026-01-01T00:00:00Z": goes with every only; remove it`},
		{nightly(func(s *api.Schedule) { s.TimeZone = "Mars/Base" }), `schedule.time_zone "Mars/Base": is not an IANA time zone; write one like Europe/Berlin`},

		{api.Schedule{Every: "soon"}, `schedule.every "soon": is not a duration; write it like 30s, 10m, 1h30m or 7d`},
		{api.Schedule{Every: "-1m"}, `schedule.every "-1m": is not a duration; write it like 30s, 10m, 1h30m or 7d`},
		{api.Schedule{Every: "500ms"}, `schedule.every "500ms": is shorter than 1s, the shortest interval`},
		{api.Schedule{Every: "1500ms"}, `schedule.every "1500ms": is not a whole number of seconds`},
		{api.Schedule{Every: "1h", Anchor: "noon"}, `schedule.anchor "noon": is not an RFC 3339 instant; write it like 1970-01-01T00:00:00Z`},
		{api.Schedule{Every: "1h", Anchor: "2026-01-01T00:00"}, `schedule.anchor "2026-01-01T00:00": is not an RFC 3339 instant; write it like 1970-01-01T00:00:00Z`},
		{api.Schedule{Every: "1h", Anchor: "2026-01-01T00:00:00.5Z"}, `schedule.anchor "2026-01-01T00:00:00.5Z": has a fraction of a second; write whole seconds`},
		{api.Schedule{Every: "1h", Anchor: "2500-01-01T00:00:00Z"}, `schedule.anchor "2500-01-01T00:00:00Z": is not in the years 1–2399`},

		{calendar(func(c *api.Calendar) { c.Hours = nil }), "schedule.calendar.hours is required: the hours of the day to fire in, 0–23"},
		{calendar(func(c *api.Calendar) { c.Hours = []int64{2, 24} }), `schedule.calendar.hours[1] "24": is not in 0–23`},
		{calendar(func(c *api.Calendar) { c.Minutes = []int64{-1} }), `schedule.calendar.minutes[0] "-1": is not in 0–59`},
		{calendar(func(c *api.Calendar) { c.Months = []string{"jan", "january"} }), `schedule.calendar.months[1] "january": is not a month; write jan to dec, or 1 to 12`},
		{calendar(func(c *api.Calendar) { c.DaysOfMonth = []int64{0} }), `schedule.calendar.days_of_month[0] "0": is not a day of a month; write 1 to 31, or -1 (the last day) to -28`},
		{calendar(func(c *api.Calendar) { c.DaysOfMonth = []int64{1, 32} }), `schedule.calendar.days_of_month[1] "32": is not a day of a month; write 1 to 31, or -1 (the last day) to -28`},
		{calendar(func(c *api.Calendar) { c.DaysOfMonth = []int64{-29} }), `schedule.calendar.days_of_month[0] "-29": is not a day of a month; write 1 to 31, or -1 (the last day) to -28`},
		{calendar(func(c *api.Calendar) { c.Weekdays = []string{"monday"} }), `schedule.calendar.weekdays[0] "monday": is not a weekday; write sun to sat, mon#2 for the second Monday of the month (up to #5), or fri#-1 for its last Friday (up to #-5)`},
		{calendar(func(c *api.Calendar) { c.Weekdays = []string{"mon", "1"} }), `schedule.calendar.weekdays[1] "1": is not a weekday; write sun to sat, mon#2 for the second Monday of the month (up to #5), or fri#-1 for its last Friday (up to #-5)`},
		{calendar(func(c *api.Calendar) { c.Weekdays = []string{"mon#6"} }), `schedule.calendar.weekdays[0] "mon#6": is not a weekday; write sun to sat, mon#2 for the second Monday of the month (up to #5), or fri#-1 for its last Friday (up to #-5)`},
		{calendar(func(c *api.Calendar) { c.Weekdays = []string{"mon#-0"} }), `schedule.calendar.weekdays[0] "mon#-0": is not a weekday; write sun to sat, mon#2 for the second Monday of the month (up to #5), or fri#-1 for its last Friday (up to #-5)`},
		{calendar(func(c *api.Calendar) { c.DaysOfMonth = []int64{1, 31, 29} }), `schedule.calendar.on_short_month is required, since not every month has a day 31: "last_day" (its last day stands in) or "skip" (no occurrence in that month)`},
		{calendar(func(c *api.Calendar) { c.DaysOfMonth, c.OnShortMonth = []int64{28}, "skip" }), `schedule.calendar.on_short_month "skip": goes with a day above 28 in days_of_month only; remove it`},
		{calendar(func(c *api.Calendar) { c.OnShortMonth = "skip" }), `schedule.calendar.on_short_month "skip": goes with a day above 28 in days_of_month only; remove it`},
		{calendar(func(c *api.Calendar) { c.DaysOfMonth, c.OnShortMonth = []int64{29}, "next" }), `schedule.calendar.on_short_month "next": is not one of last_day, skip`},

		{api.Schedule{At: []string{"2026-12-24T18:00", "tomorrow"}}, `schedule.at[1] "tomorrow": is not a date-time; write it like 2026-12-24T18:00, in time_zone, or with an offset like 2026-12-24T18:00:00+01:00`},
		{api.Schedule{At: []string{"2026-02-30T18:00"}}, `schedule.at[0] "2026-02-30T18:00": is not a date-time; write it like 2026-12-24T18:00, in time_zone, or with an offset like 2026-12-24T18:00:00+01:00`},
		{api.Schedule{At: []string{"2026-12-24T18:00:00.5Z"}}, `schedule.at[0] "2026-12-24T18:00:00.5Z": has a fraction of a second; write whole seconds`},
		{api.Schedule{At: []string{"2400-01-01T00:00"}}, `schedule.at[0] "2400-01-01T00:00": is not in the years 1–2399`},
		{nightly(func(s *api.Schedule) { s.StartAt = "2026" }), `schedule.start_at "2026": is not a date-time; write it like 2026-12-24T18:00, in time_zone, or with an offset like 2026-12-24T18:00:00+01:00`},
		{nightly(func(s *api.Schedule) { s.StartAt, s.EndAt = "2026-02-01T00:00", "2026-02-01T00:00:00Z" }), `schedule.end_at "2026-02-01T00:00:00Z": is not after start_at, 2026-02-01T00:00`},
		{nightly(func(s *api.Schedule) { s.ExcludeDates = []string{"2026-12-24", "24.12.2026"} }), `schedule.exclude_dates[1] "24.12.2026": is not a date; write it like 2026-12-24`},
		{nightly(func(s *api.Schedule) { s.ExcludeDates = []string{"2026-02-29"} }), `schedule.exclude_dates[0] "2026-02-29": is not a date; write it like 2026-12-24`},
		{nightly(func(s *api.Schedule) { s.ExcludeDates = []string{"0000-01-01"} }), `schedule.exclude_dates[0] "0000-01-01": is not in the years 1–2399`},

		{nightly(func(s *api.Schedule) { s.DST = &api.DST{} }), "schedule.dst is empty; set missing, repeated or both, or remove it"},
		{nightly(func(s *api.Schedule) { s.DST = &api.DST{Missing: "run_before"} }), `schedule.dst.missing "run_before": is not one of run_after, skip`},
		{nightly(func(s *api.Schedule) { s.DST = &api.DST{Repeated: "twice"} }), `schedule.dst.repeated "twice": is not one of auto, first, last, both`},
		{api.Schedule{Every: "1h", DST: &api.DST{Missing: "skip"}}, "schedule.dst goes with wall times, and every counts elapsed time, which daylight saving does not touch; remove it"},

		{nightly(func(s *api.Schedule) { s.Jitter = "a bit" }), `schedule.jitter "a bit": is not a duration; write it like 30s or 10m`},
		{nightly(func(s *api.Schedule) { s.Jitter = "0s" }), `schedule.jitter "0s": is shorter than 1s, the shortest jitter; lengthen it or remove it`},
		{nightly(func(s *api.Schedule) { s.Jitter = "1500ms" }), `schedule.jitter "1500ms": is not a whole number of seconds`},
		{nightly(func(s *api.Schedule) { s.Jitter = "1d" }), `schedule.jitter "1d": is not shorter than 24h, the shortest time between two occurrences`},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			_, err := schedule.Parse(tt.declared)
			if err == nil || err.Error() != tt.want {
				t.Errorf("Parse =\n%v, want\n%s", err, tt.want)
			}
		})
	}
}

func TestAllFindingsComeAtOnce(t *testing.T) {
	_, err := schedule.Parse(api.Schedule{
		Cron: "0 25 * * *", Every: "0s", Anchor: "noon", TimeZone: "Mars/Base", StartAt: "now", EndAt: "never", Jitter: "x",
		Calendar:     &api.Calendar{Hours: []int64{24}, Minutes: []int64{60}, Months: []string{"x"}, Weekdays: []string{"x"}, DaysOfMonth: []int64{40}, OnShortMonth: "x"},
		At:           []string{"x", "2026-01-01T00:00", "y"},
		ExcludeDates: []string{"2026-01-01", "x"},
		DST:          &api.DST{Missing: "x", Repeated: "y"},
	})
	problems, _ := errors.AsType[schedule.Problems](err)
	var got []string
	for _, p := range problems {
		got = append(got, p.Pointer)
		if p.Code != api.CodeInvalid || p.Message == "" {
			t.Errorf("%s: code %q, message %q", p.Pointer, p.Code, p.Message)
		}
	}
	slices.Sort(got)
	want := []string{
		"/schedule", "/schedule/anchor", "/schedule/at/0", "/schedule/at/2",
		"/schedule/calendar/days_of_month/0", "/schedule/calendar/hours/0", "/schedule/calendar/minutes/0",
		"/schedule/calendar/months/0", "/schedule/calendar/on_short_month", "/schedule/calendar/weekdays/0",
		"/schedule/cron", "/schedule/dst", "/schedule/dst/missing", "/schedule/dst/repeated", "/schedule/end_at",
		"/schedule/every", "/schedule/exclude_dates/1", "/schedule/jitter", "/schedule/start_at", "/schedule/time_zone",
	}
	if !slices.Equal(got, want) {
		t.Errorf("findings are about\n%v, want\n%v", got, want)
	}
}

func TestWhatNeverFiresNamesTheFieldToBlame(t *testing.T) {
	tests := []struct {
		name     string
		declared api.Schedule
		want     string
	}{
		{"the expression", api.Schedule{Cron: "0 0 30 2 *", EndAt: "2030-01-01T00:00", ExcludeDates: []string{"2026-01-01"}},
			`schedule.cron "0 0 30 2 *": never fires: no day-of-month 30 in month 2`},
		{"days that no month has", api.Schedule{Calendar: &api.Calendar{Months: []string{"feb", "apr"}, DaysOfMonth: []int64{31}, OnShortMonth: "skip", Hours: []int64{0}}},
			`schedule.calendar.days_of_month "31": never fires: no month of months has such a day`},
		{"weekdays that never meet the days", api.Schedule{Calendar: &api.Calendar{DaysOfMonth: []int64{1}, Weekdays: []string{"mon#2"}, Hours: []int64{0}}},
			`schedule.calendar.weekdays "mon#2": never fires: no day of months and days_of_month is one of weekdays, mon#2`},
		{"the end", api.Schedule{Cron: "0 0 29 2 *", StartAt: "2025-01-01T00:00", EndAt: "2028-02-29T00:00"},
			`schedule.end_at "2028-02-29T00:00": never fires: no occurrence comes between start_at, 2025-01-01T00:00, and it`},
		{"the start", api.Schedule{At: []string{"2026-12-24T18:00"}, StartAt: "2026-12-24T18:00:01"},
			`schedule.start_at "2026-12-24T18:00:01": never fires: no occurrence comes at or after it`},
		{"an interval between its occurrences", api.Schedule{Every: "7d", StartAt: "1970-01-01T00:00:01Z", EndAt: "1970-01-08T00:00:00Z"},
			`schedule.end_at "1970-01-08T00:00:00Z": never fires: no occurrence comes between start_at, 1970-01-01T00:00:01Z, and it`},
		{"the end alone", api.Schedule{At: []string{"2026-12-24T18:00"}, EndAt: "2026-12-24T18:00"},
			`schedule.end_at "2026-12-24T18:00": never fires: no occurrence comes before it`},
		{"the excluded dates", api.Schedule{Cron: "0 2 * * *", StartAt: "2026-12-24T00:00", EndAt: "2026-12-26T00:00", ExcludeDates: []string{"2026-12-25", "2026-12-24"}},
			`schedule.exclude_dates "2026-12-25": never fires: the dates exclude every occurrence`},
		{"the excluded dates of an interval", api.Schedule{Every: "1s", StartAt: "2026-12-24T00:00", EndAt: "2026-12-25T00:00", ExcludeDates: []string{"2026-12-24"}, TimeZone: "Asia/Tokyo"},
			`schedule.exclude_dates "2026-12-24": never fires: the dates exclude every occurrence`},
		{"the excluded dates of single date-times", api.Schedule{At: []string{"2026-12-24T18:00"}, ExcludeDates: []string{"2026-12-24"}},
			`schedule.exclude_dates "2026-12-24": never fires: the dates exclude every occurrence`},
		{"a missing time that is skipped", api.Schedule{At: []string{"2026-03-29T02:30"}, TimeZone: "Europe/Berlin", DST: &api.DST{Missing: "skip"}},
			`schedule.dst.missing "skip": never fires: daylight saving removes every occurrence; write "run_after"`},
		{"several together", api.Schedule{At: []string{"2026-12-24T18:00"}, StartAt: "2026-12-25T00:00", ExcludeDates: []string{"2026-12-24"}},
			"schedule never fires: between them, start_at, end_at, exclude_dates and dst leave no occurrence"},
		{"weekdays that the months lack, whatever else is set", api.Schedule{Calendar: &api.Calendar{Months: []string{"apr"}, DaysOfMonth: []int64{31}, Weekdays: []string{"mon"}, OnShortMonth: "skip", Hours: []int64{0}}, EndAt: "2026-12-25T00:00"},
			`schedule.calendar.weekdays "mon": never fires: no day of months and days_of_month is one of weekdays, mon`},
		{"the edge of the calendar", api.Schedule{At: []string{"0001-01-01T00:00"}, TimeZone: "Asia/Tokyo"},
			`schedule.at "0001-01-01T00:00": is not in the years 1–2399`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := schedule.Parse(tt.declared)
			if err == nil || err.Error() != tt.want {
				t.Errorf("Parse =\n%v, want\n%s", err, tt.want)
			}
		})
	}
}

func TestRareRulesStillFire(t *testing.T) {
	for _, declared := range []api.Schedule{
		{Cron: "0 0 29 2 */7"},
		{Cron: "0 0 * 2 MON#5"},
		{Cron: "0 0 29W 2 *"},
		{Calendar: &api.Calendar{Months: []string{"feb"}, DaysOfMonth: []int64{-1}, Weekdays: []string{"sun#5"}, Hours: []int64{0}}},
		{Cron: "0 0 29 2 *", ExcludeDates: []string{"2028-02-29", "2032-02-29", "2036-02-29", "2040-02-29", "2044-02-29", "2048-02-29", "2052-02-29", "2056-02-29", "2060-02-29", "2064-02-29", "2068-02-29", "2072-02-29"}},
	} {
		s := mustParse(t, declared)
		if next, ok := s.Next(at("2026-01-01T00:00:00Z")); !ok || next.Month() != 2 || next.Day() != 29 && declared.Cron != "0 0 29W 2 *" {
			t.Errorf("%+v: Next = %s, %t, want a leap day", declared, next, ok)
		}
	}
}
