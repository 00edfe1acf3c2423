package provider

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func TestJobStatus(t *testing.T) {
	f := startFake(t)
	f.status["churn"] = api.JobStatus{
		Job: "churn", Healthy: true, Missed: map[string]int64{}, Skipped: map[string]int64{}, Summary: "succeeded", LastRun: &api.Run{ID: "run-1", State: api.RunSucceeded, Counts: api.Counts{Planned: 150, Committed: 150}},
	}
	const kind = "batch_prediction_job_status"
	h := newHarness(t, object{"endpoint": f.endpoint})
	status, diags := h.data(kind, object{"job": "churn"})
	h.clean(diags)
	for name, want := range map[string]string{"reachable": "true", "exists": "true", "healthy": "true", "summary": "succeeded", "next_due_at": "(null)"} {
		if got := h.text(status[name]); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if got := h.text(status["last_run"], "state"); got != "succeeded" {
		t.Errorf("last_run.state is %s", got)
	}
	if got := h.at(status["last_run"], "counts", "planned").String(); !strings.Contains(got, `"150"`) {
		t.Errorf("last_run.counts.planned is %s", got)
	}
	if !status["active_run"].IsNull() {
		t.Errorf("active_run is %s", status["active_run"])
	}

	status, diags = h.data(kind, object{"job": "absent"})
	h.clean(diags)
	if h.text(status["reachable"]) != "true" || h.text(status["exists"]) != "false" || h.text(status["healthy"]) != "false" {
		t.Errorf("an absent job is %v", status)
	}
	status, diags = h.data(kind, object{"job": "churn", "runner": object{"id": "runner-9", "endpoint": f.endpoint}})
	h.clean(diags)
	if h.text(status["reachable"]) != "false" || h.text(status["exists"]) != "(null)" || !strings.Contains(h.text(status["summary"]), "runner-9") {
		t.Errorf("at another runner it is %v", status)
	}
	f.wantToken()
	_, diags = newHarness(t, object{"endpoint": f.endpoint}).data(kind, object{"job": "churn"})
	h.want(diags, isError, "token")
}

func TestJobStatusTellsWhatTheCalendarDid(t *testing.T) {
	f := startFake(t)
	at := time.Date(2026, 1, 16, 2, 0, 0, 0, time.UTC)
	f.status["churn"] = api.JobStatus{
		Job: "churn", NextOccurrence: at, NextDueAt: at.Add(7 * time.Minute),
		Missed: map[string]int64{api.DecidedOutage: 2399}, Skipped: map[string]int64{api.DecidedHeld: 3, api.DecidedPaused: 1},
		Held:     &api.Hold{By: "hold_after_failures", Reason: "3 runs in a row failed", Since: at.Add(-time.Hour)},
		Owed:     42,
		LastRun:  &api.Run{ID: "run-1", State: api.RunIncomplete, Counts: api.Counts{Planned: 9, Committed: 2, Carried: 1, DeadLettered: 1, Unfinished: 5, Staged: 3, GivenUp: 2}, Cost: "0.12 EUR"},
		Backfill: &api.Backfill{ID: "bf-1", Job: "churn", Total: 30, Waiting: 27, Active: 1, Succeeded: 1, Failed: 1},
	}
	h := newHarness(t, object{"endpoint": f.endpoint})
	const kind = "batch_prediction_job_status"
	status, diags := h.data(kind, object{"job": "churn"})
	h.clean(diags)
	want := object{
		"next_occurrence": "2026-01-16T02:00:00Z", "next_due_at": "2026-01-16T02:07:00Z",
		"missed":   object{"outage": int64(2399)},
		"skipped":  object{"held": int64(3), "paused": int64(1)},
		"held":     object{"by": "hold_after_failures", "reason": "3 runs in a row failed", "since": "2026-01-16T01:00:00Z"},
		"backfill": object{"id": "bf-1", "total": int64(30), "waiting": int64(27), "active": int64(1), "succeeded": int64(1), "failed": int64(1)},
	}
	want["owed"] = int64(42)
	last, _ := h.plain(status["last_run"]).(object)
	if counts := (object{
		"planned": int64(9), "committed": int64(2), "carried": int64(1), "dead_lettered": int64(1), "gone": int64(0), "unfinished": int64(5), "staged": int64(3), "given_up": int64(2),
	}); !reflect.DeepEqual(last["counts"], counts) || last["cost"] != "0.12 EUR" {
		t.Errorf("the last run is %v", last)
	}
	for name, want := range want {
		if got := h.plain(status[name]); !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	absent, diags := h.data(kind, object{"job": "absent"})
	h.clean(diags)
	for _, name := range []string{"held", "missed", "skipped", "backfill", "next_occurrence", "owed"} {
		if !absent[name].IsNull() {
			t.Errorf("of a job that is not there, %s is %s", name, absent[name])
		}
	}
}
