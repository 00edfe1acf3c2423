package format

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// Records of one file mostly have the same keys in the same order, written the
// same way. So the last record that was read the general way, and was good, is
// the pattern for those behind it: where all that stands between the values is
// equal byte for byte, one pass finds the record's end and its values, and that
// it is sound. Every other record is read the general way, which tells what is
// wrong with it, if anything is.

// pattern is a good record without its values.
type pattern struct {
	known  bool
	places []place
	tail   []byte // from the end of the last value to the end of the record
}

// place is a value of a pattern.
type place struct {
	before     []byte // all that stands between the value before it and this one
	head, mask uint64 // the first eight bytes of that, or fewer
	slot       int    // -1: not wanted
}

// maxPlaces bounds what is remembered of objects with very many keys.
const maxPlaces = 1024

// wordSize is how many bytes are looked at in one go.
const wordSize = 8

const (
	everyByte = 0x0101010101010101
	topBits   = 0x8080808080808080
)

func load(data []byte, i int) uint64 { return binary.LittleEndian.Uint64(data[i:]) }

// learn makes a pattern of a good record whose values stand where marks say.
func (p *pattern) learn(raw []byte, marks []mark) {
	// A carriage return at the end of a record might be half of a line end in
	// another.
	if p.known = len(marks) <= maxPlaces && raw[len(raw)-1] != '\r'; !p.known {
		return
	}
	end := 0
	for i, m := range marks {
		if i == len(p.places) {
			p.places = append(p.places, place{})
		}
		at := &p.places[i]
		at.before, at.slot = append(at.before[:0], raw[end:m.start]...), m.slot
		var head [wordSize]byte
		n := copy(head[:], at.before)
		at.head, at.mask = load(head[:], 0), ^uint64(0)>>(8*(wordSize-n))
		end = m.end
	}
	p.places = p.places[:len(marks)]
	p.tail = append(p.tail[:0], raw[end:]...)
}

// quick reads the next record if it follows the pattern and lies in the buffer
// as a whole. If not, nothing has happened.
func (j *jsonlReader) quick() bool {
	f := j.records
	if !j.pattern.known || f.framer.begun {
		return false
	}
	data, i := f.buf[f.start:f.end], 0
	for at := range j.pattern.places {
		place := &j.pattern.places[at]
		if len(data)-i < len(place.before)+wordSize || load(data, i)&place.mask != place.head {
			return false
		}
		if len(place.before) > wordSize && !bytes.Equal(data[i+wordSize:i+len(place.before)], place.before[wordSize:]) {
			return false
		}
		start := i + len(place.before)
		var ok bool
		if i, ok = quickValue(data, start); !ok {
			return false
		}
		if place.slot >= 0 {
			j.wanted.slots[place.slot] = Value{Bytes: data[start:i], JSON: true}
		}
	}
	if !bytes.HasPrefix(data[i:], j.pattern.tail) {
		return false
	}
	i += len(j.pattern.tail)
	next := i + 1
	if i < len(data) && data[i] == '\r' {
		next++
	}
	if i > MaxRecord || next > len(data) || data[next-1] != '\n' {
		return false
	}
	j.record = Record{Line: f.line, Raw: data[:i], Values: j.wanted.project()}
	f.pass(f.start+next, 1)
	return true
}

// quickValue passes over a value that is sound JSON of sound UTF-8 on one line.
func quickValue(data []byte, i int) (end int, ok bool) {
	switch c := data[i]; {
	case c-'0' < 10 || c == '-':
		return quickNumber(data, i)
	case c == '"':
		return quickString(data, i)
	}
	end, ok = skipValue(data, i, 1)
	token := data[i:end]
	return end, ok && bytes.IndexByte(token, '\n') < 0 && utf8.Valid(token)
}

// quickNumber is skipNumber for numbers that something stands behind.
func quickNumber(data []byte, i int) (end int, ok bool) {
	if data[i] == '-' {
		i++
	}
	first := i
	if i = quickDigits(data, i); i == first || data[first] == '0' && i > first+1 {
		return i, false
	}
	if i < len(data) && data[i] == '.' {
		point := i + 1
		if i = quickDigits(data, point); i == point {
			return i, false
		}
	}
	if i < len(data) && data[i]|0x20 == 'e' {
		if i++; i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		return skipDigits(data, i)
	}
	return i, true
}

// quickDigits passes over digits, of which there may be none.
func quickDigits(data []byte, i int) int {
	for len(data)-i >= wordSize {
		x := load(data, i) ^ '0'*everyByte // a digit is less than ten now
		if other := (x + (0x80-10)*everyByte | x) & topBits; other != 0 {
			return i + bits.TrailingZeros64(other)/8
		}
		i += wordSize
	}
	for i < len(data) && data[i]-'0' < 10 {
		i++
	}
	return i
}

// quickString is skipString for strings of sound UTF-8 without line ends.
func quickString(data []byte, i int) (end int, ok bool) {
	start, seen := i, uint64(0)
	for i++; len(data)-i >= wordSize; i += wordSize {
		x := load(data, i)
		quote, backslash := x^'"'*everyByte, x^'\\'*everyByte
		// A bit is set for each byte that is a quote, a backslash or a control
		// character; above the lowest such byte bits may be wrong.
		special := ((quote-everyByte)&^quote | (backslash-everyByte)&^backslash | (x-' '*everyByte)&^x) & topBits
		seen |= x
		if special == 0 {
			continue
		}
		i += bits.TrailingZeros64(special) / 8
		break
	}
	switch {
	case len(data)-i <= 0:
		return i, false
	case data[i] == '"':
		end = i + 1
	default: // an escape, or the last few bytes
		if end, ok = skipString(data, start); !ok {
			return end, false
		}
		seen = topBits
	}
	return end, seen&topBits == 0 || utf8.Valid(data[start:end])
}
