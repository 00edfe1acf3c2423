package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// maxProblem is how much of an answer other than 2xx is read.
const maxProblem = 64 << 10

// stream asks for an answer of any length, which the caller reads and closes.
// No time is set for it: ctx ends it.
func (c *Client) stream(ctx context.Context, path string, query url.Values, header map[string]string) (io.ReadCloser, error) {
	address := c.endpoint.base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", path, err)
	}
	req.Header = c.header()
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := c.streams.RoundTrip(req)
	if ctx.Err() != nil && err != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, c.unreachable(err)
	}
	if resp.StatusCode != http.StatusOK {
		defer func() { _ = resp.Body.Close() }() // the status is the error
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
		return nil, c.problem(resp.StatusCode, body)
	}
	return resp.Body, nil
}

// Backup copies the runner's store to w, as it is at one moment. After an
// error, what was written is not a whole copy.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	body, err := c.stream(ctx, "/v1/backup", nil, map[string]string{"Accept": "*/*"})
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // only read
	if _, err := io.Copy(w, body); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("copy the runner's store: %w", err)
	}
	return nil
}
