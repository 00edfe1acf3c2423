package provider

import (
	"slices"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

const jobKind = "batch_prediction_job"

func TestAJobIsCreatedReadAndDeleted(t *testing.T) {
	f := startFake(t)
	h := newHarness(t, object{"endpoint": f.endpoint, "owner": "growth"})
	for _, config := range fullJobs(object{"id": "runner-1", "endpoint": f.endpoint}) {
		job := h.create(jobKind, config)
		if stored := f.job("churn"); stored.Owner != "growth" || stored.Spec.Hash() == "" || !stored.Settings.OnDestroy.Purge {
			t.Errorf("stored %+v", stored)
		}
		again, diags := h.read(job)
		h.clean(diags)
		if !again.state.Equal(job.state) {
			t.Errorf("read\n%s\nafter\n%s", again.state, job.state)
		}
		p, diags := h.plan(again, config)
		h.clean(diags)
		if !p.state.Equal(again.state) {
			t.Errorf("the second plan is not empty: %s", p.state)
		}
		f.written()
		gone, diags := h.destroy(again)
		h.clean(diags)
		if !gone.state.IsNull() || !slices.Equal(f.written(), []string{"DELETE churn purge=true"}) {
			t.Errorf("after destroy: %s", gone.state)
		}
		f.change(func() { f.buried = map[string]bool{} })
	}
}

func TestSummaryShowsTheDefaultsInForce(t *testing.T) {
	f := startFake(t)
	h := newHarness(t, object{"endpoint": f.endpoint})
	job := h.create(jobKind, minimalJob())
	summary := h.text(job.state, "summary")
	for _, part := range []string{"manual runs only", "mini-batches of 10,000 rows within 6h, 8 requests in flight", "partial: mini-batches 4×", "withheld above 1%"} {
		if !strings.Contains(summary, part) {
			t.Errorf("%q is not in the summary %q", part, summary)
		}
	}
	p, _ := h.plan(instance{kind: jobKind}, with(minimalJob(), unknown{}, "parallelism"))
	if got := h.text(p.state, "summary"); got != "(unknown)" {
		t.Errorf("with something unknown, summary is %s", got)
	}
}

func TestAnotherSpellingShowsAndSendsNothing(t *testing.T) {
	f := startFake(t)
	h := newHarness(t, object{"endpoint": f.endpoint})
	job := h.create(jobKind, with(minimalJob(), "90m", "keep_withheld"))
	f.written()
	config := with(with(minimalJob(), "1h30m", "keep_withheld"), 8, "parallelism") // 8 is the default
	p, diags := h.plan(job, config)
	h.clean(diags)
	if p.state.Equal(job.state) {
		t.Error("the change does not show")
	}
	job, diags = h.apply(p)
	h.clean(diags)
	if writes := f.written(); len(writes) > 0 {
		t.Errorf("sent %v", writes)
	}
	job, _ = h.read(job)
	if got := h.text(job.state, "keep_withheld"); got != "1h30m" {
		t.Errorf("after a refresh the state says %s", got)
	}
	job = h.update(job, with(config, "2h", "keep_withheld"))
	if writes := f.written(); !slices.Equal(writes, []string{"PUT churn"}) {
		t.Errorf("a real change sent %v", writes)
	}
	job = h.update(job, with(with(config, "2h", "keep_withheld"), object{"purge": false}, "on_destroy"))
	if writes := f.written(); !slices.Equal(writes, []string{"PUT churn"}) {
		t.Errorf("another setting of the provider sent %v", writes)
	}
}

func TestAnEditBehindTerraformsBackIsADiffOfThatAttribute(t *testing.T) {
	f := startFake(t)
	h := newHarness(t, object{"endpoint": f.endpoint})
	job := h.create(jobKind, with(minimalJob(), 4, "parallelism"))
	edited := f.job("churn")
	six := int64(6)
	edited.Spec.Parallelism = &six
	f.edit(edited)
	job, diags := newHarness(t, object{"endpoint": f.endpoint}).read(job)
	h.clean(diags)
	if got := h.at(job.state, "parallelism").String(); !strings.Contains(got, `"6"`) {
		t.Errorf("parallelism is %s", got)
	}
	h.update(job, with(minimalJob(), 4, "parallelism"))
	if got := f.job("churn"); *got.Spec.Parallelism != 4 || got.Generation != 3 {
		t.Errorf("stored %+v", got)
	}
}

func TestAnUpdateOfWhatSomebodyElseChangedMeanwhileIsRefused(t *testing.T) {
	f := startFake(t)
	h := newHarness(t, object{"endpoint": f.endpoint})
	job := h.create(jobKind, minimalJob())
	f.edit(f.job("churn"))
	p, _ := h.plan(job, with(minimalJob(), 4, "parallelism"))
	after, diags := h.apply(p)
	h.want(diags, isError, "churn", "omebody else changed", "Plan again")
	if !after.state.Equal(job.state) {
		t.Errorf("a failed update changed the state to %s", after.state)
	}
}

func TestAJobThatIsThereAlreadyIsNotTakenOver(t *testing.T) {
	f := startFake(t)
	newHarness(t, object{"endpoint": f.endpoint, "owner": "team-a"}).create(jobKind, minimalJob())
	h := newHarness(t, object{"endpoint": f.endpoint, "owner": "team-b"})
	p, _ := h.plan(instance{kind: jobKind}, with(minimalJob(), object{"id": "runner-1", "endpoint": f.endpoint}, "runner"))
	_, diags := h.apply(p)
	h.want(diags, isError, `AttributeName("name")`, `"team-a"`, "terraform import batch_prediction_job.NAME '"+f.endpoint+"#churn'")
}

func TestANameThatWasDeletedContinuesItsHistoryAndSaysSo(t *testing.T) {
	f := startFake(t)
	h := newHarness(t, object{"endpoint": f.endpoint})
	_, diags := h.destroy(h.create(jobKind, minimalJob()))
	h.clean(diags)
	p, _ := h.plan(instance{kind: jobKind}, minimalJob())
	_, diags = h.apply(p)
	h.want(diags, isWarning, `"churn"`, "history", "resumed", "purge = true")
}

func TestAnotherRunnerIsAnotherJob(t *testing.T) {
	f := startFake(t)
	h := newHarness(t, object{"endpoint": f.endpoint})
	here := object{"id": "runner-1", "endpoint": f.endpoint}
	job := h.create(jobKind, with(minimalJob(), here, "runner"))

	for name, test := range map[string]struct {
		runner   any
		replaces bool
	}{
		"another id":       {object{"id": "runner-9", "endpoint": f.endpoint}, true},
		"one being made":   {unknown{}, true},
		"another endpoint": {object{"id": "runner-1", "endpoint": "unix:///elsewhere.sock"}, false},
		"the provider's":   {nil, false},
	} {
		p, diags := h.plan(job, with(minimalJob(), test.runner, "runner"))
		h.clean(diags)
		if (len(p.replace) > 0) != test.replaces {
			t.Errorf("%s replaces %v", name, p.replace)
		}
	}
}

// The table of what each operation does when the runner is not the one meant.
func TestFaultsOfARunner(t *testing.T) {
	unreachable := map[string]func(*fakeRunner){"unreachable": (*fakeRunner).stop, "another runner": (*fakeRunner).becomeAnother}
	for name, fault := range unreachable {
		t.Run(name, func(t *testing.T) {
			f := startFake(t)
			job := newHarness(t, object{"endpoint": f.endpoint}).create(jobKind, minimalJob())
			fault(f)
			h := newHarness(t, object{"endpoint": f.endpoint})

			kept, diags := h.read(job)
			h.want(diags, isWarning, "churn", f.endpoint)
			if !kept.state.Equal(job.state) {
				t.Errorf("Read changed the state to %s", kept.state)
			}
			p, _ := h.plan(job, with(minimalJob(), 4, "parallelism"))
			_, diags = h.apply(p)
			h.want(diags, isError, "cannot update job churn")
			kept, diags = h.destroy(job)
			h.want(diags, isError, "cannot delete job churn", `on_unreachable = "forget"`)
			if kept.state.IsNull() {
				t.Error("a failed destroy dropped the state")
			}

			strict := newHarness(t, object{"endpoint": f.endpoint, "on_unreachable": "error"})
			_, diags = strict.read(job)
			h.want(diags, isError, "cannot read job churn")

			forgetful := newHarness(t, object{"endpoint": f.endpoint, "on_unreachable": "forget"})
			kept, diags = forgetful.read(job)
			h.want(diags, isWarning, "churn")
			if kept.state.IsNull() {
				t.Error("Read dropped the state")
			}
			gone, diags := forgetful.destroy(job)
			h.want(diags, isWarning, "may still run", "churn")
			if !gone.state.IsNull() {
				t.Error("the job is not forgotten")
			}
		})
	}
	t.Run("a token is missing", func(t *testing.T) {
		f := startFake(t)
		job := newHarness(t, object{"endpoint": f.endpoint}).create(jobKind, minimalJob())
		f.wantToken()
		h := newHarness(t, object{"endpoint": f.endpoint, "token": "wrong"})
		_, diags := h.read(job)
		h.want(diags, isError, `provider "batch" { token }`)
		_, diags = h.destroy(job)
		h.want(diags, isError, "token")
	})
	t.Run("the job is gone", func(t *testing.T) {
		f := startFake(t)
		h := newHarness(t, object{"endpoint": f.endpoint})
		job := h.create(jobKind, minimalJob())
		f.lose("churn")
		updated := h.update(job, with(minimalJob(), 4, "parallelism"))
		if f.job("churn").Spec.Name == "" {
			t.Error("Update did not register the job anew")
		}
		f.lose("churn")
		gone, diags := newHarness(t, object{"endpoint": f.endpoint}).read(updated)
		h.clean(diags)
		if !gone.state.IsNull() {
			t.Error("Read kept a job that its runner does not have")
		}
		_, diags = h.destroy(job)
		h.clean(diags)
	})
}

func TestImport(t *testing.T) {
	f := startFake(t)
	h := newHarness(t, object{"endpoint": f.endpoint})
	here := object{"id": "runner-1", "endpoint": f.endpoint}
	identity := object{"name": "churn", "runner_id": "runner-1"}
	for name, test := range map[string]struct {
		id       string
		identity object
		runner   object
	}{
		"by name":              {"churn", nil, nil},
		"by endpoint and name": {f.endpoint + "#churn", nil, here},
		"by identity":          {"", identity, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := &harness{t: t, server: h.server, schemas: h.schemas}
			config := fullJobs(test.runner)[0]
			if test.runner == nil {
				delete(config, "runner")
			}
			f.change(func() { f.jobs = map[string]api.StoredJob{}; f.buried = map[string]bool{} })
			h.create(jobKind, config)
			job, diags := h.importBy(jobKind, test.id, test.identity)
			h.clean(diags)
			job, diags = h.read(job)
			h.clean(diags)
			p, diags := h.plan(job, config)
			h.clean(diags)
			if !p.state.Equal(job.state) {
				t.Errorf("the plan is not empty:\n%s\n%s", job.state, p.state)
			}
		})
	}
	_, diags := h.importBy(jobKind, "", object{"name": "churn", "runner_id": "runner-7"})
	h.want(diags, isError, "runner-7")
	_, diags = h.importBy(jobKind, "absent", nil)
	h.want(diags, isError, "absent")
}

func TestReadGivesAnIdentityEvenWithoutOne(t *testing.T) {
	f := startFake(t)
	h := newHarness(t, object{"endpoint": f.endpoint})
	job := h.create(jobKind, minimalJob())
	job.identity = nil
	f.lose("churn")
	_, diags := h.read(job)
	h.clean(diags)
}

func TestRunOnCreate(t *testing.T) {
	tests := map[string]struct {
		run  api.Run
		text []string // none: no warning
	}{
		"succeeds":   {api.Run{ID: "run-1", State: api.RunSucceeded}, nil},
		"fails":      {api.Run{ID: "run-1", State: api.RunFailed, Message: "no file matches"}, []string{"ended failed", "no file matches", "batch-runner why run-1"}},
		"takes long": {api.Run{ID: "run-1", State: api.RunRunning}, []string{"is running after 50ms", "batch-runner status churn"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := startFake(t)
			f.run = test.run
			h := newHarness(t, object{"endpoint": f.endpoint})
			p, _ := h.plan(instance{kind: jobKind}, with(minimalJob(), "50ms", "run_on_create"))
			job, diags := h.apply(p)
			if test.text == nil {
				h.clean(diags)
			} else {
				h.want(diags, isWarning, append(test.text, f.endpoint)...)
			}
			if job.state.IsNull() || !slices.Equal(f.written(), []string{"PUT churn", "RUN churn uid-1/1"}) {
				t.Errorf("state %s", job.state)
			}
		})
	}
}

func TestWhatTheRunnerFindsIsShownAtItsAttribute(t *testing.T) {
	f := startFake(t)
	h := newHarness(t, object{"endpoint": f.endpoint})
	p, _ := h.plan(instance{kind: jobKind}, with(minimalJob(), object{"refuse": "yes"}, "labels"))
	_, diags := h.apply(p)
	h.want(diags, isError, `AttributeName("input")`, `input.files.uri "/in" can't be | do otherwise`)
}

func TestBadInputIsAnErrorAtPlan(t *testing.T) {
	h := newHarness(t, object{"endpoint": "unix:///r.sock"})
	full := fullJobs(object{"id": "i", "endpoint": "unix:///r.sock"})[0]
	tests := []struct {
		value any
		path  string
		text  string
	}{
		{"0 25 * * *", "schedule.cron", `schedule.cron "0 25 * * *": hour 25 is not in 0–23`},
		{"Europe/Berln", "schedule.time_zone", `schedule.time_zone "Europe/Berln": is not an IANA time zone`},
		{"1h", "schedule.every", "schedule: cron and every are both set; keep one"},
		{object{}, "schedule", "schedule: one of at, calendar, cron, every is required"},
		{"2026-01-01T00:00:00Z", "schedule.anchor", `schedule.anchor "2026-01-01T00:00:00Z": goes with every only`},
		{"10", "keep_withheld", `keep_withheld "10" is not a duration; write it like 30s`},
		{"1h 30m", "predict.request_timeout", `predict.request_timeout "1h 30m" is not a duration`},
		{[]any{"1s", "soon"}, "retry.backoff", `retry.backoff[1] "soon" is not a duration`},
		{"0s", "run_on_create", `run_on_create "0s" is not longer than 0`},
		{"1,5%", "max_failed", `max_failed "1,5%" is neither a count nor a percentage`},
		{"in/*.csv", "input.files.uri", `input.files.uri "in/*.csv" is not absolute; write "${abspath("in/*.csv")}"`},
		{"ftp://lake/x.csv", "input.files.uri", `its store is not known; write /abs/path, file:///abs/path, az://account/container/path`},
		{object{"dsn": object{"env": "DSN"}, "query": "SELECT 1"}, "input.sql", "input: files and sql are both set; keep one"},
		{nil, "input.files", "input: one of files, sql is required"},
		{"5", "input.max_spool", `input.max_spool "5" is not a size`},
		{object{"sql": "SELECT 1", "timeout": "1h"}, "input.wait_for", "input.wait_for.sql: asks the database of input.sql"},
		{[]any{"a"}, "predict.features.exclude", "predict.features: columns and exclude are both set; keep one"},
		{"/out/{datum}", "output.files.uri", `{datum}`},
		{"srv", "predict.server.working_dir", `predict.server.working_dir "srv" is not absolute; write abspath("srv")`},
		{[]any{"serve", "{ports}"}, "predict.server.command", "predict.server.command[1]"},
		{object{"url": "http://h"}, "predict.endpoint", "predict: endpoint and server are both set; keep one"},
		{nil, "predict.server", "predict: one of endpoint, program, server is required"},
		{"grpc", "predict.protocol", `predict.protocol "grpc" is not one of oip_v2, tf_v1`},
		{object{"S": object{}}, "predict.server.secret_env", "predict.server.secret_env.S: one of env, file, secret is required"},
		{0, "parallelism", "parallelism 0 is not in 1–1024"},
		{"soon", "mini_batch.timeout", `mini_batch.timeout "soon" is not a duration`},
		{"cheap", "predict.server.price_per_hour", `predict.server.price_per_hour "cheap" is not a price; write it like "0.35"`},
		{[]any{409, 200}, "predict.permanent_statuses", "predict.permanent_statuses[1] 200 is not the status of a refusal"},
		{object{"a": "1"}, "predict.golden", `predict.golden has no cell for "b"`},
		{object{"input": "none"}, "dead_letters", `dead_letters.input "none" is not one of full, key_only`},
		{"all_or_nothing", "retry.policy", `retry.policy "all_or_nothing" is not one of partial, complete, next_batch`},
		{"reset", "input.state", `input.state is about what earlier runs took`},
		{"1s", "output.keep_for", `output.keep_for "1s" is not between 1h and 36500d`},
		{"Churn", "name", `name "Churn" is not a job name`},
		{"../churn", "name", `name "../churn" is not a job name`},
		{"", "predict.model.version", "predict.model.version is empty; give it a value, or remove it"},
		{object{"team": nil}, "labels", "labels.team is empty"},
		{"tcp://h:1", "runner.endpoint", `runner.endpoint "tcp://h:1" is neither`},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			h := &harness{t: t, server: h.server, schemas: h.schemas}
			top, _, _ := strings.Cut(test.path, ".")
			diags := h.validate(jobKind, with(full, test.value, strings.Split(test.path, ".")...))
			h.want(diags, isError, test.text, `AttributeName("`+top+`")`)
			if !strings.HasPrefix(diags[0].Summary, top) {
				t.Errorf("the summary does not begin with the path: %s", diags[0].Summary)
			}
		})
	}
}

func TestANewInputMustSayWhatBecomesOfTheMemory(t *testing.T) {
	f := startFake(t)
	h := newHarness(t, object{"endpoint": f.endpoint})
	config := with(minimalJob(), "new_files", "input", "mode")
	job := h.create(jobKind, config)
	elsewhere := with(config, "/other/*.csv", "input", "files", "uri")

	_, diags := h.plan(job, elsewhere)
	h.want(diags, isError, `AttributeName("input")`, `input.state is required: with another files.uri ("/other/*.csv", was "/in/*.csv")`, `state = "reset"`, `state = "keep"`)
	for name, config := range map[string]object{
		"said":               with(elsewhere, "keep", "input", "state"),
		"not known yet":      with(elsewhere, unknown{}, "input", "files", "uri"),
		"another spelling":   with(config, "file:///in/*.csv", "input", "files", "uri"),
		"no memory any more": with(elsewhere, "full", "input", "mode"),
		"another runner":     with(elsewhere, object{"id": "runner-9", "endpoint": f.endpoint}, "runner"),
	} {
		_, diags := h.plan(job, config)
		if len(diags) > 0 {
			t.Errorf("%s: %s", name, show(diags))
		}
	}
	full := newHarness(t, object{"endpoint": f.endpoint}).create(jobKind, with(minimalJob(), "other", "name"))
	_, diags = h.plan(full, with(elsewhere, "other", "name"))
	h.clean(diags)
}

func TestAFindingAboutWhatIsKnownDoesNotWaitForWhatIsNot(t *testing.T) {
	h := newHarness(t, object{})
	config := with(with(minimalJob(), object{"url": unknown{}}, "predict", "endpoint"), "grpc", "predict", "protocol")
	h.want(h.validate(jobKind, config), isError, `predict.protocol "grpc"`)
	config = with(minimalJob(), object{"cron": "0 25 * * *", "time_zone": unknown{}}, "schedule")
	h.want(h.validate(jobKind, config), isError, `schedule.cron "0 25 * * *": hour 25`)
}

func TestRunnerDataSource(t *testing.T) {
	f := startFake(t)
	h := newHarness(t, object{"endpoint": f.endpoint})
	runner, diags := h.data("batch_runner", object{})
	h.clean(diags)
	for name, want := range map[string]string{"reachable": "true", "id": "runner-1", "version": "1.2.3", "zones": schedule.ZoneRelease(), "endpoint": f.endpoint, "data_dir": "/d"} {
		if got := h.text(runner[name]); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	f.stop()
	runner, diags = newHarness(t, object{}).data("batch_runner", object{"endpoint": f.endpoint})
	h.clean(diags)
	if h.text(runner["reachable"]) != "false" || h.text(runner["id"]) != "(null)" {
		t.Errorf("a stopped one is %v", runner)
	}
}
