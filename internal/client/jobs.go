package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"sync"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Condition makes a PUT conditional.
type Condition struct {
	Create  bool   // only if no job of that name is there
	IfMatch int64  // only if this is still the generation; 0 is any
	Key     string // Idempotency-Key of a Create
}

// snapshot is the list of all jobs, kept from the first Snapshot on until this
// client writes.
type snapshot struct {
	turn chan struct{} // held by the one who lists

	mu     sync.Mutex
	writes int64
	jobs   map[string]api.StoredJob
}

func (s *snapshot) get() (map[string]api.StoredJob, int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.jobs, s.writes
}

// put keeps a list, unless something was written since it was asked for.
func (s *snapshot) put(jobs map[string]api.StoredJob, writes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writes == writes {
		s.jobs = jobs
	}
}

func (s *snapshot) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	s.jobs = nil
}

// Jobs lists all jobs.
func (c *Client) Jobs(ctx context.Context) ([]api.StoredJob, error) {
	var answer struct{ Jobs []api.StoredJob }
	err := c.do(ctx, &call{method: http.MethodGet, path: "/v1/jobs", into: &answer})
	return answer.Jobs, err
}

// Job asks for one job.
func (c *Client) Job(ctx context.Context, name string) (api.StoredJob, error) {
	var job api.StoredJob
	err := c.do(ctx, &call{method: http.MethodGet, path: jobPath(name), into: &job})
	return job, err
}

// Snapshot is Job for those who read many: the first call lists all jobs, the
// others are served from that list, until this client writes. That a job is
// gone is never concluded from the list: it may be newer.
func (c *Client) Snapshot(ctx context.Context, name string) (api.StoredJob, error) {
	jobs, _ := c.snapshot.get()
	if jobs == nil {
		var err error
		if jobs, err = c.list(ctx); err != nil {
			return api.StoredJob{}, err
		}
	}
	if job, ok := jobs[name]; ok {
		return job, nil
	}
	return c.Job(ctx, name)
}

func (c *Client) list(ctx context.Context) (map[string]api.StoredJob, error) {
	select {
	case c.snapshot.turn <- struct{}{}:
		defer func() { <-c.snapshot.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	jobs, writes := c.snapshot.get()
	if jobs != nil {
		return jobs, nil // listed while waiting for the turn
	}
	all, err := c.Jobs(ctx)
	if err != nil {
		return nil, err
	}
	jobs = make(map[string]api.StoredJob, len(all))
	for _, job := range all {
		jobs[job.Spec.Name] = job
	}
	c.snapshot.put(jobs, writes)
	return jobs, nil
}

// PutJob registers or changes a job; created tells which.
func (c *Client) PutJob(ctx context.Context, name string, body api.PutJob, cond Condition) (job api.StoredJob, created bool, err error) {
	defer c.snapshot.forget()
	r := &call{method: http.MethodPut, path: jobPath(name), body: body, into: &job, header: map[string]string{"Idempotency-Key": cond.Key}}
	if cond.Create {
		r.header["If-None-Match"] = "*"
	}
	if cond.IfMatch != 0 {
		r.header["If-Match"] = strconv.Quote(strconv.FormatInt(cond.IfMatch, 10))
	}
	err = c.do(ctx, r)
	return job, r.status == http.StatusCreated, err
}

// DeleteJob buries a job, or removes it with its history.
func (c *Client) DeleteJob(ctx context.Context, name string, purge bool) error {
	defer c.snapshot.forget()
	r := &call{method: http.MethodDelete, path: jobPath(name), header: map[string]string{"Batch-Owner": c.options.Owner}}
	if purge {
		r.query = url.Values{"purge": {"true"}}
	}
	return c.do(ctx, r)
}

// Statuses tells how all jobs are.
func (c *Client) Statuses(ctx context.Context) ([]api.JobStatus, error) {
	var answer struct{ Jobs []api.JobStatus }
	err := c.do(ctx, &call{method: http.MethodGet, path: "/v1/status", into: &answer})
	return answer.Jobs, err
}

// Status tells how a job is.
func (c *Client) Status(ctx context.Context, name string) (api.JobStatus, error) {
	var status api.JobStatus
	err := c.do(ctx, &call{method: http.MethodGet, path: jobPath(name) + "/status", into: &status})
	return status, err
}

// Decisions lists what was decided about a job's occurrences, newest first.
func (c *Client) Decisions(ctx context.Context, name string, limit int) ([]api.Decision, error) {
	var answer struct{ Decisions []api.Decision }
	err := c.do(ctx, &call{method: http.MethodGet, path: jobPath(name) + "/decisions", query: limited(limit), into: &answer})
	return answer.Decisions, err
}

// History tells how a job's specification came about, the newest generation
// first.
func (c *Client) History(ctx context.Context, name string, p Paging) (Page[api.Generation], error) {
	var answer struct {
		Generations []api.Generation
		Next        string
	}
	err := c.get(ctx, jobPath(name)+"/history", p.query(), &answer)
	return Page[api.Generation]{answer.Generations, answer.Next}, err
}

// Ledger lists what a job's runs owe its next one, the oldest first.
func (c *Client) Ledger(ctx context.Context, name string, p Paging) (Page[api.OwedSlice], error) {
	var answer struct {
		Owed []api.OwedSlice
		Next string
	}
	err := c.get(ctx, jobPath(name)+"/ledger", p.query(), &answer)
	return Page[api.OwedSlice]{answer.Owed, answer.Next}, err
}

// Costs tells what the prediction servers of a month came to, by job; month is
// written "2026-11", empty is the current one. An empty job is all of them.
func (c *Client) Costs(ctx context.Context, month, job string) ([]api.Cost, error) {
	query := url.Values{}
	for name, value := range map[string]string{"month": month, "job": job} {
		if value != "" {
			query.Set(name, value)
		}
	}
	var answer struct{ Costs []api.Cost }
	err := c.get(ctx, "/v1/cost", query, &answer)
	return answer.Costs, err
}

// StartRun triggers a run; with a key that was used before, it gives the run
// that key made.
func (c *Client) StartRun(ctx context.Context, name string, trigger api.Trigger, key string) (run api.Run, created bool, err error) {
	created, err = c.create(ctx, jobPath(name)+"/runs", trigger, key, &run)
	return run, created, err
}

// create asks for something new below a job; created is false where the key
// made it before. Without a key it is sent only once.
func (c *Client) create(ctx context.Context, path string, body any, key string, into any) (created bool, err error) {
	r := &call{
		method: http.MethodPost, path: path, body: body, into: into,
		header: map[string]string{"Idempotency-Key": key}, once: key == "",
	}
	err = c.do(ctx, r)
	return r.status == http.StatusCreated, err
}

func jobPath(name string) string { return "/v1/jobs/" + url.PathEscape(name) }

func limited(limit int) url.Values {
	if limit <= 0 {
		return nil
	}
	return url.Values{"limit": {strconv.Itoa(limit)}}
}
