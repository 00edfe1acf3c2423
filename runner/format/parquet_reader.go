package format

import (
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"
)

// parquetReader reads rows. Each becomes one JSON object in raw, and the values
// are parts of that.
type parquetReader struct {
	file    *Parquet
	columns []*parquetColumn // those that are read, each once
	leaves  []*leafReader    // of the row group, by their number in the file; nil: not read
	group   int              // the row group of leaves
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
		if err := r.openGroup(); err != nil {
			return nil, err
		}
	}
	r.next++
	r.left--
	if cap(r.raw) > 4*MaxRecord {
		r.raw = nil // of a record that was too large
	}
	if bad, err = r.row(); err != nil {
		err = fmt.Errorf("row %d: %w", r.next, err)
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
func (r *parquetReader) openGroup() error {
	r.closeGroup()
	group, skip := 0, r.next
	for skip >= r.file.groups[group] {
		skip -= r.file.groups[group]
		group++
	}
	r.group = group
	r.left = min(r.file.groups[group]-skip, r.end-r.next)
	r.leaves = make([]*leafReader, len(r.file.file.RowGroups()[group].ColumnChunks()))
	for _, c := range r.columns {
		for leaf := c.root.first; leaf < c.root.first+c.root.leaves; leaf++ {
			opened, err := openLeaf(r.file, group, leaf, skip)
			if err != nil {
				return fmt.Errorf("read column %q: %w", c.name, err)
			}
			r.leaves[leaf] = opened
		}
	}
	return nil
}

func (r *parquetReader) closeGroup() {
	for _, l := range r.leaves {
		if l != nil {
			l.close()
		}
	}
	r.leaves = nil
}

// row writes the next row into raw. What makes only this row unusable is bad.
func (r *parquetReader) row() (bad, err error) {
	r.raw = append(r.raw[:0], '{')
	for i, c := range r.columns {
		if i > 0 {
			r.raw = append(r.raw, ',')
		}
		r.raw = append(r.raw, c.key...)
		r.spans[i].start = len(r.raw)
		unusable, err := r.column(c)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", c.name, err)
		}
		if unusable != nil && bad == nil {
			bad = fmt.Errorf("column %q: %w", c.name, unusable)
		}
		r.spans[i].end = len(r.raw)
	}
	r.raw = append(r.raw, '}')
	return bad, nil
}

func (r *parquetReader) column(c *parquetColumn) (bad, err error) {
	if c.flat() {
		leaf := r.leaves[c.root.first]
		leaf.inRow = false
		v, err := leaf.take()
		if err != nil {
			return nil, err
		}
		return r.leafValue(c.root, v), nil
	}
	n := nested{reader: r}
	if err := n.node(c.root); err != nil {
		return nil, err
	}
	for _, leaf := range r.leaves[c.root.first : c.root.first+c.root.leaves] {
		if err := leaf.endRow(); err != nil {
			return nil, err
		}
	}
	return n.bad, nil
}

// leafValue appends a value. Where it is unusable it appends null.
func (r *parquetReader) leafValue(n *parquetNode, v *parquet.Value) (bad error) {
	if v.IsNull() {
		r.raw = append(r.raw, "null"...)
		return nil
	}
	start := len(r.raw)
	r.raw, bad = n.text(r.raw, *v)
	if bad != nil {
		r.raw = append(r.raw[:start], "null"...)
	}
	return bad
}
