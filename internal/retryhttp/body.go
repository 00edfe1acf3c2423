package retryhttp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
)

// maxKept is how much of an answer other than 2xx is kept; what follows is
// read up to maxDrained, so that the connection can be used again.
const (
	maxKept    = 4 << 10
	maxDrained = 64 << 10
)

// ErrTooLong is the error of an answer that is longer than the cap.
var ErrTooLong = errors.New("the answer is too long")

// body is a request's body, read by one try. A transport may go on reading
// after it has answered; only its Close tells that the bytes are free again.
type body struct {
	bytes.Reader
	open   *atomic.Int32
	closed atomic.Bool
}

func newBody(content []byte, open *atomic.Int32) *body {
	b := &body{open: open}
	b.Reset(content)
	open.Add(1)
	return b
}

// Close may be called more than once, and by several goroutines.
func (b *body) Close() error {
	if !b.closed.Swap(true) {
		b.open.Add(-1)
	}
	return nil
}

// read reads an answer's body into buffer, and closes it.
func read(resp *http.Response, buffer []byte, limit int64) ([]byte, error) {
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		content, err := readAll(buffer[:0], io.LimitReader(resp.Body, maxKept))
		if err == nil {
			_, err = io.CopyN(io.Discard, resp.Body, maxDrained)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return content, fmt.Errorf("read the answer: %w", err)
		}
		return content, nil
	}
	if resp.ContentLength > limit {
		return buffer[:0], fmt.Errorf("%w: %d bytes, at most %d are taken", ErrTooLong, resp.ContentLength, limit)
	}
	if need := resp.ContentLength + 1; need > int64(cap(buffer)) { // one more: room to see the end
		buffer = make([]byte, 0, need)
	}
	content, err := readAll(buffer[:0], io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return content, fmt.Errorf("read the answer: %w", err)
	case int64(len(content)) > limit:
		return content[:0], fmt.Errorf("%w: at most %d bytes are taken", ErrTooLong, limit)
	}
	return content, nil
}

// readAll is io.ReadAll into a buffer that is kept.
func readAll(buffer []byte, r io.Reader) ([]byte, error) {
	for {
		if len(buffer) == cap(buffer) {
			buffer = append(buffer, 0)[:len(buffer)]
		}
		n, err := r.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		if err != nil {
			if err == io.EOF {
				return buffer, nil
			}
			return buffer, err
		}
	}
}
