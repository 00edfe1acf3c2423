package schedule_test

import (
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func TestWarnings(t *testing.T) {
	const berlin = "Europe/Berlin"
	sundays := api.Schedule{Calendar: &api.Calendar{Hours: []int64{2}, Weekdays: []string{"sun"}, Months: []string{"mar"}}, TimeZone: berlin}
	tests := []struct {
		name     string
		declared api.Schedule
		now      string
		want     []string // as Error writes them: path, message; hint
	}{
		{"both day fields", api.Schedule{Cron: "0 0 13 * FRI"}, "2026-01-01T00:00:00Z",
			[]string{`schedule.cron "0 0 13 * FRI": day-of-month and day-of-week are both restricted, so a day matches by either one, not only by both; for days that match both write calendar with days_of_month and weekdays; for one of them write * in the other field`}},
		{"one day field", api.Schedule{Cron: "0 0 */2 * FRI"}, "2026-01-01T00:00:00Z", nil},
		{"a past end", api.Schedule{Cron: "0 0 * * *", TimeZone: berlin, EndAt: "2026-01-01T00:00"}, "2026-01-01T00:00:00Z",
			[]string{`schedule.end_at "2026-01-01T00:00": nothing is due any more; the last occurrence was 2025-12-31T00:00:00+01:00; move it, or remove it`}},
		{"date-times that are past", api.Schedule{At: []string{"2025-01-01T00:00", "2025-06-01T00:00"}}, "2026-01-01T00:00:00Z",
			[]string{`schedule.at "2025-01-01T00:00, 2025-06-01T00:00": nothing is due any more; the last occurrence was 2025-06-01T00:00:00Z; move it, or remove the schedule`}},
		{"a date-time that is due now is not due after now", api.Schedule{At: []string{"2026-01-01T00:00"}}, "2026-01-01T00:00:00Z",
			[]string{`schedule.at "2026-01-01T00:00": nothing is due any more; the last occurrence was 2026-01-01T00:00:00Z; move it, or remove the schedule`}},
		{"a missing and a repeated time", api.Schedule{Cron: "30 2 * * *", TimeZone: berlin}, "2026-01-01T00:00:00Z",
			[]string{`schedule.cron "30 2 * * *": 02:30 does not exist on 2026-03-29, when clocks are put forward; due at 03:00 instead; 02:30 is shown twice on 2026-10-25, when clocks are put back; due the first time only (Europe/Berlin); write dst = { missing = "run_after", repeated = "first" } to keep that, or choose missing = "skip", repeated = "last" or "both"; or take times that daylight saving leaves alone`}},
		{"only what is not written out", api.Schedule{Cron: "30 2 * * *", TimeZone: berlin, DST: &api.DST{Missing: "skip"}}, "2026-01-01T00:00:00Z",
			[]string{`schedule.cron "30 2 * * *": 02:30 is shown twice on 2026-10-25, when clocks are put back; due the first time only (Europe/Berlin); write dst = { repeated = "first" } to keep that, or choose repeated = "last" or "both"; or take times that daylight saving leaves alone`}},
		{"all written out", api.Schedule{Cron: "30 2 * * *", TimeZone: berlin, DST: &api.DST{Missing: "run_after", Repeated: "auto"}}, "2026-01-01T00:00:00Z", nil},
		{"a calendar says itself in words", sundays, "2026-01-01T00:00:00Z",
			[]string{`schedule.calendar "` + mustParse(t, sundays).Describe() + `": 02:00 does not exist on 2026-03-29, when clocks are put forward; due at 03:00 instead (Europe/Berlin); write dst = { missing = "run_after" } to keep that, or choose missing = "skip"; or take times that daylight saving leaves alone`}},
		{"a date-time in a gap", api.Schedule{At: []string{"2026-03-29T02:30"}, TimeZone: berlin}, "2026-01-01T00:00:00Z",
			[]string{`schedule.at "2026-03-29T02:30": 02:30 does not exist on 2026-03-29, when clocks are put forward; due at 03:00 instead (Europe/Berlin); write dst = { missing = "run_after" } to keep that, or choose missing = "skip"; or take times that daylight saving leaves alone`}},
		{"times that daylight saving leaves alone", api.Schedule{Cron: "30 3 * * *", TimeZone: berlin}, "2026-01-01T00:00:00Z", nil},
		{"not on a Sunday", api.Schedule{Cron: "30 2 * * MON-SAT", TimeZone: berlin}, "2026-01-01T00:00:00Z", nil},
		{"hourly", api.Schedule{Cron: "30 * * * *", TimeZone: berlin}, "2026-01-01T00:00:00Z", nil},
		{"an interval", api.Schedule{Every: "30m", TimeZone: berlin}, "2026-01-01T00:00:00Z", nil},
		{"a zone without daylight saving", api.Schedule{Cron: "30 2 * * *", TimeZone: "Asia/Kolkata"}, "2026-01-01T00:00:00Z", nil},
		{"changes out of bounds", api.Schedule{Cron: "30 2 * * *", TimeZone: berlin, StartAt: "2026-03-30T00:00", EndAt: "2026-10-25T00:00"}, "2026-01-01T00:00:00Z", nil},
		{"changes more than a year ahead", api.Schedule{Cron: "30 2 * 10 *", TimeZone: berlin, StartAt: "2027-01-01T00:00"}, "2025-10-30T00:00:00Z", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := mustParse(t, tt.declared).Warnings(at(tt.now))
			for i := range max(len(got), len(tt.want)) {
				switch {
				case i >= len(got):
					t.Errorf("missing: %s", tt.want[i])
				case i >= len(tt.want):
					t.Errorf("unexpected: %s", got[i].Error())
				case got[i].Error() != tt.want[i]:
					t.Errorf("got\n%s, want\n%s", got[i].Error(), tt.want[i])
				}
			}
		})
	}
}
