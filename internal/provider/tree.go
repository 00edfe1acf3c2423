package provider

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// The HCL of an object and its JSON are the same tree with the same names, so
// one pair of functions converts everything: read takes Terraform's value to a
// Go struct by way of JSON, write brings it back into the shape of a schema.
// Null is absent in JSON. Values not yet known are left out and listed, which
// is why nothing here can trip over one.

// read fills target from the named attributes of an object, and gives the
// pointers of what is unknown and of what is set, but to nothing.
func read(object tftypes.Value, target any, attributes ...string) (unknown, empty []string, err error) {
	if object.IsNull() || !object.IsKnown() {
		return nil, nil, nil
	}
	var fields map[string]tftypes.Value
	if err := object.As(&fields); err != nil {
		return nil, nil, err
	}
	r := &reader{}
	tree := map[string]any{}
	for _, name := range attributes {
		if value := r.value(fields[name], appendPointer("", name), true); value != nil {
			tree[name] = value
		}
	}
	if r.err != nil {
		return nil, nil, r.err
	}
	content, err := json.Marshal(tree)
	if err != nil {
		return nil, nil, err
	}
	return r.unknown, r.empty, json.Unmarshal(content, target)
}

type reader struct {
	unknown, empty []string
	err            error
}

// value converts one value; nil is absent. field tells whether it is the
// attribute of an object: an empty string is one too many ways there to say
// nothing.
func (r *reader) value(v tftypes.Value, pointer string, field bool) any {
	if v.Type() == nil || v.IsNull() {
		return nil
	}
	if !v.IsKnown() {
		r.unknown = append(r.unknown, pointer)
		return nil
	}
	switch v.Type().(type) {
	case tftypes.Object, tftypes.Map:
		var fields map[string]tftypes.Value
		r.as(v, &fields)
		_, object := v.Type().(tftypes.Object)
		tree := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			at := appendPointer(pointer, name)
			if value := r.value(fields[name], at, object); value != nil {
				tree[name] = value
			}
			if !object && fields[name].IsNull() {
				r.empty = append(r.empty, at)
			}
		}
		return tree
	case tftypes.List:
		var elements []tftypes.Value
		r.as(v, &elements)
		tree := make([]any, len(elements)) // one that is unknown is null: zero in Go
		for i, element := range elements {
			at := appendPointer(pointer, strconv.Itoa(i))
			tree[i] = r.value(element, at, false)
			if element.IsNull() {
				r.empty = append(r.empty, at)
			}
		}
		return tree
	}
	switch {
	case v.Type().Is(tftypes.String):
		var s string
		r.as(v, &s)
		if s == "" && field {
			r.empty = append(r.empty, pointer)
		}
		return s
	case v.Type().Is(tftypes.Number):
		n := new(big.Float)
		r.as(v, &n)
		return json.Number(n.Text('f', -1))
	case v.Type().Is(tftypes.Bool):
		var b bool
		r.as(v, &b)
		return b
	}
	r.err = fmt.Errorf("%s: a %s can't be read", api.DottedPath(pointer), v.Type())
	return nil
}

func (r *reader) as(v tftypes.Value, target any) {
	if err := v.As(target); err != nil && r.err == nil {
		r.err = err
	}
}

// write shapes anything with a JSON form into a Terraform type. What the type
// has and the JSON lacks is null; what only the JSON has is left out.
func write(t tftypes.Type, source any) (tftypes.Value, error) {
	tree, err := treeOf(source)
	if err != nil {
		return tftypes.Value{}, err
	}
	return shape(t, tree)
}

// treeOf is anything as decoded JSON.
func treeOf(source any) (any, error) {
	content, err := json.Marshal(source)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	var tree any
	err = decoder.Decode(&tree)
	return tree, err
}

func shape(t tftypes.Type, node any) (tftypes.Value, error) {
	if node == nil {
		return tftypes.NewValue(t, nil), nil
	}
	switch kind := t.(type) {
	case tftypes.Object:
		fields, ok := node.(map[string]any)
		if !ok {
			return tftypes.Value{}, fmt.Errorf("a JSON %T can't become an object", node)
		}
		values := map[string]tftypes.Value{}
		for name, field := range kind.AttributeTypes {
			value, err := shape(field, fields[name])
			if err != nil {
				return tftypes.Value{}, fmt.Errorf("%s: %w", name, err)
			}
			values[name] = value
		}
		return tftypes.NewValue(t, values), nil
	case tftypes.Map:
		fields, ok := node.(map[string]any)
		if !ok {
			return tftypes.Value{}, fmt.Errorf("a JSON %T can't become a map", node)
		}
		values := map[string]tftypes.Value{}
		for name, field := range fields {
			value, err := shape(kind.ElementType, field)
			if err != nil {
				return tftypes.Value{}, fmt.Errorf("%s: %w", name, err)
			}
			values[name] = value
		}
		return tftypes.NewValue(t, values), nil
	case tftypes.List:
		elements, ok := node.([]any)
		if !ok {
			return tftypes.Value{}, fmt.Errorf("a JSON %T can't become a list", node)
		}
		values := make([]tftypes.Value, len(elements))
		for i, element := range elements {
			value, err := shape(kind.ElementType, element)
			if err != nil {
				return tftypes.Value{}, fmt.Errorf("element %d: %w", i, err)
			}
			values[i] = value
		}
		return tftypes.NewValue(t, values), nil
	}
	if number, ok := node.(json.Number); ok {
		n, _, err := big.ParseFloat(number.String(), 10, 512, big.ToNearestEven)
		if err != nil {
			return tftypes.Value{}, err
		}
		node = n
	}
	if err := tftypes.ValidateValue(t, node); err != nil {
		return tftypes.Value{}, err
	}
	return tftypes.NewValue(t, node), nil
}
