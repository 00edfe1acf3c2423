package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

// runsPage is how many runs are asked for at a time.
const runsPage = 500

// setupRuns lists runs.
func setupRuns(a *app, flags *pflag.FlagSet) action {
	l := &runLister{a: a}
	c := a.connectionFlags(flags)
	flags.StringSliceVar(&l.states, "state", nil, "only runs in these states, as in failed,incomplete")
	flags.StringSliceVar(&l.origins, "origin", nil, "only runs of these origins: schedule, catch_up, manual, backfill")
	flags.StringVar(&l.since, "since", "", "only occurrences from then on: 2026-11-21 (in the job's zone) or 2026-11-21T02:00:00Z")
	flags.StringVar(&l.until, "until", "", "only occurrences up to then; a date includes its day")
	flags.IntVar(&l.limit, "limit", 20, "how many, newest occurrence first; of all jobs, last queued first")
	flags.BoolVar(&l.asJSON, "json", false, "print JSON")
	return c.asking(l.list)
}

// runLister is one call of the command runs.
type runLister struct {
	a               *app
	states, origins []string
	since, until    string
	limit           int
	asJSON          bool
}

func (l *runLister) list(ctx context.Context, c *client.Client, args []string) (exit, error) {
	if l.limit < 1 {
		return 0, usagef("--limit %d is not above zero", l.limit)
	}
	zones, err := zonesOf(ctx, c, args)
	if err != nil {
		return 0, err
	}
	filter, err := l.filter(args, zones)
	if err != nil {
		return 0, err
	}
	runs, err := l.fetch(ctx, c, filter)
	if err != nil {
		return 0, err
	}
	switch {
	case l.asJSON:
		return exitDone, l.a.out().json(map[string]any{"runs": runs})
	case len(runs) == 0:
		l.a.out().line("%s", l.none(filter))
	case len(args) == 1:
		l.a.out().runs(runs, zones(args[0]))
	default:
		l.a.out().runsOfAll(runs, zones)
	}
	return exitDone, nil
}

func (l *runLister) filter(args []string, zones func(string) *time.Location) (client.RunFilter, error) {
	filter := client.RunFilter{States: as[api.RunState](l.states), Origins: as[api.Origin](l.origins)}
	zone := time.UTC
	if len(args) == 1 {
		filter.Job, zone = args[0], zones(args[0])
	}
	var err error
	if filter.Since, _, err = parseDay("--since", l.since, zone); err != nil {
		return filter, err
	}
	_, filter.Until, err = parseDay("--until", l.until, zone)
	return filter, err
}

// fetch asks for no more than are wanted.
func (l *runLister) fetch(ctx context.Context, c *client.Client, filter client.RunFilter) ([]api.Run, error) {
	runs, paging := []api.Run{}, client.Paging{}
	for {
		paging.Limit = min(l.limit-len(runs), runsPage)
		page, err := c.Runs(ctx, filter, paging)
		if err != nil {
			return nil, err
		}
		runs = append(runs, page.Items...)
		if page.Next == "" || len(runs) >= l.limit {
			return runs, nil
		}
		paging.After = page.Next
	}
}

func (l *runLister) none(f client.RunFilter) string {
	switch {
	case len(f.States)+len(f.Origins) > 0 || !f.Since.IsZero() || !f.Until.IsZero():
		return "no runs are like that; batch-runner runs" + prefixed(" ", f.Job) + " lists them all"
	case f.Job == "":
		return "no job has runs yet; batch-runner status lists the jobs"
	}
	return "job " + f.Job + " has no runs yet; batch-runner run " + f.Job + " makes one"
}

func as[T ~string](words []string) []T {
	all := make([]T, len(words))
	for i, word := range words {
		all[i] = T(word)
	}
	return all
}

// parseDay reads an instant, or a day of a zone, from its first to its last
// moment.
func parseDay(flag, text string, zone *time.Location) (first, last time.Time, err error) {
	if text == "" {
		return first, last, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, at, nil
	}
	day, err := time.ParseInLocation(time.DateOnly, text, zone)
	if err != nil {
		return first, last, usagef("%s %q is neither a date like 2026-11-21 nor an instant like 2026-11-21T02:00:00Z", flag, text)
	}
	return day, day.AddDate(0, 0, 1).Add(-1), nil
}

var runColumns = []string{"RUN", "OCCURRENCE", "ORIGIN", "STATE", "PLANNED", "COMMITTED", "CARRIED", "DEAD", "GONE", "UNFINISHED", "MINI-BATCHES", "TOOK"}

func (p *printer) runs(runs []api.Run, zone *time.Location) {
	rows := [][]string{runColumns}
	for _, run := range runs {
		rows = append(rows, runCells(run, zone))
	}
	p.table(rows)
}

func (p *printer) runsOfAll(runs []api.Run, zones func(string) *time.Location) {
	rows := [][]string{slices.Concat([]string{"JOB"}, runColumns)}
	for _, run := range runs {
		rows = append(rows, slices.Concat([]string{run.Job}, runCells(run, zones(run.Job))))
	}
	p.table(rows)
}

func runCells(run api.Run, zone *time.Location) []string {
	c := run.Counts
	cells := []string{run.ID, at(run.Occurrence, zone), string(run.Origin) + prefixed(" ", run.Backfill), state(run)}
	for _, n := range []int64{c.Planned, c.Committed, c.Carried, c.DeadLettered, c.Gone, c.Unfinished, run.MiniBatches.Total} {
		cells = append(cells, api.Thousands(n))
	}
	return append(cells, duration(run))
}

// setupLogs prints what a run's prediction servers wrote.
func setupLogs(a *app, flags *pflag.FlagSet) action {
	c := a.connectionFlags(flags)
	return c.asking(func(ctx context.Context, c *client.Client, args []string) (exit, error) {
		text, err := c.Logs(ctx, args[0])
		if err != nil {
			return 0, err
		}
		if len(text) == 0 {
			a.err().line("run %s has no log: the server or program that it launched wrote nothing, or none was launched", args[0])
		}
		a.out().text(string(text))
		return exitDone, nil
	})
}
