package format

import (
	"errors"
	"io"
)

// MaxRecord is the size a record may have, in bytes without its line end: an
// image or a long text in it. Larger ones are bad records; they are passed over,
// never held in memory. Each mini-batch at work holds a few times as much.
const MaxRecord = 16 << 20

const (
	bufferSize = 64 << 10
	// oversizeKept is what is kept of a record above MaxRecord, to show it.
	oversizeKept = 4 << 10
)

// frame is one raw record.
type frame struct {
	raw      []byte // without its line end; the beginning only where oversize
	line     int64  // physical line it begins on
	quotes   bool   // it holds a quote (CSV only)
	open     bool   // the input ends inside a quote that began in this record
	oversize bool
}

// frames cuts a stream into raw records. Its buffer grows with the largest
// record, up to a little above MaxRecord.
type frames struct {
	r      io.Reader
	framer *Framer
	line   int64 // physical line the next record begins on
	first  int64 // physical line the stream begins on

	buf      []byte
	start    int  // the current record begins here,
	scanned  int  // the framer has seen what is below,
	end      int  // and data ends here
	dropped  bool // bytes of the current record were dropped
	eof      bool
	consumed int64 // bytes of all records so far, blank ones included

	frame frame // the record that next has found
}

func newFrames(format string, r io.Reader, firstLine int64) (*frames, error) {
	framer, err := NewFramer(format)
	if err != nil {
		return nil, err
	}
	return &frames{r: r, framer: framer, line: firstLine, first: firstLine}, nil
}

// next moves to the next record that is not blank, f.frame; it gives io.EOF
// after the last.
func (f *frames) next() error {
	for {
		n, ended := f.framer.Next(f.buf[f.scanned:f.end])
		f.scanned += n
		open := false
		if !ended {
			if err := f.fill(); err != nil {
				return err
			}
			if !f.eof || f.scanned < f.end {
				continue
			}
			if !f.framer.begun {
				return io.EOF
			}
			f.framer.End()
			open = f.framer.quoted
		}
		f.take(open)
		if !f.framer.blank {
			return nil
		}
	}
}

// take makes a frame of what lies before the place where the framer stands,
// and moves behind it.
func (f *frames) take(open bool) {
	record := &f.frame
	record.raw = trimLineEnd(f.buf[f.start:f.scanned])
	record.line, record.quotes, record.open = f.line, f.framer.quotes, open
	record.oversize = f.dropped || len(record.raw) > MaxRecord
	if record.oversize {
		record.raw = record.raw[:min(len(record.raw), oversizeKept)]
	}
	f.consumed += f.framer.size
	f.start, f.dropped = f.scanned, false
	f.line = f.first + f.framer.lines
}

// pass moves behind a whole record that ends at the given place and has so many
// line ends.
func (f *frames) pass(end, lines int) {
	f.consumed += int64(end - f.start)
	f.start, f.scanned = end, end
	f.framer.lines += int64(lines)
	f.line = f.first + f.framer.lines
}

// fill reads more, or sets eof.
func (f *frames) fill() error {
	if f.eof {
		return nil
	}
	f.makeRoom()
	for range 100 {
		n, err := f.r.Read(f.buf[f.end:])
		f.end += n
		if errors.Is(err, io.EOF) {
			f.eof = true
			return nil
		}
		if err != nil || n > 0 {
			return err
		}
	}
	return io.ErrNoProgress
}

func (f *frames) makeRoom() {
	switch {
	case f.end < len(f.buf):
		return
	case f.end-f.start > MaxRecord+len("\r\n"):
		f.end, f.dropped = f.start+oversizeKept, true
		f.scanned = f.end
	case f.start == 0:
		grown := make([]byte, min(max(bufferSize, 2*len(f.buf)), MaxRecord+bufferSize))
		copy(grown, f.buf)
		f.buf = grown
		return
	}
	f.end = copy(f.buf, f.buf[f.start:f.end])
	f.scanned -= f.start
	f.start = 0
}

func trimLineEnd(raw []byte) []byte {
	if n := len(raw); n > 0 && raw[n-1] == '\n' {
		raw = raw[:n-1]
	}
	if n := len(raw); n > 0 && raw[n-1] == '\r' {
		raw = raw[:n-1]
	}
	return raw
}
