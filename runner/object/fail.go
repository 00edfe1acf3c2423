package object

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
)

// statusError is a store's answer that says no.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// fail gives an answer's status the meaning it has for callers; missing is what
// a 404 speaks of. A refused identity gets a hint where its place in the
// configuration is.
func fail(what string, status int, missing, err error, hint string) error {
	if already, ok := errors.AsType[*statusError](err); ok {
		status = already.status
	}
	switch status {
	case http.StatusNotFound:
		return fmt.Errorf("%s: %w (%w)", what, missing, err)
	case http.StatusPreconditionFailed:
		return fmt.Errorf("%s: %w", what, ErrChanged)
	case http.StatusUnauthorized, http.StatusForbidden:
		err = fmt.Errorf("%w (%w): %s", ErrDenied, err, hint)
	}
	return fmt.Errorf("%s: %w", what, &statusError{status, err})
}

// Transient tells whether an operation failed for a reason that passes: the
// store was out of reach, overloaded, or broke off.
func Transient(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	if answer, ok := errors.AsType[*statusError](err); ok && answer.status > 0 {
		switch answer.status {
		case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
			return true
		}
		return answer.status >= http.StatusInternalServerError && answer.status != http.StatusNotImplemented
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return true
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return true
	}
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}
