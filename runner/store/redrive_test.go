package store

import (
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// refused is a result for m whose first records the server refused.
func refused(m MiniBatch, dead int64) Staged {
	s := result(m, dead)
	for i := range s.DeadLetters {
		s.DeadLetters[i].Class = api.ClassData
	}
	return s
}

// deadRun is an incomplete run of three mini-batches of 10 records: the first
// has none dead, the second 4 refused ones, the third 2 that could not be read.
func deadRun(t *testing.T, s *Store) Run {
	t.Helper()
	run := runningRun(t, s, newJob(t, s, "iris"), begin, 10, 10, 10)
	for i, m := range claim(t, s, run, 3) {
		staged := []Staged{result(m, 0), refused(m, 4), result(m, 2)}[i]
		do(t, s, func(tx *Tx) error { return tx.Stage(run, m, staged) })
	}
	run = move(t, s, run, api.RunCommitting)
	do(t, s, func(tx *Tx) error { return tx.CommitStaged(run.ID, nil) })
	return move(t, s, run, api.RunIncomplete)
}

// redriven is such a run whose dead letters are being sent again.
func redriven(t *testing.T, s *Store) Run {
	t.Helper()
	run := deadRun(t, s)
	if n := made(t, s, func(tx *Tx) (int64, error) { return tx.Redrive(run.ID) }); n != 1 {
		t.Fatalf("%d mini-batches are sent again, want the one that was refused", n)
	}
	return move(t, s, run, api.RunQueued, api.RunPlanning, api.RunProvisioning, api.RunRunning)
}

func counted(t *testing.T, s *Store, run Run) api.Counts {
	t.Helper()
	got := must(s.Run(run.ID))(t).Counts
	if !got.Balanced() {
		t.Errorf("the accounting law is broken: %+v", got)
	}
	return got
}

func TestARedriveCountsOnlyWhatIsSentAgainAsUnfinished(t *testing.T) {
	s, _ := open(t)
	run := redriven(t, s)
	want := api.Counts{Planned: 30, Committed: 24, DeadLettered: 2, Unfinished: 4}
	if got := counted(t, s, run); got != want || states(t, s, run) != "committed pending committed" {
		t.Errorf("at its begin: %+v, %s", got, states(t, s, run))
	}
	m := claim(t, s, run, 1)[0]
	if got := counted(t, s, run); !m.Redrive || got != want {
		t.Errorf("under way: %+v", got)
	}
	before := must(s.Before(run.ID, m.Number))(t)
	if before.State != api.MiniBatchCommitted || before.Records != 6 || len(before.Letters) != 4 {
		t.Errorf("before it had %+v", before)
	}
	do(t, s, func(tx *Tx) error { return tx.Stage(run, m, refused(m, 1)) })
	want = api.Counts{Planned: 30, Committed: 24, DeadLettered: 3, Unfinished: 3, Staged: 3}
	if got := counted(t, s, run); got != want {
		t.Errorf("staged: %+v", got)
	}
	if letters := deadLetters(t, s, run); len(letters) != 3 {
		t.Errorf("%d letters would be published, want 3", len(letters))
	}
	run = move(t, s, run, api.RunCommitting)
	do(t, s, func(tx *Tx) error { return tx.CommitStaged(run.ID, nil) })
	run = move(t, s, run, api.RunIncomplete)
	if got := counted(t, s, run); got != (api.Counts{Planned: 30, Committed: 27, DeadLettered: 3}) {
		t.Errorf("committed: %+v", got)
	}
	if n := must(first(s.reader(), scanText, `SELECT (SELECT COUNT(*) FROM redrives) || ' ' || (SELECT COUNT(*) FROM dead_letters)`))(t); n != "0 3" {
		t.Errorf("left behind: %s", n)
	}
}

func TestARedriveThatComesToNothingLeavesWhatWas(t *testing.T) {
	before := api.Counts{Planned: 30, Committed: 24, DeadLettered: 6}
	for name, end := range map[string]func(*testing.T, *Store, Run, MiniBatch){
		"given up": func(t *testing.T, s *Store, run Run, m MiniBatch) {
			do(t, s, func(tx *Tx) error { return tx.Release(run, m, Release{To: api.MiniBatchGivenUp, UsesAttempt: true}) })
		},
		"cancelled": func(t *testing.T, s *Store, run Run, _ MiniBatch) {
			do(t, s, func(tx *Tx) error { return tx.CancelMiniBatches(run.ID) })
			move(t, s, run, api.RunCancelled)
		},
		"cancelled when it was staged": func(t *testing.T, s *Store, run Run, m MiniBatch) {
			do(t, s, func(tx *Tx) error { return tx.Stage(run, m, refused(m, 1)) })
			do(t, s, func(tx *Tx) error { return tx.CancelMiniBatches(run.ID) })
			move(t, s, run, api.RunCancelled)
		},
		"failed": func(t *testing.T, s *Store, run Run, _ MiniBatch) { move(t, s, run, api.RunFailed) },
		"failed when it was staged": func(t *testing.T, s *Store, run Run, m MiniBatch) {
			do(t, s, func(tx *Tx) error { return tx.Stage(run, m, refused(m, 1)) })
			move(t, s, run, api.RunFailed)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := open(t)
			run := deadRun(t, s)
			parts := must(s.MiniBatches(run.ID, 0, 9))(t)
			letters := len(deadLetters(t, s, run))
			closeStore(t, s)
			s, _ = open(t)
			run = redriven(t, s)
			m := claim(t, s, run, 1)[0]
			end(t, s, run, m)
			if got := counted(t, s, run); got != before {
				t.Errorf("counts are %+v, want %+v", got, before)
			}
			for i, now := range must(s.MiniBatches(run.ID, 0, 9))(t) {
				was := parts[i]
				if now.State != was.State || now.StagedPath != was.StagedPath || now.StagedRecords != was.StagedRecords || now.SHA256 != was.SHA256 || now.Redrive {
					t.Errorf("mini-batch %d is %+v, was %+v", was.Number, now, was)
				}
			}
			if n := len(deadLetters(t, s, run)); n != letters {
				t.Errorf("%d dead letters, had %d", n, letters)
			}
			// The late worker of an attempt that was ended changes nothing.
			doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.Stage(run, m, refused(m, 0)) })
		})
	}
}

func TestARedriveSurvivesARestart(t *testing.T) {
	s, c := open(t)
	run := redriven(t, s)
	claim(t, s, run, 1)
	closeStore(t, s)
	s = openAt(t, s.Dir(), c)
	if got := counted(t, s, run); got != (api.Counts{Planned: 30, Committed: 24, DeadLettered: 2, Unfinished: 4}) {
		t.Errorf("after it: %+v", got)
	}
	run = must(s.Run(run.ID))(t)
	if n := len(must(s.Before(run.ID, 2))(t).Letters); n != 4 {
		t.Errorf("%d letters are to be sent again, want 4", n)
	}
}

func TestLettersThatAreNotKeptAreNotSentAgain(t *testing.T) {
	s, _ := open(t)
	run := deadRun(t, s)
	do(t, s, func(tx *Tx) error {
		return tx.exec(`DELETE FROM dead_letters WHERE run_id = $1 AND mini_batch = 2 AND position = 3`, run.ID)
	})
	if n := made(t, s, func(tx *Tx) (int64, error) { return tx.Redrive(run.ID) }); n != 0 {
		t.Errorf("%d mini-batches are sent again without all their letters", n)
	}
}
