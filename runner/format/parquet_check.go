package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/parquet-go/parquet-go"
	parquetformat "github.com/parquet-go/parquet-go/format"
)

var errRuns = errors.New("it holds other numbers of values than it says")

// checkPage looks whether the values of a page that is not compressed can be
// as many as its header says. Encodings write how often a value repeats, and
// the library repeats it so often. It tells where the values begin.
func checkPage(column *parquet.Column, header *parquetformat.PageHeader, data []byte) (values int, err error) {
	switch header.Type {
	case parquetformat.DictionaryPage:
		if n := int64(header.DictionaryPageHeader.V.NumValues); n < 0 || n > int64(len(data))*8 {
			return 0, fmt.Errorf("it should have %d values in %d bytes", n, len(data))
		}
		return 0, nil
	case parquetformat.DataPageV2:
		v2 := &header.DataPageHeaderV2.V
		repetition, definition := int(v2.RepetitionLevelsByteLength), int(v2.DefinitionLevelsByteLength)
		if repetition+definition > len(data) {
			return 0, errRuns
		}
		if err := checkLevels(column.MaxRepetitionLevel(), data[:repetition], v2.NumValues); err != nil {
			return 0, err
		}
		if err := checkLevels(column.MaxDefinitionLevel(), data[repetition:repetition+definition], v2.NumValues); err != nil {
			return 0, err
		}
		values = repetition + definition
		return values, checkValues(v2.Encoding, column, data[values:], v2.NumValues)
	}
	v1 := &header.DataPageHeader.V
	for _, level := range []struct {
		max      int
		encoding parquetformat.Encoding
	}{{column.MaxRepetitionLevel(), v1.RepetitionLevelEncoding}, {column.MaxDefinitionLevel(), v1.DefinitionLevelEncoding}} {
		if level.max == 0 {
			continue
		}
		if level.encoding != parquetformat.RLE {
			return 0, fmt.Errorf("its levels are encoded by %s, which is not supported", level.encoding)
		}
		left := data[values:]
		if len(left) < 4 || uint64(binary.LittleEndian.Uint32(left)) > uint64(len(left)-4) {
			return 0, errRuns
		}
		size := 4 + int(binary.LittleEndian.Uint32(left))
		if err := checkLevels(level.max, left[4:size], v1.NumValues); err != nil {
			return 0, err
		}
		values += size
	}
	return values, checkValues(v1.Encoding, column, data[values:], v1.NumValues)
}

func checkLevels(highest int, data []byte, values int32) error {
	if highest == 0 {
		return nil
	}
	return checkRuns(data, bits.Len(uint(highest)), int64(values))
}

func checkValues(encoding parquetformat.Encoding, column *parquet.Column, data []byte, values int32) error {
	if len(data) == 0 { // nulls only
		return nil
	}
	switch encoding {
	case parquetformat.PlainDictionary, parquetformat.RLEDictionary: //nolint:staticcheck // older files have it
		if data[0] > 32 {
			return errRuns
		}
		return checkRuns(data[1:], int(data[0]), int64(values))
	case parquetformat.RLE:
		if column.Type().Kind() != parquet.Boolean {
			return fmt.Errorf("its values are encoded by %s, which is for true and false only", encoding)
		}
		if len(data) < 4 {
			return errRuns
		}
		return checkRuns(data[4:], 1, int64(values))
	case parquetformat.DeltaBinaryPacked, parquetformat.DeltaLengthByteArray, parquetformat.DeltaByteArray:
		return checkDelta(encoding, data, values)
	case parquetformat.Plain, parquetformat.ByteStreamSplit:
		return nil
	default:
		return fmt.Errorf("its values are encoded by %s, which is not supported", encoding)
	}
}

// checkRuns walks runs of repeated and of packed values (Parquet's RLE). Packed
// ones come in eights, the last of which may not be full; DuckDB fills the last
// run up to 256.
func checkRuns(data []byte, width int, values int64) error {
	const surplus = 256
	for left := values; len(data) > 0; {
		head, n := binary.Uvarint(data)
		if n <= 0 {
			return errRuns
		}
		data = data[n:]
		count, size := head>>1, uint64((width+7)/8)
		if head&1 == 1 {
			if count > uint64(values+surplus)/8 {
				return errRuns
			}
			count, size = count*8, count*uint64(width)
		}
		if left -= int64(min(count, 1<<40)); left < -surplus {
			return errRuns
		}
		data = data[min(size, uint64(len(data))):]
	}
	return nil
}
