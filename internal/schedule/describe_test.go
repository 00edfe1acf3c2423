package schedule_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
	"pgregory.net/rapid"
)

func TestDescribe(t *testing.T) {
	inZone := func(cron, zone string) api.Schedule { return api.Schedule{Cron: cron, TimeZone: zone} }
	inCalendar := func(c api.Calendar) api.Schedule { return api.Schedule{Calendar: &c} }
	tests := []struct {
		written api.Schedule
		want    string
	}{
		// Times.
		{inZone("0 2 * * MON-SAT", "Europe/Berlin"), "at 02:00, Monday to Saturday, Europe/Berlin"},
		{inZone("30 * * * *", "America/New_York"), "at minute 30 of every hour, America/New_York"},
		{inZone("* * * * *", ""), "every minute, UTC"},
		{inZone("@hourly", ""), "every hour, UTC"},
		{inZone("*/15 * * * *", ""), "every 15 minutes, UTC"},
		{inZone("*/7 * * * *", ""), "at minutes 0–56 by 7 of every hour, UTC"},
		{inZone("7/20 * * * *", ""), "at minutes 7, 27 and 47 of every hour, UTC"},
		{inZone("0-9,30 * * * *", ""), "at minutes 0–9 and 30 of every hour, UTC"},
		{inZone("0 */2 * * *", ""), "every 2 hours from 00:00, UTC"},
		{inZone("30 1-23/6 * * *", ""), "every 6 hours from 01:30, UTC"},
		{inZone("0 */5 * * *", ""), "every 5 hours from 00:00 to 20:00, UTC"},
		{inZone("0 9-17 * * *", ""), "every hour from 09:00 to 17:00, UTC"},
		{inZone("*/15 9-17 * * *", ""), "every 15 minutes from 09:00 to 17:45, UTC"},
		{inZone("* 2 * * *", ""), "every minute of 02:00–02:59, UTC"},
		{inZone("* 1,5 * * *", ""), "every minute past 01 and 05, UTC"},
		{inZone("0,30 1 * * *", ""), "at 01:00 and 01:30, UTC"},
		{inZone("*/20 1,5,9 * * *", ""), "at minutes 0, 20 and 40 past 01, 05 and 09, UTC"},
		{inZone("5 0-8/4,12-15 * * *", ""), "at minute 5 past 00, 04, 08 and 12–15, UTC"},
		{inZone("30 0 2 * * *", ""), "at 02:00:30, UTC"},
		{inZone("* * * * * *", ""), "every second, UTC"},
		{inZone("*/20 * * * * *", ""), "every 20 seconds, UTC"},
		{inZone("5,25 * * * * *", ""), "at seconds 5 and 25 of every minute, UTC"},
		{inZone("30 0 * * * *", ""), "at second 30 of minute 0 of every hour, UTC"},
		{inZone("* 0 1,5 * * *", ""), "every second of minute 0 past 01 and 05, UTC"},
		{inZone("* * 1,5 * * *", ""), "every second past 01 and 05, UTC"},

		// Days.
		{inZone("0 0 1,15,30 * *", ""), "at 00:00 on days 1, 15 and 30 of the month where they exist, UTC"},
		{inZone("0 0 1-7 * *", ""), "at 00:00 on days 1–7 of the month, UTC"},
		{inZone("0 0 29 2 *", ""), "at 00:00 on day 29 of February where it exists, UTC"},
		{inZone("0 0 31 1,12 *", ""), "at 00:00 on day 31 of January and December, UTC"},
		{inZone("0 0 L * *", ""), "at 00:00 on the last day of the month, UTC"},
		{inZone("0 0 L-3 * *", ""), "at 00:00 on the 4th-last day of the month, UTC"},
		{inZone("0 0 LW 3 *", ""), "at 00:00 on the last weekday of March, UTC"},
		{inZone("0 0 15W * *", ""), "at 00:00 on the weekday nearest the 15th of the month, UTC"},
		{inZone("0 0 1,15,L * *", ""), "at 00:00 on days 1 and 15 and the last day of the month, UTC"},
		{inZone("0 0 13 * FRI", ""), "at 00:00 on day 13 of the month or on Friday, UTC"},
		{inZone("0 0 13 * 0-6", ""), "at 00:00, UTC"}, // either of them is any day
		{inZone("0 0 */10 * FRI", ""), "at 00:00 on days 1, 11, 21 and 31 of the month where they exist when it is Friday, UTC"},
		{inZone("0 0 * * SUN,WED", ""), "at 00:00 on Wednesday and Sunday, UTC"},
		{inZone("0 0 * 1-3,10 MON", ""), "at 00:00 on Monday in January to March and October, UTC"},
		{inZone("0 0 * 3 *", ""), "at 00:00 in March, UTC"},
		{inZone("0 0 * * 5L", ""), "at 00:00 on the last Friday of the month, UTC"},
		{inCalendar(api.Calendar{Hours: []int64{6, 18}, DaysOfMonth: []int64{-1}}), "at 06:00 and 18:00 on the last day of the month, UTC"},
		{inCalendar(api.Calendar{Hours: []int64{2}, Weekdays: []string{"mon#2"}, Months: []string{"jan", "jul"}}),
			"at 02:00 on the second Monday of January and July, UTC"},
		{inCalendar(api.Calendar{Hours: []int64{2}, Weekdays: []string{"wed", "fri#-2"}}), "at 02:00 on Wednesday and the second-last Friday of the month, UTC"},
		{inCalendar(api.Calendar{Hours: []int64{2}, DaysOfMonth: []int64{31}, OnShortMonth: "last_day"}),
			"at 02:00 on day 31 of the month or the last day of a shorter one, UTC"},
		{inCalendar(api.Calendar{Hours: []int64{2}, DaysOfMonth: []int64{-1}, Weekdays: []string{"fri", "sat"}}),
			"at 02:00 on the last day of the month when it is Friday or Saturday, UTC"},

		// Intervals and single times.
		{api.Schedule{Every: "6h", Anchor: "2026-01-01T01:00:00+01:00"}, "every 6h from 2026-01-01T00:00:00Z"},
		{api.Schedule{Every: "90m", Anchor: api.DefaultAnchor}, "every 90m"},
		{api.Schedule{Every: "7d", TimeZone: "Asia/Kolkata"}, "every 7d, Asia/Kolkata"},
		{api.Schedule{At: []string{"2026-12-24T18:00"}, TimeZone: "Europe/Berlin"}, "once at 2026-12-24T18:00, Europe/Berlin"},
		{api.Schedule{At: []string{"2026-12-24T18:00:00Z", "2026-12-25T18:00:00Z"}}, "at 2026-12-24T18:00:00Z and 2026-12-25T18:00:00Z"},
		{api.Schedule{At: []string{"2026-12-24T18:00", "2026-12-25T18:00", "2026-12-26T18:00", "2026-12-27T18:00"}}, "at 2026-12-24T18:00 and 3 more times, UTC"},

		// What goes with any rule.
		{api.Schedule{Cron: "0 2 * * *", StartAt: "2026-01-01T00:00", EndAt: "2027-01-01T00:00:00Z", ExcludeDates: []string{"2026-12-25"}, Jitter: "10m"},
			"at 02:00, UTC, from 2026-01-01T00:00, until 2027-01-01T00:00:00Z, not on 2026-12-25, up to 10m later (jitter)"},
		{api.Schedule{Cron: "0 2 * * *", ExcludeDates: []string{"2026-12-25", "2026-12-26"}}, "at 02:00, UTC, not on 2026-12-25 and 2026-12-26"},
		{api.Schedule{Cron: "0 2 * * *", ExcludeDates: []string{"2026-12-25", "2026-12-26", "2027-01-01", "2027-01-06"}}, "at 02:00, UTC, not on 2026-12-25 and 3 more dates"},
		{api.Schedule{Cron: "0 2 * * *", DST: &api.DST{Missing: "skip", Repeated: "last"}},
			"at 02:00, UTC, skipped when daylight saving removes the time, the last time when daylight saving repeats it"},
		{api.Schedule{Cron: "0 2 * * *", DST: &api.DST{Missing: "run_after", Repeated: "auto"}}, "at 02:00, UTC"},
	}
	for _, tt := range tests {
		if got := mustParse(t, tt.written).Describe(); got != tt.want {
			t.Errorf("%s reads %q,\nwant %q", text(tt.written), got, tt.want)
		}
	}
}

func TestNoTwoRulesReadTheSame(t *testing.T) {
	byWords := map[string]string{}
	for _, r := range slices.Concat(oracleRules, secondRules) {
		words := mustParse(t, r.written).Describe()
		if same, ok := byWords[words]; ok {
			t.Errorf("%s and %s both read %q", same, text(r.written), words)
		}
		byWords[words] = text(r.written)
	}
}

// A plan shows a schedule in words: what a user takes away must change them.
func TestWhateverIsWrittenShows(t *testing.T) {
	all := api.Schedule{
		Cron: "30 2 15W * MON#2", TimeZone: "Europe/Berlin", StartAt: "2026-01-01T00:00", EndAt: "2030-01-01T00:00",
		ExcludeDates: []string{"2026-12-24", "2026-12-31"}, Jitter: "10m", DST: &api.DST{Missing: "skip", Repeated: "last"},
	}
	whole := mustParse(t, all).Describe()
	for name, drop := range map[string]func(*api.Schedule){
		"time_zone":     func(s *api.Schedule) { s.TimeZone = "" },
		"start_at":      func(s *api.Schedule) { s.StartAt = "" },
		"end_at":        func(s *api.Schedule) { s.EndAt = "" },
		"exclude_dates": func(s *api.Schedule) { s.ExcludeDates = nil },
		"one date":      func(s *api.Schedule) { s.ExcludeDates = s.ExcludeDates[:1] },
		"jitter":        func(s *api.Schedule) { s.Jitter = "" },
		"dst":           func(s *api.Schedule) { s.DST = nil },
		"dst.missing":   func(s *api.Schedule) { s.DST = &api.DST{Repeated: "last"} },
		"dst.repeated":  func(s *api.Schedule) { s.DST = &api.DST{Missing: "skip"} },
	} {
		less := all
		drop(&less)
		if got := mustParse(t, less).Describe(); got == whole {
			t.Errorf("without %s it still reads %q", name, got)
		}
	}
}

// Rules that differ in one field read differently, unless they are due at the
// same instants.
func TestRulesThatReadTheSameAreDueTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		one := drawSchedule(rt)
		written := redrawOneField(rt, one.written)
		other, err := schedule.Parse(written)
		if err != nil || other.Describe() != one.parsed.Describe() || len(written.At) > 3 {
			return // or their words count times that they do not list
		}
		again := sample(other)
		for i, due := range sample(one.parsed) {
			if !due.Equal(again[i]) {
				rt.Fatalf("%s and %s both read %q, but one is due at %s, the other at %s", text(one.written), text(written), other.Describe(), due, again[i])
			}
		}
	})
}

func redrawOneField(rt *rapid.T, s api.Schedule) api.Schedule {
	switch {
	case s.Cron != "":
		fields, redrawn := strings.Fields(s.Cron), strings.Fields(drawCron(rt))
		i := rapid.IntRange(1, min(len(fields), len(redrawn))).Draw(rt, "field from the end")
		fields[len(fields)-i] = redrawn[len(redrawn)-i]
		s.Cron = strings.Join(fields, " ")
	case s.Calendar != nil:
		c, redrawn := *s.Calendar, drawCalendar(rt)
		switch rapid.IntRange(0, 4).Draw(rt, "field") {
		case 0:
			c.Months = redrawn.Months
		case 1:
			c.DaysOfMonth, c.OnShortMonth = redrawn.DaysOfMonth, redrawn.OnShortMonth
		case 2:
			c.Weekdays = redrawn.Weekdays
		case 3:
			c.Hours = redrawn.Hours
		case 4:
			c.Minutes = redrawn.Minutes
		}
		s.Calendar = &c
	case s.Every != "":
		s.Every = drawEvery(rt)
	}
	return s
}

// sample is some occurrences of ten years: many in a row, and single ones.
func sample(s *schedule.Schedule) []time.Time {
	var list []time.Time
	ask := func(after time.Time) time.Time {
		next, _ := s.Next(after)
		list = append(list, next)
		return next
	}
	next := at("2026-01-01T00:00:00Z")
	for range 200 {
		next = ask(next)
	}
	for day := at("2018-01-01T00:30:00Z"); day.Year() < 2029; day = day.Add(5*24*time.Hour + 25*time.Minute) {
		ask(day)
	}
	return list
}
