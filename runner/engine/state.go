package engine

import (
	"slices"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// runTransitions is a run's life. What is not listed does not happen.
var runTransitions = map[api.RunState][]api.RunState{
	// queued → skipped: a newer occurrence takes the place of one that waits.
	api.RunQueued: {api.RunPlanning, api.RunCommitting, api.RunCancelled, api.RunSkipped},
	// planning → committing: nothing is left to predict (an empty input, or
	// everything staged before an interruption).
	api.RunPlanning:     {api.RunProvisioning, api.RunCommitting, api.RunQueued, api.RunFailed, api.RunCancelled, api.RunStopped},
	api.RunProvisioning: {api.RunRunning, api.RunQueued, api.RunFailed, api.RunCancelled, api.RunStopped},
	api.RunRunning:      {api.RunCommitting, api.RunQueued, api.RunFailed, api.RunCancelled, api.RunStopped},
	// The point of no return: only publishing is left.
	api.RunCommitting: {api.RunSucceeded, api.RunIncomplete, api.RunFailed},
	api.RunIncomplete: {api.RunQueued},
	// failed → committing is accept.
	api.RunFailed:    {api.RunQueued, api.RunCommitting},
	api.RunStopped:   {api.RunQueued, api.RunCommitting},
	api.RunCancelled: {api.RunQueued},
	api.RunSucceeded: {},
	api.RunSkipped:   {},
}

// CanMove tells whether a run may go from one state to another.
func CanMove(from, to api.RunState) bool {
	return slices.Contains(runTransitions[from], to)
}

// miniBatchTransitions is a mini-batch's life.
var miniBatchTransitions = map[api.MiniBatchState][]api.MiniBatchState{
	api.MiniBatchPending:   {api.MiniBatchRunning, api.MiniBatchCancelled},
	api.MiniBatchRunning:   {api.MiniBatchStaged, api.MiniBatchRetryWait, api.MiniBatchPending, api.MiniBatchGivenUp, api.MiniBatchCancelled},
	api.MiniBatchRetryWait: {api.MiniBatchPending, api.MiniBatchCancelled},
	api.MiniBatchStaged:    {api.MiniBatchCommitted, api.MiniBatchCancelled},
	api.MiniBatchGivenUp:   {api.MiniBatchPending, api.MiniBatchCancelled},
	api.MiniBatchCancelled: {api.MiniBatchPending},
	api.MiniBatchCommitted: {},
}

// CanMoveMiniBatch tells whether a mini-batch may go from one state to another.
func CanMoveMiniBatch(from, to api.MiniBatchState) bool {
	return slices.Contains(miniBatchTransitions[from], to)
}
