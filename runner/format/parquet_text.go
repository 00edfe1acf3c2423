package format

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	parquetformat "github.com/parquet-go/parquet-go/format"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// leafText appends the i-th value as one JSON token. Its error says
// what makes this one value unusable.
type leafText func(to []byte, v *leafValues, i int) ([]byte, error)

// leafTypeOf says which column of ours a Parquet column is, and how its values
// are written.
func leafTypeOf(t parquet.Type, element *parquetformat.SchemaElement) (string, leafText, error) {
	if _, half := element.LogicalType.Value.(*parquetformat.Float16Type); half && t.Kind() == parquet.FixedLenByteArray && t.Length() == 2 {
		return api.TypeDouble, appendHalf, nil
	}
	if logical := t.LogicalType(); logical != nil {
		switch lt := logical.Value.(type) {
		case *parquetformat.StringType, *parquetformat.EnumType:
			return api.TypeString, appendText, nil
		case *parquetformat.JsonType:
			return api.TypeJSON, appendJSON, nil
		case *parquetformat.UUIDType:
			return api.TypeString, appendUUID, nil
		case *parquetformat.DecimalType:
			return decimalLeaf(t.Kind(), lt)
		case *parquetformat.DateType:
			return api.TypeDate, appendDate, nil
		case *parquetformat.TimestampType:
			return timestampType(lt.Unit), timestampText(lt.Unit), nil
		case *parquetformat.TimeType:
			return api.TypeString, timeText(lt.Unit), nil
		case *parquetformat.IntType:
			return intLeaf(t.Kind(), lt)
		}
	}
	switch t.Kind() {
	case parquet.Boolean:
		return api.TypeBoolean, appendBoolean, nil
	case parquet.Int32:
		return api.TypeInt64, appendInt32, nil
	case parquet.Int64:
		return api.TypeInt64, appendInt64, nil
	case parquet.Int96:
		return api.TypeTimestamp, appendInt96, nil
	case parquet.Float:
		return api.TypeDouble, appendFloat, nil
	case parquet.Double:
		return api.TypeDouble, appendDouble, nil
	case parquet.ByteArray, parquet.FixedLenByteArray:
		if t.Length() > MaxRecord {
			return "", nil, fmt.Errorf("its values should have %d bytes; no value may have more than %d MiB", t.Length(), MaxRecord>>20)
		}
		return api.TypeString, appendBase64, nil
	default: // a column of nulls whose type nobody knows
		return api.TypeString, func([]byte, *leafValues, int) ([]byte, error) {
			return nil, errors.New("is of a type that is not known")
		}, nil
	}
}

func intLeaf(kind parquet.Kind, t *parquetformat.IntType) (string, leafText, error) {
	switch {
	case kind == parquet.Int32 && t.IsSigned:
		return api.TypeInt64, appendInt32, nil
	case kind == parquet.Int32:
		return api.TypeInt64, func(to []byte, v *leafValues, i int) ([]byte, error) {
			return strconv.AppendUint(to, uint64(uint32(v.int32s[i])), 10), nil
		}, nil
	case t.IsSigned:
		return api.TypeInt64, appendInt64, nil
	default: // an int64 does not hold them all
		return decimalType(20, 0), func(to []byte, v *leafValues, i int) ([]byte, error) {
			return strconv.AppendUint(to, uint64(v.int64s[i]), 10), nil
		}, nil
	}
}

func appendBoolean(to []byte, v *leafValues, i int) ([]byte, error) {
	return strconv.AppendBool(to, v.bits[i/8]>>(i%8)&1 == 1), nil
}

func appendInt32(to []byte, v *leafValues, i int) ([]byte, error) {
	return strconv.AppendInt(to, int64(v.int32s[i]), 10), nil
}

func appendInt64(to []byte, v *leafValues, i int) ([]byte, error) {
	return strconv.AppendInt(to, v.int64s[i], 10), nil
}

func appendFloat(to []byte, v *leafValues, i int) ([]byte, error) {
	return appendNumber(to, float64(v.floats[i]), 32), nil
}

func appendDouble(to []byte, v *leafValues, i int) ([]byte, error) {
	return appendNumber(to, v.doubles[i], 64), nil
}

// appendHalf writes a float of 16 bits.
func appendHalf(to []byte, v *leafValues, i int) ([]byte, error) {
	b := v.bytes(i)
	bits := uint16(b[0]) | uint16(b[1])<<8
	exponent, fraction := int(bits>>10&0x1f), float64(bits&0x3ff)
	var f float64
	switch exponent {
	case 0:
		f = math.Ldexp(fraction, -24)
	case 0x1f:
		if f = math.Inf(1); fraction != 0 {
			f = math.NaN()
		}
	default:
		f = math.Ldexp(1024+fraction, exponent-25)
	}
	if bits>>15 == 1 {
		f = -f
	}
	return appendNumber(to, f, 32), nil
}

// appendNumber writes the shortest digits that are read back as f; what JSON
// has no number for is a string.
func appendNumber(to []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		to = append(to, '"')
		to = strconv.AppendFloat(to, f, 'g', -1, bits)
		return append(to, '"')
	}
	if bits == 64 {
		if short, ok := appendShort(to, f); ok {
			return short
		}
	}
	shape := byte('f')
	if size := math.Abs(f); size != 0 && (size < 1e-6 || size >= 1e21) {
		shape = 'e'
	}
	return strconv.AppendFloat(to, f, shape, -1, bits)
}

// appendShort writes a number of few digits as appendNumber does, in a fraction
// of the time. A decimal of up to 15 digits that is read as f is the shortest
// one: no two of them are the same float64.
func appendShort(to []byte, f float64) ([]byte, bool) {
	const scale = 1e4 // four digits behind the point
	size := math.Abs(f)
	scaled := int64(min(size, 1e11)*scale + 0.5)
	if float64(scaled)/scale != size || scaled == 0 {
		return to, false
	}
	if f < 0 {
		to = append(to, '-')
	}
	to = strconv.AppendUint(to, uint64(scaled/scale), 10)
	fraction := scaled % scale
	if fraction == 0 {
		return to, true
	}
	to = append(to, '.', '0'+byte(fraction/1000), '0'+byte(fraction/100%10), '0'+byte(fraction/10%10), '0'+byte(fraction%10))
	for to[len(to)-1] == '0' {
		to = to[:len(to)-1]
	}
	return to, true
}

func appendText(to []byte, v *leafValues, i int) ([]byte, error) {
	text := v.bytes(i)
	if !utf8.Valid(text) {
		return to, fmt.Errorf("is not UTF-8 at byte %d", invalidAt(text)+1)
	}
	return appendQuoted(to, text), nil
}

func appendBase64(to []byte, v *leafValues, i int) ([]byte, error) {
	to = base64.StdEncoding.AppendEncode(append(to, '"'), v.bytes(i))
	return append(to, '"'), nil
}

func appendUUID(to []byte, v *leafValues, i int) ([]byte, error) {
	b := v.bytes(i)
	if len(b) != 16 {
		return to, fmt.Errorf("is a UUID of %d bytes", len(b))
	}
	to = append(to, '"')
	for i := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			to = append(to, '-')
		}
		to = hex.AppendEncode(to, b[i:i+1])
	}
	return append(to, '"'), nil
}

func appendJSON(to []byte, v *leafValues, i int) ([]byte, error) {
	text := v.bytes(i)
	if !utf8.Valid(text) {
		return to, fmt.Errorf("is not UTF-8 at byte %d", invalidAt(text)+1)
	}
	start := skipSpace(text, 0)
	end, ok := skipValue(text, start, 1)
	if !ok {
		return to, notJSON(text, end)
	}
	if err := atEnd(text, end); err != nil {
		return to, err
	}
	return appendOneLine(to, text[start:end]), nil
}
