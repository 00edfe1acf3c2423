package format

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// maxZstdWindow is what zstd needs at its highest levels and with --long; a
// decoder holds as much of what it has written.
const maxZstdWindow = 128 << 20

// Decompress reads what was compressed with "gzip", in one or more members, or
// "zstd", in one or more frames. An error names the byte of the compressed
// input up to which it was read; those of r itself are given as they are.
func Decompress(compression string, r io.Reader) (io.ReadCloser, error) {
	d := &decompressor{compression: compression, input: counted{r: bufio.NewReaderSize(r, bufferSize)}}
	start, _ := d.input.r.Peek(seemsSize) // an error comes again
	if err := checkIsCompressed(compression, start); err != nil {
		return nil, fmt.Errorf("decompress %s: %w", compression, err)
	}
	switch compression {
	case api.CompressionGzip:
		plain, err := gzip.NewReader(&d.input)
		if err != nil {
			return nil, d.wrong(err)
		}
		plain.Multistream(false)
		d.plain, d.close = &members{input: &d.input, current: plain}, func() {}
	case api.CompressionZstd:
		plain, err := zstd.NewReader(&d.input, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, d.wrong(err)
		}
		d.plain, d.close = plain, plain.Close
	default:
		return nil, fmt.Errorf("unknown compression %q; known are gzip and zstd", compression)
	}
	return d, nil
}

type decompressor struct {
	compression string
	input       counted
	plain       io.Reader
	close       func()
	err         error
}

// Read implements io.Reader.
func (d *decompressor) Read(to []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	n, err := d.plain.Read(to)
	switch {
	case errors.Is(err, io.EOF) && d.input.count == 0:
		d.err = d.wrong(io.ErrUnexpectedEOF) // no compressor writes nothing
	case errors.Is(err, io.EOF):
		d.err = io.EOF
	case err != nil:
		d.err = d.wrong(err)
	}
	return n, d.err
}

// Close implements io.Closer. It leaves the compressed input open.
func (d *decompressor) Close() error {
	d.close()
	return nil
}

func (d *decompressor) wrong(err error) error {
	switch {
	case d.input.err != nil:
		return d.input.err
	case errors.Is(err, errOtherData):
		return fmt.Errorf("decompress %s: it %w, from byte %d on; cut the file there, or compress it anew", d.compression, err, d.input.count)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("decompress %s: the file is cut short, it ends after byte %d", d.compression, d.input.count)
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return fmt.Errorf("decompress %s: it needs a window above %d MiB; compress it without --long, or with --long=27 at most", d.compression, maxZstdWindow>>20)
	default:
		return fmt.Errorf("decompress %s: the file is corrupt at byte %d or shortly before: %w", d.compression, d.input.count, err)
	}
}

// members reads the members of a gzip file, one after the other.
type members struct {
	input   *counted
	current *gzip.Reader
}

var errOtherData = errors.New("holds other data behind its end")

// Read implements io.Reader.
func (m *members) Read(to []byte) (int, error) {
	n, err := m.current.Read(to)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	start, err := m.input.r.Peek(2)
	if len(start) == 0 {
		return n, m.input.note(err)
	}
	if !strings.HasPrefix("\x1f\x8b", string(start)) {
		return n, errOtherData
	}
	err = m.current.Reset(m.input)
	m.current.Multistream(false)
	return n, err
}

// counted counts what is read. As an io.ByteReader it is asked for no byte too
// many.
type counted struct {
	r     *bufio.Reader
	count int64
	err   error // of the input, but for its end
}

// Read implements io.Reader.
func (c *counted) Read(to []byte) (int, error) {
	n, err := c.r.Read(to)
	c.count += int64(n)
	return n, c.note(err)
}

// ReadByte implements io.ByteReader.
func (c *counted) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.count++
	}
	return b, c.note(err)
}

func (c *counted) note(err error) error {
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return err
}
