package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

// A run is looked at after firstPoll, then less and less often up to every
// lastPoll: small runs end soon, long ones are no hurry.
const firstPoll, lastPoll = 20 * time.Millisecond, time.Second

// patience is how long a runner may be away while a run is waited for: it may
// be restarted, and takes the run up again.
const patience = time.Minute

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
		run, _, err := c.StartRun(ctx, args[0], api.Trigger{Occurrence: due, IfIdle: *ifIdle}, rand.Text())
		if err != nil {
			return 0, err
		}
		return a.started(ctx, c, run, zoneOf(job.Spec), *wait, *asJSON)
	})
}

// started tells of a run that was queued, and of its end where that is waited
// for.
func (a *app) started(ctx context.Context, c *client.Client, run api.Run, zone *time.Location, wait, asJSON bool) (exit, error) {
	switch {
	case !wait && asJSON:
		return exitDone, a.out().json(run)
	case !wait:
		a.out().line("run %s of %s for %s is queued", run.ID, run.Job, at(run.Occurrence, zone))
		a.out().line("see batch-runner why %s", run.ID)
		return exitDone, nil
	}
	why, err := a.follow(ctx, c, run, zone)
	if err != nil {
		return 0, err
	}
	if asJSON {
		return outcome(why.Run), a.out().json(why.Run)
	}
	a.out().end(why, zone)
	a.out().next(why.Next)
	return outcome(why.Run), nil
}

// follow shows a run until it has ended. The first signal ends the waiting,
// not the run.
func (a *app) follow(ctx context.Context, c *client.Client, run api.Run, zone *time.Location) (api.Why, error) {
	shown := a.newProgress(zone)
	defer shown.end()
	shown.begin(run, false)
	shown.show(run)
	err := await(ctx, "run "+run.ID, "batch-runner why "+run.ID, run.State.Ended(), func() (bool, error) {
		now, err := c.Run(ctx, run.ID)
		if err != nil {
			return false, err
		}
		run = now
		shown.show(run)
		return run.State.Ended(), nil
	})
	if err != nil {
		return api.Why{}, err
	}
	return c.Why(ctx, run.ID)
}

// await looks again and again until what is waited for has ended. It bears
// with a runner that is away for a while.
func await(ctx context.Context, what, see string, ended bool, look func() (ended bool, err error)) error {
	wait, answered := firstPoll, time.Now()
	for timer := time.NewTimer(wait); !ended; timer.Reset(wait) {
		select {
		case <-ctx.Done():
			return waitingEnded(ctx, what, see)
		case <-timer.C:
			wait = min(wait*3/2, lastPoll)
		}
		now, err := look()
		switch {
		case err == nil:
			ended, answered = now, time.Now()
		case ctx.Err() != nil:
			return waitingEnded(ctx, what, see)
		case !isAway(err) || time.Since(answered) > patience:
			return fmt.Errorf("wait for %s: %w", what, err)
		}
	}
	return nil
}

// isAway tells whether an error may come from a runner that is restarted.
func isAway(err error) bool {
	return client.IsUnreachable(err) || api.CodeOf(err) == api.CodeUnavailable
}

// waitingEnded is the error of a wait that was interrupted.
func waitingEnded(ctx context.Context, what, see string) error {
	cause := context.Cause(ctx)
	if cut, ok := errors.AsType[interruption](cause); ok {
		return fmt.Errorf("%w; %s goes on: %s", cut, what, see)
	}
	return cause
}
