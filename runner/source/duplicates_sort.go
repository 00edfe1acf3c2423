package source

import (
	"bufio"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"slices"
)

// sortMemory is what a sort holds in memory, in bytes.
const sortMemory = 32 << 20

// sorter sorts more entries than memory holds: full stretches of them are
// sorted and written to files, which are merged while they are read. Its files
// have no names, so that none is left behind, whatever happens.
type sorter struct {
	folder  string
	most    int // entries in memory
	entries []entry
	runs    []*os.File
}

// entry is a key's hash and a place; both are what it is sorted by.
type entry struct {
	hash  [2]uint64
	place int64
}

const entrySize = 24

func (e entry) compare(other entry) int {
	switch {
	case e.hash[0] != other.hash[0]:
		return cmp.Compare(e.hash[0], other.hash[0])
	case e.hash[1] != other.hash[1]:
		return cmp.Compare(e.hash[1], other.hash[1])
	default:
		return cmp.Compare(e.place, other.place)
	}
}

func (e entry) encode(text *[entrySize]byte) []byte {
	binary.LittleEndian.PutUint64(text[:], e.hash[0])
	binary.LittleEndian.PutUint64(text[8:], e.hash[1])
	binary.LittleEndian.PutUint64(text[16:], uint64(e.place))
	return text[:]
}

func (e *entry) decode(text *[entrySize]byte) {
	e.hash = [2]uint64{binary.LittleEndian.Uint64(text[:]), binary.LittleEndian.Uint64(text[8:])}
	e.place = int64(binary.LittleEndian.Uint64(text[16:]))
}

func newSorter(folder string, memory int) *sorter {
	return &sorter{folder: folder, most: memory / entrySize}
}

func (s *sorter) add(e entry) error {
	if len(s.entries) == s.most {
		if err := s.spill(); err != nil {
			return fmt.Errorf("sort: %w", err)
		}
	}
	if len(s.entries) == cap(s.entries) { // doubling would hold twice the memory for a while
		s.entries = slices.Grow(s.entries, min(max(1024, len(s.entries)), s.most-len(s.entries)))
	}
	s.entries = append(s.entries, e)
	return nil
}

func (s *sorter) sortEntries() {
	slices.SortFunc(s.entries, entry.compare)
}

// spill writes what is in memory to a file.
func (s *sorter) spill() error {
	s.sortEntries()
	file, err := os.CreateTemp(s.folder, "sort-*")
	if err != nil {
		return err
	}
	s.runs = append(s.runs, file)
	if err := os.Remove(file.Name()); err != nil {
		return err
	}
	w := bufio.NewWriterSize(file, runBuffer)
	var text [entrySize]byte
	for _, e := range s.entries {
		_, _ = w.Write(e.encode(&text)) // Flush gives the error
	}
	s.entries = s.entries[:0]
	return w.Flush()
}

// sorted gives all entries in order, once. Nothing may be added after it.
func (s *sorter) sorted() iter.Seq2[entry, error] {
	s.sortEntries()
	if len(s.runs) == 0 {
		return func(yield func(entry, error) bool) {
			for _, e := range s.entries {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
	return s.merged
}

func (s *sorter) merged(yield func(entry, error) bool) {
	if err := s.spill(); err != nil {
		yield(entry{}, fmt.Errorf("sort: %w", err))
		return
	}
	s.entries = nil
	heads := make(merge, 0, len(s.runs))
	for _, file := range s.runs {
		r := &run{in: bufio.NewReaderSize(io.NewSectionReader(file, 0, math.MaxInt64), runBuffer)}
		if err := r.next(); err == nil {
			heads = append(heads, r)
		} else if !errors.Is(err, io.EOF) {
			yield(entry{}, fmt.Errorf("sort: %w", err))
			return
		}
	}
	heap.Init(&heads)
	for len(heads) > 0 {
		if !yield(heads[0].head, nil) {
			return
		}
		switch err := heads[0].next(); {
		case err == nil:
			heap.Fix(&heads, 0)
		case errors.Is(err, io.EOF):
			heap.Pop(&heads)
		default:
			yield(entry{}, fmt.Errorf("sort: %w", err))
			return
		}
	}
}

func (s *sorter) close() {
	for _, file := range s.runs {
		_ = file.Close() // nobody reads it again
	}
	s.runs, s.entries = nil, nil
}

// run is a sorted file with its first entry that is not yet taken.
type run struct {
	in   *bufio.Reader
	head entry
	text [entrySize]byte
}

// runBuffer is what is read or written of a file at once.
const runBuffer = 64 << 10

// next gives io.EOF behind the last entry.
func (r *run) next() error {
	_, err := io.ReadFull(r.in, r.text[:])
	r.head.decode(&r.text)
	return err
}

// merge is a heap of sorted files.
type merge []*run

func (m merge) Len() int           { return len(m) }
func (m merge) Less(i, j int) bool { return m[i].head.compare(m[j].head) < 0 }
func (m merge) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *merge) Push(r any)        { *m = append(*m, r.(*run)) }
func (m *merge) Pop() any {
	last := (*m)[len(*m)-1]
	*m = (*m)[:len(*m)-1]
	return last
}
