package format

import (
	"encoding/binary"

	parquetformat "github.com/parquet-go/parquet-go/format"
)

// checkDelta looks at pages of the delta encodings: at the number of values
// and, where these are texts, at their lengths, which the library adds up and
// allocates.
func checkDelta(encoding parquetformat.Encoding, data []byte, values int32) error {
	if encoding == parquetformat.DeltaBinaryPacked {
		_, _, err := deltaHead(data, values)
		return err
	}
	lengths, data, err := deltaLengths(data, values)
	if err != nil {
		return err
	}
	if encoding == parquetformat.DeltaLengthByteArray {
		return checkLengths(lengths, len(data))
	}
	suffixes, data, err := deltaLengths(data, values)
	if err != nil {
		return err
	}
	if len(suffixes) != len(lengths) {
		return errRuns
	}
	if err := checkLengths(suffixes, len(data)); err != nil {
		return err
	}
	last, total := int64(0), int64(0) // of a text, of all
	for i, prefix := range lengths {
		if prefix < 0 || int64(prefix) > last {
			return errRuns
		}
		last = int64(prefix) + int64(suffixes[i])
		if total += last; total > maxPageSize {
			return errRuns
		}
	}
	return nil
}

func checkLengths(lengths []int32, available int) error {
	total := int64(0)
	for _, length := range lengths {
		if total += int64(length); length < 0 || total > int64(available) {
			return errRuns
		}
	}
	return nil
}

// deltaBlocks is what delta encoded numbers begin with.
type deltaBlocks struct {
	parts   int // of a block
	perPart int // numbers
	total   int
	first   int64
}

func deltaHead(data []byte, values int32) (deltaBlocks, []byte, error) {
	var head [4]uint64
	for i := range head {
		v, n := binary.Uvarint(data)
		if n <= 0 {
			return deltaBlocks{}, nil, errRuns
		}
		head[i], data = v, data[n:]
	}
	size, parts, total := head[0], head[1], head[2]
	if size == 0 || size > 1<<16 || parts == 0 || parts > size || size%parts != 0 || total > uint64(values) {
		return deltaBlocks{}, nil, errRuns
	}
	return deltaBlocks{parts: int(parts), perPart: int(size / parts), total: int(total), first: zigzag(head[3])}, data, nil
}

func zigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

// deltaLengths decodes numbers of DELTA_BINARY_PACKED, and gives what lies
// behind them.
func deltaLengths(data []byte, values int32) (lengths []int32, rest []byte, err error) {
	head, data, err := deltaHead(data, values)
	if err != nil || head.total == 0 {
		return nil, data, err
	}
	value := head.first
	lengths = append(lengths, int32(value))
	for len(lengths) < head.total {
		least, n := binary.Uvarint(data)
		if n <= 0 || len(data)-n < head.parts {
			return nil, nil, errRuns
		}
		widths := data[n : n+head.parts]
		data = data[n+head.parts:]
		for _, width := range widths {
			if len(lengths) == head.total {
				break // parts without numbers are left out
			}
			if width > 32 {
				return nil, nil, errRuns
			}
			for i := 0; i < head.perPart && len(lengths) < head.total; i++ {
				value += zigzag(least) + packed(data, i*int(width), int(width))
				lengths = append(lengths, int32(value))
			}
			data = data[min(head.perPart*int(width)/8, len(data)):]
		}
	}
	return lengths, data, nil
}

// packed is the number of width bits at a bit of data; behind its end are zeros.
func packed(data []byte, at, width int) (v int64) {
	for i := range width {
		if bit := at + i; bit/8 < len(data) {
			v |= int64(data[bit/8]>>(bit%8)&1) << i
		}
	}
	return v
}
