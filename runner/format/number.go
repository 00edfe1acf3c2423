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
