package trigger

import (
	"errors"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func TestRenamingKeepsUidHistoryAndCursor(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	spec := validJob("churn", every("1h"))
	first := r.put(spec)
	r.put(validJob("taken", every("1h")))
	r.add(time.Hour)
	r.wakeUp()
	before := r.job("churn")
	rename := func(from, to string, cond Condition) (api.StoredJob, bool, error) {
		spec.Name = to
		return r.Put(t.Context(), from, api.PutJob{Spec: spec}, cond, "cli:ann")
	}

	_, _, err := rename("churn", "taken", Condition{})
	refused(t, err, api.CodeExists, "taken")
	if e, _ := errors.AsType[*api.Error](err); e.Pointer != "/name" {
		t.Errorf("it points to %s", e.Pointer)
	}
	r.add(time.Minute)
	renamed, created, err := rename("churn", "attrition", Condition{IfMatch: 1})
	if err != nil || created || renamed.UID != first.UID || renamed.Generation != 2 || renamed.Spec.Name != "attrition" {
		t.Fatalf("renaming gave %+v, %v, %v", renamed, created, err)
	}
	after := r.job("attrition")
	if !after.Cursor.Equal(before.Cursor) || !after.NextDueAt.Equal(before.NextDueAt) {
		t.Errorf("cursor %s → %s, next due %s → %s", before.Cursor, after.Cursor, before.NextDueAt, after.NextDueAt)
	}
	if runs := r.runs(first.UID); len(runs) != 1 || runs[0].Job != "attrition" {
		t.Errorf("the runs are %+v", runs)
	}
	_, err = r.Status(t.Context(), "churn")
	refused(t, err, api.CodeNotFound)

	if again, _, err := rename("churn", "attrition", Condition{IfMatch: 1}); err != nil || again.UID != first.UID || again.Generation != 2 {
		t.Errorf("the same renaming sent twice gave %+v, %v", again, err)
	}
	spec.Labels = map[string]string{"team": "growth"}
	_, _, err = rename("churn", "attrition", Condition{})
	refused(t, err, api.CodeNotFound, "churn")
	_, _, err = rename("churn", "nobody", Condition{})
	refused(t, err, api.CodeInvalid, "churn", "nobody")
}

func TestRenamingAndAnotherRuleAtOnce(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:30:00Z")
	spec := validJob("churn", every("1h"))
	uid := r.put(spec).UID
	r.set(instant("2026-01-01T01:00:30Z"))

	spec.Name, spec.Schedule = "attrition", every("10m")
	if _, _, err := r.Put(t.Context(), "churn", api.PutJob{Spec: spec}, Condition{}, "test"); err != nil {
		t.Fatal(err)
	}

	runs := r.runs(uid)
	if len(runs) != 1 || runs[0].Job != "attrition" || !runs[0].Occurrence.Equal(instant("2026-01-01T01:00:00Z")) {
		t.Errorf("the runs are %+v", runs)
	}
	if job := r.job("attrition"); !job.NextDueAt.Equal(instant("2026-01-01T01:10:00Z")) {
		t.Errorf("next due %s", job.NextDueAt)
	}
}
