package format

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Fits tells whether a value can be written in a column of that type: a Fitter
// for one value.
func Fits(c api.Column, v Value) error {
	f, err := NewFitter([]api.Column{c})
	if err != nil {
		return err
	}
	return f.Fits([]Value{v})
}

// Fitter tells whether records can be written in typed columns. It is for one
// goroutine.
type Fitter struct {
	types   []columnType
	encoder encoder
}

// NewFitter makes a Fitter. A column without a type takes everything.
func NewFitter(columns []api.Column) (*Fitter, error) {
	f := &Fitter{types: make([]columnType, len(columns))}
	for i, c := range columns {
		if c.Type == "" {
			continue
		}
		var err error
		if f.types[i], err = parseType(c); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// Fits tells whether the values, one per column, fit. The error names column,
// type and value.
//
// Null fits every column, and so does an empty cell of text, which is null but
// in a string column. Text that reads as a value of the type is one.
func (f *Fitter) Fits(values []Value) error {
	f.encoder.reset()
	for i, v := range values {
		t := &f.types[i]
		if t.kind == "" {
			continue
		}
		if _, err := f.encoder.encode(t, v); err != nil {
			return t.refuse(v, err)
		}
	}
	return nil
}

// TypeOf is the type that a first value suggests for its column: none for null.
// A number is a double, but where that would not hold it exactly.
func TypeOf(v Value) string {
	if !v.JSON {
		return api.TypeString
	}
	if len(v.Bytes) == 0 {
		return ""
	}
	switch v.Bytes[0] {
	case 'n':
		return ""
	case 't', 'f':
		return api.TypeBoolean
	case '"':
		return api.TypeString
	case '{', '[':
		return api.TypeJSON
	}
	if _, err := parseDouble(v.Bytes); errors.Is(err, errNotExact) {
		return wholeType(v.Bytes)
	}
	return api.TypeDouble
}

// KeyTypeOf is TypeOf for columns that tell records apart: their numbers are
// whole, and stay as they are however large later ones get.
func KeyTypeOf(v Value) string {
	t := TypeOf(v)
	if _, err := parseInteger(v.Bytes); t == api.TypeDouble && err == nil {
		return api.TypeInt64
	}
	return t
}

// wholeType is the type that holds a whole number with all its digits.
func wholeType(text []byte) string {
	if _, err := parseInteger(text); err == nil {
		return api.TypeInt64
	}
	for _, precision := range []int{38, maxPrecision} {
		if len(text) <= precision { // a sign counted
			return decimalType(precision, 0)
		}
	}
	return api.TypeString
}

// columnType is a column with its type taken apart.
type columnType struct {
	column           api.Column
	kind             string // one of the Type words, or typeDecimal
	precision, scale int
}

const (
	typeDecimal = "decimal"
	// typeNanos is a timestamp as pandas writes it: finer than others, and only of
	// the years 1678 to 2261.
	typeNanos = "timestamp_ns"
)

var decimalForm = regexp.MustCompile(`^decimal\(([0-9]{1,2}),([0-9]{1,2})\)$`)

func parseType(c api.Column) (columnType, error) {
	t := columnType{column: c, kind: c.Type}
	switch c.Type {
	case api.TypeDouble, api.TypeInt64, api.TypeBoolean, api.TypeString, api.TypeTimestamp, typeNanos, api.TypeDate, api.TypeJSON:
		return t, nil
	case "":
		return t, fmt.Errorf("column %q has no type; Parquet needs one", c.Name)
	}
	if m := decimalForm.FindStringSubmatch(c.Type); m != nil {
		t.kind = typeDecimal
		t.precision, _ = strconv.Atoi(m[1]) // decimalForm lets two digits pass
		t.scale, _ = strconv.Atoi(m[2])
		if t.precision >= 1 && t.precision <= maxPrecision && t.scale <= t.precision {
			return t, nil
		}
	}
	return t, fmt.Errorf("column %q: type %q is not known", c.Name, c.Type)
}

// refuse is why a value does not fit, nil where it does.
func (t *columnType) refuse(v Value, why error) error {
	if why == nil {
		return nil
	}
	const shown = 100
	text := bytes.ToValidUTF8(v.Bytes[:min(shown, len(v.Bytes))], []byte("\uFFFD"))
	if len(v.Bytes) > shown {
		text = append(bytes.Clone(text), "…"...)
	}
	return fmt.Errorf("column %q: %s does not fit its type %s: %w", t.column.Name, text, t.column.Type, why)
}
