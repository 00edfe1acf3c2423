package predict

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// The names of predictions that have none of their own.
const (
	wholeColumn = "prediction" // the column of a prediction that is no object
	wholeOutput = "value"      // what a configured output calls it
)

// cutPrediction cuts a record's prediction, the JSON value that stands next.
// Where the job names no outputs the first prediction says what the columns are.
func (r *Response) cutPrediction(s *scanner, record int) (err error) {
	if record == 0 {
		if r.client.outputs == nil {
			if r.columns, err = predictionColumns(s); err != nil {
				return err
			}
			if len(r.columns) == 0 {
				return errors.New("holds empty predictions")
			}
		}
		r.shape()
	}
	if s.peek() == '{' {
		return r.cutObject(s, record)
	}
	return r.cutOther(s, record)
}

// predictionColumns are the columns of a job that names none, by the
// prediction that stands next.
func predictionColumns(s *scanner) ([]string, error) {
	if s.peek() != '{' {
		return []string{wholeColumn}, nil
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
	var unknown token
	err := s.members(func(key token) error {
		value, err := s.value()
		if err != nil {
			return err
		}
		found := false
		for column := range r.columns {
			if isString(s.text(key), r.output(column).name) {
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
	if r.client.outputs == nil && unknown.end > 0 {
		return fmt.Errorf("holds predictions of different keys: %s in record %d, not in the first; name the outputs to keep", s.text(unknown), record+1)
	}
	for column, value := range r.seen {
		output := r.output(column)
		if value.end == 0 {
			return fmt.Errorf("holds no %q in the prediction of record %d", output.name, record+1)
		}
		if err := r.place(s, record, column, value, output.path); err != nil {
			return err
		}
	}
	return nil
}

// cutOther cuts a prediction that is no object.
func (r *Response) cutOther(s *scanner, record int) error {
	value, err := s.value()
	if err != nil {
		return err
	}
	for column := range r.columns {
		output, path := r.output(column), []string(nil)
		switch {
		case r.client.outputs == nil && output.name != wholeColumn:
			return fmt.Errorf("holds predictions of different forms: record %d's is no object like the first; name the outputs to keep", record+1)
		case r.client.outputs == nil:
		case output.pointer:
			path = output.tokens
		case output.name != "" && output.name != wholeOutput:
			return fmt.Errorf("holds no %q in the prediction of record %d, which is no object; call it %q, or %q for one value of a list", output.name, record+1, wholeOutput, "[0]")
		default:
			path = output.path
		}
		if err := r.place(s, record, column, value, path); err != nil {
			return err
		}
	}
	return nil
}

// place sets a record's value to what a path leads to from a token.
func (r *Response) place(s *scanner, record, column int, from token, path []string) (err error) {
	for _, step := range path {
		whole := from
		if from, err = s.step(whole, step); err != nil {
			return err
		}
		if from.end == 0 {
			return fmt.Errorf("holds %s in the prediction of record %d, where %s was asked for", shortened(s.text(whole), 80), record+1, r.output(column).text)
		}
	}
	return r.set(record, column, from)
}

// output is what the server calls a column.
func (r *Response) output(column int) selector {
	if r.client.outputs == nil {
		return selector{name: r.columns[column]}
	}
	return r.client.outputs[column]
}

// step is the value of a key of an object, or at an index of a list, that has
// been scanned; the zero token where there is none.
func (s *scanner) step(from token, step string) (found token, err error) {
	inner := scanner{buf: s.buf[:from.end], pos: from.start}
	switch s.buf[from.start] {
	case '{':
		err = inner.members(func(key token) error {
			value, err := inner.value()
			if isString(inner.text(key), step) {
				found = value
			}
			return err
		})
	case '[':
		index, bad := strconv.Atoi(step)
		if bad != nil || strconv.Itoa(index) != step {
			return token{}, nil
		}
		count := 0
		err = inner.elements(func() error {
			value, err := inner.value()
			if count == index {
				found = value
			}
			count++
			return err
		})
	}
	return found, err
}
