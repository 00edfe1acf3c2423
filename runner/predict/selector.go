package predict

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// selector is a configured output: a name with what is picked below it.
type selector struct {
	text string // as it was configured
	name string // of a tensor, or of a key
	path []string
	// pointer tells a JSON pointer, of which tokens are all: name is the first
	// and path the rest.
	pointer bool
	tokens  []string
}

// parseSelector reads "name", "name[1]", "[1]" or a JSON pointer (RFC 6901).
func parseSelector(text string) (selector, error) {
	if strings.HasPrefix(text, "/") {
		tokens := strings.Split(text[1:], "/")
		for i, token := range tokens {
			if strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(token), "~") {
				return selector{}, fmt.Errorf("%q is not a JSON pointer: ~ is written ~0 and / is written ~1", text)
			}
			tokens[i] = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		}
		return selector{text: text, name: tokens[0], path: tokens[1:], pointer: true, tokens: tokens}, nil
	}
	name, rest, indexed := strings.Cut(text, "[")
	if !indexed {
		return selector{text: text, name: name}, nil
	}
	index, err := strconv.Atoi(strings.TrimSuffix(rest, "]"))
	if err != nil || index < 0 {
		return selector{}, fmt.Errorf("%q is not an output; write its name, with an index where one value of it is wanted: predict_proba[1]", text)
	}
	return selector{text: text, name: name, path: []string{strconv.Itoa(index)}}, nil
}

// selectOutputs reads the configured outputs.
func (c *Client) selectOutputs() error {
	c.columns = slices.Sorted(maps.Keys(c.config.Outputs))
	for _, column := range c.columns {
		s, err := parseSelector(c.config.Outputs[column])
		if err == nil && s.name == "" && c.config.Protocol == api.ProtocolOIPv2 {
			err = fmt.Errorf("%q names no output; %s answers with named tensors", s.text, api.ProtocolOIPv2)
		}
		if err != nil {
			return fmt.Errorf("predict.outputs[%q]: %w", column, err)
		}
		c.outputs = append(c.outputs, s)
	}
	return nil
}

// leaves are the values of a record that the selector picks of a tensor, whose
// shape of one record is given: from the first to before the last of width. A
// list of values is wanted where whole; else the only one.
func (s selector) leaves(shape []int, width int) (first, last int, list bool, err error) {
	if len(s.path) == 0 {
		return 0, width, width != 1, nil
	}
	if !s.pointer { // counts in row-major order, however deep the shape
		index, _ := strconv.Atoi(s.path[0])
		if index >= width {
			return 0, 0, false, fmt.Errorf("holds output %q of %d values a record: there is no %s", s.name, width, s.text)
		}
		return index, index + 1, false, nil
	}
	first, last = 0, width
	for depth, step := range s.path {
		index, err := strconv.Atoi(step)
		if err != nil || strconv.Itoa(index) != step || depth >= len(shape) || index >= shape[depth] {
			return 0, 0, false, fmt.Errorf("holds output %q of shape %v a record: there is no %s", s.name, shape, s.text)
		}
		size := (last - first) / shape[depth]
		first += index * size
		last = first + size
	}
	return first, last, len(s.path) < len(shape), nil
}
