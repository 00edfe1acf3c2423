package format

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AddChecksum goes on with a CRC-32C, which begins with 0.
func AddChecksum(sum uint32, data []byte) uint32 { return crc32.Update(sum, castagnoli, data) }

// ErrChecksum says that data is not what it was when its checksum was taken.
var ErrChecksum = errors.New("its content is not what it was: the checksum differs")

// Checked reads r, and gives ErrChecksum in place of its io.EOF where its bytes
// are others than those of that CRC-32C.
func Checked(r io.Reader, sum uint32) io.Reader { return &checked{r: r, want: sum} }

type checked struct {
	r         io.Reader
	sum, want uint32
}

func (c *checked) Read(to []byte) (int, error) {
	n, err := c.r.Read(to)
	c.sum = AddChecksum(c.sum, to[:n])
	if errors.Is(err, io.EOF) && c.sum != c.want {
		err = ErrChecksum
	}
	return n, err
}

// Checksum is the CRC-32C of the row groups that hold any of n rows beginning
// with the first-th: of the bytes of their columns, in the file's order.
func (p *Parquet) Checksum(first, n int64) (uint32, error) {
	sum, start := uint32(0), int64(0)
	for group, rows := range p.groups {
		if start < first+n && start+rows > first {
			var err error
			if sum, err = p.groupChecksum(sum, group); err != nil {
				return 0, fmt.Errorf("row group %d: %w", group+1, err)
			}
		}
		start += rows
	}
	return sum, nil
}

func (p *Parquet) groupChecksum(sum uint32, group int) (uint32, error) {
	buffer := pageBuffer(bufferSize)
	defer pageBuffers.Put(&buffer)
	for i := range p.chunks[group] {
		chunk := &p.chunks[group][i]
		if err := p.inside(chunk); err != nil {
			return 0, err
		}
		for at, end := chunk.start, chunk.start+chunk.size; at < end; {
			piece := buffer[:min(int64(len(buffer)), end-at)]
			if err := readFullAt(p.source, piece, at); err != nil {
				return 0, err
			}
			sum, at = AddChecksum(sum, piece), at+int64(len(piece))
		}
	}
	return sum, nil
}
