package predicttest

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/retryhttp"
)

// MemoryURL is the address of a server that is reached by its RoundTripper.
const MemoryURL = "http://predicttest"

// Listen serves on a free loopback port until the test ends, and gives the
// address.
func (s *Server) Listen(t testing.TB) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen for a prediction server: %v", err)
	}
	s.serve(t, listener)
	return "http://" + listener.Addr().String()
}

// RoundTripper gives a transport that reaches the server over in-memory
// connections, at MemoryURL, until the test ends. It holds up to connections
// of them. In a testing/synctest bubble make the Server, too, in the bubble.
func (s *Server) RoundTripper(t testing.TB, connections int) *http.Transport {
	t.Helper()
	s.mu.Lock()
	if s.memory == nil {
		s.memory = newMemory()
		s.serve(t, s.memory)
	}
	memory := s.memory
	s.mu.Unlock()
	transport := retryhttp.NewTransport(connections)
	transport.Proxy = nil
	transport.DialContext = memory.dial
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func (s *Server) serve(t testing.TB, listener net.Listener) {
	server := &http.Server{
		Handler:   s,
		ErrorLog:  log.New(io.Discard, "", 0),
		ConnState: s.connState,
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
}

func (s *Server) connState(_ net.Conn, state http.ConnState) {
	if state == http.StateNew {
		s.mu.Lock()
		s.dials++
		s.mu.Unlock()
	}
}

// memory is a listener of in-memory connections.
type memory struct {
	dialed chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newMemory() *memory {
	return &memory{dialed: make(chan net.Conn), closed: make(chan struct{})}
}

func (m *memory) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case m.dialed <- server:
		return client, nil
	case <-m.closed:
		return nil, &net.OpError{Op: "dial", Net: network, Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case conn := <-m.dialed:
		return conn, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

func (m *memory) Addr() net.Addr { return &net.UnixAddr{Name: "predicttest", Net: "memory"} }
