package format

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	parquetformat "github.com/parquet-go/parquet-go/format"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Parquet is a Parquet file that was opened. It may be read from several
// goroutines at the same time.
//
// The library is given the file with another footer, in which no page is
// compressed: pageStream checks and decompresses them.
type Parquet struct {
	source  io.ReaderAt
	bodyEnd int64 // pages lie below
	file    *parquet.File
	chunks  [][]parquetChunk // as the footer says, per row group and leaf
	indexes [][]parquetIndex
	leaves  []*parquet.Column
	columns []*parquetColumn
	groups  []int64
	rows    int64
}

// parquetChunk is the place of the values of a leaf in a row group, and how many
// they are: no more of what the footer says of it, since wide files have a great
// many of them.
type parquetChunk struct {
	codec  parquetformat.CompressionCodec
	start  int64
	size   int64
	values int64
}

func chunkOf(m *parquetformat.ColumnMetaData) parquetChunk {
	start := m.DataPageOffset
	if m.DictionaryPageOffset > 0 && m.DictionaryPageOffset < start {
		start = m.DictionaryPageOffset
	}
	return parquetChunk{codec: m.Codec, start: start, size: m.TotalCompressedSize, values: m.NumValues}
}

// parquetIndex is where the page index of a column chunk lies.
type parquetIndex struct{ at, size int64 }

const (
	parquetMagic = "PAR1"
	// parquetTail is what a file ends with: the size of its footer, and the
	// magic.
	parquetTail = 8
)

// OpenParquet reads the footer of a Parquet file. An error says what is wrong
// with the file: whatever it holds, it never makes the caller panic, nor
// allocate what it merely claims to hold.
func OpenParquet(r io.ReaderAt, size int64) (p *Parquet, err error) {
	metadata, bodyEnd, err := readFooter(r, size)
	if err != nil {
		return nil, err
	}
	defer recovered(&err, "its footer")
	p = &Parquet{source: parquetSource{r}, bodyEnd: bodyEnd}
	if err := p.take(metadata); err != nil {
		return nil, fmt.Errorf("the Parquet footer cannot be used: %w", err)
	}
	rewritten, err := newRewrittenFile(metadata)
	if err != nil {
		return nil, err
	}
	if p.file, err = parquet.OpenFile(rewritten, rewritten.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(pageHeaderSize)); err != nil {
		return nil, fmt.Errorf("the Parquet footer cannot be used: %w", err)
	}
	if p.columns, p.leaves, err = parquetColumns(p.file); err != nil {
		return nil, err
	}
	return p, nil
}

// take notes what the footer says, once it fits together, and makes it one of a
// file whose pages are not compressed.
func (p *Parquet) take(metadata *parquetformat.FileMetaData) error {
	leaves, err := countLeaves(metadata.Schema)
	if err != nil {
		return err
	}
	for i := range metadata.RowGroups {
		group := &metadata.RowGroups[i]
		if group.NumRows < 0 || p.rows+group.NumRows < p.rows {
			return fmt.Errorf("row group %d has %d rows", i+1, group.NumRows)
		}
		if len(group.Columns) != leaves {
			return fmt.Errorf("row group %d has %d columns, the schema %d", i+1, len(group.Columns), leaves)
		}
		p.rows += group.NumRows
		p.groups = append(p.groups, group.NumRows)
		chunks, indexes := make([]parquetChunk, len(group.Columns)), make([]parquetIndex, len(group.Columns))
		for j := range group.Columns {
			chunk := &group.Columns[j]
			if chunk.FilePath != "" {
				return fmt.Errorf("row group %d lies in another file, %q", i+1, chunk.FilePath)
			}
			chunks[j], indexes[j] = chunkOf(&chunk.MetaData), parquetIndex{at: chunk.OffsetIndexOffset, size: int64(chunk.OffsetIndexLength)}
			chunk.MetaData.Codec = parquetformat.Uncompressed
			chunk.MetaData.DataPageOffset, chunk.MetaData.DictionaryPageOffset = 0, 0
			chunk.MetaData.TotalCompressedSize = math.MaxInt64
		}
		p.chunks, p.indexes = append(p.chunks, chunks), append(p.indexes, indexes)
	}
	if metadata.NumRows != p.rows {
		return fmt.Errorf("it says %d rows, and its row groups have %d", metadata.NumRows, p.rows)
	}
	return nil
}

// offsetIndex reads where the pages of a column chunk begin; nil where the file
// does not say.
func (p *Parquet) offsetIndex(group, leaf int) (*parquetformat.OffsetIndex, error) {
	index := p.indexes[group][leaf]
	if index.at <= 0 || index.size <= 0 {
		return nil, nil
	}
	if index.at > p.bodyEnd || index.size > p.bodyEnd-index.at {
		return nil, fmt.Errorf("its page index should take %d bytes at byte %d, and the data ends at byte %d", index.size, index.at, p.bodyEnd)
	}
	data := make([]byte, index.size)
	if err := readFullAt(p.source, data, index.at); err != nil {
		return nil, fmt.Errorf("its page index at byte %d: %w", index.at, err)
	}
	if n, err := thriftSize(data); err != nil || n < len(data) {
		return nil, fmt.Errorf("its page index at byte %d is corrupt", index.at)
	}
	decoded := new(parquetformat.OffsetIndex)
	err := thrift.Unmarshal(&thrift.CompactProtocol{}, data, decoded)
	return decoded, err
}

// Columns are the file's columns; nested ones are JSON.
func (p *Parquet) Columns() []api.Column {
	columns := make([]api.Column, len(p.columns))
	for i, c := range p.columns {
		columns[i] = api.Column{Name: c.name, Type: c.typ}
	}
	return columns
}

// Rows is the number of rows.
func (p *Parquet) Rows() int64 { return p.rows }

// Groups are the numbers of rows in its row groups.
func (p *Parquet) Groups() []int64 { return slices.Clone(p.groups) }

// Read reads n rows beginning with the first-th, counting from 0, projected to
// the named columns. Record.Line is the number of the row, counting from 1, and
// Record.Raw the row as a JSON object of these columns; of all where project is
// nil. Other columns are not read.
func (p *Parquet) Read(first, n int64, project []string) (Reader, error) {
	if first < 0 || n < 0 || first > p.rows || n > p.rows-first {
		return nil, fmt.Errorf("read parquet: rows %d to %d of a file of %d", first+1, first+n, p.rows)
	}
	return newParquetReader(p, first, n, project)
}

// parquetSource tells errors of reading a file from those of what it holds.
type parquetSource struct{ r io.ReaderAt }

type unreadable struct{ error }

// Unwrap gives the cause.
func (u unreadable) Unwrap() error { return u.error }

// ReadAt implements io.ReaderAt.
func (s parquetSource) ReadAt(to []byte, at int64) (int, error) {
	n, err := s.r.ReadAt(to, at)
	if err != nil && !errors.Is(err, io.EOF) {
		err = unreadable{err}
	}
	return n, err
}

// corrupt is the failure of a run that met an error: to read again what the file
// holds does not help. Not being able to read it may pass.
func corrupt(err error) error {
	if _, passes := errors.AsType[unreadable](err); passes {
		return err
	}
	return api.Fail(api.Reason(api.ClassConfig), "the file is corrupt: write it anew", err)
}

// recovered makes an error of a panic of the Parquet library, which corrupt
// files can cause.
func recovered(err *error, where string) {
	if cause := recover(); cause != nil {
		*err = fmt.Errorf("is not a sound Parquet file: %s cannot be decoded: %v", where, cause)
	}
}

// jsonKey is a column's name as it stands in a row's JSON object: `"a":`.
func jsonKey(name string) []byte {
	return append(appendQuoted(nil, []byte(name)), ':')
}
