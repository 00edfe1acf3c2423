package schedule_test

import (
	"slices"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func TestCalendar(t *testing.T) {
	tests := []struct {
		name         string
		calendar     api.Calendar
		after, until string
		want         []string
	}{
		{"every day at the full hour", api.Calendar{Hours: []int64{18, 6}}, "2026-01-01T00:00:00Z", "2026-01-02T06:00:00Z",
			[]string{"2026-01-01T06:00:00Z", "2026-01-01T18:00:00Z", "2026-01-02T06:00:00Z"}},
		{"at minutes", api.Calendar{Hours: []int64{6}, Minutes: []int64{45, 15}}, "2026-01-01T00:00:00Z", "2026-01-01T23:00:00Z",
			[]string{"2026-01-01T06:15:00Z", "2026-01-01T06:45:00Z"}},
		{"months by name and number", api.Calendar{Months: []string{"jan", "7"}, DaysOfMonth: []int64{1}, Hours: []int64{0}}, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z",
			[]string{"2026-07-01T00:00:00Z", "2027-01-01T00:00:00Z"}},
		{"days from the end", api.Calendar{DaysOfMonth: []int64{-1, -28}, Hours: []int64{0}}, "2026-02-01T00:00:00Z", "2026-04-01T00:00:00Z",
			[]string{"2026-02-28T00:00:00Z", "2026-03-04T00:00:00Z", "2026-03-31T00:00:00Z"}},
		{"days and weekdays must both match", api.Calendar{DaysOfMonth: []int64{13}, Weekdays: []string{"fri"}, Hours: []int64{0}}, "2026-01-01T00:00:00Z", "2026-12-31T00:00:00Z",
			[]string{"2026-02-13T00:00:00Z", "2026-03-13T00:00:00Z", "2026-11-13T00:00:00Z"}},
		{"counted weekdays", api.Calendar{Weekdays: []string{"mon#2", "fri#-1"}, Hours: []int64{0}}, "2026-01-01T00:00:00Z", "2026-02-28T00:00:00Z",
			[]string{"2026-01-12T00:00:00Z", "2026-01-30T00:00:00Z", "2026-02-09T00:00:00Z", "2026-02-27T00:00:00Z"}},
		{"the fifth from the end is not in every month", api.Calendar{Weekdays: []string{"fri#-5"}, Hours: []int64{0}}, "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z",
			[]string{"2026-01-02T00:00:00Z", "2026-05-01T00:00:00Z"}},
		{"a day that a month lacks is its last", api.Calendar{DaysOfMonth: []int64{31}, OnShortMonth: "last_day", Hours: []int64{0}}, "2026-01-01T00:00:00Z", "2026-05-01T00:00:00Z",
			[]string{"2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z", "2026-04-30T00:00:00Z"}},
		{"several days that a month lacks are its last once", api.Calendar{DaysOfMonth: []int64{29, 30, 31}, OnShortMonth: "last_day", Hours: []int64{0}}, "2026-02-01T00:00:00Z", "2026-03-29T00:00:00Z",
			[]string{"2026-02-28T00:00:00Z", "2026-03-29T00:00:00Z"}},
		{"or is skipped", api.Calendar{DaysOfMonth: []int64{31}, OnShortMonth: "skip", Hours: []int64{0}}, "2026-01-01T00:00:00Z", "2026-05-01T00:00:00Z",
			[]string{"2026-01-31T00:00:00Z", "2026-03-31T00:00:00Z"}},
		{"the day that stands in must be of the weekday", api.Calendar{DaysOfMonth: []int64{31}, Weekdays: []string{"sat"}, OnShortMonth: "last_day", Hours: []int64{0}}, "2026-01-01T00:00:00Z", "2026-12-31T00:00:00Z",
			[]string{"2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z", "2026-10-31T00:00:00Z"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := mustParse(t, api.Schedule{Calendar: &tt.calendar})
			assertInstants(t, slices.Collect(s.Between(at(tt.after), at(tt.until))), tt.want)
		})
	}
}
