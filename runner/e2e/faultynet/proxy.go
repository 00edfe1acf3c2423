// Package faultynet is a network that fails, for tests: a TCP proxy that
// delays, resets, cuts and forgets connections. It knows nothing of what they
// carry, and passes on unchanged what it passes on.
package faultynet

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Fault is what befalls a connection.
type Fault string

// The faults. They strike once a number of answered bytes has passed; one of
// Latency lasts so long and then ends like Cut.
const (
	None     Fault = "none"
	Latency  Fault = "latency"   // each piece of the answer comes late
	Reset    Fault = "reset"     // RST, where an answer is under way
	Cut      Fault = "cut"       // an orderly end in the middle of an answer
	HalfOpen Fault = "half-open" // nothing passes any more, and nobody says so
)

// Proxy passes connections on to a target until Close.
type Proxy struct {
	target   string
	listener net.Listener
	draw     func() (Fault, int64)

	mu     sync.Mutex
	conns  map[net.Conn]bool
	struck map[Fault]int
	done   chan struct{}
	all    sync.WaitGroup
}

// Listen makes a proxy on a free loopback port. draw is asked for each
// connection what befalls it, and after how many bytes; nil draws nothing.
func Listen(target string, draw func() (Fault, int64)) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if draw == nil {
		draw = func() (Fault, int64) { return None, 0 }
	}
	p := &Proxy{target: target, listener: listener, draw: draw, conns: map[net.Conn]bool{}, struck: map[Fault]int{}, done: make(chan struct{})}
	p.all.Go(p.accept)
	return p, nil
}

// Draw gives random faults, one after some kilobytes for each connection.
func Draw(seed uint64) func() (Fault, int64) {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 0))
	return func() (Fault, int64) {
		mu.Lock()
		defer mu.Unlock()
		faults := []Fault{Latency, Reset, Cut, HalfOpen}
		return faults[random.IntN(len(faults))], random.Int64N(4000)
	}
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Struck counts the faults that befell a connection.
func (p *Proxy) Struck() map[Fault]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	struck := map[Fault]int{}
	for fault, n := range p.struck {
		struck[fault] = n
	}
	return struck
}

// Close ends the proxy and its connections.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	close(p.done)
	p.mu.Lock()
	for conn := range p.conns {
		_ = conn.Close() // it may have ended
	}
	p.mu.Unlock()
	p.all.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.all.Go(func() { p.pass(client) })
	}
}

// pass carries one connection, the answers through its fault.
func (p *Proxy) pass(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = client.Close() // as refused as it can be here
		return
	}
	p.keep(client, server)
	defer p.drop(client, server)
	fault, after := p.draw()
	p.all.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.(*net.TCPConn).CloseWrite() // the client has said all
	})
	if fault == None {
		_, _ = io.Copy(client, server)
		return
	}
	if fault == Latency {
		p.count(fault)
		_, _ = io.CopyN(slow{client, p.done}, server, after+1)
		return
	}
	if n, err := io.CopyN(client, server, after); n < after || err != nil {
		return // it ended before its fault
	}
	one := make([]byte, 1) // the fault is one of an answer, not of an idle connection
	if _, err := io.ReadFull(server, one); err != nil {
		return
	}
	p.count(fault)
	switch fault {
	case Reset:
		_ = client.(*net.TCPConn).SetLinger(0)
	case HalfOpen:
		<-p.done
	}
}

func (p *Proxy) keep(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		p.conns[conn] = true
	}
}

func (p *Proxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close() // both ends end together
		delete(p.conns, conn)
	}
}

func (p *Proxy) count(fault Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.struck[fault]++
}

// slow is a connection whose bytes take their time.
type slow struct {
	net.Conn
	done <-chan struct{}
}

func (s slow) Write(b []byte) (int, error) {
	late := time.NewTimer(20 * time.Millisecond)
	defer late.Stop()
	select {
	case <-late.C:
		return s.Conn.Write(b)
	case <-s.done:
		return 0, errors.New("the proxy is closed")
	}
}
