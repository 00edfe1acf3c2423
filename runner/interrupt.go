package runner

import (
	"errors"
	"slices"
	"sync"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/engine"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// canceller joins two rooms that do not know each other: the trigger cancels
// runs inside its own transaction (of a job it deletes, or one that a newer
// occurrence takes the place of), and only once that is committed may the
// engine interrupt the work under way.
type canceller struct {
	store  *store.Store
	engine *engine.Engine

	mu  sync.Mutex
	ids []string // cancelled in a transaction whose outcome is not known yet
}

// cancel is the trigger's way to cancel a run; the writer's goroutine calls it.
func (c *canceller) cancel(tx *store.Tx, run store.Run, reason api.Reason, actor string) error {
	if err := c.engine.CancelIn(tx, run, reason, actor); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids = append(c.ids, run.ID)
	return nil
}

// wake is called after each of the trigger's commits. A run is interrupted
// when the store says that it is cancelled, or gone with its job.
func (c *canceller) wake() {
	c.mu.Lock()
	c.ids = slices.DeleteFunc(c.ids, func(id string) bool {
		run, err := c.store.Run(id)
		if errors.Is(err, store.ErrNotFound) || err == nil && run.State == api.RunCancelled {
			c.engine.Interrupt(id)
			return true
		}
		return err == nil && run.State.Ended()
	})
	c.mu.Unlock()
	c.engine.Wake()
}
