package predict

import (
	"errors"
	"fmt"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
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
		return r.cutList(s, n)
	})
	if err == nil {
		err = s.end()
	}
	if err == nil && !found {
		return errors.New("holds no predictions")
	}
	return err
}

func (*tf) wellFormed(body []byte) error { return wellFormed(body) }

// cutList cuts a list of predictions, one for each of n records.
func (r *Response) cutList(s *scanner, n int) error {
	count := 0
	err := s.elements(func() (err error) {
		if count < n {
			err = r.cutPrediction(s, count)
		} else {
			_, err = s.value()
		}
		count++
		return err
	})
	if err == nil && count != n {
		return fmt.Errorf("holds %d predictions for %d records", count, n)
	}
	return err
}
