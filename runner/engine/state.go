package engine

import (
	"slices"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// transition is one that may happen, and what brings it about. The guide on a
// run's life is drawn from these.
type transition[S ~string] struct {
	from, to S
	why      string
}

// runTransitions is a run's life. What is not listed does not happen.
var runTransitions = []transition[api.RunState]{
	{api.RunQueued, api.RunPlanning, "it has a slot, and its turn"},
	{api.RunQueued, api.RunCancelled, "cancel, or overlap"},
	{api.RunQueued, api.RunFailed, "what it waits for did not come in time"},
	{api.RunQueued, api.RunSkipped, "a newer occurrence takes its place"},

	{api.RunPlanning, api.RunProvisioning, "the plan is stored"},
	{api.RunPlanning, api.RunCommitting, "nothing is left to predict"},
	{api.RunPlanning, api.RunQueued, "drain, or restart"},
	{api.RunPlanning, api.RunFailed, "no input, or no place for the output"},
	{api.RunPlanning, api.RunCancelled, "cancel, or overlap"},
	{api.RunPlanning, api.RunStopped, "its deadline"},

	{api.RunProvisioning, api.RunRunning, "the model is ready"},
	{api.RunProvisioning, api.RunQueued, "drain, or restart"},
	{api.RunProvisioning, api.RunFailed, "the server does not start"},
	{api.RunProvisioning, api.RunCancelled, "cancel, or overlap"},
	{api.RunProvisioning, api.RunStopped, "its deadline"},

	{api.RunRunning, api.RunCommitting, "the point of no return"},
	{api.RunRunning, api.RunQueued, "drain, or restart"},
	{api.RunRunning, api.RunFailed, "max_failed, or what trying again can't help"},
	{api.RunRunning, api.RunCancelled, "cancel, or overlap"},
	{api.RunRunning, api.RunStopped, "its deadline"},

	{api.RunCommitting, api.RunSucceeded, "every planned record is published"},
	{api.RunCommitting, api.RunIncomplete, "records failed, within max_failed"},
	{api.RunCommitting, api.RunFailed, "publishing fails for an hour, or the table refuses too many records"},

	{api.RunIncomplete, api.RunQueued, "retry"},
	{api.RunFailed, api.RunQueued, "retry"},
	{api.RunCancelled, api.RunQueued, "retry"},
	{api.RunStopped, api.RunQueued, "retry"},
	{api.RunFailed, api.RunCommitting, "accept"},
	{api.RunStopped, api.RunCommitting, "accept"},
}

// miniBatchTransitions is a mini-batch's life.
var miniBatchTransitions = []transition[api.MiniBatchState]{
	{api.MiniBatchPending, api.MiniBatchRunning, "a worker claims it"},
	{api.MiniBatchPending, api.MiniBatchGivenUp, "the prediction server was lost too often"},
	{api.MiniBatchPending, api.MiniBatchCancelled, "the run is cancelled"},
	{api.MiniBatchPending, api.MiniBatchStaged, "sending its dead letters again came to nothing: the result it had"},
	{api.MiniBatchPending, api.MiniBatchCommitted, "sending its dead letters again came to nothing: the result it had"},

	{api.MiniBatchRunning, api.MiniBatchStaged, "its result is durable"},
	{api.MiniBatchRunning, api.MiniBatchRetryWait, "a failure that may pass"},
	{api.MiniBatchRunning, api.MiniBatchPending, "the server is lost, a record is suspected, or drain"},
	{api.MiniBatchRunning, api.MiniBatchGivenUp, "its attempts are used up"},
	{api.MiniBatchRunning, api.MiniBatchCancelled, "the run is cancelled"},

	{api.MiniBatchRetryWait, api.MiniBatchPending, "its wait is over"},
	{api.MiniBatchRetryWait, api.MiniBatchGivenUp, "the prediction server was lost too often"},
	{api.MiniBatchRetryWait, api.MiniBatchCancelled, "the run is cancelled"},
	{api.MiniBatchRetryWait, api.MiniBatchStaged, "sending its dead letters again came to nothing: the result it had"},

	{api.MiniBatchStaged, api.MiniBatchCommitted, "its result is visible"},
	{api.MiniBatchStaged, api.MiniBatchPending, "the whole plan again, or its dead letters"},
	{api.MiniBatchStaged, api.MiniBatchCancelled, "the run is cancelled"},

	{api.MiniBatchGivenUp, api.MiniBatchPending, "retry"},
	{api.MiniBatchGivenUp, api.MiniBatchStaged, "sent by max_carries runs: its records are dead letters"},
	{api.MiniBatchGivenUp, api.MiniBatchCancelled, "the run is cancelled"},

	{api.MiniBatchCancelled, api.MiniBatchPending, "retry"},
	{api.MiniBatchCommitted, api.MiniBatchPending, "its dead letters are sent again"},
}

// CanMove tells whether a run may go from one state to another.
func CanMove(from, to api.RunState) bool { return listed(runTransitions, from, to) }

// CanMoveMiniBatch tells whether a mini-batch may go from one state to another.
func CanMoveMiniBatch(from, to api.MiniBatchState) bool {
	return listed(miniBatchTransitions, from, to)
}

func listed[S ~string](life []transition[S], from, to S) bool {
	return slices.ContainsFunc(life, func(t transition[S]) bool { return t.from == from && t.to == to })
}
