package store

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func TestABackfillGoesThroughItsOccurrencesInOrder(t *testing.T) {
	s, c := open(t)
	job := newJob(t, s, "iris")
	var occurrences []time.Time
	for i := 130; i > 0; i-- { // newest first
		occurrences = append(occurrences, hour(-i%7*100-i))
	}
	ask := Backfill{UID: job.UID, Backfill: api.Backfill{From: hour(-1000), To: begin, Only: api.OnlyMissing, Order: api.NewestFirst,
		MaxParallel: 2, Actor: "me", LeftOut: 7}}
	b := made(t, s, func(tx *Tx) (Backfill, error) { return tx.InsertBackfill(ask, "key", occurrences) })
	want := ask
	want.ID, want.Job, want.CreatedAt, want.Total, want.Waiting, want.Occurrences = b.ID, "iris", c.now(), 130, 130, occurrences[:100]
	if b.ID == "" || !reflect.DeepEqual(b, want) {
		t.Errorf("inserted %+v\nwant %+v", b, want)
	}

	next := made(t, s, func(tx *Tx) ([]time.Time, error) { return tx.NextOfBackfill(b.ID, 5) })
	if !reflect.DeepEqual(next, occurrences[:5]) {
		t.Errorf("next are %v", next)
	}
	for i, states := range [][]api.RunState{{api.RunSucceeded}, {api.RunIncomplete}, {api.RunPlanning}, {}} {
		run := newRun(t, s, job, api.Run{Origin: api.OriginBackfill, Occurrence: next[i], Backfill: b.ID})
		do(t, s, func(tx *Tx) error { return tx.MarkBackfillRun(b.ID, next[i], run.ID) })
		doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.MarkBackfillRun(b.ID, next[i], "another") })
		if run = move(t, s, run, states...); must(s.Run(run.ID))(t).Backfill != b.ID {
			t.Error("the run does not know its backfill")
		}
	}
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.MarkBackfillRun(b.ID, hour(5), "of no occurrence") })
	if next := made(t, s, func(tx *Tx) ([]time.Time, error) { return tx.NextOfBackfill(b.ID, 1) }); !next[0].Equal(occurrences[4]) {
		t.Errorf("next is %v", next)
	}
	got := must(s.Backfill(b.ID))(t)
	want.Waiting, want.Active, want.Succeeded, want.Failed = 126, 2, 1, 1
	if !reflect.DeepEqual(got, want) {
		t.Errorf("it stands %+v\nwant %+v", got, want)
	}
	do(t, s, func(tx *Tx) error { return tx.RenameJob(job.UID, "orchid") })
	if got := must(s.Backfill(b.ID))(t); got.Job != "orchid" {
		t.Errorf("of a renamed job: %s", got.Job)
	}
}

func TestBackfillsAreFoundByTokenAndWhileTheyGoOn(t *testing.T) {
	s, c := open(t)
	iris, other := newJob(t, s, "iris"), newJob(t, s, "other")
	insert := func(job Job, token string) Backfill {
		c.advance(time.Minute)
		return made(t, s, func(tx *Tx) (Backfill, error) {
			return tx.InsertBackfill(Backfill{UID: job.UID}, token, []time.Time{begin})
		})
	}
	find := func(f func(*Tx) (Backfill, error)) string {
		b := Backfill{}
		do(t, s, func(tx *Tx) (err error) {
			if b, err = f(tx); errors.Is(err, ErrNotFound) {
				err = nil
			}
			return err
		})
		return b.ID
	}
	token := func(uid, token string) string {
		return find(func(tx *Tx) (Backfill, error) { return tx.BackfillByToken(uid, token) })
	}
	active := func(uid string) string {
		return find(func(tx *Tx) (Backfill, error) { return tx.ActiveBackfill(uid) })
	}
	first := insert(iris, "key")
	if token(iris.UID, "key") != first.ID || token(other.UID, "key") != "" || token(iris.UID, "") != "" {
		t.Error("the token finds another backfill")
	}
	if active(iris.UID) != first.ID || active(other.UID) != "" {
		t.Error("the active backfill is another")
	}
	do(t, s, func(tx *Tx) error { return tx.EndBackfill(first.ID) })
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.EndBackfill(first.ID) })
	if active(iris.UID) != "" || must(s.Backfill(first.ID))(t).EndedAt.IsZero() {
		t.Error("the ended backfill goes on")
	}
	second := insert(iris, "")
	insert(other, "key")
	if got := must(s.Backfills(iris.UID, 10))(t); len(got) != 2 || got[0].ID != second.ID || got[1].ID != first.ID {
		t.Errorf("listed: %+v", got)
	}
	if got := must(s.Backfills(iris.UID, 1))(t); len(got) != 1 {
		t.Errorf("listed for a limit of 1: %+v", got)
	}
	if _, err := s.Backfill("none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestWhatTheRunsOfAnOccurrenceCameTo(t *testing.T) {
	s, c := open(t)
	job := newJob(t, s, "iris")
	end := func(hours int, revision int64, states ...api.RunState) Run {
		c.advance(time.Minute)
		run := newRun(t, s, job, api.Run{Occurrence: hour(hours), Origin: api.OriginManual})
		for _, to := range states {
			run = made(t, s, func(tx *Tx) (Run, error) { return tx.MoveRun(run, RunChange{To: to, Revision: revision}) })
		}
		return run
	}
	end(0, 1, api.RunSucceeded)
	done := end(1, 1, api.RunSucceeded)
	end(1, 0, api.RunFailed)
	end(2, 0, api.RunFailed)
	failed := end(2, 0, api.RunStopped)
	end(2, 0, api.RunSkipped)
	end(3, 0, api.RunSkipped)
	end(4, 1, api.RunIncomplete)
	active := end(4, 2, api.RunPlanning)
	end(5, 1, api.RunSucceeded)
	want := []OccurrenceRuns{
		{Occurrence: hour(1), Run: done.ID, State: api.RunSucceeded, Done: true},
		{Occurrence: hour(2), Run: failed.ID, State: api.RunStopped},
		{Occurrence: hour(4), Run: active.ID, State: api.RunPlanning, Done: true, Active: true},
	}
	if got := must(s.MainRunsBetween(job.UID, hour(1), hour(4)))(t); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := made(t, s, func(tx *Tx) ([]OccurrenceRuns, error) { return tx.MainRunsBetween(job.UID, hour(1), hour(4)) }); !reflect.DeepEqual(got, want) {
		t.Errorf("in a transaction: %+v", got)
	}
}
