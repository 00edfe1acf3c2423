package store

import (
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func TestHistoryTellsWhoChangedWhatAndWhy(t *testing.T) {
	s, _ := open(t)
	job := newJob(t, s, "iris")
	edit := func(actor, reason string, change func(*Job)) {
		t.Helper()
		job.Actor, job.Reason = actor, reason
		change(&job)
		job = made(t, s, func(tx *Tx) (Job, error) { return tx.UpdateJob(job) })
	}
	edit("cli:alice", "faster", func(j *Job) {
		j.Spec.Parallelism = new(int64(8))
		j.Spec.Predict.Server = &api.Server{Command: []string{"serve", "--fast"}}
	})
	edit("terraform", "", func(j *Job) {
		j.Owner, j.Settings.RunOnCreate = "team-a", "1h"
		j.Spec.Predict.Server = &api.Server{Command: []string{"serve"}}
	})
	history := must(s.History(job.UID, 0, 10))(t)
	if len(history) != 3 || history[0].Generation != 3 || history[2].Generation != 1 || len(history[2].Changes) != 0 {
		t.Fatalf("the history is %+v", history)
	}
	second := history[1]
	if second.Actor != "cli:alice" || second.Reason != "faster" || second.Owner != "me" || second.At.IsZero() {
		t.Errorf("the second generation is %+v", second)
	}
	expectChanges(t, second.Changes,
		api.Change{Path: "parallelism", To: "8"},
		api.Change{Path: "predict.server.command[0]", To: "serve"},
		api.Change{Path: "predict.server.command[1]", To: "--fast"})
	expectChanges(t, history[0].Changes,
		api.Change{Path: "predict.server.command[1]", From: "--fast"},
		api.Change{Path: "settings.run_on_create", To: "1h"},
		api.Change{Path: "owner", From: "me", To: "team-a"})
	// Page by page it is the same, and each page's last one is still compared.
	for before, want := int64(0), int64(3); want > 0; want-- {
		page := must(s.History(job.UID, before, 1))(t)
		if len(page) != 1 || page[0].Generation != want || len(page[0].Changes) != len(history[3-want].Changes) {
			t.Errorf("the page before %d is %+v", before, page)
		}
		before = page[0].Generation
	}
}

func TestADiffTellsAbsentFromEmpty(t *testing.T) {
	changed, err := diff("", []byte(`{"a": "", "gone": [], "list": [], "same": {"x": 1.5, "y": true}}`), []byte(`{"list": [1, {"deep": null}], "map": {}, "same": {"y": true, "x": 1.5}}`))
	if err != nil {
		t.Fatal(err)
	}
	expectChanges(t, changed,
		api.Change{Path: "a", From: `""`},
		api.Change{Path: "gone", From: "[]"},
		api.Change{Path: "list[0]", To: "1"},
		api.Change{Path: "list[1].deep", To: "null"},
		api.Change{Path: "map", To: "{}"})
	if _, err := diff("", []byte(`{`), nil); err == nil {
		t.Error("a broken document is compared")
	}
}

func expectChanges(t *testing.T, got []api.Change, want ...api.Change) {
	t.Helper()
	equal := len(got) == len(want)
	for i := 0; equal && i < len(want); i++ {
		equal = got[i] == want[i]
	}
	if !equal {
		t.Errorf("the changes are\n%v, want\n%v", got, want)
	}
}

func TestAJobWithoutHistoryHasNone(t *testing.T) {
	s, _ := open(t)
	if history, err := s.History("nobody", 0, 10); err != nil || len(history) != 0 || history == nil {
		t.Errorf("got %v, %v", history, err)
	}
	doErr(t, s, ErrNotFound, func(tx *Tx) error { _, err := tx.Restoration(); return err })
}
