package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// ErrTooLarge is a record that would be larger than MaxRecord.
var ErrTooLarge = fmt.Errorf("would be larger than %d MiB, which no record may be", MaxRecord>>20)

// Writer writes records of one fixed set of columns. What it writes is a
// function of the values alone. After an error every call gives that error.
type Writer interface {
	// Write writes one record: one value per column, in their order. A record
	// above MaxRecord, which no reader would take, is ErrTooLarge: nothing of it
	// was written, and others may follow.
	Write(values []Value) error
	// Copy writes a record as such a Writer has written it before, its line
	// end included.
	Copy(record []byte) error
	// Close writes what is still buffered, and what the format ends with. It
	// leaves the underlying writer open. A file without it is not complete.
	Close() error
}

// NewWriter makes a Writer. CSV begins with a header line; lines of CSV and
// JSONL end with a line feed. Parquet needs the type of every column.
func NewWriter(format string, w io.Writer, columns []api.Column) (Writer, error) {
	if len(columns) == 0 {
		return nil, fmt.Errorf("write %s: no columns", format)
	}
	out := output{w: w, columns: len(columns)}
	if format != api.FormatParquet {
		out.buf = *buffers.Get().(*[]byte)
	}
	switch format {
	case api.FormatCSV:
		return newCSVWriter(out, columns)
	case api.FormatJSONL:
		return newJSONLWriter(out, columns), nil
	case api.FormatParquet:
		return newParquetWriter(w, columns)
	default:
		return nil, fmt.Errorf("unknown format %q; known are csv, jsonl and parquet", format)
	}
}

// output collects records and writes them in large pieces.
type output struct {
	w       io.Writer
	columns int
	buf     []byte
	err     error
}

// buffers are those of writers that were closed: a run writes a part for each
// of very many mini-batches.
var buffers = sync.Pool{New: func() any { return new(make([]byte, 0, bufferSize+bufferSize/8)) }}

func (o *output) begin(values []Value) error {
	if o.err == nil && len(values) != o.columns {
		o.err = fmt.Errorf("write record: %d values for %d columns", len(values), o.columns)
	}
	return o.err
}

// endRecord ends a record that begins at start, with its line end.
func (o *output) endRecord(start int) error {
	if len(o.buf)-start > MaxRecord+1 {
		o.buf = o.buf[:start]
		return ErrTooLarge
	}
	return o.end()
}

func (o *output) end() error {
	if len(o.buf) < bufferSize {
		return nil
	}
	return o.flush()
}

func (o *output) flush() error {
	_, o.err = o.w.Write(o.buf)
	o.buf = o.buf[:0]
	return o.err
}

// Copy implements Writer.
func (o *output) Copy(record []byte) error {
	if o.err != nil {
		return o.err
	}
	o.buf = append(o.buf, record...)
	return o.end()
}

// Close implements Writer.
func (o *output) Close() error {
	if o.err != nil {
		return o.err
	}
	if err := o.flush(); err != nil {
		return err
	}
	if buf := o.buf; cap(buf) <= 2*bufferSize {
		buffers.Put(&buf)
	}
	o.buf = nil
	return nil
}

// csvWriter writes CSV (RFC 4180). JSON null is an empty cell, a JSON string
// its text, any other token the text of the token.
type csvWriter struct {
	output
	text []byte
}

func newCSVWriter(out output, columns []api.Column) (*csvWriter, error) {
	w := &csvWriter{output: out}
	header := make([]Value, len(columns))
	for i, column := range columns {
		header[i].Bytes = []byte(column.Name)
	}
	return w, w.Write(header)
}

func (w *csvWriter) Write(values []Value) error {
	if err := w.begin(values); err != nil {
		return err
	}
	start := len(w.buf)
	for i, value := range values {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		text, err := w.cell(value)
		if err != nil {
			w.err = fmt.Errorf("write record: value %d: %w", i+1, err)
			return w.err
		}
		w.buf = appendCell(w.buf, text)
	}
	if len(w.buf) == start { // an empty line would be no record
		w.buf = append(w.buf, `""`...)
	}
	w.buf = append(w.buf, '\n')
	return w.endRecord(start)
}

var errNotAToken = errors.New("is not a JSON token")

func (w *csvWriter) cell(value Value) ([]byte, error) {
	text := value.Bytes
	switch {
	case !value.JSON:
		return text, nil
	case len(text) == 0:
		return nil, errNotAToken
	case text[0] == '"':
		if behind, ok := skipString(text, 0); !ok || behind != len(text) {
			return nil, errNotAToken
		}
		w.text = appendUnescaped(w.text[:0], text[1:len(text)-1])
		return w.text, nil
	case string(text) == "null":
		return nil, nil
	default:
		return text, nil
	}
}

func appendCell(to, text []byte) []byte {
	if !needsQuotes(text) {
		return append(to, text...)
	}
	to = append(to, '"')
	for {
		i := bytes.IndexByte(text, '"')
		if i < 0 {
			break
		}
		to = append(to, text[:i+1]...)
		to = append(to, '"')
		text = text[i+1:]
	}
	to = append(to, text...)
	return append(to, '"')
}

func needsQuotes(text []byte) bool {
	for _, c := range text {
		if c == ',' || c == '"' || c == '\n' || c == '\r' {
			return true
		}
	}
	return false
}

// jsonlWriter writes one JSON object per line, its keys in the columns' order.
// Text becomes a JSON string; tokens stay as they are, but for line ends
// between their parts.
type jsonlWriter struct {
	output
	keys [][]byte // `{"a":`, `,"b":`, …
}

func newJSONLWriter(out output, columns []api.Column) *jsonlWriter {
	w := &jsonlWriter{output: out}
	for i, column := range columns {
		key := []byte{','}
		if i == 0 {
			key[0] = '{'
		}
		w.keys = append(w.keys, append(appendQuoted(key, []byte(column.Name)), ':'))
	}
	return w
}

func (w *jsonlWriter) Write(values []Value) error {
	if err := w.begin(values); err != nil {
		return err
	}
	to, start := w.buf, len(w.buf)
	for i := range values {
		value := &values[i]
		to = append(to, w.keys[i]...)
		switch {
		case !value.JSON:
			to = appendQuoted(to, value.Bytes)
		case len(value.Bytes) == 0:
			w.err = fmt.Errorf("write record: value %d: %w", i+1, errNotAToken)
			return w.err
		case value.Bytes[0] == '{' || value.Bytes[0] == '[':
			to = appendOneLine(to, value.Bytes)
		default:
			to = append(to, value.Bytes...)
		}
	}
	w.buf = append(to, '}', '\n')
	return w.endRecord(start)
}

// appendOneLine appends a JSON token without its line ends, which in JSON are
// blanks between its parts.
func appendOneLine(to, token []byte) []byte {
	if bytes.IndexByte(token, '\n') < 0 && bytes.IndexByte(token, '\r') < 0 {
		return append(to, token...)
	}
	for _, c := range token {
		if c != '\n' && c != '\r' {
			to = append(to, c)
		}
	}
	return to
}
