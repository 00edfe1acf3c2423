package format

import "slices"

const (
	// cellsSize is the memory that a column's cells take before they are given
	// out.
	cellsSize = 16 << 10
	// A reader holds so many bytes of cells of all its columns, and so many of
	// decoded pages: columns beyond that decode their page again for their next
	// cells.
	maxCells = 16 << 20
	maxPages = 32 << 20
	// largeRow is the size of text above which a buffer is not used again.
	largeRow = 4 << 20
)

// parquetCells are the next cells of a top-level column in a row group, each a
// JSON token: a page is decoded as a whole, and made text piece by piece.
type parquetCells struct {
	reader *parquetReader
	column *parquetColumn
	leaves []*leafReader // nil: not open
	held   int64         // bytes of their pages
	row    int64         // the next row to be made text, counting from 0 in the row group
	left   int64         // how many rows are to come
	limit  int           // of what text and ends take

	text []byte
	ends []int // of each cell in text
	at   int   // the cell to be given out next
	bad  []badCell
	err  error // behind the last cell
}

// badCell is why a cell, which is written as null, cannot be used.
type badCell struct {
	at  int
	why error
}

// next gives the column's next cell, which is valid until the call after.
func (c *parquetCells) next() (token []byte, bad, err error) {
	if c.at == len(c.ends) {
		if c.fill(); len(c.ends) == 0 {
			return nil, nil, c.err
		}
	}
	start := 0
	if c.at > 0 {
		start = c.ends[c.at-1]
	}
	if len(c.bad) > 0 && c.bad[0].at == c.at {
		bad, c.bad = c.bad[0].why, c.bad[1:]
	}
	token = c.text[start:c.ends[c.at]]
	c.at++
	return token, bad, nil
}

// fill makes text of the next cells.
func (c *parquetCells) fill() {
	if cap(c.text) > largeRow {
		c.text = nil
	}
	c.text, c.ends, c.bad, c.at = c.text[:0], c.ends[:0], nil, 0
	if c.err == nil {
		c.err = c.render()
	}
	c.keep()
}

func (c *parquetCells) render() (err error) {
	defer recovered(&err, c.reader.where)
	if c.leaves == nil {
		if err := c.open(); err != nil {
			return err
		}
	}
	for c.left > 0 && !c.full(c.text) {
		done := len(c.ends)
		if c.column.flat() {
			err = c.flat(c.leaves[0])
		} else {
			err = c.nested()
		}
		rows := int64(len(c.ends) - done)
		c.row, c.left = c.row+rows, c.left-rows
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *parquetCells) full(text []byte) bool {
	const place = 8 // in ends
	return len(text)+place*len(c.ends) >= c.limit
}

func (c *parquetCells) open() error {
	root := c.column.root
	for leaf := root.first; leaf < root.first+root.leaves; leaf++ {
		l, err := openLeaf(c.reader.file, c.reader.where, c.reader.group, leaf, c.row)
		if err != nil {
			c.close()
			return err
		}
		c.leaves = append(c.leaves, l)
	}
	return nil
}

func (c *parquetCells) close() {
	for _, l := range c.leaves {
		l.close()
	}
	c.leaves = nil
	c.hold(0)
}

func (c *parquetCells) hold(size int64) {
	c.reader.held += size - c.held
	c.held = size
}

// keep holds the pages for the next cells where there is room for them.
func (c *parquetCells) keep() {
	size := int64(0)
	for _, l := range c.leaves {
		size += l.page.size
	}
	c.hold(size)
	if c.left == 0 || c.err != nil || c.reader.held > maxPages && c.reopens() {
		c.close()
	}
}

// reopens tells whether the column can go on with a row without decoding all
// rows before.
func (c *parquetCells) reopens() bool {
	root := c.column.root
	indexes := c.reader.file.indexes[c.reader.group][root.first : root.first+root.leaves]
	return c.column.flat() || !slices.ContainsFunc(indexes, func(i parquetIndex) bool { return i.size == 0 })
}

// flat makes text of a page's values, each of which is a row.
func (c *parquetCells) flat(l *leafReader) error {
	if err := l.need(); err != nil {
		return err
	}
	p, write, text := &l.page, c.column.root.text, c.text
	for n := min(c.left, int64(p.levels-p.at)); n > 0 && !c.full(text); n-- {
		if p.null() {
			text = append(text, "null"...)
		} else {
			start := len(text)
			var bad error
			if text, bad = write(text, &p.values, p.value()); bad != nil {
				text = append(text[:start], "null"...)
				c.bad = append(c.bad, badCell{at: len(c.ends), why: bad})
			}
			p.next++
		}
		p.at++
		c.ends = append(c.ends, len(text))
	}
	c.text = text
	return nil
}

// nested makes text of a row's values.
func (c *parquetCells) nested() error {
	start := len(c.text)
	n := nested{leaves: c.leaves, first: c.column.root.first, to: c.text}
	err := n.node(c.column.root)
	for i := 0; err == nil && i < len(c.leaves); i++ {
		err = c.leaves[i].endRow()
	}
	if err != nil {
		c.text = n.to[:start]
		return err
	}
	c.text = n.to
	if n.bad != nil {
		c.bad = append(c.bad, badCell{at: len(c.ends), why: n.bad})
	}
	c.ends = append(c.ends, len(c.text))
	return nil
}
