package database_test

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy passes connections on to a server and cuts one at a word of the
// client's.
type proxy struct {
	address string
	server  string
	cuts    atomic.Int64

	mu    sync.Mutex
	word  []byte // of the message that ends the connection; nil for none
	heard bool   // whether the server gets it
}

func newProxy(t *testing.T, server string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{address: listener.Addr().String(), server: server}
	var connections sync.WaitGroup
	accepting := make(chan struct{})
	go func() {
		defer close(accepting)
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Go(func() { p.serve(client) })
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-accepting
		connections.Wait()
	})
	return p
}

// cutAt cuts the next connection whose client sends the word: with heard the
// server gets that message, and its answer is lost.
func (p *proxy) cutAt(word []byte, heard bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.word, p.heard = word, heard
}

// cut tells whether a message ends its connection, and whether it is sent.
func (p *proxy) cut(message []byte) (cut, heard bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.word == nil || !bytes.Contains(message, p.word) {
		return false, true
	}
	p.word = nil
	p.cuts.Add(1)
	return true, p.heard
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close() //nolint:errcheck // connections end all the time here
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close() //nolint:errcheck // connections end all the time here
	var silent atomic.Bool
	answers := make(chan struct{})
	go func() {
		defer close(answers)
		defer client.Close() //nolint:errcheck // connections end all the time here
		relay(server, func(message []byte) bool {
			if silent.Load() {
				return false // the answer to what was cut: the server is done with it
			}
			_, err := client.Write(message)
			return err == nil
		})
	}()
	relay(client, func(message []byte) bool {
		cut, heard := p.cut(message)
		silent.Store(cut)
		if heard {
			if _, err := server.Write(message); err != nil {
				return false
			}
		}
		if cut && heard {
			<-answers
		}
		return !cut
	})
	_ = server.Close()
	<-answers
}

// relay reads until it is told to stop.
func relay(from net.Conn, pass func([]byte) bool) {
	buffer := make([]byte, 1<<20)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !pass(buffer[:n]) || err != nil {
			return
		}
	}
}
