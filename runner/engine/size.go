package engine

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync/atomic"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// requestSize is the number of records per request. Within a run it only
// shrinks, when the server says that a request was too large.
type requestSize struct{ rows atomic.Int64 }

func newRequestSize(rows int64) *requestSize {
	s := &requestSize{}
	s.rows.Store(rows)
	return s
}

func (s *requestSize) current() int64 { return s.rows.Load() }

// shrink lowers the size to at most rows, and at least one record.
func (s *requestSize) shrink(rows int64) {
	for {
		now := s.rows.Load()
		if now <= rows || s.rows.CompareAndSwap(now, max(rows, 1)) {
			return
		}
	}
}

func (x *execution) rowsPerRequest() int64 {
	x.resolving.Lock()
	defer x.resolving.Unlock()
	if x.plan.RowsPerRequest > 0 {
		return x.plan.RowsPerRequest
	}
	return x.mostRows()
}

// mostRows is how many records a request may hold, as the job says.
func (x *execution) mostRows() int64 {
	if x.wholeMiniBatches() {
		return *x.job.MiniBatch.Rows
	}
	return *x.job.Predict.RowsPerRequest
}

// shrink lowers the size of later requests, also of those to a server that is
// launched later in this run, and of the next run.
func (d *dispatcher) shrink(ctx context.Context, rows int64, cause error) error {
	if d.x.job.Predict.Requests == api.RequestsFixed {
		return api.Fail(api.Reason(api.ClassConfig), fmt.Sprintf(`lower predict.rows_per_request to %d or less, or set predict.requests = %q`, rows, api.RequestsAdaptive),
			fmt.Errorf("a request is too large for the server, and predict.requests is %q: %w", api.RequestsFixed, cause))
	}
	d.rows.shrink(rows)
	d.shrunk.Store(true)
	d.x.resolving.Lock()
	d.x.plan.RowsPerRequest = min(d.x.plan.RowsPerRequest, rows)
	rows = d.x.plan.RowsPerRequest
	d.x.resolving.Unlock()
	return d.x.e.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.ShrinkRequests(d.x.run.ID, rows); err != nil {
			return err
		}
		return tx.Learn(d.x.run.JobUID, d.x.learnedKey(), rows)
	})
}

// grow lets the next run begin with larger requests, where none was too large
// in this one.
func (d *dispatcher) grow(ctx context.Context) error {
	most, now := d.x.mostRows(), d.x.rowsPerRequest()
	if d.shrunk.Load() || now >= most || d.x.job.Predict.Requests == api.RequestsFixed {
		return nil
	}
	next := 2 * now
	if next >= most {
		next = 0 // nothing is left to remember
	}
	return d.x.e.Store.Write(ctx, func(tx *store.Tx) error { return tx.Learn(d.x.run.JobUID, d.x.learnedKey(), next) })
}

// firstRows is the size of requests that a run begins with: what the job says,
// or less where earlier runs found that the server takes less.
func (x *execution) firstRows() (int64, error) {
	rows := x.mostRows()
	if x.job.Predict.Requests == api.RequestsFixed {
		return rows, nil
	}
	learned, err := x.e.Store.Learned(x.run.JobUID, x.learnedKey())
	if learned > 0 {
		rows = min(rows, learned)
	}
	return rows, err
}

// learnedKey names the server and its model, for what is learned of them.
func (x *execution) learnedKey() string {
	p := x.job.Predict
	what := []any{p.Protocol, p.Model}
	if p.Server != nil {
		what = append(what, p.Server.Command)
	}
	if p.Endpoint != nil {
		what = append(what, p.Endpoint.URL)
	}
	if p.Program != nil {
		what = append(what, p.Program.Command, p.Program.Per)
	}
	text, err := json.Marshal(what)
	if err != nil {
		return "" // can't be: strings always marshal
	}
	return fmt.Sprintf("%x", sha256.Sum256(text))
}
