package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

// backfill is one call of the command.
type backfill struct {
	a            *app
	ask          api.AskBackfill
	cancel       bool
	wait, asJSON bool
	agreed       *bool
}

// setupBackfill runs a range of past occurrences. Nothing is asked for before
// the runner has told, by a dry run, what it would do.
func setupBackfill(a *app, flags *pflag.FlagSet) action {
	c, b := a.connectionFlags(flags), &backfill{a: a, agreed: yesFlag(flags)}
	flags.StringVar(&b.ask.From, "from", "", "first: 2026-11-01, 2026-11-01T02:00 in the job's zone, or an instant with Z")
	flags.StringVar(&b.ask.To, "to", "", "last, written likewise; a date is its whole day")
	flags.StringVar(&b.ask.Only, "only", api.DefaultOnly, "missing (nothing published, no run under way), failed, or all")
	flags.StringVar(&b.ask.Order, "order", api.DefaultOrder, "oldest_first or newest_first")
	flags.Int64Var(&b.ask.MaxParallel, "max-parallel", 1, "runs at a time")
	flags.BoolVar(&b.ask.DryRun, "dry-run", false, "only tell what it would do")
	flags.BoolVar(&b.cancel, "cancel", false, "end the job's backfill; runs under way go on")
	flags.BoolVar(&b.wait, "wait", false, "wait for its end; the exit code tells it, as that of run")
	flags.BoolVar(&b.asJSON, "json", false, "print the backfill as JSON")
	return c.asking(func(ctx context.Context, c *client.Client, args []string) (exit, error) {
		switch {
		case b.cancel && (b.ask.From != "" || b.ask.To != "" || b.ask.DryRun):
			return 0, usagef("--cancel goes without --from, --to and --dry-run")
		case b.cancel:
			return b.end(ctx, c, args[0])
		case b.ask.MaxParallel < 1:
			return 0, usagef("--max-parallel %d is not above zero", b.ask.MaxParallel)
		case b.ask.From == "" || b.ask.To == "":
			return 0, usagef("--from and --to are required, as in --from 2026-11-01 --to 2026-11-20")
		}
		return b.begin(ctx, c, args[0])
	})
}

func (b *backfill) begin(ctx context.Context, c *client.Client, name string) (exit, error) {
	job, err := c.Job(ctx, name)
	if err != nil {
		return 0, err
	}
	zone, ask := zoneOf(job.Spec), b.ask
	ask.DryRun = true
	plan, _, err := c.Backfill(ctx, name, ask, "")
	switch {
	case err != nil:
		return 0, err
	case b.ask.DryRun || plan.Total == 0:
		if b.asJSON {
			return exitDone, b.a.out().json(plan)
		}
		b.a.out().line("%s", planned(plan, zone))
		return exitDone, nil
	}
	if err := b.a.agree(*b.agreed, "%s", planned(plan, zone)); err != nil {
		return 0, err
	}
	made, _, err := c.Backfill(ctx, name, b.ask, rand.Text())
	if err != nil {
		return 0, err
	}
	return b.begun(ctx, c, made, zone)
}

// begun tells of a backfill that goes on, and of its end where that is waited
// for.
func (b *backfill) begun(ctx context.Context, c *client.Client, made api.Backfill, zone *time.Location) (exit, error) {
	switch {
	case !b.wait && b.asJSON:
		return exitDone, b.a.out().json(made)
	case !b.wait:
		b.a.out().line("backfill %s of %s has begun: %s", made.ID, made.Job, api.Counted(made.Total, "occurrence"))
		b.a.out().line("see batch-runner status %s", made.Job)
		return exitDone, nil
	}
	ended, err := b.follow(ctx, c, made, zone)
	if err != nil {
		return 0, err
	}
	runs, err := c.Runs(ctx, client.RunFilter{Job: made.Job}, client.Paging{Limit: mostRuns})
	if err != nil {
		return 0, err
	}
	code := backfillOutcome(ended, runs.Items)
	if b.asJSON {
		return code, b.a.out().json(ended)
	}
	b.a.out().line("backfill %s of %s ended: %s", ended.ID, ended.Job, backfillProgress(ended))
	if code != exitDone {
		b.a.out().line("see batch-runner runs %s", ended.Job)
	}
	return code, nil
}

// follow shows a backfill until it has ended.
func (b *backfill) follow(ctx context.Context, c *client.Client, made api.Backfill, zone *time.Location) (api.Backfill, error) {
	shown := b.a.newProgress(zone)
	defer shown.end()
	shown.backfill(made)
	err := await(ctx, shown, "backfill "+made.ID, "batch-runner status "+made.Job, !made.EndedAt.IsZero(), func() (bool, error) {
		all, err := c.Backfills(ctx, made.Job, 0)
		if err != nil {
			return false, err
		}
		i := slices.IndexFunc(all, func(one api.Backfill) bool { return one.ID == made.ID })
		if i < 0 {
			return false, api.Errorf(api.CodeNotFound, "", "job %s has no backfill %s any more", made.Job, made.ID)
		}
		made = all[i]
		shown.backfill(made)
		return !made.EndedAt.IsZero(), nil
	})
	return made, err
}

// end cancels the backfill of a job that goes on.
func (b *backfill) end(ctx context.Context, c *client.Client, name string) (exit, error) {
	status, err := c.Status(ctx, name)
	if err != nil {
		return 0, err
	}
	active := status.Backfill
	if active == nil {
		return 0, api.Errorf(api.CodeConflict, "batch-runner runs "+name+" lists the runs of those that were", "no backfill of job %s goes on", name)
	}
	goOn := ""
	if active.Active > 0 {
		goOn = fmt.Sprintf("; its runs so far (%d) go on, batch-runner cancel RUN ends one", active.Active)
	}
	err = b.a.agree(*b.agreed, "cancel backfill %s of %s, with %s still to run%s",
		active.ID, name, api.Counted(active.Waiting, "occurrence"), goOn)
	if err != nil {
		return 0, err
	}
	ended, err := c.CancelBackfill(ctx, name, active.ID)
	switch {
	case err != nil:
		return 0, err
	case b.asJSON:
		return exitDone, b.a.out().json(ended)
	}
	b.a.out().line("backfill %s of %s is cancelled: %s", ended.ID, name, backfillProgress(ended))
	return exitDone, nil
}

// planned is what a backfill would do, in words.
func planned(b api.Backfill, zone *time.Location) string {
	var text strings.Builder
	fmt.Fprintf(&text, "backfill %s from %s to %s: ", b.Job, at(b.From, zone), at(b.To, zone))
	if b.Total == 0 {
		text.WriteString("nothing to run")
	} else {
		fmt.Fprintf(&text, "%s (%s), %s, %s at a time", api.Counted(b.Total, "occurrence"), b.Only, strings.ReplaceAll(b.Order, "_", " "), api.Counted(b.MaxParallel, "run"))
	}
	if n := len(b.Occurrences); n > 0 {
		text.WriteString("\n  first " + at(b.Occurrences[0], zone))
		if n > 1 && int64(n) == b.Total { // else the last is not among them
			text.WriteString(", last " + at(b.Occurrences[n-1], zone))
		}
	}
	if b.LeftOut > 0 {
		fmt.Fprintf(&text, "\n  %s left out by --only %s", api.Counted(b.LeftOut, "occurrence"), b.Only)
	}
	for _, warning := range b.Warnings {
		text.WriteString("\n  warning: " + warning)
	}
	return text.String()
}

// backfillProgress is how far a backfill is.
func backfillProgress(b api.Backfill) string {
	text := fmt.Sprintf("%s of %s succeeded", api.Thousands(b.Succeeded), api.Counted(b.Total, "occurrence"))
	for _, part := range []struct {
		n    int64
		what string
	}{{b.Failed, "failed"}, {b.Active, "active"}, {b.Waiting, "waiting"}} {
		switch {
		case part.n == 0:
		case part.what == "waiting" && !b.EndedAt.IsZero():
			text += fmt.Sprintf(", %s never run", api.Thousands(part.n))
		default:
			text += fmt.Sprintf(", %s %s", api.Thousands(part.n), part.what)
		}
	}
	return text
}

// A backfill is looked at after firstPoll, then less and less often up to every
// lastPoll: small ones end soon, long ones are no hurry.
const firstPoll, lastPoll = 20 * time.Millisecond, time.Second

// await looks again and again until what is waited for has ended. It bears
// with a runner that is away for a while, and tells so.
func await(ctx context.Context, shown *progress, what, see string, ended bool, look func() (ended bool, err error)) error {
	wait, absence := firstPoll, client.Absence{}
	for timer := time.NewTimer(wait); !ended; timer.Reset(wait) {
		select {
		case <-ctx.Done():
			return waitingEnded(ctx, what, see)
		case <-timer.C:
			wait = min(wait*3/2, lastPoll)
		}
		now, err := look()
		tell, bear := absence.Missed(err, time.Now())
		switch {
		case err == nil:
			if ended = now; absence.Answered() {
				shown.back()
			}
		case ctx.Err() != nil:
			return waitingEnded(ctx, what, see)
		case client.IsUnreachable(err) && !bear:
			return fmt.Errorf("wait for %s: %w; it goes on with its runner: %s", what, err, see)
		case !bear:
			return fmt.Errorf("wait for %s: %w", what, err)
		case tell:
			shown.away(err)
		}
	}
	return nil
}
