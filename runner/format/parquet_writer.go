package format

import (
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/parquet-go/parquet-go"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

const (
	// rowGroupSize is the size of values, not yet compressed, at which a row
	// group is written: a writer holds two to three times as much in memory.
	rowGroupSize = 16 << 20
	rowBatch     = 64
)

// columnBuffers hold the pages of each column until their row group is written:
// in small pieces, since a file may have thousands of columns.
var columnBuffers = parquet.NewChunkBufferPool(4 << 10)

// parquetWriter writes typed columns, all of which take nulls.
type parquetWriter struct {
	types   []columnType
	writer  *parquet.GenericWriter[any]
	encoder encoder
	values  [][]parquet.Value // of each column, encoded and not yet handed over
	rows    int               // how many
	held    int64             // bytes in the current row group
	copied  *jsonlReader      // takes apart what Copy is given
	err     error
}

func newParquetWriter(w io.Writer, columns []api.Column) (*parquetWriter, error) {
	writer, types, err := openParquetWriter(w, columns)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	values := make([][]parquet.Value, len(columns))
	for i := range values {
		values[i] = make([]parquet.Value, 0, rowBatch)
	}
	return &parquetWriter{types: types, writer: writer, copied: newJSONLReader(nil, names), values: values}, nil
}

func openParquetWriter(w io.Writer, columns []api.Column) (*parquet.GenericWriter[any], []columnType, error) {
	root, types := parquetRoot{}, make([]columnType, len(columns))
	for i, c := range columns {
		t, err := parseType(c)
		if err != nil {
			return nil, nil, fmt.Errorf("write parquet: %w", err)
		}
		for _, other := range columns[:i] {
			if other.Name == c.Name {
				return nil, nil, fmt.Errorf("write parquet: two columns are named %q", c.Name)
			}
		}
		types[i] = t
		root.fields = append(root.fields, parquetField{
			Node: parquet.Optional(parquet.Compressed(parquet.Encoded(t.node(), &parquet.Plain), &parquet.Snappy)),
			name: c.Name,
		})
	}
	// created_by is fixed, so that equal records are equal files.
	writer := parquet.NewGenericWriter[any](w, parquet.NewSchema("batch", root), parquet.CreatedBy("batch-runner", "1", "0"),
		parquet.DataPageVersion(1), parquet.DataPageStatistics(false), parquet.PageBufferSize(128<<10), parquet.ColumnPageBuffers(columnBuffers))
	return writer, types, nil
}

func (t columnType) node() parquet.Node {
	switch t.kind {
	case api.TypeDouble:
		return parquet.Leaf(parquet.DoubleType)
	case api.TypeInt64:
		return parquet.Leaf(parquet.Int64Type)
	case api.TypeBoolean:
		return parquet.Leaf(parquet.BooleanType)
	case api.TypeString:
		return parquet.String()
	case api.TypeTimestamp:
		return parquet.Timestamp(parquet.Microsecond)
	case typeNanos:
		return parquet.Timestamp(parquet.Nanosecond)
	case api.TypeDate:
		return parquet.Date()
	case api.TypeJSON:
		return parquet.JSON()
	}
	switch {
	case t.precision <= 9:
		return parquet.Decimal(t.scale, t.precision, parquet.Int32Type)
	case t.precision <= 18:
		return parquet.Decimal(t.scale, t.precision, parquet.Int64Type)
	default:
		return parquet.Decimal(t.scale, t.precision, parquet.FixedLenByteArrayType(decimalBytes(t.precision)))
	}
}

// parquetRoot is a schema whose columns keep their order; parquet.Group sorts
// them by name.
type parquetRoot struct {
	parquet.Group
	fields []parquet.Field
}

// Fields implements parquet.Node.
func (r parquetRoot) Fields() []parquet.Field { return r.fields }

type parquetField struct {
	parquet.Node
	name string
}

// Name implements parquet.Field.
func (f parquetField) Name() string { return f.name }

// Value implements parquet.Field. Records are written as rows, never as Go
// values.
func (f parquetField) Value(reflect.Value) reflect.Value {
	panic("a column of a Parquet file was asked for a Go value")
}

// Write implements Writer.
func (w *parquetWriter) Write(values []Value) error {
	if w.err == nil && len(values) != len(w.types) {
		w.err = fmt.Errorf("write record: %d values for %d columns", len(values), len(w.types))
	}
	if w.err != nil {
		return w.err
	}
	size := 0
	for _, v := range values {
		size += len(v.Bytes)
	}
	if size > MaxRecord {
		return ErrTooLarge
	}
	for i, v := range values {
		t := &w.types[i]
		encoded, err := w.encoder.encode(t, v)
		if err != nil {
			w.err = fmt.Errorf("write record: %w", t.refuse(v, err))
			return w.err
		}
		level := 1
		if encoded.IsNull() {
			level = 0
		}
		w.values[i] = append(w.values[i], encoded.Level(0, level, i))
		w.held += int64(8 + len(v.Bytes))
	}
	if w.rows++; w.rows < rowBatch && len(w.encoder.arena) < bufferSize {
		return nil
	}
	return w.hand()
}

// hand gives the values to the library, which copies them.
func (w *parquetWriter) hand() error {
	for i, column := range w.writer.ColumnWriters() {
		if _, w.err = column.WriteRowValues(w.values[i]); w.err != nil {
			return w.err
		}
		w.values[i] = w.values[i][:0]
	}
	if w.held >= rowGroupSize {
		w.err = w.writer.Flush()
		w.held = 0
	}
	w.rows = 0
	w.encoder.reset()
	return w.err
}

// Copy implements Writer. A record is what a reader of such a file gives as its
// raw form: one JSON object.
func (w *parquetWriter) Copy(record []byte) error {
	if w.err != nil {
		return w.err
	}
	if err := w.copied.parse(&frame{raw: trimLineEnd(record)}); err != nil {
		w.err = fmt.Errorf("copy record: %w", err)
		return w.err
	}
	return w.Write(w.copied.wanted.project())
}

var errClosed = errors.New("write record: the file is complete")

// Close implements Writer: it writes the footer.
func (w *parquetWriter) Close() error {
	if w.err != nil {
		return w.err
	}
	if err := w.hand(); err != nil {
		return err
	}
	if err := w.writer.Close(); err != nil {
		w.err = err
		return err
	}
	w.err = errClosed
	return nil
}
