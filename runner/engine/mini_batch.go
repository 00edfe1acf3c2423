package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/predict"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// attempt is one attempt at one mini-batch: a reader cuts its records into
// requests, up to parallelism of them are in flight, and a writer puts the
// answers into the part in input order.
type attempt struct {
	d    *dispatcher
	m    store.MiniBatch
	file source.File

	keep []int // indexes of the kept columns in the projection
	keys []int

	dead     []store.PlacedDeadLetter
	part     *sink.Part
	requests int64
}

// interruption is a failure that ends the work beside it. It has no Unwrap:
// who is interrupted must not find another's error in it and take it for their
// own.
type interruption struct {
	error
	of *attempt // that failed; nil: it ends the whole run
}

// predict carries out an attempt. Its result is on disk but not yet a row.
func (d *dispatcher) predict(ctx context.Context, m store.MiniBatch) (store.Staged, error) {
	a := &attempt{d: d, m: m, file: d.x.files[m.File], keep: d.x.indexes(d.x.job.Output.Keep), keys: d.x.indexes(d.x.job.Input.Key)}
	staged, err := a.run(ctx)
	if err != nil {
		if a.part != nil {
			a.part.Abort()
		}
		return store.Staged{}, err
	}
	result := store.Staged{Path: staged.Path, Records: staged.Records, Bytes: staged.Bytes, SHA256: staged.SHA256, Requests: a.requests, DeadLetters: a.dead}
	if staged.Records+int64(len(a.dead)) != m.Records {
		return store.Staged{}, fmt.Errorf("mini-batch %d: %d records staged and %d dead letters of %d planned", m.Number, staged.Records, len(a.dead), m.Records)
	}
	return result, nil
}

func (a *attempt) run(ctx context.Context) (sink.Staged, error) {
	file, err := a.file.Open()
	if err != nil {
		return sink.Staged{}, err
	}
	defer file.Close() //nolint:errcheck // read only
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	ordered := make(chan *batch, cap(a.d.window))
	written := make(chan error, 1)
	go func() { written <- a.write(ctx, cancel, ordered) }()
	readErr := a.read(ctx, file, ordered)
	close(ordered)
	if readErr != nil {
		cancel(interruption{readErr, a})
	}
	// Whichever failed first is the cause: the other was interrupted by it.
	if writeErr := <-written; readErr != nil || writeErr != nil {
		cause := context.Cause(ctx)
		if first, ok := errors.AsType[interruption](cause); ok && first.of == a {
			cause = first.error
		}
		return sink.Staged{}, cause
	}
	// The file must still be what was planned, after its last byte was read.
	if err := a.file.Check(); err != nil {
		return sink.Staged{}, err
	}
	if a.part == nil {
		return sink.Staged{}, nil // every record of it is a dead letter
	}
	return a.part.Finish()
}

// read cuts the slice into requests and sends them.
func (a *attempt) read(ctx context.Context, file *os.File, ordered chan<- *batch) error {
	reader, err := a.file.Records(file, a.m.Offset, a.m.Length, a.m.FirstLine, a.d.x.columns())
	if err != nil {
		return err
	}
	var b *batch
	defer func() {
		if b != nil { // begun and, on an error, never sent
			b.release()
			<-a.d.window
		}
	}()
	position := int64(0)
	for ; ; position++ {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", a.file.Path, err)
		}
		if b == nil {
			if b, err = a.begin(ctx, position); err != nil {
				return err
			}
		}
		bad := record.Bad
		if bad == nil {
			bad = b.add(a, record)
		}
		if bad != nil {
			a.dead = append(a.dead, a.deadLetter(record, position, bad))
			continue
		}
		if int64(b.request.Len()) >= a.d.rows.current() {
			a.send(ctx, b, ordered)
			b = nil
		}
	}
	if b != nil {
		a.send(ctx, b, ordered)
		b = nil
	}
	if position != a.m.Records {
		return api.Fail(api.Reason(api.ClassInputChanged), "do not change input files while a run reads them; trigger the occurrence again",
			fmt.Errorf("%s: mini-batch %d holds %d records now, %d were planned", a.file.Path, a.m.Number, position, a.m.Records))
	}
	return nil
}

// begin takes a place in the window for the next request.
func (a *attempt) begin(ctx context.Context, position int64) (*batch, error) {
	select {
	case a.d.window <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	b := batches.Get().(*batch)
	b.reset(a.d.server.client.NewRequest(), position)
	return b, nil
}

// send puts a request into flight; its place in ordered is its place in the
// output.
func (a *attempt) send(ctx context.Context, b *batch, ordered chan<- *batch) {
	ordered <- b // never blocks: as long as the window
	if b.request.Len() == 0 {
		close(b.done)
		return
	}
	go func() {
		defer close(b.done)
		select {
		case a.d.permits <- struct{}{}:
			defer func() { <-a.d.permits }()
		case <-ctx.Done():
			b.err = context.Cause(ctx)
			return
		}
		b.responses, b.err = a.d.post(ctx, b.request, a.sendKey(b), a.m)
	}()
}

// sendKey is the request's identity: the same for every re-send of it, in
// this attempt and in the next.
func (a *attempt) sendKey(b *batch) string {
	run := a.d.x.run
	return fmt.Sprintf("%s/%d/%d/%d-%d", run.ID, run.Attempt, a.m.Number, b.position, b.request.Len())
}

// write takes the answers in input order. The first failure interrupts the
// rest of the attempt.
func (a *attempt) write(ctx context.Context, cancel context.CancelCauseFunc, ordered <-chan *batch) error {
	var failure error
	for b := range ordered {
		<-b.done
		if b.err == nil && failure == nil {
			b.err = a.writeBatch(ctx, b)
		}
		if b.err != nil && failure == nil {
			failure = b.err
			if _, ok := errors.AsType[*predict.Error](b.err); ok {
				failure = b.describe(a.file.Path)
			}
			cancel(interruption{failure, a})
		}
		b.release()
		<-a.d.window
	}
	return failure
}

func (a *attempt) writeBatch(ctx context.Context, b *batch) error {
	row := 0
	for _, response := range b.responses {
		a.requests++
		if a.part == nil {
			if err := a.openPart(ctx, response.Columns()); err != nil {
				return err
			}
		}
		for i := range response.Len() {
			b.cells = append(b.cells[:0], b.kept[row*len(a.keep):(row+1)*len(a.keep)]...)
			b.cells = response.Values(i, b.cells)
			if err := a.part.Write(b.cells); err != nil {
				return err
			}
			row++
		}
	}
	return nil
}

func (a *attempt) openPart(ctx context.Context, answered []string) error {
	if err := a.d.x.resolve(ctx, answered); err != nil {
		return err
	}
	part, err := a.d.x.out.Stage(a.d.x.run.Attempt, a.m.Number, a.m.Fence, a.d.x.planColumns())
	if err == nil {
		a.part = part
	}
	return err
}

func (a *attempt) deadLetter(record *format.Record, position int64, bad error) store.PlacedDeadLetter {
	now := a.d.x.e.Now()
	letter := api.DeadLetter{
		Input: strings.ToValidUTF8(string(record.Raw), "\uFFFD"), Source: api.Place{File: a.file.Path, Line: record.Line},
		Run: a.d.x.run.ID, MiniBatch: a.m.Number, Class: api.ClassBadRecord,
		Error:    fmt.Sprintf("%s:%d: %v", a.file.Path, record.Line, bad),
		Attempts: 1, FirstSeen: now.UTC(), LastSeen: now.UTC(),
	}
	if record.Bad == nil && len(a.keys) > 0 {
		letter.Key = map[string]string{}
		for i, column := range a.d.x.job.Input.Key {
			letter.Key[column] = text(record.Values[a.keys[i]])
		}
	}
	return store.PlacedDeadLetter{DeadLetter: letter, Position: position}
}

// text is a value for people.
func text(v format.Value) string {
	var decoded string
	if v.JSON && json.Unmarshal(v.Bytes, &decoded) == nil {
		return decoded
	}
	return string(v.Bytes)
}

// batch is the records of one request, from reading to writing.
type batch struct {
	position            int64 // of its first record in the mini-batch
	firstLine, lastLine int64
	firstKey            string
	request             *predict.Request
	arena               []byte         // what kept points into
	kept                []format.Value // the kept cells, record by record
	cells               []format.Value // scratch of the writer

	responses []*predict.Response
	err       error
	done      chan struct{}
}

var batches = sync.Pool{New: func() any { return &batch{} }}

func (b *batch) reset(request *predict.Request, position int64) {
	*b = batch{position: position, request: request, arena: b.arena[:0], kept: b.kept[:0], cells: b.cells[:0],
		responses: b.responses[:0], done: make(chan struct{})}
}

// add takes one record; an error says that the record is bad.
func (b *batch) add(a *attempt, record *format.Record) error {
	if err := b.request.Add(record.Values[:len(a.d.x.job.Predict.Features.Columns)]); err != nil {
		return err
	}
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

func (b *batch) release() {
	b.request.Release()
	for _, response := range b.responses {
		response.Release()
	}
	b.request = nil
	batches.Put(b)
}

// indexes are the places of columns in the projection that columns() makes.
func (x *execution) indexes(names []string) []int {
	place := map[string]int{}
	for i, column := range x.columns() {
		place[column] = i
	}
	indexes := make([]int, len(names))
	for i, name := range names {
		indexes[i] = place[name]
	}
	return indexes
}
