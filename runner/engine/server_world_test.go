package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"sync"
	"syscall"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/retryhttp"
	"github.com/batchpattern/terraform-provider-batch/runner/engine"
	"github.com/batchpattern/terraform-provider-batch/runner/launch"
)

// cluster launches prediction servers that are processes as far as the engine
// can tell: they have addresses, are ready, get lost with their connections,
// and all of them are one model.
type cluster struct {
	model http.Handler
	now   func() time.Time

	mu    sync.Mutex
	procs []*proc
}

// launch is the engine's hook.
func (c *cluster) launch(launch.Command) (engine.Process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := &proc{c: c, number: len(c.procs) + 1, dialed: make(chan net.Conn), exited: make(chan struct{})}
	c.procs = append(c.procs, p)
	return p, nil
}

// kill ends all servers as kill -9 does.
func (c *cluster) kill() {
	c.mu.Lock()
	procs := c.procs
	c.mu.Unlock()
	for _, p := range procs {
		p.end(errors.New("was ended by SIGKILL"))
	}
}

// transport reaches the servers.
func (c *cluster) transport(s *scope) http.RoundTripper {
	t := retryhttp.NewTransport(8)
	t.Proxy = nil
	t.DialContext = c.dial
	s.Cleanup(t.CloseIdleConnections)
	s.Cleanup(c.kill)
	return t
}

func (c *cluster) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c.mu.Lock()
	var p *proc
	for _, other := range c.procs {
		if other.host()+":80" == address {
			p = other
		}
	}
	c.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	if p == nil {
		return nil, refused
	}
	client, server := net.Pipe()
	select {
	case p.dialed <- server:
		return client, nil
	case <-p.exited:
		return nil, refused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// proc is one launched server; it is the listener of its own connections, too.
type proc struct {
	c       *cluster
	number  int
	dialed  chan net.Conn
	exited  chan struct{}
	once    sync.Once
	server  *http.Server
	started time.Time
	how     error
}

func (p *proc) host() string { return fmt.Sprintf("server-%d", p.number) }

func (p *proc) Start() error {
	p.started = p.c.now()
	p.server = &http.Server{Handler: p.c.model, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = p.server.Serve(p) }() // it ends with the process
	return nil
}

// end ends the process, once.
func (p *proc) end(how error) {
	p.once.Do(func() {
		p.how = how
		close(p.exited)
		if p.server != nil {
			_ = p.server.Close() // its connections end
		}
	})
}

func (p *proc) Stop(context.Context, time.Duration) error {
	p.end(errors.New("was stopped"))
	return nil
}

func (p *proc) PID() int                { return p.number }
func (p *proc) StartTime() string       { return p.started.String() }
func (p *proc) URL() string             { return (&url.URL{Scheme: "http", Host: p.host()}).String() }
func (p *proc) Exited() <-chan struct{} { return p.exited }
func (p *proc) LastOutput() time.Time   { return p.started }
func (p *proc) ExitError() error        { return p.how }

// Accept, Close and Addr make it a net.Listener.
func (p *proc) Accept() (net.Conn, error) {
	select {
	case conn := <-p.dialed:
		return conn, nil
	case <-p.exited:
		return nil, net.ErrClosed
	}
}

func (p *proc) Close() error   { return nil }
func (p *proc) Addr() net.Addr { return &net.UnixAddr{Name: p.host(), Net: "memory"} }
