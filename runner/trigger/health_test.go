package trigger

import (
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

func TestHealth(t *testing.T) {
	nightly := cron("0 2 * * *", "Europe/Berlin")
	cursor := instant("2026-11-21T01:00:00Z")
	done := api.Counts{Planned: 150, Committed: 150}
	eight := api.MiniBatchCounts{Total: 8, Committed: 8}
	run := func(state api.RunState, change func(*api.Run)) *store.Run {
		r := &store.Run{Run: api.Run{ID: "r1", State: state, Occurrence: cursor, Counts: done, MiniBatches: eight}}
		if change != nil {
			change(&r.Run)
		}
		return r
	}
	tests := []struct {
		name    string
		spec    api.Job
		last    *store.Run
		now     string
		healthy bool
		summary string
	}{
		{"no run yet, none due", validJob("churn", nightly), nil, "2026-11-21T12:00:00Z", true,
			"no run yet; next due 2026-11-22 02:00 Europe/Berlin"},
		{"no schedule", validJob("churn", nil), nil, "2026-11-21T12:00:00Z", true, "no run yet; manual runs only"},
		{"a schedule that has ended", validJob("churn", &api.Schedule{At: []string{"2026-01-01T00:00:00Z"}}), nil, "2026-11-21T12:00:00Z", true, "no run yet; the schedule has ended"},
		{"paused", paused(validJob("churn", nightly), true), nil, "2026-11-21T12:00:00Z", true, "no run yet; paused"},
		{"succeeded", validJob("churn", nightly), run(api.RunSucceeded, nil), "2026-11-21T12:00:00Z", true,
			"succeeded 2026-11-21 02:00 Europe/Berlin: 150 of 150 records in 8 mini-batches"},
		{"under way", validJob("churn", nightly), run(api.RunRunning, func(r *api.Run) {
			r.Counts = api.Counts{Planned: 12_000, Unfinished: 12_000, Staged: 2_000}
			r.MiniBatches = api.MiniBatchCounts{Total: 1}
			r.Occurrence = cursor.Add(7 * time.Second)
		}), "2026-11-21T12:00:00Z", true,
			"running 2026-11-21 02:00:07 Europe/Berlin: 2,000 of 12,000 records in 1 mini-batch"},
		{"queued", validJob("churn", nightly), run(api.RunQueued, func(r *api.Run) {
			r.Counts, r.MiniBatches, r.Reason = api.Counts{}, api.MiniBatchCounts{}, api.ReasonWaitingForSlot
		}), "2026-11-21T12:00:00Z", true, "queued 2026-11-21 02:00 Europe/Berlin (waiting_for_slot)"},
		{"incomplete is not healthy", validJob("churn", nightly), run(api.RunIncomplete, func(r *api.Run) {
			r.Counts = api.Counts{Planned: 150, Committed: 149, DeadLettered: 1}
		}), "2026-11-21T12:00:00Z", false,
			"incomplete 2026-11-21 02:00 Europe/Berlin: 149 of 150 records in 8 mini-batches, 1 dead-lettered; see batch-runner why r1"},
		{"incomplete is accepted", accepting(validJob("churn", nightly)), run(api.RunIncomplete, func(r *api.Run) {
			r.Counts = api.Counts{Planned: 150, Committed: 130, Carried: 20}
		}), "2026-11-21T12:00:00Z", true,
			"incomplete 2026-11-21 02:00 Europe/Berlin: 130 of 150 records in 8 mini-batches, 20 carried to the next run"},
		{"failed is not accepted with it", accepting(validJob("churn", nightly)), run(api.RunFailed, func(r *api.Run) {
			r.Counts, r.MiniBatches = api.Counts{}, api.MiniBatchCounts{}
		}), "2026-11-21T12:00:00Z", false, "failed 2026-11-21 02:00 Europe/Berlin; see batch-runner why r1"},
		{"failed before planning", validJob("churn", nightly), run(api.RunFailed, func(r *api.Run) {
			r.Counts, r.MiniBatches = api.Counts{}, api.MiniBatchCounts{}
			r.Reason, r.Message = api.ReasonInputMissing, "no file matches /in/*.csv"
		}), "2026-11-21T12:00:00Z", false,
			"failed 2026-11-21 02:00 Europe/Berlin (input_missing): no file matches /in/*.csv; see batch-runner why r1"},
		{"cancelled", validJob("churn", nightly), run(api.RunCancelled, nil), "2026-11-21T12:00:00Z", false,
			"cancelled 2026-11-21 02:00 Europe/Berlin: 150 of 150 records in 8 mini-batches; see batch-runner why r1"},
		{"due within grace", validJob("churn", nightly), run(api.RunSucceeded, nil), "2026-11-22T01:05:00Z", true,
			"succeeded 2026-11-21 02:00 Europe/Berlin: 150 of 150 records in 8 mini-batches"},
		{"overdue", validJob("churn", nightly), run(api.RunSucceeded, nil), "2026-11-22T01:05:01Z", false,
			"overdue since 2026-11-22 02:00 Europe/Berlin: the runner has not decided it; see batch-runner doctor"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			job := store.Job{Cursor: cursor}
			job.Spec = test.spec

			got := assess(job, store.Standing{Last: test.last}, instant(test.now), "")

			if got.Healthy != test.healthy || got.Summary != test.summary {
				t.Errorf("healthy %v, %q\nwant %v, %q", got.Healthy, got.Summary, test.healthy, test.summary)
			}
			if got.Healthy != (len(got.Reasons) == 0) {
				t.Errorf("healthy %v with reasons %q", got.Healthy, got.Reasons)
			}
		})
	}
}

func accepting(spec api.Job) api.Job {
	spec.AcceptIncomplete = new(true)
	return spec
}

func TestAllFailingClausesAreListed(t *testing.T) {
	job := store.Job{Cursor: instant("2026-11-22T00:00:00Z")}
	job.Spec = validJob("churn", every("1h"))
	failed := store.Standing{Last: &store.Run{Run: api.Run{ID: "r1", State: api.RunFailed}}}
	if got := assess(job, failed, instant("2026-11-23T00:00:00Z"), ""); len(got.Reasons) != 2 || got.Summary != got.Reasons[0] {
		t.Errorf("reasons %q, summary %q", got.Reasons, got.Summary)
	}
}

func TestStatusTellsOfRunsAndDecisions(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	uid := r.put(validJob("b", every("1h"))).UID
	r.put(validJob("a", nil))
	r.add(time.Hour)
	r.wakeUp()
	r.finish(uid)
	r.add(time.Hour)
	r.wakeUp()

	all, err := r.StatusAll(t.Context())
	if err != nil || len(all) != 2 || all[0].Job != "a" || all[1].Job != "b" {
		t.Fatalf("%+v, %v", all, err)
	}
	if a := all[0]; !a.Healthy || a.LastRun != nil || a.ActiveRun != nil || a.LastSuccess != nil || a.LastDecision != nil || !a.NextDueAt.IsZero() {
		t.Errorf("the manual job is %+v", a)
	}
	b := all[1]
	if b.LastSuccess == nil || !b.LastSuccess.Occurrence.Equal(instant("2026-01-01T01:00:00Z")) {
		t.Errorf("last success is %+v", b.LastSuccess)
	}
	if b.ActiveRun == nil || b.LastRun == nil || b.ActiveRun.ID != b.LastRun.ID || b.LastDecision.Run != b.LastRun.ID {
		t.Errorf("active run %+v, last run %+v, last decision %+v", b.ActiveRun, b.LastRun, b.LastDecision)
	}
	if !b.NextDueAt.Equal(instant("2026-01-01T03:00:00Z")) || !b.Healthy {
		t.Errorf("next due %s, healthy %v", b.NextDueAt, b.Healthy)
	}
	one, err := r.Status(t.Context(), "b")
	if err != nil || one.Summary != b.Summary {
		t.Errorf("%+v, %v", one, err)
	}
	_, err = r.Status(t.Context(), "none")
	refused(t, err, api.CodeNotFound)
}
