package acceptance

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

// numbered is an HCL job over files of numbered records, in mini-batches of
// ten, predicted by a server of this test; with these attributes of its input
// and of itself.
func numbered(name, url, input, more string) string {
	return fmt.Sprintf(`
resource "batch_prediction_job" %[1]q {
  name   = %[1]q
  runner = batch_runner.main
  input       = { %[3]s, key = ["id"] }
  mini_batch  = { rows = 10 }
  parallelism = 2
  predict = {
    protocol         = "oip_v2"
    model            = { name = "m" }
    features         = { columns = ["id", "size"] }
    rows_per_request = 5
    endpoint         = { url = %[2]q }
  }
  output = { files = { uri = "%%OUT%%/%[1]s/at={scheduled_at}" } }
  %[4]s
}
data "batch_prediction_job_status" %[1]q {
  job    = batch_prediction_job.%[1]s.name
  runner = batch_runner.main
}
data "batch_prediction_run" %[1]q {
  id     = try(data.batch_prediction_job_status.%[1]s.last_run.id, "none")
  runner = batch_runner.main
}
`, name, url, input, more)
}

// records writes a file of numbered records.
func (w *workspace) records(name string, from, to int) {
	w.t.Helper()
	text := "id,size\n"
	for id := from; id <= to; id++ {
		text += fmt.Sprintf("%d,%d\n", id, id*2)
	}
	path := filepath.Join(w.dir, "out", "in", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// run runs a job for a day of November and waits for the end.
func (w *workspace) run(job string, day int) api.Run {
	w.t.Helper()
	c := w.client()
	defer c.Close()
	run, _, err := c.StartRun(w.t.Context(), job, api.Trigger{Occurrence: time.Date(2026, 11, day, 2, 0, 0, 0, time.UTC)}, fmt.Sprint(job, day))
	if err != nil {
		w.t.Fatal(err)
	}
	return w.ended(run.ID)
}

// refreshed gives the status and the last run of a job as the state has them.
func (w *workspace) refreshed(job string) (status, run map[string]any) {
	w.t.Helper()
	w.apply()
	state := w.state()
	return state["data.batch_prediction_job_status."+job], state["data.batch_prediction_run."+job]
}

func TestEachPolicyShowsInItsNumbers(t *testing.T) {
	w := newWorkspace(t)
	w.records("all.csv", 1, 100)
	servers := map[string]*predicttest.Server{}
	hcl := runnerHCL
	for name, policy := range map[string]string{
		"partial":  "retry = { policy = \"partial\", attempts = 2, backoff = [\"10ms\"] }\n  max_failed = \"20%\"",
		"complete": `retry = { policy = "complete", attempts = 1, backoff = ["10ms"] }`,
		"carrying": "retry = { policy = \"next_batch\" }\n  max_failed = \"20%\"\n  accept_incomplete = true",
	} {
		servers[name] = predicttest.New(predicttest.Options{})
		hcl += numbered(name, servers[name].Listen(t), `files = { uri = "%OUT%/in/all.csv" }`, policy)
	}
	servers["partial"].Inject(predicttest.Fault{Record: "17", Purpose: predicttest.AnyPurpose, Status: http.StatusUnprocessableEntity, Body: `{"error": "no such size"}`})
	passing := map[string]func(){}
	for name, server := range servers {
		fault := predicttest.Fault{Record: "55", Status: http.StatusServiceUnavailable}
		if name == "complete" {
			fault.Times = 4 // all tries of the one request, in the first attempt at the run
		}
		passing[name] = server.Inject(fault)
	}
	w.write(hcl)
	w.apply()
	for name := range servers {
		w.run(name, 1)
	}

	status, run := w.refreshed("partial")
	if run["state"] != "incomplete" || status["healthy"] != false || status["owed"] != 0.0 ||
		fmt.Sprint(run["counts"]) != counts(map[string]int{"planned": 100, "committed": 89, "dead_lettered": 1, "unfinished": 10, "given_up": 10}) {
		t.Errorf("partial: %v\n%v", status, run)
	}
	letters, _ := run["dead_letters"].([]any)
	letter, _ := letters[0].(map[string]any)
	if len(letters) != 1 || fmt.Sprint(letter["key"]) != "map[id:17]" || letter["line"] != 18.0 || letter["class"] != "data" || letter["status"] != 422.0 || !strings.Contains(fmt.Sprint(letter["error"]), "no such size") {
		t.Errorf("partial: the dead letters are %v", letters)
	}
	if errors := fmt.Sprint(run["errors"]); !strings.Contains(errors, "transient") || !strings.Contains(errors, "503") {
		t.Errorf("partial: the errors are %s", errors)
	}

	_, run = w.refreshed("complete")
	if attempts, _ := run["run_attempts"].([]any); run["state"] != "succeeded" || run["attempt"] != 2.0 || len(attempts) != 2 ||
		fmt.Sprint(run["counts"]) != counts(map[string]int{"planned": 100, "committed": 100}) {
		t.Errorf("complete: %v", run)
	}

	status, run = w.refreshed("carrying")
	if run["state"] != "incomplete" || status["healthy"] != true || status["owed"] != 10.0 || run["owed"] != 10.0 ||
		fmt.Sprint(run["counts"]) != counts(map[string]int{"planned": 100, "committed": 90, "carried": 10}) {
		t.Errorf("next_batch: %v\n%v", status, run)
	}
	passing["carrying"]()
	w.run("carrying", 2)
	status, run = w.refreshed("carrying")
	if run["state"] != "succeeded" || status["owed"] != 0.0 || fmt.Sprint(run["counts"]) != counts(map[string]int{"planned": 100, "committed": 100}) { // of one file that stays: what was carried is part of it
		t.Errorf("next_batch, then: %v\n%v", status, run)
	}
	w.nothingToDo()
}

func TestNewFilesAreTakenOnceAndAnotherInputSaysWhatBecomesOfThem(t *testing.T) {
	w := newWorkspace(t)
	server := predicttest.New(predicttest.Options{})
	url := server.Listen(t)
	runner := strings.Replace(runnerHCL, "}\n}", "}\n  keep_history = \"30d\"\n}", 1)
	reading := func(glob, state string) string {
		return runner + numbered("events", url, fmt.Sprintf(`files = { uri = "%%OUT%%/in/%s", min_age = "0s" }, mode = "new_files"%s`, glob, state), "")
	}
	w.write(reading("*.csv", ""))
	w.records("a.csv", 1, 20)
	w.records("b.csv", 21, 30)
	w.apply()
	w.nothingToDo()
	if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", w.mustInfo().PID)); err == nil && !strings.Contains(string(line), "--keep-history\x00720h0m0s") {
		t.Errorf("the daemon was started as %q", line)
	}

	planned := func(day int) int64 {
		t.Helper()
		run := w.run("events", day)
		if run.State != api.RunSucceeded {
			t.Errorf("the run of day %d is %+v", day, run)
		}
		return run.Counts.Planned
	}
	if first, again := planned(1), planned(2); first != 30 || again != 0 {
		t.Errorf("the first run took %d records, the next %d", first, again)
	}
	w.records("c.csv", 31, 35)
	if third := planned(3); third != 5 {
		t.Errorf("the third run took %d records", third)
	}

	w.write(reading("[a-z].csv", ""))
	output, code := w.try("plan", "-input=false")
	if code != 1 {
		t.Errorf("the plan ends with %d:\n%s", code, output)
	}
	has(t, output, "input.state is required: with another files.uri", `Write state = "reset" to forget it`)
	w.write(reading("[a-z].csv", `, state = "keep"`))
	w.apply()
	w.nothingToDo()
	if kept := planned(4); kept != 0 {
		t.Errorf("with the memory kept, a run took %d records", kept)
	}
	w.write(reading("?.csv", `, state = "reset"`))
	w.apply()
	if reset := planned(5); reset != 35 {
		t.Errorf("with the memory reset, a run took %d records", reset)
	}
	w.nothingToDo()
}
