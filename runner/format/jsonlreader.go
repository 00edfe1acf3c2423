package format

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// jsonlReader reads JSON Lines: one JSON object per line. Columns are the
// object's own keys; their values are handed out as they stand. A record that
// holds a wanted key twice is bad: which of the two is meant is not ours to
// guess.
type jsonlReader struct {
	records *frames
	wanted  *projection
	slotOf  map[string]int
	found   []bool // per slot
	marks   []mark // the values of the record that is read the general way
	name    []byte // a key with its escapes resolved
	pattern pattern
	record  Record
}

// mark is where a value stands in a record.
type mark struct {
	start, end int
	slot       int // -1: not wanted
}

func newJSONLReader(records *frames, project []string) *jsonlReader {
	j := &jsonlReader{records: records, wanted: newProjection(project), slotOf: map[string]int{}}
	for slot, name := range j.wanted.columns {
		j.slotOf[name] = slot
	}
	j.found = make([]bool, len(j.wanted.columns))
	return j
}

func (j *jsonlReader) Read() (*Record, error) {
	if j.quick() {
		return &j.record, nil
	}
	if err := j.records.next(); err != nil {
		return nil, err
	}
	frame := &j.records.frame
	j.record = Record{Line: frame.line, Raw: frame.raw}
	if j.record.Bad = j.parse(frame); j.record.Bad == nil {
		j.record.Values = j.wanted.project()
		j.pattern.learn(frame.raw, j.marks)
	}
	return &j.record, nil
}

func (j *jsonlReader) parse(record *frame) error {
	if err := record.unusable(); err != nil {
		return err
	}
	clear(j.found)
	j.marks = j.marks[:0]
	if err := j.object(record.raw); err != nil {
		return err
	}
	for slot, found := range j.found {
		if !found {
			return fmt.Errorf("has no column %q; write null where there is no value", j.wanted.columns[slot])
		}
	}
	return nil
}

func (j *jsonlReader) object(raw []byte) error {
	i := skipSpace(raw, 0)
	if i == len(raw) || raw[i] != '{' {
		return notAnObject(raw, i)
	}
	if i = skipSpace(raw, i+1); i < len(raw) && raw[i] == '}' {
		return atEnd(raw, i+1)
	}
	for {
		slot, start, ok := j.key(raw, i)
		if !ok {
			return notJSON(raw, start)
		}
		if i, ok = skipValue(raw, start, 1); !ok {
			return notJSON(raw, i)
		}
		j.marks = append(j.marks, mark{start, i, slot})
		if slot >= 0 {
			if j.found[slot] {
				return fmt.Errorf("has column %q twice", j.wanted.columns[slot])
			}
			j.found[slot] = true
			j.wanted.slots[slot] = Value{Bytes: raw[start:i], JSON: true}
		}
		if i = skipSpace(raw, i); i == len(raw) {
			return notJSON(raw, i)
		}
		switch raw[i] {
		case ',':
			i = skipSpace(raw, i+1)
		case '}':
			return atEnd(raw, i+1)
		default:
			return notJSON(raw, i)
		}
	}
}

// key passes over the key at i and over the colon, and tells the slot of its
// column, -1 where it is not wanted.
func (j *jsonlReader) key(raw []byte, i int) (slot, behind int, ok bool) {
	end, ok := skipString(raw, i)
	if !ok {
		return 0, end, false
	}
	if behind, ok = skipColon(raw, end); !ok {
		return 0, behind, false
	}
	name := raw[i+1 : end-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		j.name = appendUnescaped(j.name[:0], name)
		name = j.name
	}
	slot, wanted := j.slotOf[string(name)]
	if !wanted {
		slot = -1
	}
	return slot, behind, true
}

func atEnd(raw []byte, i int) error {
	if i = skipSpace(raw, i); i < len(raw) {
		return notJSON(raw, i)
	}
	return nil
}

func notAnObject(raw []byte, i int) error {
	behind, ok := skipValue(raw, i, 0)
	if !ok {
		return notJSON(raw, behind)
	}
	if err := atEnd(raw, behind); err != nil {
		return err
	}
	kind := "a number"
	switch raw[i] {
	case '[':
		kind = "a list"
	case '"':
		kind = "a string"
	case 't', 'f', 'n':
		kind = string(raw[i:behind])
	}
	return fmt.Errorf("is %s where a JSON object is wanted", kind)
}

func notJSON(raw []byte, i int) error {
	if i >= len(raw) {
		return fmt.Errorf("is not valid JSON: it ends too early, after byte %d", len(raw))
	}
	if (raw[i] == '[' || raw[i] == '{') && depthAt(raw, i) >= maxDepth {
		return fmt.Errorf("is nested more than %d levels deep, at byte %d", maxDepth, i+1)
	}
	c, _ := utf8.DecodeRune(raw[i:])
	return fmt.Errorf("is not valid JSON at byte %d: unexpected %q", i+1, c)
}

// depthAt is how many objects and lists are open at a place up to which raw is
// sound.
func depthAt(raw []byte, at int) (depth int) {
	for i := 0; i < at; i++ {
		switch raw[i] {
		case '"':
			behind, _ := skipString(raw, i)
			i = behind - 1
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		}
	}
	return depth
}
