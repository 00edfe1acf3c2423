package format_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

func openParquet(t testing.TB, data []byte) *format.Parquet {
	t.Helper()
	p, err := format.OpenParquet(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// rawRows are the rows as JSON, "number! why" of a bad one.
func rawRows(t testing.TB, reader format.Reader) []string {
	t.Helper()
	var rows []string
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			t.Fatal(err)
		}
		if record.Bad != nil {
			rows = append(rows, fmt.Sprintf("%d! %v", record.Line, record.Bad))
			continue
		}
		rows = append(rows, string(record.Raw))
	}
}

func rowsOf(t testing.TB, p *format.Parquet, first, n int64, project []string) []string {
	t.Helper()
	reader, err := p.Read(first, n, project)
	if err != nil {
		t.Fatal(err)
	}
	return rawRows(t, reader)
}

func TestEveryTypeOfParquetIsReadExactly(t *testing.T) {
	p := openParquet(t, testdata(t, "types.parquet"))
	want := strings.Split(strings.TrimSpace(string(testdata(t, "types.jsonl"))), "\n")
	if got := rowsOf(t, p, 0, p.Rows(), nil); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	types := map[string]string{
		"bool": "boolean", "uint8": "int64", "uint64": "decimal(20,0)", "half": "double", "float": "double", "string": "string",
		"binary": "string", "decimal38": "decimal(38,3)", "date": "date", "nanos": "timestamp_ns", "micros": "timestamp", "time64": "string", "list": "json", "map": "json",
	}
	for _, c := range p.Columns() {
		if want, known := types[c.Name]; known && c.Type != want {
			t.Errorf("column %s has type %s, want %s", c.Name, c.Type, want)
		}
	}
	p = openParquet(t, testdata(t, "int96.parquet"))
	wantInt96 := []string{`{"nanos":"1970-01-01T00:00:00.000000001Z"}`, `{"nanos":null}`, `{"nanos":"1969-12-31T23:59:59.999999999Z"}`}
	if got := rowsOf(t, p, 0, 3, nil); !slices.Equal(got, wantInt96) {
		t.Errorf("int96: got %q", got)
	}
}

// codecRow is row i of the codec files.
func codecRow(i int64) string {
	share, gap := fmt.Sprint(float64(i)/7), fmt.Sprint(i)
	if i%5 == 0 {
		gap = "null"
	}
	list := strings.Trim(strings.Repeat(fmt.Sprintf(",%d", i), int(i%4)), ",")
	return fmt.Sprintf(`{"id":%d,"share":%s,"name":"row %d","kind":"%c","list":[%s],"gaps":%s}`, i, share, i, "abc"[i%3], list, gap)
}

var codecFiles = []string{"codec_none", "codec_snappy", "codec_gzip", "codec_zstd", "codec_lz4", "codec_brotli", "encodings"}

// Files of all codecs, encodings and page versions, with a page index and
// without, give their rows from any place on.
func TestParquetIsReadFromAnyRow(t *testing.T) {
	for _, name := range codecFiles {
		t.Run(name, func(t *testing.T) {
			p := openParquet(t, testdata(t, name+".parquet"))
			if p.Rows() != 300 || !slices.Equal(p.Groups(), []int64{130, 130, 40}) {
				t.Fatalf("%d rows in groups of %d", p.Rows(), p.Groups())
			}
			for first := int64(0); first <= p.Rows(); first += 13 {
				for _, n := range []int64{0, 25, p.Rows()} {
					n = min(n, p.Rows()-first)
					reader, err := p.Read(first, n, []string{"id", "list"})
					if err != nil {
						t.Fatal(err)
					}
					for row := first; row < first+n; row++ {
						record, err := reader.Read()
						if err != nil || record.Bad != nil {
							t.Fatal(err, record)
						}
						if record.Line != row+1 || string(record.Values[0].Bytes) != fmt.Sprint(row) || !strings.Contains(codecRow(row), `"list":`+string(record.Values[1].Bytes)) {
							t.Fatalf("row %d of [%d,%d): line %d, %s", row, first, first+n, record.Line, record.Raw)
						}
					}
					if _, err := reader.Read(); !errors.Is(err, io.EOF) {
						t.Fatalf("behind the last row: %v", err)
					}
				}
			}
			for i, row := range rowsOf(t, p, 0, p.Rows(), nil) {
				if want := codecRow(int64(i)); row != want {
					t.Fatalf("row %d is %s, want %s", i, row, want)
				}
			}
		})
	}
}

// pyarrow writes the booleans of pages of version 2 so, and Hadoop's writer, too.
func TestParquetBooleansInRunsAreReadExactly(t *testing.T) {
	flag := func(row int64) string {
		if row%11 == 0 && row > 90 {
			return "null"
		}
		return fmt.Sprint(row/37%2 == 1 || row > 150 && row%5 == 3)
	}
	for _, name := range []string{"booleans_1.parquet", "booleans_2.parquet"} {
		p := openParquet(t, testdata(t, name))
		for _, first := range []int64{0, 40, 199, 230} {
			for i, row := range rowsOf(t, p, first, p.Rows()-first, nil) {
				want := flag(first + int64(i))
				if want = fmt.Sprintf(`{"flag":%[1]s,"flags":[%[1]s,true]}`, want); row != want {
					t.Fatalf("%s, from row %d on: row %d is %s, want %s", name, first, first+int64(i), row, want)
				}
			}
		}
	}
}

// DuckDB writes more levels than there are values.
func TestParquetOfDuckDBIsReadExactly(t *testing.T) {
	p := openParquet(t, testdata(t, "duckdb.parquet"))
	rows := rowsOf(t, p, 0, p.Rows(), nil)
	if len(rows) != 40 {
		t.Fatalf("got %d rows", len(rows))
	}
	for i, row := range rows {
		gap := fmt.Sprint(i)
		if i%5 == 0 {
			gap = "null"
		}
		want := fmt.Sprintf(`{"id":%d,"gap":%s,"text":%s,"list":[%d]}`, i, gap, []string{`"a"`, `"b"`, "null"}[i%3], i)
		if row != want {
			t.Errorf("row %d is %s, want %s", i, row, want)
		}
	}
}

// pyarrow ends a row group with a page that holds nothing where the page before
// it was full with the last row.
func TestParquetPagesWithoutValuesArePassedOver(t *testing.T) {
	p := openParquet(t, testdata(t, "empty_pages.parquet"))
	for first := range p.Rows() {
		var want []string
		for row := first; row < p.Rows(); row++ {
			want = append(want, fmt.Sprintf(`{"list":["%[1]c","%[1]c","%[1]c"]}`, "abcdefg"[row]))
		}
		if got := rowsOf(t, p, first, p.Rows()-first, nil); !slices.Equal(got, want) {
			t.Errorf("from row %d on: got %s, want %s", first, got, want)
		}
	}
}

func TestParquetReadRefuses(t *testing.T) {
	p := openParquet(t, testdata(t, "codec_none.parquet"))
	for _, bounds := range [][2]int64{{-1, 1}, {0, -1}, {301, 0}, {0, 301}, {1, 1 << 62}} {
		if _, err := p.Read(bounds[0], bounds[1], nil); err == nil {
			t.Errorf("rows %v were read", bounds)
		}
	}
	if _, err := p.Read(0, 1, []string{"id", "nosuch"}); err == nil || !strings.Contains(err.Error(), `"nosuch"`) {
		t.Errorf("a missing column gives %v", err)
	}
}

// touched notes which bytes were read.
type touched struct {
	*bytes.Reader
	bytes []bool
}

func (r *touched) ReadAt(to []byte, at int64) (int, error) {
	n, err := r.Reader.ReadAt(to, at)
	for i := range n {
		r.bytes[at+int64(i)] = true
	}
	return n, err
}

func TestAProjectionReadsItsColumnsOnly(t *testing.T) {
	columns := []api.Column{{Name: "a", Type: api.TypeInt64}, {Name: "b", Type: api.TypeString}}
	var record [][]format.Value
	for i := range 2000 {
		record = append(record, []format.Value{token(fmt.Sprint(i)), text(strings.Repeat(fmt.Sprint(i), 20))})
	}
	data := []byte(writtenTyped(t, api.FormatParquet, columns, record...))
	share := func(project []string) float64 {
		r := &touched{Reader: bytes.NewReader(data), bytes: make([]bool, len(data))}
		p, err := format.OpenParquet(r, int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		rowsOf(t, p, 0, p.Rows(), project)
		n := 0
		for _, read := range r.bytes {
			if read {
				n++
			}
		}
		return float64(n) / float64(len(data))
	}
	if all, one := share(nil), share([]string{"a"}); all < 0.9 || one > 0.6 {
		t.Errorf("all columns read %.0f %% of the file, one of two %.0f %%", 100*all, 100*one)
	}
}

func TestAParquetFileIsReadByManyAtOnce(t *testing.T) {
	p := openParquet(t, testdata(t, "codec_snappy.parquet"))
	var readers sync.WaitGroup
	for first := int64(0); first < p.Rows(); first += 50 {
		readers.Go(func() {
			reader, err := p.Read(first, 50, nil)
			if err != nil {
				t.Error(err)
				return
			}
			for row := first; row < first+50; row++ {
				if record, err := reader.Read(); err != nil || string(record.Raw) != codecRow(row) {
					t.Errorf("row %d: %v, %v", row, record, err)
					return
				}
			}
		})
	}
	readers.Wait()
}
