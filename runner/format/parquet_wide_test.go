package format_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strconv"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

const wideColumns = 1000

// liveHeap is what is in use, garbage aside.
func liveHeap() uint64 {
	runtime.GC()
	runtime.GC() // pools let go of what they hold only then
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func grownMiB(before uint64) int64 { return (int64(liveHeap()) - int64(before)) >> 20 }

// wideFile has large pages, as other writers make them: decoded, those of all
// columns take more than 140 MiB. Row i has i in each column, but null in each
// fifth row.
func wideFile(t testing.TB, rows int) []byte {
	t.Helper()
	root := parquet.Group{}
	for i := range wideColumns {
		node := parquet.Optional(parquet.Compressed(parquet.Leaf(parquet.Int64Type), &parquet.Snappy))
		if i%100 == 7 {
			node = parquet.Encoded(node, &parquet.RLEDictionary)
		}
		root[fmt.Sprintf("c%03d", i)] = node
	}
	var out bytes.Buffer
	writer := parquet.NewGenericWriter[any](&out, parquet.NewSchema("wide", root), parquet.PageBufferSize(1<<20))
	values := make([]parquet.Value, rows)
	for i := range values {
		if values[i] = parquet.Int64Value(int64(i)).Level(0, 1, 0); i%5 == 0 {
			values[i] = parquet.NullValue()
		}
	}
	for _, column := range writer.ColumnWriters() {
		if _, err := column.WriteRowValues(values); err != nil {
			t.Fatal(err)
		}
		if err := column.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// However many columns are read at once, and however large their pages are,
// memory is bounded, and every row is right.
func TestAWideParquetFileIsReadInBoundedMemory(t *testing.T) {
	const rows = 16_000
	data := wideFile(t, rows)
	before := liveHeap()
	p := openParquet(t, data)
	reader, err := p.Read(0, p.Rows(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	for row := range 2600 { // beyond what is decoded at once
		record, err := reader.Read()
		if err != nil || record.Bad != nil {
			t.Fatal(err, record)
		}
		if row%100 > 1 {
			continue
		}
		value := strconv.Itoa(row)
		if row%5 == 0 {
			value = "null"
		}
		want = want[:0]
		for i := range wideColumns {
			want = fmt.Appendf(want, `,"c%03d":%s`, i, value)
		}
		want[0] = '{'
		if want = append(want, '}'); !bytes.Equal(record.Raw, want) {
			t.Fatalf("row %d is %.200s", row, record.Raw)
		}
		if row%1000 > 0 {
			continue
		}
		if grown := grownMiB(before); grown > 96 {
			t.Errorf("after %d rows a reader holds %d MiB", row+1, grown)
		}
	}
	runtime.KeepAlive(reader)
}

// heaped notes the most memory in use while a file is written to it: that is
// when a row group is complete.
type heaped struct {
	before uint64
	writes int
	most   int64
}

func (h *heaped) Write(data []byte) (int, error) {
	if h.writes++; h.writes%50 == 0 {
		h.most = max(h.most, grownMiB(h.before))
	}
	return len(data), nil
}

func TestAWideParquetFileIsWrittenInBoundedMemory(t *testing.T) {
	columns, record := make([]api.Column, wideColumns), make([]format.Value, wideColumns)
	for i := range columns {
		columns[i] = api.Column{Name: fmt.Sprint("c", i), Type: []string{api.TypeDouble, api.TypeString}[i%2]}
	}
	file := &heaped{before: liveHeap()}
	writer, err := format.NewWriter(api.FormatParquet, file, columns)
	if err != nil {
		t.Fatal(err)
	}
	for row := range 3000 {
		for i := range record {
			record[i] = token(strconv.Itoa(row*i + 1<<20))
		}
		if err := writer.Write(record); err != nil {
			t.Fatal(err)
		}
	}
	if file.most == 0 || file.most > 40 {
		t.Errorf("a writer holds %d MiB", file.most)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
}
