package server

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

func TestWhyNamesTheErrorsTheRecordsAndTheCommands(t *testing.T) {
	b := newBench(t)
	b.model.Inject(predicttest.Fault{Record: "41", Status: 400, Body: "petals expected", Purpose: predicttest.AnyPurpose})
	job := b.job("iris", 1, 150)
	job.MaxFailed = "0"
	b.declare(job)
	run := b.until(b.trigger("iris"), ended)
	var why api.Why
	b.get("/v1/runs/"+run.ID+"/why", &why)
	if why.Cause == "" || len(why.DeadLetters) != 1 {
		t.Fatalf("why is %+v", why)
	}
	if d := why.DeadLetters[0]; d.Class != api.ClassData || d.Status != 400 || !strings.Contains(d.Error, "petals expected") || d.Key["id"] != "41" {
		t.Errorf("the dead letter is %+v", d)
	}
	if len(why.Notes) != 1 || !strings.HasPrefix(why.Notes[0], "to find the records that fail, ") {
		t.Errorf("the notes are %q", why.Notes)
	}
	retry := "batch-runner retry " + run.ID
	want := []string{"batch-runner dead-letters " + run.ID, retry + " --dead-letters", "batch-runner accept " + run.ID + ` --reason "…"`}
	if !slices.Equal(why.Next, want) {
		t.Errorf("next is %q, want %q", why.Next, want)
	}
	if last := why.Events[len(why.Events)-1]; last.To != string(api.RunFailed) {
		t.Errorf("the last event is %+v", last)
	}
}

func TestWhyShowsAtMostThreeDeadLetters(t *testing.T) {
	b := newBench(t)
	job := b.job("iris", 1, 20)
	job.Predict.Features.Columns = []string{"a", "id"}
	job.MaxFailed = "10"
	b.declare(job)
	writeCSV(t, job.Input.Files.URI, "id,a,b", "x,1,0", "y,2,0", "z,3,0", "v,4,0", "5,5,0")
	run := b.until(b.trigger("iris"), ended)
	var why api.Why
	b.get("/v1/runs/"+run.ID+"/why", &why)
	if len(why.DeadLetters) != 3 || why.DeadLetters[0].Source.Line != 2 || why.Run.Counts.DeadLettered != 4 {
		t.Fatalf("run %+v has the dead letters %+v", why.Run, why.DeadLetters)
	}
	if len(why.Next) != 2 || why.Next[0] != "batch-runner dead-letters "+run.ID || !strings.HasPrefix(why.Next[1], "batch-runner rerun iris --occurrence ") {
		t.Errorf("a run with records that can't be read has the commands %q", why.Next)
	}
	var all deadLetterList
	b.get("/v1/runs/"+run.ID+"/dead-letters", &all)
	if len(all.DeadLetters) != 4 {
		t.Errorf("%d dead letters are listed", len(all.DeadLetters))
	}
}

func TestTheNextCommandsFitTheState(t *testing.T) {
	run := func(change func(*api.Run)) api.Run {
		r := api.Run{ID: "r1", Job: "iris"}
		change(&r)
		return r
	}
	for name, c := range map[string]struct {
		run  api.Run
		want string
	}{
		"succeeded":  {run(func(r *api.Run) { r.State = api.RunSucceeded }), ""},
		"queued":     {run(func(r *api.Run) { r.State = api.RunQueued }), "status cancel"},
		"waiting":    {run(func(r *api.Run) { r.State, r.Trouble.Error = api.RunPlanning, "refused" }), "doctor cancel"},
		"running":    {run(func(r *api.Run) { r.State = api.RunRunning }), "status cancel"},
		"committing": {run(func(r *api.Run) { r.State = api.RunCommitting }), "status"},
		"incomplete": {run(func(r *api.Run) { r.State = api.RunIncomplete; r.Counts.Unfinished = 1 }), "retry"},
		"only dead":  {run(func(r *api.Run) { r.State = api.RunIncomplete; r.Counts.DeadLettered = 1 }), "dead-letters retry"},
		"carried":    {run(func(r *api.Run) { r.State = api.RunIncomplete; r.Counts.Carried = 1 }), "run"},
		"poisoned": {run(func(r *api.Run) {
			r.State, r.Reason, r.Withheld = api.RunFailed, api.ReasonMaxFailed, true
			r.Counts.Staged, r.Counts.DeadLettered = 1, 1
		}), "dead-letters retry accept"},
		"input changed": {run(func(r *api.Run) { r.State, r.Reason = api.RunFailed, api.Reason(api.ClassInputChanged) }), "doctor rerun"},
		"model changed": {run(func(r *api.Run) { r.State, r.Reason = api.RunFailed, api.ReasonModelChanged }), "doctor rerun"},
		"failed":        {run(func(r *api.Run) { r.State = api.RunFailed; r.Launches = 1 }), "logs doctor retry"},
		"withheld": {run(func(r *api.Run) {
			r.State, r.Reason, r.Withheld = api.RunFailed, api.ReasonMaxFailed, true
			r.Counts.Staged = 1
		}), "retry accept"},
		"skipped":   {run(func(r *api.Run) { r.State = api.RunSkipped }), "rerun"},
		"cancelled": {run(func(r *api.Run) { r.State = api.RunCancelled }), "retry"},
	} {
		var words []string
		for _, command := range next(c.run, []store.DeadKind{{Class: api.ClassData}}) {
			words = append(words, strings.Fields(command)[1])
		}
		if got := strings.Join(words, " "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// What a run under way waits for is told wherever it is looked at, at once.
func TestARunThatWaitsSaysForWhatSinceWhenAndUntilWhen(t *testing.T) {
	b := newBench(t)
	job := b.job("late", 1, 20)
	missing := filepath.Join(b.dir, "_SUCCESS")
	job.Input.WaitFor = &api.WaitFor{URI: missing, Timeout: "1h"}
	b.declare(job)
	id := b.trigger("late")
	var run api.Run
	for run.Trouble.Error == "" { // as soon as the first look is noted
		b.get("/v1/runs/"+id, &run)
	}
	want := "nothing matches " + missing
	if run.Trouble.Error != want || run.Trouble.Until.Sub(run.Trouble.Since) != time.Hour {
		t.Errorf("the run: %+v", run.Trouble)
	}
	var runs runList
	b.get("/v1/runs", &runs)
	var status api.JobStatus
	b.get("/v1/jobs/late/status", &status)
	var statuses statusList
	b.get("/v1/status", &statuses)
	var why api.Why
	b.get("/v1/runs/"+id+"/why", &why)
	doctor := b.findings("late")["run"]
	if len(doctor) != 1 || doctor[0].OK {
		t.Fatalf("the doctor finds %+v", doctor)
	}
	for where, text := range map[string]string{
		"runs": runs.Runs[0].Trouble.Error, "status": status.ActiveRun.Trouble.Error, "the summary": status.Summary, "all": statuses.Jobs[0].Summary,
		"why": why.Cause, "the doctor": doctor[0].Detail,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s: %q", where, text)
		}
	}
	for where, text := range map[string]string{"the summary": status.Summary, "why": why.Cause, "the doctor": doctor[0].Detail} {
		if !strings.Contains(text, "; if this lasts, the run gives up at ") {
			t.Errorf("%s does not say how long it waits: %q", where, text)
		}
	}
	if !strings.Contains(status.Summary, "waiting since ") || !status.Healthy {
		t.Errorf("the status is %+v", status)
	}
}

func TestPredictionsThatDoNotFitTheOutputAreNotSentAgain(t *testing.T) {
	letter := api.DeadLetter{Class: api.ClassData, Error: `column "label": "setosa" does not fit its type int64: it is not a number`}
	if !misfit([]api.DeadLetter{{Class: api.ClassBadRecord, Error: "x"}, letter}) {
		t.Error("a misfit is not found")
	}
	letter.Error = "400 Bad Request"
	if misfit([]api.DeadLetter{letter}) {
		t.Error("another error is a misfit")
	}
}

// A run that gave way to a newer occurrence is nobody's fault: its reader wants
// to know which one that was, and how to have both.
func TestWhyNamesTheOccurrenceThatARunGaveWayTo(t *testing.T) {
	for reason, c := range map[api.Reason]struct {
		to      api.RunState
		want    []string
		command string
	}{
		api.ReasonReplaced: {api.RunSkipped, []string{"took its place in the queue", `overlap = "queue_all"`}, "batch-runner rerun iris --occurrence 2026-11-20T01:00:00Z"},
		api.ReasonOverlap:  {api.RunCancelled, []string{"ended it", `overlap = "skip"`}, "batch-runner retry "},
	} {
		b := newBench(t)
		b.declare(b.job("iris", 1, 20))
		job, err := b.store.Job("iris")
		must(t, err)
		old := store.Run{Run: api.Run{Job: "iris", JobUID: job.UID, Generation: 1, Origin: api.OriginSchedule, Occurrence: time.Date(2026, 11, 20, 1, 0, 0, 0, time.UTC)}}
		newer := old
		newer.Occurrence = old.Occurrence.AddDate(0, 0, 1)
		must(t, b.store.Write(t.Context(), func(tx *store.Tx) (err error) {
			if old, err = tx.InsertRun(old, "", "schedule"); err != nil {
				return err
			}
			if newer, err = tx.InsertRun(newer, "", "schedule"); err != nil {
				return err
			}
			_, err = tx.MoveRun(old, store.RunChange{To: c.to, Reason: reason, Actor: "schedule", Message: "a newer occurrence took its place"})
			return err
		}))
		var why api.Why
		b.get("/v1/runs/"+old.ID+"/why", &why)
		for _, want := range append(c.want, "2026-11-21T01:00:00Z (run "+newer.ID+")") {
			if !strings.Contains(why.Cause, want) {
				t.Errorf("%s: the cause does not tell %s: %s", reason, want, why.Cause)
			}
		}
		if len(why.Next) == 0 || !strings.HasPrefix(why.Next[0], c.command) {
			t.Errorf("%s: next is %q", reason, why.Next)
		}
	}
}
