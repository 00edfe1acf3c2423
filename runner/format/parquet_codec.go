package format

import (
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	parquetformat "github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// codecRatio is the most that a byte can become when it is decompressed, where
// a codec has a limit; small pages may have a little more.
var codecRatio = map[parquetformat.CompressionCodec]int{
	parquetformat.Snappy: 22, parquetformat.Lz4Raw: 256, parquetformat.Gzip: 1040, parquetformat.Zstd: 44_000,
}

// checkCompressed looks whether a page can hold plain bytes, and says so where
// its codec writes down how many they are: decoders allocate what they are told.
func checkCompressed(codec parquetformat.CompressionCodec, data []byte, plain int) error {
	if ratio, limited := codecRatio[codec]; limited && plain/ratio > len(data)+64 {
		return fmt.Errorf("%d bytes compressed by %s cannot be %d", len(data), codec, plain)
	}
	size := uint64(plain)
	switch codec {
	case parquetformat.Snappy:
		size, _ = binary.Uvarint(data)
	case parquetformat.Zstd:
		var frame zstd.Header
		if err := frame.Decode(data); err != nil {
			return fmt.Errorf("is not compressed by %s: %w", codec, err)
		}
		if frame.HasFCS {
			size = frame.FrameContentSize
		}
	}
	if size != uint64(plain) {
		return fmt.Errorf("has %d bytes where its header says %d", size, plain)
	}
	return nil
}

// decompressPage gives plain bytes, in a pageBuffer. Its data has passed
// checkCompressed.
func decompressPage(codec parquetformat.CompressionCodec, data []byte, plain int) ([]byte, error) {
	if plain == 0 && len(data) == 0 { // a page of nulls
		return nil, nil
	}
	to := pageBuffer(min(plain, bufferSize+codecRatio[parquetformat.Gzip]*len(data)))
	if codec == parquetformat.Lz4Raw { // the library asks for more room as long as a block is not sound
		n, err := lz4.UncompressBlock(data, to)
		if err == nil && n != plain {
			err = fmt.Errorf("has %d bytes where its header says %d", n, plain)
		}
		return to[:max(n, 0)], err
	}
	decoded, err := parquet.LookupCompressionCodec(codec).Decode(to[:cap(to)], data)
	if err == nil && len(decoded) != plain {
		err = fmt.Errorf("has %d bytes where its header says %d", len(decoded), plain)
	}
	return decoded, err
}
