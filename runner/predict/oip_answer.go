package predict

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// tensor is one output: its leaves, and how they are grouped.
type tensor struct {
	name        token
	datatype    token
	shape       [8]int
	rank        int
	first, last int // into Response.leaves
	group       int // leaves in each element of data, where it is nested; else 0
	hasData     bool
}

func (o *oip) parse(r *Response, n int, key string) error {
	s := &scanner{buf: r.body}
	var id token
	err := s.members(func(name token) (err error) {
		switch text := s.text(name); {
		case isString(text, "outputs"):
			if s.peek() != '[' {
				return errors.New("has outputs that are no list")
			}
			return s.elements(func() error { return r.parseTensor(s) })
		case isString(text, "id"):
			id, err = s.value()
			return err
		}
		_, err = s.value()
		return err
	})
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return err
	}
	if text := s.text(id); key != "" && len(text) > len(`""`) && text[0] == '"' && !isString(text, key) {
		return fmt.Errorf("is for request %s, not %q", shortened(text, 80), key)
	}
	return r.placeTensors(s)
}

// parseTensor cuts one element of outputs.
func (r *Response) parseTensor(s *scanner) error {
	if s.peek() != '{' {
		return errors.New("has an output that is no object")
	}
	t := tensor{first: len(r.leaves), last: len(r.leaves)}
	err := s.members(func(key token) (err error) {
		switch text := s.text(key); {
		case isString(text, "name"):
			t.name, err = s.value()
		case isString(text, "datatype"):
			t.datatype, err = s.value()
		case isString(text, "shape") && s.peek() == '[':
			err = t.parseShape(s)
		case isString(text, "data") && s.peek() == '[':
			err = r.cutLeaves(s, &t)
		default:
			_, err = s.value()
		}
		return err
	})
	if err != nil {
		return err
	}
	if t.name.end == t.name.start || s.buf[t.name.start] != '"' {
		return errors.New("has an output without a name")
	}
	r.tensors = append(r.tensors, t)
	return nil
}

func (t *tensor) parseShape(s *scanner) error {
	return s.elements(func() error {
		dimension, err := s.value()
		if err != nil {
			return err
		}
		size, err := strconv.Atoi(string(s.text(dimension)))
		if err != nil || size < 0 || t.rank == len(t.shape) {
			return errors.New("has a shape that makes no sense")
		}
		t.shape[t.rank] = size
		t.rank++
		return nil
	})
}

// cutLeaves cuts a tensor's data. The protocol allows it flat or nested: the
// leaves in their order are the same row-major values.
func (r *Response) cutLeaves(s *scanner, t *tensor) error {
	t.hasData = true
	flat := false
	err := s.elements(func() error {
		before := len(r.leaves)
		if s.peek() != '[' {
			flat = true
			r.cutNumbers(s)
			return r.cutLeaf(s)
		}
		if err := r.cutNested(s, 1); err != nil {
			return err
		}
		group := len(r.leaves) - before
		if flat || before > t.first && group != t.group {
			return errors.New("has an output whose data is ragged")
		}
		t.group = group
		return nil
	})
	t.last = len(r.leaves)
	if err == nil && flat && t.group > 0 {
		return errors.New("has an output whose data is ragged")
	}
	return err
}

// cutNumbers cuts the numbers that stand next, as far as a comma follows each:
// nearly all of an answer, in one loop.
func (r *Response) cutNumbers(s *scanner) {
	for {
		end := numberEnd(s.buf, s.pos)
		if end == s.pos || end >= len(s.buf) || s.buf[end] != ',' {
			return
		}
		r.leaves = append(r.leaves, token{start: s.pos, end: end})
		s.pos = end + 1
		if s.pos < len(s.buf) && s.buf[s.pos] == ' ' {
			s.pos++
		}
	}
}

func (r *Response) cutNested(s *scanner, depth int) error {
	if depth > maxDepth {
		return errors.New("is nested too deeply")
	}
	return s.elements(func() error {
		if s.peek() == '[' {
			return r.cutNested(s, depth+1)
		}
		return r.cutLeaf(s)
	})
}

func (r *Response) cutLeaf(s *scanner) error {
	leaf, err := s.value()
	if err == nil {
		r.leaves = append(r.leaves, leaf)
	}
	return err
}

// placeTensors checks the tensors against the number of records, and cuts them
// into the records' values.
func (r *Response) placeTensors(s *scanner) error {
	if len(r.tensors) == 0 {
		return errors.New("holds no outputs")
	}
	selectors := r.client.outputs
	if selectors == nil {
		r.columns, selectors = r.allOutputs(s)
	}
	r.shape()
	for column, sel := range selectors {
		at := slices.IndexFunc(r.tensors, func(t tensor) bool { return isString(s.text(t.name), sel.name) })
		if at < 0 {
			return fmt.Errorf("holds no output %q, only %s", sel.name, r.outputNames(s))
		}
		t := &r.tensors[at]
		width, err := t.width(r.n, sel.name)
		if err != nil {
			return err
		}
		first, last, list, err := sel.leaves(t.shape[1:t.rank], width)
		if err != nil {
			return err
		}
		leaves := r.leaves[t.first:t.last]
		for record := range r.n {
			values := leaves[record*width+first : record*width+last]
			switch {
			case list:
				err = r.setList(record, column, values)
			case !values[0].dirty && values[0].end <= math.MaxInt32: // as nearly all are
				r.cells[record*len(r.columns)+column] = cell{start: int32(values[0].start), end: int32(values[0].end)}
			default:
				err = r.set(record, column, values[0])
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// width is the number of values that each of n records has in the tensor.
func (t *tensor) width(n int, name string) (int, error) {
	shape := t.shape[:t.rank]
	switch {
	case !t.hasData:
		return 0, fmt.Errorf("holds no data in output %q", name)
	case t.rank == 0 || shape[0] != n:
		return 0, fmt.Errorf("holds output %q of shape %v for %d records", name, shape, n)
	}
	width := 1
	for _, size := range shape[1:] {
		if size > 0 && width > math.MaxInt32/size {
			return 0, fmt.Errorf("holds output %q of the impossible shape %v", name, shape)
		}
		width *= size
	}
	if got := t.last - t.first; got%n != 0 || got/n != width {
		return 0, fmt.Errorf("holds %d values in output %q of shape %v", got, name, shape)
	}
	if t.group > 0 && t.group != width {
		return 0, fmt.Errorf("holds output %q nested unlike its shape %v", name, shape)
	}
	return width, nil
}

// allOutputs are the columns of a job that names none.
func (r *Response) allOutputs(s *scanner) ([]string, []selector) {
	columns := make([]string, 0, len(r.tensors))
	for _, t := range r.tensors {
		columns = append(columns, unquote(s.text(t.name)))
	}
	slices.Sort(columns)
	columns = slices.Compact(columns)
	selectors := make([]selector, 0, len(columns))
	for _, name := range columns {
		selectors = append(selectors, selector{name: name})
	}
	return columns, selectors
}

func (r *Response) outputNames(s *scanner) string {
	var names []string
	for _, t := range r.tensors {
		names = append(names, string(s.text(t.name)))
	}
	return shortened([]byte(strings.Join(names, ", ")), 200)
}
