package main

import (
	"bufio"
	"context"
	"strings"

	"github.com/spf13/pflag"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

// setupRetry goes on with a run that ended unfinished.
func setupRetry(a *app, flags *pflag.FlagSet) action {
	c, agreed := a.connectionFlags(flags), yesFlag(flags)
	deadLetters := flags.Bool("dead-letters", false, "send its dead letters again, too")
	wait := flags.Bool("wait", false, "wait for the run's end; the exit code tells it")
	asJSON := flags.Bool("json", false, "print the run as JSON")
	return c.asking(func(ctx context.Context, c *client.Client, args []string) (exit, error) {
		run, err := c.Run(ctx, args[0])
		if err != nil {
			return 0, err
		}
		zone := zoneOfRun(ctx, c, run)
		if run.State != api.RunSucceeded { // else the runner refuses: nothing to agree to
			err = a.agree(*agreed, "retry run %s of %s for %s: %s over the same plan, with the job's current server; %s staged or committed stay",
				run.ID, run.Job, at(run.Occurrence, zone), triedAgain(run, *deadLetters), api.Thousands(run.Counts.Staged+run.Counts.Committed))
		}
		if err != nil {
			return 0, err
		}
		since, err := known(ctx, c, run.ID)
		if err != nil {
			return 0, err
		}
		if run, err = c.Retry(ctx, run.ID, api.RetryRun{DeadLetters: *deadLetters}); err != nil {
			return 0, err
		}
		return a.started(ctx, c, run, since, zone, *wait, *asJSON)
	})
}

// triedAgain says which records a retry sends.
func triedAgain(run api.Run, deadLetters bool) string {
	unpredicted, dead := run.Counts.Unfinished-run.Counts.Staged+run.Counts.Carried, api.Counted(run.Counts.DeadLettered, "dead letter")
	switch {
	case !deadLetters, run.Counts.DeadLettered == 0:
		return "try " + api.Counted(unpredicted, "record") + " without a prediction again"
	case unpredicted == 0:
		return "try " + dead + " again"
	}
	return "try " + api.Counted(unpredicted, "record") + " without a prediction and " + dead + " again"
}

// setupAccept publishes a withheld run.
func setupAccept(a *app, flags *pflag.FlagSet) action {
	c, agreed := a.connectionFlags(flags), yesFlag(flags)
	reason := flags.String("reason", "", "why incomplete predictions may be published; it is kept")
	asJSON := flags.Bool("json", false, "print the run as JSON")
	return c.asking(func(ctx context.Context, c *client.Client, args []string) (exit, error) {
		if strings.TrimSpace(*reason) == "" {
			return 0, usagef("--reason is required: say why incomplete predictions may be published")
		}
		run, err := c.Run(ctx, args[0])
		if err != nil {
			return 0, err
		}
		zone, kept := zoneOfRun(ctx, c, run), run.Counts.Staged+run.Counts.Committed
		if run.Withheld || run.State == api.RunStopped { // else the runner refuses: nothing to agree to
			err = a.agree(*agreed, "accept run %s of %s for %s: %s of %s are published, marked as incomplete (accepted)",
				run.ID, run.Job, at(run.Occurrence, zone), api.Thousands(kept), api.Counted(run.Counts.Planned, "planned record"))
		}
		if err != nil {
			return 0, err
		}
		if run, err = c.Accept(ctx, run.ID, *reason); err != nil {
			return 0, err
		}
		if *asJSON {
			return exitDone, a.out().json(run)
		}
		a.out().line("run %s is %s; see batch-runner why %s", run.ID, state(run), run.ID)
		return exitDone, nil
	})
}

// setupCancel ends a run.
func setupCancel(a *app, flags *pflag.FlagSet) action {
	c, agreed := a.connectionFlags(flags), yesFlag(flags)
	asJSON := flags.Bool("json", false, "print the run as JSON")
	return c.asking(func(ctx context.Context, c *client.Client, args []string) (exit, error) {
		run, err := c.Run(ctx, args[0])
		if err != nil {
			return 0, err
		}
		err = a.agree(*agreed, "cancel run %s of %s for %s, which is %s: %s, %s staged are thrown away",
			run.ID, run.Job, at(run.Occurrence, zoneOfRun(ctx, c, run)), run.State, shown(run), api.Counted(run.Counts.Staged, "record"))
		if err != nil {
			return 0, err
		}
		if run, err = c.Cancel(ctx, run.ID); err != nil {
			return 0, err
		}
		if *asJSON {
			return exitDone, a.out().json(run)
		}
		a.out().line("run %s is %s; batch-runner retry %s would start it again over the same plan", run.ID, run.State, run.ID)
		return exitDone, nil
	})
}

// shown says what readers see of a run that is cancelled: something already
// where it is published progressively, or goes on after a retry.
func shown(run api.Run) string {
	if run.Counts.Committed == 0 {
		return "nothing of it is published"
	}
	return api.Counted(run.Counts.Committed, "record") + " that readers see already stay"
}

func yesFlag(flags *pflag.FlagSet) *bool {
	return flags.BoolP("yes", "y", false, "do it without asking")
}

// agree says what will be done and asks, unless that was agreed beforehand.
func (a *app) agree(agreed bool, format string, args ...any) error {
	a.err().line(format, args...)
	switch {
	case agreed:
		return nil
	case !a.asks:
		return usagef("nobody can be asked here: add --yes to do it")
	}
	a.err().text("Do it? [y/N] ")
	line, _ := bufio.NewReader(a.stdin).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errDeclined
}
