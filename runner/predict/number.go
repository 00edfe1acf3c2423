package predict

import (
	"bytes"
	"slices"
)

// appendNumber appends text as the number JSON can hold, or tells that it is
// none: surrounding white space is trimmed, and ".5", "1.", "+1" and "007" are
// rewritten. The digits themselves are never touched, so that integers beyond
// 2^53 and long decimals survive.
func appendNumber(to, text []byte) ([]byte, bool) {
	if len(text) > 0 && numberEnd(text, 0) == len(text) {
		return append(to, text...), true
	}
	whole, fraction, exponent, negative, ok := cutNumber(bytes.TrimSpace(text))
	if !ok {
		return to, false
	}
	if negative {
		to = append(to, '-')
	}
	whole = bytes.TrimLeft(whole, "0")
	if len(whole) == 0 {
		to = append(to, '0')
	}
	to = append(to, whole...)
	if len(fraction) > 0 {
		to = append(append(to, '.'), fraction...)
	}
	if len(exponent) > 0 {
		to = append(append(to, 'e'), exponent...)
	}
	return to, true
}

// appendNumbers appends JSON numbers, each behind a comma if anything stands
// before it. It tells whether the values are such, as nearly all are.
func appendNumbers(to []byte, values []value) ([]byte, bool) {
	size := len(values)
	for i := range values {
		if v := &values[i]; !v.JSON || !startsNumber(v.Bytes) {
			return to, false
		}
		size += len(values[i].Bytes)
	}
	to = slices.Grow(to, size)
	at := len(to)
	to = to[:at+size]
	for i := range values {
		if at > 0 {
			to[at] = ','
			at++
		}
		at += copy(to[at:], values[i].Bytes)
	}
	return to[:at], true
}

// numberEnd is where the number ends that begins at pos in text, if it is one
// of those that need no second look: -12.5, without an exponent. Where it is
// not, the end is pos.
func numberEnd(text []byte, pos int) int {
	i := pos
	if i < len(text) && text[i] == '-' {
		i++
	}
	first := i
	for i < len(text) && isDigit(text[i]) {
		i++
	}
	if i == first || text[first] == '0' && i > first+1 {
		return pos
	}
	if i < len(text) && text[i] == '.' {
		i++
		point := i
		for i < len(text) && isDigit(text[i]) {
			i++
		}
		if i == point {
			return pos
		}
	}
	return i
}

// cutNumber cuts [+-]digits[.digits][e[+-]digits], with a digit at least on
// one side of the point.
func cutNumber(text []byte) (whole, fraction, exponent []byte, negative, ok bool) {
	if len(text) > 0 && (text[0] == '+' || text[0] == '-') {
		negative = text[0] == '-'
		text = text[1:]
	}
	whole, text = cutDigits(text)
	if len(text) > 0 && text[0] == '.' {
		fraction, text = cutDigits(text[1:])
	}
	if len(whole)+len(fraction) == 0 {
		return nil, nil, nil, false, false
	}
	if len(text) > 0 && text[0]|0x20 == 'e' {
		exponent = text[1:]
		text = exponent
		if len(text) > 0 && (text[0] == '+' || text[0] == '-') {
			text = text[1:]
		}
		var digits []byte
		if digits, text = cutDigits(text); len(digits) == 0 {
			return nil, nil, nil, false, false
		}
	}
	return whole, fraction, exponent, negative, len(text) == 0
}

func cutDigits(text []byte) (digits, rest []byte) {
	n := 0
	for n < len(text) && isDigit(text[n]) {
		n++
	}
	return text[:n], text[n:]
}

// isCode tells whether a number is written with leading zeros, as codes and
// identifiers are: "007", but not "0", "0.7" or "-0".
func isCode(text []byte) bool {
	text = bytes.TrimLeft(bytes.TrimSpace(text), "+-")
	return len(text) > 1 && text[0] == '0' && isDigit(text[1])
}
