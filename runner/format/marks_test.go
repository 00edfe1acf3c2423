package format

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// What the machine's instructions mark, and what is marked without them, is what
// a look at each byte gives; nothing is touched behind the last block.
func TestMarksAreWhereTheBytesStand(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whatever, special := rapid.Byte(), rapid.SampledFrom([]byte("\",\n\r\x80a\xff!#\v\x0c-\x8a\xa2"))
		blocks := rapid.IntRange(0, 3).Draw(t, "blocks")
		text := rapid.SliceOfN(rapid.OneOf(whatever, special), blocks*blockSize, blocks*blockSize+blockSize-1).Draw(t, "text")
		want := make([]marks, blocks+1)
		for i, c := range text[:blocks*blockSize] {
			m, bit := &want[i/blockSize], uint64(1)<<(i%blockSize)
			switch {
			case c == '"':
				m.quote |= bit
			case c == ',':
				m.comma |= bit
			case c == '\n':
				m.newline |= bit
			case c == '\r':
				m.carriageReturn |= bit
			case c >= 0x80:
				m.beyondASCII |= bit
			}
		}
		before := bytes.Clone(text)
		for name, mark := range map[string]func([]byte, []marks){"machine": markBlocks, "portable": markBlocksPortably} {
			got := make([]marks, blocks+1)
			mark(text, got[:blocks])
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("%s: block %d of %q is %+x, want %+x", name, i, text, got[i], want[i])
				}
			}
			if !bytes.Equal(text, before) {
				t.Fatalf("%s changed the text", name)
			}
		}
	})
}
