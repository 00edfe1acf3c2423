package server

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// deadKinds bounds how many kinds of dead letters are told.
const deadKinds = 10

// notes say of a run what its state and cause leave out, a sentence each: what
// its earlier attempts came to, what befell its servers, how poison records
// were looked for, and where the records are that it carried.
func notes(s *store.Store, why api.Why, dead []store.DeadKind) ([]string, error) {
	run := why.Run
	attempts, err := s.RunAttempts(run.ID)
	if err != nil {
		return nil, fmt.Errorf("read the attempts of run %s: %w", run.ID, err)
	}
	carried, err := s.CarriedBy(run.ID)
	if err != nil {
		return nil, fmt.Errorf("find what run %s carried: %w", run.ID, err)
	}
	inherited, err := s.InheritedBy(run.ID)
	if err != nil {
		return nil, fmt.Errorf("find what run %s took over: %w", run.ID, err)
	}
	gone, err := s.Gone(run.ID)
	if err != nil {
		return nil, fmt.Errorf("find what is gone of run %s: %w", run.ID, err)
	}
	told := aboutAttempts(run, attempts)
	for _, i := range inherited {
		told = append(told, fmt.Sprintf("it took over %s, which run %s could not finish", sized(i.Records, i.Slices), i.From))
	}
	told = append(told, aboutServers(why)...)
	told = append(told, aboutIsolation(run)...)
	told = append(told, aboutDeadLetters(dead)...)
	told = append(told, aboutGone(gone)...)
	return append(told, aboutCarried(run, carried)...), nil
}

// aboutAttempts tells of the passes over the plan before the last one.
func aboutAttempts(run api.Run, attempts []api.RunAttempt) []string {
	told := []string{}
	for _, a := range attempts {
		if a.Number == run.Attempt || a.EndedAt.IsZero() {
			continue
		}
		text := fmt.Sprintf("run attempt %d ended %s", a.Number, a.Outcome)
		if a.Outcome == string(api.RunQueued) || a.Outcome == string(api.ReasonSuperseded) {
			text = fmt.Sprintf("run attempt %d was superseded by the next", a.Number)
		}
		if a.Reason != "" {
			text += fmt.Sprintf(" (%s)", a.Reason)
		}
		if a.Message != "" {
			text += ": " + a.Message
		}
		told = append(told, text)
	}
	return told
}

// aboutServers tells what befell the prediction servers, the latest of a kind
// in full; what the run waits for now is its cause.
func aboutServers(why api.Why) []string {
	told := []string{}
	for _, kind := range []struct{ event, once, often string }{
		{"server_lost", "a prediction server was lost", "%d prediction servers were lost, the last one"},
		{"breaker", "the circuit breaker opened", "the circuit breaker opened %d times, the last time"},
		{"model_changed", "the model changed", "the model changed %d times, the last time"},
		{"storage", "the runner waited for a disk, store or database", "the runner waited for a disk, store or database %d times, the last time"},
	} {
		n, last := 0, api.Event{}
		for _, e := range why.Events {
			if e.Kind == kind.event && !e.At.Equal(why.Run.Trouble.Since) {
				n, last = n+1, e
			}
		}
		text := kind.once
		if n > 1 {
			text = fmt.Sprintf(kind.often, n)
		}
		if n > 0 {
			told = append(told, fmt.Sprintf("%s at %s: %s", text, last.At.UTC().Format(time.RFC3339), strings.TrimSpace(last.Detail)))
		}
	}
	return told
}

func aboutIsolation(run api.Run) []string {
	i := run.Isolation
	if i.Probes+i.Controls+i.Confirmations == 0 {
		return nil
	}
	text := fmt.Sprintf("to find the records that fail, %s, %s and %s were sent",
		api.Counted(i.Probes, "probe"), api.Counted(i.Controls, "control"), api.Counted(i.Confirmations, "confirmation"))
	if i.Launches > 0 {
		text += fmt.Sprintf(", and %s started", api.Counted(i.Launches, "server"))
	}
	return []string{text}
}

// aboutDeadLetters tells of those that the server did not simply refuse.
func aboutDeadLetters(kinds []store.DeadKind) []string {
	told := []string{}
	for _, k := range kinds {
		records := api.Counted(k.Records, "record")
		switch k.Class {
		case api.ClassBadRecord:
			told = append(told, records+" can't be read as the job says; they are never sent, and have to be corrected in the input")
		case api.ClassNotIsolated:
			place := ""
			if k.File != "" {
				place = fmt.Sprintf(" (%s:%d–%d)", k.File, k.FirstLine, k.LastLine)
			}
			told = append(told, fmt.Sprintf("at least one of %s ends or hangs the server, and they could not be told apart: group %s%s", records, k.Group, place))
		case api.ClassCarriedOut:
			told = append(told, fmt.Sprintf("%s were sent by as many runs as retry.max_carries allows, in vain, and are dead letters now", records))
		case api.ClassInputChanged:
			told = append(told, fmt.Sprintf("%s that an earlier run carried can't be read any more: their file has changed", records))
		}
	}
	return told
}

// aboutGone tells why records had no row to be written to.
func aboutGone(gone store.Gone) []string {
	told := []string{}
	for _, why := range slices.Sorted(maps.Keys(gone)) {
		text := map[string]string{
			"deleted": "had been deleted from the table",
			"taken":   "had a row (output.sql.write = \"insert\") or a prediction of somebody else (only_if_unset) by then",
			"newer":   "had one of a newer occurrence (output.sql.run_at)",
		}[why]
		told = append(told, fmt.Sprintf("%s %s when they were written: gone", api.Counted(gone[why], "record"), cmp.Or(text, "were "+why)))
	}
	return told
}

// aboutCarried tells where the records are now that a run left to the next.
func aboutCarried(run api.Run, carried []store.Carried) []string {
	told := []string{}
	for _, c := range carried {
		where := "wait for the next run of " + run.Job + ", which takes them first"
		switch {
		case c.SettledBy != "":
			where = "were finished by run " + c.SettledBy
		case c.TakenBy != "":
			where = "are in the plan of run " + c.TakenBy
		}
		told = append(told, fmt.Sprintf("%s carried on: they %s", sized(c.Records, c.Slices), where))
	}
	return told
}

func sized(records, slices int64) string {
	return api.Counted(records, "record") + " in " + api.Counted(slices, "mini-batch")
}
