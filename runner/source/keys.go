package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"

	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// Canonical gives each of some keys a text that it shares with those keys only
// that are the same where they are used; nil for a key that is none there.
type Canonical func(ctx context.Context, keys [][]format.Value) ([][]byte, error)

// KeyBytes appends what tells a key from others: 1 and "1" are the same.
func KeyBytes(to []byte, key []format.Value) []byte {
	for _, v := range key {
		text := v.Bytes
		var decoded string
		switch {
		case v.JSON && len(text) > 0 && text[0] == '"' && json.Unmarshal(text, &decoded) == nil:
			text = []byte(decoded)
		case v.JSON && string(text) == "null":
			to = append(to, 0)
			continue
		}
		to = binary.AppendUvarint(append(to, 1), uint64(len(text)))
		to = append(to, text...)
	}
	return to
}

// canonicalKeys is how many keys are asked for at once.
const canonicalKeys = 1000

// keySorter sorts keys, by 128 bits of a hash, and their places. Where canonical
// is nil, keys are the same that have the same text.
type keySorter struct {
	*sorter
	canonical Canonical
	text      []byte
	asked     [][]format.Value // whose canonical texts are to be asked for
	places    []int64          // theirs
}

// addKey adds a key; flush is to follow the last one.
func (s *keySorter) addKey(ctx context.Context, key []format.Value, place int64) error {
	if s.canonical == nil {
		s.text = KeyBytes(s.text[:0], key)
		return s.addText(s.text, place)
	}
	kept := make([]format.Value, len(key))
	for at, v := range key {
		kept[at] = format.Value{Bytes: bytes.Clone(v.Bytes), JSON: v.JSON}
	}
	s.asked, s.places = append(s.asked, kept), append(s.places, place)
	if len(s.asked) < canonicalKeys {
		return nil
	}
	return s.flush(ctx)
}

// flush asks for what is left to be asked for. A key without a text is passed
// over: what takes the records will say what is wrong with it.
func (s *keySorter) flush(ctx context.Context) error {
	if len(s.asked) == 0 {
		return nil
	}
	texts, err := s.canonical(ctx, s.asked)
	if err != nil {
		return err
	}
	for at, text := range texts {
		if text == nil {
			continue
		}
		if err := s.addText(text, s.places[at]); err != nil {
			return err
		}
	}
	s.asked, s.places = s.asked[:0], s.places[:0]
	return nil
}

func (s *keySorter) addText(text []byte, place int64) error {
	sum := sha256.Sum256(text)
	return s.add(entry{hash: [2]uint64{binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])}, place: place})
}
