package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

// started tells of a run that was queued, and of its end where that is waited
// for. Its history up to the event of that id is known already.
func (a *app) started(ctx context.Context, c *client.Client, run api.Run, known int64, zone *time.Location, wait, asJSON bool) (exit, error) {
	switch {
	case !wait && asJSON:
		return exitDone, a.out().json(run)
	case !wait:
		a.out().line("run %s of %s for %s is queued", run.ID, run.Job, at(run.Occurrence, zone))
		a.out().line("see batch-runner why %s", run.ID)
		return exitDone, nil
	}
	why, err := a.follow(ctx, c, run, known, zone)
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
func (a *app) follow(ctx context.Context, c *client.Client, run api.Run, known int64, zone *time.Location) (api.Why, error) {
	shown := a.newProgress(zone)
	defer shown.end()
	shown.begin(run, false)
	_, err := c.Follow(ctx, run.ID, known, func(u client.Update) error {
		switch {
		case u.Event != nil:
			shown.event(*u.Event)
		case u.Run != nil:
			shown.show(*u.Run)
		case u.Away != nil:
			shown.away(u.Away)
		case u.Back:
			shown.back()
		}
		return nil
	})
	switch {
	case ctx.Err() != nil:
		return api.Why{}, waitingEnded(ctx, "run "+run.ID, "batch-runner why "+run.ID)
	case client.IsUnreachable(err):
		return api.Why{}, fmt.Errorf("wait for run %s: %w; a run goes on with its runner: batch-runner why %s", run.ID, err, run.ID)
	case err != nil:
		return api.Why{}, fmt.Errorf("wait for run %s: %w", run.ID, err)
	}
	return c.Why(ctx, run.ID)
}

// known is the id of the newest event of a run, 0 where there is none but the
// first.
func known(ctx context.Context, c *client.Client, run string) (int64, error) {
	newest := int64(0)
	for e, err := range c.AllEvents(ctx, run) {
		if err != nil {
			return 0, err
		}
		newest = e.ID
	}
	return newest, nil
}

// waitingEnded is the error of a wait that was interrupted.
func waitingEnded(ctx context.Context, what, see string) error {
	cause := context.Cause(ctx)
	if cut, ok := errors.AsType[interruption](cause); ok {
		return fmt.Errorf("%w; %s goes on: %s", cut, what, see)
	}
	return cause
}
