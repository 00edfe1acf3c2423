package trigger

import (
	"errors"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// newFiles is a job that takes each file below a folder once.
func newFiles(folder string) api.Job {
	spec := validJob("orders", nil)
	spec.Input = api.Input{Mode: api.ModeNewFiles, Files: &api.InputFiles{URI: folder + "/*.csv"}}
	return spec
}

func (r *room) remembered(uid string) (m store.Memory) {
	r.t.Helper()
	r.write(func(tx *store.Tx) (err error) {
		m, err = tx.Memory(uid)
		return err
	})
	return m
}

// knowing is a room whose job has taken a file of /in and owes records of it.
func knowing(t *testing.T) (r *room, uid string) {
	t.Helper()
	r = newRoom(t, "2026-01-01T00:00:00Z")
	spec := newFiles("/in")
	uid = r.put(spec).UID
	r.owe(uid, spec.InputIdentity())
	r.write(func(tx *store.Tx) error {
		return tx.Know(uid, spec.InputIdentity(), store.KnownFile{Path: "/in/a.csv", Size: 7, ModTime: tx.Now, SHA256: "s", Run: "r"})
	})
	if m := r.remembered(uid); m.Files != 1 || m.Owed != 1 {
		t.Fatalf("it remembers %+v", m)
	}
	return r, uid
}

func TestAnEditOfTheInputMustSayWhatBecomesOfItsMemory(t *testing.T) {
	other := newFiles("/elsewhere")
	for state, want := range map[string]store.Memory{
		api.StateReset: {},
		api.StateKeep:  {Identities: []string{other.InputIdentity()}, Files: 1, Owed: 1},
	} {
		t.Run(state, func(t *testing.T) {
			r, uid := knowing(t)
			_, _, err := r.Put(t.Context(), "orders", api.PutJob{Spec: other}, Condition{}, "test")
			refused(t, err, api.CodeInvalid, "input.state is required", `"reset"`, `"keep"`)
			if e, _ := errors.AsType[*api.Error](err); e.Problems[0].Pointer != "/input/state" {
				t.Errorf("it points to %s", e.Problems[0].Pointer)
			}
			if m := r.remembered(uid); m.Files != 1 || m.Owed != 1 {
				t.Errorf("refused, it remembers %+v", m)
			}
			said := other
			said.Input.State = state
			r.put(said)
			got := r.remembered(uid)
			if got.Files != want.Files || got.Owed != want.Owed || len(got.Identities) != len(want.Identities) {
				t.Errorf("it remembers %+v, want %+v", got, want)
			}
			for i := range want.Identities {
				if got.Identities[i] != want.Identities[i] {
					t.Errorf("its memory is of %s", got.Identities[i])
				}
			}
		})
	}
}

// beyondMark is a job that takes the rows of a query that are beyond a mark.
func beyondMark(query string) api.Job {
	spec := validJob("orders", nil)
	spec.Input = api.Input{Mode: api.ModeWatermark, Key: []string{"id"}, SQL: &api.InputSQL{
		DSN: api.SecretRef{Secret: "dsn"}, Query: query, Watermark: &api.Watermark{Column: "at", Start: api.StartBeginning},
	}}
	return spec
}

func TestAnEditOfAQueryMustSayWhatBecomesOfItsMark(t *testing.T) {
	for state, mark := range map[string]string{api.StateReset: "", api.StateKeep: "2026-01-01T00:00:00Z"} {
		t.Run(state, func(t *testing.T) {
			r := newRoom(t, "2026-01-01T00:00:00Z")
			spec := beyondMark("SELECT * FROM orders")
			uid := r.put(spec).UID
			r.write(func(tx *store.Tx) error {
				return tx.MoveMark(uid, spec.InputIdentity(), store.MarkMove{To: "2026-01-01T00:00:00Z"}, "r")
			})
			spec.Input.SQL.Query = "SELECT *\n  FROM orders" // the same words
			r.put(spec)
			other := beyondMark("SELECT * FROM orders WHERE 1 = 1")
			_, _, err := r.Put(t.Context(), "orders", api.PutJob{Spec: other}, Condition{}, "test")
			refused(t, err, api.CodeInvalid, "input.state is required", "same rows in other words")
			if m := r.remembered(uid); m.Mark == "" {
				t.Error("refused, it has forgotten")
			}
			other.Input.State = state
			r.put(other)
			if m := r.remembered(uid); m.Mark != mark || mark != "" && m.Identities[0] != other.InputIdentity() {
				t.Errorf("it remembers %+v", m)
			}
		})
	}
}

func TestOtherEditsLeaveTheMemoryAlone(t *testing.T) {
	r, uid := knowing(t)
	edited := newFiles("/in")
	edited.Parallelism = new(int64(9))
	r.put(edited)
	full := validJob("orders", nil) // which uses none, and leaves it for a way back
	r.put(full)
	r.put(edited)
	if m := r.remembered(uid); m.Files != 1 || m.Owed != 1 {
		t.Errorf("it remembers %+v", m)
	}
	r.put(full)
	_, _, err := r.Put(t.Context(), "orders", api.PutJob{Spec: newFiles("/elsewhere")}, Condition{}, "test")
	refused(t, err, api.CodeInvalid, "input.state") // also by way of another mode
}

func TestADeletedJobsMemoryIsAskedForWhenItIsTakenUpAgain(t *testing.T) {
	r, uid := knowing(t)
	if err := r.Delete(t.Context(), "orders", "", 0, false, "test"); err != nil {
		t.Fatal(err)
	}
	_, _, err := r.Put(t.Context(), "orders", api.PutJob{Spec: newFiles("/elsewhere")}, Condition{}, "test")
	refused(t, err, api.CodeInvalid, "input.state")
	if again := r.put(newFiles("/in")); again.UID != uid || r.remembered(uid).Files != 1 {
		t.Errorf("taken up as %+v, it remembers %+v", again, r.remembered(uid))
	}
}

func TestARunUnderWayKeepsItsInput(t *testing.T) {
	r, uid := knowing(t)
	if _, _, err := r.Run(t.Context(), "orders", api.Trigger{}, "", "test"); err != nil {
		t.Fatal(err)
	}
	run := r.move(r.active(uid)[0], api.RunPlanning)
	said := newFiles("/elsewhere")
	said.Input.State = api.StateReset
	_, _, err := r.Put(t.Context(), "orders", api.PutJob{Spec: said}, Condition{}, "test")
	refused(t, err, api.CodeConflict, run.ID, "batch-runner cancel")
	r.finish(uid)
	r.put(said)
}

// Its first run has no memory to ask about yet, but leaves one.
func TestTheFirstRunUnderWayKeepsItsInput(t *testing.T) {
	for name, by := range map[string][]api.Job{"at once": nil, "by way of another mode": {validJob("orders", nil)}} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t, "2026-01-01T00:00:00Z")
			spec := newFiles("/in")
			uid := r.put(spec).UID
			if _, _, err := r.Run(t.Context(), "orders", api.Trigger{}, "", "test"); err != nil {
				t.Fatal(err)
			}
			run := r.move(r.active(uid)[0], api.RunPlanning)
			r.write(func(tx *store.Tx) error {
				return tx.InsertPlan(store.Plan{Run: run.ID, Format: 1, Spec: spec, Files: []byte("[]"), Hash: "h"})
			})
			for _, edit := range by {
				r.put(edit)
			}
			_, _, err := r.Put(t.Context(), "orders", api.PutJob{Spec: newFiles("/elsewhere")}, Condition{}, "test")
			refused(t, err, api.CodeConflict, run.ID, "batch-runner cancel")
			r.finish(uid)
			r.put(newFiles("/elsewhere"))
		})
	}
}

func TestTheHistoryNamesWhoAndWhy(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	uid := r.put(validJob("churn", every("1h"))).UID
	_, _, err := r.Put(t.Context(), "churn", api.PutJob{Spec: validJob("churn", every("2h")), Reason: "half is enough"}, Condition{}, "cli:alice")
	if err != nil {
		t.Fatal(err)
	}
	history, err := r.store.History(uid, 0, 10)
	if err != nil || len(history) != 2 {
		t.Fatalf("%+v, %v", history, err)
	}
	if g := history[0]; g.Actor != "cli:alice" || g.Reason != "half is enough" || len(g.Changes) != 1 ||
		g.Changes[0] != (api.Change{Path: "schedule.every", From: "1h", To: "2h"}) {
		t.Errorf("the newest is %+v", g)
	}
	if g := history[1]; g.Actor != "test" || g.Reason != "" {
		t.Errorf("the oldest is %+v", g)
	}
}
