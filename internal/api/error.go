package api

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Code is the kind of an error, stable across versions; each maps to one HTTP
// status.
type Code string

// The codes of the API.
const (
	CodeInvalid      Code = "invalid"      // 422: the request breaks a rule; Problems say which
	CodeMalformed    Code = "malformed"    // 400: not JSON, or not the JSON asked for
	CodeUnauthorized Code = "unauthorized" // 401
	CodeNotFound     Code = "not_found"    // 404
	CodeExists       Code = "exists"       // 409: a job of that name is there
	CodeConflict     Code = "conflict"     // 409: the state of the thing forbids it
	CodeOwner        Code = "owner"        // 409: declared by another owner
	CodePrecondition Code = "precondition" // 412: changed since it was read
	CodeTooLarge     Code = "too_large"    // 413
	CodeInternal     Code = "internal"     // 500
	CodeUnavailable  Code = "unavailable"  // 503: starting, draining, or out of disk
	CodeOtherRunner  Code = "other_runner" // client side: the endpoint answers with another runner_id
	CodeUnreachable  Code = "unreachable"  // client side: no answer
	CodeOldRunner    Code = "unsupported"  // client side: the runner speaks another API
)

// Error is an error that a person sees: what is wrong, where, and what to do.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	// Hint is the remedy, a sentence; may be empty.
	Hint string `json:"hint,omitzero"`
	// Pointer is the RFC 6901 JSON pointer of the offending value, "/schedule/cron".
	Pointer string `json:"pointer,omitzero"`
	// Problems are the single findings of an invalid document.
	Problems []Error `json:"problems,omitzero"`
}

// Error reads "schedule.cron message; hint", and each problem on its own line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(Located(e.Pointer, e.Message))
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.Error())
	}
	return b.String()
}

// continues matches messages that go on where a path ends, with its value or a
// verb; the others are sentences of their own and follow a colon.
var continues = regexp.MustCompile(`^("|-?[0-9]|is |are |goes |has |names |cannot |was |bounds |never )`)

// Located says where a message is about: "schedule.cron "0 25 * * *": …",
// "schedule: cron and every are both set; keep one".
func Located(pointer, message string) string {
	path := DottedPath(pointer)
	switch {
	case path == "":
		return message
	case continues.MatchString(message):
		return path + " " + message
	default:
		return path + ": " + message
	}
}

// Errorf makes an Error.
func Errorf(code Code, hint, format string, args ...any) *Error {
	return &Error{Code: code, Hint: hint, Message: fmt.Sprintf(format, args...)}
}

// CodeOf is the code of the Error in err's chain, or CodeInternal.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

// Invalid joins findings to one error, or gives nil where there are none.
func Invalid(subject string, problems []Error) error {
	if len(problems) == 0 {
		return nil
	}
	return &Error{Code: CodeInvalid, Message: subject + " is not valid", Problems: problems}
}

// DottedPath turns a JSON pointer into the path people write in HCL:
// "/retry/backoff/1" is retry.backoff[1].
func DottedPath(pointer string) string {
	var b strings.Builder
	for _, part := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		if _, err := strconv.Atoi(part); err == nil {
			b.WriteString("[" + part + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(part)
	}
	return b.String()
}

// pointerTo appends one reference token to a JSON pointer.
func pointerTo(base string, token any) string {
	return base + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(fmt.Sprint(token))
}
