package format

import (
	"bytes"
	"strconv"
)

// number is a decimal number: its digits, none for zero and neither beginning
// nor ending with 0, times ten to the exponent.
type number struct {
	negative bool
	digits   []byte // a part of the text where that has no point within the digits
	exponent int
}

func parseNumber(text []byte) (n number, ok bool) {
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		n.negative, text = text[0] == '-', text[1:]
	}
	mantissa, exponent := text, []byte(nil)
	if i := bytes.IndexAny(text, "eE"); i >= 0 {
		mantissa, exponent = text[:i], text[i+1:]
		e, err := strconv.ParseInt(string(exponent), 10, 32)
		if err != nil || e > 1<<16 || e < -1<<16 {
			return n, false
		}
		n.exponent = int(e)
	}
	whole, fraction, _ := bytes.Cut(mantissa, []byte{'.'})
	if len(whole)+len(fraction) == 0 {
		return n, false
	}
	n.digits = whole
	if len(fraction) > 0 {
		n.digits = append(append(make([]byte, 0, len(mantissa)), whole...), fraction...)
		n.exponent -= len(fraction)
	}
	for _, c := range n.digits {
		if c < '0' || c > '9' {
			return n, false
		}
	}
	n.digits = bytes.TrimLeft(n.digits, "0")
	trimmed := bytes.TrimRight(n.digits, "0")
	n.exponent += len(n.digits) - len(trimmed)
	if n.digits = trimmed; len(trimmed) == 0 {
		n.exponent = 0
	}
	return n, true
}

// scaled appends the number times ten to the scale, which must be whole.
func (n number) scaled(to []byte, scale int) []byte {
	if len(n.digits) == 0 {
		return append(to, '0')
	}
	if n.negative {
		to = append(to, '-')
	}
	to = append(to, n.digits...)
	for range n.exponent + scale {
		to = append(to, '0')
	}
	return to
}

// shortDigits reads digits with at most one point, and says how many stand
// behind it; only those that an int64 and a float64 both hold exactly.
func shortDigits(text []byte) (unscaled int64, scale int, ok bool) {
	const most = 15
	digits := text
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	point := -1
	for i, c := range digits {
		switch {
		case c-'0' < 10:
			unscaled = unscaled*10 + int64(c-'0')
		case c == '.' && point < 0:
			point = i
		default:
			return 0, 0, false
		}
		if i > most {
			return 0, 0, false
		}
	}
	count := len(digits)
	if point >= 0 {
		count, scale = count-1, count-1-point
	}
	if len(digits) < len(text) {
		unscaled = -unscaled
	}
	return unscaled, scale, count > 0 && count <= most
}

// powers of ten that a float64 holds exactly.
var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// shortDouble reads a number of few digits. Both sides of the division are
// exact, so that its result is the float64 next to the number.
func shortDouble(text []byte) (float64, bool) {
	unscaled, scale, ok := shortDigits(text)
	if !ok || unscaled == 0 && text[0] == '-' { // another double than 0
		return 0, false
	}
	return float64(unscaled) / powers[scale], true
}
