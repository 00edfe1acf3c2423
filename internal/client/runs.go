package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Info asks the runner about itself.
func (c *Client) Info(ctx context.Context) (api.Info, error) {
	var info api.Info
	err := c.do(ctx, &call{method: http.MethodGet, path: "/v1/info", into: &info})
	return info, err
}

// RunnerID is the id of the runner that this client talks to.
func (c *Client) RunnerID(ctx context.Context) (string, error) {
	if id := c.pinned(); id != "" {
		return id, nil
	}
	info, err := c.Info(ctx)
	return info.RunnerID, err
}

// Ready asks once whether the runner takes work.
func (c *Client) Ready(ctx context.Context) error {
	return c.do(ctx, &call{method: http.MethodGet, path: "/readyz", once: true})
}

// Run asks for one run.
func (c *Client) Run(ctx context.Context, id string) (api.Run, error) {
	var run api.Run
	err := c.do(ctx, &call{method: http.MethodGet, path: runPath(id), into: &run})
	return run, err
}

// MiniBatches lists a run's mini-batches above a number; limit 0 is the
// runner's own.
func (c *Client) MiniBatches(ctx context.Context, id string, after int64, limit int) ([]api.MiniBatch, error) {
	query := url.Values{}
	if after > 0 {
		query.Set("after", strconv.FormatInt(after, 10))
	}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	var answer struct {
		MiniBatches []api.MiniBatch `json:"mini_batches"`
	}
	err := c.do(ctx, &call{method: http.MethodGet, path: runPath(id) + "/mini-batches", query: query, into: &answer})
	return answer.MiniBatches, err
}

// DeadLetters lists a run's dead letters.
func (c *Client) DeadLetters(ctx context.Context, id string) ([]api.DeadLetter, error) {
	var answer struct {
		DeadLetters []api.DeadLetter `json:"dead_letters"`
	}
	err := c.do(ctx, &call{method: http.MethodGet, path: runPath(id) + "/dead-letters", into: &answer})
	return answer.DeadLetters, err
}

// Why explains a run's state.
func (c *Client) Why(ctx context.Context, id string) (api.Why, error) {
	var why api.Why
	err := c.do(ctx, &call{method: http.MethodGet, path: runPath(id) + "/why", into: &why})
	return why, err
}

// Logs is what the prediction server of a run wrote.
func (c *Client) Logs(ctx context.Context, id string) ([]byte, error) {
	r := &call{method: http.MethodGet, path: runPath(id) + "/logs"}
	err := c.do(ctx, r)
	return r.text, err
}

// Retry continues a run over the same plan.
func (c *Client) Retry(ctx context.Context, id string) (api.Run, error) {
	return c.act(ctx, id, "retry", nil)
}

// Cancel ends a run; nothing is published.
func (c *Client) Cancel(ctx context.Context, id string) (api.Run, error) {
	return c.act(ctx, id, "cancel", nil)
}

// Accept publishes what a withheld run has.
func (c *Client) Accept(ctx context.Context, id, reason string) (api.Run, error) {
	return c.act(ctx, id, "accept", api.Accept{Reason: reason})
}

func (c *Client) act(ctx context.Context, id, verb string, body any) (api.Run, error) {
	var run api.Run
	err := c.do(ctx, &call{method: http.MethodPost, path: runPath(id) + "/" + verb, body: body, into: &run, once: true})
	return run, err
}

// Doctor checks the runner's surroundings, and those of one job where named.
func (c *Client) Doctor(ctx context.Context, job string) ([]api.Check, error) {
	query := url.Values{}
	if job != "" {
		query.Set("job", job)
	}
	var answer struct{ Checks []api.Check }
	err := c.do(ctx, &call{method: http.MethodGet, path: "/v1/doctor", query: query, into: &answer})
	return answer.Checks, err
}

func runPath(id string) string { return "/v1/runs/" + url.PathEscape(id) }
