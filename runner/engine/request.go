package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
	"github.com/batchpattern/terraform-provider-batch/runner/predict"
)

// question is one request on its way to answers: it may be halved, and its
// bad records found.
type question struct {
	a *attempt
	b *batch
	// first and seen are when the request failed first and last.
	first, seen time.Time
	felled      bool // a probe of refused records has ended or hung the server
}

// answered are the predictions of the records from lo on.
type answered struct {
	lo       int
	response *predict.Response
}

// condemned is a record that the server refuses.
type condemned struct {
	at          int // in the request
	class       api.Class
	status      int
	reason      string
	group       string
	attempts    int64
	first, last time.Time
}

// ask has a part of the request answered: what is too large is halved, what
// holds bad records is isolated.
func (q *question) ask(ctx context.Context, part span) error {
	response, err := q.send(ctx, part, "", "")
	switch {
	case err == nil:
		return q.keep(ctx, part, response)
	case q.a.alone != nil && q.a.alone.fells(err):
		return q.hunt(ctx, part, err)
	case tooLarge(err) && part.hi-part.lo > 1:
		return q.halve(ctx, part, err)
	case tooLarge(err), refuses(err):
		return q.isolate(ctx, part, err)
	}
	return err
}

// send sends a part of the request. Its key is the request's own, and for
// less than the whole says what part it is.
func (q *question) send(ctx context.Context, part span, purpose, again string) (*predict.Response, error) {
	request, key := q.b.request, q.a.sendKey(q.b)
	if part.hi-part.lo < request.Len() {
		request = request.Slice(part.lo, part.hi)
		defer request.Release()
		key = fmt.Sprintf("%s/%d-%d", key, part.lo, part.hi-part.lo)
	}
	q.a.effort.sent.Store(true)
	response, server, err := q.a.d.send(ctx, request, predict.Send{Key: key + again, Attempt: strconv.FormatInt(q.a.m.Fence, 10), Purpose: purpose}, q.a.alone)
	if err == nil {
		if purpose == "" {
			failpoint.Here("predict.sent")
			q.a.effort.requests.Add(1)
		}
		if q.a.d.x.job.Predict.OnModelChange == api.ModelChangeContinue {
			q.a.print.Store(server.print.ID)
		}
		return response, nil
	}
	if q.seen = q.a.d.x.e.Now(); q.first.IsZero() {
		q.first = q.seen
	}
	return nil, err
}

// keep takes an answer. Records that the server refused one by one within it
// are judged at once.
func (q *question) keep(ctx context.Context, part span, response *predict.Response) error {
	q.b.answers = append(q.b.answers, answered{part.lo, response})
	for i := range response.Len() {
		refusal := response.Refused(i)
		if refusal == nil {
			continue
		}
		if err := q.prove(ctx, part, refusal); err != nil {
			return err
		}
		if _, err := q.condemn(ctx, part.lo+i); err != nil {
			return err
		}
	}
	return nil
}

// halve sends the halves of a part that is too large; later requests are no
// larger. One that was on its way when the size shrank says nothing new.
func (q *question) halve(ctx context.Context, part span, cause error) error {
	if now := int(q.a.d.rows.current()); now < part.hi-part.lo {
		for lo := part.lo; lo < part.hi; lo += now {
			if err := q.ask(ctx, span{lo, min(lo+now, part.hi)}); err != nil {
				return err
			}
		}
		return nil
	}
	half := (part.hi - part.lo) / 2
	if err := q.a.d.shrink(ctx, int64(half), cause); err != nil {
		return err
	}
	if err := q.ask(ctx, span{part.lo, part.lo + half}); err != nil {
		return err
	}
	return q.ask(ctx, span{part.lo + half, part.hi})
}

// isolate finds the records for which a part fails, and keeps the answers of
// the others.
func (q *question) isolate(ctx context.Context, part span, cause error) error {
	if err := q.prove(ctx, part, cause); err != nil {
		return err
	}
	if refusal, ok := errors.AsType[*predict.Error](cause); ok && refusal.Repeated {
		// As likely as its records the server itself is the cause.
		if err := q.check(ctx); err != nil {
			return err
		}
	}
	if part.hi-part.lo == 1 {
		_, err := q.condemn(ctx, part.lo)
		return err
	}
	bad := func(lo, hi int) (bool, error) { return q.bad(ctx, span{part.lo + lo, part.lo + hi}) }
	together := func(lo, hi int) error { return q.together(ctx, span{part.lo + lo, part.lo + hi}) }
	_, err := isolate(part.hi-part.lo, bad, together)
	return err
}

// bad probes a part of a request that failed.
func (q *question) bad(ctx context.Context, part span) (bool, error) {
	q.a.effort.probes.Add(1)
	response, err := q.send(ctx, part, predict.Probe, "")
	failpoint.Here("isolate.half")
	switch {
	case err == nil:
		return false, q.keep(ctx, part, response)
	case q.a.alone != nil && q.a.alone.fells(err):
		q.felled = true
		return false, q.hunt(ctx, part, err) // which leaves no record of it open
	case !refuses(err) && !tooLarge(err):
		return false, err
	case part.hi-part.lo == 1:
		return q.condemn(ctx, part.lo)
	}
	return true, nil
}

// condemn gives a record up that failed alone, if it fails alone twice more,
// each time right after the control has passed.
func (q *question) condemn(ctx context.Context, at int) (bool, error) {
	var refusal *predict.Error
	for n := range 2 {
		if err := q.check(ctx); err != nil {
			return false, err
		}
		q.a.effort.confirmations.Add(1)
		response, err := q.send(ctx, span{at, at + 1}, predict.Confirm, fmt.Sprintf("/confirm-%d", n+1))
		if err == nil {
			q.replace(at, response)
			return false, nil
		}
		if !refuses(err) && !tooLarge(err) {
			return false, err
		}
		refusal, _ = errors.AsType[*predict.Error](err)
	}
	q.b.condemned = append(q.b.condemned, condemned{
		at: at, class: api.ClassData, status: refusal.Status, reason: refusal.Error(), attempts: 3, first: q.first, last: q.seen,
	})
	if q.a.d.x.job.Retry.Policy == api.PolicyComplete {
		return true, errBadRecord
	}
	return true, nil
}

// errBadRecord ends an attempt under policy complete: one record is enough.
var errBadRecord = errors.New("a record is refused")

// check sends the control on behalf of this request.
func (q *question) check(ctx context.Context) error {
	q.a.effort.controls.Add(1)
	return q.a.d.check(ctx, q.a.alone)
}

// replace takes the answer of a record alone, also where it was refused within
// another answer.
func (q *question) replace(at int, response *predict.Response) {
	q.b.answers = append(q.b.answers, answered{at, response})
}

// together sends a part once more that failed though its halves passed. If it
// fails again its size was the cause.
func (q *question) together(ctx context.Context, part span) error {
	if q.felled {
		return nil // it would be felled again
	}
	q.a.effort.confirmations.Add(1)
	response, err := q.send(ctx, part, predict.Confirm, "/confirm-0")
	switch {
	case err == nil:
		response.Release() // its halves are answered
		return nil
	case !refuses(err) && !tooLarge(err):
		return nil // the halves stand, whatever this was
	}
	if size := int64(part.hi - part.lo); size <= q.a.d.rows.current() {
		return q.a.d.shrink(ctx, size/2, err)
	}
	return nil // it was on its way when the size shrank
}

// refuses tells an answer that says something is wrong with the records, or
// may be.
func refuses(err error) bool {
	refusal, ok := errors.AsType[*predict.Error](err)
	return ok && (refusal.Class == api.ClassData || refusal.Repeated)
}

func tooLarge(err error) bool {
	refusal, ok := errors.AsType[*predict.Error](err)
	return ok && refusal.Class == api.ClassTooLarge
}
