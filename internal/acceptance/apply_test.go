package acceptance

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const runnerHCL = `
resource "batch_runner" "main" {
  local = { service = "process", data_dir = "%DATA%" }
}
`

const jobHCL = `
resource "batch_prediction_job" "iris" {
  name   = "iris"
  runner = batch_runner.main

  schedule    = { cron = "0 2 * * MON-SAT", time_zone = "Europe/Berlin" }
  input       = { files = { uri = "%IRIS%" }, key = ["id"] }
  mini_batch  = { rows = 20 }
  parallelism = 4
  predict = {
    protocol = "oip_v2"
    model    = { name = "iris" }
    features = { columns = ["sepal_length", "sepal_width", "petal_length", "petal_width"], name = "input" }
    server   = { command = ["%SERVER%"] }
  }
  output        = { files = { uri = "%OUT%/dt={date}" } }
  run_on_create = "5m"
}
`

const statusHCL = `
data "batch_prediction_job_status" "iris" {
  job    = batch_prediction_job.iris.name
  runner = batch_runner.main
}

check "healthy" {
  assert {
    condition     = data.batch_prediction_job_status.iris.healthy
    error_message = data.batch_prediction_job_status.iris.summary
  }
}
`

func TestOneApplyInstallsARunnerRunsAJobAndShowsTheRun(t *testing.T) {
	w := newWorkspace(t)
	w.write(runnerHCL + jobHCL + statusHCL)
	output := w.apply()
	has(t, output, "does not survive a reboot")
	if strings.Contains(flatten(output), "run_on_create:") || strings.Contains(output, "Check block assertion failed") {
		t.Errorf("the first run did not succeed:\n%s", output)
	}

	state := w.state()
	status := state["data.batch_prediction_job_status.iris"]
	run, _ := status["last_run"].(map[string]any)
	if status["healthy"] != true || run["state"] != "succeeded" || fmt.Sprint(run["counts"]) != counts(map[string]int{"planned": 150, "committed": 150}) {
		t.Errorf("the status is %v", status)
	}
	if runner := state["batch_runner.main"]; runner["running"] != true || runner["endpoint"] != w.endpoint() || runner["id"] != w.mustInfo().RunnerID {
		t.Errorf("the runner is %v", runner)
	}
	folder, _ := run["output"].(string)
	if _, err := os.Stat(filepath.Join(folder, "_SUCCESS")); err != nil {
		t.Errorf("the run is not published: %v", err)
	}
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", w.mustInfo().PID))
	if err == nil && (strings.Contains(string(environment), "TF_") || strings.Contains(string(environment), "BATCH_ALLOW")) {
		t.Errorf("the daemon inherited %q", environment)
	}
	w.nothingToDo()
}

func TestADaemonThatDiedIsRepairedAndNothingElseChanges(t *testing.T) {
	w := newWorkspace(t)
	w.write(runnerHCL + strings.Replace(jobHCL, `run_on_create = "5m"`, "", 1) + statusHCL)
	w.apply()
	before := w.mustInfo()
	w.kill()

	changes, text := w.plan()
	if addresses(changes) != "batch_runner.main [update]" {
		t.Fatalf("the plan changes %s", addresses(changes))
	}
	for name, after := range changes[0].Change.After {
		if was := changes[0].Change.Before[name]; fmt.Sprint(was) != fmt.Sprint(after) && (name != "running" || was != false || after != true) {
			t.Errorf("%s changes from %v to %v", name, was, after)
		}
	}
	if strings.Contains(text, "no answer from the runner") { // this plan starts it
		t.Errorf("the plan warns of what it mends:\n%s", text)
	}

	w.apply()
	if after := w.mustInfo(); after.PID == before.PID || after.RunnerID != before.RunnerID {
		t.Errorf("%+v after %+v", after, before)
	}
	w.nothingToDo()
}

func TestOtherSettingsOfARunnerRestartItInPlace(t *testing.T) {
	w := newWorkspace(t)
	job := strings.Replace(jobHCL, `run_on_create = "5m"`, "", 1)
	w.write(runnerHCL + job)
	w.apply()
	before := w.mustInfo()
	w.write(strings.Replace(runnerHCL, "}\n}", "}\n  max_concurrent_runs = 2\n}", 1) + job)
	changes, _ := w.plan()
	if addresses(changes) != "batch_runner.main [update]" {
		t.Fatalf("the plan changes %s", addresses(changes))
	}
	w.apply()
	if after := w.mustInfo(); after.PID == before.PID || after.RunnerID != before.RunnerID || after.ConfigHash == before.ConfigHash {
		t.Errorf("%+v after %+v", after, before)
	}
	w.nothingToDo()
}

func TestAnUpgradeShowsAndHappensInPlace(t *testing.T) {
	w := newWorkspace(t)
	w.write(runnerHCL)
	w.apply()
	before := w.mustInfo()
	w.with = upgraded(t, "9.9.9")
	changes, _ := w.plan()
	if addresses(changes) != "batch_runner.main [update]" || changes[0].Change.After["version"] != "9.9.9" {
		t.Fatalf("the plan changes %s: %v", addresses(changes), changes)
	}
	w.apply()
	if after := w.mustInfo(); after.Version != "9.9.9" || after.RunnerID != before.RunnerID {
		t.Errorf("%+v after %+v", after, before)
	}
	w.nothingToDo()

	w.with = upgraded(t, "9.9.8")
	output, code := w.try("plan", "-input=false")
	if code != 1 {
		t.Errorf("an older version is planned:\n%s", output)
	}
	has(t, output, "version 9.9.8 is older than the runner's, 9.9.9")
}

func TestImportIsAnEmptyPlan(t *testing.T) {
	w := newWorkspace(t)
	hcl := strings.Replace(runnerHCL, "}\n}", "}\n  drain_timeout = \"20s\"\n}", 1) + strings.Replace(jobHCL, `"5m"`, `"90s"`, 1)
	w.write(hcl)
	w.apply()
	if err := os.Remove(filepath.Join(w.dir, "terraform.tfstate")); err != nil {
		t.Fatal(err)
	}
	w.terraform("import", "-input=false", "batch_runner.main", "local:"+w.dataDir)
	w.terraform("import", "-input=false", "batch_prediction_job.iris", w.endpoint()+"#iris")
	w.nothingToDo()

	if !w.atLeast(1, 12) {
		return // an import block takes an identity from 1.12 on
	}
	w.terraform("state", "rm", "batch_prediction_job.iris")
	w.write(`provider "batch" { endpoint = "` + w.endpoint() + `" }` + strings.Replace(hcl, "runner = batch_runner.main", "", 1) + fmt.Sprintf(`
import {
  to       = batch_prediction_job.iris
  identity = { name = "iris", runner_id = %q }
}
`, w.mustInfo().RunnerID))
	w.apply()
	w.nothingToDo()
}

func TestAForeignRunnerAtTheSameSocketIsNotOurs(t *testing.T) {
	w := newWorkspace(t)
	w.write(runnerHCL + strings.Replace(jobHCL, `run_on_create = "5m"`, "", 1) + statusHCL)
	w.apply()
	before := w.state()
	w.kill()
	serve(t, filepath.Join(w.dir, "other"), w.endpoint())

	changes, text := w.plan()
	has(t, text, "another runner than the one meant is at "+w.endpoint())
	if addresses(changes) != "batch_runner.main [update]" {
		t.Errorf("the plan changes %s", addresses(changes))
	}
	output, code := w.try("apply", "-auto-approve", "-input=false")
	if code == 0 {
		t.Errorf("the apply went well:\n%s", output)
	}
	has(t, output, "nother runner than the one meant")
	after := w.state()
	if fmt.Sprint(after["batch_prediction_job.iris"]) != fmt.Sprint(before["batch_prediction_job.iris"]) {
		t.Errorf("the job became %v", after["batch_prediction_job.iris"])
	}
	if status := after["data.batch_prediction_job_status.iris"]; status["reachable"] == true && status["exists"] == false {
		t.Errorf("the foreign runner was asked: %v", status)
	}
}

func TestOnDestroy(t *testing.T) {
	for purge, wantGone := range map[bool]bool{false: false, true: true} {
		t.Run(fmt.Sprintf("purge=%v", purge), func(t *testing.T) {
			w := newWorkspace(t)
			onDestroy := fmt.Sprintf("\n  on_destroy = { purge = %v }\n}\n", purge)
			w.write(strings.Replace(runnerHCL, "}\n}\n", "}"+onDestroy, 1) + strings.Replace(jobHCL, "  run_on_create = \"5m\"\n}\n", onDestroy, 1))
			w.apply()
			w.terraform("destroy", "-auto-approve", "-input=false")
			if _, err := w.info(); err == nil {
				t.Error("the daemon still runs")
			}
			_, err := os.Stat(filepath.Join(w.dataDir, "install.json"))
			if os.IsNotExist(err) != wantGone {
				t.Errorf("the data dir: %v", err)
			}
			if purge {
				return
			}
			// What was destroyed without a purge is continued.
			w.write(runnerHCL + strings.Replace(jobHCL, `run_on_create = "5m"`, "", 1))
			has(t, w.apply(), "the history of a deleted job is continued")
			w.nothingToDo()
		})
	}
}

func TestAnotherSpellingIsAppliedOnceAndStays(t *testing.T) {
	w := newWorkspace(t)
	spelt := func(d string) string {
		return runnerHCL + strings.Replace(jobHCL, `run_on_create = "5m"`, fmt.Sprintf("keep_withheld = %q", d), 1)
	}
	w.write(spelt("90m"))
	w.apply()
	generation := w.generation("iris")
	w.write(spelt("1h30m"))
	changes, _ := w.plan()
	if addresses(changes) != "batch_prediction_job.iris [update]" {
		t.Errorf("the plan changes %s", addresses(changes))
	}
	w.apply()
	if now := w.generation("iris"); now != generation {
		t.Errorf("generation %d became %d", generation, now)
	}
	w.nothingToDo()
}

// counts is the accounting of a run as a state shows it; what is not given is 0.
func counts(given map[string]int) string {
	all := map[string]int{"planned": 0, "committed": 0, "carried": 0, "dead_lettered": 0, "gone": 0, "unfinished": 0, "staged": 0, "given_up": 0}
	maps.Copy(all, given)
	return fmt.Sprint(all)
}

// generation asks the daemon for a job's generation.
func (w *workspace) generation(name string) int64 {
	w.t.Helper()
	c := w.client()
	defer c.Close()
	job, err := c.Job(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	return job.Generation
}
