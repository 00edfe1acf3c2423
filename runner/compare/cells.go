package compare

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// Formats write one value in several ways: CSV has no types, JSON has several
// spellings of one number. Two cells are equal where they mean the same in the
// poorer of their formats.

// text is a cell of CSV: it may mean a string, a number, a truth value, or
// nothing.
type text string

// appendKey writes the cells of a key, each with its length, in the one form
// that their formats agree in.
func appendKey(to []byte, key []format.Value) []byte {
	for _, v := range key {
		content, plain := plainContent(v)
		if !plain {
			switch value := decode(v).(type) {
			case string:
				content = []byte(value)
			case json.Number:
				content = []byte(decimal(string(value)))
			}
		}
		to = appendBytes(to, content)
	}
	return to
}

// plainContent is what a cell means where that is plain to see: text of CSV, a
// string without escapes, a whole number. Nearly all keys are one of them.
func plainContent(v format.Value) (content []byte, plain bool) {
	b := v.Bytes
	switch {
	case !v.JSON:
		return b, true
	case len(b) >= 2 && b[0] == '"':
		return b[1 : len(b)-1], bytes.IndexByte(b, '\\') < 0
	case len(b) == 0 || len(b) > 1 && b[0] == '0':
		return b, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return b, false
		}
	}
	return b, true
}

func equal(a, b format.Value, tolerance float64) bool {
	if a.JSON == b.JSON && bytes.Equal(a.Bytes, b.Bytes) || a.JSON != b.JSON && plainlyEqual(a, b) {
		return true
	}
	return same(decode(a), decode(b), tolerance)
}

// plainlyEqual compares a cell of CSV with one of JSON where that takes no
// decoding.
func plainlyEqual(a, b format.Value) bool {
	if a.JSON {
		a, b = b, a
	}
	content, plain := b.Bytes, true
	if len(content) > 0 && content[0] == '"' {
		content, plain = plainContent(b)
	}
	return plain && bytes.Equal(a.Bytes, content) && string(b.Bytes) != "null"
}

// decode gives a cell's value: text, or what JSON has.
func decode(v format.Value) any {
	if !v.JSON {
		return text(v.Bytes)
	}
	return decodeJSON(v.Bytes)
}

func decodeJSON(token []byte) any {
	d := json.NewDecoder(bytes.NewReader(token))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return text(token) // NaN and the like
	}
	return value
}

func same(a, b any, tolerance float64) bool {
	if t, ok := a.(text); ok {
		return means(t, b, tolerance)
	}
	switch a := a.(type) {
	case json.Number:
		switch b := b.(type) {
		case json.Number:
			return near(string(a), string(b), tolerance)
		case text:
			return means(b, a, tolerance)
		}
	case []any:
		other, ok := b.([]any)
		if !ok || len(a) != len(other) {
			return textMeans(b, a, tolerance)
		}
		for i := range a {
			if !same(a[i], other[i], tolerance) {
				return false
			}
		}
		return true
	case map[string]any:
		other, ok := b.(map[string]any)
		if !ok || len(a) != len(other) {
			return textMeans(b, a, tolerance)
		}
		for name := range a {
			value, ok := other[name]
			if !ok || !same(a[name], value, tolerance) {
				return false
			}
		}
		return true
	default:
		if t, ok := b.(text); ok {
			return means(t, a, tolerance)
		}
		return a == b // strings, truth values, null
	}
	return false
}

// means tells whether a cell of CSV may stand for a value.
func means(t text, value any, tolerance float64) bool {
	switch v := value.(type) {
	case nil:
		return t == ""
	case text:
		return t == v || near(string(t), string(v), tolerance)
	case string:
		return string(t) == v
	case bool:
		return strings.EqualFold(string(t), strconv.FormatBool(v))
	case json.Number:
		return near(string(t), string(v), tolerance)
	default:
		return textMeans(t, v, tolerance)
	}
}

// textMeans tells whether a cell of CSV holds the JSON of a value.
func textMeans(cell, value any, tolerance float64) bool {
	t, ok := cell.(text)
	if !ok {
		return false
	}
	decoded := decodeJSON([]byte(t))
	if _, still := decoded.(text); still {
		return false
	}
	return same(decoded, value, tolerance)
}

// near tells whether two texts are numbers, and equal within the tolerance.
func near(a, b string, tolerance float64) bool {
	if !isNumber(a) || !isNumber(b) {
		return false
	}
	if decimal(a) == decimal(b) {
		return true
	}
	if tolerance == 0 {
		return false
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	if errX != nil || errY != nil { // beyond what a float can hold
		return false
	}
	return math.Abs(x-y) <= tolerance*max(1, math.Abs(x), math.Abs(y))
}

// isNumber tells what people write as a number: "7", "-.5", "1.e3"; its
// exponent has nine digits at most.
func isNumber(text string) bool {
	rest := strings.TrimPrefix(text, "-")
	if len(rest) == len(text) {
		rest = strings.TrimPrefix(text, "+")
	}
	whole, rest := cutDigits(rest)
	fraction := 0
	if strings.HasPrefix(rest, ".") {
		fraction, rest = cutDigits(rest[1:])
	}
	if whole+fraction == 0 {
		return false
	}
	if rest == "" {
		return true
	}
	if rest[0] != 'e' && rest[0] != 'E' {
		return false
	}
	if rest = rest[1:]; rest != "" && (rest[0] == '+' || rest[0] == '-') {
		rest = rest[1:]
	}
	digits, rest := cutDigits(rest)
	return digits >= 1 && digits <= 9 && rest == ""
}

// cutDigits counts the digits that a text begins with, and gives what follows.
func cutDigits(text string) (n int, rest string) {
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	return n, text[n:]
}

// decimal writes a number in the one way that keeps all of its digits: "7",
// "-0.25", "12e30". Anything else stays as it is.
func decimal(number string) string {
	if !isNumber(number) {
		return number
	}
	mantissa, exponent := number, 0
	if at := strings.IndexAny(number, "eE"); at >= 0 {
		mantissa = number[:at]
		exponent, _ = strconv.Atoi(number[at+1:]) // isNumber lets nine digits pass
	}
	negative := strings.HasPrefix(mantissa, "-")
	mantissa = strings.TrimLeft(mantissa, "+-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	exponent -= len(fraction)
	trimmed := strings.TrimRight(digits, "0")
	exponent += len(digits) - len(trimmed)
	if trimmed == "" {
		return "0"
	}
	switch {
	case exponent > 0 && exponent <= 20:
		trimmed += strings.Repeat("0", exponent)
	case exponent > 20:
		trimmed += "e" + strconv.Itoa(exponent)
	case exponent < 0 && -exponent < len(trimmed):
		trimmed = trimmed[:len(trimmed)+exponent] + "." + trimmed[len(trimmed)+exponent:]
	case exponent < 0 && -exponent <= len(trimmed)+20:
		trimmed = "0." + strings.Repeat("0", -exponent-len(trimmed)) + trimmed
	case exponent < 0:
		trimmed += "e" + strconv.Itoa(exponent)
	}
	if negative {
		return "-" + trimmed
	}
	return trimmed
}
