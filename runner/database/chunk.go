package database

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// chunk is the rows of one statement: cells as the text that databases read,
// one after the other in one buffer that is used again.
type chunk struct {
	target *target
	text   []byte
	cells  []cell
	order  []int // of the rows, by key, once they are sorted
	object []byte
}

type cell struct {
	from, to int
	form     form
}

type form byte

const (
	formNull form = iota
	formText
	formNumber // a JSON number, for columns without a type
)

func newChunk(t *target) *chunk { return &chunk{target: t} }

func (c *chunk) reset() { c.text, c.cells, c.order = c.text[:0], c.cells[:0], c.order[:0] }

func (c *chunk) rows() int { return len(c.order) }

// full tells that a statement has enough.
func (c *chunk) full() bool { return c.rows() == statementRows || len(c.text) >= statementBytes }

// cell is the text of one cell.
func (c *chunk) cell(row, column int) ([]byte, form) {
	found := c.cells[row*len(c.target.cells)+column]
	return c.text[found.from:found.to], found.form
}

// add appends a row: key, kept columns, results. Of a row that has a value which
// does not fit, nothing is left.
func (c *chunk) add(values []format.Value) (err error) {
	t := c.target
	text, cells := len(c.text), len(c.cells)
	defer func() {
		if err != nil {
			c.text, c.cells = c.text[:text], c.cells[:cells]
		}
	}()
	if expected := len(t.Key) + len(t.Keep) + len(t.Results); len(values) != expected {
		return fmt.Errorf("has %d values, expected %d", len(values), expected)
	}
	at := 0
	put := func(v format.Value) error {
		column := t.cells[at]
		at++
		from := len(c.text)
		var form form
		var err error
		c.text, form, err = appendCell(c.text, v, column, at <= len(t.Key))
		if err == nil && form == formNull && t.Set && at > len(t.Key)+len(t.kept()) {
			err = errUnset
		}
		if err != nil {
			return &valueError{fmt.Errorf("column %s: %w", column.name, err)}
		}
		c.cells = append(c.cells, cell{from: from, to: len(c.text), form: form})
		return nil
	}
	for n, v := range values {
		switch {
		case n < len(t.Key):
		case n < len(t.Key)+len(t.Keep):
			if contains(t.Key, t.Keep[n-len(t.Key)]) {
				continue
			}
		case t.JSONColumn != "":
			c.object = t.appendObject(c.object[:0], values[n:])
			v = format.Value{Bytes: c.object, JSON: true}
		}
		if err := put(v); err != nil {
			return err
		}
		if at == len(t.cells) {
			break
		}
	}
	if at < len(t.cells) {
		return fmt.Errorf("has no result for column %s", t.JSONColumn)
	}
	c.order = append(c.order, len(c.order))
	return nil
}

// appendObject writes all results as one JSON object.
func (t *target) appendObject(to []byte, results []format.Value) []byte {
	to = append(to, '{')
	for at, name := range t.Results {
		if at > 0 {
			to = append(to, ',')
		}
		to = append(format.AppendString(to, []byte(name)), ':')
		if results[at].JSON {
			to = append(to, results[at].Bytes...)
		} else {
			to = format.AppendString(to, results[at].Bytes)
		}
	}
	return append(to, '}')
}

// sort orders the rows by key, so that two sessions lock them in one order.
func (c *chunk) sort() {
	keys := len(c.target.Key)
	slices.SortStableFunc(c.order, func(a, b int) int {
		for column := range keys {
			left, _ := c.cell(a, column)
			right, _ := c.cell(b, column)
			if order := bytes.Compare(left, right); order != 0 {
				return order
			}
		}
		return 0
	})
}

// errUnset is a result that leaves its row as the query of the job looks for it.
var errUnset = errors.New("the prediction is null, and the query would find the row again")

var errNoKey = errors.New("is null, and a key must not be; leave such rows out of the input")

// appendCell writes a value as the text that a column takes.
func appendCell(to []byte, v format.Value, c column, key bool) ([]byte, form, error) {
	from := len(to)
	switch token := v.Bytes; {
	case !v.JSON:
		if c.class == classJSON && !json.Valid(token) {
			return format.AppendString(to, token), formText, nil
		}
		if len(token) == 0 && !c.empty && !key { // as CSV writes what is not there
			return to, formNull, nil
		}
		to = append(to, token...)
	case string(token) == "null":
		if key {
			return to, formNull, errNoKey
		}
		return to, formNull, nil
	case c.class == classJSON:
		return append(to, token...), formText, nil
	case len(token) > 0 && token[0] == '"':
		var text string
		if err := json.Unmarshal(token, &text); err != nil {
			return to, formNull, err
		}
		to = append(to, text...)
	case c.class == classAny && (token[0] == '-' || token[0] >= '0' && token[0] <= '9'):
		return append(to, token...), formNumber, nil
	case (c.class == classInteger || c.class == classNumber || c.class == classAny) && string(token) == "true":
		to = append(to, '1')
	case (c.class == classInteger || c.class == classNumber || c.class == classAny) && string(token) == "false":
		to = append(to, '0')
	default:
		to = append(to, token...)
	}
	return finishCell(to, from, c, key)
}

// finishCell checks and rewrites what was appended from an index on.
func finishCell(to []byte, from int, c column, key bool) ([]byte, form, error) {
	text := to[from:]
	if whole, zeros, found := bytes.Cut(text, []byte(".")); found && c.class == classInteger && !key && len(bytes.Trim(zeros, "0")) == 0 {
		text, to = whole, to[:from+len(whole)] // as models write the number of a class: 1.0
	}
	switch {
	case c.class == classInteger && !integer(text):
		// Some would round it, find another's row with it, or keep the text.
		return to, formNull, fmt.Errorf("%.40q is no integer of 64 bits", text)
	case c.class == classNumber && !number(text):
		// Some read what is no number as 0, or as infinity.
		return to, formNull, fmt.Errorf("%.40q is no number that the column can hold", text)
	case c.class == classBytes:
		raw, err := base64.StdEncoding.DecodeString(string(text))
		if err != nil {
			return to, formNull, fmt.Errorf("%.40q is not base64, as bytes are written", text)
		}
		to = hex.AppendEncode(to[:from], raw)
	case c.class == classInstant:
		// Only a database without zones has this class.
		if at, err := time.Parse(time.RFC3339Nano, string(text)); err == nil {
			to = at.UTC().AppendFormat(to[:from], "2006-01-02 15:04:05.999999")
		}
	}
	return to, formText, nil
}

func number(text []byte) bool {
	_, err := strconv.ParseFloat(string(text), 64)
	return err == nil
}

func integer(text []byte) bool {
	_, signed := strconv.ParseInt(string(text), 10, 64)
	_, unsigned := strconv.ParseUint(string(text), 10, 64)
	return signed == nil || unsigned == nil
}

// appendRows writes rows as a JSON array of arrays of strings.
func (c *chunk) appendRows(to []byte, rows []int) []byte {
	to = append(to, '[')
	for n, row := range rows {
		if n > 0 {
			to = append(to, ',')
		}
		to = append(to, '[')
		for column := range c.target.cells {
			if column > 0 {
				to = append(to, ',')
			}
			switch text, form := c.cell(row, column); form {
			case formNull:
				to = append(to, "null"...)
			case formNumber:
				to = append(to, text...)
			default:
				to = format.AppendString(to, text)
			}
		}
		to = append(to, ']')
	}
	return append(to, ']')
}
