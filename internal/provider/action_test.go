package provider

import (
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// actor is the part of the protocol that actions are.
func (h *harness) actor() tfprotov6.ActionServer {
	h.t.Helper()
	actor, ok := h.server.(tfprotov6.ActionServer)
	if !ok {
		h.t.Fatal("the provider serves no actions")
	}
	return actor
}

func (h *harness) action(name string, config object) *tfprotov6.DynamicValue {
	h.t.Helper()
	schema := h.schemas.ActionSchemas[name]
	if schema == nil {
		h.t.Fatalf("there is no action %s", name)
	}
	return h.dynamic(h.value(schema.Schema.ValueType(), config))
}

func (h *harness) validateAction(name string, config object) []*tfprotov6.Diagnostic {
	h.t.Helper()
	resp, err := h.actor().ValidateActionConfig(h.t.Context(), &tfprotov6.ValidateActionConfigRequest{ActionType: name, Config: h.action(name, config)})
	h.must(err)
	return resp.Diagnostics
}

// invoke validates, plans and invokes an action, and gives its lines of
// progress.
func (h *harness) invoke(name string, config object) (progress []string, diags []*tfprotov6.Diagnostic) {
	h.t.Helper()
	h.clean(h.validateAction(name, config))
	planned, err := h.actor().PlanAction(h.t.Context(), &tfprotov6.PlanActionRequest{ActionType: name, Config: h.action(name, config)})
	h.must(err)
	h.clean(planned.Diagnostics)
	stream, err := h.actor().InvokeAction(h.t.Context(), &tfprotov6.InvokeActionRequest{ActionType: name, Config: h.action(name, config)})
	h.must(err)
	completed := false
	for event := range stream.Events {
		switch e := event.Type.(type) {
		case tfprotov6.ProgressInvokeActionEventType:
			progress = append(progress, e.Message)
		case tfprotov6.CompletedInvokeActionEventType:
			completed, diags = true, e.Diagnostics
		}
	}
	if !completed {
		h.t.Errorf("%s never completed", name)
	}
	return progress, diags
}

// endedRun is what the fake runner's runs come to.
func endedRun(state api.RunState) api.Run {
	run := manyFacedRun()
	run.State, run.Message = state, "this is why"
	return run
}

func TestWhatEachActionTellsTheRunner(t *testing.T) {
	f := startFake(t)
	f.runs = []api.Run{endedRun(api.RunSucceeded)}
	f.run = f.runs[0]
	f.backfill = api.Backfill{ID: "bf-1", Job: "churn", Total: 3, Waiting: 3}
	h := newHarness(t, object{"endpoint": f.endpoint})
	for _, test := range []struct {
		action string
		config object
		sent   string
	}{
		{"batch_run_job", object{"job": "churn", "occurrence": "2026-01-14T02:00:00Z"}, "RUN churn "},
		{"batch_retry_run", object{"run": "run-7"}, "RETRY run-7 map[]"},
		{"batch_retry_run", object{"run": "run-7", "dead_letters": true}, "RETRY run-7 map[dead_letters:true]"},
		{"batch_rerun", object{"job": "churn", "occurrence": "2026-01-14"}, "RERUN churn 2026-01-14"},
		{"batch_backfill", object{"job": "churn", "from": "2026-01-01", "to": "2026-01-14", "only": "failed"}, "BACKFILL churn 2026-01-01 2026-01-14 failed"},
		{"batch_cancel_run", object{"run": "run-7"}, "CANCEL run-7 <nil>"},
		{"batch_accept_run", object{"run": "run-7", "reason": "known gap"}, "ACCEPT run-7 map[reason:known gap]"},
	} {
		f.written()
		progress, diags := h.invoke(test.action, test.config)
		h.clean(diags)
		if sent := f.written(); len(sent) != 1 || !strings.HasPrefix(sent[0], test.sent) {
			t.Errorf("%s sent %q, want %q", test.action, sent, test.sent)
		}
		if len(progress) != 2 || !strings.Contains(progress[1], "it is not waited for; look with  BATCH_ENDPOINT="+f.endpoint+" batch-runner ") {
			t.Errorf("%s told %q", test.action, progress)
		}
	}
}

func TestAnActionThatWaitsTellsHowTheRunGoesOn(t *testing.T) {
	f := startFake(t)
	f.runs = []api.Run{endedRun(api.RunSucceeded)}
	f.run = f.runs[0]
	h := newHarness(t, object{"endpoint": f.endpoint})
	progress, diags := h.invoke("batch_retry_run", object{"run": "run-7", "wait": "1m"})
	h.clean(diags)
	want := []string{
		"run run-7 of job churn for 2026-01-14T02:00:00Z is queued",
		"launch: prediction server started",
		"running: 90 of 100 records predicted, 10 failed",
		"succeeded: 90 of 100 records committed",
	}
	if !slices.Equal(progress, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(progress, "\n"), strings.Join(want, "\n"))
	}
}

func TestWhichEndOfARunIsAnError(t *testing.T) {
	const fine = tfprotov6.DiagnosticSeverityInvalid
	for _, test := range []struct {
		action, failOn string
		ended          api.RunState
		want           tfprotov6.DiagnosticSeverity
	}{
		{"batch_run_job", "", api.RunSucceeded, fine},
		{"batch_run_job", "", api.RunIncomplete, isWarning},
		{"batch_run_job", "", api.RunFailed, isError},
		{"batch_run_job", "", api.RunCancelled, isError},
		{"batch_run_job", "", api.RunSkipped, isError},
		{"batch_run_job", "failed", api.RunIncomplete, isWarning},
		{"batch_run_job", "incomplete", api.RunIncomplete, isError},
		{"batch_run_job", "never", api.RunFailed, isWarning},
		{"batch_cancel_run", "", api.RunCancelled, fine},
		{"batch_cancel_run", "", api.RunFailed, isError},
		{"batch_accept_run", "", api.RunIncomplete, fine},
		{"batch_accept_run", "", api.RunFailed, isError},
	} {
		t.Run(test.action+" "+string(test.ended)+" "+test.failOn, func(t *testing.T) {
			f := startFake(t)
			f.runs = []api.Run{endedRun(test.ended)}
			f.run = f.runs[0]
			h := newHarness(t, object{"endpoint": f.endpoint})
			config := object{"wait": "1m"}
			switch test.action {
			case "batch_run_job":
				config["job"] = "churn"
				if test.failOn != "" {
					config["fail_on"] = test.failOn
				}
			case "batch_accept_run":
				config["reason"] = "known gap"
				config["run"] = "run-7"
			default:
				config["run"] = "run-7"
			}
			_, diags := h.invoke(test.action, config)
			if test.want == fine {
				h.clean(diags)
				return
			}
			h.want(diags, test.want, "run run-7 of job churn ended "+string(test.ended), "this is why", "batch-runner why run-7")
		})
	}
}

func TestABackfillIsFollowedToItsEnd(t *testing.T) {
	f := startFake(t)
	f.backfill = api.Backfill{ID: "bf-1", Job: "churn", Total: 3, Waiting: 3, LeftOut: 2, Warnings: []string{"one of them is being written"}}
	h := newHarness(t, object{"endpoint": f.endpoint})
	config := object{"job": "churn", "from": "2026-01-01", "to": "2026-01-03", "wait": "1m"}
	progress, diags := h.invoke("batch_backfill", config)
	h.want(diags, isWarning, "backfill of job churn", "one of them is being written")
	if want := []string{"backfill bf-1 of job churn: 3 occurrences, 2 of the range left out", "0 waiting, 0 active, 3 succeeded, 0 failed"}; !slices.Equal(progress, want) {
		t.Errorf("told %q", progress)
	}
	f.backfill.Warnings, f.backfill.Failed = nil, 1
	_, diags = h.invoke("batch_backfill", config)
	h.want(diags, isError, "backfill bf-1 of job churn: 1 of 3 runs did not succeed", "batch-runner status churn")
	_, diags = h.invoke("batch_backfill", with(config, "never", "fail_on"))
	h.want(diags, isWarning, "1 of 3 runs did not succeed")
}

func TestARunThatTakesLongerThanIsWaitedForIsAnError(t *testing.T) {
	f := startFake(t)
	f.endless = true
	f.runs = []api.Run{endedRun(api.RunRunning)}
	f.run = f.runs[0]
	h := newHarness(t, object{"endpoint": f.endpoint})
	_, diags := h.invoke("batch_run_job", object{"job": "churn", "wait": "200ms"})
	h.want(diags, isError, "run run-7 of job churn is not at its end after 200ms", "It goes on", "batch-runner why run-7")
}

func TestAnActionThatTheRunnerRefusesIsAnError(t *testing.T) {
	f := startFake(t)
	f.runs = []api.Run{endedRun(api.RunSucceeded)}
	f.conflict = "run run-7 has succeeded"
	h := newHarness(t, object{"endpoint": f.endpoint})
	_, diags := h.invoke("batch_retry_run", object{"run": "run-7"})
	h.want(diags, isError, "cannot retry run-7", "Run run-7 has succeeded")
	_, diags = h.invoke("batch_cancel_run", object{"run": "run-9"})
	h.want(diags, isError, "cannot cancel run-9", "No run run-9")
	_, diags = h.invoke("batch_run_job", object{"job": "churn", "runner": object{"id": "runner-9", "endpoint": f.endpoint}})
	h.want(diags, isError, "cannot run job churn", "runner-9")
	f.stop()
	_, diags = newHarness(t, object{"endpoint": f.endpoint}).invoke("batch_accept_run", object{"run": "run-7", "reason": "r"})
	h.want(diags, isError, "cannot accept run-7", "No answer from the runner")
}

func TestBadInputOfAnActionIsAnErrorAtPlan(t *testing.T) {
	h := newHarness(t, object{"endpoint": "unix:///r.sock"})
	backfill := object{"job": "churn", "from": "2026-01-01", "to": "2026-01-02"}
	for text, config := range map[string]object{
		`wait "soon" is not a duration`:                 with(backfill, "soon", "wait"),
		`wait "0s" is not longer than 0`:                with(backfill, "0s", "wait"),
		`fail_on goes with wait only`:                   with(backfill, "failed", "fail_on"),
		`fail_on "always" is not one of failed`:         with(with(backfill, "always", "fail_on"), "1m", "wait"),
		`fail_on "incomplete" is about one run`:         with(with(backfill, "incomplete", "fail_on"), "1m", "wait"),
		`only "new" is not one of missing, failed, all`: with(backfill, "new", "only"),
		`order "random" is not one of oldest_first`:     with(backfill, "random", "order"),
		`max_parallel 0 is less than 1`:                 with(backfill, 0, "max_parallel"),
		`job is empty; give it a value, or remove it`:   with(backfill, "", "job"),
		`runner.endpoint "tcp://h:1" is neither`:        with(backfill, object{"id": "i", "endpoint": "tcp://h:1"}, "runner"),
	} {
		h.want(h.validateAction("batch_backfill", config), isError, text)
	}
	h.want(h.validateAction("batch_run_job", object{"job": "churn", "occurrence": "yesterday"}), isError, `occurrence "yesterday" is not an RFC 3339 instant`)
}

func TestWhatBecomesKnownOnlyInThePlanIsChecked(t *testing.T) {
	h := newHarness(t, object{})
	config := object{"job": "churn", "occurrence": "yesterday", "wait": "0s"}
	h.clean(h.validateAction("batch_run_job", with(with(config, unknown{}, "occurrence"), unknown{}, "wait")))
	resp, err := h.actor().PlanAction(t.Context(), &tfprotov6.PlanActionRequest{ActionType: "batch_run_job", Config: h.action("batch_run_job", config)})
	h.must(err)
	told := show(resp.Diagnostics)
	if len(resp.Diagnostics) != 2 || !strings.Contains(told, `occurrence "yesterday" is not an RFC 3339 instant`) || !strings.Contains(told, `wait "0s" is not longer than 0`) {
		t.Errorf("the plan says %s", told)
	}
}

func TestEachAttributeOfTheActionsUnknownOnce(t *testing.T) {
	h := newHarness(t, object{})
	runner := object{"id": "i", "endpoint": "unix:///r.sock"}
	waits := object{"runner": runner, "wait": "1m", "fail_on": "failed"}
	join := func(more object) object {
		config := with(waits, runner, "runner")
		for name, value := range more {
			config[name] = value
		}
		return config
	}
	for kind, config := range map[string]object{
		"batch_run_job":    join(object{"job": "churn", "occurrence": "2026-01-01T00:00:00Z", "if_idle": true}),
		"batch_retry_run":  join(object{"run": "r", "dead_letters": true}),
		"batch_rerun":      join(object{"job": "churn", "occurrence": "2026-01-01", "if_idle": true}),
		"batch_backfill":   join(object{"job": "churn", "from": "2026-01-01", "to": "2026-01-02", "only": "all", "order": "newest_first", "max_parallel": 2}),
		"batch_cancel_run": {"run": "r", "wait": "1m", "runner": runner},
		"batch_accept_run": {"run": "r", "reason": "x", "wait": "1m", "runner": runner},
	} {
		seen := map[string]bool{}
		h.clean(h.validateAction(kind, config))
		for name, variant := range variants(config) {
			seen[name] = true
			h.clean(h.validateAction(kind, variant))
			resp, err := h.actor().PlanAction(t.Context(), &tfprotov6.PlanActionRequest{ActionType: kind, Config: h.action(kind, variant)})
			h.must(err)
			h.clean(resp.Diagnostics)
		}
		covers(t, h.schemas.ActionSchemas[kind].Schema.Block, seen)
	}
}
