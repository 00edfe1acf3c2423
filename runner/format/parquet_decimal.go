package format

import (
	"fmt"
	"math/big"
	"strconv"

	"github.com/parquet-go/parquet-go"
	parquetformat "github.com/parquet-go/parquet-go/format"
)

// The widest decimal that tools agree on has 256 bits.
const (
	maxPrecision    = 76
	maxDecimalBytes = 32
)

func decimalLeaf(kind parquet.Kind, t *parquetformat.DecimalType) (string, leafText, error) {
	scale := int(t.Scale)
	if t.Precision < 1 || t.Precision > maxPrecision || scale < 0 || t.Scale > t.Precision {
		return "", nil, fmt.Errorf("its type decimal(%d,%d) is not known; at most %d digits are", t.Precision, t.Scale, maxPrecision)
	}
	typ := decimalType(int(t.Precision), scale)
	switch kind {
	case parquet.Int32:
		return typ, func(to []byte, v *leafValues, i int) ([]byte, error) {
			return appendScaled(to, int64(v.int32s[i]), scale), nil
		}, nil
	case parquet.Int64:
		return typ, func(to []byte, v *leafValues, i int) ([]byte, error) {
			return appendScaled(to, v.int64s[i], scale), nil
		}, nil
	default:
		return typ, func(to []byte, v *leafValues, i int) ([]byte, error) {
			if len(v.bytes(i)) > maxDecimalBytes {
				return to, fmt.Errorf("is a decimal of %d bytes", len(v.bytes(i)))
			}
			return appendBigScaled(to, v.bytes(i), scale), nil
		}, nil
	}
}

func appendScaled(to []byte, unscaled int64, scale int) []byte {
	var digits [20]byte
	return appendPoint(to, strconv.AppendInt(digits[:0], unscaled, 10), scale)
}

// appendBigScaled writes a decimal of big-endian two's complement.
func appendBigScaled(to, twos []byte, scale int) []byte {
	if len(twos) <= 8 {
		var unscaled int64
		if len(twos) > 0 && twos[0] >= 0x80 {
			unscaled = -1
		}
		for _, b := range twos {
			unscaled = unscaled<<8 | int64(b)
		}
		return appendScaled(to, unscaled, scale)
	}
	unscaled := new(big.Int).SetBytes(twos)
	if twos[0] >= 0x80 {
		unscaled.Sub(unscaled, new(big.Int).Lsh(big.NewInt(1), uint(len(twos))*8))
	}
	return appendPoint(to, unscaled.Append(nil, 10), scale)
}

// appendPoint writes digits with the last scale of them behind the point.
func appendPoint(to, digits []byte, scale int) []byte {
	if digits[0] == '-' {
		to, digits = append(to, '-'), digits[1:]
	}
	if scale == 0 {
		return append(to, digits...)
	}
	if len(digits) <= scale {
		to = append(to, '0', '.')
		for range scale - len(digits) {
			to = append(to, '0')
		}
		return append(to, digits...)
	}
	to = append(to, digits[:len(digits)-scale]...)
	to = append(to, '.')
	return append(to, digits[len(digits)-scale:]...)
}

func decimalType(precision, scale int) string {
	return fmt.Sprintf("decimal(%d,%d)", precision, scale)
}
