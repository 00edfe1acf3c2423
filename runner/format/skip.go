package format

import (
	"bytes"
	"math/bits"
)

// Skip passes over up to limit records. It gives the bytes it has passed, all
// of data if that holds fewer records, and the records that ended in them.
func (f *Framer) Skip(data []byte, limit int64) (n int, records int64) {
	for n < len(data) && records < limit {
		passed, ended := f.skipMany(data[n:], limit-records)
		n += passed
		records += ended
		if n == len(data) || records == limit {
			break
		}
		passed, ended = f.skipOne(data[n:])
		n += passed
		records += ended
	}
	return n, records
}

// skipOne passes over the rest of the current record, whatever it looks like.
func (f *Framer) skipOne(data []byte) (n int, records int64) {
	n, ended := f.Next(data)
	if ended && !f.blank {
		records = 1
	}
	return n, records
}

// skipMany passes over what is simple enough to be passed over fast, which may
// be nothing.
func (f *Framer) skipMany(data []byte, limit int64) (n int, records int64) {
	if f.csv {
		return f.skipBlocks(data, limit)
	}
	return f.skipLines(data, limit)
}

// skipLines passes over lines that lie in data as a whole and do not begin with
// a blank.
func (f *Framer) skipLines(data []byte, limit int64) (n int, lines int64) {
	if f.begun {
		return 0, 0
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
	f.lines += lines
	return len(data) - len(rest), lines
}

// blocksAtOnce are so many that a call costs little, and so few that their marks
// stay at hand.
const blocksAtOnce = 16

// skipBlocks passes over blocks of CSV. It goes byte by byte only through those
// with a quote in a field that does not begin with one, or with a line that may
// be blank.
func (f *Framer) skipBlocks(data []byte, limit int64) (n int, records int64) {
	var marked [blocksAtOnce]marks
	for records < limit && len(data)-n >= blockSize {
		// A record is rarely less than half a block: with a small limit more
		// blocks would be marked in vain.
		blocks := marked[:min(blocksAtOnce, int64(len(data)-n)/blockSize, limit-records)]
		markBlocks(data[n:], blocks)
		passed, ended := f.skipMarked(data[n:], blocks, limit-records)
		n += passed
		records += ended
	}
	return n, records
}

func (f *Framer) skipMarked(data []byte, blocks []marks, limit int64) (n int, records int64) {
	scan, from := f.blockScan(), 0
	for i := range blocks {
		ends, ok := scan.pass(&blocks[i])
		if !ok {
			f.leaveAt(data[from:n], scan)
			for stop := n + blockSize; n < stop; {
				passed, ended := f.skipOne(data[n:stop])
				n += passed
				if records += ended; records == limit {
					return n, records
				}
			}
			scan, from = f.blockScan(), n
			continue
		}
		ended := int64(bits.OnesCount64(ends))
		if records+ended >= limit {
			for range limit - records - 1 {
				ends &= ends - 1
			}
			end := bits.TrailingZeros64(ends) + 1
			f.lines += int64(bits.OnesCount64(blocks[i].newline << (blockSize - end)))
			f.begun = false
			return n + end, limit
		}
		records += ended
		f.lines += int64(bits.OnesCount64(blocks[i].newline))
		n += blockSize
	}
	f.leaveAt(data[from:n], scan)
	return n, records
}

// blockScan is where a scan by blocks stands. Begin and open are bits for the
// first byte of the next block.
type blockScan struct {
	quoted uint64 // all bits inside quotes, else none
	open   uint64 // a quote would open here
	begin  uint64 // a record begins here
	odd    bool   // ... where the record has begun, and may be a blank line
}

func (f *Framer) blockScan() (s blockScan) {
	switch {
	case !f.begun:
		s.begin, s.open = 1, 1
	case f.quoted:
		s.quoted = ^uint64(0)
	case f.closed || f.prev == ',':
		s.open = 1
	}
	s.odd = f.begun && f.blank
	return s
}

// pass gives the line ends in a block that end records. It does not pass what
// Next must decide.
func (s *blockScan) pass(block *marks) (ends uint64, ok bool) {
	ends = block.newline
	quoted := s.quoted
	if block.quote|quoted != 0 {
		inside := parity(block.quote) ^ quoted // of each byte, the closing quote not included
		fields := (block.comma|block.newline|block.quote)<<1 | s.open
		if block.quote&inside&^fields != 0 {
			return 0, false
		}
		ends &^= inside
		quoted = uint64(int64(inside) >> 63) //nolint:gosec // its highest bit in all others
	}
	begins := ends<<1 | s.begin
	if begins&block.carriageReturn != 0 || s.odd {
		return 0, false
	}
	s.begin = ends >> 63
	s.open = (block.comma | block.newline | block.quote) >> 63
	s.quoted = quoted
	return ends &^ begins, true
}

// leaveAt lets Next go on behind what was passed by blocks.
func (f *Framer) leaveAt(passed []byte, s blockScan) {
	if len(passed) == 0 {
		return
	}
	f.begun, f.blank, f.quoted = s.begin == 0, false, s.quoted != 0
	f.prev = passed[len(passed)-1]
	f.closed = f.prev == '"' && !f.quoted
}

// parity gives for each bit whether the number of bits up to it is odd.
func parity(x uint64) uint64 {
	x ^= x << 1
	x ^= x << 2
	x ^= x << 4
	x ^= x << 8
	x ^= x << 16
	return x ^ x<<32
}
