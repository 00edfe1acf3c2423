package format

import (
	"fmt"
	"io"
	"slices"
)

// parquetReader reads rows. Each becomes one JSON object in raw, and the values
// are parts of that.
type parquetReader struct {
	file    *Parquet
	columns []*parquetColumn // those that are read, each once
	cells   []*parquetCells  // of each of columns in the row group
	held    int64            // bytes of the pages of cells
	group   int              // the row group of cells
	where   string           // names it
	left    int64            // rows that are left in it
	next    int64            // the next row, counting from 0
	end     int64

	project []int // for each of values, its column
	spans   []span
	raw     []byte
	values  []Value
	record  Record
	err     error // of the last Read; it stays
}

// span is where a column's value stands in raw.
type span struct{ start, end int }

func newParquetReader(p *Parquet, first, n int64, project []string) (*parquetReader, error) {
	r := &parquetReader{file: p, group: -1, next: first, end: first + n, values: make([]Value, len(project))}
	if project == nil {
		r.columns = p.columns
	}
	for _, name := range project {
		at := slices.IndexFunc(r.columns, func(c *parquetColumn) bool { return c.name == name })
		if at < 0 {
			found := slices.IndexFunc(p.columns, func(c *parquetColumn) bool { return c.name == name })
			if found < 0 {
				return nil, fmt.Errorf("the Parquet file has no column %q", name)
			}
			at = len(r.columns)
			r.columns = append(r.columns, p.columns[found])
		}
		r.project = append(r.project, at)
	}
	r.spans = make([]span, len(r.columns))
	return r, nil
}

func (r *parquetReader) Read() (*Record, error) {
	if r.err != nil {
		return nil, r.err
	}
	bad, err := r.advance()
	if err != nil {
		r.closeGroup()
		r.err = err
		return nil, err
	}
	r.record = Record{Line: r.next, Raw: r.raw}
	if bad == nil && len(r.raw) > MaxRecord {
		bad = tooLarge()
	}
	if bad != nil {
		r.record.Bad, r.record.Raw = bad, r.raw[:min(len(r.raw), oversizeKept)]
		return &r.record, nil
	}
	for i, at := range r.project {
		r.values[i] = r.value(at)
	}
	r.record.Values = r.values
	return &r.record, nil
}

// advance reads the next row into raw.
func (r *parquetReader) advance() (bad, err error) {
	if r.next == r.end {
		return nil, io.EOF
	}
	if r.left == 0 {
		r.openGroup()
	}
	r.next++
	r.left--
	if cap(r.raw) > largeRow {
		r.raw = nil
	}
	if bad, err = r.row(); err != nil {
		err = corrupt(fmt.Errorf("row %d: %w", r.next, err))
	}
	return bad, err
}

// value is the value of a column in the current row.
func (r *parquetReader) value(at int) Value {
	token := r.raw[r.spans[at].start:r.spans[at].end]
	if node := r.columns[at].root; node.asNumber && !node.repeated && token[0] == '"' {
		return Value{Bytes: token[1 : len(token)-1]} // JSON has no number for it
	}
	return Value{Bytes: token, JSON: true}
}

// openGroup opens the row group of the next row.
func (r *parquetReader) openGroup() {
	r.closeGroup()
	group, skip := 0, r.next
	for skip >= r.file.groups[group] {
		skip -= r.file.groups[group]
		group++
	}
	r.group, r.where = group, fmt.Sprintf("row group %d", group+1)
	r.left = min(r.file.groups[group]-skip, r.end-r.next)
	r.cells = r.cells[:0]
	for _, c := range r.columns {
		r.cells = append(r.cells, &parquetCells{
			reader: r, column: c, row: skip, left: r.left, limit: min(cellsSize, maxCells/len(r.columns)),
		})
	}
}

func (r *parquetReader) closeGroup() {
	for _, c := range r.cells {
		c.close()
	}
}

// row writes the next row into raw. What makes only this row unusable is bad.
func (r *parquetReader) row() (bad, err error) {
	raw := append(r.raw[:0], '{')
	for i, c := range r.columns {
		token, unusable, err := r.cells[i].next()
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", c.name, err)
		}
		if unusable != nil && bad == nil {
			bad = fmt.Errorf("column %q: %w", c.name, unusable)
		}
		raw = append(raw, c.key...)
		r.spans[i].start = len(raw)
		raw = append(raw, token...)
		r.spans[i].end = len(raw)
		raw = append(raw, ',')
	}
	if len(r.columns) > 0 {
		raw = raw[:len(raw)-1]
	}
	r.raw = append(raw, '}')
	return bad, nil
}
