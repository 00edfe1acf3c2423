package store

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func TestACopyOfInputIsNeededWhileSomebodyMayReadIt(t *testing.T) {
	s, c := open(t)
	job := newJob(t, s, "a")
	spooled := func(hours int, of string, states ...api.RunState) Run {
		run := newRun(t, s, job, api.Run{Occurrence: hour(hours)})
		if of == "" {
			of = run.ID
		}
		do(t, s, func(tx *Tx) error {
			return errors.Join(tx.InsertMiniBatches(run.ID, []MiniBatch{{Number: 1, File: 1, Records: 1}}),
				tx.InsertPlan(Plan{Run: run.ID, Format: 1, Files: []byte(`[{"path":"/in/a.csv"},{"path":"query","spool":"spool/1.jsonl","spool_run":"` + of + `"}]`), Records: 1}))
		})
		return move(t, s, run, states...)
	}
	planning := newRun(t, s, job, api.Run{Occurrence: hour(0)})
	failed := spooled(1, "", api.RunPlanning, api.RunFailed)
	skipped := spooled(6, "", api.RunSkipped)
	succeeded := spooled(2, "", api.RunPlanning, api.RunCommitting, api.RunSucceeded)
	carried := spooled(3, "old", api.RunPlanning, api.RunCommitting, api.RunIncomplete)
	spooled(4, "done", api.RunPlanning, api.RunCommitting, api.RunSucceeded)
	do(t, s, func(tx *Tx) error {
		return tx.exec(`INSERT INTO ledger (uid, run_id, mini_batch, occurrence, file, offset, length, first_line, records, carries, since)
			VALUES ('u', 'gone', 1, 1, '{"path":"query","spool_run":"owed"}', 0, 1, 1, 1, 1, 1), ('u', 'gone', 2, 1, '{"path":"/in/a.csv"}', 0, 1, 1, 1, 1, 1)`)
	})

	needed := must(s.SpoolsNeeded())(t)
	want := []string{planning.ID, failed.ID, "old", "owed"}
	delete(needed, "")
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(needed)); !slices.Equal(got, want) {
		t.Errorf("needed are %v, want %v; carried by %s", got, want, carried.ID)
	}
	for run, want := range map[string]bool{failed.ID: true, "owed": true, succeeded.ID: false, "done": false, skipped.ID: false} {
		if got := must(s.SpoolNeeded(run))(t); got != want {
			t.Errorf("%s is needed: %v", run, got)
		}
	}

	// What nobody has taken up again by then is given up, and stays so.
	week := api.DefaultKeepWithheld.Value()
	c.advance(week - time.Second)
	do(t, s, func(tx *Tx) error { return tx.GiveUpCopies() })
	if !must(s.SpoolNeeded(failed.ID))(t) {
		t.Error("the copy of a failed run goes too soon")
	}
	c.advance(time.Second)
	do(t, s, func(tx *Tx) error { return tx.GiveUpCopies() })
	c.advance(-week)
	needed = must(s.SpoolsNeeded())(t)
	delete(needed, "")
	if got, want := slices.Sorted(maps.Keys(needed)), slices.Sorted(slices.Values([]string{planning.ID, "owed"})); !slices.Equal(got, want) {
		t.Errorf("a week later needed are %v, want %v", got, want)
	}
	do(t, s, func(tx *Tx) error {
		if of, err := tx.CopyGone(failed.ID); err != nil || of != failed.ID {
			t.Errorf("the copy of the failed run: %q gone, %v", of, err)
		}
		if _, err := tx.CopyGone(planning.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("the copy of a run under way is gone: %v", err)
		}
		return nil
	})
}
