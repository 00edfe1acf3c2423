package predict

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// What an input is called and holds where neither the job nor the server says.
const (
	defaultInput    = "input-0"
	defaultDatatype = "FP64"
)

// input is a tensor that the model takes.
type input struct {
	Name     string `json:"name"`
	Datatype string `json:"datatype"`
}

// oip is the codec of the Open Inference Protocol.
type oip struct {
	client  *Client
	matrix  bool
	kinds   []kind   // of each feature column
	heads   []string // of each tensor, up to the number of records
	tails   []string // of each tensor, from there to the data
	outputs string   // the outputs asked for
}

// newOIP makes the codec. inputs are the model's where it describes itself.
func newOIP(c *Client, inputs []input) *oip {
	f := c.config.Features
	o := &oip{client: c, matrix: f.As != api.AsColumns}
	width := len(f.Columns)
	if o.matrix {
		in := input{}
		if at := o.find(inputs, f.Name); at >= 0 {
			in = inputs[at]
		}
		datatype := cmp.Or(f.Datatype, in.Datatype, defaultDatatype)
		o.tensor(cmp.Or(f.Name, in.Name, defaultInput), datatype, width)
		o.kinds = slices.Repeat([]kind{kindOf(datatype)}, width)
	} else {
		for _, column := range f.Columns {
			in := input{}
			if at := o.find(inputs, column); at >= 0 {
				in = inputs[at]
			}
			datatype := cmp.Or(f.Datatype, in.Datatype, defaultDatatype)
			o.tensor(column, datatype, 1)
			o.kinds = append(o.kinds, kindOf(datatype))
		}
	}
	o.outputs = o.wanted()
	return o
}

// find gives the model's input of a name; without a name its only one.
func (o *oip) find(inputs []input, name string) int {
	if name == "" && len(inputs) == 1 {
		return 0
	}
	return slices.IndexFunc(inputs, func(in input) bool { return in.Name == name })
}

func (o *oip) tensor(name, datatype string, width int) {
	o.heads = append(o.heads, `{"name":`+quoted(name)+`,"shape":[`)
	o.tails = append(o.tails, `,`+strconv.Itoa(width)+`],"datatype":`+quoted(datatype)+`,"data":[`)
}

// wanted asks for the configured outputs by name: some servers answer only
// with a default one otherwise.
func (o *oip) wanted() string {
	var names []string
	for _, s := range o.client.outputs {
		names = append(names, `{"name":`+quoted(s.name)+`}`)
	}
	if names == nil {
		return ""
	}
	slices.Sort(names)
	return `,"outputs":[` + strings.Join(slices.Compact(names), ",") + `]`
}

func (o *oip) parts() int { return len(o.heads) }

func (o *oip) add(r *Request, n int, values []value) (err error) {
	columns := o.client.config.Features.Columns
	if !o.matrix {
		for i, v := range values {
			to := r.parts[i]
			if n > 0 {
				to = append(to, ',')
			}
			if r.parts[i], err = appendCell(to, columns[i], o.kinds[i], v); err != nil {
				return err
			}
		}
		return nil
	}
	to := r.parts[0]
	if o.kinds[0] == kindNumber { // as the others are
		if to, ok := appendNumbers(to, values); ok {
			r.parts[0] = to
			return nil
		}
	}
	for i, v := range values {
		if n > 0 || i > 0 {
			to = append(to, ',')
		}
		if to, err = appendCell(to, columns[i], o.kinds[i], v); err != nil {
			return err
		}
	}
	r.parts[0] = to
	return nil
}

func (o *oip) assemble(to []byte, r *Request, key string) []byte {
	to = append(to, '{')
	if key != "" {
		to = format.AppendString(append(to, `"id":`...), []byte(key))
		to = append(to, ',')
	}
	to = append(to, `"inputs":[`...)
	for i, part := range r.parts {
		if i > 0 {
			to = append(to, ',')
		}
		to = append(to, o.heads[i]...)
		to = strconv.AppendInt(to, int64(r.n), 10)
		to = append(to, o.tails[i]...)
		to = append(to, part...)
		to = append(to, `]}`...)
	}
	to = append(to, ']')
	to = append(to, o.outputs...)
	return append(to, '}')
}

func (*oip) wellFormed(body []byte) error { return wellFormed(body) }
