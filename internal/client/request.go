package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"sync"
	"syscall"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/retryhttp"
)

// call is one request. Every one of them may be sent twice: writes carry a
// condition or an Idempotency-Key, or lead to the same end.
type call struct {
	method, path string
	query        url.Values
	header       map[string]string
	body         any    // nil: none
	into         any    // where a JSON answer goes; nil: nowhere
	text         []byte // the answer, where into is nil
	status       int
	once         bool // not again, however it fails
}

// unreachable is the error of a request without an answer; it keeps the cause
// for IsDown.
type unreachable struct{ shown, cause error }

func (e *unreachable) Error() string   { return e.shown.Error() }
func (e *unreachable) Unwrap() []error { return []error{e.shown, e.cause} }

// IsUnreachable tells whether an error says nothing about the runner meant:
// nobody answered, or somebody else.
func IsUnreachable(err error) bool {
	code := api.CodeOf(err)
	return code == api.CodeUnreachable || code == api.CodeOtherRunner
}

// IsDown tells whether the host answered that nothing listens there: the
// daemon is down, the host is not.
func IsDown(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist)
}

func (c *Client) do(ctx context.Context, r *call) error {
	request := &retryhttp.Request{Method: r.method, URL: c.endpoint.base + r.path, Header: c.header()}
	if len(r.query) > 0 {
		request.URL += "?" + r.query.Encode()
	}
	for name, value := range r.header {
		if value != "" {
			request.Header.Set(name, value)
		}
	}
	if r.body != nil {
		body, err := json.Marshal(r.body)
		if err != nil {
			return fmt.Errorf("encode %s %s: %w", r.method, r.path, err)
		}
		request.Body = body
		request.Header.Set("Content-Type", "application/json")
	}
	patient := r.once || r.method != http.MethodGet
	if err := c.silence.recent(); err != nil && !patient {
		return err
	}
	request.Check = func(a *retryhttp.Answer) retryhttp.Verdict { return c.check(r, a) }
	_, err := c.http.Do(ctx, request)
	if err != nil && retryhttp.IsTimeout(err) && ctx.Err() == nil {
		c.silence.note(err)
	}
	if err != nil && ctx.Err() != nil && api.CodeOf(err) == api.CodeInternal {
		return fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	return err
}

// silence is a host that did not answer in time. A thousand reads must not
// wait for it one after the other: for a while, they are told at once.
type silence struct {
	mu    sync.Mutex
	err   error
	until time.Time
}

const silenceKept = 30 * time.Second

func (s *silence) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.until = err, time.Now().Add(silenceKept)
}

func (s *silence) recent() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().After(s.until) {
		return nil
	}
	return s.err
}

func (c *Client) check(r *call, a *retryhttp.Answer) retryhttp.Verdict {
	if a.Err != nil {
		_, dial := errors.AsType[dialError](a.Err)
		return retryhttp.Verdict{Err: c.unreachable(a.Err), Retry: !dial && !r.once && !retryhttp.IsTimeout(a.Err)}
	}
	r.status = a.Status
	if a.Status < 200 || a.Status > 299 {
		after, _ := retryhttp.RetryAfter(a.Header, time.Now())
		return retryhttp.Verdict{Err: c.problem(a.Status, a.Body), Retry: a.Status == http.StatusServiceUnavailable && !r.once, After: after}
	}
	if r.into == nil {
		r.text = append([]byte(nil), a.Body...)
		return retryhttp.Verdict{}
	}
	if err := json.Unmarshal(a.Body, r.into); err != nil {
		return retryhttp.Verdict{Err: fmt.Errorf("%s %s: decode the answer: %w", r.method, r.path, err)}
	}
	return retryhttp.Verdict{}
}

func (c *Client) header() http.Header {
	h := http.Header{"User-Agent": {"batch-client/" + api.Version}, "Accept": {"application/json"}}
	if c.options.Token != "" {
		h.Set("Authorization", "Bearer "+c.options.Token)
	}
	if c.options.Actor != "" {
		h.Set("Batch-Actor", c.options.Actor)
	}
	return h
}

func (c *Client) unreachable(cause error) error {
	if known, ok := errors.AsType[*api.Error](cause); ok {
		return known // the greeting said more than that
	}
	shown := cause
	if wrapped, ok := errors.AsType[*url.Error](cause); ok {
		shown = wrapped.Err // the address of a socket's requests is made up
	}
	return &unreachable{
		shown: api.Errorf(api.CodeUnreachable, "start the runner, or correct "+c.options.Source,
			"no answer from the runner at %s (from %s): %v", c.options.Endpoint, c.options.Source, shown),
		cause: cause,
	}
}

// problem turns an answer other than 2xx into an error.
func (c *Client) problem(status int, body []byte) *api.Error {
	var p struct {
		api.Error
		Title  string `json:"title"`
		Detail string `json:"detail"`
	}
	if err := json.Unmarshal(body, &p); err == nil && p.Code != "" {
		e := p.Error
		for _, text := range []string{p.Detail, p.Title, http.StatusText(status)} {
			if e.Message == "" {
				e.Message = text
			}
		}
		if e.Code == api.CodeUnauthorized {
			return c.unauthorized(e.Message)
		}
		return &e
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return c.unauthorized(http.StatusText(status))
	case http.StatusServiceUnavailable:
		return api.Errorf(api.CodeUnavailable, "try again in a moment", "the runner at %s is not ready", c.options.Endpoint)
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		// Not the runner's own 404, which says what was not found.
		return api.Errorf(api.CodeOldRunner, "upgrade the runner", "the runner at %s does not know this request", c.options.Endpoint)
	}
	return api.Errorf(api.CodeInternal, "", "the runner at %s answered with status %d: %.200s", c.options.Endpoint, status, body)
}

func (c *Client) unauthorized(message string) *api.Error {
	if c.options.Token == "" {
		return api.Errorf(api.CodeUnauthorized, "set token or token_file of the provider, BATCH_TOKEN or BATCH_TOKEN_FILE",
			"the runner at %s wants a token, and none is set: %s", c.options.Endpoint, message)
	}
	return api.Errorf(api.CodeUnauthorized, "correct "+c.options.TokenSource,
		"the runner at %s refused the token from %s: %s", c.options.Endpoint, c.options.TokenSource, message)
}
