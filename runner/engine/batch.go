package engine

import (
	"sync"

	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/predict"
)

// batch is the records of one request, from reading to writing.
type batch struct {
	position            int64 // of its first record in the mini-batch
	firstLine, lastLine int64
	firstKey            []format.Value // the key of its first record
	request             *predict.Request
	arena               []byte         // what firstKey and kept point into
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
	*b = batch{position: position, request: request, firstKey: b.firstKey[:0], arena: b.arena[:0], kept: b.kept[:0], cells: b.cells[:0],
		places: b.places[:0], answers: b.answers[:0], condemned: b.condemned[:0], done: make(chan struct{})}
}

// add takes one record; an error says that the record is bad.
func (b *batch) add(a *attempt, record *format.Record, position int64) error {
	if err := b.request.Add(record.Values[:a.features]); err != nil {
		return err
	}
	b.places = append(b.places, int32(position-b.position))
	if b.firstLine == 0 {
		b.firstLine = record.Line
		for _, i := range a.keys {
			b.firstKey = append(b.firstKey, b.own(&record.Values[i]))
		}
	}
	b.lastLine = record.Line
	for _, i := range a.keep {
		b.kept = append(b.kept, b.own(&record.Values[i]))
	}
	return nil
}

// own is a copy of a value that lasts as long as the batch does.
func (b *batch) own(value *format.Value) format.Value {
	start := len(b.arena)
	b.arena = append(b.arena, value.Bytes...)
	return format.Value{Bytes: b.arena[start:len(b.arena):len(b.arena)], JSON: value.JSON}
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
