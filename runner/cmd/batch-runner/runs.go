package main

import (
	"context"
	"time"

	"github.com/spf13/pflag"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

// setupRuns lists a job's runs.
func setupRuns(a *app, flags *pflag.FlagSet) action {
	c := a.connectionFlags(flags)
	limit := flags.Int("limit", 20, "how many, newest occurrence first")
	asJSON := flags.Bool("json", false, "print JSON")
	return c.asking(func(ctx context.Context, c *client.Client, args []string) (exit, error) {
		if *limit < 1 {
			return 0, usagef("--limit %d is not above zero", *limit)
		}
		job, err := c.Job(ctx, args[0])
		if err != nil {
			return 0, err
		}
		runs, err := c.Runs(ctx, args[0], *limit)
		if err != nil {
			return 0, err
		}
		switch {
		case *asJSON:
			return exitDone, a.out().json(map[string]any{"runs": runs})
		case len(runs) == 0:
			a.out().line("job %s has no runs yet; batch-runner run %s makes one", args[0], args[0])
		default:
			a.out().runs(runs, zoneOf(job.Spec))
		}
		return exitDone, nil
	})
}

func (p *printer) runs(runs []api.Run, zone *time.Location) {
	rows := [][]string{{"RUN", "OCCURRENCE", "ORIGIN", "STATE", "PLANNED", "COMMITTED", "DEAD", "UNFINISHED", "MINI-BATCHES", "TOOK"}}
	for _, run := range runs {
		duration := ""
		if !run.StartedAt.IsZero() && !run.EndedAt.IsZero() {
			duration = took(run.EndedAt.Sub(run.StartedAt))
		}
		c := run.Counts
		rows = append(rows, []string{
			run.ID, at(run.Occurrence, zone), string(run.Origin) + prefixed(" ", run.Backfill), state(run), api.Thousands(c.Planned), api.Thousands(c.Committed),
			api.Thousands(c.DeadLettered), api.Thousands(c.Unfinished), api.Thousands(run.MiniBatches.Total), duration,
		})
	}
	p.table(rows)
}

// setupWhy explains a run.
func setupWhy(a *app, flags *pflag.FlagSet) action {
	c := a.connectionFlags(flags)
	asJSON := flags.Bool("json", false, "print JSON")
	return c.asking(func(ctx context.Context, c *client.Client, args []string) (exit, error) {
		why, err := c.Why(ctx, args[0])
		if err != nil {
			return 0, err
		}
		if *asJSON {
			return exitDone, a.out().json(why)
		}
		a.out().why(why, zoneOfRun(ctx, c, why.Run))
		return exitDone, nil
	})
}

func (p *printer) why(why api.Why, zone *time.Location) {
	p.line("%s", headline(why.Run, zone))
	p.line("cause: %s", why.Cause)
	p.errors(why)
	if why.Run.Withheld {
		p.line("withheld until %s", at(why.Run.WithheldUntil, zone))
	}
	p.line("history, in %s:", zone)
	rows := make([][]string, len(why.Events))
	for i, e := range why.Events {
		what := e.Kind
		switch {
		case e.From != "":
			what = e.From + " → " + e.To
		case e.To != "":
			what = e.To
		}
		rows[i] = []string{"  " + e.At.In(zone).Format(time.DateTime), e.Actor, what, e.Reason, e.Detail}
	}
	p.table(rows)
	p.next(why.Next)
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
			a.err().line("run %s has no log: its prediction server wrote nothing, or none was launched", args[0])
		}
		a.out().text(string(text))
		return exitDone, nil
	})
}
