package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/predict"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

const (
	// unprovenTries is how many single records of a request that failed are
	// tried before it counts as one in which nothing succeeds.
	unprovenTries = 8
	// hungTries is how many it is where the request was not answered in time:
	// each of them may take as long.
	hungTries = 4
	// unprovenLimit is how many mini-batches in which nothing succeeds fail a
	// run in which nothing has succeeded.
	unprovenLimit = 4
	// unprovenPause leaves other mini-batches the turn.
	unprovenPause = breakerPause
)

// errSick says that the server refuses what it answered before. It ends
// attempts, and nobody is to blame.
var errSick = errors.New("the prediction server does not answer a record that it answered before")

// unproven says that a request failed while nothing has succeeded in this run:
// the records may be as good as any.
type unproven struct{ err error }

func (u *unproven) Error() string { return u.err.Error() }
func (u *unproven) Unwrap() error { return u.err }

// control is a record that is known to be good: the last one that succeeded in
// this run. It tells a bad record from a sick server.
type control struct {
	mu     sync.Mutex
	record *predict.Request
}

// keep takes a record of a request that succeeded.
func (c *control) keep(from *predict.Request, record int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.record == nil {
		c.record = from.Slice(record, record+1)
		return
	}
	c.record.Copy(from, record)
}

func (c *control) known() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.record != nil
}

// copy is a request with the control; nil where nothing has succeeded yet.
func (c *control) copy() *predict.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.record == nil {
		return nil
	}
	return c.record.Slice(0, 1)
}

// check sends the control. Where it fails the server is sick: the breaker
// opens and the error is errSick.
func (d *dispatcher) check(ctx context.Context, on *trial) error {
	request := d.control.copy()
	if request == nil {
		return nil // before anything has succeeded nobody asks for it
	}
	defer request.Release()
	err := d.ask(ctx, request, on)
	switch refusal, ok := errors.AsType[*predict.Error](err); {
	case err == nil:
		return nil
	case !ok, refusal.Class == api.ClassThrottled, refusal.Class == api.ClassConfig:
		return err
	}
	d.trip(ctx, fmt.Errorf("a record that succeeded before: %w", err))
	return errSick
}

// ask sends a record as a control. Each has a key of its own: an answer from
// memory would tell nothing.
func (d *dispatcher) ask(ctx context.Context, request *predict.Request, on *trial) error {
	run := d.x.run
	key := fmt.Sprintf("%s/%d/control/%d.%d", run.ID, run.Attempt, d.x.e.Store.Epoch(), d.controls.Add(1))
	response, _, err := d.send(ctx, request, predict.Send{Key: key, Purpose: predict.Control}, on)
	if err == nil {
		response.Release()
	}
	return err
}

// probe asks whether the server answers again: the control, else the golden
// record, else what the warm-up sent, to which any answer but a failure of the
// server will do.
func (d *dispatcher) probe(ctx context.Context) error {
	if request := d.control.copy(); request != nil {
		defer request.Release()
		return d.ask(ctx, request, nil)
	}
	records, err := d.x.goldenOrSample(ctx)
	for _, features := range records {
		request := d.builder.Load().NewRequest()
		if err = request.Add(features); err == nil {
			err = d.ask(ctx, request, nil)
		}
		request.Release()
		refusal, ok := errors.AsType[*predict.Error](err)
		if err == nil || ok && refusal.Class != api.ClassTransient && refusal.Class != api.ClassThrottled {
			return nil
		}
	}
	return err
}

// prove finds a control where there is none yet: a record of an earlier
// execution of this run, or one of the request that failed, which is then kept
// from being taken for bad with the others.
func (q *question) prove(ctx context.Context, part span, cause error) error {
	d := q.a.d
	if d.control.known() {
		return nil
	}
	if found, err := d.remember(ctx, q.a); found || err != nil {
		return err
	}
	tries := unprovenTries
	if q.a.alone != nil && q.a.alone.hangs(cause) {
		tries = hungTries
	}
	for _, at := range spread(part, tries) {
		err := q.try(ctx, at)
		switch {
		case err == nil, d.control.known():
			return nil
		case q.a.alone != nil && q.a.alone.hangs(err):
			// no more than that this one is not the control
		case !refuses(err) && !tooLarge(err):
			return err
		}
	}
	return &unproven{cause}
}

// spread gives up to n places of a part, as far from each other as they can be.
func spread(part span, n int) []int {
	last := part.hi - part.lo - 1
	n = min(n, last+1)
	places := make([]int, n)
	for i := range places {
		places[i] = part.lo
		if n > 1 {
			places[i] += i * last / (n - 1)
		}
	}
	return places
}

// try sends a record alone; one that succeeds is the control.
func (q *question) try(ctx context.Context, at int) error {
	single := q.b.request.Slice(at, at+1)
	defer single.Release()
	q.a.effort.controls.Add(1)
	err := q.a.d.ask(ctx, single, q.a.alone)
	if err == nil {
		q.a.d.control.keep(single, 0)
	}
	return err
}

// remember takes a record for the control that was predicted by an earlier
// execution of the run: one of this mini-batch where only its dead letters are
// sent again, or else of another.
func (d *dispatcher) remember(ctx context.Context, a *attempt) (found bool, err error) {
	m, dead, err := a.m, a.only, error(nil)
	if dead == nil {
		if m, dead, err = d.predicted(); err != nil || m.Number == 0 {
			return false, err
		}
	}
	request := d.builder.Load().NewRequest()
	defer request.Release()
	err = d.x.eachRecord(m, func(record *format.Record, position int64) error {
		if record.Bad == nil && !dead[position] && request.Add(record.Values[:len(d.x.job.Predict.Features.Columns)]) == nil {
			return errEnough
		}
		return context.Cause(ctx)
	})
	if !errors.Is(err, errEnough) {
		return false, err
	}
	d.control.keep(request, 0)
	return true, nil
}

var errEnough = errors.New("enough")

// predicted is a mini-batch with predictions, and which of its records are
// dead letters; none where there is no such mini-batch.
func (d *dispatcher) predicted() (part store.MiniBatch, dead map[int64]bool, err error) {
	err = d.x.e.Store.Parts(d.x.run.ID, func(m store.MiniBatch) error {
		if m.StagedRecords == 0 {
			return nil
		}
		part = m
		return errEnough
	})
	if !errors.Is(err, errEnough) {
		return store.MiniBatch{}, nil, err
	}
	dead, err = d.x.e.Store.DeadPlaces(d.x.run.ID, part.Number)
	return part, dead, err
}
