package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Hold makes the runner skip what falls due for a job until it is released;
// a job that is held already gets the new reason.
func (c *Client) Hold(ctx context.Context, name, reason string) (api.JobStatus, error) {
	defer c.snapshot.forget() // it tells who holds a job
	return c.direct(ctx, name, "hold", api.HoldJob{Reason: reason})
}

// Release ends a hold.
func (c *Client) Release(ctx context.Context, name string) (api.JobStatus, error) {
	defer c.snapshot.forget()
	return c.direct(ctx, name, "release", nil)
}

// SetCursor moves the instant up to which a job's occurrences are decided; to
// is "now" or an instant.
func (c *Client) SetCursor(ctx context.Context, name, to string) (api.JobStatus, error) {
	return c.direct(ctx, name, "cursor", api.SetCursor{To: to})
}

// direct tells a job what to do, once: sent again, it would mean another thing.
func (c *Client) direct(ctx context.Context, name, verb string, body any) (api.JobStatus, error) {
	var status api.JobStatus
	err := c.do(ctx, &call{method: http.MethodPost, path: jobPath(name) + "/" + verb, body: body, into: &status, once: true})
	return status, err
}

// Rerun queues an occurrence once more; with a key that was used before, it
// gives the run that key made.
func (c *Client) Rerun(ctx context.Context, name string, ask api.Rerun, key string) (run api.Run, created bool, err error) {
	created, err = c.create(ctx, jobPath(name)+"/reruns", ask, key, &run)
	return run, created, err
}

// Backfill queues runs for a range of past occurrences, or only tells what it
// would do. With a key that was used before, it gives the backfill that key
// made.
func (c *Client) Backfill(ctx context.Context, name string, ask api.AskBackfill, key string) (backfill api.Backfill, created bool, err error) {
	created, err = c.create(ctx, jobPath(name)+"/backfills", ask, key, &backfill)
	return backfill, created, err
}

// Backfills lists a job's backfills, newest first; limit 0 is the runner's
// own.
func (c *Client) Backfills(ctx context.Context, name string, limit int) ([]api.Backfill, error) {
	var answer struct{ Backfills []api.Backfill }
	err := c.do(ctx, &call{method: http.MethodGet, path: jobPath(name) + "/backfills", query: limited(limit), into: &answer})
	return answer.Backfills, err
}

// CancelBackfill ends a backfill: what has no run yet gets none, runs go on.
func (c *Client) CancelBackfill(ctx context.Context, name, id string) (api.Backfill, error) {
	var backfill api.Backfill
	path := jobPath(name) + "/backfills/" + url.PathEscape(id) + "/cancel"
	err := c.do(ctx, &call{method: http.MethodPost, path: path, into: &backfill, once: true})
	return backfill, err
}
