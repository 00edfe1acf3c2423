package object

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// An interrupted read is taken up again so many times without a byte between
// them, each time after twice the pause.
const (
	maxResumptions = 4
	firstPause     = 100 * time.Millisecond
)

// piece is a store's answer to a read.
type piece struct {
	body    io.ReadCloser
	etag    string
	size    int64 // of what this answer sends
	partial bool  // it is the range that was asked for, not the whole
}

type opener func(ctx context.Context, key, etag string, offset, length int64) (piece, error)

// opened is a store's answer under a context of its own, which ends where
// the store sends nothing for a while.
type opened struct {
	piece
	idle *time.Timer
	end  context.CancelFunc
}

func (open opener) watched(ctx context.Context, key, etag string, offset, length int64) (opened, error) {
	ctx, cancel := context.WithCancel(ctx)
	idle := time.AfterFunc(answerTimeout, cancel)
	answer, err := open(ctx, key, etag, offset, length)
	if err != nil {
		idle.Stop()
		cancel()
		return opened{}, err
	}
	return opened{answer, idle, cancel}, nil
}

// Read implements io.Reader.
func (o opened) Read(p []byte) (int, error) {
	o.idle.Reset(answerTimeout)
	n, err := o.body.Read(p)
	o.idle.Stop()
	return n, err
}

func (o opened) Close() error {
	o.idle.Stop()
	o.end()
	return o.body.Close()
}

// resuming reads an object's bytes, and goes on with the rest of the same
// content where the connection broke off.
type resuming struct {
	ctx    context.Context
	open   opener
	key    string
	etag   string
	answer opened
	offset int64
	left   int64
	broken int // times, since the last byte
}

// readResuming implements Bucket.Read with a store's way to open a range.
func readResuming(ctx context.Context, b Bucket, open opener, key, etag string, offset, length int64) (io.ReadCloser, error) {
	if length == 0 {
		return readNothing(ctx, b, key, etag)
	}
	first, err := open.watched(ctx, key, etag, offset, length)
	if isStatus(err, http.StatusRequestedRangeNotSatisfiable) && length < 0 {
		if info, stat := b.Stat(ctx, key); stat == nil && info.Size == offset && (etag == "" || etag == info.ETag) {
			return readNothing(ctx, b, key, etag)
		}
	}
	if err != nil {
		return nil, err
	}
	if offset > 0 && !first.partial || length > 0 && first.size != length {
		_ = first.Close() // nothing was read
		return nil, fmt.Errorf("read %s: the store sends %d bytes where %d from %d were asked for: %w", key, first.size, length, offset, io.ErrUnexpectedEOF)
	}
	return &resuming{ctx: ctx, open: open, key: key, etag: first.etag, answer: first, offset: offset, left: first.size}, nil
}

func readNothing(ctx context.Context, b Bucket, key, etag string) (io.ReadCloser, error) {
	info, err := b.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	if etag != "" && etag != info.ETag {
		return nil, fmt.Errorf("read %s: %w", key, ErrChanged)
	}
	return io.NopCloser(bytes.NewReader(nil)), nil
}

func isStatus(err error, status int) bool {
	answer, ok := errors.AsType[*statusError](err)
	return ok && answer.status == status
}

// Read implements io.Reader.
func (r *resuming) Read(p []byte) (int, error) {
	for {
		if r.left == 0 {
			return 0, io.EOF
		}
		n, err := r.answer.Read(p[:min(int64(len(p)), r.left)])
		r.offset += int64(n)
		r.left -= int64(n)
		if n > 0 {
			r.broken = 0
			return n, nil // the error, if any, comes again
		}
		if err != nil {
			if err := r.resume(err); err != nil {
				return 0, err
			}
		}
	}
}

func (r *resuming) resume(cause error) error {
	if errors.Is(cause, io.EOF) {
		cause = io.ErrUnexpectedEOF
	}
	_ = r.answer.Close() // it is broken already
	pause := time.NewTimer(firstPause << r.broken)
	defer pause.Stop()
	r.broken++
	if r.broken > maxResumptions {
		return fmt.Errorf("read %s at %d: %w", r.key, r.offset, cause)
	}
	select {
	case <-pause.C:
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
	next, err := r.open.watched(r.ctx, r.key, r.etag, r.offset, r.left)
	if err != nil {
		return err
	}
	if next.size != r.left {
		_ = next.Close() // nothing was read
		return fmt.Errorf("read %s at %d: %w", r.key, r.offset, io.ErrUnexpectedEOF)
	}
	r.answer = next
	return nil
}

// Close implements io.Closer.
func (r *resuming) Close() error { return r.answer.Close() }
