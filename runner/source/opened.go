package source

import (
	"errors"
	"fmt"
	"io"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// Stretch is a part of a file, as a slice of a plan is: Length bytes at Offset,
// the first of which stands on line FirstLine; of a Parquet file, Length rows
// behind the first Offset ones.
type Stretch struct {
	Offset, Length, FirstLine int64
	// Checksum is its CRC-32C where it is to be proved, as split.Slice has it.
	Checksum *uint32
}

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

// Records reads the records of a stretch of the file, projected to the named
// columns.
func (o *Opened) Records(s Stretch, project []string) (format.Reader, error) {
	f := o.file
	inside, outside := f.Partitions.split(project)
	var reader format.Reader
	var err error
	if f.Format == api.FormatParquet {
		var p *format.Parquet
		if p, err = o.parquet(); err == nil {
			err = f.proveRows(p, s)
		}
		if err == nil {
			reader, err = p.Read(s.Offset, s.Length, inside)
		}
	} else {
		content := f.proved(o.content.from(s.Offset, s.Length), s)
		reader, err = format.NewReader(format.Options{Format: f.Format, Nulls: f.Nulls}, content, f.Header, inside, s.FirstLine)
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

// proved reads a stretch's bytes, and fails behind the last where they are not
// those that were planned.
func (f File) proved(bytes io.Reader, s Stretch) io.Reader {
	if s.Checksum == nil {
		return bytes
	}
	return &proof{Reader: format.Checked(bytes, *s.Checksum), file: f}
}

type proof struct {
	io.Reader
	file File
}

func (p *proof) Read(to []byte) (int, error) {
	n, err := p.Reader.Read(to)
	if errors.Is(err, format.ErrChecksum) {
		err = p.file.changed(err)
	}
	return n, err
}

// proveRows is proved for rows, before they are read.
func (f File) proveRows(p *format.Parquet, s Stretch) error {
	if s.Checksum == nil {
		return nil
	}
	sum, err := p.Checksum(s.Offset, s.Length)
	if err == nil && sum != *s.Checksum {
		err = f.changed(format.ErrChecksum)
	}
	return err
}
