package acceptance

import (
	"os"
	"path/filepath"
	"testing"
)

// example copies an example into the workspace, as a user would.
func (w *workspace) example(path string) {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", filepath.FromSlash(path)))
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, filepath.Base(filepath.Dir(path))+"-"+filepath.Base(path)), text, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func TestTheExamplesOfTheDocumentationApply(t *testing.T) {
	w := newWorkspace(t)
	w.dataDir = filepath.Join(w.dir, "runner")
	w.example("provider/provider.tf")
	for _, file := range []string{"resource.tf", "resource_complete.tf", "resource_next_batch.tf", "resource_progressive.tf"} {
		w.example("resources/batch_prediction_job/" + file)
	}
	w.writeTo("terraform.tfvars", `lake = "`+w.dir+`"`)
	w.apply()
	w.nothingToDo()
	if info := w.mustInfo(); info.DataDir != w.dataDir {
		t.Errorf("the runner is in %s", info.DataDir)
	}

	for _, source := range []string{
		"batch_prediction_job_status", "batch_prediction_jobs", "batch_prediction_run", "batch_prediction_runs", "batch_runner", "batch_schedule_preview",
	} {
		w.example("data-sources/" + source + "/data-source.tf")
	}
	for _, function := range []string{"cron_next", "cron_describe", "cron_validate"} {
		w.example("functions/" + function + "/function.tf")
	}
	w.writeTo("override.tf", `provider "batch" { endpoint = "`+w.endpoint()+`" }`)
	w.apply()
	state := w.state()
	if status := state["data.batch_prediction_job_status.churn"]; status["healthy"] != true || status["last_run"] != nil {
		t.Errorf("the status is %v", status)
	}
	if jobs := state["data.batch_prediction_jobs.growth"]; jobs["healthy"] != true || jobs["summary"] != "1 job, all of them healthy" {
		t.Errorf("the jobs are %v", jobs)
	}
	if runs := state["data.batch_prediction_runs.bad"]; runs["exists"] != true || runs["summary"] != "0 runs" {
		t.Errorf("the runs are %v", runs)
	}
	if run := state["data.batch_prediction_run.it"]; run["exists"] != false {
		t.Errorf("the run is %v", run)
	}
	if runner := state["data.batch_runner.main"]; runner["reachable"] != true {
		t.Errorf("the runner is %v", runner)
	}
	w.nothingToDo()
	w.terraform("destroy", "-auto-approve")
}

func TestTheExampleOfARunnerApplies(t *testing.T) {
	w := newWorkspace(t)
	w.example("provider/provider.tf")
	w.example("resources/batch_runner/resource.tf")
	w.writeTo("terraform.tfvars", `data_dir = "`+w.dataDir+`"`)
	w.apply()
	w.nothingToDo()
	w.terraform("destroy", "-auto-approve")
}

func TestTheExamplesOfActionsRun(t *testing.T) {
	w := newWorkspace(t)
	if !w.atLeast(1, 14) {
		t.Skip("there are actions from Terraform 1.14 on")
	}
	w.write(runnerHCL + quietJobHCL + `
action "batch_run_job" "now" {
  config {
    job    = batch_prediction_job.iris.name
    runner = batch_runner.main
    wait   = "1m"
  }
}
`)
	w.apply()
	has(t, w.terraform("apply", "-auto-approve", "-input=false", "-invoke=action.batch_run_job.now"), "succeeded: 150 of 150 records committed")
	w.nothingToDo()

	examples := newWorkspace(t)
	examples.example("provider/provider.tf")
	actions, err := filepath.Glob("../../examples/actions/*/*.tf")
	if err != nil || len(actions) < 6 {
		t.Fatalf("the examples are %v, %v", actions, err)
	}
	for i, path := range actions {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// Each declares the variables that it uses, so they are validated one by one.
		examples.writeTo("action.tf", string(text))
		if filepath.Base(path) == "action_after_update.tf" {
			text, err = os.ReadFile(filepath.Join(filepath.Dir(path), "action.tf"))
			if err != nil {
				t.Fatal(err)
			}
			examples.writeTo("other.tf", string(text))
		}
		t.Logf("%d: %s", i, path)
		examples.terraform("validate")
	}
}
