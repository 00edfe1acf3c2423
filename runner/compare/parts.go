package compare

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"

	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// What is published is dealt by the hash of its keys to parts of about partSize
// bytes, one of which is in memory at a time; above maxParts times that, parts
// grow.
const (
	partSize = 2 << 20
	maxParts = 256
)

// seed makes both sides deal a key to the same part.
var seed = maphash.MakeSeed()

// parts are files without names: none is left behind, whatever happens.
type parts struct {
	files   []*os.File
	writers []*bufio.Writer
	key     []byte
	line    []byte
}

func newParts(folder string, n int) (*parts, error) {
	p := &parts{}
	for range n {
		file, err := os.CreateTemp(folder, "part-*")
		if err != nil {
			p.close()
			return nil, err
		}
		p.files = append(p.files, file)
		p.writers = append(p.writers, bufio.NewWriterSize(file, 16<<10))
		if err := os.Remove(file.Name()); err != nil {
			p.close()
			return nil, err
		}
	}
	return p, nil
}

func (p *parts) close() {
	for _, file := range p.files {
		_ = file.Close() // it has no name: nobody reads it again
	}
}

// write puts a record into its part: place, key and cells, each with its
// length.
func (p *parts) write(place int64, key, cells []format.Value) error {
	p.key = appendKey(p.key[:0], key)
	line := binary.AppendUvarint(p.line[:0], uint64(place))
	line = appendBytes(line, p.key)
	for _, cell := range cells {
		line = append(line, kindOf(cell))
		line = appendBytes(line, cell.Bytes)
	}
	p.line = line
	w := p.writers[maphash.Bytes(seed, p.key)%uint64(len(p.writers))]
	_, _ = w.Write(binary.AppendUvarint(nil, uint64(len(line)))) // the next error is this one's, too
	if _, err := w.Write(line); err != nil {
		return fmt.Errorf("write to the temporary folder: %w", err)
	}
	return nil
}

func (p *parts) flush() error {
	for _, w := range p.writers {
		if err := w.Flush(); err != nil {
			return fmt.Errorf("write to the temporary folder: %w", err)
		}
	}
	return nil
}

// entry is a record as it lies in a part.
type entry struct {
	place int64
	key   string
	cells []byte
}

// each reads a part.
func (p *parts) each(i int, do func(entry) error) error {
	if _, err := p.files[i].Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read the temporary folder: %w", err)
	}
	r := bufio.NewReaderSize(p.files[i], 256<<10)
	for {
		size, err := binary.ReadUvarint(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		line := make([]byte, size)
		if err == nil {
			_, err = io.ReadFull(r, line)
		}
		if err != nil {
			return fmt.Errorf("read the temporary folder: %w", err)
		}
		place, n := binary.Uvarint(line)
		key, rest := cutBytes(line[n:])
		if err := do(entry{int64(place), string(key), rest}); err != nil {
			return err
		}
	}
}

// The kinds of cells, as they lie in a part.
const (
	kindText byte = iota
	kindJSON
)

func kindOf(v format.Value) byte {
	if v.JSON {
		return kindJSON
	}
	return kindText
}

// cell takes the first cell off those of an entry.
func cell(cells []byte) (v format.Value, rest []byte) {
	v.JSON = cells[0] == kindJSON
	v.Bytes, rest = cutBytes(cells[1:])
	return v, rest
}

func appendBytes(to, bytes []byte) []byte {
	return append(binary.AppendUvarint(to, uint64(len(bytes))), bytes...)
}

func cutBytes(from []byte) (bytes, rest []byte) {
	size, n := binary.Uvarint(from)
	return from[n : n+int(size)], from[n+int(size):]
}
