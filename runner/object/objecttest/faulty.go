package objecttest

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/batchpattern/terraform-provider-batch/runner/object"
)

// Fault is what goes wrong with a request.
type Fault string

// The faults of a Faulty bucket.
const (
	// NotSent requests never reach the store.
	NotSent Fault = "not sent"
	// AnswerLost requests take effect, and their caller does not learn it.
	AnswerLost Fault = "answer lost"
	// SentTwice requests are sent again inside the bucket after their answer
	// was lost: the caller gets the second answer.
	SentTwice Fault = "sent twice"
)

// Faulty passes requests to another bucket, but for some.
type Faulty struct {
	object.Bucket
	// Fault befalls the request number At, counting from 0, and where Forever is
	// set all that follow are not sent.
	Fault   Fault
	At      int
	Forever bool

	mu       sync.Mutex
	requests []string
}

// Requests are all that were made, as "Put key" and the like.
func (f *Faulty) Requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests
}

// errBroken is trouble that passes.
var errBroken = fmt.Errorf("the connection broke: %w", io.ErrUnexpectedEOF)

// do makes one request as it befalls it.
func (f *Faulty) do(what string, request func() error) error {
	f.mu.Lock()
	number := len(f.requests)
	f.requests = append(f.requests, what)
	f.mu.Unlock()
	switch {
	case f.Forever && number > f.At:
		return errBroken
	case f.Fault == "" || number != f.At:
		return request()
	case f.Fault == NotSent:
		return errBroken
	case f.Fault == SentTwice:
		_ = request() // its answer is lost
		return request()
	}
	_ = request() // its answer is lost
	return errBroken
}

// Stat implements object.Bucket.
func (f *Faulty) Stat(ctx context.Context, key string) (info object.Info, err error) {
	err = f.do("Stat "+key, func() error {
		info, err = f.Bucket.Stat(ctx, key)
		return err
	})
	return info, err
}

// Read implements object.Bucket.
func (f *Faulty) Read(ctx context.Context, key, etag string, offset, length int64) (body io.ReadCloser, err error) {
	err = f.do("Read "+key, func() error {
		body, err = f.Bucket.Read(ctx, key, etag, offset, length)
		return err
	})
	return body, err
}

// Put implements object.Bucket.
func (f *Faulty) Put(ctx context.Context, key string, body io.ReadSeeker, size int64, when object.Condition) (etag string, err error) {
	err = f.do("Put "+key, func() error {
		if _, err := body.Seek(0, io.SeekStart); err != nil {
			return err
		}
		etag, err = f.Bucket.Put(ctx, key, body, size, when)
		return err
	})
	return etag, err
}

// Delete implements object.Bucket.
func (f *Faulty) Delete(ctx context.Context, keys ...string) error {
	return f.do(fmt.Sprint("Delete ", keys), func() error { return f.Bucket.Delete(ctx, keys...) })
}

// List implements object.Bucket.
func (f *Faulty) List(ctx context.Context, prefix string, yield func(object.Info) error) error {
	return f.do("List "+prefix, func() error { return f.Bucket.List(ctx, prefix, yield) })
}
