package format

import "encoding/binary"

// blockSize is the number of bytes whose marks fit into words: one bit for each.
const blockSize = 64

// marks say where the bytes that CSV is made of stand in a block of a text. The
// lowest bit is the first byte.
type marks struct {
	quote, comma, newline, carriageReturn uint64
	beyondASCII                           uint64
}

// markBlocksPortably is markBlocks for machines that it has no instructions for.
func markBlocksPortably(text []byte, to []marks) {
	for i := range to {
		block := (*[blockSize]byte)(text[i*blockSize:])
		to[i] = marks{}
		for at := 0; at < blockSize; at += 8 {
			to[i].mark(binary.LittleEndian.Uint64(block[at:]), at)
		}
	}
}

const (
	each     = 0x0101010101010101 // times a byte: that byte eight times
	highBits = 0x80 * each
)

// mark looks at the eight bytes of a word at once.
func (m *marks) mark(word uint64, at int) {
	ascii := ^word & highBits
	low := word &^ highBits
	// Of two bytes below 0x80, 0x80 less their difference keeps its high bit
	// where they are the same, and borrows nothing from the next byte.
	m.quote |= gather((highBits-(low^'"'*each))&ascii) << at
	m.comma |= gather((highBits-(low^','*each))&ascii) << at
	m.newline |= gather((highBits-(low^'\n'*each))&ascii) << at
	m.carriageReturn |= gather((highBits-(low^'\r'*each))&ascii) << at
	m.beyondASCII |= gather(word&highBits) << at
}

// gather moves the high bits of eight bytes side by side.
func gather(high uint64) uint64 { return (high >> 7) * 0x0102040810204080 >> 56 }
