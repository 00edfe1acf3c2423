package schedule

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestCivilArithmeticAgreesWithTheTimePackage(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		day := rapid.Int64Range(minUnix/secondsPerDay-400, endUnix/secondsPerDay+400).Draw(rt, "day")
		want := time.Unix(day*secondsPerDay, 0).UTC()

		m, dom := date(day)

		if m.year != want.Year() || m.number != int(want.Month()) || dom != want.Day() {
			rt.Fatalf("date(%d) = %v %d, want %s", day, m, dom, want)
		}
		if got := dayNumber(m.year, m.number, dom); got != day {
			rt.Fatalf("dayNumber of %s = %d, want %d", want, got, day)
		}
		if m != monthOf(m.year, m.number) {
			rt.Fatalf("date(%d) is in %v, want %v", day, m, monthOf(m.year, m.number))
		}
		if got := m.weekday(dom); got != int(want.Weekday()) {
			rt.Fatalf("%s is weekday %d, want %d", want, got, want.Weekday())
		}
		if got := time.Date(m.year, time.Month(m.number)+1, 0, 0, 0, 0, 0, time.UTC).Day(); m.length() != got {
			rt.Fatalf("%v has %d days, want %d", m, m.length(), got)
		}
	})
}

// Whole months are computed by bits; here each day is judged alone, in words.
func TestDaysOfAMonthAreThoseThatMatchOneByOne(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := monthOf(rapid.IntRange(1, 2399).Draw(rt, "year"), rapid.IntRange(1, 12).Draw(rt, "month"))
		d := drawDays(rt)
		days := d.in(m)
		for day := 0; day <= 31; day++ {
			want := day >= 1 && day <= m.length() && matchesDay(d, m, day)
			if got := days&(1<<day) != 0; got != want {
				rt.Fatalf("%+v: day %d of %v matches: %t, want %t", d, day, m, got, want)
			}
		}
	})
}

func matchesDay(d daySet, m month, day int) bool {
	length := m.length()
	number := d.numbers&(1<<day) != 0 || d.fromEnd&(1<<(length+1-day)) != 0
	for n := 1; n <= 31; n++ {
		if d.clamp && d.numbers&(1<<n) != 0 && n > length && day == length {
			number = true
		}
		if d.nearest&(1<<n) != 0 && n <= length && nearestWorkday(m, n) == day {
			number = true
		}
	}
	if d.lastWorkday && nearestWorkday(m, length) == day {
		number = true
	}
	bit := uint8(1) << m.weekday(day)
	weekday := d.weekdays&bit != 0 || d.nth[(day-1)/7]&bit != 0 || d.nthLast[(length-day)/7]&bit != 0
	if d.either {
		return number || weekday
	}
	return number && weekday
}

// nearestWorkday looks at the days around one, nearer ones first.
func nearestWorkday(m month, day int) int {
	for _, distance := range []int{0, -1, 1, -2, 2} {
		near := day + distance
		if weekday := m.weekday(near); near >= 1 && near <= m.length() && weekday != 0 && weekday != 6 {
			return near
		}
	}
	panic("four days in a row cannot all be on weekends")
}

func drawDays(rt *rapid.T) daySet {
	numbers := rapid.Uint32Range(0, allDays>>1)
	few := rapid.Custom(func(rt *rapid.T) uint32 {
		return 1 << rapid.IntRange(1, 31).Draw(rt, "bit") & rapid.SampledFrom([]uint32{0, allDays}).Draw(rt, "any")
	})
	weekdays := rapid.Custom(func(rt *rapid.T) uint8 {
		return 1 << rapid.IntRange(0, 6).Draw(rt, "bit") & rapid.SampledFrom([]uint8{0, allWeekdays}).Draw(rt, "any")
	})
	d := daySet{
		numbers:     rapid.OneOf(rapid.Just(uint32(allDays)), few, numbers).Draw(rt, "numbers") &^ 1,
		fromEnd:     few.Draw(rt, "from the end"),
		nearest:     few.Draw(rt, "nearest"),
		lastWorkday: rapid.Bool().Draw(rt, "last workday"),
		clamp:       rapid.Bool().Draw(rt, "clamp"),
		weekdays:    rapid.OneOf(rapid.Just(uint8(allWeekdays)), weekdays).Draw(rt, "weekdays"),
		either:      rapid.Bool().Draw(rt, "either"),
	}
	for i := range d.nth {
		d.nth[i], d.nthLast[i] = weekdays.Draw(rt, "nth"), weekdays.Draw(rt, "nth last")
	}
	return d
}

func TestExcludedDatesAreOutOfThePattern(t *testing.T) {
	excluded := dates{dayNumber(2026, 1, 31), dayNumber(2026, 2, 1), dayNumber(2026, 2, 2), dayNumber(2026, 2, 28)}
	if got, want := excluded.in(monthOf(2026, 2)), uint32(1<<1|1<<2|1<<28); got != want {
		t.Errorf("February: %b, want %b", got, want)
	}
	if got := excluded.in(monthOf(2026, 3)); got != 0 {
		t.Errorf("March: %b, want none", got)
	}
	if got, want := excluded.runEnd(dayNumber(2026, 1, 31)), dayNumber(2026, 2, 3); got != want {
		t.Errorf("runEnd = %d, want %d", got, want)
	}
	if got, want := excluded.runBegin(dayNumber(2026, 2, 1)), dayNumber(2026, 1, 30); got != want {
		t.Errorf("runBegin = %d, want %d", got, want)
	}
	free := dayNumber(2026, 2, 3)
	if excluded.runEnd(free) != free || excluded.runBegin(free) != free {
		t.Error("a date that is not excluded ends no run")
	}
}
