package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// maxIsolationLaunches is how many servers a run may spend to find the records
// that end them.
const maxIsolationLaunches = 10

// errHuntOver ends the search for such records: no more servers are spent.
var errHuntOver = errors.New("the launches for isolation are used up")

// trial is what suspects run on: a server of their own, one request at a time.
// A server that is lost is lost by exactly that request.
type trial struct {
	d    *dispatcher
	turn chan struct{} // holds the one request

	current *readyServer
	// over: the launches for isolation are used up. What the suspects cost now
	// is paid by the run's own budget.
	over bool
}

// server is where to send: for a nil trial any of the fleet, which is to be
// released then.
func (t *trial) server(ctx context.Context, d *dispatcher) (*readyServer, error) {
	switch {
	case t == nil:
		return d.fleet.acquire(ctx)
	case t.current != nil && !t.current.isLost():
		return t.current, nil
	}
	t.current = nil
	var server *readyServer
	var err error
	if t.over || !d.x.launches() { // nobody launches an endpoint anew
		if server, err = d.fleet.acquire(ctx); err == nil {
			d.fleet.release(server)
		}
	} else {
		server, err = d.fleet.fresh(ctx, freshSuspect)
	}
	t.current = server
	return server, err
}

// begin has a server that answers the control.
func (t *trial) begin(ctx context.Context, effort *effort) error {
	if _, err := t.server(ctx, t.d); err != nil || !t.d.control.known() {
		return err
	}
	effort.controls.Add(1)
	return t.d.check(ctx, t)
}

// fells tells that the one request in flight ended or hung the server.
func (t *trial) fells(err error) bool { return errors.Is(err, errServerLost) || t.hangs(err) }

// hangs tells that the server did not answer it in time.
func (t *trial) hangs(err error) bool {
	refusal, ok := errors.AsType[*predict.Error](err)
	return ok && refusal.Timeout && !errors.Is(err, errServerLost)
}

// recover sees to a server after a request that felled it. One that hung may
// still answer others.
func (t *trial) recover(ctx context.Context, cause error, effort *effort) error {
	if !errors.Is(cause, errServerLost) {
		effort.controls.Add(1)
		if err := t.revive(ctx); err != nil {
			return err
		}
	}
	if t.over {
		return errHuntOver
	}
	return nil
}

// revive has the control answered after a request that hung the server, by a
// fresh one where need be.
func (t *trial) revive(ctx context.Context) error {
	request := t.d.control.copy()
	if request == nil {
		return nil
	}
	defer request.Release()
	err := t.d.ask(ctx, request, t)
	switch {
	case err == nil, ctx.Err() != nil, errors.Is(err, errServerLost):
		return context.Cause(ctx)
	case !t.d.x.launches():
		t.d.trip(ctx, err)
		return errSick
	}
	t.current = nil
	return t.spend(ctx)
}

// spend counts a server that was lost on trial. Beyond the last one it is
// over.
func (t *trial) spend(ctx context.Context) error {
	launches := int64(0)
	err := t.d.x.e.Store.Write(ctx, func(tx *store.Tx) (err error) {
		launches, err = tx.CountIsolationLaunch(t.d.x.run.ID, maxIsolationLaunches)
		return err
	})
	t.over = launches > maxIsolationLaunches
	return err
}

// hunt finds the records of a part of a request that felled the server, by
// halving. What the launches do not suffice for is given up as one group.
func (q *question) hunt(ctx context.Context, part span, cause error) error {
	if q.a.d.x.job.Retry.Policy == api.PolicyComplete {
		return &attemptOver{Class: felledClass(cause), Err: fmt.Errorf("%s: %w", q.a.where(q.b), cause)}
	}
	h := &hunt{q: q, t: q.a.alone, cause: cause}
	err := h.run(ctx, part)
	if !errors.Is(err, errHuntOver) {
		return err
	}
	if !q.a.d.control.known() {
		return &unproven{cause}
	}
	h.group(part)
	return nil
}

// hunt is a search for records that fell the server.
type hunt struct {
	q     *question
	t     *trial
	cause error // of the last fall
	found []int
}

func (h *hunt) run(ctx context.Context, part span) error {
	if h.t.over {
		return errHuntOver
	}
	if err := h.t.recover(ctx, h.cause, &h.q.a.effort); err != nil {
		return err
	}
	if h.t.hangs(h.cause) {
		// A server may hang at everything: no record is looked for until one has
		// been answered.
		if err := h.q.prove(ctx, part, h.cause); err != nil {
			return err
		}
	}
	if err := h.halve(ctx, part); err != nil {
		return err
	}
	for _, at := range h.found {
		if err := h.confirm(ctx, at); err != nil {
			return err
		}
	}
	return nil
}

// halve goes into a part that fells the server. Where its left half does not,
// the right one is the cause and is not sent as a whole.
func (h *hunt) halve(ctx context.Context, part span) error {
	if part.hi-part.lo == 1 {
		h.found = append(h.found, part.lo)
		return nil
	}
	left, right := span{part.lo, part.lo + (part.hi-part.lo)/2}, span{part.lo + (part.hi-part.lo)/2, part.hi}
	falls, err := h.falls(ctx, left)
	if err != nil {
		return err
	}
	if !falls {
		return h.halve(ctx, right)
	}
	if err := h.halve(ctx, left); err != nil {
		return err
	}
	if falls, err = h.falls(ctx, right); err != nil || !falls {
		return err
	}
	return h.halve(ctx, right)
}

// falls probes a part.
func (h *hunt) falls(ctx context.Context, part span) (bool, error) {
	h.q.a.effort.probes.Add(1)
	response, err := h.q.send(ctx, part, predict.Probe, "")
	switch {
	case err == nil:
		return false, h.q.keep(ctx, part, response)
	case h.t.fells(err):
		h.cause = err
		return true, h.t.recover(ctx, err, &h.q.a.effort)
	case refuses(err), tooLarge(err):
		return false, h.q.isolate(ctx, part, err)
	}
	return false, err
}

// confirm gives up a record that felled the server alone, if it does so again
// right after the control has passed.
func (h *hunt) confirm(ctx context.Context, at int) error {
	q := h.q
	if !q.a.d.control.known() {
		return &unproven{h.cause}
	}
	if err := q.check(ctx); err != nil {
		return err
	}
	q.a.effort.confirmations.Add(1)
	response, err := q.send(ctx, span{at, at + 1}, predict.Confirm, "/confirm-1")
	switch {
	case err == nil:
		q.replace(at, response)
		return nil
	case refuses(err), tooLarge(err):
		_, err := q.condemn(ctx, at)
		return err
	case !h.t.fells(err):
		return err
	}
	q.b.condemned = append(q.b.condemned, condemned{
		at: at, class: felledClass(err), reason: err.Error(), attempts: 2, first: q.first, last: q.seen,
	})
	return h.t.recover(ctx, err, &q.a.effort)
}

// group gives up what is neither answered nor found.
func (h *hunt) group(part span) {
	q := h.q
	known := make([]bool, part.hi)
	for _, answer := range q.b.answers {
		for i := range answer.response.Len() {
			known[answer.lo+i] = true
		}
	}
	for _, c := range q.b.condemned {
		known[c.at] = true
	}
	name := fmt.Sprintf("%s/%s", q.a.sendKey(q.b), q.a.d.x.e.Now().UTC().Format(time.RFC3339))
	for at := part.lo; at < part.hi; at++ {
		if !known[at] {
			q.b.condemned = append(q.b.condemned, condemned{
				at: at, class: api.ClassNotIsolated, reason: h.cause.Error(), group: name, attempts: 1, first: q.first, last: q.seen,
			})
		}
	}
}

// felledClass is the class of what a record did to the server.
func felledClass(err error) api.Class {
	if errors.Is(err, errServerLost) {
		return api.ClassServerLost
	}
	return api.ClassTransient
}
