package predict

import (
	"bytes"
	"fmt"
)

// program is the codec of programs: a line of JSON per record, the features
// by their names; a line of JSON per prediction.
type program struct {
	client *Client
	keys   []string // of the columns: `"name":`
}

func newProgram(c *Client) *program {
	p := &program{client: c}
	for _, column := range c.config.Features.Columns {
		p.keys = append(p.keys, quoted(column)+":")
	}
	return p
}

func (*program) parts() int { return 1 }

func (p *program) add(r *Request, n int, values []value) (err error) {
	to := r.parts[0]
	if n > 0 {
		to = append(to, '\n')
	}
	to = append(to, '{')
	for i, v := range values {
		if i > 0 {
			to = append(to, ',')
		}
		to = append(to, p.keys[i]...)
		if to, err = appendCell(to, p.client.config.Features.Columns[i], kindNullable, v); err != nil {
			return err
		}
	}
	r.parts[0] = append(to, '}')
	return nil
}

func (*program) assemble(to []byte, r *Request, _ string) []byte {
	return append(append(to, r.parts[0]...), '\n')
}

func (p *program) parse(r *Response, n int, _ string) error {
	if lines := countLines(r.body); lines != n {
		return fmt.Errorf("holds %d lines for %d records; it must hold one for each", lines, n)
	}
	return eachLine(r.body, func(s *scanner, record int) error {
		err := r.cutPrediction(s, record)
		if err == nil {
			err = s.end()
		}
		return err
	})
}

func (*program) wellFormed(body []byte) error {
	return eachLine(body, func(s *scanner, record int) error {
		_, err := s.value()
		if err == nil {
			err = s.end()
		}
		if err != nil {
			return fmt.Errorf("%w, in line %d", err, record+1)
		}
		return nil
	})
}

// countLines counts the lines, the last one also without an end.
func countLines(body []byte) int {
	lines := bytes.Count(body, []byte("\n"))
	if len(body) > 0 && body[len(body)-1] != '\n' {
		lines++
	}
	return lines
}

// eachLine visits the lines. The scanner ends with the line, and its tokens
// are places in the body.
func eachLine(body []byte, visit func(s *scanner, line int) error) error {
	var s scanner
	for start, line := 0, 0; start < len(body); line++ {
		end := len(body)
		if length := bytes.IndexByte(body[start:], '\n'); length >= 0 {
			end = start + length
		}
		s = scanner{buf: body[:end], pos: start}
		if err := visit(&s, line); err != nil {
			return err
		}
		start = end + 1
	}
	return nil
}
