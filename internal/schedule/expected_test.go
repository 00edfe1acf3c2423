package schedule_test

import (
	"slices"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

// expectation is a rule with its occurrences in (after, until], in UTC.
type expectation struct {
	name         string
	written      api.Schedule
	after, until string
	due          []string
}

func expect(t *testing.T, expectations []expectation) {
	t.Helper()
	for _, e := range expectations {
		name := e.name
		if name == "" {
			name = e.written.Cron
		}
		t.Run(name, func(t *testing.T) {
			s, err := schedule.Parse(e.written)
			if err != nil {
				t.Fatal(err)
			}
			var due []string
			for instant := range s.Between(at(e.after), at(e.until)) {
				due = append(due, instant.Format(time.RFC3339))
			}
			if !slices.Equal(due, e.due) {
				t.Errorf("%s is due\n%v, want\n%v", text(e.written), due, e.due)
			}
		})
	}
}

// TestExpectedOfTheContract is the list of the contract, in its order.
func TestExpectedOfTheContract(t *testing.T) {
	const newYork = "America/New_York"
	const spring, springEnd = "2026-03-08T06:00:00Z", "2026-03-08T08:00:00Z"
	const autumn, autumnEnd = "2026-11-01T03:00:00Z", "2026-11-01T07:00:00Z"
	expect(t, []expectation{
		{"", api.Schedule{Cron: "30 * * * *", TimeZone: newYork}, spring, springEnd, []string{"2026-03-08T06:30:00Z", "2026-03-08T07:30:00Z"}},
		{"", api.Schedule{Cron: "*/15 2 * * *", TimeZone: newYork}, spring, "2026-03-09T05:59:00Z", []string{"2026-03-08T07:00:00Z"}},
		{"", api.Schedule{Cron: "30 2 * * *", TimeZone: newYork}, spring, "2026-03-09T05:59:00Z", []string{"2026-03-08T07:00:00Z"}},
		{"", api.Schedule{Cron: "0 * * * *", TimeZone: newYork}, "2026-11-01T04:00:00Z", autumnEnd,
			[]string{"2026-11-01T05:00:00Z", "2026-11-01T06:00:00Z", "2026-11-01T07:00:00Z"}},
		{"", api.Schedule{Cron: "0 1-5 * * *", TimeZone: newYork}, autumn, autumnEnd, []string{"2026-11-01T05:00:00Z", "2026-11-01T07:00:00Z"}},
		{"", api.Schedule{Cron: "0 */2 * * *", TimeZone: newYork}, autumn, autumnEnd, []string{"2026-11-01T04:00:00Z", "2026-11-01T07:00:00Z"}},
		{"Troll, a gap of 2 h", api.Schedule{Cron: "30 1,2,3 * * *", TimeZone: "Antarctica/Troll"}, "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z",
			[]string{"2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"}},
		{"Troll, a repeat of 2 h", api.Schedule{Cron: "30 1,2,3 * * *", TimeZone: "Antarctica/Troll"}, "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z",
			[]string{"2026-10-24T23:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T03:30:00Z"}},
		{"Apia, the Friday that never was", api.Schedule{Cron: "0 9 * * FRI", TimeZone: "Pacific/Apia"}, "2011-12-29T00:00:00Z", "2012-01-01T00:00:00Z",
			[]string{"2011-12-30T10:00:00Z"}},
	})
}

func TestZonesWithHabitsOfTheirOwn(t *testing.T) {
	written := func(cron, zone, missing, repeated string) api.Schedule {
		return api.Schedule{Cron: cron, TimeZone: zone, DST: &api.DST{Missing: missing, Repeated: repeated}}
	}
	const saoPaulo, howe = "America/Sao_Paulo", "Australia/Lord_Howe"
	expect(t, []expectation{
		{"Sao Paulo has no midnight", written("0 0 * * *", saoPaulo, "", "auto"), "2018-11-03T00:00:00Z", "2018-11-05T12:00:00Z",
			[]string{"2018-11-03T03:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"}},
		{"Sao Paulo skips a midnight", written("0 0 * * *", saoPaulo, "skip", ""), "2018-11-03T00:00:00Z", "2018-11-05T12:00:00Z",
			[]string{"2018-11-03T03:00:00Z", "2018-11-05T02:00:00Z"}},
		{"Sao Paulo has 23:30 again, of the same day", written("30 23 17 * *", saoPaulo, "", "both"), "2018-02-17T12:00:00Z", "2018-02-19T12:00:00Z",
			[]string{"2018-02-18T01:30:00Z", "2018-02-18T02:30:00Z"}},
		{"Lord Howe's gap is half an hour", written("15,45 2 * * *", howe, "", "auto"), "2026-10-03T12:00:00Z", "2026-10-04T12:00:00Z",
			[]string{"2026-10-03T15:30:00Z", "2026-10-03T15:45:00Z"}},
		{"Lord Howe skips half an hour", written("15,45 2 * * *", howe, "skip", ""), "2026-10-03T12:00:00Z", "2026-10-04T12:00:00Z",
			[]string{"2026-10-03T15:45:00Z"}},
		{"Lord Howe repeats half an hour", written("15,45 1 * * *", howe, "", "last"), "2026-04-04T12:00:00Z", "2026-04-05T12:00:00Z",
			[]string{"2026-04-04T14:15:00Z", "2026-04-04T15:15:00Z"}},
		{"Apia skips a Friday", written("0 9 * * FRI", "Pacific/Apia", "skip", ""), "2011-12-20T00:00:00Z", "2012-01-10T00:00:00Z",
			[]string{"2011-12-23T19:00:00Z", "2012-01-05T19:00:00Z"}},
		{"Kolkata never changes", written("30 5 * * *", "Asia/Kolkata", "skip", "last"), "2026-03-07T12:00:00Z", "2026-03-10T00:00:00Z",
			[]string{"2026-03-08T00:00:00Z", "2026-03-09T00:00:00Z", "2026-03-10T00:00:00Z"}},
		{"New York repeats seconds like minutes", written("45 59 1 * * *", "America/New_York", "", "both"), "2026-11-01T04:00:00Z", "2026-11-02T04:00:00Z",
			[]string{"2026-11-01T05:59:45Z", "2026-11-01T06:59:45Z"}},
	})
}

func TestRareDays(t *testing.T) {
	inCalendar := func(c api.Calendar) api.Schedule {
		c.Hours = []int64{0}
		return api.Schedule{Calendar: &c}
	}
	const year, yearEnd = "2025-12-31T12:00:00Z", "2026-12-31T12:00:00Z"
	expect(t, []expectation{
		{"", api.Schedule{Cron: "0 0 29 2 *"}, "2092-03-01T00:00:00Z", "2108-01-01T00:00:00Z", []string{"2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z"}},
		{"", api.Schedule{Cron: "0 0 31 * *"}, year, yearEnd, []string{"2026-01-31T00:00:00Z", "2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z",
			"2026-07-31T00:00:00Z", "2026-08-31T00:00:00Z", "2026-10-31T00:00:00Z", "2026-12-31T00:00:00Z"}},
		{"", api.Schedule{Cron: "59 59 23 31 12 *", TimeZone: "Pacific/Apia"}, "2026-12-01T00:00:00Z", "2028-01-01T00:00:00Z",
			[]string{"2026-12-31T10:59:59Z", "2027-12-31T10:59:59Z"}},
		{"", api.Schedule{Cron: "0 0 L 2 *"}, "2026-01-01T00:00:00Z", "2029-01-01T00:00:00Z",
			[]string{"2026-02-28T00:00:00Z", "2027-02-28T00:00:00Z", "2028-02-29T00:00:00Z"}},
		{"", api.Schedule{Cron: "0 0 L-3 2 *"}, "2027-01-01T00:00:00Z", "2029-01-01T00:00:00Z", []string{"2027-02-25T00:00:00Z", "2028-02-26T00:00:00Z"}},
		{"of a Saturday, the Friday", api.Schedule{Cron: "0 0 15W 8 *"}, year, yearEnd, []string{"2026-08-14T00:00:00Z"}},
		{"of a Sunday, the Monday", api.Schedule{Cron: "0 0 15W 11 *"}, year, yearEnd, []string{"2026-11-16T00:00:00Z"}},
		{"of a Saturday the 1st, the Monday", api.Schedule{Cron: "0 0 1W 8 *"}, year, yearEnd, []string{"2026-08-03T00:00:00Z"}},
		{"of a Sunday the 31st, the Friday", api.Schedule{Cron: "0 0 31W 5 *"}, year, yearEnd, []string{"2026-05-29T00:00:00Z"}},
		{"", api.Schedule{Cron: "0 0 LW 1-5 *"}, year, yearEnd, []string{"2026-01-30T00:00:00Z", "2026-02-27T00:00:00Z", "2026-03-31T00:00:00Z",
			"2026-04-30T00:00:00Z", "2026-05-29T00:00:00Z"}},
		{"", api.Schedule{Cron: "0 0 * * MON#5"}, year, yearEnd,
			[]string{"2026-03-30T00:00:00Z", "2026-06-29T00:00:00Z", "2026-08-31T00:00:00Z", "2026-11-30T00:00:00Z"}},
		{"", api.Schedule{Cron: "0 0 * 1,2 5L"}, year, yearEnd, []string{"2026-01-30T00:00:00Z", "2026-02-27T00:00:00Z"}},

		{"the 29th of February every year", inCalendar(api.Calendar{Months: []string{"feb"}, DaysOfMonth: []int64{29}, OnShortMonth: "last_day"}),
			"2095-06-01T00:00:00Z", "2101-06-01T00:00:00Z",
			[]string{"2096-02-29T00:00:00Z", "2097-02-28T00:00:00Z", "2098-02-28T00:00:00Z", "2099-02-28T00:00:00Z", "2100-02-28T00:00:00Z", "2101-02-28T00:00:00Z"}},
		{"28 days before the end", inCalendar(api.Calendar{Months: []string{"2"}, DaysOfMonth: []int64{-28}}), "2027-01-01T00:00:00Z", "2029-01-01T00:00:00Z",
			[]string{"2027-02-01T00:00:00Z", "2028-02-02T00:00:00Z"}},
	})
}

// Dates are excluded by what the rule means, bounds cut by what it comes to.
func TestMovedTimesMeetExclusionsAndBounds(t *testing.T) {
	const newYork, apia = "America/New_York", "Pacific/Apia"
	expect(t, []expectation{
		{"what lands on one instant has two dates, one excluded", api.Schedule{Cron: "0 0,9 30,31 12 *", TimeZone: apia, ExcludeDates: []string{"2011-12-31"}},
			"2011-12-29T12:00:00Z", "2012-01-06T00:00:00Z", []string{"2011-12-30T10:00:00Z"}},
		{"what lands on one instant has two dates, the other excluded", api.Schedule{Cron: "0 0,9 30,31 12 *", TimeZone: apia, ExcludeDates: []string{"2011-12-30"}},
			"2011-12-29T12:00:00Z", "2012-01-06T00:00:00Z", []string{"2011-12-30T10:00:00Z", "2011-12-30T19:00:00Z"}},
		{"both passes of a repeated hour", api.Schedule{Cron: "30 * * * *", TimeZone: "America/Sao_Paulo", ExcludeDates: []string{"2018-02-17"}},
			"2018-02-17T01:00:00Z", "2018-02-18T03:30:00Z", []string{"2018-02-17T01:30:00Z", "2018-02-18T03:30:00Z"}},
		{"a moved time is at the end, so not before it", api.Schedule{Cron: "30 2 * * *", TimeZone: newYork, StartAt: "2026-03-07T00:00", EndAt: "2026-03-08T07:00:00Z"},
			"2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", []string{"2026-03-07T07:30:00Z"}},
		{"a moved time is at the start", api.Schedule{Cron: "30 2 * * *", TimeZone: newYork, StartAt: "2026-03-08T07:00:00Z", EndAt: "2026-03-09T12:00:00Z"},
			"2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", []string{"2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"}},
		{"three on one instant", api.Schedule{At: []string{"2026-03-08T02:15", "2026-03-08T03:00", "2026-03-08T07:00:00Z"}, TimeZone: newYork},
			"2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", []string{"2026-03-08T07:00:00Z"}},
	})
}
