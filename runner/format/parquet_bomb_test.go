package format

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go"
	parquetformat "github.com/parquet-go/parquet-go/format"
)

// A page that would be far larger than its header says is given up at that size.
func TestAPageGrowsToNoMoreThanItsHeaderSays(t *testing.T) {
	const says = 1000
	for _, codec := range []parquetformat.CompressionCodec{
		parquetformat.Gzip, parquetformat.Brotli, parquetformat.Zstd, parquetformat.Snappy, parquetformat.Lz4Raw,
	} {
		compress := func(size int) []byte {
			data, err := parquet.LookupCompressionCodec(codec).Encode(nil, make([]byte, size))
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
		bombs := map[string][]byte{"one": compress(64 << 20)}
		if codec == parquetformat.Zstd || codec == parquetformat.Gzip { // they may be joined
			bombs["joined"] = slices.Concat(compress(says), compress(64<<20))
		}
		for name, bomb := range bombs {
			err := checkCompressed(codec, bomb, says)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if err == nil {
				_, err = decompressPage(codec, bomb, says)
			}
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; err == nil || took > 24<<20 { // a decoder of brotli holds up to 16 MiB
				t.Errorf("%s, %s: %v, and %d KiB were allocated", codec, name, err, took>>10)
			}
		}
		whole := compress(says)
		if got, err := decompressPage(codec, whole, says); err != nil || !bytes.Equal(got, make([]byte, says)) {
			t.Errorf("%s: a sound page gives %d bytes, %v", codec, len(got), err)
		}
		if _, err := decompressPage(codec, whole, says+1); err == nil || errors.Is(err, errPageTooLong) {
			t.Errorf("%s: a page that is too short gives %v", codec, err)
		}
	}
}
