package store

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

const day = 24 * time.Hour

// endedRun is a run with two mini-batches, their attempts, a dead letter and a
// launch, that ended now.
func endedRun(t *testing.T, s *Store, job Job, occurrence time.Time, end RunChange) Run {
	t.Helper()
	run := runningRun(t, s, job, occurrence, 10, 10)
	do(t, s, func(tx *Tx) error {
		return errors.Join(
			tx.InsertLaunch(Launch{ID: "launch-" + run.ID, Run: run.ID, UID: job.UID, Price: "1.00 EUR"}),
			tx.StartAttempt(run.ID, 1, 1, "hash"))
	})
	for i, m := range claim(t, s, run, 2) {
		stage(t, s, run, m, int64(i))
	}
	do(t, s, func(tx *Tx) error { return tx.EndLaunch("launch-"+run.ID, "stopped") })
	run = must(s.Run(run.ID))(t)
	end.Actor = "test"
	return made(t, s, func(tx *Tx) (Run, error) { return tx.MoveRun(run, end) })
}

func swept(t *testing.T, s *Store, run Run) {
	t.Helper()
	do(t, s, func(tx *Tx) error { return tx.StagingSwept(run) })
}

// prune prunes as a runner does, and gives the runs whose files went.
func prune(t *testing.T, s *Store, runs int) (removed []string) {
	t.Helper()
	p := Pruning{KeepHistory: 365 * day, KeepBuried: 30 * day, RemoveFiles: func(run string) error {
		removed = append(removed, run)
		return nil
	}}
	for looks := 0; ; looks++ {
		p.Limit = runs
		if p.From = must(s.Prune(t.Context(), p))(t); p.From == "" {
			return removed
		}
		if looks == 100 {
			t.Fatal("it does not come to an end")
		}
	}
}

// details counts the rows of a run in each table.
func details(t *testing.T, s *Store, run Run) map[string]int {
	t.Helper()
	rows := map[string]int{}
	for _, table := range []string{"plans", "mini_batches", "attempts", "events", "run_attempts", "dead_letters", "launches"} {
		rows[table] = count(t, s.readDB, `SELECT COUNT(*) FROM `+table+` WHERE run_id = '`+run.ID+`'`)
	}
	return rows
}

func TestAnOldRunIsReducedToItsRowAndWhatItCost(t *testing.T) {
	s, c := open(t)
	c.step = time.Second
	job := newJob(t, s, "iris")
	old := endedRun(t, s, job, begin, RunChange{To: api.RunSucceeded})
	swept(t, s, old)
	c.advance(day)
	last := endedRun(t, s, job, begin.Add(day), RunChange{To: api.RunSucceeded})
	swept(t, s, last)
	before := must(s.Run(old.ID))(t)
	cost := must(s.Costs(begin, ""))(t)
	if len(cost) != 1 || cost[0].Launches != 2 || cost[0].ServerSeconds == 0 {
		t.Fatalf("the cost is %+v", cost)
	}
	c.advance(88 * day)
	if removed := prune(t, s, 100); len(removed) > 0 || details(t, s, old)["dead_letters"] != 1 {
		t.Errorf("pruned after 89 days: %v, %v", removed, details(t, s, old))
	}
	c.advance(day + time.Hour)
	if prune(t, s, 100); details(t, s, old)["dead_letters"] != 0 || details(t, s, old)["mini_batches"] != 2 || details(t, s, last)["dead_letters"] != 1 {
		t.Errorf("after dead_letters.keep_for the old run has %v, the younger %v", details(t, s, old), details(t, s, last))
	}
	c.advance(400 * day)
	if removed := prune(t, s, 100); !slices.Equal(removed, []string{old.ID}) {
		t.Errorf("the files of %v were removed, want those of %s", removed, old.ID)
	}
	for table, n := range details(t, s, old) {
		if (n > 0) != (table == "launches") {
			t.Errorf("%s has %d rows of the old run", table, n)
		}
	}
	if d := details(t, s, last); d["mini_batches"] != 2 || d["plans"] != 1 {
		t.Errorf("the last run has %v", d)
	}
	after := must(s.Run(old.ID))(t)
	if after.State != before.State || after.Counts != before.Counts || after.MiniBatches != before.MiniBatches || after.ServerSeconds != before.ServerSeconds {
		t.Errorf("the row is %+v, was %+v", after, before)
	}
	if again := must(s.Costs(begin, ""))(t); again[0] != cost[0] {
		t.Errorf("the cost is %+v, was %+v", again[0], cost[0])
	}
	do(t, s, func(tx *Tx) error {
		if err := tx.CheckPruned(last); api.CodeOf(err) != api.CodeConflict { // its dead letters are gone
			t.Errorf("going on with the last run: %v", err)
		}
		if err := tx.CheckPruned(after); api.CodeOf(err) != api.CodeConflict {
			t.Errorf("going on with the old run: %v", err)
		}
		return nil
	})
	if removed := prune(t, s, 100); len(removed) > 0 {
		t.Errorf("%v are pruned again", removed)
	}
}

func TestWhatARetryCouldGoOnWithIsNotPruned(t *testing.T) {
	s, c := open(t)
	job := newJob(t, s, "iris")
	c.step = time.Second
	withheld := endedRun(t, s, job, begin, RunChange{To: api.RunFailed, Reason: api.ReasonMaxFailed, KeepStaging: begin.Add(1000 * day)})
	success := endedRun(t, s, job, begin.Add(time.Hour), RunChange{To: api.RunSucceeded})
	swept(t, s, success)
	under := runningRun(t, s, job, begin.Add(2*time.Hour), 10)
	failed := endedRun(t, s, job, begin.Add(3*time.Hour), RunChange{To: api.RunFailed, Reason: api.ReasonNothingSucceeded})
	swept(t, s, failed)
	c.advance(500 * day)
	if removed := prune(t, s, 100); len(removed) > 0 {
		t.Errorf("%v are pruned of %s withheld, %s last success, %s under way, %s last", removed, withheld.ID, success.ID, under.ID, failed.ID)
	}
	if n := details(t, s, withheld)["dead_letters"]; n != 1 {
		t.Errorf("%d dead letters are left of the withheld run, which may be accepted still", n)
	}
}

// A run may be taken up again between the look and the removal, or amid it.
func TestLettersOfARunThatIsTakenUpAgainStay(t *testing.T) {
	s, c := open(t)
	c.step = time.Second
	job := newJob(t, s, "iris")
	run := endedRun(t, s, job, begin, RunChange{To: api.RunIncomplete})
	again := made(t, s, func(tx *Tx) (Run, error) { return tx.MoveRun(run, RunChange{To: api.RunQueued, Actor: "test"}) })
	p := &pruner{Store: s, job: job}
	if err := p.dropLetters(t.Context(), run.ID); err != nil || details(t, s, run)["dead_letters"] != 1 {
		t.Errorf("it has %v: %v", details(t, s, run), err)
	}
	made(t, s, func(tx *Tx) (Run, error) { return tx.MoveRun(again, RunChange{To: api.RunIncomplete, Actor: "test"}) })
	ended := must(s.Run(run.ID))(t)
	do(t, s, func(tx *Tx) error {
		if err := tx.CheckPruned(ended); err != nil {
			t.Errorf("with all of its letters: %v", err)
		}
		return tx.exec(`DELETE FROM dead_letters WHERE run_id = $1`, run.ID) // the first of several removals
	})
	do(t, s, func(tx *Tx) error {
		if err := tx.CheckPruned(ended); api.CodeOf(err) != api.CodeConflict {
			t.Errorf("without some of its letters: %v", err)
		}
		return nil
	})
}

func TestPruningIsBoundedAndGoesOnWhereItWasCut(t *testing.T) {
	s, c := open(t)
	job := newJob(t, s, "iris")
	c.step = time.Second
	var runs []Run
	for i := range 5 {
		run := endedRun(t, s, job, begin.Add(time.Duration(i)*time.Hour), RunChange{To: api.RunSucceeded})
		swept(t, s, run)
		runs = append(runs, run)
	}
	c.advance(500 * day)
	mine := errors.New("no")
	_, err := s.Prune(t.Context(), Pruning{KeepHistory: 365 * day, KeepBuried: 30 * day, Limit: 100, RemoveFiles: func(string) error { return mine }})
	if !errors.Is(err, mine) {
		t.Fatalf("a folder that can't be removed: %v", err)
	}
	pruned := map[string]bool{}
	for _, id := range prune(t, s, 2) { // two at each look
		pruned[id] = true
	}
	for i, run := range runs {
		if pruned[run.ID] != (i < 4) || (details(t, s, run)["mini_batches"] == 0) != (i < 4) {
			t.Errorf("run %d: pruned %v, has %v", i, pruned[run.ID], details(t, s, run))
		}
	}
}

func TestSettledLedgerRowsAndDeletedJobsGoInTheirTime(t *testing.T) {
	s, c := open(t)
	job, other := newJob(t, s, "iris"), newJob(t, s, "other")
	run := endedRun(t, s, job, begin, RunChange{To: api.RunSucceeded})
	swept(t, s, run)
	do(t, s, func(tx *Tx) error {
		for i, settled := range []string{"", "r1"} {
			if err := tx.exec(`INSERT INTO ledger (uid, run_id, mini_batch, occurrence, file, offset, length, first_line, records, carries, since, settled_by, settled_at)
				VALUES ($1, $2, $3, 0, '{}', 0, 0, 0, 7, 1, 0, $4, $5)`, other.UID, "r0", i, settled, nanos(tx.Now)); err != nil {
				return err
			}
		}
		return tx.BuryJob(job.UID)
	})
	if owed := must(s.Standing(other.UID))(t).Owed; owed != 7 {
		t.Errorf("%d records are owed", owed)
	}
	c.advance(29 * day)
	prune(t, s, 100)
	if _, err := s.JobByUID(job.UID); err != nil {
		t.Errorf("after 29 days: %v", err)
	}
	c.advance(2 * day)
	if removed := prune(t, s, 100); !slices.Equal(removed, []string{run.ID}) {
		t.Errorf("the files of %v were removed", removed)
	}
	if _, err := s.JobByUID(job.UID); !errors.Is(err, ErrNotFound) {
		t.Errorf("after 31 days: %v", err)
	}
	if n := count(t, s.readDB, `SELECT COUNT(*) FROM ledger`); n != 2 {
		t.Errorf("the ledger has %d rows", n)
	}
	c.advance(365 * day)
	prune(t, s, 100)
	if n := count(t, s.readDB, `SELECT COUNT(*) FROM ledger WHERE settled_by = ''`); n != 1 || count(t, s.readDB, `SELECT COUNT(*) FROM ledger`) != 1 {
		t.Error("what is owed still must stay, and what is settled must go")
	}
}
