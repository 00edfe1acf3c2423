package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/predict"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// lossNotice is how long a broken connection waits for the news that the
// server behind it is gone, before it is taken for a fault of the network.
const lossNotice = 500 * time.Millisecond

// classified is the failure of an attempt as it is stored.
type classified struct {
	store.Failure
	retryAfter time.Duration
	timedOut   bool // by a request's timeout
}

// requestError is a failed request with the records that it held.
type requestError struct {
	records string // "records 41–60 (iris.csv:42–61), first id=41"
	err     error
}

func (e *requestError) Error() string { return e.records + ": " + e.err.Error() }
func (e *requestError) Unwrap() error { return e.err }

// classify names the class of what ended an attempt; none where the attempt
// was interrupted or fenced off.
func classify(ctx context.Context, err error) classified {
	var c classified
	c.Error = err.Error()
	if request, ok := errors.AsType[*requestError](err); ok {
		c.Example, c.Error = request.records, request.err.Error()
	}
	switch {
	case errors.Is(err, errAttemptTimeout):
		c.Class = api.ClassTransient
		return c
	case errors.Is(err, errServerLost):
		c.Class = api.ClassServerLost
		return c
	}
	if failure, ok := errors.AsType[*api.Failure](err); ok {
		switch class := api.Class(failure.Reason); class {
		case api.ClassInputChanged, api.ClassConfig:
			c.Class = class
			return c
		}
	}
	if answer, ok := errors.AsType[*predict.Error](err); ok && context.Cause(ctx) == nil {
		c.Class, c.Status, c.retryAfter, c.timedOut = answer.Class, answer.Status, answer.RetryAfter, answer.Timeout
		if c.Class == api.ClassTooLarge {
			c.Class = api.ClassData // a single record; larger requests were halved
		}
		return c
	}
	if durable.IsStorage(err) || store.IsStorage(err) || errors.Is(err, source.ErrAway) {
		c.Class = api.ClassStorage
		return c
	}
	return classified{}
}

// describe says which records a request held.
func (a *attempt) describe(b *batch) error {
	return &requestError{records: a.where(b), err: b.err}
}

func (a *attempt) where(b *batch) string {
	file := a.file.Path
	where := fmt.Sprintf("records at %s:%d–%d", file, b.firstLine, b.lastLine)
	if b.firstLine == b.lastLine {
		where = fmt.Sprintf("record at %s:%d", file, b.firstLine)
	}
	for i, value := range b.firstKey {
		if i == 0 {
			where += ", first"
		}
		where += fmt.Sprintf(" %s=%s", a.d.x.job.Input.Key[i], text(value))
	}
	return where
}
