package store

import (
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Records that the output refuses leave the staged part, and are dead letters.
func TestLeftOutRecordsAreDeadLetters(t *testing.T) {
	s, _ := open(t)
	run := runningRun(t, s, newJob(t, s, "iris"), begin, 10)
	m := claim(t, s, run, 1)[0]
	do(t, s, func(tx *Tx) error { return tx.Stage(run, m, refused(m, 1)) })
	rest := Staged{Path: "1/000001.9", Records: 7, SHA256: "x", DeadLetters: []PlacedDeadLetter{{Position: 8}, {Position: 9}}}
	do(t, s, func(tx *Tx) error { return tx.LeaveOut(run, m, rest) })
	if got := counted(t, s, run); got != (api.Counts{Planned: 10, Staged: 7, DeadLettered: 3, Unfinished: 7}) {
		t.Errorf("left out: %+v", got)
	}
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.LeaveOut(run, m, rest) }) // once
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.CommitShown(run, m, nil) })
	m.Fence++
	do(t, s, func(tx *Tx) error { return tx.CommitShown(run, m, nil) })
	if got := counted(t, s, run); got != (api.Counts{Planned: 10, Committed: 7, DeadLettered: 3}) {
		t.Errorf("committed: %+v", got)
	}
	if found := must(s.MiniBatches(run.ID, 0, 1))(t)[0]; found.StagedPath != rest.Path || found.StagedRecords != 7 {
		t.Errorf("%+v", found)
	}
}
