package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// dataset is a table of labelled records.
type dataset struct {
	features []string    // column names
	classes  []string    // in the order they first appear
	records  [][]float64 // one row per record, in the order of features
	labels   []int       // one index into classes per record
}

// parse reads a CSV file whose first column is an id, whose last column is the
// class, and whose other columns are numeric features.
func parse(text string) (*dataset, error) {
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) < 2 || len(rows[0]) < 3 {
		return nil, errors.New("expected a header id,FEATURE...,CLASS and at least one record")
	}
	last := len(rows[0]) - 1
	data := &dataset{features: rows[0][1:last]}
	for i, row := range rows[1:] {
		record := make([]float64, 0, len(data.features))
		for column, cell := range row[1:last] {
			value, err := strconv.ParseFloat(cell, 64)
			if err != nil {
				return nil, fmt.Errorf("record %d, %s: %w", i+1, data.features[column], err)
			}
			record = append(record, value)
		}
		data.records = append(data.records, record)
		data.labels = append(data.labels, data.class(row[last]))
	}
	return data, nil
}

// class returns the index of a class, adding it when it is new.
func (d *dataset) class(name string) int {
	if i := slices.Index(d.classes, name); i >= 0 {
		return i
	}
	d.classes = append(d.classes, name)
	return len(d.classes) - 1
}
