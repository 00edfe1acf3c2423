package predict

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/batchpattern/terraform-provider-batch/internal/retryhttp"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

type value = format.Value

// maxBody is how many bytes of records a request holds at most. A single
// record may have more.
const maxBody = 1 << 20

// ErrFull says that a request can't take another record, which belongs into
// the next one.
var ErrFull = errors.New("the request is full")

// maxHeld is the capacity that a buffer may have to be kept for later use.
const maxHeld = 8 << 20

// Request collects records. It belongs to one goroutine.
type Request struct {
	client *Client
	n      int
	parts  [][]byte // as the codec lays them out
	marks  []int    // where the parts ended before the current record
	ends   []int    // where the parts ended after each record, record by record
	body   []byte   // the assembled request
	fields []retryhttp.Field
}

// NewRequest gives an empty request. Call it after Describe, and Release it
// when its records are through.
func (c *Client) NewRequest() *Request {
	if r, ok := c.requests.Get().(*Request); ok && len(r.parts) == c.codec.parts() {
		r.Reset()
		return r
	}
	parts := c.codec.parts()
	return &Request{client: c, parts: make([][]byte, parts), marks: make([]int, parts)}
}

// Len is the number of records in the request.
func (r *Request) Len() int { return r.n }

// Reset takes the records out.
func (r *Request) Reset() {
	r.n, r.ends = 0, r.ends[:0]
	for i := range r.parts {
		r.parts[i] = r.parts[i][:0]
	}
}

// Release gives the request's buffers to a later one. It must not be used
// afterwards.
func (r *Request) Release() {
	for i := range r.parts {
		if cap(r.parts[i]) > maxHeld {
			r.parts[i] = nil
		}
	}
	if cap(r.body) > maxHeld {
		r.body = nil
	}
	r.client.requests.Put(r)
}

// Add appends one record: its values in the order of Features.Columns. Where
// one of them can't be sent, the record is bad, the error names the column and
// the value, and the request stays as it was. So it does with ErrFull.
func (r *Request) Add(values []format.Value) error {
	if columns := r.client.config.Features.Columns; len(values) != len(columns) {
		return fmt.Errorf("got %d values for the %d columns of predict.features", len(values), len(columns))
	}
	for i := range r.parts {
		r.marks[i] = len(r.parts[i])
	}
	err := r.client.codec.add(r, r.n, values)
	if err == nil && r.n > 0 && !r.client.config.Unbounded && r.size() > maxBody {
		err = ErrFull
	}
	if err != nil {
		for i := range r.parts {
			r.parts[i] = r.parts[i][:r.marks[i]]
		}
		return err
	}
	r.n++
	for i := range r.parts {
		r.ends = append(r.ends, len(r.parts[i]))
	}
	return nil
}

func (r *Request) size() (bytes int) {
	for _, part := range r.parts {
		bytes += len(part)
	}
	return bytes
}

// Slice is a request of its own with the records from (included) to to (not
// included): what is sent instead of a request that failed.
func (r *Request) Slice(from, to int) *Request {
	part := r.client.NewRequest()
	part.take(r, from, to)
	return part
}

// Copy makes r hold one record of another request.
func (r *Request) Copy(from *Request, record int) {
	if len(r.parts) != len(from.parts) { // of a server that describes itself otherwise
		r.parts, r.marks = make([][]byte, len(from.parts)), make([]int, len(from.parts))
	}
	r.Reset()
	r.take(from, record, record+1)
}

// take fills an empty request with records of another.
func (r *Request) take(of *Request, from, to int) {
	width := len(of.parts)
	for i, part := range of.parts {
		r.marks[i] = 0 // where the first record begins in the part
		if from > 0 {
			r.marks[i] = of.ends[(from-1)*width+i] + len(",")
		}
		r.parts[i] = append(r.parts[i], part[r.marks[i]:of.ends[(to-1)*width+i]]...)
	}
	for at := from * width; at < to*width; at++ {
		r.ends = append(r.ends, of.ends[at]-r.marks[at%width])
	}
	r.n = to - from
}

// kind is what a tensor takes.
type kind uint8

const (
	kindNumber kind = iota
	kindBool
	kindString
	kindAny      // whatever the cell holds
	kindNullable // that, or nothing
)

// kindOf tells the kind of an Open Inference Protocol datatype.
func kindOf(datatype string) kind {
	switch datatype {
	case "BOOL":
		return kindBool
	case "BYTES":
		return kindString
	}
	return kindNumber
}

// appendCell appends one cell as a JSON token of the kind wanted.
func appendCell(to []byte, column string, k kind, v value) ([]byte, error) {
	if v.JSON && k != kindNullable && string(v.Bytes) == "null" {
		return to, fmt.Errorf("column %q is null", column)
	}
	switch k {
	case kindNumber:
		return appendNumberCell(to, column, v)
	case kindBool:
		return appendBoolCell(to, column, v)
	case kindString:
		return appendStringCell(to, column, v)
	}
	if v.JSON {
		return append(to, v.Bytes...), nil
	}
	if !isCode(v.Bytes) {
		if to, ok := appendNumber(to, v.Bytes); ok {
			return to, nil
		}
	}
	return format.AppendString(to, v.Bytes), nil
}

// startsNumber tells a JSON token that is a number.
func startsNumber(token []byte) bool {
	return len(token) > 0 && (token[0] == '-' || isDigit(token[0]))
}

func appendNumberCell(to []byte, column string, v value) ([]byte, error) {
	text := v.Bytes
	if v.JSON {
		if startsNumber(text) {
			return append(to, text...), nil
		}
		text = plain(v)
	}
	to, ok := appendNumber(to, text)
	if !ok {
		return to, notA("number", column, v)
	}
	return to, nil
}

func appendBoolCell(to []byte, column string, v value) ([]byte, error) {
	switch text := bytes.TrimSpace(plain(v)); {
	case bytes.EqualFold(text, []byte("true")) || string(text) == "1":
		return append(to, "true"...), nil
	case bytes.EqualFold(text, []byte("false")) || string(text) == "0":
		return append(to, "false"...), nil
	}
	return to, notA("boolean", column, v)
}

func appendStringCell(to []byte, column string, v value) ([]byte, error) {
	switch {
	case !v.JSON:
		return format.AppendString(to, v.Bytes), nil
	case len(v.Bytes) == 0 || v.Bytes[0] == '{' || v.Bytes[0] == '[':
		return to, notA("string", column, v)
	case v.Bytes[0] == '"':
		return append(to, v.Bytes...), nil
	}
	return format.AppendString(to, v.Bytes), nil
}

// plain is the text of a cell: a JSON string decoded, anything else as it is.
func plain(v value) []byte {
	switch {
	case !v.JSON || len(v.Bytes) < 2 || v.Bytes[0] != '"':
		return v.Bytes
	case bytes.IndexByte(v.Bytes, '\\') < 0:
		return v.Bytes[1 : len(v.Bytes)-1]
	}
	return []byte(unquote(v.Bytes))
}

func notA(what, column string, v value) error {
	text := v.Bytes
	switch {
	case len(bytes.TrimSpace(plain(v))) == 0:
		return fmt.Errorf("column %q is empty, not a %s", column, what)
	case v.JSON:
		return fmt.Errorf("column %q: %s is not a %s", column, shortened(text, 80), what)
	}
	return fmt.Errorf("column %q: %q is not a %s", column, shortened(text, 80), what)
}

// shortened is the beginning of text, whole characters of it.
func shortened(text []byte, limit int) string {
	if len(text) <= limit {
		return string(text)
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return string(text[:limit]) + "…"
}
