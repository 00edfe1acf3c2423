package format

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// csvReader reads CSV records (RFC 4180). Cells lie in the record's raw bytes;
// only those that hold a doubled quote are copied.
type csvReader struct {
	records *frames
	header  []string
	wanted  *projection
	slot    []int // for each column, its slot in wanted, or -1
	last    int   // the last wanted column
	nulls   map[string]bool
	scan    quickCSV
	cells   cellScanner
	record  Record
}

func newCSVReader(records *frames, header, project, nulls []string) (*csvReader, error) {
	if len(header) == 0 {
		return nil, errors.New("read csv: no header was given")
	}
	c := &csvReader{records: records, header: header, wanted: newProjection(project), slot: make([]int, len(header)), last: -1}
	for _, null := range nulls {
		if c.nulls == nil {
			c.nulls = map[string]bool{}
		}
		c.nulls[null] = true
	}
	if err := c.wanted.missing(header); err != nil {
		return nil, err
	}
	for i, name := range header {
		c.slot[i] = slices.Index(c.wanted.columns, name)
		if c.slot[i] >= 0 {
			c.last = i
		}
	}
	return c, nil
}

func (c *csvReader) Read() (*Record, error) {
	if c.quick() {
		return &c.record, nil
	}
	if err := c.records.next(); err != nil {
		return nil, err
	}
	frame := &c.records.frame
	c.record = Record{Line: frame.line, Raw: frame.raw}
	if c.record.Bad = c.parse(frame); c.record.Bad == nil {
		c.record.Values = c.wanted.project()
	}
	return &c.record, nil
}

func (c *csvReader) parse(record *frame) error {
	if record.open {
		return errors.New("has a quote that is never closed, so it takes in the rest of the file; close the quote, or double it where it is text")
	}
	if err := record.unusable(); err != nil {
		return err
	}
	var fields int
	if record.quotes {
		var err error
		if fields, err = c.quotedFields(record.raw); err != nil {
			return err
		}
	} else {
		if fields = c.plainFields(record.raw); c.nulls != nil {
			c.findNulls()
		}
	}
	if fields != len(c.header) {
		if fields == 1 {
			return fmt.Errorf("has 1 field where the header has %d", len(c.header))
		}
		return fmt.Errorf("has %d fields where the header has %d", fields, len(c.header))
	}
	return nil
}

// plainFields finds the wanted cells of a record without quotes, and counts
// all.
func (c *csvReader) plainFields(raw []byte) int {
	field, start := 0, 0
	for field <= c.last {
		end := start
		for end < len(raw) && raw[end] != ',' { // cells are short: a call would cost more
			end++
		}
		if slot := c.slot[field]; slot >= 0 {
			c.wanted.slots[slot] = Value{Bytes: raw[start:end]}
		}
		field++
		if end == len(raw) {
			return field
		}
		start = end + 1
	}
	return field + 1 + bytes.Count(raw[start:], comma)
}

// findNulls replaces the cells of a record without quotes that stand for no
// value.
func (c *csvReader) findNulls() {
	for slot, value := range c.wanted.slots {
		if c.nulls[string(value.Bytes)] {
			c.wanted.slots[slot] = null
		}
	}
}

func (c *csvReader) quotedFields(raw []byte) (int, error) {
	c.cells = cellScanner{raw: raw, unquoted: c.cells.unquoted[:0]}
	field := 0
	for ; c.cells.next(); field++ {
		if field > c.last {
			continue
		}
		if slot := c.slot[field]; slot >= 0 {
			value := Value{Bytes: c.cells.cell}
			if c.nulls != nil && !c.cells.inQuotes && c.nulls[string(value.Bytes)] {
				value = null
			}
			c.wanted.slots[slot] = value
		}
	}
	if c.cells.err == nil {
		return field, nil
	}
	if field < len(c.header) {
		return 0, fmt.Errorf("column %q: %w", c.header[field], c.cells.err)
	}
	return 0, fmt.Errorf("field %d: %w", field+1, c.cells.err)
}

var (
	comma   = []byte{','}
	newline = []byte{'\n'}
	null    = Value{Bytes: []byte("null"), JSON: true}

	errBareQuote   = errors.New("has a quote in a field that does not begin with one; put the field in quotes and double those inside")
	errAfterQuote  = errors.New("has text after the closing quote; double the quotes inside the field")
	errQuoteIsOpen = errors.New("has a quote that is never closed")
)

// cellScanner walks the cells of one CSV record, quoted ones too.
type cellScanner struct {
	raw      []byte
	at       int
	done     bool
	cell     []byte // of the last next; a part of raw, or of unquoted
	inQuotes bool   // it stood in quotes
	unquoted []byte // cells that held a doubled quote
	err      error
}

// next moves to the next cell; false after the last and on an error.
func (s *cellScanner) next() bool {
	if s.done {
		return false
	}
	s.inQuotes = s.at < len(s.raw) && s.raw[s.at] == '"'
	if s.inQuotes {
		s.quoted()
	} else {
		s.plain()
	}
	if s.err != nil {
		s.done = true
		return false
	}
	s.done = s.at == len(s.raw)
	s.at++ // the comma
	return true
}

func (s *cellScanner) plain() {
	end := s.at
	for ; end < len(s.raw) && s.raw[end] != ','; end++ {
		if s.raw[end] == '"' {
			s.err = errBareQuote
			return
		}
	}
	s.cell = s.raw[s.at:end]
	s.at = end
}

func (s *cellScanner) quoted() {
	s.at++
	start := s.at
	doubled := false
	for {
		i := bytes.IndexByte(s.raw[s.at:], '"')
		if i < 0 {
			s.err = errQuoteIsOpen
			return
		}
		s.at += i + 1
		if s.at == len(s.raw) || s.raw[s.at] != '"' {
			break
		}
		s.at++
		doubled = true
	}
	if s.at < len(s.raw) && s.raw[s.at] != ',' {
		s.err = errAfterQuote
		return
	}
	s.cell = s.raw[start : s.at-1]
	if doubled {
		s.cell = s.undoubled(s.cell)
	}
}

// undoubled is what is meant by the text inside quotes.
func (s *cellScanner) undoubled(text []byte) []byte {
	i := bytes.IndexByte(text, '"')
	if i < 0 {
		return text
	}
	copied := len(s.unquoted)
	for ; i >= 0; i = bytes.IndexByte(text, '"') {
		s.unquoted = append(s.unquoted, text[:i+1]...)
		text = text[i+2:]
	}
	s.unquoted = append(s.unquoted, text...)
	return s.unquoted[copied:len(s.unquoted):len(s.unquoted)]
}
