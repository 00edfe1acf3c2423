package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// outcome is the exit code that a run's end means.
func outcome(run api.Run) exit {
	switch run.State {
	case api.RunSucceeded:
		return exitDone
	case api.RunIncomplete:
		return exitIncomplete
	}
	return exitFailed
}

// end says how a run ended, and why where it did not succeed.
func (p *printer) end(why api.Why, zone *time.Location) {
	p.line("%s", indented(headline(why.Run, zone), "  "))
	if why.Run.Output != "" {
		p.line("output: %s", why.Run.Output)
	}
	if why.Run.State != api.RunSucceeded {
		p.line("cause: %s", indented(why.Cause, "  "))
		p.notes(why)
		p.errors(why)
	}
}

// errors shows a run's most frequent errors and some dead letters.
func (p *printer) errors(why api.Why) {
	if len(why.Errors) > 0 {
		p.line("most frequent errors:")
	}
	for _, e := range why.Errors {
		p.line("  %s: %s", e.Class, indented(e.Error, "    "))
		p.line("    %s in %s%s", api.Counted(e.Records, "record"), api.Counted(e.MiniBatches, "mini-batch"), prefixed("; one request held ", e.Example))
	}
	if len(why.DeadLetters) > 0 {
		p.line("dead letters, for example:")
	}
	for _, d := range why.DeadLetters {
		key := keyed(d.Key)
		if d.Source.Table != "" {
			key = "" // it is in the place
		}
		p.line("  %s%s %s: %s", place(d), prefixed(" ", key), d.Class, indented(failure(d), "    "))
		if d.Input != "" {
			p.line("    input: %s", short(d.Input))
		}
	}
}

// place is where a dead letter's record stands.
func place(d api.DeadLetter) string { return d.Source.String() }

// failure is a dead letter's error without the place that it may begin with.
func failure(d api.DeadLetter) string { return strings.TrimPrefix(d.Error, place(d)+": ") }

// keyed is a record's key as people write it: "id=7, day=mon".
func keyed(key map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(key)) {
		parts = append(parts, name+"="+key[name])
	}
	return strings.Join(parts, ", ")
}

func (p *printer) next(commands []string) {
	if len(commands) > 0 {
		p.line("next:")
	}
	p.commands(commands)
}

func (p *printer) commands(commands []string) {
	for _, command := range commands {
		p.line("  %s", command)
	}
}

// headline is a run in one line.
func headline(run api.Run, zone *time.Location) string {
	text := fmt.Sprintf("run %s of %s for %s: %s", run.ID, run.Job, at(run.Occurrence, zone), state(run))
	if run.MiniBatches.Total > 0 || run.State == api.RunSucceeded {
		text += ", " + accounting(run)
	}
	text += prefixed(", ", duration(run))
	if t := run.Trouble; t.Error != "" {
		text += " " + t.Told(func(instant time.Time) string { return at(instant, zone) })
	}
	return text
}

// duration is how long a run took, from its begin; empty where it has none.
func duration(run api.Run) string {
	if run.StartedAt.IsZero() || run.EndedAt.IsZero() || run.StartedAt.Equal(run.EndedAt) {
		return ""
	}
	return took(run.EndedAt.Sub(run.StartedAt))
}

// state is a run's state, and what is the matter with it, in as few words as a
// table has room for.
func state(run api.Run) string {
	switch {
	case run.Reason != "":
		return fmt.Sprintf("%s (%s)", run.State, run.Reason)
	case run.Trouble.Error != "":
		return fmt.Sprintf("%s (waiting)", run.State)
	}
	return string(run.State)
}

// accounting is where the planned records of a run are.
func accounting(run api.Run) string {
	c := run.Counts
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s committed in %s", api.Thousands(c.Committed), api.Counted(c.Planned, "record"), api.Counted(run.MiniBatches.Total, "mini-batch"))
	for _, part := range []struct {
		n    int64
		what string
	}{{c.Carried, "carried"}, {c.DeadLettered, "dead-lettered"}, {c.Gone, "gone"}, {c.Staged, "staged"}, {c.GivenUp, "given up"}, {c.Unfinished - c.Staged - c.GivenUp, "not predicted"}} {
		if part.n > 0 {
			fmt.Fprintf(&b, ", %s %s", api.Thousands(part.n), part.what)
		}
	}
	return b.String()
}

// mostRuns is the most that one list tells.
const mostRuns = 1000

// backfillOutcome is the exit code that a backfill's end means: that of the
// worst of its runs. Where more failed than runs are listed, the worst is
// assumed.
func backfillOutcome(b api.Backfill, runs []api.Run) exit {
	worst, incomplete := exitDone, int64(0)
	for _, run := range runs {
		if run.Backfill == b.ID {
			worst = max(worst, outcome(run))
		}
		if run.Backfill == b.ID && run.State == api.RunIncomplete {
			incomplete++
		}
	}
	if b.Waiting > 0 || b.Failed > incomplete {
		return exitFailed
	}
	return worst
}
