package main

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

// setupRerun queues an occurrence once more. How it is written is sent as it
// stands: the runner reads it in the job's zone.
func setupRerun(a *app, flags *pflag.FlagSet) action {
	c, agreed := a.connectionFlags(flags), yesFlag(flags)
	occurrence := flags.String("occurrence", "", "which: 2026-11-21, 2026-11-21T02:00 in the job's zone, or 2026-11-21T01:00:00Z")
	ifIdle := flags.Bool("if-idle", false, "exit code 5 instead of waiting behind a run under way")
	wait := flags.Bool("wait", false, "wait for the run's end; the exit code tells it")
	asJSON := flags.Bool("json", false, "print the run as JSON")
	return c.asking(func(ctx context.Context, c *client.Client, args []string) (exit, error) {
		if *occurrence == "" {
			return 0, usagef("--occurrence is required, as in 2026-11-21; batch-runner run %s runs the job for now", args[0])
		}
		job, err := c.Job(ctx, args[0])
		if err != nil {
			return 0, err
		}
		reads := "its input is read again"
		if job.Spec.Input.Incremental() {
			reads = fmt.Sprintf("it reads only what no run has taken yet, or what is owed (input.mode is %q)", job.Spec.Input.Mode)
		}
		err = a.agree(*agreed, "run %s once more for %s: %s, and what the run publishes takes the place of what was published for that occurrence",
			args[0], *occurrence, reads)
		if err != nil {
			return 0, err
		}
		run, _, err := c.Rerun(ctx, args[0], api.Rerun{Occurrence: *occurrence, IfIdle: *ifIdle}, rand.Text())
		if err != nil {
			return 0, err
		}
		return a.started(ctx, c, run, 0, zoneOf(job.Spec), *wait, *asJSON)
	})
}
