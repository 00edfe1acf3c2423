package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

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

// RunFilter says which runs are meant; the zero value is all of them.
type RunFilter struct {
	Job     string // of one job, the newest occurrence first; otherwise the last queued first
	States  []api.RunState
	Origins []api.Origin
	Since   time.Time // occurrences from here on
	Until   time.Time // occurrences up to here
}

func (f RunFilter) query(p Paging) url.Values {
	query := p.query()
	set := func(name, value string) {
		if value != "" {
			query.Set(name, value)
		}
	}
	set("job", f.Job)
	set("state", joined(f.States))
	set("origin", joined(f.Origins))
	for name, at := range map[string]time.Time{"since": f.Since, "until": f.Until} {
		if !at.IsZero() {
			query.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	return query
}

func joined[T ~string](words []T) string {
	var b strings.Builder
	for i, word := range words {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(string(word))
	}
	return b.String()
}

// Runs lists runs.
func (c *Client) Runs(ctx context.Context, filter RunFilter, p Paging) (Page[api.Run], error) {
	var answer struct {
		Runs []api.Run
		Next string
	}
	err := c.get(ctx, "/v1/runs", filter.query(p), &answer)
	return Page[api.Run]{answer.Runs, answer.Next}, err
}

// AllRuns lists runs to the last.
func (c *Client) AllRuns(ctx context.Context, filter RunFilter) iter.Seq2[api.Run, error] {
	return walk(func(p Paging) (Page[api.Run], error) { return c.Runs(ctx, filter, p) })
}

// MiniBatches lists a run's mini-batches by number.
func (c *Client) MiniBatches(ctx context.Context, id string, p Paging) (Page[api.MiniBatch], error) {
	var answer struct {
		MiniBatches []api.MiniBatch `json:"mini_batches"`
		Next        string
	}
	err := c.get(ctx, runPath(id)+"/mini-batches", p.query(), &answer)
	return Page[api.MiniBatch]{answer.MiniBatches, answer.Next}, err
}

// AllMiniBatches lists a run's mini-batches to the last.
func (c *Client) AllMiniBatches(ctx context.Context, id string) iter.Seq2[api.MiniBatch, error] {
	return walk(func(p Paging) (Page[api.MiniBatch], error) { return c.MiniBatches(ctx, id, p) })
}

// DeadLetters lists a run's dead letters in input order.
func (c *Client) DeadLetters(ctx context.Context, id string, p Paging) (Page[api.DeadLetter], error) {
	var answer struct {
		DeadLetters []api.DeadLetter `json:"dead_letters"`
		Next        string
	}
	err := c.get(ctx, runPath(id)+"/dead-letters", p.query(), &answer)
	return Page[api.DeadLetter]{answer.DeadLetters, answer.Next}, err
}

// AllDeadLetters lists a run's dead letters to the last.
func (c *Client) AllDeadLetters(ctx context.Context, id string) iter.Seq2[api.DeadLetter, error] {
	return walk(func(p Paging) (Page[api.DeadLetter], error) { return c.DeadLetters(ctx, id, p) })
}

// Events lists a run's history, the oldest first.
func (c *Client) Events(ctx context.Context, id string, p Paging) (Page[api.Event], error) {
	var answer struct {
		Events []api.Event
		Next   string
	}
	err := c.get(ctx, runPath(id)+"/events", p.query(), &answer)
	return Page[api.Event]{answer.Events, answer.Next}, err
}

// AllEvents lists a run's history to the newest.
func (c *Client) AllEvents(ctx context.Context, id string) iter.Seq2[api.Event, error] {
	return walk(func(p Paging) (Page[api.Event], error) { return c.Events(ctx, id, p) })
}

// RunAttempts lists the passes of a run over its plan, the first one first.
func (c *Client) RunAttempts(ctx context.Context, id string) ([]api.RunAttempt, error) {
	var answer struct{ Attempts []api.RunAttempt }
	err := c.get(ctx, runPath(id)+"/attempts", nil, &answer)
	return answer.Attempts, err
}

// MiniBatchAttempts lists the attempts at a mini-batch that have ended, the
// first one first.
func (c *Client) MiniBatchAttempts(ctx context.Context, id string, number int64) ([]api.MiniBatchAttempt, error) {
	var answer struct{ Attempts []api.MiniBatchAttempt }
	err := c.get(ctx, runPath(id)+"/mini-batches/"+strconv.FormatInt(number, 10)+"/attempts", nil, &answer)
	return answer.Attempts, err
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
func (c *Client) Retry(ctx context.Context, id string, ask api.RetryRun) (api.Run, error) {
	return c.act(ctx, id, "retry", ask)
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

// Doctor checks the runner's surroundings, and those of one job where named. To
// try is to write what a run would, and to remove it.
func (c *Client) Doctor(ctx context.Context, job string, try bool) ([]api.Check, error) {
	query, method := url.Values{}, http.MethodGet
	if try {
		method = http.MethodPost
	}
	if job != "" {
		query.Set("job", job)
	}
	var answer struct{ Checks []api.Check }
	err := c.do(ctx, &call{method: method, path: "/v1/doctor", query: query, into: &answer})
	return answer.Checks, err
}

func runPath(id string) string { return "/v1/runs/" + url.PathEscape(id) }
