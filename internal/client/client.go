// Package client speaks the runner's HTTP API, version 1: one method per
// route, the bodies are the types of package api.
//
// What is special about it stands in a few files: endpoint.go says how to
// reach a runner, connection.go makes sure that it is the runner meant before
// anything is asked, and jobs.go holds the snapshot that lets one list request
// serve a thousand reads; follow.go stays with a run until it has ended,
// through restarts of its runner, and pages.go walks lists. What the answers
// mean for a Terraform resource or a command is decided by the callers.
package client

import (
	"cmp"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/retryhttp"
)

// DefaultTimeout is that of one request.
const DefaultTimeout = 30 * time.Second

// connections is the pool of one client: Terraform works on ten resources at
// a time.
const connections = 10

// Options are the settings of a Client.
type Options struct {
	Endpoint string // unix:///path, http://host:port (loopback only) or https://host:port
	Token    string // bearer token; none on a socket, where file permissions decide
	// RunnerID pins the runner: an endpoint is not an identity. Empty takes
	// whoever answers first, and stays with it.
	RunnerID string
	Timeout  time.Duration // of one request; 0 is DefaultTimeout
	Actor    string        // who writes, for the runner's history: "terraform", "cli:alice"
	Owner    string        // whose jobs these are; the runner refuses the writes of others
	// Source and TokenSource name the settings that gave Endpoint and Token,
	// so that an error tells what to correct.
	Source      string
	TokenSource string
}

// Client talks to one runner. It dials on first use, never before, and may be
// used by any number of goroutines.
type Client struct {
	options   Options
	endpoint  endpoint
	transport *http.Transport
	streams   *http.Transport // for answers that take as long as a run: they don't use up the pool
	http      *retryhttp.Client
	info      atomic.Pointer[api.Info] // what the runner said on the newest connection
	snapshot  snapshot
	silence   silence
}

// New makes a Client; it only checks how the endpoint is written.
func New(o Options) (*Client, error) {
	o.Source = cmp.Or(o.Source, "endpoint")
	o.TokenSource = cmp.Or(o.TokenSource, "token")
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	at, err := parseEndpoint(o.Endpoint)
	if err != nil {
		return nil, api.Errorf(api.CodeInvalid, "correct "+o.Source, "endpoint %q %v", o.Endpoint, err)
	}
	c := &Client{options: o, endpoint: at, transport: retryhttp.NewTransport(connections)}
	c.transport.Proxy = nil // a proxy would be greeted as if it were the runner
	dial := (&net.Dialer{Timeout: min(o.Timeout, 10*time.Second)}).DialContext
	c.transport.DialContext = c.greeted(dial, false)
	c.transport.DialTLSContext = c.greeted(dial, true)
	c.streams = c.transport.Clone()
	c.streams.MaxConnsPerHost = 0
	c.http = retryhttp.New(retryhttp.Options{Transport: c.transport, Timeout: o.Timeout})
	c.snapshot.turn = make(chan struct{}, 1)
	return c, nil
}

// Endpoint is where the client's runner is, as it was given.
func (c *Client) Endpoint() string { return c.options.Endpoint }

// Close gives back the connections that are idle.
func (c *Client) Close() {
	c.transport.CloseIdleConnections()
	c.streams.CloseIdleConnections()
}
