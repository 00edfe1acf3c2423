package format

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// leafReader reads the values of one leaf column in one row group.
type leafReader struct {
	where   string // for errors
	highest byte   // definition level of its values
	stream  *pageStream
	pages   parquet.Pages
	page    leafPage
	inRow   bool // a value of the current row was taken
}

// openLeaf begins to read a leaf column with the skip-th row of a row group,
// which errors name.
func openLeaf(p *Parquet, where string, group, leaf int, skip int64) (l *leafReader, err error) {
	column := p.leaves[leaf]
	l = &leafReader{where: where, highest: byte(column.MaxDefinitionLevel())}
	defer recovered(&err, l.where)
	chunk := p.file.RowGroups()[group].ColumnChunks()[leaf].(*parquet.FileColumnChunk)
	if l.stream, err = newPageStream(p, group, leaf, column); err != nil {
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
	if err := l.skipRows(skip - first); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *leafReader) close() {
	l.release()
	_ = l.pages.Close() // read only
}

func (l *leafReader) release() {
	if l.page.page != nil {
		parquet.Release(l.page.page)
		l.page = leafPage{}
	}
}

// peek readies the next value in page without taking it; false after the last.
func (l *leafReader) peek() (bool, error) {
	for l.page.at == l.page.levels {
		if more, err := l.load(); !more || err != nil {
			return false, err
		}
	}
	return true, nil
}

// need readies the next value, which the current row must have.
func (l *leafReader) need() error {
	more, err := l.peek()
	if err == nil && !more {
		err = fmt.Errorf("%s: has fewer values than rows", l.where)
	}
	return err
}

// begin says that the next value is to be taken for the current row.
func (l *leafReader) begin() error {
	if err := l.need(); err != nil {
		return err
	}
	if l.inRow != (l.page.repetitionLevel() > 0) {
		return l.uneven()
	}
	l.inRow = true
	return nil
}

// endRow says that the current row has all its values. It looks at the next
// page only where a list may go on there.
func (l *leafReader) endRow() error {
	l.inRow = false
	more, err := l.peek()
	if err == nil && more && l.page.repetitionLevel() > 0 {
		err = l.uneven()
	}
	return err
}

func (l *leafReader) skipRows(n int64) error {
	for n > 0 {
		if err := l.begin(); err != nil {
			return err
		}
		if len(l.page.repetition) == 0 {
			l.inRow = false
			skipped := min(n, int64(l.page.levels-l.page.at))
			l.page.skip(int(skipped))
			n -= skipped
			continue
		}
		if err := l.skipRow(); err != nil {
			return err
		}
		n--
	}
	return nil
}

// skipRow passes over the row whose first value is the next.
func (l *leafReader) skipRow() error {
	defer func() { l.inRow = false }()
	for {
		l.page.take()
		if more, err := l.peek(); !more || err != nil || l.page.repetitionLevel() == 0 {
			return err
		}
	}
}

func (l *leafReader) uneven() error {
	return fmt.Errorf("%s: its lists do not match those of the columns beside it", l.where)
}

// load reads the next page; false after the last.
func (l *leafReader) load() (more bool, err error) {
	defer recovered(&err, l.where)
	l.release()
	page, err := l.pages.ReadPage()
	if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, nil
	}
	if err == nil {
		l.page, err = openPage(page, l.highest)
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", l.where, err)
	}
	return true, nil
}
