package source

import (
	"fmt"
	"io"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// Opened is an input file that is read.
type Opened struct {
	file    File
	content content
}

// ReadAt reads bytes of the file.
func (o *Opened) ReadAt(p []byte, offset int64) (int, error) { return o.content.ReadAt(p, offset) }

// Close ends the reading.
func (o *Opened) Close() error { return o.content.Close() }

// Check tells whether all that was read was of the file that was planned. It
// comes after the last byte.
func (o *Opened) Check() error { return o.content.check() }

// Stretch reads length bytes at offset, in order.
func (o *Opened) Stretch(offset, length int64) io.Reader { return o.content.from(offset, length) }

// Groups are the numbers of rows in the row groups of a Parquet file.
func (o *Opened) Groups() ([]int64, error) {
	p, err := o.parquet()
	if err != nil {
		return nil, err
	}
	return p.Groups(), nil
}

// Records reads the records of a slice of the plan that begins on line
// firstLine, projected to the named columns. The slice is length bytes at
// offset; of a Parquet file, length rows behind the first offset ones.
func (o *Opened) Records(offset, length, firstLine int64, project []string) (format.Reader, error) {
	f := o.file
	inside, outside := f.Partitions.split(project)
	var reader format.Reader
	var err error
	if f.Format == api.FormatParquet {
		var p *format.Parquet
		if p, err = o.parquet(); err == nil {
			reader, err = p.Read(offset, length, inside)
		}
	} else {
		reader, err = format.NewReader(format.Options{Format: f.Format, Nulls: f.Nulls}, o.content.from(offset, length), f.Header, inside, firstLine)
	}
	if err != nil {
		return nil, fmt.Errorf("read input %s: %w", f.Path, err)
	}
	return outside.complete(reader), nil
}

func (o *Opened) parquet() (*format.Parquet, error) {
	p, err := format.OpenParquet(o.content, o.file.Bytes())
	if err != nil {
		return nil, fmt.Errorf("read input %s: %w", o.file.Path, err)
	}
	return p, nil
}
