package predict

import (
	"errors"
	"fmt"
	"slices"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// The names of predictions that have none of their own.
const (
	tfColumn = "prediction" // the column of a prediction that is no object
	tfWhole  = "value"      // what a configured output calls it
)

// tf is the codec of TensorFlow Serving's REST API.
type tf struct {
	client *Client
	matrix bool
	keys   []string // of the columns: `"name":`
}

func newTF(c *Client) *tf {
	t := &tf{client: c, matrix: c.config.Features.As != api.AsColumns}
	for _, column := range c.config.Features.Columns {
		t.keys = append(t.keys, quoted(column)+":")
	}
	return t
}

func (*tf) parts() int { return 1 }

func (t *tf) add(r *Request, n int, values []value) (err error) {
	open, shut, k := byte('['), byte(']'), kindNumber
	if !t.matrix {
		open, shut, k = '{', '}', kindAny
	}
	to := r.parts[0]
	if n > 0 {
		to = append(to, ',')
	}
	to = append(to, open)
	for i, v := range values {
		if i > 0 {
			to = append(to, ',')
		}
		if !t.matrix {
			to = append(to, t.keys[i]...)
		}
		if to, err = appendCell(to, t.client.config.Features.Columns[i], k, v); err != nil {
			return err
		}
	}
	r.parts[0] = append(to, shut)
	return nil
}

func (t *tf) assemble(to []byte, r *Request, _ string) []byte {
	to = append(to, `{"instances":[`...)
	to = append(to, r.parts[0]...)
	return append(to, `]}`...)
}

func (t *tf) parse(r *Response, n int, _ string) error {
	s := &scanner{buf: r.body}
	found := false
	err := s.members(func(key token) (err error) {
		if !isString(s.text(key), "predictions") {
			_, err = s.value()
			return err
		}
		if found = true; s.peek() != '[' {
			return errors.New("has predictions that are no list")
		}
		return r.parsePredictions(s, n)
	})
	if err == nil {
		err = s.end()
	}
	if err == nil && !found {
		return errors.New("holds no predictions")
	}
	return err
}

func (r *Response) parsePredictions(s *scanner, n int) error {
	count := 0
	if r.client.outputs != nil {
		r.shape()
	}
	err := s.elements(func() (err error) {
		c := s.peek()
		if count == 0 && r.client.outputs == nil {
			if r.columns, err = tfColumns(s); err != nil {
				return err
			}
			if len(r.columns) == 0 {
				return errors.New("holds empty predictions")
			}
			r.shape()
		}
		if count >= n {
			_, err = s.value()
		} else if c == '{' {
			err = r.cutObject(s, count)
		} else {
			err = r.cutOther(s, count, c)
		}
		count++
		return err
	})
	if err == nil && count != n {
		return fmt.Errorf("holds %d predictions for %d records", count, n)
	}
	return err
}

// tfColumns are the columns of a job that names none, by the prediction that
// stands next: the first.
func tfColumns(s *scanner) ([]string, error) {
	if s.peek() != '{' {
		return []string{tfColumn}, nil
	}
	ahead := *s
	var columns []string
	err := ahead.members(func(key token) error {
		columns = append(columns, unquote(ahead.text(key)))
		_, err := ahead.value()
		return err
	})
	slices.Sort(columns)
	return slices.Compact(columns), err
}

// cutObject cuts a prediction that is an object.
func (r *Response) cutObject(s *scanner, record int) error {
	r.seen = slices.Grow(r.seen[:0], len(r.columns))[:len(r.columns)]
	clear(r.seen)
	all := r.client.outputs == nil
	var unknown token
	err := s.members(func(key token) error {
		value, err := s.value()
		if err != nil {
			return err
		}
		found := false
		for column := range r.columns {
			if isString(s.text(key), r.outputName(column)) {
				r.seen[column], found = value, true
			}
		}
		if !found {
			unknown = key
		}
		return nil
	})
	if err != nil {
		return err
	}
	if all && unknown.end > 0 {
		return fmt.Errorf("holds predictions of different keys: %s in record %d, not in the first; name the outputs to keep", s.text(unknown), record+1)
	}
	for column, value := range r.seen {
		name := r.outputName(column)
		if value.end == 0 {
			return fmt.Errorf("holds no %q in the prediction of record %d", name, record+1)
		}
		if index := r.outputIndex(column); index >= 0 {
			if value, err = s.element(value, index, name); err != nil {
				return err
			}
		}
		if err := r.set(record, column, value); err != nil {
			return err
		}
	}
	return nil
}

// cutOther cuts a prediction that is no object.
func (r *Response) cutOther(s *scanner, record int, first byte) error {
	value, err := s.value()
	if err != nil {
		return err
	}
	for column := range r.columns {
		name, index, picked := r.outputName(column), r.outputIndex(column), value
		switch all := r.client.outputs == nil; {
		case all && name != tfColumn:
			return fmt.Errorf("holds predictions of different forms: record %d's is no object like the first; name the outputs to keep", record+1)
		case !all && name != "" && name != tfWhole:
			return fmt.Errorf("holds no %q in the prediction of record %d, which is no object; call it %q, or %q for one value of a list", name, record+1, tfWhole, "[0]")
		case index >= 0:
			if first != '[' {
				return fmt.Errorf("holds a prediction of record %d that is no list: there is no [%d]", record+1, index)
			}
			if picked, err = s.element(value, index, name); err != nil {
				return err
			}
		}
		if err := r.set(record, column, picked); err != nil {
			return err
		}
	}
	return nil
}

// outputName is what the server calls a column.
func (r *Response) outputName(column int) string {
	if r.client.outputs == nil {
		return r.columns[column]
	}
	return r.client.outputs[column].name
}

func (r *Response) outputIndex(column int) int {
	if r.client.outputs == nil {
		return -1
	}
	return r.client.outputs[column].index
}

// element is the value at an index of a list that has been scanned.
func (s *scanner) element(list token, index int, name string) (token, error) {
	var found token
	count := 0
	if s.buf[list.start] == '[' {
		inner := scanner{buf: s.buf[:list.end], pos: list.start}
		err := inner.elements(func() error {
			value, err := inner.value()
			if count == index {
				found = value
			}
			count++
			return err
		})
		if err != nil {
			return token{}, err
		}
	}
	if index >= count {
		return token{}, fmt.Errorf("holds %s where %s[%d] was asked for", shortened(s.text(list), 80), name, index)
	}
	return found, nil
}
