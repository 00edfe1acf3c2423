package format

import (
	"math/bits"
	"unicode/utf8"
)

// quickCSV is where a scan of one record by blocks stands. Its words are bits for
// the first byte of the next block.
type quickCSV struct {
	block  [1]marks
	quoted uint64 // all bits inside quotes, else none
	begins uint64 // a cell begins here
	closed uint64 // a quote has just closed a cell, or is the first of two inside

	doubled uint64 // not 0 where there may be such two
}

// quick reads the next record where it lies in the buffer as a whole, and
// is sound. That is nearly every record. Of all others it leaves everything as it was.
func (c *csvReader) quick() bool {
	f, scan := c.records, &c.scan
	if f.framer.begun || f.start == f.end || f.buf[f.start] <= '\r' {
		return false
	}
	scan.quoted, scan.begins, scan.closed, scan.doubled = 0, 1, 0, 0
	c.cells.unquoted = c.cells.unquoted[:0]
	fields, cell := 0, f.start
	lines, beyondASCII := 0, uint64(0)
	for at := f.start; at+blockSize <= f.end; at += blockSize {
		markBlocks(f.buf[at:], scan.block[:])
		ends, separators, ok := scan.pass()
		if !ok {
			return false
		}
		within := ends ^ (ends - 1) // the bits up to the end of the record, or all
		for separators &= within; separators != 0; separators &= separators - 1 {
			if fields > c.last {
				fields += bits.OnesCount64(separators)
				break
			}
			end := at + bits.TrailingZeros64(separators)
			if slot := c.slot[fields]; slot >= 0 {
				c.wanted.slots[slot] = c.quickCell(f.buf[cell:end], f.buf[end] == '\n')
			}
			fields++
			cell = end + 1
		}
		lines += bits.OnesCount64(scan.block[0].newline & within)
		beyondASCII |= scan.block[0].beyondASCII & within
		if ends == 0 {
			continue
		}
		end := at + bits.TrailingZeros64(ends) + 1
		raw := trimLineEnd(f.buf[f.start:end])
		if fields != len(c.header) || len(raw) > MaxRecord || beyondASCII != 0 && !utf8.Valid(raw) {
			return false
		}
		c.record = Record{Line: f.line, Raw: raw, Values: c.wanted.project()}
		f.pass(end, lines)
		return true
	}
	return false
}

// pass gives the line ends of a block that end records, with the commas around
// them that part cells; not ok is a quote that is not around a whole cell.
func (s *quickCSV) pass() (ends, separators uint64, ok bool) {
	block := &s.block[0]
	ends, separators = block.newline, block.comma|block.newline
	if block.quote|s.quoted|s.closed == 0 {
		s.begins = separators >> (blockSize - 1)
		return ends, separators, true
	}
	inside := parity(block.quote) ^ s.quoted // of each byte, the closing quote not included
	ends &^= inside
	separators &^= inside
	opening, closing := block.quote&inside, block.quote&^inside
	closed := closing<<1 | s.closed
	behind := separators | opening | block.carriageReturn&(block.newline>>1)
	odd := opening&^(separators<<1|s.begins|closed) | closed&^behind
	s.doubled |= opening & closed
	s.quoted = uint64(int64(inside) >> (blockSize - 1)) //nolint:gosec // its highest bit in all others
	s.begins, s.closed = separators>>(blockSize-1), closing>>(blockSize-1)
	return ends, separators, odd&(ends^(ends-1)) == 0
}

func (c *csvReader) quickCell(cell []byte, last bool) Value {
	if n := len(cell); last && n > 0 && cell[n-1] == '\r' {
		cell = cell[:n-1]
	}
	if len(cell) > 0 && cell[0] == '"' {
		cell = cell[1 : len(cell)-1]
		if c.scan.doubled != 0 {
			cell = c.cells.undoubled(cell)
		}
		return Value{Bytes: cell}
	}
	if c.nulls != nil && c.nulls[string(cell)] {
		return null
	}
	return Value{Bytes: cell}
}
