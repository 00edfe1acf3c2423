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
	w.example("resources/batch_prediction_job/resource.tf")
	w.writeTo("terraform.tfvars", `lake = "`+w.dir+`"`)
	w.apply()
	w.nothingToDo()
	if info := w.mustInfo(); info.DataDir != w.dataDir {
		t.Errorf("the runner is in %s", info.DataDir)
	}

	w.example("data-sources/batch_prediction_job_status/data-source.tf")
	w.example("data-sources/batch_runner/data-source.tf")
	w.example("data-sources/batch_schedule_preview/data-source.tf")
	for _, function := range []string{"cron_next", "cron_describe", "cron_validate"} {
		w.example("functions/" + function + "/function.tf")
	}
	w.writeTo("override.tf", `provider "batch" { endpoint = "`+w.endpoint()+`" }`)
	w.apply()
	state := w.state()
	if status := state["data.batch_prediction_job_status.churn"]; status["healthy"] != true || status["last_run"] != nil {
		t.Errorf("the status is %v", status)
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
