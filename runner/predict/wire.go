package predict

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/retryhttp"
)

const (
	// maxDirect is the largest body that is written before the answer is looked
	// for: a server may refuse a larger one before it has read it all, and reads
	// no further.
	maxDirect = 128 << 10
	// idleDirect is how long a connection waits for its next request.
	idleDirect = 60 * time.Second
	// trusted is how long an idle connection is taken to stand without asking.
	trusted = 20 * time.Millisecond
	// readAhead is the size of a connection's read buffer.
	readAhead = 16 << 10
)

// wire carries requests over HTTP/1.1 without net/http's client: one write and
// one read for each, and no goroutine. It is for servers that are reached
// directly and without TLS, and for the first try of a request only; whatever
// is out of the ordinary net/http does.
type wire struct {
	host   string // with its port
	header string // the Host header
	dialer net.Dialer

	mu     sync.Mutex
	idle   []*wireConn
	closed bool
}

// wireConn is one connection. Between requests it is in wire.idle.
type wireConn struct {
	net.Conn
	wire  *wire
	in    *bufio.Reader
	out   []byte
	since time.Time // when it became idle

	// The answer under way, where it is nothing out of the ordinary.
	answer http.Response
	length exactly
	body   wireBody

	mu     sync.Mutex
	asking context.Context // of the request under way; nil: none is

	heard context.Context // whose end is heard of
	deaf  func() bool     // ends that
}

// newWire is nil where the server is not reached directly.
func newWire(base string) *wire {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" || u.User != nil {
		return nil
	}
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); err != nil || proxy != nil {
		return nil
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	return &wire{host: net.JoinHostPort(u.Hostname(), port), header: u.Host, dialer: net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}}
}

// send sends a request, and reads the head of its answer. The body of the
// answer gives the connection back when it is closed.
func (w *wire) send(ctx context.Context, r *retryhttp.Request, timeout time.Duration) (*http.Response, error) {
	if len(r.Body) > maxDirect {
		return nil, nil //nolint:nilnil // as Options.First says: not for this one
	}
	deadline := time.Time{}
	if timeout > 0 {
		deadline = time.Now().Add(timeout)
	}
	conn, err := w.take(ctx, deadline)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	conn.begin(ctx)
	resp, err := conn.ask(r)
	if err != nil {
		_ = conn.Close()
		return nil, told(ctx, err)
	}
	conn.body = wireBody{ctx: ctx, body: resp.Body, conn: conn, keep: !resp.Close}
	resp.Body = &conn.body
	return resp, nil
}

// begin has the connection hear of the context's end until the request is over.
// Requests of one context come one after the other: what was arranged for the
// last one stands.
func (c *wireConn) begin(ctx context.Context) {
	c.mu.Lock()
	c.asking = ctx
	c.mu.Unlock()
	if c.heard != ctx {
		c.unhear()
		c.heard, c.deaf = ctx, context.AfterFunc(ctx, func() { c.interrupt(ctx) })
	}
	if ctx.Err() != nil {
		c.interrupt(ctx) // it may have been heard of before
	}
}

// interrupt ends the request under way if it is the context's.
func (c *wireConn) interrupt(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asking == ctx {
		_ = c.SetDeadline(time.Unix(1, 0))
	}
}

// over ends the request under way: nothing interrupts it any more.
func (c *wireConn) over() {
	c.mu.Lock()
	c.asking = nil
	c.mu.Unlock()
}

func (c *wireConn) unhear() {
	if c.deaf != nil {
		c.deaf()
	}
}

// Close implements net.Conn.
func (c *wireConn) Close() error {
	c.unhear()
	return c.Conn.Close()
}

// ask writes a request and reads the head of its answer.
func (c *wireConn) ask(r *retryhttp.Request) (*http.Response, error) {
	out := append(c.out[:0], r.Method...)
	out = append(out, ' ')
	out = append(out, target(r.URL)...)
	out = append(append(append(out, " HTTP/1.1\r\nHost: "...), c.wire.header...), "\r\nContent-Length: "...)
	out = append(strconv.AppendInt(out, int64(len(r.Body)), 10), "\r\n"...)
	for name, values := range r.Header {
		for _, value := range values {
			out = appendField(out, name, value)
		}
	}
	for _, field := range r.Fields {
		out = appendField(out, field.Name, field.Value)
	}
	out = append(out, "\r\n"...)
	c.out = append(out, r.Body...) // cheaper than a second write
	if _, err := c.Write(c.out); err != nil {
		return nil, err
	}
	if resp := c.plainHead(); resp != nil {
		return resp, nil
	}
	for {
		resp, err := http.ReadResponse(c.in, nil)
		if err != nil || resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
}

func appendField(to []byte, name, value string) []byte {
	return append(append(append(append(to, name...), ": "...), value...), "\r\n"...)
}

// plainHead reads the head of an answer that is nothing but predictions: 200
// with a length, on a connection that is kept. Any other head it leaves unread;
// its headers say nothing to anybody.
func (c *wireConn) plainHead() *http.Response {
	if _, err := c.in.Peek(1); err != nil {
		return nil // ReadResponse meets it again
	}
	text, _ := c.in.Peek(c.in.Buffered())
	end := bytes.Index(text, []byte("\r\n\r\n"))
	if end < 0 || !bytes.HasPrefix(text, []byte("HTTP/1.1 200 ")) {
		return nil
	}
	length := int64(-1)
	for line := range bytes.SplitSeq(text[:end], []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			n, err := strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
			if err != nil || n < 0 || length >= 0 {
				return nil
			}
			length = n
		case bytes.EqualFold(name, []byte("Transfer-Encoding")), bytes.EqualFold(name, []byte("Connection")):
			return nil
		}
	}
	if length < 0 {
		return nil
	}
	_, _ = c.in.Discard(end + len("\r\n\r\n"))
	c.length = exactly{from: c.in, left: length}
	c.answer = http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: noHeader, ContentLength: length, Body: &c.length,
	}
	return &c.answer
}

// noHeader is that of every answer that is nothing but predictions.
var noHeader = http.Header{}

// exactly is a body of a known length; fewer bytes are an error.
type exactly struct {
	from io.Reader
	left int64
}

func (e *exactly) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.from.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(n)
	switch {
	case e.left == 0:
		err = io.EOF
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (*exactly) Close() error { return nil }

// target is the path and query of an address.
func target(address string) string {
	slashes := 0
	for i := range len(address) {
		if address[i] == '/' {
			if slashes++; slashes == 3 {
				return address[i:]
			}
		}
	}
	return "/"
}

// take gives an idle connection that still stands, or a new one.
func (w *wire) take(ctx context.Context, deadline time.Time) (*wireConn, error) {
	for {
		w.mu.Lock()
		if len(w.idle) == 0 {
			w.mu.Unlock()
			break
		}
		conn := w.idle[len(w.idle)-1]
		w.idle = w.idle[:len(w.idle)-1]
		w.mu.Unlock()
		if idle := time.Since(conn.since); idle < trusted || idle < idleDirect && conn.stands() {
			return conn, nil
		}
		_ = conn.Close()
	}
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	conn, err := w.dialer.DialContext(ctx, "tcp", w.host)
	if err != nil {
		return nil, err
	}
	return &wireConn{Conn: conn, wire: w, in: bufio.NewReaderSize(conn, readAhead)}, nil
}

// stands tells that the server has neither closed the connection nor said
// anything unasked.
func (c *wireConn) stands() bool {
	conn, ok := c.Conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	quiet := false
	err = raw.Read(func(fd uintptr) bool {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return err == nil && quiet
}

func (w *wire) give(c *wireConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		_ = c.Close()
		return
	}
	c.since = time.Now()
	w.idle = append(w.idle, c)
}

// close closes the connections that are idle, now and later.
func (w *wire) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, c := range w.idle {
		_ = c.Close()
	}
	w.idle = nil
}

// wireBody is the body of an answer. Its connection is used again where the
// body was read to its end.
type wireBody struct {
	ctx   context.Context
	body  io.ReadCloser
	conn  *wireConn
	keep  bool // the server keeps the connection
	ended bool
}

func (b *wireBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.ended = b.ended || errors.Is(err, io.EOF)
	return n, told(b.ctx, err)
}

// told is the error of the context where it ended what was under way.
func told(ctx context.Context, err error) error {
	if err != nil && !errors.Is(err, io.EOF) && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (b *wireBody) Close() error {
	if b.conn == nil {
		return nil
	}
	conn := b.conn
	b.conn = nil
	conn.over()
	if b.keep && b.ended && conn.in.Buffered() == 0 {
		conn.wire.give(conn)
		return nil
	}
	return conn.Close()
}
