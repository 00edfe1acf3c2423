package format

import (
	"bytes"
	"errors"
	"math"
	"math/big"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// encoder makes typed values of cells. Those of bytes lie in its arena until
// the next reset.
type encoder struct {
	arena []byte
	text  []byte // of a JSON string, without its escapes
}

func (e *encoder) reset() { e.arena = e.arena[:0] }

var (
	errNotNumber    = errors.New("it is not a number")
	errNotInteger   = errors.New("it is not a whole number")
	errTooBig       = errors.New("it is out of range")
	errNotExact     = errors.New("a double does not hold so large an integer exactly; name int64, decimal(38,0) or string for the column in output.files.types")
	errNotBoolean   = errors.New("it is neither true nor false")
	errNotTimestamp = errors.New("it is not a time as in 2026-12-24T18:00:00Z")
	errTooFine      = errors.New("it is finer than a microsecond; timestamp_ns takes it")
	errNotDate      = errors.New("it is not a date as in 2026-12-24")
)

// encode gives a cell as a value of the type. Null is a null value.
func (e *encoder) encode(t *columnType, v Value) (parquet.Value, error) {
	text, quoted, err := e.open(v)
	if err != nil || text == nil {
		return parquet.NullValue(), err
	}
	switch t.kind {
	case api.TypeString:
		return e.bytes(text), nil
	case api.TypeJSON:
		return e.json(v)
	}
	if text = bytes.TrimSpace(text); len(text) == 0 && quoted {
		return parquet.NullValue(), nil
	}
	switch t.kind {
	case api.TypeDouble:
		f, err := parseDouble(text)
		return parquet.DoubleValue(f), err
	case api.TypeInt64:
		i, err := parseInteger(text)
		return parquet.Int64Value(i), err
	case api.TypeBoolean:
		b, err := strconv.ParseBool(string(text))
		if err != nil {
			err = errNotBoolean
		}
		return parquet.BooleanValue(b), err
	case api.TypeTimestamp:
		micros, err := parseMicros(text)
		return parquet.Int64Value(micros), err
	case typeNanos:
		nanos, err := parseNanos(text)
		return parquet.Int64Value(nanos), err
	case api.TypeDate:
		days, err := parseDate(text)
		return parquet.Int32Value(days), err
	default:
		return e.decimal(t, text)
	}
}

// open gives the text of a cell, nil for null, and whether it stood there as
// text.
func (e *encoder) open(v Value) (text []byte, quoted bool, err error) {
	switch {
	case !v.JSON && v.Bytes == nil:
		return []byte{}, true, nil
	case !v.JSON:
		return v.Bytes, true, nil
	case len(v.Bytes) == 0:
		return nil, false, errNotAToken
	case v.Bytes[0] == '"':
		if behind, ok := skipString(v.Bytes, 0); !ok || behind != len(v.Bytes) {
			return nil, false, errNotAToken
		}
		if text = v.Bytes[1 : len(v.Bytes)-1]; bytes.IndexByte(text, '\\') >= 0 {
			e.text = appendUnescaped(e.text[:0], text)
			text = e.text
		}
		return text, true, nil
	case string(v.Bytes) == "null":
		return nil, false, nil
	default:
		return v.Bytes, false, nil
	}
}

func (e *encoder) bytes(text []byte) parquet.Value {
	start := len(e.arena)
	if utf8.Valid(text) {
		e.arena = append(e.arena, text...)
	} else {
		e.arena = append(e.arena, bytes.ToValidUTF8(text, []byte("\uFFFD"))...)
	}
	return parquet.ByteArrayValue(e.arena[start:len(e.arena):len(e.arena)])
}

// json takes tokens as they are, and text that is JSON.
func (e *encoder) json(v Value) (parquet.Value, error) {
	text := bytes.TrimSpace(v.Bytes)
	if len(text) == 0 {
		return parquet.NullValue(), nil
	}
	if !v.JSON || text[0] == '{' || text[0] == '[' {
		end, ok := skipValue(text, 0, 0)
		if !ok {
			return parquet.NullValue(), notJSON(text, end)
		}
		if err := atEnd(text, end); err != nil {
			return parquet.NullValue(), err
		}
		if string(text) == "null" {
			return parquet.NullValue(), nil
		}
	}
	start := len(e.arena)
	e.arena = appendOneLine(e.arena, text)
	return parquet.ByteArrayValue(e.arena[start:len(e.arena):len(e.arena)]), nil
}

func parseDouble(text []byte) (float64, error) {
	if f, ok := shortDouble(text); ok {
		return f, nil
	}
	switch string(text) {
	case "NaN":
		return math.NaN(), nil
	case "Infinity", "+Infinity", "Inf", "+Inf":
		return math.Inf(1), nil
	case "-Infinity", "-Inf":
		return math.Inf(-1), nil
	}
	for _, c := range text { // hexadecimal numbers, underscores and words are none of ours
		if (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return 0, errNotNumber
		}
	}
	f, err := strconv.ParseFloat(string(text), 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, errTooBig
	case err != nil:
		return 0, errNotNumber
	case losesDigits(text, f):
		return 0, errNotExact
	}
	return f, nil
}

// losesDigits tells whether a whole number, written without an exponent, would
// come back as another one: it may be somebody's key.
func losesDigits(text []byte, f float64) bool {
	const always = 15 // digits are held
	digits := bytes.TrimLeft(bytes.TrimLeft(text, "+-"), "0")
	if len(digits) <= always || bytes.IndexFunc(digits, func(c rune) bool { return c < '0' || c > '9' }) >= 0 {
		return false
	}
	var exact [maxPrecision + 1]byte
	return !bytes.Equal(digits, strconv.AppendFloat(exact[:0], math.Abs(f), 'f', 0, 64))
}

func parseInteger(text []byte) (int64, error) {
	if i, points, ok := shortDigits(text); ok && points == 0 {
		return i, nil
	}
	if i, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		return i, nil
	}
	d, ok := parseNumber(text)
	switch {
	case !ok:
		return 0, errNotNumber
	case d.exponent < 0:
		return 0, errNotInteger
	case len(d.digits)+d.exponent > 19:
		return 0, errTooBig
	}
	i, err := strconv.ParseInt(string(d.scaled(nil, 0)), 10, 64)
	if err != nil {
		return 0, errTooBig
	}
	return i, nil
}

func parseMicros(text []byte) (int64, error) {
	t, err := parseTime(text)
	if err == nil && t.Nanosecond()%1000 != 0 {
		err = errTooFine
	}
	return t.UnixMicro(), err
}

func parseNanos(text []byte) (int64, error) {
	t, err := parseTime(text)
	nanos := t.UnixNano()
	if err == nil && !time.Unix(0, nanos).Equal(t) {
		err = errTooBig
	}
	return nanos, err
}

func parseTime(text []byte) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		if t, err = time.Parse(time.RFC3339, asRFC3339(string(text))); err != nil {
			return t, errNotTimestamp
		}
	}
	return t, nil
}

// asRFC3339 rewrites times as databases print them: a blank for the T, no zone
// (which is UTC), or a zone of hours only.
func asRFC3339(text string) string {
	const date, seconds = len("2006-01-02"), len("2006-01-02T15:04:05")
	if len(text) < seconds || text[date] != ' ' && text[date] != 'T' {
		return text
	}
	text = text[:date] + "T" + text[date+1:]
	for i := seconds; i < len(text); i++ {
		switch text[i] {
		case 'Z':
			return text
		case '+', '-':
			if len(text)-i == len("+02") {
				text += ":00"
			}
			return text
		}
	}
	return text + "Z"
}

func parseDate(text []byte) (int32, error) {
	t, err := time.Parse(time.DateOnly, string(text))
	if err != nil {
		return 0, errNotDate
	}
	return int32(t.Unix() / 86400), nil // at midnight, so that there is no rest
}

func (e *encoder) decimal(t *columnType, text []byte) (parquet.Value, error) {
	d, ok := parseNumber(text)
	switch {
	case !ok:
		return parquet.NullValue(), errNotNumber
	case d.exponent < -t.scale:
		return parquet.NullValue(), errors.New("it has " + strconv.Itoa(-d.exponent) + " digits behind the point")
	case len(d.digits) > 0 && len(d.digits)+d.exponent > t.precision-t.scale:
		return parquet.NullValue(), errTooBig
	}
	var buffer [maxPrecision + 1]byte
	unscaled := d.scaled(buffer[:0], t.scale)
	if t.precision <= 18 {
		i, err := strconv.ParseInt(string(unscaled), 10, 64)
		if t.precision <= 9 {
			return parquet.Int32Value(int32(i)), err
		}
		return parquet.Int64Value(i), err
	}
	n, ok := new(big.Int).SetString(string(unscaled), 10)
	if !ok {
		return parquet.NullValue(), errNotNumber
	}
	size := decimalBytes(t.precision)
	if n.Sign() < 0 {
		n.Add(n, new(big.Int).Lsh(big.NewInt(1), uint(size)*8))
	}
	start := len(e.arena)
	e.arena = append(e.arena, n.FillBytes(make([]byte, size))...)
	return parquet.FixedLenByteArrayValue(e.arena[start:len(e.arena):len(e.arena)]), nil
}

// decimalBytes is the number of bytes that hold every number of so many
// digits, and its sign.
func decimalBytes(precision int) int {
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(precision)), nil)
	return limit.BitLen()/8 + 1
}
