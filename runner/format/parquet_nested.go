package format

import (
	"fmt"

	"github.com/parquet-go/parquet-go"
)

// nested puts one row of a nested column together from the values of its
// leaves: the reverse of Dremel's record shredding. A definition level says how
// deep a value's path is there, a repetition level which list goes on with it.
type nested struct {
	reader *parquetReader
	bad    error
}

func (n *nested) node(p *parquetNode) error {
	if !p.optional && !p.repeated {
		return n.body(p)
	}
	v, err := n.peek(p)
	if err != nil {
		return err
	}
	absent := v.DefinitionLevel() < p.def
	switch {
	case absent && p.optional:
		n.write("null")
		return n.drop(p)
	case absent && p.shape == asMap:
		n.write("{}")
		return n.drop(p)
	case absent:
		n.write("[]")
		return n.drop(p)
	case p.optional:
		return n.body(p)
	}
	return n.list(p)
}

func (n *nested) list(p *parquetNode) error {
	open, closed := "[", "]"
	if p.shape == asMap {
		open, closed = "{", "}"
	}
	n.write(open)
	for {
		if err := n.body(p); err != nil {
			return err
		}
		v, err := n.reader.leaves[p.first].peek()
		if err != nil {
			return err
		}
		if v == nil || v.RepetitionLevel() != p.rep {
			n.write(closed)
			return nil
		}
		n.write(",")
	}
}

// body writes what is known to be there.
func (n *nested) body(p *parquetNode) error {
	switch {
	case p.leaf():
		v, err := n.reader.leaves[p.first].take()
		if err != nil {
			return err
		}
		n.note(n.reader.leafValue(p, v))
		return nil
	case p.shape == asChild:
		return n.node(p.children[0])
	case p.shape == asMap:
		return n.pair(p)
	}
	n.write("{")
	for i, child := range p.children {
		if i > 0 {
			n.write(",")
		}
		n.reader.raw = append(n.reader.raw, child.key...)
		if err := n.node(child); err != nil {
			return err
		}
	}
	n.write("}")
	return nil
}

// pair writes a map's entry. A key that is no text is written as one.
func (n *nested) pair(p *parquetNode) error {
	start := len(n.reader.raw)
	if err := n.node(p.children[0]); err != nil {
		return err
	}
	if raw := n.reader.raw; raw[start] != '"' {
		n.reader.raw = appendQuoted(raw[:start], append([]byte(nil), raw[start:]...))
	}
	n.write(":")
	return n.node(p.children[1])
}

// drop takes the one value that each leaf has for a part that is absent.
func (n *nested) drop(p *parquetNode) error {
	for _, leaf := range n.reader.leaves[p.first : p.first+p.leaves] {
		v, err := leaf.take()
		if err != nil {
			return err
		}
		if v.DefinitionLevel() >= p.def {
			return leaf.uneven()
		}
	}
	return nil
}

func (n *nested) peek(p *parquetNode) (*parquet.Value, error) {
	leaf := n.reader.leaves[p.first]
	v, err := leaf.peek()
	if err == nil && v == nil {
		err = fmt.Errorf("%s: has fewer values than its rows need", leaf.where)
	}
	return v, err
}

func (n *nested) write(text string) { n.reader.raw = append(n.reader.raw, text...) }

func (n *nested) note(bad error) {
	if n.bad == nil {
		n.bad = bad
	}
}
