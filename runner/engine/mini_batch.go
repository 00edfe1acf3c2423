package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

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
	d     *dispatcher
	m     store.MiniBatch
	file  source.File
	alone *trial // where it runs as a suspect; nil: as any other

	features int   // columns that are sent: the first of the projection
	keep     []int // indexes of the kept columns in the projection
	keys     []int
	only     map[int64]bool // positions of the records that are sent; nil: all of them

	effort effort
	dead   []store.PlacedDeadLetter
	// refused are the records that the server refused, by their place in the
	// mini-batch.
	refused map[int64]condemned
	part    *sink.Part
	rows    int64          // written to it
	fitter  *format.Fitter // where its columns have types
	folders []int          // the places of the kept columns that name folders
	print   atomic.Value   // of the model that predicted it, a string
}

// interruption is a failure that ends the work beside it. It has no Unwrap:
// who is interrupted must not find another's error in it and take it for their
// own.
type interruption struct {
	error
	of *attempt // that failed; nil: it ends the whole run
}

func (d *dispatcher) newAttempt(m store.MiniBatch, on *trial) *attempt {
	return &attempt{d: d, m: m, file: d.x.files[m.File], alone: on, features: len(d.x.job.Predict.Features.Columns),
		keep: d.x.indexes(d.x.kept()), keys: d.x.indexes(d.x.job.Input.Key)}
}

// predict carries out an attempt. Its result is on disk but not yet a row.
func (a *attempt) predict(ctx context.Context) (store.Staged, error) {
	if a.m.Redrive {
		return a.predictAgain(ctx)
	}
	return a.predictOnce(ctx)
}

func (a *attempt) predictOnce(ctx context.Context) (store.Staged, error) {
	staged, err := a.run(ctx)
	if err == nil || errors.Is(err, errBadRecord) {
		if lettersErr := a.writeOff(); lettersErr != nil {
			err = lettersErr
		}
	}
	if err != nil {
		if a.part != nil {
			a.part.Abort()
		}
		return store.Staged{}, err
	}
	if staged.Records+int64(len(a.dead)) != a.expected() {
		return store.Staged{}, fmt.Errorf("mini-batch %d: %d records staged and %d dead letters of %d planned", a.m.Number, staged.Records, len(a.dead), a.expected())
	}
	return store.Staged{Effort: a.effort.spent(), Path: staged.Path, Records: staged.Records, Bytes: staged.Bytes, SHA256: staged.SHA256, DeadLetters: a.dead,
		Fingerprint: a.fingerprint()}, nil
}

// fingerprint is that of the model, where a run may mix models.
func (a *attempt) fingerprint() string {
	id, _ := a.print.Load().(string)
	return id
}

func (a *attempt) run(ctx context.Context) (sink.Staged, error) {
	if a.alone != nil {
		if err := a.alone.begin(ctx, &a.effort); err != nil {
			return sink.Staged{}, err
		}
	}
	file, err := a.d.x.inputs.Open(ctx, a.file)
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
	if err := file.Check(); err != nil {
		return sink.Staged{}, err
	}
	if a.rows == 0 { // every record of it is a dead letter
		if a.part != nil {
			a.part.Abort()
			a.part = nil
		}
		return sink.Staged{}, nil
	}
	return a.part.Finish()
}

// read cuts the slice into requests and sends them.
func (a *attempt) read(ctx context.Context, file *source.Opened, ordered chan<- *batch) error {
	reader, err := file.Records(stretchOf(a.m), a.d.x.columns())
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
		if err != nil {
			if errors.Is(err, io.EOF) {
				break
			}
			return fmt.Errorf("read %s: %w", a.file.Path, err)
		}
		if a.only != nil && !a.only[position] {
			continue
		}
		if b == nil {
			if b, err = a.begin(ctx, position); err != nil {
				return err
			}
		}
		bad := record.Bad
		if bad == nil {
			if bad = b.add(a, record, position); errors.Is(bad, predict.ErrFull) {
				a.send(ctx, b, ordered)
				if b, err = a.begin(ctx, position); err != nil {
					return err
				}
				bad = b.add(a, record, position)
			}
		}
		if bad != nil {
			letter := a.deadLetter(record, position, condemned{class: api.ClassBadRecord, reason: bad.Error(), attempts: 1})
			if a.d.x.job.Retry.Policy == api.PolicyComplete {
				return api.Fail(api.Reason(api.ClassBadRecord), "", errors.New(named(letter.DeadLetter)))
			}
			a.dead = append(a.dead, letter)
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
	b.reset(a.d.builder.Load().NewRequest(), position)
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
	a.d.hands.do(func() {
		defer close(b.done)
		if b.err = a.d.gate.enter(ctx); b.err != nil {
			return
		}
		defer a.d.gate.leave()
		if a.alone != nil {
			select {
			case a.alone.turn <- struct{}{}:
				defer func() { <-a.alone.turn }()
			case <-ctx.Done():
			}
		}
		if b.err = ctx.Err(); b.err != nil {
			b.err = context.Cause(ctx)
			return
		}
		b.err = (&question{a: a, b: b}).ask(ctx, span{0, b.request.Len()})
		if failed, ok := errors.AsType[*predict.Error](b.err); ok && failed.Class == api.ClassTransient && ctx.Err() == nil {
			if a.alone == nil && a.d.breaker.failed(b.err) {
				a.d.opened(ctx, b.err)
			}
		}
	})
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
			a.note(b)
			if nothing, ok := errors.AsType[*unproven](b.err); ok {
				b.err = nothing.err
				failure = &unproven{a.describe(b)}
			} else if _, ok := errors.AsType[*predict.Error](b.err); ok || errors.Is(b.err, errServerLost) {
				failure = a.describe(b)
			}
			cancel(interruption{failure, a})
		}
		b.release()
		<-a.d.window
	}
	return failure
}

// writeBatch writes a request's predictions in input order, and notes which of
// its records were refused.
func (a *attempt) writeBatch(ctx context.Context, b *batch) error {
	if len(b.answers) == 0 && len(b.condemned) == 0 {
		return nil
	}
	if len(b.condemned) == 0 && len(b.answers) == 1 {
		response := b.answers[0].response
		if err := a.needPart(ctx, response); err != nil {
			return err
		}
		for i := range response.Len() {
			if err := a.writeRow(b, i, response, i); err != nil {
				return err
			}
		}
		return nil
	}
	a.note(b)
	return a.writePieces(ctx, b)
}

// note keeps which records of a request were refused.
func (a *attempt) note(b *batch) {
	for _, c := range b.condemned {
		a.refuse(b, c)
	}
}

func (a *attempt) refuse(b *batch, c condemned) {
	if a.refused == nil {
		a.refused = map[int64]condemned{}
	}
	a.refused[b.place(c.at)] = c
}

// writePieces writes the predictions of a request that was answered in pieces.
func (a *attempt) writePieces(ctx context.Context, b *batch) error {
	type cell struct {
		response *predict.Response
		row      int
	}
	rows := make([]cell, b.request.Len())
	for _, answer := range b.answers {
		if err := a.needPart(ctx, answer.response); err != nil {
			return err
		}
		for i := range answer.response.Len() {
			if answer.response.Refused(i) == nil {
				rows[answer.lo+i] = cell{answer.response, i}
			}
		}
	}
	for _, c := range b.condemned {
		rows[c.at] = cell{}
	}
	for at, row := range rows {
		if row.response == nil {
			continue // refused; the accounts are compared in the end
		}
		if err := a.writeRow(b, at, row.response, row.row); err != nil {
			return err
		}
	}
	return nil
}

func (a *attempt) writeRow(b *batch, at int, response *predict.Response, row int) error {
	b.cells = append(b.cells[:0], b.kept[at*len(a.keep):(at+1)*len(a.keep)]...)
	b.cells = response.Values(row, b.cells)
	why := a.unusable(response, row, b.cells)
	if why == nil {
		err := a.part.Write(b.cells)
		if !errors.Is(err, format.ErrTooLarge) {
			a.rows++
			return err
		}
		why = fmt.Errorf("its prediction, with what is kept of the record, %w", format.ErrTooLarge)
	}
	now := a.d.x.e.Now()
	a.refuse(b, condemned{at: at, class: api.ClassData, reason: why.Error(), attempts: 1, first: now, last: now})
	if a.d.x.complete() {
		return errBadRecord
	}
	return nil
}

// unusable says why a record's prediction, though it is an answer, can't be
// written.
func (a *attempt) unusable(response *predict.Response, row int, cells []format.Value) error {
	if column := response.NaN(row); column != "" {
		return fmt.Errorf("the prediction holds NaN or an infinity in column %q, and predict.nan is %q", column, api.NaNError)
	}
	for _, column := range a.folders {
		if err := sink.CheckPartition(a.d.x.kept()[column], cells[column]); err != nil {
			return err
		}
	}
	if a.fitter == nil {
		return nil
	}
	return a.fitter.Fits(cells)
}

// needPart begins the part with the first answer, which tells its columns.
func (a *attempt) needPart(ctx context.Context, response *predict.Response) error {
	if a.part != nil {
		return nil
	}
	if err := a.d.x.resolve(ctx, response); err != nil {
		return err
	}
	columns := a.d.x.planColumns()
	if a.d.x.typed() {
		fitter, err := format.NewFitter(columns)
		if err != nil {
			return api.Fail(api.Reason(api.ClassConfig), "correct output.files.types", err)
		}
		a.fitter = fitter
	}
	if files := a.d.x.job.Output.Files; files != nil {
		for _, column := range files.PartitionBy {
			a.folders = append(a.folders, slices.Index(a.d.x.kept(), column))
		}
	}
	part, err := a.d.x.out.Stage(a.d.x.run.Attempt, a.m.Number, a.stageFence(), columns)
	if err == nil {
		a.part = part
	}
	return err
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

func (x *execution) planColumns() []api.Column {
	x.resolving.Lock()
	defer x.resolving.Unlock()
	return x.plan.Columns
}
