package predict

import (
	"fmt"
	"math"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// Response holds the predictions of one request as they stood in the answer.
// It belongs to one goroutine.
type Response struct {
	client  *Client
	columns []string
	n       int
	body    []byte // the answer
	extra   []byte // tokens that do not stand in the answer as they are passed on
	cells   []cell // record by record

	refused []error  // of records that the server refused one by one; none where it refused none
	nans    []string // of records, the column that holds a NaN or an infinity; none where they are let through

	leaves  []token  // oip_v2: the values of all tensors
	tensors []tensor // oip_v2
	seen    []token  // tf_v1: what one prediction holds for each column
}

// cell is one value: where its token stands in the body, or in extra.
type cell struct {
	start, end int32
	extra      bool
}

// Columns are the result columns, sorted by name.
func (r *Response) Columns() []string { return r.columns }

// Len is the number of records predicted.
func (r *Response) Len() int { return r.n }

// Refused is why the server did not predict a record that it was sent among
// others, in protocols that tell; nil where it did.
func (r *Response) Refused(record int) error {
	if r.refused == nil {
		return nil
	}
	return r.refused[record]
}

// refuse is for codecs of protocols that tell of single records.
func (r *Response) refuse(record int, why error) {
	if r.refused == nil {
		r.refused = make([]error, r.n)
	}
	r.refused[record] = why
}

// NaN names the column in which a record's prediction holds NaN or an infinity,
// where these are errors; empty where there is none.
func (r *Response) NaN(record int) string {
	if r.nans == nil {
		return ""
	}
	return r.nans[record]
}

// Values appends a record's values, one per column, as JSON tokens. They are
// valid until Release.
func (r *Response) Values(record int, into []format.Value) []format.Value {
	width := len(r.columns)
	for _, c := range r.cells[record*width : (record+1)*width] {
		from := r.body
		if c.extra {
			from = r.extra
		}
		into = append(into, format.Value{Bytes: from[c.start:c.end:c.end], JSON: true})
	}
	return into
}

// Release gives the response's buffers to a later one. Neither it nor its
// values may be used afterwards.
func (r *Response) Release() {
	if cap(r.body) > maxHeld {
		r.body = nil
	}
	if cap(r.extra) > maxHeld {
		r.extra = nil
	}
	r.client.responses.Put(r)
}

func (c *Client) newResponse() *Response {
	if r, ok := c.responses.Get().(*Response); ok {
		return r
	}
	return &Response{client: c}
}

// begin prepares for the cells of n records.
func (r *Response) begin(body []byte, n int) {
	r.body, r.n, r.columns = body, n, r.client.columns
	r.refused, r.nans = nil, nil
	r.extra, r.cells, r.leaves, r.tensors = r.extra[:0], r.cells[:0], r.leaves[:0], r.tensors[:0]
}

// shape makes room for the cells once the columns are known.
func (r *Response) shape() {
	need := r.n * len(r.columns)
	if cap(r.cells) < need {
		r.cells = make([]cell, need)
	}
	r.cells = r.cells[:need]
}

// set places a token of the body as a record's value.
func (r *Response) set(record, column int, t token) error {
	at := &r.cells[record*len(r.columns)+column]
	if !t.dirty {
		return at.place(t.start, t.end, false)
	}
	start := len(r.extra)
	r.clean(record, column, t)
	return at.place(start, len(r.extra), true)
}

// clean appends a dirty token to extra.
func (r *Response) clean(record, column int, t token) {
	var nan bool
	r.extra, nan = appendClean(r.extra, r.body[t.start:t.end], r.client.config.NaN == api.NaNString)
	if nan && r.client.config.NaN == api.NaNError {
		if r.nans == nil {
			r.nans = make([]string, r.n)
		}
		r.nans[record] = r.columns[column]
	}
}

// setList places several tokens as a list.
func (r *Response) setList(record, column int, tokens []token) error {
	start := len(r.extra)
	r.extra = append(r.extra, '[')
	for i, t := range tokens {
		if i > 0 {
			r.extra = append(r.extra, ',')
		}
		if t.dirty {
			r.clean(record, column, t)
		} else {
			r.extra = append(r.extra, r.body[t.start:t.end]...)
		}
	}
	r.extra = append(r.extra, ']')
	return r.cells[record*len(r.columns)+column].place(start, len(r.extra), true)
}

func (c *cell) place(start, end int, extra bool) error {
	if end > math.MaxInt32 {
		return fmt.Errorf("holds more than %d bytes of predictions", math.MaxInt32)
	}
	*c = cell{start: int32(start), end: int32(end), extra: extra}
	return nil
}

// Type is the type of a column, one of api's words, where the answer tells it;
// else empty.
func (r *Response) Type(column int) string {
	s := scanner{buf: r.body}
	for i := range r.tensors {
		t := &r.tensors[i]
		output := r.output(column)
		if !isString(s.text(t.name), output.name) || t.datatype.end == 0 || s.buf[t.datatype.start] != '"' {
			continue
		}
		width, err := t.width(r.n, output.name)
		if err != nil {
			return ""
		}
		if _, _, list, err := output.leaves(t.shape[1:t.rank], width); err != nil || list {
			return api.TypeJSON
		}
		return typeOf(unquote(s.text(t.datatype)))
	}
	return ""
}

// typeOf is the column type of an Open Inference Protocol datatype.
func typeOf(datatype string) string {
	switch {
	case strings.HasPrefix(datatype, "FP"), datatype == "BF16":
		return api.TypeDouble
	case strings.HasPrefix(datatype, "INT"), strings.HasPrefix(datatype, "UINT"):
		return api.TypeInt64
	case datatype == "BOOL":
		return api.TypeBoolean
	case datatype == "BYTES":
		return api.TypeString
	}
	return ""
}
