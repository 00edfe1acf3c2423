package schedule_test

import (
	"slices"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// rule says when a job is due twice: as a user writes it, and as predicates
// over what a calendar and a wall clock show. The predicates are written from
// the contract, not from the package.
type rule struct {
	written api.Schedule
	day     func(date) bool
	time    func(clock) bool
}

// date is what a calendar shows.
type date struct {
	year    int
	month   time.Month
	day     int
	weekday time.Weekday
}

// clock is what a wall clock shows.
type clock struct{ hour, minute, second int }

func cron(expression string, day func(date) bool, time func(clock) bool) rule {
	return rule{api.Schedule{Cron: expression}, day, time}
}

func calendar(c api.Calendar, day func(date) bool, time func(clock) bool) rule {
	return rule{api.Schedule{Calendar: &c}, day, time}
}

// oracleRules are the 60 expressions whose every occurrence is compared.
var oracleRules = []rule{
	// Every hour of a day: hourly, whatever the syntax and the days.
	cron("* * * * *", anyDay, func(clock) bool { return true }),
	cron("0 * * * *", anyDay, past(0)),
	cron("30 * * * *", anyDay, past(30)),
	cron("*/15 * * * *", anyDay, past(0, 15, 30, 45)),
	cron("7/20 0-23 * * SUN", on(time.Sunday), past(7, 27, 47)),
	cron("10 0-11,12-23 29 * *", theDay(29), past(10)),
	cron("0 0-23/1 ? * SAT#1", the(1, time.Saturday), past(0)),
	cron("45 */1 L 3,10 *", both(lastDay, in(time.March, time.October)), past(45)),
	cron("20 */2,1-23/2 * * *", anyDay, past(20)),

	// Some hours: fixed.
	cron("@daily", anyDay, when("00:00")),
	cron("30 23 * * *", anyDay, when("23:30")),
	cron("30 1 * * *", anyDay, when("01:30")),
	cron("30 2 * * *", anyDay, when("02:30")),
	cron("*/15 2 * * *", anyDay, when("02:00", "02:15", "02:30", "02:45")),
	cron("0,30 1 * * *", anyDay, when("01:00", "01:30")),
	cron("0 1-5 * * *", anyDay, when("01:00", "02:00", "03:00", "04:00", "05:00")),
	cron("0 */2 * * *", anyDay, func(c clock) bool { return c.minute == 0 && c.hour%2 == 0 }),
	cron("*/5 0-22 * * *", anyDay, func(c clock) bool { return c.hour != 23 && c.minute%5 == 0 }),
	cron("1-59/2 1,3 * * *", anyDay, func(c clock) bool { return c.minute%2 == 1 && (c.hour == 1 || c.hour == 3) }),

	// Weekdays and months.
	cron("0 2 * * MON-SAT", not(on(time.Sunday)), when("02:00")),
	cron("45 0-3 * * 7", on(time.Sunday), when("00:45", "01:45", "02:45", "03:45")),
	cron("@weekly", on(time.Sunday), when("00:00")),
	cron("30 1-2 * * FRI-SUN", on(time.Friday, time.Saturday, time.Sunday), when("01:30", "02:30")),
	cron("0 12 * JAN-MAR,OCT MON-FRI", both(workday, in(time.January, time.February, time.March, time.October)), when("12:00")),
	cron("5 2 * 3,4,9,10,11 SUN", both(on(time.Sunday), in(time.March, time.April, time.September, time.October, time.November)), when("02:05")),
	cron("@yearly", both(theDay(1), in(time.January)), when("00:00")),
	cron("59 23 31 12 *", both(theDay(31), in(time.December)), when("23:59")),

	// Days of the month, of which short months have fewer.
	cron("@monthly", theDay(1), when("00:00")),
	cron("5 0 31 * *", theDay(31), when("00:05")),
	cron("0 0 29 2 *", both(theDay(29), in(time.February)), when("00:00")),
	cron("15 1,2,3 29 3,10 *", both(theDay(29), in(time.March, time.October)), when("01:15", "02:15", "03:15")),
	cron("0 3 L * *", lastDay, when("03:00")),
	cron("0 1 L-3 * *", fromTheEnd(4), when("01:00")),
	cron("30 0 LW * *", nearestWorkday(31), when("00:30")),
	cron("0 2 15W * *", nearestWorkday(15), when("02:00")),
	cron("0 2 1W * ?", nearestWorkday(1), when("02:00")),
	cron("30 3 28W 2,10 *", both(nearestWorkday(28), in(time.February, time.October)), when("03:30")),
	cron("0 0 1,15,L * *", either(theDay(1), theDay(15), lastDay), when("00:00")),

	// The n-th weekday, and the last.
	cron("0 2 ? * MON#2", the(2, time.Monday), when("02:00")),
	cron("0 1 * * 5#5", the(5, time.Friday), when("01:00")),
	cron("30 2 * * FRIL", theLast(1, time.Friday), when("02:30")),
	cron("0 2 * * 0L", theLast(1, time.Sunday), when("02:00")),

	// Both day fields: either of them, unless one begins with *.
	cron("20 2 1-7 * SUN", either(days(1, 7), on(time.Sunday)), when("02:20")),
	cron("0 2 L * FRI", either(lastDay, on(time.Friday)), when("02:00")),
	cron("15 0 15W * MON#1", either(nearestWorkday(15), the(1, time.Monday)), when("00:15")),
	cron("0 2,3 */2 * SUN", both(func(d date) bool { return d.day%2 == 1 }, on(time.Sunday)), when("02:00", "03:00")),

	// Calendars: months and days of the month and weekdays.
	calendar(api.Calendar{Hours: []int64{6, 18}, DaysOfMonth: []int64{-1}}, lastDay, when("06:00", "18:00")),
	calendar(api.Calendar{Hours: []int64{2}, Weekdays: []string{"mon#2"}, Months: []string{"jan", "jul"}},
		both(the(2, time.Monday), in(time.January, time.July)), when("02:00")),
	calendar(api.Calendar{Hours: []int64{1, 2}, DaysOfMonth: []int64{31}, OnShortMonth: "last_day"}, lastDay, when("01:00", "02:00")),
	calendar(api.Calendar{Hours: []int64{0}, Minutes: []int64{0, 30}, DaysOfMonth: []int64{29, 30, 31}, OnShortMonth: "skip"},
		days(29, 31), when("00:00", "00:30")),
	calendar(api.Calendar{Hours: []int64{2}, DaysOfMonth: []int64{31}, Weekdays: []string{"fri"}, OnShortMonth: "last_day"},
		both(lastDay, on(time.Friday)), when("02:00")),
	calendar(api.Calendar{Hours: []int64{3}, Minutes: []int64{45}, DaysOfMonth: []int64{-28, 10}}, either(fromTheEnd(28), theDay(10)), when("03:45")),
	calendar(api.Calendar{Hours: []int64{23}, Minutes: []int64{59}, Weekdays: []string{"fri#-1"}}, theLast(1, time.Friday), when("23:59")),
	calendar(api.Calendar{Hours: []int64{1, 2, 3}, Minutes: []int64{0, 30}, Weekdays: []string{"sun#-1", "sun#2"}, Months: []string{"mar", "10", "nov"}},
		both(either(theLast(1, time.Sunday), the(2, time.Sunday)), in(time.March, time.October, time.November)),
		when("01:00", "01:30", "02:00", "02:30", "03:00", "03:30")),
	calendar(api.Calendar{Hours: allHours(), Minutes: []int64{0, 20, 40}, Weekdays: []string{"sat", "sun"}},
		on(time.Saturday, time.Sunday), past(0, 20, 40)),
	calendar(api.Calendar{Hours: []int64{0, 12}, DaysOfMonth: []int64{1, -1}}, either(theDay(1), lastDay), when("00:00", "12:00")),
	calendar(api.Calendar{Hours: []int64{2}, Minutes: []int64{30}, DaysOfMonth: []int64{30}, Months: []string{"feb", "apr"}, OnShortMonth: "last_day"},
		both(lastDay, in(time.February, time.April)), when("02:30")),
	calendar(api.Calendar{Hours: []int64{2}, Minutes: []int64{30}, DaysOfMonth: []int64{1, 2, 3, 4, 5, 6, 7}, Weekdays: []string{"sun"}},
		the(1, time.Sunday), when("02:30")),
	calendar(api.Calendar{Hours: []int64{4}, Weekdays: []string{"wed", "thu#5"}}, either(on(time.Wednesday), the(5, time.Thursday)), when("04:00")),
	calendar(api.Calendar{Hours: []int64{22}, Weekdays: []string{"fri#-5"}}, theLast(5, time.Friday), when("22:00")),
}

// secondRules fire at other seconds than 0.
var secondRules = []rule{
	cron("*/20 * * * * *", anyDay, func(c clock) bool { return c.second%20 == 0 }),
	cron("30 0 * * * *", anyDay, func(c clock) bool { return c.minute == 0 && c.second == 30 }),
	cron("59 59 0-23 * * *", anyDay, func(c clock) bool { return c.minute == 59 && c.second == 59 }),
	cron("15,45 30 1,2 * * *", anyDay, func(c clock) bool {
		return (c.hour == 1 || c.hour == 2) && c.minute == 30 && (c.second == 15 || c.second == 45)
	}),
	cron("* 59 1 * * *", anyDay, func(c clock) bool { return c.hour == 1 && c.minute == 59 }),
	cron("1 0 3 * * SUN", on(time.Sunday), func(c clock) bool { return c == clock{3, 0, 1} }),
	cron("0 */10 2 L,1-7 * SUN", either(lastDay, days(1, 7), on(time.Sunday)), func(c clock) bool {
		return c.hour == 2 && c.minute%10 == 0 && c.second == 0
	}),
	cron("59 59 23 * * *", anyDay, func(c clock) bool { return c == clock{23, 59, 59} }),
}

func anyDay(date) bool { return true }

func workday(d date) bool { return d.weekday != time.Saturday && d.weekday != time.Sunday }

func lastDay(d date) bool { return d.day == d.monthLength() }

// fromTheEnd is the n-th last day of a month.
func fromTheEnd(n int) func(date) bool {
	return func(d date) bool { return d.monthLength()-d.day == n-1 }
}

func theDay(n int) func(date) bool { return days(n, n) }

func days(from, to int) func(date) bool {
	return func(d date) bool { return d.day >= from && d.day <= to }
}

func in(months ...time.Month) func(date) bool {
	return func(d date) bool { return slices.Contains(months, d.month) }
}

func on(weekdays ...time.Weekday) func(date) bool {
	return func(d date) bool { return slices.Contains(weekdays, d.weekday) }
}

// the is the n-th such weekday of a month: n - 1 weeks before it are in it too.
func the(n int, weekday time.Weekday) func(date) bool {
	return func(d date) bool { return d.weekday == weekday && d.day > 7*(n-1) && d.day <= 7*n }
}

// theLast is the n-th last such weekday of a month.
func theLast(n int, weekday time.Weekday) func(date) bool {
	return func(d date) bool {
		after := d.monthLength() - d.day
		return d.weekday == weekday && after >= 7*(n-1) && after < 7*n
	}
}

// nearestWorkday is the workday that no other of the same month is closer to n
// than. (Two are never equally close.)
func nearestWorkday(n int) func(date) bool {
	distance := func(day int) int { return max(day-n, n-day) }
	return func(d date) bool {
		for day := 1; day <= d.monthLength(); day++ {
			other := date{d.year, d.month, day, (d.weekday + time.Weekday(day-d.day+35)) % 7}
			if workday(other) && distance(day) < distance(d.day) {
				return false
			}
		}
		return workday(d)
	}
}

func not(rule func(date) bool) func(date) bool {
	return func(d date) bool { return !rule(d) }
}

func both(a, b func(date) bool) func(date) bool {
	return func(d date) bool { return a(d) && b(d) }
}

func either(rules ...func(date) bool) func(date) bool {
	return func(d date) bool {
		return slices.ContainsFunc(rules, func(rule func(date) bool) bool { return rule(d) })
	}
}

// past is every hour at some minutes.
func past(minutes ...int) func(clock) bool {
	return func(c clock) bool { return slices.Contains(minutes, c.minute) && c.second == 0 }
}

// when is some times of the day.
func when(times ...string) func(clock) bool {
	var clocks []clock
	for _, text := range times {
		t, err := time.Parse("15:04", text)
		if err != nil {
			panic(err)
		}
		clocks = append(clocks, clock{t.Hour(), t.Minute(), 0})
	}
	return func(c clock) bool { return slices.Contains(clocks, c) }
}

func allHours() []int64 {
	hours := make([]int64, 24)
	for i := range hours {
		hours[i] = int64(i)
	}
	return hours
}

func (d date) monthLength() int {
	return time.Date(d.year, d.month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}
