package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

type oipInput struct {
	Name     string          `json:"name"`
	Datatype string          `json:"datatype"`
	Shape    []int           `json:"shape"`
	Data     json.RawMessage `json:"data"`
}

// rows checks an input against what it says about itself and cuts it into rows of the given width.
func (in oipInput) rows(width int) ([][]float64, error) {
	if in.Datatype != "FP64" && in.Datatype != "FP32" {
		return nil, problem(http.StatusBadRequest, "input %q: datatype %q is not supported: send FP64 or FP32", in.Name, in.Datatype)
	}
	count, err := in.count(width)
	if err != nil {
		return nil, err
	}
	values, err := in.values(width)
	if err != nil {
		return nil, problem(http.StatusBadRequest, "input %q: %v", in.Name, err)
	}
	// Divided rather than multiplied, so that an absurd count cannot overflow into a match.
	if len(values)%width != 0 || len(values)/width != count {
		return nil, problem(http.StatusBadRequest, "input %q: shape %v does not fit %d values", in.Name, in.Shape, len(values))
	}
	return slices.Collect(slices.Chunk(values, width)), nil
}

// count reads the number of records from the shape, which is [n,width], or [n] for a single column.
func (in oipInput) count(width int) (int, error) {
	matrix := len(in.Shape) == 2 && in.Shape[1] == width
	column := len(in.Shape) == 1 && width == 1
	if (!matrix && !column) || in.Shape[0] < 0 {
		return 0, problem(http.StatusBadRequest, "input %q: expected shape [n,%d], got %v", in.Name, width, in.Shape)
	}
	return in.Shape[0], nil
}

// values reads the data, which the protocol allows flat in row-major order or nested by row.
func (in oipInput) values(width int) ([]float64, error) {
	if in.Data == nil {
		return nil, errors.New("data is missing")
	}
	if !in.nested() {
		var flat numbers
		err := json.Unmarshal(in.Data, &flat)
		return flat, err
	}
	var rows []numbers
	if err := json.Unmarshal(in.Data, &rows); err != nil {
		return nil, err
	}
	values := make([]float64, 0, len(rows)*width)
	for i, row := range rows {
		if len(row) != width {
			return nil, fmt.Errorf("expected %d values in row %d, got %d", width, i, len(row))
		}
		values = append(values, row...)
	}
	return values, nil
}

func (in oipInput) nested() bool {
	return in.Data[0] == '[' && startsWith(in.Data[1:], '[')
}
