package format

import (
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/parquet-go/parquet-go"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Part is a file that a Writer has written. *io.SectionReader is one.
type Part interface {
	io.ReaderAt
	Size() int64
}

// Merge makes one file of parts that Writers of the same format and columns
// have written, as one Writer would have written all their records: CSV has one
// header line, Parquet the row groups of all parts, copied as they are. A part
// is not used any more when the next is asked for. No parts are a file without
// records.
func Merge(format string, w io.Writer, columns []api.Column, parts iter.Seq2[Part, error]) error {
	var into func(Part) error
	var end func() error
	switch format {
	case api.FormatCSV:
		header, err := NewWriter(format, w, columns)
		if err != nil {
			return err
		}
		if err := header.Close(); err != nil {
			return err
		}
		into, end = func(p Part) error { return mergeCSV(w, columns, p) }, func() error { return nil }
	case api.FormatJSONL:
		into, end = func(p Part) error { return copyFrom(w, p, 0) }, func() error { return nil }
	case api.FormatParquet:
		writer, _, err := openParquetWriter(w, columns)
		if err != nil {
			return err
		}
		into, end = func(p Part) error { return mergeParquet(writer, columns, p) }, writer.Close
	default:
		return fmt.Errorf("unknown format %q; known are csv, jsonl and parquet", format)
	}
	n := 0
	for part, err := range parts {
		n++
		if err == nil {
			err = into(part)
		}
		if err != nil {
			return fmt.Errorf("merge part %d: %w", n, err)
		}
	}
	return end()
}

func copyFrom(w io.Writer, p Part, offset int64) error {
	_, err := io.Copy(w, io.NewSectionReader(p, offset, p.Size()-offset))
	return err
}

func mergeCSV(w io.Writer, columns []api.Column, p Part) error {
	preamble, err := ReadPreamble(Options{Format: api.FormatCSV, Header: true}, io.NewSectionReader(p, 0, p.Size()))
	if err != nil {
		return err
	}
	if !slices.EqualFunc(preamble.Header, columns, func(name string, c api.Column) bool { return name == c.Name }) {
		return fmt.Errorf("its columns are %q", preamble.Header)
	}
	return copyFrom(w, p, preamble.Size)
}

func mergeParquet(w *parquet.GenericWriter[any], columns []api.Column, p Part) (err error) {
	opened, err := OpenParquet(p, p.Size())
	if err != nil {
		return err
	}
	if !slices.Equal(opened.Columns(), columns) {
		return fmt.Errorf("its columns are %q", opened.Columns())
	}
	defer recovered(&err, "a row group")
	file, err := parquet.OpenFile(p, p.Size())
	if err != nil {
		return err
	}
	for _, group := range file.RowGroups() {
		if group.NumRows() == 0 {
			continue
		}
		if _, err := w.WriteRowGroup(group); err != nil {
			return err
		}
	}
	return nil
}
