package main

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// numbers is a JSON array of numbers. Unlike []float64 it refuses null, which
// encoding/json would silently read as 0.
type numbers []float64

func (n *numbers) UnmarshalJSON(raw []byte) error {
	var cells []*float64
	if err := json.Unmarshal(raw, &cells); err != nil {
		return fmt.Errorf("expected a list of numbers: %w", err)
	}
	*n = make(numbers, len(cells))
	for i, cell := range cells {
		if cell == nil {
			return fmt.Errorf("expected a list of numbers: value %d is null", i)
		}
		(*n)[i] = *cell
	}
	return nil
}

// startsWith tells which kind of JSON value raw holds by its first character.
func startsWith(raw []byte, first byte) bool {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	return len(raw) > 0 && raw[0] == first
}
