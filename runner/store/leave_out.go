package store

import (
	"fmt"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// LeaveOut takes records out of a staged mini-batch that its output refuses:
// they are dead letters, or are so again after a redrive, and s is the part
// without them. The fence rises, so that nobody takes the part of before for
// this one. ErrFenced: the mini-batch is not that worker's any more, or the run
// has gone on.
func (t *Tx) LeaveOut(run Run, m MiniBatch, s Staged) error {
	dead := int64(len(s.DeadLetters))
	err := t.one(`UPDATE mini_batches SET fence = fence + 1, staged_path = $1, staged_records = $2, bytes = $3, sha256 = $4, dead_lettered = dead_lettered + $5
		WHERE run_id = $6 AND number = $7 AND fence = $8 AND state = $9 AND staged_records = $2 + $5
		AND EXISTS (SELECT 1 FROM runs WHERE id = $6 AND version = $10 AND state <> 'cancelled')`,
		s.Path, s.Records, s.Bytes, s.SHA256, dead, run.ID, m.Number, m.Fence, api.MiniBatchStaged, run.Version)
	if err != nil {
		return fmt.Errorf("leave %d records out of mini-batch %d of run %s: %w", dead, m.Number, run.ID, err)
	}
	if m.Redrive {
		return t.keepDead(run.ID, m.Number, s.DeadLetters)
	}
	return t.insertDeadLetters(run.ID, m.Number, s.DeadLetters)
}

// Redecide stores what publishing a run will do instead of what was decided
// before. ErrFenced: the run has moved on.
func (t *Tx) Redecide(run Run, intent Intent) (Run, error) {
	err := t.one(`UPDATE runs SET intent = $1, version = version + 1 WHERE id = $2 AND version = $3 AND state = $4`,
		encode(intent), run.ID, run.Version, api.RunCommitting)
	run.Intent = intent
	run.Version++
	return run, err
}
