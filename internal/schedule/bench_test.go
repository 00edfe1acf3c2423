package schedule_test

import (
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

// benchmarks are typical rules and the rarest ones.
var benchmarks = []struct {
	name     string
	declared api.Schedule
}{
	{"nightly", api.Schedule{Cron: "0 2 * * MON-SAT", TimeZone: "Europe/Berlin"}},
	{"hourly", api.Schedule{Cron: "0 * * * *", TimeZone: "America/New_York"}},
	{"quarter_hours", api.Schedule{Cron: "*/15 * * * *", TimeZone: "America/New_York"}},
	{"seconds", api.Schedule{Cron: "*/10 * * * * *"}},
	{"monthly", api.Schedule{Cron: "0 6 1 * *"}},
	{"last_day", api.Schedule{Cron: "0 6 L * *", TimeZone: "Asia/Tokyo"}},
	{"nearest_weekday", api.Schedule{Cron: "0 6 15W * *", TimeZone: "Europe/Berlin"}},
	{"second_monday", api.Schedule{Cron: "0 6 * * MON#2", TimeZone: "Europe/Berlin"}},
	{"leap_day", api.Schedule{Cron: "0 0 29 2 *", TimeZone: "Australia/Lord_Howe"}},
	{"leap_day_on_monday", api.Schedule{
		Calendar: &api.Calendar{Months: []string{"feb"}, DaysOfMonth: []int64{29}, Weekdays: []string{"mon"}, Hours: []int64{2}, OnShortMonth: api.ShortMonthSkip},
		TimeZone: "Europe/Berlin",
	}},
	{"calendar", api.Schedule{
		Calendar: &api.Calendar{DaysOfMonth: []int64{-1}, Hours: []int64{6, 18}}, TimeZone: "Europe/Berlin",
		StartAt: "2026-01-01T00:00", ExcludeDates: []string{"2026-12-31", "2027-12-31"},
		DST: &api.DST{Missing: api.MissingSkip, Repeated: api.RepeatedLast},
	}},
	{"excluded_years", api.Schedule{Cron: "0 6 * * *", TimeZone: "Europe/Berlin", ExcludeDates: datesOf(2027, 2030)}},
	{"every", api.Schedule{Every: "15m"}},
	{"at", api.Schedule{At: []string{"2026-12-24T18:00", "2026-12-25T00:00:00Z"}, TimeZone: "Europe/Berlin"}},
}

func BenchmarkNext(b *testing.B) {
	for _, bm := range benchmarks {
		b.Run(bm.name, func(b *testing.B) {
			s := mustParse(b, bm.declared)
			start := at("2026-03-08T05:00:00Z")
			next := start
			b.ReportAllocs()
			for b.Loop() {
				var ok bool
				if next, ok = s.Next(next); !ok {
					next = start
				}
			}
		})
	}
}

func BenchmarkPrevious(b *testing.B) {
	for _, bm := range benchmarks {
		b.Run(bm.name, func(b *testing.B) {
			s := mustParse(b, bm.declared)
			start := at("2399-03-08T05:00:00Z")
			previous := start
			b.ReportAllocs()
			for b.Loop() {
				var ok bool
				if previous, ok = s.Previous(previous); !ok {
					previous = start
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, bm := range benchmarks {
		b.Run(bm.name, func(b *testing.B) { benchmarkParse(b, bm.declared) })
	}
	b.Run("nightly_with_jitter", func(b *testing.B) {
		benchmarkParse(b, api.Schedule{Cron: "0 2 * * *", TimeZone: "Europe/Berlin", Jitter: "10m"})
	})
	b.Run("hourly_with_jitter", func(b *testing.B) {
		benchmarkParse(b, api.Schedule{Cron: "0 * * * *", TimeZone: "Europe/Berlin", Jitter: "10m"})
	})
}

func benchmarkParse(b *testing.B, declared api.Schedule) {
	mustParse(b, declared) // loads the zone
	b.ReportAllocs()
	for b.Loop() {
		if _, err := schedule.Parse(declared); err != nil {
			b.Fatal(err)
		}
	}
}
