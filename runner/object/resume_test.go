package object

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// silent sends some text and then nothing until its context ends.
type silent struct {
	io.Reader
	ctx context.Context
}

func (s silent) Read(p []byte) (int, error) {
	if n, err := s.Reader.Read(p); n > 0 || !errors.Is(err, io.EOF) {
		return n, err
	}
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

func (silent) Close() error { return nil }

func TestAReadGoesOnWhereTheStoreFallsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const content = "0123456789"
		open := func(ctx context.Context, _, _ string, offset, length int64) (piece, error) {
			if length < 0 {
				length = 10 - offset
			}
			return piece{body: silent{strings.NewReader(content[offset : offset+1]), ctx}, etag: "e", size: length, partial: offset > 0}, nil
		}
		start := time.Now()
		body, err := readResuming(t.Context(), nil, open, "x", "e", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		if err != nil || string(got) != content {
			t.Errorf("read %q, %v", got, err)
		}
		if waited := time.Since(start); waited < 9*answerTimeout || waited > 10*answerTimeout {
			t.Errorf("waited %v for ten answers", waited)
		}
		if err := body.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestAReadEndsWhereNothingComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := 0
		open := func(context.Context, string, string, int64, int64) (piece, error) {
			answers++
			return piece{body: io.NopCloser(strings.NewReader("")), etag: "e", size: 10}, nil
		}
		body, err := readResuming(t.Context(), nil, open, "x", "e", 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(body); !errors.Is(err, io.ErrUnexpectedEOF) || !Transient(err) {
			t.Errorf("read %q, %v", got, err)
		}
		if answers != 1+maxResumptions {
			t.Errorf("asked %d times", answers)
		}
	})
}
