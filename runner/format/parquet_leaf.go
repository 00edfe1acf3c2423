package format

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// leafBatch is the number of values that are taken from a page at a time.
const leafBatch = 256

// leafReader reads the values of one leaf column in one row group.
type leafReader struct {
	where  string // for errors
	stream *pageStream
	pages  parquet.Pages
	page   parquet.Page
	values parquet.ValueReader
	batch  [leafBatch]parquet.Value
	at, n  int
	inRow  bool // a value of the current row was taken
}

// openLeaf begins to read a leaf column with the skip-th row of a row group.
func openLeaf(p *Parquet, group, leaf int, skip int64) (l *leafReader, err error) {
	l = &leafReader{where: fmt.Sprintf("row group %d", group+1)}
	defer recovered(&err, l.where)
	chunk := p.file.RowGroups()[group].ColumnChunks()[leaf].(*parquet.FileColumnChunk)
	if l.stream, err = newPageStream(p, group, leaf, p.leaves[leaf]); err != nil {
		return nil, fmt.Errorf("%s: %w", l.where, err)
	}
	first := int64(0)
	if skip > 0 {
		index, err := p.offsetIndex(group, leaf)
		if err == nil {
			first, err = l.stream.seek(skip, index)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.where, err)
		}
	}
	l.pages = chunk.PagesFrom(l.stream)
	for ; first < skip; first++ {
		if err := l.skipRow(); err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

func (l *leafReader) close() {
	if l.page != nil {
		parquet.Release(l.page)
		l.page = nil
	}
	_ = l.pages.Close() // read only
}

// peek gives the next value without taking it, nil after the last. It is valid
// until the next peek or take.
func (l *leafReader) peek() (*parquet.Value, error) {
	if l.at == l.n {
		if err := l.load(); err != nil || l.n == 0 {
			return nil, err
		}
	}
	return &l.batch[l.at], nil
}

// take gives the next value of the current row.
func (l *leafReader) take() (*parquet.Value, error) {
	v, err := l.peek()
	if err != nil {
		return nil, err
	}
	if v == nil {
		return nil, fmt.Errorf("%s: has fewer values than rows", l.where)
	}
	if l.inRow != (v.RepetitionLevel() > 0) {
		return nil, l.uneven()
	}
	l.inRow = true
	l.at++
	return v, nil
}

// endRow says that the current row has all its values. It looks at the next
// page only where a list may go on there.
func (l *leafReader) endRow() error {
	l.inRow = false
	v, err := l.peek()
	if err == nil && v != nil && v.RepetitionLevel() > 0 {
		err = l.uneven()
	}
	return err
}

func (l *leafReader) skipRow() error {
	l.inRow = false
	if _, err := l.take(); err != nil {
		return err
	}
	for {
		v, err := l.peek()
		if err != nil || v == nil || v.RepetitionLevel() == 0 {
			l.inRow = false
			return err
		}
		l.at++
	}
}

func (l *leafReader) uneven() error {
	return fmt.Errorf("%s: its lists do not match those of the columns beside it", l.where)
}

// load reads the next values; none after the last.
func (l *leafReader) load() (err error) {
	defer recovered(&err, l.where)
	l.at, l.n = 0, 0
	for {
		if l.values != nil {
			l.n, err = l.values.ReadValues(l.batch[:])
			if l.n > 0 {
				return nil // an error comes again
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("%s: %w", l.where, err)
			}
			parquet.Release(l.page)
			l.page, l.values = nil, nil
		}
		page, err := l.pages.ReadPage()
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", l.where, err)
		}
		l.page, l.values = page, page.Values()
	}
}
