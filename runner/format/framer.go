package format

import (
	"bytes"
	"fmt"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Framer finds where records end in a stream of bytes that is handed to it
// piece by piece, however the pieces are cut.
//
// A JSONL record ends with its line. A CSV record ends with the first line end
// outside quotes, where a quote opens only at the beginning of a field (after a
// comma or a line end) and a doubled quote stays inside. For files that follow
// RFC 4180 that is the parity of the quotes; where one does not, as in
//
//	1,5" disk
//
// a stray quote spoils its own record and not the rest of the file.
//
// Lines of nothing (in JSONL: of nothing but blanks) are no records.
type Framer struct {
	csv bool

	// Where the scan stands inside the current record.
	begun  bool // at least one call has worked on the current record
	quoted bool // inside a quoted field
	closed bool // the last byte was a quote that closed a field; another one reopens it
	prev   byte // the last byte; '\n' before the first of a record
	clean  int  // so many of the bytes to come are known to be no quotes

	// What is known of the current record; after Next has found its end, of
	// the one just ended.
	size   int64 // bytes, line end included
	blank  bool  // nothing but blanks so far
	quotes bool  // a quote was seen

	lines int64
}

// NewFramer makes a Framer that stands at the beginning of a record.
func NewFramer(format string) (*Framer, error) {
	switch format {
	case api.FormatCSV, api.FormatJSONL:
		return &Framer{csv: format == api.FormatCSV, prev: '\n'}, nil
	default:
		return nil, fmt.Errorf("unknown format %q; known are csv and jsonl", format)
	}
}

// Lines is the number of line ends passed since the Framer was made, those
// inside quotes included.
func (f *Framer) Lines() int64 { return f.lines }

// Skip passes over up to limit records. It gives the bytes it has passed, all
// of data if that holds fewer records, and the records that ended in them.
func (f *Framer) Skip(data []byte, limit int64) (n int, records int64) {
	for n < len(data) && records < limit {
		if !f.begun {
			passed, lines := f.plainLines(data[n:], limit-records)
			n += passed
			records += lines
			if records == limit {
				break
			}
		}
		advance, ended := f.Next(data[n:])
		n += advance
		if ended && !f.blank {
			records++
		}
	}
	return n, records
}

// End tells the Framer that the stream is over, and whether a last record
// without a line end stood there.
func (f *Framer) End() bool {
	record := f.begun && !f.blank
	f.begun = false
	return record
}

// plainLines is Skip for what nearly all records are: one line that lies in
// data as a whole, holds no quote and does not begin with a blank. It stops
// before the first other one.
func (f *Framer) plainLines(data []byte, limit int64) (n int, lines int64) {
	if f.csv {
		data = data[:min(f.clean, len(data))]
	}
	rest := data
	for lines < limit {
		i := bytes.IndexByte(rest, '\n')
		if i < 1 || rest[0] <= ' ' {
			break
		}
		rest = rest[i+1:]
		lines++
	}
	n = len(data) - len(rest)
	if f.csv {
		f.clean -= n
	}
	f.lines += lines
	return n, lines
}

// Next works on data, which continues what earlier calls were given. It gives
// the number of bytes up to and including the end of the current record and
// true, or all of data and false where the record goes on behind it.
func (f *Framer) Next(data []byte) (n int, ended bool) {
	if len(data) == 0 {
		return 0, false
	}
	if !f.begun {
		f.begun, f.quoted, f.closed, f.prev = true, false, false, '\n'
		f.size, f.blank, f.quotes = 0, true, false
	}
	if f.csv {
		n, ended = f.nextCSV(data)
	} else {
		n, ended = nextLine(data)
	}
	if ended {
		f.lines++
	}
	if f.blank {
		f.blank = f.isBlank(data[:n])
	}
	f.size += int64(n)
	f.prev = data[n-1]
	f.begun = !ended
	return n, ended
}

func nextLine(data []byte) (n int, ended bool) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, true
	}
	return len(data), false
}

func (f *Framer) nextCSV(data []byte) (n int, ended bool) {
	before := f.prev
	if !f.quoted {
		// Up to the next quote, line ends are all that counts.
		if f.clean == 0 {
			if f.clean = bytes.IndexByte(data, '"'); f.clean < 0 {
				f.clean = len(data)
			}
		}
		plain := data[:min(f.clean, len(data))]
		n, ended = nextLine(plain)
		f.clean -= n
		if ended {
			return n, true
		}
		if n > 0 {
			f.closed, before = false, data[n-1]
		}
	}
	quoted, closed := f.quoted, f.closed
	for ; n < len(data) && !ended; n++ {
		c := data[n]
		switch {
		case quoted && c == '"':
			quoted, closed = false, true
		case quoted:
			if c == '\n' {
				f.lines++
			}
		case c == '"':
			quoted = closed || before == ',' || before == '\n'
			closed, f.quotes = false, true
		default:
			closed, ended = false, c == '\n'
		}
		before = c
	}
	f.quoted, f.closed = quoted, closed
	return n, ended
}

func (f *Framer) isBlank(data []byte) bool {
	for _, c := range data {
		switch c {
		case '\n', '\r':
		case ' ', '\t':
			if f.csv { // a cell of blanks is a cell
				return false
			}
		default:
			return false
		}
	}
	return true
}
