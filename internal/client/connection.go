package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// maxGreeting is the longest answer to GET /v1/info that is read.
const maxGreeting = 64 << 10

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// dialError tells that no connection came about, so that nothing was sent on
// it: trying again at once can't help.
type dialError struct{ error }

func (e dialError) Unwrap() error { return e.error }

// greeted makes a dialer whose connections lead to the runner meant: before
// the first request, each asks GET /v1/info and compares API and runner id.
// So a runner that was replaced at the same address is noticed on reconnect,
// and never asked for what the other one kept.
func (c *Client) greeted(dial dialer, secure bool) dialer {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := c.connect(ctx, dial, secure)
		if err != nil {
			return nil, dialError{err}
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
		err = c.greet(conn)
		if !stop() && err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			_ = conn.Close()
			return nil, dialError{err}
		}
		return conn, nil
	}
}

func (c *Client) connect(ctx context.Context, dial dialer, secure bool) (net.Conn, error) {
	address := c.endpoint.address
	if c.endpoint.network == "unix" {
		short, done, err := shortSocket(address)
		if err != nil {
			return nil, err
		}
		defer done()
		address = short
	}
	conn, err := dial(ctx, c.endpoint.network, address)
	if err != nil || !secure {
		return conn, err
	}
	wrapped := tls.Client(conn, &tls.Config{ServerName: c.endpoint.host, MinVersion: tls.VersionTLS12})
	if err := wrapped.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return wrapped, nil
}

func (c *Client) greet(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(c.options.Timeout)); err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodGet, c.endpoint.base+"/v1/info", nil)
	if err != nil {
		return err
	}
	req.Header = c.header()
	if err := req.Write(conn); err != nil {
		return err
	}
	reader := bufio.NewReader(conn)
	resp, err := http.ReadResponse(reader, req)
	if err != nil {
		return fmt.Errorf("no HTTP answer: %w", err)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxGreeting))
	if err == nil {
		err = resp.Body.Close()
	}
	if err != nil {
		return err
	}
	info, err := c.judge(resp.StatusCode, body)
	if err != nil {
		return err
	}
	if resp.Close || reader.Buffered() > 0 {
		return errors.New("the connection can't be used after the first answer")
	}
	c.info.Store(info)
	return conn.SetDeadline(time.Time{})
}

// judge says whether the answer to GET /v1/info is that of the runner meant.
func (c *Client) judge(status int, body []byte) (*api.Info, error) {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusServiceUnavailable:
		return nil, c.problem(status, body)
	case status != http.StatusOK:
		return nil, c.stranger("GET /v1/info is answered with status %d", status)
	}
	var info api.Info
	if err := json.Unmarshal(body, &info); err != nil || info.RunnerID == "" {
		return nil, c.stranger("GET /v1/info is not answered like a runner does")
	}
	if info.API != api.Version {
		return nil, api.Errorf(api.CodeOldRunner, "use versions of provider, command line and runner that belong together",
			"the runner at %s speaks API %q, this program %q", c.options.Endpoint, info.API, api.Version)
	}
	if pinned := c.pinned(); pinned != "" && info.RunnerID != pinned {
		return nil, c.stranger("runner %s answers, runner %s is meant", info.RunnerID, pinned)
	}
	return &info, nil
}

// pinned is the only runner this client talks to, once it is known.
func (c *Client) pinned() string {
	if c.options.RunnerID != "" {
		return c.options.RunnerID
	}
	if info := c.info.Load(); info != nil {
		return info.RunnerID
	}
	return ""
}

func (c *Client) stranger(format string, args ...any) *api.Error {
	return api.Errorf(api.CodeOtherRunner, "check "+c.options.Source+", and what listens there",
		"another runner than the one meant is at %s (from %s): %s", c.options.Endpoint, c.options.Source, fmt.Sprintf(format, args...))
}
