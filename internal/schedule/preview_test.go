package schedule_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

func TestPreviewSaysWhyAnOccurrenceIsWhereItIs(t *testing.T) {
	const berlin = "Europe/Berlin"
	shortMonth := api.Schedule{Calendar: &api.Calendar{DaysOfMonth: []int64{31}, Hours: []int64{6}, OnShortMonth: "last_day"}}
	tests := []struct {
		name               string
		declared           api.Schedule
		after              string
		at, nominal, local string
		note               schedule.Note
		text               string
	}{
		{"an ordinary day", api.Schedule{Cron: "30 2 * * *", TimeZone: berlin}, "2026-07-01T12:00:00Z",
			"2026-07-02T00:30:00Z", "2026-07-02T02:30:00", "2026-07-02T02:30:00+02:00", "", ""},
		{"in a gap", api.Schedule{Cron: "30 2 * * *", TimeZone: berlin}, "2026-03-28T12:00:00Z",
			"2026-03-29T01:00:00Z", "2026-03-29T02:30:00", "2026-03-29T03:00:00+02:00",
			schedule.InGap, "02:30 does not exist on 2026-03-29; due at the first instant after the gap, 03:00"},
		{"the first of several in a gap", api.Schedule{Cron: "15 */5 2 * * *", TimeZone: berlin}, "2026-03-28T12:00:00Z",
			"2026-03-29T01:00:00Z", "2026-03-29T02:00:15", "2026-03-29T03:00:00+02:00",
			schedule.InGap, "02:00:15 does not exist on 2026-03-29; due at the first instant after the gap, 03:00"},
		{"a date that was skipped", api.Schedule{Cron: "0 9 * * FRI", TimeZone: "Pacific/Apia"}, "2011-12-29T00:00:00Z",
			"2011-12-30T10:00:00Z", "2011-12-30T09:00:00", "2011-12-31T00:00:00+14:00",
			schedule.InGap, "09:00 does not exist on 2011-12-30; due at the first instant after the gap, 00:00 on 2011-12-31"},
		{"right after a gap", api.Schedule{Cron: "0 2,3 * * *", TimeZone: berlin}, "2026-03-28T12:00:00Z",
			"2026-03-29T01:00:00Z", "2026-03-29T03:00:00", "2026-03-29T03:00:00+02:00", "", ""},
		{"repeated, the first time", api.Schedule{Cron: "30 2 * * *", TimeZone: berlin}, "2026-10-24T12:00:00Z",
			"2026-10-25T00:30:00Z", "2026-10-25T02:30:00", "2026-10-25T02:30:00+02:00",
			schedule.Repeated, "02:30 is shown twice on 2026-10-25; due the first time"},
		{"repeated, the second time", api.Schedule{Cron: "30 * * * *", TimeZone: berlin}, "2026-10-25T00:45:00Z",
			"2026-10-25T01:30:00Z", "2026-10-25T02:30:00", "2026-10-25T02:30:00+01:00",
			schedule.Repeated, "02:30 is shown twice on 2026-10-25; due the second time"},
		{"the last day stands in", shortMonth, "2026-02-01T00:00:00Z",
			"2026-02-28T06:00:00Z", "2026-02-28T06:00:00", "2026-02-28T06:00:00Z",
			schedule.Moved, "February 2026 has no day 31; its last day stands in"},
		{"a month that has the day", shortMonth, "2026-03-01T00:00:00Z",
			"2026-03-31T06:00:00Z", "2026-03-31T06:00:00", "2026-03-31T06:00:00Z", "", ""},
		{"the nearest weekday", api.Schedule{Cron: "0 6 15W * *"}, "2026-08-01T00:00:00Z",
			"2026-08-14T06:00:00Z", "2026-08-14T06:00:00", "2026-08-14T06:00:00Z",
			schedule.Moved, "2026-08-15 is a Saturday; moved to the nearest weekday"},
		{"a weekday itself", api.Schedule{Cron: "0 6 15W * *"}, "2026-09-01T00:00:00Z",
			"2026-09-15T06:00:00Z", "2026-09-15T06:00:00", "2026-09-15T06:00:00Z", "", ""},
		{"the nearest weekday where the rule names it too", api.Schedule{Cron: "0 6 14,15W * *"}, "2026-08-01T00:00:00Z",
			"2026-08-14T06:00:00Z", "2026-08-14T06:00:00", "2026-08-14T06:00:00Z", "", ""},
		{"an interval in a repeated hour", api.Schedule{Every: "1h", TimeZone: berlin}, "2026-10-25T00:30:00Z",
			"2026-10-25T01:00:00Z", "2026-10-25T02:00:00", "2026-10-25T02:00:00+01:00", "", ""},
		{"an instant in a repeated hour", api.Schedule{At: []string{"2026-10-25T01:00:00Z", "2026-10-26T00:00"}, TimeZone: berlin}, "2026-10-25T00:30:00Z",
			"2026-10-25T01:00:00Z", "2026-10-25T02:00:00", "2026-10-25T02:00:00+01:00", "", ""},
		{"a local date-time in a gap", api.Schedule{At: []string{"2026-03-29T02:30"}, TimeZone: berlin}, "2026-03-01T00:00:00Z",
			"2026-03-29T01:00:00Z", "2026-03-29T02:30:00", "2026-03-29T03:00:00+02:00",
			schedule.InGap, "02:30 does not exist on 2026-03-29; due at the first instant after the gap, 03:00"},
		{"a local date-time", api.Schedule{At: []string{"2026-03-28T02:30"}, TimeZone: berlin}, "2026-03-01T00:00:00Z",
			"2026-03-28T01:30:00Z", "2026-03-28T02:30:00", "2026-03-28T02:30:00+01:00", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			list := mustParse(t, tt.declared).Preview(at(tt.after), 1)
			if len(list) != 1 {
				t.Fatalf("Preview has %d occurrences", len(list))
			}
			got := list[0]
			assertInstants(t, []time.Time{got.At}, []string{tt.at})
			if got.Nominal != tt.nominal || got.Local.Format(time.RFC3339) != tt.local || got.Note != tt.note || got.Text != tt.text {
				t.Errorf("got %s, %s, %q, %q\nwant %s, %s, %q, %q",
					got.Nominal, got.Local.Format(time.RFC3339), got.Note, got.Text, tt.nominal, tt.local, tt.note, tt.text)
			}
		})
	}
}

func TestPreviewListsTheNextOnes(t *testing.T) {
	s := mustParse(t, api.Schedule{Cron: "0 2 * * *", EndAt: "2026-01-04T00:00"})
	for _, tt := range []struct{ count, want int }{{-1, 0}, {0, 0}, {2, 2}, {10, 3}} {
		list := s.Preview(at("2026-01-01T00:00:00Z"), tt.count)
		if len(list) != tt.want {
			t.Fatalf("Preview of %d has %d", tt.count, len(list))
		}
		due := slices.Collect(s.Between(at("2026-01-01T00:00:00Z"), at("2026-02-01T00:00:00Z")))
		for i, o := range list {
			if !o.At.Equal(due[i]) {
				t.Errorf("the occurrence %d is %s, want %s", i, o.At, due[i])
			}
		}
	}
}

func TestCollisions(t *testing.T) {
	schedules := map[string]*schedule.Schedule{
		"nightly": mustParse(t, api.Schedule{Cron: "0 2 * * *"}),
		"weekly":  mustParse(t, api.Schedule{Cron: "0 2 * * MON"}),
		"berlin":  mustParse(t, api.Schedule{Cron: "0 3 5 1 *", TimeZone: "Europe/Berlin"}), // 02:00Z
		"seconds": mustParse(t, api.Schedule{Every: "1s", EndAt: "2026-01-01T00:00:00Z"}),
		"monthly": mustParse(t, api.Schedule{Cron: "30 4 1 * *"}),
	}
	tests := []struct {
		name           string
		after, until   string
		atLeast, limit int
		want           []string
	}{
		{"two", "2026-01-01T00:00:00Z", "2026-01-13T00:00:00Z", 2, 10, []string{"2026-01-05T02:00:00Z berlin nightly weekly", "2026-01-12T02:00:00Z nightly weekly"}},
		{"three", "2026-01-01T00:00:00Z", "2026-12-31T00:00:00Z", 3, 10, []string{"2026-01-05T02:00:00Z berlin nightly weekly"}},
		{"no more than the limit", "2026-01-01T00:00:00Z", "2026-12-31T00:00:00Z", 2, 1, []string{"2026-01-05T02:00:00Z berlin nightly weekly"}},
		{"the start is left out, the end is not", "2026-01-05T02:00:00Z", "2026-01-12T02:00:00Z", 2, 10, []string{"2026-01-12T02:00:00Z nightly weekly"}},
		{"a dense rule is leapt through", "2025-12-01T00:00:00Z", "2026-01-01T00:00:00Z", 3, 2, []string{"2025-12-01T02:00:00Z nightly seconds weekly", "2025-12-08T02:00:00Z nightly seconds weekly"}},
		{"every one", "2025-12-31T23:59:57Z", "2026-01-01T05:00:00Z", 1, 10,
			[]string{"2025-12-31T23:59:58Z seconds", "2025-12-31T23:59:59Z seconds", "2026-01-01T02:00:00Z nightly", "2026-01-01T04:30:00Z monthly"}},
		{"more than there are", "2026-01-01T00:00:00Z", "2026-12-31T00:00:00Z", 6, 10, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, c := range schedule.Collisions(schedules, at(tt.after), at(tt.until), tt.atLeast, tt.limit) {
				got = append(got, c.At.Format(time.RFC3339)+" "+strings.Join(c.Names, " "))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n%q, want\n%q", got, tt.want)
			}
		})
	}
}
