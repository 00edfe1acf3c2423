package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

// setupStatus shows how jobs are.
func setupStatus(a *app, flags *pflag.FlagSet) action {
	c := a.connectionFlags(flags)
	failOn := flags.String("fail-on", "", `"unhealthy": exit code 3 where a job is not healthy`)
	asJSON := flags.Bool("json", false, "print JSON")
	return c.asking(func(ctx context.Context, c *client.Client, args []string) (exit, error) {
		if *failOn != "" && *failOn != "unhealthy" {
			return 0, usagef("--fail-on %q is not known; it takes unhealthy", *failOn)
		}
		statuses, err := statusesOf(ctx, c, args)
		if err != nil {
			return 0, err
		}
		code := exitDone
		for _, s := range statuses {
			if !s.Healthy && *failOn != "" {
				code = exitFailed
			}
		}
		switch {
		case *asJSON && len(args) == 1:
			return code, a.out().json(statuses[0])
		case *asJSON:
			return code, a.out().json(map[string]any{"jobs": statuses})
		}
		zones, err := zonesOf(ctx, c, args)
		if err != nil {
			return 0, err
		}
		switch {
		case len(args) == 1:
			a.out().status(statuses[0], zones(args[0]))
		case len(statuses) == 0:
			a.out().line("no jobs are declared at %s", c.Endpoint())
		default:
			a.out().statuses(statuses, zones)
		}
		return code, nil
	})
}

func statusesOf(ctx context.Context, c *client.Client, args []string) ([]api.JobStatus, error) {
	if len(args) == 0 {
		return c.Statuses(ctx)
	}
	one, err := c.Status(ctx, args[0])
	return []api.JobStatus{one}, err
}

// zonesOf gives the zone of each job asked for.
func zonesOf(ctx context.Context, c *client.Client, args []string) (func(job string) *time.Location, error) {
	zones := map[string]*time.Location{}
	of := func(job string) *time.Location {
		if zone := zones[job]; zone != nil {
			return zone
		}
		return time.UTC
	}
	if len(args) == 1 {
		job, err := c.Job(ctx, args[0])
		zones[args[0]] = zoneOf(job.Spec)
		return of, err
	}
	jobs, err := c.Jobs(ctx)
	for _, job := range jobs {
		zones[job.Spec.Name] = zoneOf(job.Spec)
	}
	return of, err
}

func (p *printer) statuses(all []api.JobStatus, zones func(string) *time.Location) {
	rows := [][]string{{"JOB", "HEALTHY", "NEXT DUE", "LAST DECISION", "LAST RUN, OR WHAT IS WRONG"}}
	for _, s := range all {
		zone := zones(s.Job)
		next, last := at(s.NextDueAt, zone), ""
		switch {
		case s.Paused:
			next = "paused"
		case s.Held != nil:
			next = "held"
		}
		if s.LastDecision != nil {
			last = decision(*s.LastDecision, zone)
		}
		rows = append(rows, []string{s.Job, yes(s.Healthy), next, last, short(s.Summary)})
	}
	p.table(rows)
}

// widest is the most characters of a text in a table of many jobs; that of one
// job shows the whole.
const widest = 100

func short(text string) string {
	text = strings.ReplaceAll(text, "\n", " ")
	if runes := []rune(text); len(runes) > widest {
		return string(runes[:widest-1]) + "…"
	}
	return text
}

// status shows all that is known of one job.
func (p *printer) status(s api.JobStatus, zone *time.Location) {
	rows := [][]string{
		{"job", s.Job},
		{"healthy", yes(s.Healthy)},
		{"summary", s.Summary},
	}
	for i, reason := range s.Reasons {
		if i > 0 { // the first is the summary
			rows = append(rows, []string{"also", reason})
		}
	}
	rows = append(rows, []string{"next due", nextDue(s, zone)})
	for _, shown := range []struct {
		name string
		run  *api.Run
	}{{"active run", s.ActiveRun}, {"last run", s.LastRun}, {"last success", s.LastSuccess}} {
		if shown.run != nil {
			rows = append(rows, []string{shown.name, headline(*shown.run, zone)})
		}
	}
	if run := s.LastRun; run != nil {
		if run.MiniBatches.Total > 0 {
			rows = append(rows, []string{"records", balance(run.Counts)})
		}
		if run.ServerSeconds > 0 {
			rows = append(rows, []string{"cost", lasted(run.ServerSeconds) + " of prediction servers" + prefixed(", ", run.Cost)})
		}
		if run.Output != "" {
			rows = append(rows, []string{"output", run.Output})
		}
		if run.SpoolBytes > 0 {
			rows = append(rows, []string{"spool", api.Thousands(run.SpoolBytes) + " bytes of the runner's disk hold copies of its input"})
		}
	}
	if s.Owed > 0 {
		rows = append(rows, []string{"owed", fmt.Sprintf("%s that earlier runs could not finish: the next run takes them first", api.Counted(s.Owed, "record"))})
	}
	if d := s.LastDecision; d != nil {
		rows = append(rows, []string{"last decision", decision(*d, zone)})
	}
	for _, kind := range []struct {
		name   string
		counts map[string]int64
	}{{"missed", s.Missed}, {"skipped", s.Skipped}} {
		if len(kind.counts) > 0 {
			rows = append(rows, []string{kind.name, byReason(kind.counts)})
		}
	}
	if b := s.Backfill; b != nil {
		rows = append(rows, []string{"backfill", fmt.Sprintf("%s, %s to %s: %s", b.ID, at(b.From, zone), at(b.To, zone), backfillProgress(*b))})
	}
	p.table(rows)
}

// balance is a run's accounting as the law has it.
func balance(c api.Counts) string {
	text := fmt.Sprintf("%s planned = %s committed + %s carried + %s dead-lettered + %s gone + %s unfinished",
		api.Thousands(c.Planned), api.Thousands(c.Committed), api.Thousands(c.Carried), api.Thousands(c.DeadLettered), api.Thousands(c.Gone), api.Thousands(c.Unfinished))
	if c.Staged+c.GivenUp > 0 {
		text += fmt.Sprintf(" (%s staged, %s given up)", api.Thousands(c.Staged), api.Thousands(c.GivenUp))
	}
	return text
}

// nextDue is when a job is next due, and why nothing comes of it.
func nextDue(s api.JobStatus, zone *time.Location) string {
	due := at(s.NextDueAt, zone)
	if !s.NextDueAt.Equal(s.NextOccurrence) {
		due += prefixed(", jitter included, for ", at(s.NextOccurrence, zone))
	}
	switch {
	case s.Paused:
		return "paused" + prefixed(", would be due ", due)
	case s.Held != nil:
		return "held" + prefixed(", would be due ", due)
	}
	return due
}

// decision is a verdict in one line: "skipped 3 since 2026-11-19 02:30 UTC:
// overlap".
func decision(d api.Decision, zone *time.Location) string {
	text := string(d.Verdict) + " " + at(d.First, zone)
	if d.Count > 1 {
		text = fmt.Sprintf("%s %s since %s", d.Verdict, api.Thousands(d.Count), at(d.First, zone))
	}
	return text + prefixed(": ", d.Reason)
}

// byReason is a number of occurrences, and how many of them for which reason.
func byReason(counts map[string]int64) string {
	total, parts := int64(0), []string{}
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		total += counts[reason]
		parts = append(parts, fmt.Sprintf("%s %s", reason, api.Thousands(counts[reason])))
	}
	return api.Counted(total, "occurrence") + ": " + strings.Join(parts, ", ")
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
