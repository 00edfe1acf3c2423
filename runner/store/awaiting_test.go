package store

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// A run that waits for its input holds its turn, and nobody else's place.
func TestARunThatWaitsForItsInputIsNotRunnable(t *testing.T) {
	s, c := open(t)
	waits := newRun(t, s, newJob(t, s, "a"), api.Run{Origin: api.OriginSchedule, Occurrence: hour(1)})
	behind := newRun(t, s, must(s.JobByUID(waits.JobUID))(t), api.Run{Origin: api.OriginSchedule, Occurrence: hour(2)})
	other := newRun(t, s, newJob(t, s, "b"), api.Run{Origin: api.OriginManual, Occurrence: hour(3)})
	since := c.now()
	await := func() error { return s.Write(t.Context(), func(tx *Tx) error { return tx.AwaitInput(waits.ID) }) }
	if err := await(); err != nil {
		t.Fatal(err)
	}
	c.advance(time.Hour)
	if err := await(); err != nil { // looked for again: it has waited for an hour
		t.Fatal(err)
	}
	if got := must(s.Awaiting())(t); len(got) != 1 || got[0].Run != waits.ID || !got[0].Since.Equal(since) {
		t.Errorf("waiting: %+v, want %s since %s", got, waits.ID, since)
	}
	if got := runnableIDs(t, s.Runnable()); !slices.Equal(got, []string{other.ID}) {
		t.Errorf("runnable: %v", got)
	}
	if got := runnableIDs(t, s.RunnableOf(waits.JobUID)); got != nil {
		t.Errorf("runnable of its job: %v", got)
	}
	for run, want := range map[string]api.Reason{waits.ID: api.ReasonWaitingForInput, behind.ID: api.ReasonWaitingForTurn, other.ID: api.ReasonWaitingForSlot} {
		if got := must(s.Run(run))(t).Reason; got != want {
			t.Errorf("run %s waits because of %q, want %q", run, got, want)
		}
	}

	there := func() error { return s.Write(t.Context(), func(tx *Tx) error { return tx.InputIsThere(waits.ID) }) }
	if err := there(); err != nil {
		t.Fatal(err)
	}
	if err := there(); !errors.Is(err, ErrFenced) {
		t.Errorf("a second time: %v", err)
	}
	for q, err := range s.RunnableOf(waits.JobUID) {
		if err != nil || q.ID != waits.ID || !q.InputThere {
			t.Errorf("runnable is %+v, %v", q, err)
		}
	}
	move(t, s, must(s.Run(waits.ID))(t), api.RunCancelled, api.RunQueued)
	for q, err := range s.RunnableOf(waits.JobUID) {
		if err != nil || q.InputThere {
			t.Errorf("a run that is retried waits anew: %+v, %v", q, err)
		}
	}
}
