package provider

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// A run with one of everything.
func manyFacedRun() api.Run {
	at := time.Date(2026, 1, 14, 2, 0, 0, 0, time.UTC)
	return api.Run{
		ID: "run-7", Job: "churn", Occurrence: at, Origin: api.OriginSchedule, Attempt: 2, State: api.RunIncomplete, Message: "90 of 100 records committed",
		Counts:      api.Counts{Planned: 100, Committed: 90, Carried: 6, DeadLettered: 4},
		MiniBatches: api.MiniBatchCounts{Total: 10, Committed: 9, GivenUp: 1},
		Requests:    90, Launches: 2, ServerSeconds: 12.5, Cost: "0.12 EUR", Isolation: api.Isolation{Probes: 8, Controls: 4, Confirmations: 4},
		Revision: 1, Output: "/out/at=1", CreatedAt: at, StartedAt: at, EndedAt: at.Add(time.Minute),
		SpoolBytes: 4096, Trouble: api.Trouble{Since: at, Until: at, Error: "connection refused"}, // of another run; all faces in one
	}
}

func TestTheDataSourceOfARun(t *testing.T) {
	f := startFake(t)
	run := manyFacedRun()
	f.runs = []api.Run{run}
	f.attempts = []api.RunAttempt{{Number: 1, Outcome: "queued", Reason: "transient", Message: "a mini-batch was given up"}, {Number: 2, Outcome: "incomplete"}}
	f.errors = []api.TopError{{Class: api.ClassData, Status: 422, Error: "no age", Records: 4, MiniBatches: 1, Example: "/in/a.csv:7"}}
	f.ledger = []api.OwedSlice{{Run: "run-7", Records: 2}, {Run: "run-6", Records: 50}, {Run: "run-7", Records: 1}}
	for line := range int64(4) {
		f.letters = append(f.letters, api.DeadLetter{
			Key: map[string]string{"id": "k"}, Input: "secret,record", Source: api.Place{File: "/in/a.csv", Line: line + 7}, Run: "run-7", MiniBatch: 3,
			Class: api.ClassData, Status: 422, Error: "no age", Attempts: 2, FirstSeen: run.StartedAt, LastSeen: run.EndedAt,
		})
	}
	h := newHarness(t, object{"endpoint": f.endpoint})

	found, diags := h.data("batch_prediction_run", object{"id": "run-7", "max_dead_letters": 2})
	h.clean(diags)
	letter := func(line int64) object {
		return object{
			"key": object{"id": "k"}, "file": "/in/a.csv", "line": line, "table": nil, "mini_batch": int64(3), "class": "data", "status": int64(422), "error": "no age",
			"group": nil, "attempts": int64(2), "first_seen": "2026-01-14T02:00:00Z", "last_seen": "2026-01-14T02:01:00Z",
		}
	}
	for name, want := range (object{
		"reachable": true, "exists": true, "state": "incomplete", "withheld": false, "attempt": int64(2), "cost": "0.12 EUR", "owed": int64(3), "launches": int64(2), "notes": []any{"mind the gap"},
		"counts": object{
			"planned": int64(100), "committed": int64(90), "carried": int64(6), "dead_lettered": int64(4), "gone": int64(0), "unfinished": int64(0), "staged": int64(0), "given_up": int64(0),
		},
		"spool_bytes":  int64(4096),
		"trouble":      object{"since": "2026-01-14T02:00:00Z", "until": "2026-01-14T02:00:00Z", "error": "connection refused"},
		"isolation":    object{"probes": int64(8), "controls": int64(4), "confirmations": int64(4), "launches": int64(0)},
		"errors":       []any{object{"class": "data", "status": int64(422), "error": "no age", "records": int64(4), "mini_batches": int64(1), "example": "/in/a.csv:7"}},
		"dead_letters": []any{letter(7), letter(8)},
	}) {
		if got := h.plain(found[name]); !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if attempts, _ := h.plain(found["run_attempts"]).([]any); len(attempts) != 2 {
		t.Errorf("the attempts are %v", attempts)
	}
	for name, value := range found {
		if strings.Contains(value.String(), "secret,record") {
			t.Errorf("%s holds a record: %s", name, value)
		}
	}

	found, diags = h.data("batch_prediction_run", object{"id": "run-9"})
	h.clean(diags)
	if h.text(found["exists"]) != "false" || h.text(found["state"]) != "(null)" || !found["owed"].IsNull() || h.text(found["message"]) == "(null)" {
		t.Errorf("a run that is not there is %v", found)
	}
	h.want(h.validateData("batch_prediction_run", object{"id": "run-7", "max_dead_letters": 1001}), isError, "max_dead_letters 1001 is not in 0–1000")
}

func TestTheDataSourceOfRuns(t *testing.T) {
	f := startFake(t)
	first, second, other := manyFacedRun(), manyFacedRun(), manyFacedRun()
	second.ID, second.State, second.Withheld = "run-8", api.RunFailed, true
	other.ID, other.Job = "run-9", "other"
	f.runs = []api.Run{other, second, first}
	f.jobs["idle"] = api.StoredJob{Spec: api.Job{Name: "idle"}}
	h := newHarness(t, object{"endpoint": f.endpoint})
	ids := func(config object) string {
		t.Helper()
		answer, diags := h.data("batch_prediction_runs", config)
		h.clean(diags)
		list, _ := h.plain(answer["runs"]).([]any)
		var ids []string
		for _, run := range list {
			ids = append(ids, run.(object)["id"].(string))
		}
		return strings.Join(ids, " ") + " " + h.text(answer["exists"])
	}
	for want, config := range map[string]object{
		"run-9 run-8 run-7 true": {},
		"run-9 run-8 true":       {"limit": 2},
		"run-8 run-7 true":       {"job": "churn"},
		"run-8 true":             {"job": "churn", "states": []any{"failed", "stopped"}, "origins": []any{"schedule"}, "since": "2026-01-14T02:00:00Z", "until": "2026-01-14T02:00:00Z"},
		" true":                  {"job": "idle"},
		" false":                 {"job": "absent"},
	} {
		if got := ids(config); got != want {
			t.Errorf("%v: %q, want %q", config, got, want)
		}
	}
	for text, config := range map[string]object{
		`states[0] "done" is not one of queued`:    {"states": []any{"done"}},
		`origins[1] "test" is not one of`:          {"origins": []any{"manual", "test"}},
		`limit 0 is not in 1–1000`:                 {"limit": 0},
		`since "yesterday" is not an RFC 3339`:     {"since": "yesterday"},
		`job is empty; give it a value, or remove`: {"job": ""},
	} {
		h.want(h.validateData("batch_prediction_runs", config), isError, text)
	}
}

func TestTheDataSourceOfJobs(t *testing.T) {
	f := startFake(t)
	due := time.Date(2026, 1, 16, 2, 0, 0, 0, time.UTC)
	add := func(name, team string, status api.JobStatus) {
		status.Job = name
		f.jobs[name], f.status[name] = api.StoredJob{Spec: api.Job{Name: name, Labels: map[string]string{"team": team}}}, status
	}
	add("churn-nightly", "growth", api.JobStatus{Healthy: true, Summary: "fine", NextDueAt: due, LastRun: &api.Run{ID: "run-1", State: api.RunSucceeded}})
	add("churn-hourly", "growth", api.JobStatus{Summary: "held", Held: &api.Hold{By: "ann"}, ActiveRun: &api.Run{ID: "run-2"}, Owed: 7})
	add("fraud", "risk", api.JobStatus{Healthy: true, Summary: "never due"})
	h := newHarness(t, object{"endpoint": f.endpoint})
	ask := func(config object) map[string]any {
		t.Helper()
		return h.answer("batch_prediction_jobs", config)
	}

	growth := ask(object{"labels": object{"team": "growth"}})
	want := []any{
		object{
			"name": "churn-hourly", "labels": object{"team": "growth"}, "healthy": false, "summary": "held", "paused": false, "held": true,
			"next_due_at": nil, "last_run_id": nil, "last_run_state": nil, "active_run_id": "run-2", "owed": int64(7),
		},
		object{
			"name": "churn-nightly", "labels": object{"team": "growth"}, "healthy": true, "summary": "fine", "paused": false, "held": false,
			"next_due_at": "2026-01-16T02:00:00Z", "last_run_id": "run-1", "last_run_state": "succeeded", "active_run_id": nil, "owed": int64(0),
		},
	}
	if !reflect.DeepEqual(growth["jobs"], want) || growth["healthy"] != false || growth["summary"] != "1 of 2 jobs not healthy: churn-hourly" {
		t.Errorf("the jobs are %v", growth)
	}
	if risk := ask(object{"prefix": "fr"}); risk["healthy"] != true || risk["summary"] != "1 job, all of them healthy" || len(risk["jobs"].([]any)) != 1 {
		t.Errorf("the jobs are %v", risk)
	}
	if none := ask(object{"labels": object{"team": "nobody"}}); none["healthy"] != true || len(none["jobs"].([]any)) != 0 {
		t.Errorf("no jobs are %v", none)
	}
}

// The table of what a data source does when the runner is not the one meant.
func TestAnUnreachableRunnerIsAnAnswer(t *testing.T) {
	questions := map[string]object{
		"batch_prediction_job_status": {"job": "churn"},
		"batch_prediction_jobs":       {},
		"batch_prediction_runs":       {"job": "churn"},
		"batch_prediction_run":        {"id": "run-1"},
	}
	for kind, question := range questions {
		f := startFake(t)
		h := newHarness(t, object{"endpoint": f.endpoint})
		other := with(question, object{"id": "runner-9", "endpoint": f.endpoint}, "runner")
		for name, ask := range map[string]func() map[string]any{
			"another runner": func() map[string]any { return h.answer(kind, other) },
			"down": func() map[string]any {
				f.stop()
				return newHarness(t, object{"endpoint": f.endpoint}).answer(kind, question)
			},
		} {
			answer := ask()
			if answer["reachable"] != false || answer["exists"] != nil || answer["healthy"] == true {
				t.Errorf("%s, %s: %v", kind, name, answer)
			}
			if told := answer["summary"]; kind != "batch_prediction_run" && (told == nil || told == "") {
				t.Errorf("%s, %s: nobody says why: %v", kind, name, answer)
			}
		}
		strict := startFake(t)
		strict.wantToken()
		_, diags := newHarness(t, object{"endpoint": strict.endpoint}).data(kind, question)
		h.want(diags, isError, "token")
	}
}
