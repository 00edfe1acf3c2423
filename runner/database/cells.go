package database

import (
	"encoding/base64"
	"math"
	"strconv"
	"time"

	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

const day = 24 * time.Hour

// fraction is the unit of seconds with so many digits behind the point; all six
// that databases have, where that is not known.
func fraction(digits int64) time.Duration {
	unit := time.Second
	if digits < 0 || digits > 6 {
		digits = 6
	}
	for range digits {
		unit /= 10
	}
	return unit
}

// appendJSON writes a JSON value into a line: what breaks a line in valid
// JSON stands between its tokens.
func appendJSON(to, value []byte) []byte {
	from := len(to)
	to = append(to, value...)
	for at := from; at < len(to); at++ {
		if to[at] == '\n' || to[at] == '\r' {
			to[at] = ' '
		}
	}
	return to
}

// appendNumber writes a number with all its digits; what JSON has no number
// for (NaN, Infinity) as text.
func appendNumber(to, text []byte) []byte {
	if len(text) > 0 && (text[len(text)-1] >= '0' && text[len(text)-1] <= '9') {
		return append(to, text...)
	}
	return format.AppendString(to, text)
}

// appendFloat writes the shortest text that reads as the same number, as
// PostgreSQL does: with an exponent only where the digits would be many.
func appendFloat(to []byte, v float64) []byte {
	switch size := math.Abs(v); {
	case math.IsInf(v, 0) || math.IsNaN(v):
		return format.AppendString(to, strconv.AppendFloat(nil, v, 'g', -1, 64))
	case size != 0 && (size < 1e-6 || size >= 1e21):
		return strconv.AppendFloat(to, v, 'e', -1, 64)
	}
	return strconv.AppendFloat(to, v, 'f', -1, 64)
}

func appendBytes(to, raw []byte) []byte {
	to = append(to, '"')
	to = base64.StdEncoding.AppendEncode(to, raw)
	return append(to, '"')
}

func appendTime(to []byte, at time.Time) []byte {
	to = append(to, '"')
	to = at.UTC().AppendFormat(to, time.RFC3339Nano)
	return append(to, '"')
}

// appendInstant writes "2026-01-02 03:04:05.6" or the same with "+00" behind
// it as RFC 3339 in UTC; what is no such instant (infinity, a year before
// Christ, 0000-00-00) as it is.
func appendInstant(to, text []byte) []byte {
	body := text
	if n := len(body); n > 3 && string(body[n-3:]) == "+00" {
		body = body[:n-3]
	}
	const form = "2006-01-02 15:04:05"
	if len(body) < len(form) || body[4] != '-' || body[7] != '-' || body[10] != ' ' || string(body[:4]) == "0000" || body[len(body)-1] > '9' {
		return format.AppendString(to, text)
	}
	if len(body) > len(form) {
		for body[len(body)-1] == '0' {
			body = body[:len(body)-1]
		}
		if body[len(body)-1] == '.' {
			body = body[:len(body)-1]
		}
	}
	to = append(append(to, '"'), body...)
	to[len(to)-len(body)+10] = 'T'
	return append(to, 'Z', '"')
}
