// Package retryhttp sends HTTP requests and, where their caller says so, sends
// them again: it is the only place that configures go-retryablehttp.
//
// It knows connections, tries, waits and whole bodies. What a status or a body
// means, and so whether to try again, is the caller's Check: predictions are
// judged in runner/predict, the runner's own API in internal/client. Waiting
// is in memory and short; what takes longer than Budget is for a durable retry.
package retryhttp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// The bounds of retrying in memory.
const (
	// MaxTries is the number of times one request is sent.
	MaxTries = 4
	// Budget is the time after the first send within which the last one
	// starts.
	Budget = 30 * time.Second
	// DefaultMaxAnswer is the largest answer that is read.
	DefaultMaxAnswer = 64 << 20

	// The n-th wait is drawn evenly from [0, firstWait × 2^(n-1)]: full
	// jitter, so that requests refused together do not return together.
	firstWait = 250 * time.Millisecond
)

// Options are the settings of a Client.
type Options struct {
	// Transport carries the requests; see NewTransport. It is never closed
	// here.
	Transport http.RoundTripper
	// Timeout is that of one try, from waiting for a connection to the last
	// byte of the answer; 0 is none.
	Timeout time.Duration
	// MaxAnswer is the cap of a 2xx answer in bytes; 0 is DefaultMaxAnswer.
	MaxAnswer int64
	// First carries the first try of a request instead of Transport, within
	// timeout, where it can; nil, and a nil response without an error, leave it
	// to Transport. It is for many small requests, of which nearly none fails: net/http and
	// retryablehttp cost more than the requests themselves then. Body must be
	// closed, and err have no response beside it.
	First func(ctx context.Context, r *Request, timeout time.Duration) (*http.Response, error)
}

// Client sends requests. It may be used by any number of goroutines.
type Client struct {
	http      http.Client
	maxAnswer int64
	first     func(ctx context.Context, r *Request, timeout time.Duration) (*http.Response, error)
}

// New makes a Client. Redirects are not followed: they are answers.
func New(o Options) *Client {
	if o.MaxAnswer == 0 {
		o.MaxAnswer = DefaultMaxAnswer
	}
	return &Client{
		http: http.Client{
			Transport:     shielded{o.Transport},
			Timeout:       o.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		maxAnswer: o.MaxAnswer,
		first:     o.First,
	}
}

// Request is one request, sent up to MaxTries times.
type Request struct {
	Method string
	URL    string
	// Header may be shared by requests. Fields are this request's own headers,
	// besides; neither is kept.
	Header http.Header
	Fields []Field
	// Body may be nil. See Result.BodyInUse before changing its bytes.
	Body []byte
	// Buffer is where the answer is read to, if it is large enough.
	Buffer []byte
	// Check judges each answer; it says whether to send again.
	Check Check
}

// Field is one header.
type Field struct{ Name, Value string }

// Answer is what one try brought.
type Answer struct {
	Status int // 0 where no header came
	Header http.Header
	// Body is the whole body of a 2xx answer, or the first 4 KiB of another.
	Body []byte
	// Began is when the try was sent.
	Began time.Time
	// Unframed tells that only the end of the connection ended the body, so
	// that it may be cut short.
	Unframed bool
	// Err says why there is no complete answer: connection, timeout, cut
	// short, ErrTooLong. Any complete answer has none, whatever its status.
	Err error
}

// Check judges an answer. The answer's Body is valid until the next try.
type Check func(*Answer) Verdict

// Verdict is what a Check says of an answer.
type Verdict struct {
	Err   error         // nil: the answer is good, and Do returns nil
	Retry bool          // send again, if a try and time are left
	After time.Duration // the exact wait before; 0 is the client's own
}

// Result is how a request went.
type Result struct {
	Sends int
	// BodyInUse tells that the transport still reads the request's Body (a
	// server may answer before it has read everything): leave those bytes to
	// the garbage collector.
	BodyInUse bool
}

// Do sends the request until its Check accepts an answer or refuses another
// try. The error is the last verdict's, or ctx's cause where it ended first.
func (c *Client) Do(ctx context.Context, r *Request) (Result, error) {
	t := &tries{client: c, request: r, start: time.Now()}
	if c.first != nil && t.first(ctx) && !t.verdict.Retry {
		if ctx.Err() != nil && t.verdict.Err != nil {
			return Result{Sends: t.sends}, context.Cause(ctx)
		}
		return Result{Sends: t.sends}, t.verdict.Err
	}
	req, err := t.newRequest(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("%s %s: %w", r.Method, r.URL, err)
	}
	retry := retryablehttp.Client{
		HTTPClient:   &c.http,
		RetryMax:     MaxTries - 1,
		CheckRetry:   t.checkRetry,
		Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return t.wait },
		ErrorHandler: func(_ *http.Response, err error, _ int) (*http.Response, error) { return nil, err },
	}
	// The body is read and closed by t.handle within each try.
	if t.sends > 0 { // the first try is over, and wants another
		retry.RetryMax--
		if !t.again(ctx) || !pause(ctx, t.wait) {
			if ctx.Err() != nil {
				return Result{Sends: t.sends}, context.Cause(ctx)
			}
			return Result{Sends: t.sends}, t.verdict.Err
		}
	}
	_, err = retry.Do(req)
	result := Result{Sends: t.sends, BodyInUse: t.open.Load() > 0}
	switch {
	case err == nil:
		return result, nil
	case ctx.Err() != nil:
		return result, context.Cause(ctx)
	}
	return result, cmp.Or(t.verdict.Err, err)
}

// tries are the tries of one request.
type tries struct {
	client  *Client
	request *Request
	start   time.Time
	began   time.Time // of the current try
	sends   int
	open    atomic.Int32 // bodies that a transport still holds
	read    bool         // the current answer went through handle
	verdict Verdict
	wait    time.Duration
}

func (t *tries) newRequest(ctx context.Context) (*retryablehttp.Request, error) {
	var content any
	if t.request.Body != nil {
		content = retryablehttp.ReaderFunc(func() (io.Reader, error) {
			t.began = time.Now() // called before each try
			return newBody(t.request.Body, &t.open), nil
		})
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, t.request.Method, t.request.URL, content)
	if err != nil {
		return nil, err
	}
	if t.request.Header != nil {
		req.Header = t.request.Header.Clone()
	}
	for _, field := range t.request.Fields {
		req.Header.Set(field.Name, field.Value)
	}
	if content != nil {
		// Without it net/http can't re-send by itself, unseen by our count.
		req.GetBody = nil
	}
	req.SetResponseHandler(t.handle)
	return req, nil
}

// checkRetry is called once per try that brought no answer, and twice per try
// that did: before and after handle.
func (t *tries) checkRetry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	switch {
	case t.read:
		t.read = false
	case err == nil:
		return false, nil // go on to handle
	default:
		t.sends++
		t.judge(&Answer{Err: err})
	}
	return t.again(ctx), nil
}

// again tells whether there is another try, after t.wait.
func (t *tries) again(ctx context.Context) bool {
	if ctx.Err() != nil || t.verdict.Err == nil || !t.verdict.Retry || t.sends >= MaxTries {
		return false
	}
	if t.wait = t.verdict.After; t.wait <= 0 {
		t.wait = jitter(t.sends)
	}
	return time.Since(t.start)+t.wait <= Budget
}

// first makes the first try past net/http; false where it can't.
func (t *tries) first(ctx context.Context) bool {
	t.began = t.start
	resp, err := t.client.first(ctx, t.request, t.client.http.Timeout)
	switch {
	case err != nil:
		t.sends++
		t.judge(&Answer{Err: err})
	case resp == nil:
		return false
	default:
		_ = t.handle(resp) // t.verdict has it
		t.read = false
	}
	return true
}

// pause waits; false means that ctx has ended.
func pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// handle reads an answer and has it checked.
func (t *tries) handle(resp *http.Response) error {
	t.sends++
	t.read = true
	answer := &Answer{
		Status:   resp.StatusCode,
		Header:   resp.Header,
		Unframed: resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 && resp.ProtoMajor == 1,
	}
	// First's answers are somebody else's once they are read to the end.
	t.request.Buffer, answer.Err = read(resp, t.request.Buffer, t.client.maxAnswer)
	answer.Body = t.request.Buffer
	t.judge(answer)
	return t.verdict.Err
}

func (t *tries) judge(a *Answer) {
	if a.Began = t.began; a.Began.IsZero() { // without a body
		a.Began = t.start
	}
	t.verdict = t.request.Check(a)
}

// jitter is the wait after the n-th send.
func jitter(n int) time.Duration {
	return rand.N(firstWait<<(n-1) + 1)
}

// IsTimeout tells whether a try took longer than the client's Timeout.
func IsTimeout(err error) bool {
	timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && timeout.Timeout() || errors.Is(err, os.ErrDeadlineExceeded)
}
