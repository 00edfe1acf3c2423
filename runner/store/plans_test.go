package store

import (
	"errors"
	"reflect"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func TestAPlanExistsOnceItsRowIsStored(t *testing.T) {
	s, _ := open(t)
	run := newRun(t, s, newJob(t, s, "iris"), api.Run{})
	do(t, s, func(tx *Tx) error {
		return tx.InsertMiniBatches(run.ID, []MiniBatch{{Number: 1, Records: 10}, {Number: 2, Records: 5}})
	})
	if got := must(s.Run(run.ID))(t); got.Counts != (api.Counts{}) || got.PlanHash != "" {
		t.Errorf("a plan under way counts %+v", got.Counts)
	}
	if _, err := s.Plan(run.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("a plan under way: %v", err)
	}
	do(t, s, func(tx *Tx) error { return tx.DropUnplanned(run.ID) })
	plan(t, s, run, 7, 5)
	do(t, s, func(tx *Tx) error { return tx.DropUnplanned(run.ID) })
	if got := must(s.Run(run.ID))(t); got.Counts != (api.Counts{Planned: 12, Unfinished: 12}) || got.PlanHash != "plan-"+run.ID {
		t.Errorf("got %+v", got)
	}
	if err := s.Write(t.Context(), func(tx *Tx) error { return tx.InsertPlan(Plan{Run: run.ID}) }); err == nil {
		t.Error("a run was planned twice")
	}
}

func TestWhatReadinessResolvedStays(t *testing.T) {
	s, _ := open(t)
	run := newRun(t, s, newJob(t, s, "iris"), api.Run{})
	plan(t, s, run, 5)
	before := must(s.Plan(run.ID))(t)
	do(t, s, func(tx *Tx) error {
		return errors.Join(tx.ResolvePlan(run.ID, 64, []api.Column{{Name: "id"}, {Name: "label", Type: api.TypeString}}), tx.ResolvePlan(run.ID, 32, []api.Column{{Name: "other"}}))
	})
	want := before
	want.RowsPerRequest, want.Columns = 64, []api.Column{{Name: "id"}, {Name: "label", Type: api.TypeString}}
	if got := must(s.Plan(run.ID))(t); !reflect.DeepEqual(got, want) || string(got.Files) != `[{"path":"/in/a.csv"}]` {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestARunAttemptTakenUpAgainKeepsItsStart(t *testing.T) {
	s, _ := open(t)
	do(t, s, func(tx *Tx) error {
		return errors.Join(tx.StartAttempt("r", 1, 1, "a"), tx.StartAttempt("r", 1, 2, "b"), tx.StartAttempt("r", 2, 3, "c"))
	})
	got := must(list(s.reader(), scanText, `SELECT attempt || ' ' || generation || ' ' || exec_spec_hash FROM run_attempts ORDER BY attempt`))(t)
	if !reflect.DeepEqual(got, []string{"1 2 b", "2 3 c"}) {
		t.Errorf("got %q", got)
	}
}
