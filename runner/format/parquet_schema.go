package format

import (
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go"
	parquetformat "github.com/parquet-go/parquet-go/format"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// parquetColumn is a top-level column of a file.
type parquetColumn struct {
	name string
	typ  string // of api.Column
	key  []byte // as jsonKey
	root *parquetNode
}

// flat tells whether a row has exactly one value of the column.
func (c *parquetColumn) flat() bool { return c.root.leaf() && !c.root.repeated }

// parquetNode is a column, or a part of a nested one. Its values lie in the
// leaves below it, side by side in the file's order of leaves.
type parquetNode struct {
	name     string
	optional bool
	repeated bool
	def, rep int // the levels of its values
	first    int // the first leaf below, as the file counts them
	leaves   int

	text     leafText // of a leaf
	asNumber bool     // it gives number tokens but for NaN and infinities
	shape    shape    // of a group
	children []*parquetNode
	key      []byte // in the parent's object
}

func (n *parquetNode) leaf() bool { return n.text != nil }

// shape is how a group of columns is written as JSON.
type shape int

const (
	asObject shape = iota
	asChild        // the group is only a frame around its one child
	asMap          // the group is a pair, of a repeated group that is an object
)

// parquetColumns describes the columns of a file, and their leaves. Groups without columns are
// left out: they hold nothing.
func parquetColumns(file *parquet.File) ([]*parquetColumn, []*parquet.Column, error) {
	b := schemaBuilder{elements: file.Metadata().Schema}
	root, err := b.build(file.Root())
	if err != nil {
		return nil, nil, err
	}
	var columns []*parquetColumn
	seen := map[string]bool{}
	for _, node := range root.children {
		if seen[node.name] {
			return nil, nil, fmt.Errorf("two columns are named %q; names must differ", node.name)
		}
		seen[node.name] = true
		c := &parquetColumn{name: node.name, typ: api.TypeJSON, key: node.key, root: node}
		if c.flat() {
			c.typ = b.types[node.first]
		}
		columns = append(columns, c)
	}
	if len(columns) == 0 {
		return nil, nil, errors.New("the Parquet file has no columns")
	}
	return columns, b.leaves, nil
}

// schemaBuilder walks the columns in the order of the file's schema elements.
type schemaBuilder struct {
	elements []parquetformat.SchemaElement
	at       int
	types    []string // per leaf
	leaves   []*parquet.Column
}

func (b *schemaBuilder) build(c *parquet.Column) (*parquetNode, error) {
	element := &b.elements[b.at]
	b.at++
	n := &parquetNode{
		name: c.Name(), key: jsonKey(c.Name()),
		optional: c.Optional(), repeated: c.Repeated(),
		def: c.MaxDefinitionLevel(), rep: c.MaxRepetitionLevel(),
		first: len(b.types),
	}
	if c.Leaf() {
		typ, text, err := leafTypeOf(c.Type(), element)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", n.name, err)
		}
		n.leaves, n.text, n.asNumber = 1, text, typ == api.TypeDouble
		b.types, b.leaves = append(b.types, typ), append(b.leaves, c)
		return n, nil
	}
	for _, child := range c.Columns() {
		node, err := b.build(child)
		if err != nil {
			return nil, err
		}
		if node.leaves > 0 {
			n.children = append(n.children, node)
			n.leaves += node.leaves
		}
	}
	n.frame(c)
	return n, nil
}

// frame takes away the groups that Parquet puts around the elements of lists
// and maps (LogicalTypes.md, with its rules for older writers).
func (n *parquetNode) frame(c *parquet.Column) {
	if len(n.children) != 1 || !n.children[0].repeated {
		return
	}
	inner := n.children[0]
	logical := c.Type().LogicalType()
	if logical == nil {
		return
	}
	switch logical.Value.(type) {
	case *parquetformat.ListType:
		n.shape = asChild
		if len(inner.children) == 1 && !inner.children[0].repeated && inner.name != "array" && inner.name != n.name+"_tuple" {
			inner.shape = asChild
		}
	case *parquetformat.MapType:
		n.shape = asChild
		if len(inner.children) == 2 && inner.children[0].leaf() && !inner.children[0].repeated {
			inner.shape = asMap
		}
	}
}
