package store

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func TestAMarkMovesFromWhereItStands(t *testing.T) {
	s, _ := open(t)
	job := newJob(t, s, "orders")
	if _, err := s.Mark(job.UID, inputOf); !errors.Is(err, ErrNotFound) {
		t.Fatalf("a job begins with a mark: %v", err)
	}
	stretch := func(from, to string) MarkMove { return MarkMove{From: &from, To: to} }
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.MoveMark(job.UID, inputOf, stretch("1", "2"), "r1") })
	do(t, s, func(tx *Tx) error { return tx.MoveMark(job.UID, inputOf, MarkMove{To: "5"}, "r1") })
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.MoveMark(job.UID, inputOf, MarkMove{To: "6"}, "r2") })
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.MoveMark(job.UID, inputOf, stretch("4", "9"), "r2") })
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.MoveMark(job.UID, "another", stretch("5", "9"), "r2") })
	do(t, s, func(tx *Tx) error {
		return errors.Join(tx.BeginMark(job.UID, inputOf, "3", "r2"), tx.MoveMark(job.UID, inputOf, stretch("5", "7"), "r2"))
	})
	if got := must(s.Mark(job.UID, inputOf))(t); got != (Mark{"7", "r2"}) {
		t.Errorf("the mark is %+v", got)
	}
	if _, err := s.Mark(job.UID, "another"); !errors.Is(err, ErrNotFound) {
		t.Errorf("another input has the mark, too: %v", err)
	}
	do(t, s, func(tx *Tx) error { return tx.KeepInputs(job.UID, "another") })
	if got := must(s.Mark(job.UID, "another"))(t); got.Value != "7" {
		t.Errorf("kept, the mark is %+v", got)
	}
	memory := made(t, s, func(tx *Tx) (Memory, error) { return tx.Memory(job.UID) })
	if memory.Mark != "7" || !slices.Equal(memory.Identities, []string{"another"}) {
		t.Errorf("it remembers %+v", memory)
	}
	do(t, s, func(tx *Tx) error { return tx.ForgetInputs(job.UID) })
	if _, err := s.Mark(job.UID, "another"); !errors.Is(err, ErrNotFound) {
		t.Errorf("forgotten, the mark is there: %v", err)
	}
}

// die makes dead letters of rows of a run, by key and input.
func die(t *testing.T, s *Store, run Run, miniBatch int64, rows ...RowHashes) {
	t.Helper()
	do(t, s, func(tx *Tx) error {
		letters := make([]PlacedDeadLetter, len(rows))
		for i, row := range rows {
			letters[i] = PlacedDeadLetter{Position: int64(i), Row: row, DeadLetter: api.DeadLetter{Run: run.ID}}
		}
		return tx.insertDeadLetters(run.ID, miniBatch, letters)
	})
}

func TestDeadLettersAreKnownByKeyAndInput(t *testing.T) {
	s, c := open(t)
	job := newJob(t, s, "items")
	planned := func(hours int) Run {
		run := newRun(t, s, job, api.Run{Occurrence: begin.Add(time.Duration(hours) * time.Hour)})
		plan(t, s, run, 5)
		c.advance(time.Minute)
		return run
	}
	know := func(run Run) {
		t.Helper()
		do(t, s, func(tx *Tx) error {
			p, err := tx.Plan(run.ID)
			return errors.Join(err, tx.KnowKeys(job.UID, inputOf, p))
		})
	}
	known := func(identity string, keys ...string) map[string]string {
		t.Helper()
		found := map[string]string{}
		for _, k := range must(s.KnownKeys(job.UID, identity, keys))(t) {
			found[k.Key] = k.Input + " of " + k.Run
		}
		return found
	}
	if must(s.KnowsKeys(job.UID, inputOf))(t) {
		t.Error("a job begins with known keys")
	}
	older, newer := planned(0), planned(1)
	die(t, s, newer, 1, RowHashes{"a", "2"}, RowHashes{"b", "1"}, RowHashes{})
	know(newer)
	die(t, s, older, 1, RowHashes{"a", "1"}, RowHashes{"c", "1"})
	know(older)
	if got := known(inputOf, "a", "b", "c", "", "d"); len(got) != 3 || got["a"] != "2 of "+newer.ID || got["c"] != "1 of "+older.ID {
		t.Errorf("known are %v: a run that ends late has replaced what a newer one read, or left something out", got)
	}
	if !must(s.KnowsKeys(job.UID, inputOf))(t) || must(s.KnowsKeys(job.UID, "another"))(t) || len(known("another", "a")) != 0 {
		t.Error("keys are known of another input, or not of their own")
	}
	do(t, s, func(tx *Tx) error {
		return tx.exec(`DELETE FROM dead_letters WHERE run_id = $1 AND key = 'b'`, newer.ID)
	})
	know(newer) // after a redrive that predicted b
	if got := known(inputOf, "a", "b"); len(got) != 1 || got["a"] != "2 of "+newer.ID {
		t.Errorf("after a redrive known are %v", got)
	}
	do(t, s, func(tx *Tx) error { return tx.KeepInputs(job.UID, "another") })
	memory := made(t, s, func(tx *Tx) (Memory, error) { return tx.Memory(job.UID) })
	if memory.Keys != 2 || len(known("another", "a", "c")) != 2 || !slices.Equal(memory.Identities, []string{"another"}) {
		t.Errorf("kept, it remembers %+v", memory)
	}
	do(t, s, func(tx *Tx) error { return tx.ForgetInputs(job.UID) })
	if must(s.KnowsKeys(job.UID, "another"))(t) {
		t.Error("it has forgotten nothing")
	}
}

func TestTheSuccessBeforeAnOccurrence(t *testing.T) {
	s, _ := open(t)
	job := newJob(t, s, "orders")
	for hours, state := range []api.RunState{api.RunSucceeded, api.RunFailed, api.RunSucceeded} {
		run := newRun(t, s, job, api.Run{Occurrence: begin.Add(time.Duration(hours) * time.Hour)})
		do(t, s, func(tx *Tx) error { return tx.exec(`UPDATE runs SET state = $1 WHERE id = $2`, state, run.ID) })
	}
	for hours, want := range map[int]int{1: 0, 2: 0, 3: 2} {
		if got := must(s.SuccessBefore(job.UID, begin.Add(time.Duration(hours)*time.Hour)))(t); !got.Equal(begin.Add(time.Duration(want) * time.Hour)) {
			t.Errorf("before hour %d: %s", hours, got)
		}
	}
	if got := must(s.SuccessBefore(job.UID, begin))(t); !got.IsZero() {
		t.Errorf("before the first: %s", got)
	}
}
