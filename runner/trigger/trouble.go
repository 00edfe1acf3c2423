package trigger

import (
	"errors"
	"fmt"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// NoteTrouble notes in a run under way what it waits for. Of one in the queue
// that is an input; one that predicts tells its mini-batches' errors instead.
func NoteTrouble(s *store.Store, run *api.Run) error {
	switch {
	case run.State == api.RunPlanning, run.State == api.RunProvisioning, run.State == api.RunCommitting:
	case run.State == api.RunQueued && run.Reason == api.ReasonWaitingForInput:
	default:
		return nil
	}
	events, err := s.Events(run.ID)
	if err != nil {
		return fmt.Errorf("read the history of run %s: %w", run.ID, err)
	}
	if run.Trouble = api.TroubleOf(events); run.Trouble.Error == "" || run.State != api.RunQueued {
		return nil
	}
	return noteLateness(s, run)
}

// noteLateness notes how long a run waits for its input: since it was its turn,
// whatever restarts there were, and as long as its job says now.
func noteLateness(s *store.Store, run *api.Run) error {
	waiting, err := s.AwaitingInput(run.ID)
	if errors.Is(err, store.ErrNotFound) { // it has just come
		return nil
	}
	job, failed := s.JobByUID(run.JobUID)
	if err := errors.Join(err, failed); err != nil {
		return fmt.Errorf("find out how long run %s waits for its input: %w", run.ID, err)
	}
	run.Trouble.Since = waiting.Since
	if wait := job.Spec.WithDefaults().Input.WaitFor; wait != nil {
		run.Trouble.Until = waiting.Since.Add(wait.Timeout.Value())
	}
	return nil
}
