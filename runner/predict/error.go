package predict

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/retryhttp"
)

// Error is a request that brought no predictions. Its text reads well alone:
// "POST /v2/models/iris/infer: 400 Bad Request: wrong shape".
type Error struct {
	Class      api.Class
	Status     int           // 0 where no answer came
	Body       string        // the first 4 KiB of the last answer
	RetryAfter time.Duration // the wait the server asked for; 0 where it did not
	Err        error
	Sends      int  // how often the request went out
	Timeout    bool // the last try did not end in time
	// Repeated tells that every try, and there was more than one, brought a
	// complete answer 500: the records may be the cause.
	Repeated bool
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// classOf is the class of a complete answer by its status alone.
func classOf(status int, throttled bool) api.Class {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusUnsupportedMediaType, http.StatusNotImplemented:
		return api.ClassConfig
	case http.StatusRequestEntityTooLarge:
		return api.ClassTooLarge
	case http.StatusTooManyRequests:
		return api.ClassThrottled
	case http.StatusRequestTimeout, http.StatusTooEarly:
		return api.ClassTransient
	case http.StatusServiceUnavailable:
		if throttled {
			return api.ClassThrottled
		}
	}
	switch {
	case status >= 500:
		return api.ClassTransient
	case status >= 400:
		return api.ClassData
	}
	return api.ClassConfig // a redirect: the address is not the server's
}

// classed is the class of a complete answer to records: what the job says of
// the status goes before what it means elsewhere.
func (c *Client) classed(e *Error) *Error {
	switch status := int64(e.Status); {
	case slices.Contains(c.config.PermanentStatuses, status):
		e.Class, e.RetryAfter = api.ClassData, 0
	case slices.Contains(c.config.TransientStatuses, status):
		e.Class, e.RetryAfter = api.ClassTransient, 0
	}
	return e
}

// refused is the error of an answer other than 2xx.
func refused(method, address string, a *retryhttp.Answer) *Error {
	after, throttled := retryhttp.RetryAfter(a.Header, time.Now())
	e := &Error{Class: classOf(a.Status, throttled), Status: a.Status, Body: string(a.Body)}
	if e.Class == api.ClassThrottled {
		e.RetryAfter = after
	}
	text := statusText(a)
	if to := a.Header.Get("Location"); to != "" && a.Status < 400 {
		text += ": redirects to " + to + "; set that address"
	}
	e.Err = fmt.Errorf("%s %s: %s", method, pathOf(address), text)
	return e
}

// programEnd is the error of a transport to a program that ended instead of
// answering. The status is what a server would have answered.
type programEnd interface {
	error
	HTTPStatus() int
}

// failed is the error of a try that brought no complete 2xx answer.
func failed(method, address string, a *retryhttp.Answer, timeout time.Duration) *Error {
	if end, ok := errors.AsType[programEnd](a.Err); ok {
		return &Error{Class: classOf(end.HTTPStatus(), false), Status: end.HTTPStatus(), Timeout: retryhttp.IsTimeout(end), Err: end}
	}
	e := &Error{Class: api.ClassTransient, Status: a.Status, Body: head(a.Body), Timeout: retryhttp.IsTimeout(a.Err)}
	reason := ""
	switch {
	case errors.Is(a.Err, retryhttp.ErrTooLong):
		e.Class, reason = api.ClassTooLarge, a.Err.Error()
	case a.Status == 0:
		if _, untrusted := errors.AsType[*tls.CertificateVerificationError](a.Err); untrusted {
			e.Class = api.ClassConfig
		}
		reason = connectionText(a.Err, timeout)
	case retryhttp.IsTimeout(a.Err):
		reason = fmt.Sprintf("the answer did not end within %s", timeout)
	default:
		reason = "the answer was cut short"
	}
	where := pathOf(address)
	if a.Status == 0 && !e.Timeout { // nobody answers there
		where = redacted(address)
	}
	e.Err = fmt.Errorf("%s %s: %s", method, where, reason)
	return e
}

// malformed is the error of a 2xx answer that is not what was asked for.
func malformed(class api.Class, method, address string, a *retryhttp.Answer, why error) *Error {
	if strings.HasPrefix(address, programURL+"/") {
		return &Error{Class: class, Body: head(a.Body), Err: fmt.Errorf("the program's answer %w", why)}
	}
	return &Error{
		Class: class, Status: a.Status, Body: head(a.Body),
		Err: fmt.Errorf("%s %s: %d %s, but the answer %w", method, pathOf(address), a.Status, http.StatusText(a.Status), why),
	}
}

// statusText is a status with what the body says about it, in one line.
func statusText(a *retryhttp.Answer) string {
	text := strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, http.StatusText(a.Status)))
	if line := firstLine(a.Body); line != "" {
		text += ": " + line
	}
	return text
}

// firstLine is the first line of a body that says something, made printable.
// JSON that is spread over lines is gathered into one.
func firstLine(body []byte) string {
	body = bytes.TrimSpace(body)
	line, _, _ := bytes.Cut(body, []byte("\n"))
	if len(body) > 0 && (body[0] == '{' || body[0] == '[') {
		line = bytes.Join(bytes.Fields(body), []byte(" "))
	}
	line = bytes.ToValidUTF8(bytes.TrimSpace(line), []byte("�"))
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, shortened(line, 300))
}

func head(body []byte) string { return string(body[:min(len(body), 4<<10)]) }

// connectionText is what went wrong below HTTP, without what differs from one
// connection to the next: the same failure has the same text.
func connectionText(err error, timeout time.Duration) string {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	op, isOp := errors.AsType[*net.OpError](err)
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		if errno == syscall.ECONNREFUSED {
			return errno.Error()
		}
		if isOp {
			return op.Op + ": " + errno.Error()
		}
		return errno.Error()
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return "look up " + dns.Name + ": " + dns.Err
	}
	switch {
	case isOp && op.Op == "dial":
		return "dial: " + op.Err.Error()
	case retryhttp.IsTimeout(err):
		return fmt.Sprintf("no answer within %s", timeout)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed before an answer"
	}
	return err.Error()
}

// redacted is an address without its password.
func redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.User == nil {
		return address
	}
	return u.Redacted()
}

// pathOf is an address without its server: what becomes of records has the
// same text whichever launch of the server they meet.
func pathOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.EscapedPath()
}
