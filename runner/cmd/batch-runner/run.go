package main

import (
	"context"
	"crypto/rand"

	"github.com/spf13/pflag"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

// setupRun queues a manual run and waits for it where asked to.
func setupRun(a *app, flags *pflag.FlagSet) action {
	c := a.connectionFlags(flags)
	wait := flags.Bool("wait", false, "wait for the run's end; the exit code tells it")
	occurrence := flags.String("occurrence", "", "nominal due time, as in 2026-11-21T02:00:00Z (default now)")
	ifIdle := flags.Bool("if-idle", false, "exit code 5 instead of waiting behind a run under way")
	asJSON := flags.Bool("json", false, "print the run as JSON")
	return c.asking(func(ctx context.Context, c *client.Client, args []string) (exit, error) {
		due, err := parseOccurrence(*occurrence)
		if err != nil {
			return 0, err
		}
		job, err := c.Job(ctx, args[0])
		if err != nil {
			return 0, err
		}
		if job.Held != nil {
			a.err().line("job %s is %s; a run by hand goes ahead all the same", args[0], held(*job.Held, zoneOf(job.Spec)))
		}
		run, _, err := c.StartRun(ctx, args[0], api.Trigger{Occurrence: due, IfIdle: *ifIdle}, rand.Text())
		if err != nil {
			return 0, err
		}
		return a.started(ctx, c, run, 0, zoneOf(job.Spec), *wait, *asJSON)
	})
}
