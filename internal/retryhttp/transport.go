package retryhttp

import (
	"net"
	"net/http"
	"time"
)

// NewTransport makes a transport that keeps as many connections to a host as
// it may open: with fewer idle ones than open ones, each request beyond the
// pool costs a new connection. It speaks HTTP/1.1, where one connection is one
// request in flight. The caller may set DialContext before the first use, and
// closes what is idle when done.
func NewTransport(connections int) *http.Transport {
	connections = max(connections, 1)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConns:          connections,
		MaxIdleConnsPerHost:   connections,
		MaxConnsPerHost:       connections,
		DisableCompression:    true, // a length that is announced is checked
		WriteBufferSize:       16 << 10,
		ReadBufferSize:        16 << 10,
		ExpectContinueTimeout: time.Second,
		Protocols:             protocols,
	}
}

// shielded hides CloseIdleConnections of a transport: retryablehttp calls it
// after every request it gives up, which would throw away the connections of
// all the others.
type shielded struct{ http.RoundTripper }
