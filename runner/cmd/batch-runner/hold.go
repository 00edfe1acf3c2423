package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

// setupHold makes the runner skip what falls due for a job.
func setupHold(a *app, flags *pflag.FlagSet) action {
	c, agreed := a.connectionFlags(flags), yesFlag(flags)
	reason := flags.String("reason", "", "why the job is held; it is shown wherever the job is")
	asJSON := flags.Bool("json", false, "print the job's status as JSON")
	return c.asking(func(ctx context.Context, c *client.Client, args []string) (exit, error) {
		if strings.TrimSpace(*reason) == "" {
			return 0, usagef("--reason is required: say why the job is held")
		}
		job, err := c.Job(ctx, args[0])
		if err != nil {
			return 0, err
		}
		was := ""
		if job.Held != nil {
			was = " (it is " + held(*job.Held, zoneOf(job.Spec)) + ")"
		}
		err = a.agree(*agreed, "hold job %s%s: what falls due is skipped until batch-runner release %s; runs that are queued or under way go on, a backfill waits",
			args[0], was, args[0])
		if err != nil {
			return 0, err
		}
		status, err := c.Hold(ctx, args[0], *reason)
		return a.told(status, zoneOf(job.Spec), *asJSON, err)
	})
}

// setupRelease ends a hold.
func setupRelease(a *app, flags *pflag.FlagSet) action {
	c, agreed := a.connectionFlags(flags), yesFlag(flags)
	asJSON := flags.Bool("json", false, "print the job's status as JSON")
	return c.asking(func(ctx context.Context, c *client.Client, args []string) (exit, error) {
		job, err := c.Job(ctx, args[0])
		if err != nil {
			return 0, err
		}
		zone := zoneOf(job.Spec)
		if job.Held != nil { // else the runner refuses: nothing to agree to
			err = a.agree(*agreed, "release job %s, %s: what falls due runs again; what was skipped stays skipped",
				args[0], held(*job.Held, zone))
		}
		if err != nil {
			return 0, err
		}
		status, err := c.Release(ctx, args[0])
		return a.told(status, zone, *asJSON, err)
	})
}

// setupCursor moves the instant up to which a job is decided.
func setupCursor(a *app, flags *pflag.FlagSet) action {
	c, agreed := a.connectionFlags(flags), yesFlag(flags)
	to := flags.String("to", "", `"now", or an instant up to now: 2026-11-21T02:00 in the job's zone, or 2026-11-21T01:00:00Z`)
	asJSON := flags.Bool("json", false, "print the job's status as JSON")
	return c.asking(func(ctx context.Context, c *client.Client, args []string) (exit, error) {
		if *to == "" {
			return 0, usagef(`--to is required: "now", or an instant up to now`)
		}
		status, err := c.Status(ctx, args[0])
		if err != nil {
			return 0, err
		}
		job, err := c.Job(ctx, args[0])
		if err != nil {
			return 0, err
		}
		zone := zoneOf(job.Spec)
		err = a.agree(*agreed, "set the cursor of job %s, which is decided up to %s, to %s: forward, what lies between is skipped; back, what lies between and has no run is decided once more",
			args[0], at(status.Cursor, zone), *to)
		if err != nil {
			return 0, err
		}
		status, err = c.SetCursor(ctx, args[0], *to)
		switch {
		case err != nil:
			return 0, err
		case *asJSON:
			return exitDone, a.out().json(status)
		}
		// How the job is, is told once what lies behind the cursor is decided.
		a.out().line("the cursor of job %s is at %s", args[0], at(status.Cursor, zone))
		a.out().line("see batch-runner status %s", args[0])
		return exitDone, nil
	})
}

// told shows how a job is after it was told something.
func (a *app) told(status api.JobStatus, zone *time.Location, asJSON bool, err error) (exit, error) {
	switch {
	case err != nil:
		return 0, err
	case asJSON:
		return exitDone, a.out().json(status)
	}
	a.out().status(status, zone)
	return exitDone, nil
}

// held is a hold in words.
func held(h api.Hold, zone *time.Location) string {
	return fmt.Sprintf("held by %s since %s: %s", h.By, at(h.Since, zone), h.Reason)
}
