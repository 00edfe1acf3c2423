package trigger

import (
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
	run.Trouble = api.TroubleOf(events)
	return nil
}
