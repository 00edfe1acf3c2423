package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

const inputOf = "identity of the input"

var onlyFile = []json.RawMessage{[]byte(`{"path":"/in/a.csv"}`)}

// planWithOwed stores a plan that takes all the job owes and own mini-batches of
// ten records, and starts the run.
func planWithOwed(t fataler, s *Store, run Run, own int) Run {
	t.Helper()
	return planReplacing(t, s, run, own, func(Owed) bool { return false })
}

// planReplacing is planWithOwed with own mini-batches that replace some of what
// the job owes.
func planReplacing(t fataler, s *Store, run Run, own int, replaces func(Owed) bool) Run {
	t.Helper()
	owed := must(s.Owes(run.JobUID, inputOf))(t)
	do(t, s, func(tx *Tx) error {
		var all []MiniBatch
		var replaced []int64
		for _, o := range owed {
			if replaces(o) {
				replaced = append(replaced, o.ID)
				continue
			}
			all = append(all, MiniBatch{Number: int64(len(all) + 1), Offset: o.Offset, Length: o.Length, FirstLine: o.FirstLine, Records: o.Records, Ledger: o.ID})
		}
		for range own {
			all = append(all, MiniBatch{Number: int64(len(all) + 1), Length: 100, FirstLine: 2, Records: 10})
		}
		return errors.Join(tx.InsertMiniBatches(run.ID, all),
			tx.InsertPlan(Plan{Run: run.ID, Format: 1, Files: []byte(`[{"path":"/in/a.csv"}]`), Records: int64(10 * len(all)), Hash: "h"}),
			tx.ReplaceOwed(run.ID, replaced), tx.ClaimOwed(run.ID))
	})
	return move(t, s, run, api.RunPlanning, api.RunProvisioning, api.RunRunning)
}

// finish claims a run's pending mini-batches and ends each as said: a staged,
// g given up after it was sent, u given up unsent.
func finish(t fataler, s *Store, run Run, how string) {
	t.Helper()
	for i, m := range claim(t, s, run, len(how)) {
		switch how[i] {
		case 'a':
			stage(t, s, run, m, 0)
		case 'g', 'u':
			do(t, s, func(tx *Tx) error {
				return tx.Release(run, m, Release{To: api.MiniBatchGivenUp, UsesAttempt: true,
					Failure: Failure{Class: api.ClassTransient, Status: 503, Error: "busy"}, Effort: Effort{Sent: how[i] == 'g'}})
			})
		}
	}
}

// publish commits what is staged and ends the run with its memory moved.
func publish(t fataler, s *Store, run Run, own bool) Run {
	t.Helper()
	run = move(t, s, run, api.RunCommitting)
	return made(t, s, func(tx *Tx) (Run, error) {
		if err := tx.CommitStaged(run.ID, nil); err != nil {
			return run, err
		}
		if err := closeOwed(tx, run, own); err != nil {
			return run, err
		}
		return tx.MoveRun(run, RunChange{To: api.RunIncomplete})
	})
}

func closeOwed(tx *Tx, run Run, own bool) error {
	if _, err := tx.Remember(run.ID); err != nil {
		return err
	}
	_, err := tx.CloseOwed(run, inputOf, onlyFile, own)
	return err
}

// giveUp ends a run that has committed nothing.
func giveUp(t fataler, s *Store, run Run) Run {
	t.Helper()
	return made(t, s, func(tx *Tx) (Run, error) {
		if err := errors.Join(tx.ReleaseAll(run.ID), tx.FreeOwed(run.ID)); err != nil {
			return run, err
		}
		return tx.MoveRun(run, RunChange{To: api.RunFailed})
	})
}

func ledgerOf(t fataler, s *Store, job Job) []api.OwedSlice {
	t.Helper()
	return must(s.LedgerPage(job.UID, 0, 1000))(t)
}

func TestWhatARunLeavesIsOwedUntilAnotherCommitsIt(t *testing.T) {
	s, _ := open(t)
	job := newJob(t, s, "iris")
	first := planWithOwed(t, s, newRun(t, s, job, api.Run{}), 3)
	finish(t, s, first, "agu")
	first = publish(t, s, first, true)
	if c := first.Counts; c.Committed != 10 || c.Carried != 20 || c.GivenUp != 0 || c.Unfinished != 0 || !c.Balanced() {
		t.Errorf("the first run ended with %+v", c)
	}
	owed := ledgerOf(t, s, job)
	if len(owed) != 2 || owed[0].Run != first.ID || owed[0].MiniBatch != 2 || owed[0].File != "/in/a.csv" || owed[0].Records != 10 ||
		owed[0].Carries != 1 || owed[0].Class != api.ClassTransient || owed[0].Error != "busy" || owed[1].Carries != 0 {
		t.Fatalf("the ledger holds %+v", owed)
	}

	second := planWithOwed(t, s, newRun(t, s, job, api.Run{Occurrence: begin.Add(time.Hour)}), 1)
	if owed := ledgerOf(t, s, job); owed[0].TakenBy != second.ID || owed[1].TakenBy != second.ID {
		t.Errorf("taken: %+v", owed)
	}
	if free := must(s.Owes(job.UID, inputOf))(t); len(free) != 0 {
		t.Errorf("taken twice: %+v", free)
	}
	finish(t, s, second, "aga")
	second = publish(t, s, second, true)
	if c := second.Counts; c.Committed != 20 || c.Carried != 10 || !c.Balanced() {
		t.Errorf("the second run ended with %+v", c)
	}
	owed = ledgerOf(t, s, job)
	if len(owed) != 1 || owed[0].Run != first.ID || owed[0].MiniBatch != 3 || owed[0].Carries != 1 || owed[0].TakenBy != "" {
		t.Errorf("the ledger holds %+v", owed)
	}
	taken := made(t, s, func(tx *Tx) (Taken, error) { return tx.TakerOf(first.ID) })
	if taken != (Taken{MiniBatch: 2, By: second.ID, Settled: true}) {
		t.Errorf("the first run can't have back %+v", taken)
	}
}

func TestAClaimThatCannotBeHadLeavesThePlanUnstored(t *testing.T) {
	s, _ := open(t)
	job := newJob(t, s, "iris")
	first := planWithOwed(t, s, newRun(t, s, job, api.Run{}), 2)
	finish(t, s, first, "ag")
	first = publish(t, s, first, true)
	other, late := newRun(t, s, job, api.Run{Occurrence: begin.Add(time.Hour)}), newRun(t, s, job, api.Run{Occurrence: begin.Add(2 * time.Hour)})
	planWithOwed(t, s, other, 0)
	doErr(t, s, ErrFenced, func(tx *Tx) error {
		row := MiniBatch{Number: 1, Records: 10, Ledger: ledgerOf(t, s, job)[0].ID}
		return errors.Join(tx.InsertMiniBatches(late.ID, []MiniBatch{row}), tx.ClaimOwed(late.ID))
	})
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.ClaimOwed(first.ID) })
}

func TestARunWithoutResultGivesBackWhatItTook(t *testing.T) {
	s, _ := open(t)
	job := newJob(t, s, "iris")
	first := planWithOwed(t, s, newRun(t, s, job, api.Run{}), 2)
	finish(t, s, first, "ag")
	publish(t, s, first, true)
	before := ledgerOf(t, s, job)
	second := planWithOwed(t, s, newRun(t, s, job, api.Run{Occurrence: begin.Add(time.Hour)}), 1)
	finish(t, s, second, "gg")
	second = giveUp(t, s, second)
	if after := ledgerOf(t, s, job); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the ledger was %+v and is %+v", before, after)
	}
	if c := second.Counts; c.Carried != 0 || c.Unfinished != 20 {
		t.Errorf("the run ended with %+v", c)
	}
}

// A run that takes a changed file anew has the rows of the old one, and needs
// them, as if it carried them: but there is nothing of them to commit.
func TestWhatAPlanReplacesIsSettledWithTheRunsOwnInput(t *testing.T) {
	s, _ := open(t)
	job := newJob(t, s, "iris")
	first := planWithOwed(t, s, newRun(t, s, job, api.Run{}), 2)
	finish(t, s, first, "ag")
	publish(t, s, first, true)
	replacing := func(n int) Run {
		t.Helper()
		run := newRun(t, s, job, api.Run{Occurrence: begin.Add(time.Duration(n) * time.Hour)})
		return planReplacing(t, s, run, 2, func(Owed) bool { return true })
	}
	taker := func(run Run) (taken Taken, err error) {
		err = s.Write(t.Context(), func(tx *Tx) (err error) { taken, err = tx.TakerOf(run.ID); return err })
		return taken, err
	}
	expect := func(want string) {
		t.Helper()
		var got []string
		for _, o := range ledgerOf(t, s, job) {
			got = append(got, o.TakenBy)
		}
		if fmt.Sprintf("%q", got) != want {
			t.Errorf("the ledger's rows are with %q, want %s", got, want)
		}
	}

	second := replacing(1)
	expect(fmt.Sprintf("[%q]", second.ID))
	finish(t, s, second, "gg")
	second = giveUp(t, s, second)
	expect(`[""]`)
	if _, err := taker(second); !errors.Is(err, ErrNotFound) {
		t.Errorf("the second run can't have it back: %v", err)
	}

	third := replacing(2)
	if taken, err := taker(second); err != nil || taken != (Taken{By: third.ID}) {
		t.Errorf("the second run finds it with %+v, %v", taken, err)
	}
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.ClaimOwed(second.ID) })
	finish(t, s, third, "aa")
	third = publish(t, s, third, true)
	if owed := ledgerOf(t, s, job); len(owed) != 0 {
		t.Errorf("still owed: %+v", owed)
	}
	for _, run := range []Run{first, second} {
		if taken, err := taker(run); err != nil || taken.By != third.ID || !taken.Settled {
			t.Errorf("run %s finds it with %+v, %v", run.ID, taken, err)
		}
	}
	if c := third.Counts; c.Committed != 20 || c.Carried != 0 || !c.Balanced() {
		t.Errorf("the third run ended with %+v", c)
	}

	do(t, s, func(tx *Tx) error { return tx.exec(`DELETE FROM ledger`) }) // as it is later
	if _, err := taker(third); !errors.Is(err, ErrNotFound) {
		t.Errorf("the run that has finished it misses it: %v", err)
	}
}

func TestWhatTooManyRunsHaveSentIsForeseenAndBuried(t *testing.T) {
	s, _ := open(t)
	job := newJob(t, s, "iris")
	run := planWithOwed(t, s, newRun(t, s, job, api.Run{}), 3)
	finish(t, s, run, "agu")
	for most, want := range map[int64]Carry{1: {Carried: 10, CarriedOut: 10, GivenUp: 20}, 2: {Carried: 20, GivenUp: 20}} {
		if got := made(t, s, func(tx *Tx) (Carry, error) { return tx.Carry(run.ID, true, most) }); got != want {
			t.Errorf("of at most %d runs: %+v, want %+v", most, got, want)
		}
	}
	if got := made(t, s, func(tx *Tx) (Carry, error) { return tx.Carry(run.ID, false, 1) }); got != (Carry{}) {
		t.Errorf("a run that carries nothing of its own: %+v", got)
	}
	out := must(s.CarriedOut(run.ID, true, 1))(t)
	if len(out) != 1 || out[0].Number != 2 {
		t.Fatalf("carried out: %+v", out)
	}
	letters := result(out[0], 10).DeadLetters
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.BuryCarried(run, out[0], letters) }) // not committing yet
	run = move(t, s, run, api.RunCommitting)
	do(t, s, func(tx *Tx) error { return tx.BuryCarried(run, out[0], letters) })
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.BuryCarried(run, out[0], letters) }) // once
	if got := must(s.CarriedOut(run.ID, true, 1))(t); len(got) != 0 {
		t.Errorf("carried out again: %+v", got)
	}
	if got := must(s.Run(run.ID))(t).Counts; got.DeadLettered != 10 || !got.Balanced() {
		t.Errorf("counted %+v", got)
	}
}

func TestMemoryIsForgottenOrKeptForAnotherInput(t *testing.T) {
	s, _ := open(t)
	job := newJob(t, s, "iris")
	run := planWithOwed(t, s, newRun(t, s, job, api.Run{}), 2)
	finish(t, s, run, "ag")
	publish(t, s, run, true)
	file := KnownFile{Path: "/in/a.csv", Size: 7, ModTime: begin, SHA256: "sum", Run: run.ID}
	do(t, s, func(tx *Tx) error { return tx.Know(job.UID, inputOf, file) })
	expect := func(when, identity string, files, owed int) {
		t.Helper()
		m := made(t, s, func(tx *Tx) (Memory, error) { return tx.Memory(job.UID) })
		if len(m.Identities) != min(files+owed, 1) || len(m.Identities) == 1 && m.Identities[0] != identity || m.Files != int64(files) || m.Owed != int64(owed) {
			t.Errorf("%s: it remembers %+v", when, m)
		}
		if n := len(must(s.KnownFiles(job.UID, identity))(t)); n != files {
			t.Errorf("%s: it knows %d files", when, n)
		}
		if n := len(must(s.Owes(job.UID, identity))(t)); n != owed {
			t.Errorf("%s: it owes %d slices", when, n)
		}
	}
	expect("at first", inputOf, 1, 1)
	do(t, s, func(tx *Tx) error { return tx.KeepInputs(job.UID, "another") })
	expect("kept", "another", 1, 1)
	do(t, s, func(tx *Tx) error { return tx.ForgetInputs(job.UID) })
	expect("reset", "another", 0, 0)
	if taken := made(t, s, func(tx *Tx) (Taken, error) { return tx.TakerOf(run.ID) }); taken.By != "" || taken.MiniBatch != 2 {
		t.Errorf("what the job has forgotten is with %+v", taken)
	}
}

// A slice of input is below the mark, in the ledger or unread: never two of
// them, whatever its run and all later ones come to.
func TestASliceIsBelowTheMarkInTheLedgerOrUnread(t *testing.T) {
	s, _ := open(t)
	jobs := 0
	rapid.Check(t, func(t *rapid.T) {
		jobs++
		w := ledgerWorld{t: t, s: s, job: newJob(t, s, fmt.Sprint("job-", jobs))}
		for range rapid.IntRange(2, 6).Draw(t, "runs") {
			rapid.SampledFrom([]func(){w.run, w.run, w.retry}).Draw(t, "step")()
			w.check()
		}
	})
}

type ledgerWorld struct {
	t    *rapid.T
	s    *Store
	job  Job
	runs []Run
	own  []slice
}

// slice is a mini-batch of a run's own input.
type slice struct {
	run    string
	number int64
}

func (w *ledgerWorld) run() {
	at := begin.Add(time.Duration(len(w.runs)) * time.Hour)
	run := newRun(w.t, w.s, w.job, api.Run{Occurrence: at})
	var carried int64
	own := rapid.IntRange(0, 3).Draw(w.t, "own")
	run = planReplacing(w.t, w.s, run, own, func(Owed) bool {
		replaces := own > 0 && rapid.IntRange(0, 3).Draw(w.t, "replaced") == 0
		if !replaces {
			carried++
		}
		return replaces
	})
	for n := range own {
		w.own = append(w.own, slice{run.ID, carried + int64(n) + 1})
	}
	w.runs = append(w.runs, w.end(run))
}

// end has the run come to whatever it comes to.
func (w *ledgerWorld) end(run Run) Run {
	how := rapid.SliceOfN(rapid.SampledFrom([]byte("agu")), 8, 8).Draw(w.t, "how")
	for n := 1; n > 0; {
		before := len(claimableOf(w.t, w.s, run))
		finish(w.t, w.s, run, string(how))
		n = before - len(claimableOf(w.t, w.s, run))
	}
	w.check()
	counts := must(w.s.Run(run.ID))(w.t).Counts
	switch {
	case counts.Staged+counts.Committed > 0 && rapid.Bool().Draw(w.t, "published"):
		return publish(w.t, w.s, run, true)
	case counts.Committed == 0:
		return giveUp(w.t, w.s, run)
	}
	return made(w.t, w.s, func(tx *Tx) (Run, error) { // withheld, with results from before
		if err := closeOwed(tx, run, true); err != nil {
			return run, err
		}
		return tx.MoveRun(run, RunChange{To: api.RunFailed})
	})
}

func claimableOf(t fataler, s *Store, run Run) []MiniBatch {
	t.Helper()
	return must(list(s.reader(), scanMiniBatch, `SELECT `+miniBatchColumns+` FROM mini_batches WHERE run_id = $1 AND state = 'pending'`, run.ID))(t)
}

// retry goes on with an earlier run, unless another has taken over.
func (w *ledgerWorld) retry() {
	if len(w.runs) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.runs)-1).Draw(w.t, "retried")
	run := w.runs[i]
	err := w.s.Write(context.Background(), func(tx *Tx) error { _, err := tx.TakerOf(run.ID); return err })
	if !errors.Is(err, ErrNotFound) {
		doErr(w.t, w.s, ErrFenced, func(tx *Tx) error { return tx.ClaimOwed(run.ID) })
		return
	}
	do(w.t, w.s, func(tx *Tx) error { return errors.Join(tx.ClaimOwed(run.ID), tx.Resume(run.ID)) })
	w.check()
	w.runs[i] = w.end(move(w.t, w.s, run, api.RunQueued, api.RunPlanning, api.RunProvisioning, api.RunRunning))
}

func (w *ledgerWorld) check() {
	for _, run := range w.runs {
		if run = must(w.s.Run(run.ID))(w.t); !run.Counts.Balanced() {
			w.t.Fatalf("the accounting law is broken: %+v", run.Counts)
		}
	}
	for _, own := range w.own {
		rows := must(list(w.s.reader(), scanText, `SELECT CASE WHEN settled_by = '' THEN 'owed' WHEN EXISTS (SELECT 1
				FROM plans, json_each(replaced) AS r WHERE plans.run_id = settled_by AND r.value = ledger.id) THEN 'replaced' ELSE 'settled' END FROM ledger
			WHERE run_id = $1 AND mini_batch = $2`, own.run, own.number))(w.t)
		commits := must(list(w.s.reader(), scanText, `SELECT run_id FROM mini_batches AS m WHERE state = 'committed' AND (m.run_id = $1 AND m.number = $2
			OR m.ledger > 0 AND m.ledger = (SELECT id FROM ledger WHERE ledger.run_id = $1 AND ledger.mini_batch = $2))`, own.run, own.number))(w.t)
		marked := must(w.s.Run(own.run))(w.t).Counts.Committed > 0
		switch got := fmt.Sprint(rows, len(commits), marked); got {
		// Unread, below the mark, in the ledger, below the mark by another run, or that run's own in place of it.
		case "[] 0 false", "[] 1 true", "[owed] 0 true", "[settled] 1 true", "[replaced] 0 true":
		default:
			w.t.Fatalf("slice %d of run %s: ledger %v, committed by %v, its run moved the mark: %v", own.number, own.run, rows, commits, marked)
		}
	}
}
