package store

import (
	"maps"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// What is gone stays gone while other records of its mini-batch are sent again,
// and a redrive may add to it.
func TestARedriveAddsToWhatIsGone(t *testing.T) {
	s, _ := open(t)
	run := runningRun(t, s, newJob(t, s, "iris"), begin, 10)
	m := claim(t, s, run, 1)[0]
	do(t, s, func(tx *Tx) error { return tx.Stage(run, m, refused(m, 4)) })
	do(t, s, func(tx *Tx) error { return tx.CommitShown(run, m, Gone{"deleted": 2}) })
	if got := counted(t, s, run); got != (api.Counts{Planned: 10, Committed: 4, Gone: 2, DeadLettered: 4}) {
		t.Errorf("committed: %+v", got)
	}
	run = move(t, s, run, api.RunCommitting, api.RunIncomplete)
	do(t, s, func(tx *Tx) error { _, err := tx.Redrive(run.ID); return err })
	run = move(t, s, run, api.RunQueued, api.RunPlanning, api.RunProvisioning, api.RunRunning)
	if got := counted(t, s, run); got != (api.Counts{Planned: 10, Committed: 4, Gone: 2, Unfinished: 4}) {
		t.Errorf("at the begin of the redrive: %+v", got)
	}
	m = claim(t, s, run, 1)[0]
	do(t, s, func(tx *Tx) error { return tx.Stage(run, m, refused(m, 1)) })
	if got := counted(t, s, run); got != (api.Counts{Planned: 10, Committed: 4, Gone: 2, DeadLettered: 1, Unfinished: 3, Staged: 3}) {
		t.Errorf("staged: %+v", got)
	}
	run = move(t, s, run, api.RunCommitting)
	do(t, s, func(tx *Tx) error {
		return tx.CommitStaged(run.ID, map[int64]Gone{m.Number: {"deleted": 1, "newer": 1}})
	})
	if got := counted(t, s, run); got != (api.Counts{Planned: 10, Committed: 5, Gone: 4, DeadLettered: 1}) {
		t.Errorf("in the end: %+v", got)
	}
	if gone := must(s.Gone(run.ID))(t); !maps.Equal(gone, Gone{"deleted": 3, "newer": 1}) {
		t.Errorf("gone are %v", gone)
	}
}
