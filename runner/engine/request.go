package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/predict"
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
	return *x.job.Predict.RowsPerRequest
}

func (x *execution) planColumns() []string {
	x.resolving.Lock()
	defer x.resolving.Unlock()
	return x.plan.Columns
}

// post sends one request. Where the server finds it too large, its halves are
// sent instead and later requests are no larger.
func (d *dispatcher) post(ctx context.Context, request *predict.Request, key string, m store.MiniBatch) ([]*predict.Response, error) {
	response, err := d.server.client.Predict(ctx, request, predict.Send{Key: key, Attempt: fmt.Sprint(m.Fence)})
	if err == nil {
		failpoint.Here("predict.sent")
		return []*predict.Response{response}, nil
	}
	refusal, ok := errors.AsType[*predict.Error](err)
	if !ok || refusal.Class != api.ClassTooLarge || request.Len() < 2 {
		return nil, err
	}
	half := request.Len() / 2
	if err := d.shrink(ctx, int64(half)); err != nil {
		return nil, err
	}
	var responses []*predict.Response
	for _, span := range [][2]int{{0, half}, {half, request.Len()}} {
		part := request.Slice(span[0], span[1])
		answers, err := d.post(ctx, part, fmt.Sprintf("%s/%d-%d", key, span[0], span[1]-span[0]), m)
		part.Release()
		if err != nil {
			for _, answer := range responses {
				answer.Release()
			}
			return nil, err
		}
		responses = append(responses, answers...)
	}
	return responses, nil
}

// shrink lowers the size of later requests, also of those to a server that is
// launched later in this run.
func (d *dispatcher) shrink(ctx context.Context, rows int64) error {
	d.rows.shrink(rows)
	d.x.resolving.Lock()
	d.x.plan.RowsPerRequest = min(d.x.plan.RowsPerRequest, rows)
	d.x.resolving.Unlock()
	return d.x.e.Store.Write(ctx, func(tx *store.Tx) error { return tx.ShrinkRequests(d.x.run.ID, rows) })
}

// sample reads the features of the plan's first good records, for the
// warm-up.
func (x *execution) sample(ctx context.Context, n int) ([][]format.Value, error) {
	head, err := x.e.Store.MiniBatches(x.run.ID, 0, 1)
	if err != nil || len(head) == 0 {
		return nil, err
	}
	pinned := x.files[head[0].File]
	file, err := pinned.Open()
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // read only
	reader, err := pinned.Records(file, head[0].Offset, head[0].Length, head[0].FirstLine, x.job.Predict.Features.Columns)
	if err != nil {
		return nil, err
	}
	var records [][]format.Value
	for len(records) < n && ctx.Err() == nil {
		record, err := reader.Read()
		if err != nil {
			break // the end; what is wrong with the file its mini-batch will say
		}
		if record.Bad == nil {
			records = append(records, cloneValues(record.Values))
		}
	}
	return records, nil
}

func cloneValues(values []format.Value) []format.Value {
	cloned := make([]format.Value, len(values))
	for i, value := range values {
		cloned[i] = format.Value{Bytes: append([]byte(nil), value.Bytes...), JSON: value.JSON}
	}
	return cloned
}
