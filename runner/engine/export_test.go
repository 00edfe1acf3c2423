package engine

import (
	"iter"
	"sync/atomic"

	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// Draining is closed once Stop has begun.
func (e *Engine) Draining() <-chan struct{} { return e.drain }

// Executing is the number of runs in slots.
func (e *Engine) Executing() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.running)
}

// CountReads counts the rows that filling the slots reads from now on, and the
// looks at the whole queue. It must be called before Start.
func (e *Engine) CountReads() *Reads {
	r := &Reads{queue: e.queue}
	e.queue = r
	return r
}

// Reads is a queue that counts.
type Reads struct {
	queue
	Rows, Looks atomic.Int64
}

func (r *Reads) UnderWay() ([]store.Run, error) {
	runs, err := r.queue.UnderWay()
	r.Rows.Add(int64(len(runs)))
	return runs, err
}

func (r *Reads) Runnable() iter.Seq2[store.Queued, error] {
	r.Looks.Add(1)
	return r.count(r.queue.Runnable())
}

func (r *Reads) RunnableOf(uid string) iter.Seq2[store.Queued, error] {
	return r.count(r.queue.RunnableOf(uid))
}

func (r *Reads) count(runs iter.Seq2[store.Queued, error]) iter.Seq2[store.Queued, error] {
	return func(yield func(store.Queued, error) bool) {
		for run, err := range runs {
			r.Rows.Add(1)
			if !yield(run, err) {
				return
			}
		}
	}
}

// KnowPlanFormat has the engine read plans of another format; whether it goes
// on with their parts is told by goesOn.
func KnowPlanFormat(format int64, goesOn bool) (forget func()) {
	planFormats[format] = goesOn
	return func() { delete(planFormats, format) }
}
