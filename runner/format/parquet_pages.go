package format

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sync"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	parquetformat "github.com/parquet-go/parquet-go/format"
)

// pageStream is what the library reads of a column chunk: its pages, checked
// and decompressed here. The library allocates whatever a page claims to hold,
// so nothing reaches it that claims what it does not have.
//
// It gives the dictionary first, wherever in the chunk the data pages begin.
type pageStream struct {
	source     io.ReaderAt
	codec      parquetformat.CompressionCodec
	column     *parquet.Column
	start, end int64 // of the chunk
	at         int64 // of the next page
	dictionary bool  // it was given, or there is none
	valuesLeft int64

	head, raw, plain []byte // of a page: its header as it stands in the file, its content there, and decompressed
	header, rest     []byte // what was not yet given of its rewritten header and its content
	given            int64
}

const (
	// maxPageSize is the size that a page may have when it is decompressed.
	maxPageSize = 256 << 20
	// maxPageValues is the number of values that a page may have.
	maxPageValues = 16 << 20
	// A page header holds numbers, and the smallest and the largest value.
	pageHeaderSize    = 1 << 10
	maxPageHeaderSize = 64 << 20
)

func newPageStream(p *Parquet, group, leaf int, column *parquet.Column) (*pageStream, error) {
	chunk := &p.chunks[group][leaf]
	if err := p.inside(chunk); err != nil {
		return nil, err
	}
	if rows := p.groups[group]; chunk.values < rows || column.MaxRepetitionLevel() == 0 && chunk.values != rows {
		return nil, fmt.Errorf("has %d values in %d rows", chunk.values, rows)
	}
	return &pageStream{
		source: p.source, codec: chunk.codec, column: column,
		start: chunk.start, end: chunk.start + chunk.size, at: chunk.start, valuesLeft: chunk.values,
	}, nil
}

// inside looks whether a chunk lies where pages do.
func (p *Parquet) inside(c *parquetChunk) error {
	if c.start < int64(len(parquetMagic)) || c.size < 0 || c.start > p.bodyEnd || c.size > p.bodyEnd-c.start {
		return fmt.Errorf("should take %d bytes at byte %d, and the data ends at byte %d; the file is cut short or corrupt", c.size, c.start, p.bodyEnd)
	}
	return nil
}

// seek goes on with the page that has the row, or one before it, and gives the
// first row of that page.
func (s *pageStream) seek(row int64, index *parquetformat.OffsetIndex) (int64, error) {
	if index == nil {
		return s.walk(row)
	}
	target := 0
	for i, page := range index.PageLocations {
		if page.Offset < s.start || page.Offset >= s.end || i > 0 && page.FirstRowIndex < index.PageLocations[i-1].FirstRowIndex || i == 0 && page.FirstRowIndex != 0 {
			return 0, fmt.Errorf("its page index is wrong: page %d has row %d at byte %d", i+1, page.FirstRowIndex, page.Offset)
		}
		if page.FirstRowIndex <= row {
			target = i
		}
	}
	if len(index.PageLocations) == 0 {
		return 0, errors.New("its page index is empty")
	}
	if err := s.giveDictionary(); err != nil {
		return 0, err
	}
	s.at = index.PageLocations[target].Offset
	return index.PageLocations[target].FirstRowIndex, nil
}

// walk passes over pages by their headers, as far as those say how many rows
// there are.
func (s *pageStream) walk(row int64) (int64, error) {
	if err := s.giveDictionary(); err != nil {
		return 0, err
	}
	first := int64(0)
	for s.at < s.end {
		header, size, err := s.pageHeader()
		if err != nil {
			return 0, err
		}
		rows := int64(0)
		switch {
		case header.Type == parquetformat.DataPageV2:
			rows = int64(header.DataPageHeaderV2.V.NumRows)
		case header.Type == parquetformat.DataPage && s.column.MaxRepetitionLevel() == 0:
			rows = int64(header.DataPageHeader.V.NumValues)
		case header.Type == parquetformat.DataPage:
			return first, nil
		}
		if first+rows > row {
			return first, nil
		}
		first += rows
		s.at += size + int64(header.CompressedPageSize)
		s.valuesLeft -= pageValues(header)
	}
	return 0, fmt.Errorf("its pages have only %d rows", first)
}

// giveDictionary readies the dictionary, where the chunk begins with one.
func (s *pageStream) giveDictionary() error {
	if s.dictionary || s.at >= s.end {
		return nil
	}
	header, size, err := s.pageHeader()
	if err != nil {
		return err
	}
	s.dictionary = true
	if header.Type != parquetformat.DictionaryPage {
		return nil
	}
	return s.load(header, size)
}

// ReadAt gives the rewritten pages to the library, which reads them one after
// the other.
func (s *pageStream) ReadAt(to []byte, at int64) (int, error) {
	if at != s.given {
		return 0, errors.New("a page needs a dictionary, which the column does not have")
	}
	if len(s.header) == 0 && len(s.rest) == 0 {
		if err := s.next(); err != nil {
			return 0, err
		}
	}
	n := copy(to, s.header)
	s.header = s.header[n:]
	m := copy(to[n:], s.rest)
	s.rest = s.rest[m:]
	s.given += int64(n + m)
	if len(s.header) == 0 && len(s.rest) == 0 {
		s.release()
	}
	return n + m, nil
}

// release lets other columns have the buffers: the library has copied the page.
func (s *pageStream) release() {
	for _, buffer := range [][]byte{s.raw, s.plain} {
		if cap(buffer) > 0 {
			pageBuffers.Put(&buffer)
		}
	}
	s.raw, s.plain, s.rest = nil, nil, nil
}

// pageBuffers are shared by all columns: a file may have thousands.
var pageBuffers sync.Pool

func pageBuffer(size int) []byte {
	if buffer, ok := pageBuffers.Get().(*[]byte); ok && cap(*buffer) >= size {
		return (*buffer)[:size]
	}
	return make([]byte, size)
}

func (s *pageStream) next() error {
	for s.at < s.end {
		header, size, err := s.pageHeader()
		if err != nil {
			return err
		}
		switch header.Type {
		case parquetformat.DataPage, parquetformat.DataPageV2:
			if pageValues(header) > 0 { // the library fails on one without levels
				return s.load(header, size)
			}
		case parquetformat.DictionaryPage:
			if !s.dictionary {
				s.dictionary = true
				return s.load(header, size)
			}
		}
		s.at += size + int64(header.CompressedPageSize) // a page that says nothing about values
	}
	return io.EOF
}

// load reads a page and moves behind it.
func (s *pageStream) load(header *parquetformat.PageHeader, size int64) (err error) {
	at := s.at
	defer func() {
		if err != nil {
			err = fmt.Errorf("its page at byte %d: %w", at, err)
		}
	}()
	s.raw = pageBuffer(int(header.CompressedPageSize))
	if err := readFullAt(s.source, s.raw, at+size); err != nil {
		return err
	}
	if header.CRC != 0 && uint32(header.CRC) != crc32.ChecksumIEEE(s.raw) {
		return errors.New("its checksum is wrong")
	}
	s.valuesLeft -= pageValues(header)
	s.at += size + int64(header.CompressedPageSize)
	if err := s.decompress(header); err != nil {
		return err
	}
	values, err := checkPage(s.column, header, s.rest)
	if err != nil {
		return err
	}
	if s.rest, err = plainBooleans(s.column, header, s.rest, values); err != nil {
		return err
	}
	header.CRC = 0
	header.DataPageHeader.V.Statistics, header.DataPageHeaderV2.V.Statistics = parquetformat.Statistics{}, parquetformat.Statistics{}
	header.CompressedPageSize, header.UncompressedPageSize = int32(len(s.rest)), int32(len(s.rest))
	s.header, err = thrift.Marshal(&thrift.CompactProtocol{}, header)
	return err
}

// decompress sets rest to the content of the page in raw.
func (s *pageStream) decompress(header *parquetformat.PageHeader) error {
	levels := 0 // of a page of version 2 they are not compressed
	compressed := s.codec != parquetformat.Uncompressed
	if header.Type == parquetformat.DataPageV2 {
		v2 := &header.DataPageHeaderV2.V
		compressed = compressed && (!v2.IsCompressed.Valid || v2.IsCompressed.V)
		v2.IsCompressed = thrift.New(false)
		levels = int(v2.RepetitionLevelsByteLength) + int(v2.DefinitionLevelsByteLength)
	}
	if !compressed {
		s.rest = s.raw
		return nil
	}
	plain := int(header.UncompressedPageSize) - levels
	if err := checkCompressed(s.codec, s.raw[levels:], plain); err != nil {
		return err
	}
	var err error
	s.plain, err = decompressPage(s.codec, s.raw[levels:], plain)
	if s.rest = s.plain; levels > 0 {
		s.rest = slices.Concat(s.raw[:levels], s.plain)
	}
	return err
}
