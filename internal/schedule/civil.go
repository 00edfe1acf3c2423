package schedule

import "math/bits"

// Plain arithmetic of the Gregorian calendar: the time package has it too, at
// ten times the price, and every search goes through it.
//
// A day number counts days from 1970-01-01; a wall time counts seconds from its
// midnight as if the wall clock ran in UTC.

const secondsPerDay = 24 * 60 * 60

// month is one month of a year, with what it takes to find its days.
type month struct {
	year, number int
	first        int64 // the day number of the 1st
}

func monthOf(year, number int) month {
	return month{year, number, dayNumber(year, number, 1)}
}

func (m month) length() int {
	switch {
	case m.number != 2:
		// Bit n of the constant is set for a month n of 31 days.
		return 30 + 0b1_0101_1010_1010>>m.number&1
	case m.year%4 == 0 && (m.year%100 != 0 || m.year%400 == 0):
		return 29
	}
	return 28
}

// weekday is that of a day of the month, or of one before its 1st; Sunday is 0.
func (m month) weekday(day int) int {
	return int(floorMod(m.first+int64(day)-1+4, 7)) // day 0 was a Thursday
}

// after is the next month of a set of months, whose bit n stands for month n.
func (m month) after(months uint32) month {
	if later := months >> (m.number + 1) << (m.number + 1); later != 0 {
		return monthOf(m.year, bits.TrailingZeros32(later))
	}
	return monthOf(m.year+1, bits.TrailingZeros32(months))
}

// before is the last month of a set of months that comes earlier.
func (m month) before(months uint32) month {
	if earlier := months & (1<<m.number - 1); earlier != 0 {
		return monthOf(m.year, bits.Len32(earlier)-1)
	}
	return monthOf(m.year-1, bits.Len32(months)-1)
}

// dayNumber and date count years from 1 March, so that a leap day comes last,
// in eras of 400 years, which all have the same days.
const (
	daysPerEra = 400*365 + 97
	dayOfEpoch = 719468 // from 0000-03-01 to 1970-01-01
)

func dayNumber(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := floorDiv(int64(year), 400)
	yearOfEra := int64(year) - era*400
	dayOfYear := int64(153*(month-3)+2)/5 + int64(day) - 1
	return era*daysPerEra + yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear - dayOfEpoch
}

// date is the month of a day number, and the day in it.
func date(day int64) (month, int) {
	era := floorDiv(day+dayOfEpoch, daysPerEra)
	dayOfEra := day + dayOfEpoch - era*daysPerEra
	yearOfEra := (dayOfEra - dayOfEra/1460 + dayOfEra/36524 - dayOfEra/146096) / 365
	dayOfYear := dayOfEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	shifted := (5*dayOfYear + 2) / 153 // March is 0
	dom := int(dayOfYear-(153*shifted+2)/5) + 1
	year, number := int(era*400+yearOfEra), int(shifted)+3
	if number > 12 {
		year, number = year+1, number-12
	}
	return month{year, number, day - int64(dom) + 1}, dom
}

func floorDiv(a, b int64) int64 { return (a - floorMod(a, b)) / b }

func floorMod(a, b int64) int64 { return (a%b + b) % b }
