package engine

import (
	"errors"
	"iter"
	"maps"

	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// queue is what the engine reads of the store to fill its slots. The queue may
// be long, so it comes in slot order and is read no further than slots are free.
type queue interface {
	// UnderWay lists the runs that have left the queue and have not ended.
	UnderWay() ([]store.Run, error)
	// Runnable gives the queued runs whose turn it is.
	Runnable() iter.Seq2[store.Queued, error]
	// RunnableOf is Runnable of one job.
	RunnableOf(uid string) iter.Seq2[store.Queued, error]
}

// turns holds the rules of who may start: as many runs as there are slots, one
// of a job at a time, but shared runs of a job beside each other.
type turns struct {
	free int             // slots
	busy map[string]bool // jobs with runs in slots; true: shared ones
}

// occupy notes a run that is in a slot.
func (t *turns) occupy(uid string, shared bool) {
	t.free--
	t.busy[uid] = shared
}

// take tells whether a run at the head of the queue may start, and if so gives
// it a slot.
func (t *turns) take(uid string, shared bool) bool {
	others, busy := t.busy[uid]
	if t.free <= 0 || busy && (!others || !shared) {
		return false
	}
	t.occupy(uid, shared)
	return true
}

// fillSlots starts what may start. The goroutine of schedule alone calls it, so
// what is in no slot now gets into one only here.
func (e *Engine) fillSlots() error {
	e.mu.Lock()
	executing, freed := maps.Clone(e.running), e.freed
	e.freed = map[string]bool{}
	e.mu.Unlock()
	changed := e.changed.Swap(false)

	if err := e.awaitInputs(); err != nil {
		return err
	}
	underWay, err := e.queue.UnderWay()
	if err != nil {
		return err
	}
	t := turns{free: e.MaxConcurrentRuns, busy: map[string]bool{}}
	for _, x := range executing {
		t.occupy(x.uid, x.shared)
	}
	for _, run := range underWay {
		if executing[run.ID] == nil {
			// Committing goes on, and what lost its execution is queued again.
			executing[run.ID] = e.start(run)
			t.occupy(run.JobUID, run.Shared)
		}
	}
	if changed || !e.exhausted {
		e.exhausted, err = e.startQueued(&t, executing, e.queue.Runnable())
		return err
	}
	// What was left in the queue waits for its job's turn. So only the jobs of
	// runs that have ended since have something to start.
	for uid := range freed {
		exhausted, err := e.startQueued(&t, executing, upToExclusive(e.queue.RunnableOf(uid)))
		if err != nil {
			return err
		}
		e.exhausted = e.exhausted && exhausted
	}
	return nil
}

// startQueued starts those of the runs that may start. It tells whether that
// exhausts them: all that is left waits for its job's turn.
func (e *Engine) startQueued(t *turns, executing map[string]*execution, runnable iter.Seq2[store.Queued, error]) (exhausted bool, err error) {
	var picked []store.Queued
	exhausted = true
	for queued, err := range runnable {
		if err != nil {
			return false, err
		}
		if t.free <= 0 {
			exhausted = false
			break
		}
		// What has just started may stand in the queue still.
		if executing[queued.ID] == nil && t.take(queued.UID, queued.Shared) {
			picked = append(picked, queued)
		}
	}
	for _, queued := range picked {
		run, err := e.Store.Run(queued.ID)
		if errors.Is(err, store.ErrNotFound) {
			continue // purged with its job
		}
		if err != nil {
			return false, err
		}
		waits, err := e.waitsForInput(run, queued)
		if err != nil {
			return false, err
		}
		if !waits {
			executing[queued.ID] = e.start(run)
		}
	}
	return exhausted, nil
}

// upToExclusive ends the runs of one job with the first that must be alone:
// those behind it have to wait.
func upToExclusive(runs iter.Seq2[store.Queued, error]) iter.Seq2[store.Queued, error] {
	return func(yield func(store.Queued, error) bool) {
		for run, err := range runs {
			if !yield(run, err) || !run.Shared {
				return
			}
		}
	}
}
