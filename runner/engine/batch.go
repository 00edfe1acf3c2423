package engine

import (
	"fmt"
	"strings"
	"sync"

	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/predict"
)

// batch is the records of one request, from reading to writing.
type batch struct {
	position            int64 // of its first record in the mini-batch
	firstLine, lastLine int64
	firstKey            string
	request             *predict.Request
	arena               []byte         // what kept points into
	kept                []format.Value // the kept cells, record by record
	cells               []format.Value // scratch of the writer

	places []int32 // of its records, from position on: bad ones are not among them

	answers   []answered
	condemned []condemned
	err       error
	done      chan struct{}
}

var batches = sync.Pool{New: func() any { return &batch{} }}

func (b *batch) reset(request *predict.Request, position int64) {
	*b = batch{position: position, request: request, arena: b.arena[:0], kept: b.kept[:0], cells: b.cells[:0],
		places: b.places[:0], answers: b.answers[:0], condemned: b.condemned[:0], done: make(chan struct{})}
}

// add takes one record; an error says that the record is bad.
func (b *batch) add(a *attempt, record *format.Record, position int64) error {
	if err := b.request.Add(record.Values[:len(a.d.x.job.Predict.Features.Columns)]); err != nil {
		return err
	}
	b.places = append(b.places, int32(position-b.position))
	if b.firstLine == 0 {
		b.firstLine = record.Line
		for i, column := range a.d.x.job.Input.Key {
			b.firstKey += fmt.Sprintf("%s=%s ", column, text(record.Values[a.keys[i]]))
		}
		b.firstKey = strings.TrimSpace(b.firstKey)
	}
	b.lastLine = record.Line
	for _, i := range a.keep {
		value := record.Values[i]
		start := len(b.arena)
		b.arena = append(b.arena, value.Bytes...)
		b.kept = append(b.kept, format.Value{Bytes: b.arena[start:len(b.arena):len(b.arena)], JSON: value.JSON})
	}
	return nil
}

// place is where a record of the request stands in the mini-batch.
func (b *batch) place(at int) int64 { return b.position + int64(b.places[at]) }

func (b *batch) release() {
	b.request.Release()
	for _, answer := range b.answers {
		answer.response.Release()
	}
	b.request = nil
	batches.Put(b)
}
