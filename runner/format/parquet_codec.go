package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
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

// decompressPage gives plain bytes, in a pageBuffer, or an error as soon as there
// are more. Its data has passed checkCompressed.
func decompressPage(codec parquetformat.CompressionCodec, data []byte, plain int) (to []byte, err error) {
	if plain == 0 && len(data) == 0 { // a page of nulls
		return nil, nil
	}
	to = pageBuffer(min(plain, bufferSize+codecRatio[parquetformat.Gzip]*len(data)))
	switch codec {
	case parquetformat.Lz4Raw: // the library asks for more room as long as a block is not sound
		n, err := lz4.UncompressBlock(data, to)
		if to = to[:max(n, 0)]; err != nil {
			return to, err
		}
	case parquetformat.Gzip:
		if to, err = readPage(&gzipPages, data, to, plain); err != nil {
			return to, err
		}
	case parquetformat.Brotli:
		if to, err = readPage(&brotliPages, data, to, plain); err != nil {
			return to, err
		}
	case parquetformat.Zstd:
		if to, err = decompressZstd(data, to, plain); err != nil {
			return to, err
		}
	default: // snappy, which says how long it is
		if to, err = parquet.LookupCompressionCodec(codec).Decode(to[:cap(to)], data); err != nil {
			return to, err
		}
	}
	if len(to) != plain {
		return to, fmt.Errorf("has %d bytes where its header says %d", len(to), plain)
	}
	return to, nil
}

var errPageTooLong = errors.New("has more bytes than its header says")

type pageDecoder interface {
	io.Reader
	Reset(io.Reader) error
}

// Decoders are used again: they hold as much as they may have to repeat.
var (
	gzipPages   = sync.Pool{New: func() any { return new(gzip.Reader) }}
	brotliPages = sync.Pool{New: func() any { return new(brotli.Reader) }}
)

// readPage reads up to plain bytes. The buffer grows with what is there, not
// with what is claimed.
func readPage(decoders *sync.Pool, data, to []byte, plain int) ([]byte, error) {
	r := decoders.Get().(pageDecoder) // nothing else is put there
	if err := r.Reset(bytes.NewReader(data)); err != nil {
		return nil, err
	}
	to = to[:0]
	for {
		if len(to) == cap(to) {
			to = slices.Grow(to, min(len(to)+1, plain+1-len(to)))
		}
		n, err := r.Read(to[len(to):min(cap(to), plain+1)])
		if to = to[:len(to)+n]; len(to) > plain {
			return to, errPageTooLong
		}
		if errors.Is(err, io.EOF) {
			decoders.Put(r) // no other can be used again
			return to, nil
		}
		if err != nil {
			return to, err
		}
	}
}

// zstdPages writes no more than it has room for, however many frames a page has.
var zstdPages = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxWindow(maxPageSize))
})

func decompressZstd(data, to []byte, plain int) ([]byte, error) {
	decoder, err := zstdPages()
	if err != nil {
		return nil, err
	}
	room := min(cap(to), plain)
	decoded, err := decoder.DecodeAll(data, to[:0:room])
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) && room < plain {
		decoded, err = decoder.DecodeAll(data, make([]byte, 0, plain))
	}
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		err = errPageTooLong
	}
	return decoded, err
}
