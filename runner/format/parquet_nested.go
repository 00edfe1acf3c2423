package format

// nested puts one row of a nested column together from the values of its
// leaves: the reverse of Dremel's record shredding. A definition level says how
// deep a value's path is there, a repetition level which list goes on with it.
type nested struct {
	leaves []*leafReader // of the column,
	first  int           // whose first one the file counts so
	to     []byte
	bad    error
}

func (n *nested) leaf(p *parquetNode) *leafReader { return n.leaves[p.first-n.first] }

func (n *nested) node(p *parquetNode) error {
	if !p.optional && !p.repeated {
		return n.body(p)
	}
	first := n.leaf(p)
	if err := first.need(); err != nil {
		return err
	}
	absent := first.page.definitionLevel() < p.def
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
		first := n.leaf(p)
		more, err := first.peek()
		if err != nil {
			return err
		}
		if !more || first.page.repetitionLevel() != p.rep {
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
		return n.value(p)
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
		n.to = append(n.to, child.key...)
		if err := n.node(child); err != nil {
			return err
		}
	}
	n.write("}")
	return nil
}

// pair writes a map's entry. A key that is no text is written as one.
func (n *nested) pair(p *parquetNode) error {
	start := len(n.to)
	if err := n.node(p.children[0]); err != nil {
		return err
	}
	if raw := n.to; raw[start] != '"' {
		n.to = appendQuoted(raw[:start], append([]byte(nil), raw[start:]...))
	}
	n.write(":")
	return n.node(p.children[1])
}

// drop takes the one value that each leaf has for a part that is absent.
func (n *nested) drop(p *parquetNode) error {
	first := p.first - n.first
	for _, leaf := range n.leaves[first : first+p.leaves] {
		if err := leaf.begin(); err != nil {
			return err
		}
		if leaf.page.definitionLevel() >= p.def {
			return leaf.uneven()
		}
		leaf.page.take()
	}
	return nil
}

// value writes the value of a leaf, null where it is unusable.
func (n *nested) value(p *parquetNode) error {
	leaf := n.leaf(p)
	if err := leaf.begin(); err != nil {
		return err
	}
	page, start := &leaf.page, len(n.to)
	if page.null() {
		n.write("null")
	} else {
		var bad error
		if n.to, bad = p.text(n.to, &page.values, page.value()); bad != nil {
			n.to = append(n.to[:start], "null"...)
			n.note(bad)
		}
	}
	page.take()
	return nil
}

func (n *nested) write(text string) { n.to = append(n.to, text...) }

func (n *nested) note(bad error) {
	if n.bad == nil {
		n.bad = bad
	}
}
