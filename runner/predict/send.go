package predict

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/retryhttp"
)

// Send says what travels beside the records of a request.
type Send struct {
	Key     string // Idempotency-Key: the same for each re-send
	Attempt string // Batch-Attempt
	Purpose string // Batch-Purpose: "" in main requests
	// Observe is told of every try, while it is judged.
	Observe func(Try)
}

// The purposes of requests that are not main ones.
const (
	WarmUp  = "warm-up"
	Control = "control" // a record that has succeeded before
	Probe   = "probe"   // part of a request that failed
	Confirm = "confirm" // a record that failed alone, once more
)

// Try is one try of a request.
type Try struct {
	Began   time.Time
	Status  int // 0 where no answer came
	Timeout bool
}

// fields appends the headers of a request's own.
func (s Send) fields(to []retryhttp.Field) []retryhttp.Field {
	for _, field := range [...]retryhttp.Field{{Name: "Idempotency-Key", Value: s.Key}, {Name: "Batch-Attempt", Value: s.Attempt}, {Name: "Batch-Purpose", Value: s.Purpose}} {
		if field.Value != "" {
			to = append(to, field)
		}
	}
	return to
}

// common are the headers that every request has.
var common = http.Header{"Accept": {"application/json"}, "Content-Type": {"application/json"}, "User-Agent": {"batch-runner"}}

// Predict sends a request's records and cuts the answer. It re-sends what
// failed for a moment, within retryhttp's tries and budget. The error is an
// *Error, unless ctx ended. The same Request may be sent again.
func (c *Client) Predict(ctx context.Context, r *Request, s Send) (*Response, error) {
	if r.n == 0 {
		return nil, &Error{Class: api.ClassConfig, Err: errors.New("send a request: it holds no record")}
	}
	r.body = c.codec.assemble(r.body[:0], r, s.Key)
	r.fields = s.fields(r.fields[:0])
	response := c.newResponse()
	tries, failures := 0, 0 // of the tries, the complete answers 500 that are no more than that
	call := &retryhttp.Request{
		Method: http.MethodPost, URL: c.inferURL, Header: common, Fields: r.fields, Body: r.body, Buffer: response.body,
		Check: func(a *retryhttp.Answer) retryhttp.Verdict {
			e := c.check(a, response, r.n, s.Key)
			tries++
			if e != nil && e.Class == api.ClassTransient && e.Status == http.StatusInternalServerError && complete(a) &&
				!slices.Contains(c.config.TransientStatuses, http.StatusInternalServerError) {
				failures++
			}
			if s.Observe != nil {
				s.Observe(Try{Began: a.Began, Status: a.Status, Timeout: e != nil && e.Timeout})
			}
			return verdict(e)
		},
	}
	result, err := c.data.Do(ctx, call)
	if result.BodyInUse {
		r.body = nil
	}
	if err != nil {
		response.Release()
		return nil, sent(ctx, err, result.Sends, tries > 1 && failures == tries)
	}
	return response, nil
}

// complete tells an answer that says all it has to say.
func complete(a *retryhttp.Answer) bool {
	_, ended := errors.AsType[programEnd](a.Err)
	return a.Err == nil || ended
}

// check judges an answer to records.
func (c *Client) check(a *retryhttp.Answer, response *Response, n int, key string) *Error {
	switch {
	case a.Status != 0 && a.Status/100 != 2:
		return c.classed(refused(http.MethodPost, c.inferURL, a))
	case a.Err != nil:
		return failed(http.MethodPost, c.inferURL, a, c.timeout)
	}
	response.begin(a.Body, n)
	err := parse(c.codec, response, n, key)
	switch {
	case err == nil:
		return nil
	case a.Unframed && errors.Is(err, errEnds):
		return malformed(api.ClassTransient, http.MethodPost, c.inferURL, a, err)
	}
	return malformed(api.ClassData, http.MethodPost, c.inferURL, a, err)
}

// parse cuts an answer. What is no JSON is called that, whatever else was
// found wrong with its beginning.
func parse(codec codec, response *Response, n int, key string) error {
	err := codec.parse(response, n, key)
	if err != nil {
		if bad := codec.wellFormed(response.body); bad != nil {
			return bad
		}
		return err
	}
	if !utf8.Valid(response.body) {
		return errors.New("is not valid UTF-8")
	}
	return nil
}

func wellFormed(body []byte) error {
	s := scanner{buf: body}
	if _, err := s.value(); err != nil {
		return err
	}
	return s.end()
}

// verdict says whether what failed is worth another try at once.
func verdict(e *Error) retryhttp.Verdict {
	if e == nil {
		return retryhttp.Verdict{}
	}
	again := e.Class == api.ClassTransient || e.Class == api.ClassThrottled
	return retryhttp.Verdict{Err: e, Retry: again, After: e.RetryAfter}
}

// sent completes the error of a request.
func sent(ctx context.Context, err error, sends int, repeated bool) error {
	if ctx.Err() != nil {
		return err // a cause may hold the *Error of another request
	}
	if e, ok := errors.AsType[*Error](err); ok {
		e.Sends, e.Repeated = sends, repeated
		return e
	}
	return &Error{Class: api.ClassConfig, Sends: sends, Err: fmt.Errorf("send a request: %w", err)}
}
