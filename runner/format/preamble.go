package format

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Preamble is what stands in a file before its first record: a byte order
// mark and, in CSV, the header.
type Preamble struct {
	Header []string // the columns' names; nil in JSONL, and in a CSV file of nothing
	Size   int64    // bytes before the first record
	Lines  int64    // physical lines before the first record
}

const byteOrderMark = "\uFEFF"

// ReadPreamble reads the beginning of a file. The reader may be left anywhere
// behind the preamble.
func ReadPreamble(o Options, r io.Reader) (Preamble, error) {
	var p Preamble
	buffered := bufio.NewReader(r)
	start, err := buffered.Peek(seemsSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return Preamble{}, err
	}
	if err := checkText(start); err != nil {
		return Preamble{}, err
	}
	if bytes.HasPrefix(start, []byte(byteOrderMark)) {
		p.Size = int64(len(byteOrderMark))
		_, _ = buffered.Discard(len(byteOrderMark)) // they were just seen
	}
	if o.Format != api.FormatCSV {
		return p, checkLines(start)
	}
	records, err := newFrames(o.Format, buffered, 1)
	if err != nil {
		return Preamble{}, err
	}
	if !o.Header {
		p.Header = o.Columns
		return p, countColumns(records, len(o.Columns))
	}
	switch err := records.next(); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return Preamble{}, err
	default:
		if p.Header, err = headerNames(&records.frame); err != nil {
			return Preamble{}, fmt.Errorf("line %d: %w", records.frame.line, err)
		}
	}
	p.Size += records.consumed
	p.Lines = records.framer.Lines()
	return p, nil
}

// countColumns looks whether the first record of a file without a header has as
// many fields as there are columns. One that is bad in itself is not judged.
func countColumns(records *frames, columns int) error {
	if err := records.next(); err != nil {
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	record := &records.frame
	cells, fields := cellScanner{raw: record.raw}, 0
	for cells.next() {
		fields++
	}
	if record.open || record.unusable() != nil || cells.err != nil || fields == columns {
		return nil
	}
	return fmt.Errorf("line %d: the first record has %d fields, and input.files.columns names %d; name every field there, or set input.files.header = true if this line names them",
		record.line, fields, columns)
}

func headerNames(record *frame) ([]string, error) {
	if err := record.unusable(); err != nil {
		return nil, fmt.Errorf("the header %w", err)
	}
	if bytes.IndexByte(record.raw, '\r') >= 0 && !record.quotes {
		return nil, fmt.Errorf("the file %w", errOnlyReturns)
	}
	var names []string
	cells := cellScanner{raw: record.raw}
	for cells.next() {
		names = append(names, string(cells.cell))
	}
	if cells.err != nil {
		return nil, fmt.Errorf("the header is not CSV: column %d: %w", len(names)+1, cells.err)
	}
	seen := map[string]int{}
	for i, name := range names {
		if name == "" {
			return nil, fmt.Errorf("column %d of the header has no name; name every column", i+1)
		}
		if seen[name] > 0 {
			return nil, fmt.Errorf("column %d of the header is named %q, and so is column %d; names must differ", i+1, name, seen[name])
		}
		seen[name] = i + 1
	}
	return names, nil
}

// unusable says what makes a record of any format bad.
func (f *frame) unusable() error {
	if f.oversize {
		return tooLarge()
	}
	if !utf8.Valid(f.raw) {
		return fmt.Errorf("is not UTF-8 at byte %d", invalidAt(f.raw)+1)
	}
	return nil
}

func tooLarge() error {
	return fmt.Errorf("is larger than %d MiB, which no record may be; keep what is so large in a file of its own, and its name in the record", MaxRecord>>20)
}

func invalidAt(text []byte) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(text)
}
