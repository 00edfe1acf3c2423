package server

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
	"github.com/batchpattern/terraform-provider-batch/runner/trigger"
)

const (
	topErrors          = 5
	exampleDeadLetters = 3
)

// Explain says how a run came to its state and what to do about it.
func Explain(s *store.Store, id string) (api.Why, error) {
	run, err := findRun(s, id)
	if err != nil {
		return api.Why{}, err
	}
	why := api.Why{Run: run, Errors: []api.TopError{}, Notes: []string{}, DeadLetters: []api.DeadLetter{}, Next: []string{}, Events: []api.Event{}}
	found, err := s.TopErrors(id, topErrors)
	if err != nil {
		return why, fmt.Errorf("read the errors of run %s: %w", id, err)
	}
	why.Errors = append(why.Errors, found...)
	letters, err := s.DeadLettersPage(id, store.Spot{}, exampleDeadLetters)
	if err != nil {
		return why, fmt.Errorf("read the dead letters of run %s: %w", id, err)
	}
	for _, letter := range letters {
		why.DeadLetters = append(why.DeadLetters, letter.DeadLetter)
	}
	events, err := s.Events(id)
	if err != nil {
		return why, fmt.Errorf("read the history of run %s: %w", id, err)
	}
	why.Events = append(why.Events, events...)
	if err := trigger.NoteTrouble(s, &why.Run); err != nil {
		return why, err
	}
	if run.State == api.RunRunning { // a server that comes back; its mini-batches' errors are told beside
		why.Run.Trouble = api.TroubleOf(events)
	}
	why.Cause = cause(why.Run, events)
	if run.Reason == api.ReasonReplaced || run.Reason == api.ReasonOverlap {
		if why.Cause, err = overtaken(s, run); err != nil {
			return why, err
		}
	}
	dead, err := s.DeadKinds(id, deadKinds)
	if err != nil {
		return why, fmt.Errorf("sum up the dead letters of run %s: %w", id, err)
	}
	if why.Notes, err = notes(s, why, dead); err != nil {
		return why, err
	}
	if misfit(why.DeadLetters) { // the plan has the types, whatever they are now
		why.Notes = append(why.Notes, "predictions do not fit the types of the output's columns: correct output.files.types, or name other values in predict.outputs, and rerun the occurrence")
		why.Next = append(look(run), rerun(run))
		return why, nil
	}
	why.Next = append(why.Next, next(why.Run, dead)...)
	return why, nil
}

// misfit tells whether predictions were refused by the output, as package format
// says it.
func misfit(letters []api.DeadLetter) bool {
	return slices.ContainsFunc(letters, func(d api.DeadLetter) bool {
		return d.Class == api.ClassData && strings.Contains(d.Error, "does not fit its type")
	})
}

// cause is one sentence: the run's own message where it has one.
func cause(run api.Run, events []api.Event) string {
	switch {
	case run.Message != "":
		return run.Message
	case run.State == api.RunQueued:
		return "it waits in the queue: " + waits(run.Reason) + waitingFor(run.Trouble)
	case !run.State.Ended():
		return fmt.Sprintf("it is under way: %s", run.State) + waitingFor(run.Trouble)
	case run.State == api.RunSucceeded && run.Counts.Gone > 0:
		return fmt.Sprintf("%s of %s planned records are committed, the others had no row to be written to", api.Thousands(run.Counts.Committed), api.Thousands(run.Counts.Planned))
	case run.State == api.RunSucceeded:
		return fmt.Sprintf("every one of %s planned records is committed", api.Thousands(run.Counts.Planned))
	case run.State == api.RunCancelled:
		return "it was cancelled by " + lastActor(events)
	case run.State == api.RunIncomplete:
		return fmt.Sprintf("%s of %s planned records have no prediction", api.Thousands(run.Counts.Failed()), api.Thousands(run.Counts.Planned))
	}
	return cmp.Or(string(run.Reason), string(run.State))
}

// waitingFor says what is wrong, since when and for how long.
func waitingFor(t api.Trouble) string {
	if t.Error == "" {
		return ""
	}
	return "; waiting " + t.Told(func(at time.Time) string { return at.UTC().Format(time.RFC3339) })
}

// overtaken says which occurrence took the place of a run, and what to set so
// that none does.
func overtaken(s *store.Store, run api.Run) (string, error) {
	did, remedy := "took its place in the queue", `overlap = "queue_all" keeps every occurrence`
	if run.Reason == api.ReasonOverlap {
		did, remedy = "ended it", `overlap = "skip" or "queue_one" lets a run that is under way finish`
	}
	runs, err := s.Runs(run.JobUID, maxRows)
	if err != nil {
		return "", fmt.Errorf("find what took the place of run %s: %w", run.ID, err)
	}
	by, found := "a newer occurrence", store.Run{}
	for _, other := range runs {
		newer := other.Origin == api.OriginSchedule && other.Occurrence.After(run.Occurrence) && !other.CreatedAt.After(run.EndedAt)
		if newer && other.CreatedAt.After(found.CreatedAt) { // of one moment, the newest occurrence stands first
			by, found = fmt.Sprintf("the newer occurrence %s (run %s)", other.Occurrence.UTC().Format(time.RFC3339), other.ID), other
		}
	}
	return by + " " + did + "; " + remedy, nil
}

func waits(reason api.Reason) string {
	switch reason {
	case api.ReasonWaitingForSlot:
		return "as many runs as allowed are under way (max_concurrent_runs)"
	case api.ReasonWaitingForInput:
		return "its input is not there yet (input.wait_for)"
	case api.ReasonWaitingForTurn:
		return "another run of the job is before it"
	}
	return "it is about to start"
}

func lastActor(events []api.Event) string {
	if len(events) == 0 {
		return "nobody known"
	}
	return events[len(events)-1].Actor
}

// next are the commands that make sense in a run's state: those that look come
// before those that act.
func next(run api.Run, dead []store.DeadKind) []string {
	status, retry := "batch-runner status "+run.Job, "batch-runner retry "+run.ID
	switch run.State {
	case api.RunSucceeded:
		return nil
	case api.RunQueued, api.RunPlanning, api.RunProvisioning, api.RunRunning:
		if run.Trouble.Error != "" {
			status = "batch-runner doctor " + run.Job
		}
		return []string{status, "batch-runner cancel " + run.ID}
	case api.RunCommitting:
		return []string{status}
	case api.RunSkipped:
		return []string{rerun(run)}
	case api.RunCancelled:
		return []string{retry}
	}
	commands := look(run)
	switch {
	case run.Reason == api.ReasonInputLate, // nothing was planned yet
		run.Reason == api.Reason(api.ClassInputChanged), // its plan is of an input that is gone
		run.Reason == api.ReasonModelChanged:            // and of a model that is gone
		return append(commands, rerun(run))
	case run.State == api.RunIncomplete && run.Counts.Unfinished > 0, run.State != api.RunIncomplete && !overThreshold(run):
		commands = append(commands, retry)
	}
	if command := again(run, dead); run.Counts.DeadLettered > 0 && command != "" {
		commands = append(commands, command)
	}
	if now := "batch-runner run " + run.Job; run.Counts.Carried > 0 && !slices.Contains(commands, now) {
		commands = append(commands, now) // takes them without waiting
	}
	if (run.Withheld || run.State == api.RunStopped) && run.Counts.Staged > 0 {
		commands = append(commands, "batch-runner accept "+run.ID+` --reason "…"`)
	}
	return commands
}

// look are the commands that tell more.
func look(run api.Run) (commands []string) {
	if run.Counts.DeadLettered > 0 {
		commands = append(commands, "batch-runner dead-letters "+run.ID)
	}
	if run.State != api.RunIncomplete && run.Launches > 0 {
		commands = append(commands, "batch-runner logs "+run.ID)
	}
	if run.State == api.RunFailed && run.Reason != api.ReasonMaxFailed && run.Reason != api.ReasonInputLate {
		commands = append(commands, "batch-runner doctor "+run.Job)
	}
	return commands
}

// overThreshold tells that dead letters alone ended a run, which a retry
// without them would not change.
func overThreshold(run api.Run) bool {
	return run.Reason == api.ReasonMaxFailed && run.Counts.DeadLettered > 0 && run.Counts.GivenUp == 0
}

// again is the command for dead letters. They fail the same way until the model,
// the server or, where they could not be read, the input is another. None helps
// where the file of carried ones has changed.
func again(run api.Run, dead []store.DeadKind) string {
	command := ""
	for _, k := range dead {
		switch k.Class {
		case api.ClassInputChanged:
		case api.ClassBadRecord:
			command = rerun(run)
			if k.File == "" { // a row: corrected, it is found again
				command = "batch-runner run " + run.Job
			}
		default:
			return "batch-runner retry " + run.ID + " --dead-letters"
		}
	}
	return command
}

func rerun(run api.Run) string {
	return fmt.Sprintf("batch-runner rerun %s --occurrence %s", run.Job, run.Occurrence.UTC().Format(time.RFC3339))
}

// findRun is a run by id, or the error that a person sees.
func findRun(s *store.Store, id string) (api.Run, error) {
	run, err := s.Run(id)
	if errors.Is(err, store.ErrNotFound) {
		return api.Run{}, api.Errorf(api.CodeNotFound, "list runs with: batch-runner runs JOB", "there is no run %s", id)
	}
	if err != nil {
		return api.Run{}, fmt.Errorf("read run %s: %w", id, err)
	}
	return run.Run, nil
}
