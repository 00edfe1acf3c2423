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

// End tells the Framer that the stream is over, and whether a last record
// without a line end stood there.
func (f *Framer) End() bool {
	record := f.begun && !f.blank
	f.begun = false
	return record
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
		// Where the line has no quote, its end is all that counts.
		end, ended := nextLine(data)
		if n = bytes.IndexByte(data[:end], '"'); n < 0 {
			f.closed = false
			return end, ended
		}
		if n > 0 {
			f.closed, before = false, data[n-1]
		}
	}
	for n < len(data) && !ended {
		if f.quoted {
			n += f.inQuotes(data[n:])
			before = '"'
			continue
		}
		c := data[n]
		if c == '"' {
			f.quoted = f.closed || before == ',' || before == '\n'
			f.quotes = true
		}
		f.closed, ended, before = false, c == '\n', c
		n++
	}
	return n, ended
}

// inQuotes passes over what is in quotes, and the quote that closes it.
func (f *Framer) inQuotes(data []byte) (n int) {
	n = bytes.IndexByte(data, '"') + 1
	if n == 0 {
		n = len(data)
	} else {
		f.quoted, f.closed = false, true
	}
	f.lines += int64(bytes.Count(data[:n], newline))
	return n
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
