package format_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// readAll reads whatever can be read of a file.
func readAll(data []byte) (rows int, err error) {
	p, err := format.OpenParquet(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return 0, err
	}
	if p.Rows() > 1<<20 {
		return 0, nil // a number that nothing in such small files contradicts until it is read
	}
	for _, first := range []int64{0, p.Rows() / 2} {
		reader, err := p.Read(first, p.Rows()-first, nil)
		if err != nil {
			return 0, err
		}
		for {
			record, err := reader.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				if _, again := reader.Read(); !errors.Is(again, err) {
					return rows, errors.New("the error did not stay")
				}
				return rows, err
			}
			rows++
			_ = record
		}
	}
	return rows, nil
}

func TestACutParquetFileIsRefused(t *testing.T) {
	for _, name := range codecFiles {
		data := testdata(t, name+".parquet")
		for size := 0; size < len(data); size += 1 + size/50 {
			if _, err := format.OpenParquet(bytes.NewReader(data[:size]), int64(size)); err == nil || !strings.Contains(err.Error(), "a Parquet file") {
				t.Fatalf("%s cut to %d bytes gives %v", name, size, err)
			}
		}
	}
}

// A file may claim anything: it is an error, never a panic, and never memory
// that the file does not fill.

func TestACorruptParquetFileDoesNoHarm(t *testing.T) {
	for _, name := range []string{"types", "codec_none", "codec_snappy", "codec_zstd", "codec_gzip", "codec_lz4", "codec_brotli", "encodings", "booleans_1", "booleans_2"} {
		t.Run(name, func(t *testing.T) {
			data := testdata(t, name+".parquet")
			broken := bytes.Clone(data)
			refused := 0
			for i := 0; i < len(data); i += 509 {
				to := []byte{0, 0x7f, 0xff, data[i] ^ 0x11}[i%4]
				broken[i] = to
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				_, err := readAll(broken)
				if err != nil {
					refused++
				}
				runtime.ReadMemStats(&after)
				if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
					t.Fatalf("byte %d made %#x: %d MiB were allocated (%v)", i, to, took>>20, err)
				}
				broken[i] = data[i]
			}
			if refused == 0 {
				t.Error("no error was found")
			}
		})
	}
}

func TestWhatIsWrongWithAParquetFileIsNamed(t *testing.T) {
	sound := testdata(t, "codec_none.parquet")
	change := func(with func(data []byte) []byte) []byte { return with(bytes.Clone(sound)) }
	for want, data := range map[string][]byte{
		"it has only 3 bytes":          []byte("PAR"),
		`it begins with "id,a"`:        []byte("id,a\n1,2\n3,4\n"),
		`it ends with "\x00PAR"`:       sound[:len(sound)-1],
		"is an encrypted Parquet file": change(func(d []byte) []byte { return append(d[:len(d)-4], "PARE"...) }),
		"its footer should take 4294967295 bytes of a file of 21150": change(func(d []byte) []byte {
			binary.LittleEndian.PutUint32(d[len(d)-8:], 1<<32-1)
			return d
		}),
		"its footer ends too early": change(func(d []byte) []byte {
			binary.LittleEndian.PutUint32(d[len(d)-8:], binary.LittleEndian.Uint32(d[len(d)-8:])-1)
			return append(d[:len(d)-9], d[len(d)-8:]...)
		}),
		`column "id": row group 1: its page at byte 4: its header is not`: change(func(d []byte) []byte {
			d[6] = 0xff // the size of its first page
			return d
		}),
	} {
		_, err := readAll(data)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// Good rows in front of a broken page are read.
func TestRowsBeforeACorruptPageAreRead(t *testing.T) {
	data := testdata(t, "codec_gzip.parquet")
	p := openParquet(t, data)
	rows := rowsOf(t, p, 0, 130, []string{"name"})
	at := bytes.LastIndex(data, []byte{0x1f, 0x8b}) // the last compressed page
	copy(data[at:], "no")
	broken := openParquet(t, data)
	reader, err := broken.Read(0, 130, []string{"name"})
	if err != nil {
		t.Fatal(err)
	}
	if got := rawRows(t, reader); len(got) != len(rows) {
		t.Errorf("read %d rows of the first row group", len(got))
	}
	if n, err := readAll(data); err == nil || n < 260 || !strings.Contains(err.Error(), "row group 3") {
		t.Errorf("read %d rows, then %v", n, err)
	}
}

// failing can't be read from a byte on.
type failing struct {
	*bytes.Reader
	from int64
	err  error
}

func (f failing) ReadAt(to []byte, at int64) (int, error) {
	if at < f.from || at > f.Size()/2 { // the footer can be
		return f.Reader.ReadAt(to, at)
	}
	return 0, f.err
}

// A run that met a corrupt page has failed: to go on would meet it again. A file
// that can't be read may be readable later.
func TestACorruptPageIsAFailureAndAnUnreadableOneIsNot(t *testing.T) {
	data := testdata(t, "codec_gzip.parquet")
	readBy := func(r io.ReaderAt) error {
		p, err := format.OpenParquet(r, int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		reader, err := p.Read(0, p.Rows(), nil)
		for err == nil {
			_, err = reader.Read()
		}
		return err
	}
	at := bytes.LastIndex(data, []byte{0x1f, 0x8b})
	broken := bytes.Clone(data)
	copy(broken[at:], "no")
	if failure, ok := errors.AsType[*api.Failure](readBy(bytes.NewReader(broken))); !ok || failure.Reason != api.Reason(api.ClassConfig) || !strings.Contains(failure.Error(), "row ") {
		t.Errorf("a corrupt page gives %v", failure)
	}
	unplugged := errors.New("input/output error")
	err := readBy(failing{bytes.NewReader(data), 100, unplugged})
	if _, failed := errors.AsType[*api.Failure](err); failed || !errors.Is(err, unplugged) {
		t.Errorf("a file that can't be read gives %v", err)
	}
}

// FuzzParquet: no file makes the reader panic.
func FuzzParquet(f *testing.F) {
	for _, name := range append([]string{"types", "int96", "booleans_1", "booleans_2", "empty_pages", "duckdb"}, codecFiles...) {
		f.Add(testdata(f, name+".parquet"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = readAll(data)
	})
}

// parquetOf is a file of nothing but this footer.
func parquetOf(footer []byte) []byte {
	file := append([]byte("PAR1"), footer...)
	return append(binary.LittleEndian.AppendUint32(file, uint32(len(footer))), "PAR1"...)
}

// Small footers that would be large in memory.
func TestAFooterThatClaimsTooMuchIsRefused(t *testing.T) {
	group := []byte{0x48, 0x01, 'x', 0x15, 0x02, 0x00} // a schema element "x" with one child
	schema := append([]byte{0x15, 0x02, 0x19, 0xfc, 0x90, 0x4e}, bytes.Repeat(group, 10_000)...)
	for want, footer := range map[string][]byte{
		"its footer is not what a Parquet file holds there, at byte 3":  bytes.Repeat([]byte{0x19}, 1<<20), // lists in lists
		"its footer is not what a Parquet file holds there, at byte 36": bytes.Repeat([]byte{0x1c}, 1<<20), // structures in structures
		"its footer ends too early, at byte 13":                         {0x15, 0x02, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07},
		"its footer ends too early, at byte 10":                         {0x68, 0xff, 0xff, 0xff, 0xff, 0x07},
		`column "x" is nested more than 100 levels deep`:                append(schema, 0x16, 0x00, 0x19, 0x0c, 0x00),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := readAll(parquetOf(footer))
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 32<<20 {
			t.Errorf("%d MiB were allocated", took>>20)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
