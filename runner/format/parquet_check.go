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
// the library repeats it so often.
func checkPage(column *parquet.Column, header *parquetformat.PageHeader, data []byte) error {
	switch header.Type {
	case parquetformat.DictionaryPage:
		if n := int64(header.DictionaryPageHeader.V.NumValues); n < 0 || n > int64(len(data))*8 {
			return fmt.Errorf("it should have %d values in %d bytes", n, len(data))
		}
		return nil
	case parquetformat.DataPageV2:
		v2 := &header.DataPageHeaderV2.V
		repetition, definition := int(v2.RepetitionLevelsByteLength), int(v2.DefinitionLevelsByteLength)
		if repetition+definition > len(data) {
			return errRuns
		}
		if err := checkLevels(column.MaxRepetitionLevel(), data[:repetition], v2.NumValues); err != nil {
			return err
		}
		if err := checkLevels(column.MaxDefinitionLevel(), data[repetition:repetition+definition], v2.NumValues); err != nil {
			return err
		}
		return checkValues(v2.Encoding, column, data[repetition+definition:], v2.NumValues)
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
			return fmt.Errorf("its levels are encoded by %s, which is not supported", level.encoding)
		}
		if len(data) < 4 || uint64(binary.LittleEndian.Uint32(data)) > uint64(len(data)-4) {
			return errRuns
		}
		size := 4 + int(binary.LittleEndian.Uint32(data))
		if err := checkLevels(level.max, data[4:size], v1.NumValues); err != nil {
			return err
		}
		data = data[size:]
	}
	return checkValues(v1.Encoding, column, data, v1.NumValues)
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
// ones come in eights, the last of which may not be full.
func checkRuns(data []byte, width int, values int64) error {
	for left := values; len(data) > 0; {
		head, n := binary.Uvarint(data)
		if n <= 0 {
			return errRuns
		}
		data = data[n:]
		count, size := head>>1, uint64((width+7)/8)
		if head&1 == 1 {
			if count > uint64(values)/8+1 {
				return errRuns
			}
			count, size = count*8, count*uint64(width)
		}
		if left -= int64(min(count, 1<<40)); left < -8 {
			return errRuns
		}
		data = data[min(size, uint64(len(data))):]
	}
	return nil
}
