package acceptance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// quietJobHCL is jobHCL without a first run.
var quietJobHCL = strings.Replace(jobHCL, `run_on_create = "5m"`, "", 1)

func TestAJobIsRenamedInPlace(t *testing.T) {
	w := newWorkspace(t)
	w.write(runnerHCL + jobHCL)
	w.apply()
	c := w.client()
	defer c.Close()
	before, err := c.Status(t.Context(), "iris")
	if err != nil {
		t.Fatal(err)
	}

	w.write(runnerHCL + strings.Replace(jobHCL, `name   = "iris"`, `name   = "flowers"`, 1))
	changes, _ := w.plan()
	if addresses(changes) != "batch_prediction_job.iris [update]" {
		t.Fatalf("the plan changes %s", addresses(changes))
	}
	w.apply()
	w.nothingToDo()
	after, err := c.Status(t.Context(), "flowers")
	if err != nil {
		t.Fatal(err)
	}
	if after.UID != before.UID || after.LastRun == nil || after.LastRun.ID != before.LastRun.ID {
		t.Errorf("after the rename the job is %+v, before it was %+v", after, before)
	}
	if _, err := c.Status(t.Context(), "iris"); api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("the old name answers %v", err)
	}
	// It goes on in its own output folder.
	run, _, err := c.StartRun(t.Context(), "flowers", api.Trigger{Occurrence: before.LastRun.Occurrence}, "again")
	if err != nil {
		t.Fatal(err)
	}
	if run = w.ended(run.ID); run.State != api.RunSucceeded || run.Revision != 2 {
		t.Errorf("the next run is %+v", run)
	}
}

func TestANameThatWasDeletedIsResumed(t *testing.T) {
	w := newWorkspace(t)
	w.write(runnerHCL + jobHCL)
	w.apply()
	w.write(runnerHCL)
	w.apply()
	w.write(runnerHCL + quietJobHCL + statusHCL)
	has(t, w.apply(), "resume")
	if status := w.state()["data.batch_prediction_job_status.iris"]; status["last_run"] == nil {
		t.Errorf("the history is lost: %v", status)
	}
}

// What the runner holds, it holds until somebody releases it: an apply warns
// and changes nothing about it.
func TestAHoldOutlivesAnApplyAndWarns(t *testing.T) {
	w := newWorkspace(t)
	w.write(runnerHCL + quietJobHCL + statusHCL)
	w.apply()
	c := w.client()
	defer c.Close()
	if _, err := c.Hold(t.Context(), "iris", "the labels look wrong"); err != nil {
		t.Fatal(err)
	}
	changes, text := w.plan()
	if len(changes) > 0 {
		t.Errorf("the plan changes %s", addresses(changes))
	}
	has(t, text, "the labels look wrong", "batch-runner release iris", "Check block assertion failed")

	w.write(runnerHCL + strings.Replace(quietJobHCL, "rows = 20", "rows = 30", 1) + statusHCL)
	w.apply()
	status := w.state()["data.batch_prediction_job_status.iris"]
	held, _ := status["held"].(map[string]any)
	if held["reason"] != "the labels look wrong" || status["healthy"] != false {
		t.Errorf("after an apply the status is %v", status)
	}
	if _, err := c.Release(t.Context(), "iris"); err != nil {
		t.Fatal(err)
	}
	w.nothingToDo()
}

func TestAScheduleIsPreviewedWithoutARunner(t *testing.T) {
	w := newWorkspace(t)
	w.write(`
data "batch_schedule_preview" "spring" {
  schedules = {
    nightly = { cron = "30 2 * * *", time_zone = "America/New_York" }
    monthly = { calendar = { days_of_month = [-1], hours = [6] } }
    often   = { every = "30m" }
  }
  from  = "2026-03-07T12:00:00Z"
  limit = 2
}
output "preview" { value = data.batch_schedule_preview.spring }
output "next" { value = provider::batch::cron_next("0 2 * * MON-SAT", "Europe/Berlin", "2026-11-21T12:00:00Z", 2) }
output "words" { value = provider::batch::cron_describe("0 2 * * MON-SAT", "Europe/Berlin") }
output "valid" { value = [provider::batch::cron_validate("0 2 * * *"), provider::batch::cron_validate("0 25 * * *")] }
`)
	w.apply()
	var outputs map[string]struct{ Value any }
	w.decode(w.terraform("output", "-json"), &outputs)
	if got := fmt.Sprint(outputs["next"].Value); got != "[2026-11-23T01:00:00Z 2026-11-24T01:00:00Z]" {
		t.Errorf("cron_next is %s", got)
	}
	if got := fmt.Sprint(outputs["words"].Value); got != "at 02:00, Monday to Saturday, Europe/Berlin" {
		t.Errorf("cron_describe is %s", got)
	}
	if got := fmt.Sprint(outputs["valid"].Value); got != "[true false]" {
		t.Errorf("cron_validate is %s", got)
	}
	preview, _ := outputs["preview"].Value.(map[string]any)
	occurrences, _ := preview["occurrences"].([]any)
	if len(occurrences) != 6 {
		t.Fatalf("the preview is %v", preview)
	}
	moved := ""
	for _, each := range occurrences {
		if o, _ := each.(map[string]any); o["at"] == "2026-03-08T07:00:00Z" {
			moved = fmt.Sprint(o["note"])
		}
	}
	if !strings.Contains(moved, "02:30") {
		t.Errorf("the occurrence in the gap is noted as %q: %v", moved, occurrences)
	}
}

func TestABackfillFillsARangeOfFolders(t *testing.T) {
	w := newWorkspace(t)
	w.write(runnerHCL + quietJobHCL)
	w.apply()
	c := w.client()
	defer c.Close()
	ask := api.AskBackfill{From: "2026-11-09", To: "2026-11-15", MaxParallel: 2} // Monday to Sunday, which has none
	ask.DryRun = true
	dry, _, err := c.Backfill(t.Context(), "iris", ask, "")
	if err != nil || dry.Total != 6 || dry.ID != "" {
		t.Fatalf("the dry run is %+v, %v", dry, err)
	}
	ask.DryRun = false
	if _, _, err := c.Backfill(t.Context(), "iris", ask, "once"); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for tick := time.NewTicker(50 * time.Millisecond); ; <-tick.C {
		all, err := c.Backfills(t.Context(), "iris", 1)
		if err != nil {
			t.Fatal(err)
		}
		if !all[0].EndedAt.IsZero() {
			if all[0].Succeeded != 6 {
				t.Errorf("the backfill ended as %+v", all[0])
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the backfill stands at %+v", all[0])
		}
	}
	for day := 9; day <= 15; day++ {
		_, err := os.Stat(filepath.Join(w.dir, "out", fmt.Sprintf("dt=2026-11-%02d", day), "_SUCCESS"))
		if (err == nil) != (day < 15) {
			t.Errorf("the 2026-11-%02d: %v", day, err)
		}
	}
}

// ended waits for the end of a run.
func (w *workspace) ended(id string) api.Run {
	w.t.Helper()
	c := w.client()
	defer c.Close()
	deadline := time.Now().Add(time.Minute)
	for tick := time.NewTicker(50 * time.Millisecond); ; <-tick.C {
		run, err := c.Run(w.t.Context(), id)
		if err != nil {
			w.t.Fatal(err)
		}
		if run.State.Ended() {
			return run
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("run %s stands at %s", id, run.State)
		}
	}
}
