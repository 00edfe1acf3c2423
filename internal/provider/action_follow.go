package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

const (
	// pollBackfillEvery is how often a backfill is looked at.
	pollBackfillEvery = time.Second
	// clockSkew is how far the clocks of this host and the runner's may be apart
	// before a line of progress is lost or told twice.
	clockSkew = 2 * time.Second
)

// follow tells how a run goes on, as long as is waited for it, and judges its
// end. since is when that began; what happened to the run before is not told
// again.
func (in *invocation) follow(ctx context.Context, run api.Run, since time.Time) error {
	in.tell("run %s of job %s for %s is %s", run.ID, run.Job, run.Occurrence.UTC().Format(time.RFC3339), run.State)
	if in.Wait == "" {
		in.tell("it is not waited for; look with  %s", command(in.client, "why "+run.ID))
		return nil
	}
	waited, cancel := context.WithTimeout(ctx, in.Wait.Value())
	defer cancel()
	last := ""
	ended, err := in.client.Follow(waited, run.ID, 0, func(u client.Update) error {
		if line := progress(u, since); line != "" && line != last {
			in.tell("%s", line)
			last = line
		}
		return nil
	})
	switch {
	case err == nil:
		in.judge(ended)
	case waited.Err() != nil && ctx.Err() == nil:
		in.diags.AddError(fmt.Sprintf("run %s of job %s is not at its end after %s", run.ID, run.Job, in.Wait),
			"It goes on. Look further with\n\n  "+command(in.client, "why "+run.ID))
	default:
		return err
	}
	return nil
}

// progress is an update in a line, or nothing.
func progress(u client.Update, since time.Time) string {
	switch {
	case u.Away != nil:
		return fmt.Sprintf("%v; still trying", u.Away)
	case u.Back:
		return "the runner answers again"
	case u.Run != nil && u.Run.Counts.Planned > 0 && !u.Run.State.Ended():
		c := u.Run.Counts
		line := fmt.Sprintf("%s: %s of %s predicted", u.Run.State, api.Thousands(c.Committed+c.Staged), api.Counted(c.Planned, "record"))
		if failed := c.Failed(); failed > 0 {
			line += fmt.Sprintf(", %s failed", api.Thousands(failed))
		}
		return line
	case u.Event == nil || u.Event.At.Before(since.Add(-clockSkew)):
		return ""
	case u.Event.Kind == "state":
		line := u.Event.To
		for _, more := range []string{u.Event.Reason, u.Event.Detail} {
			if more != "" {
				line += ": " + more
			}
		}
		return line
	}
	return u.Event.Kind + ": " + u.Event.Detail
}

// judge makes of a run's end what the configuration says.
func (in *invocation) judge(run api.Run) {
	c := run.Counts
	in.tell("%s: %s of %s committed", run.State, api.Thousands(c.Committed), api.Counted(c.Planned, "record"))
	if run.State == api.RunSucceeded || run.State == in.expected {
		return
	}
	summary := fmt.Sprintf("run %s of job %s ended %s", run.ID, run.Job, run.State)
	detail := run.Message + "\n\nLook further with\n\n  " + command(in.client, "why "+run.ID)
	if in.FailOn == failOnNever || run.State == api.RunIncomplete && in.FailOn != failOnIncomplete {
		in.diags.Append(diag.NewWarningDiagnostic(summary, detail))
		return
	}
	in.diags.Append(diag.NewErrorDiagnostic(summary, detail))
}

// followBackfill tells how a backfill goes on, as long as is waited for it.
func (in *invocation) followBackfill(ctx context.Context, b api.Backfill) error {
	in.tell("backfill %s of job %s: %s, %d of the range left out", b.ID, in.Job, api.Counted(b.Total, "occurrence"), b.LeftOut)
	for _, warning := range b.Warnings {
		in.diags.AddWarning("backfill of job "+in.Job, warning)
	}
	next := command(in.client, "status "+in.Job)
	if in.Wait == "" {
		in.tell("it is not waited for; look with  %s", next)
		return nil
	}
	waited, cancel := context.WithTimeout(ctx, in.Wait.Value())
	defer cancel()
	tick := time.NewTicker(pollBackfillEvery)
	defer tick.Stop()
	last, absence := "", client.Absence{}
	for b.EndedAt.IsZero() {
		newer, err := in.backfill(waited, b.ID)
		tell, _ := absence.Missed(err, time.Now())
		switch {
		case err == nil:
			b = newer
			absence.Answered()
		case waited.Err() == nil && !client.IsUnreachable(err): // one that is restarted goes on with it
			return err
		case tell:
			in.tell("%v; still trying", err)
		}
		line := fmt.Sprintf("%d waiting, %d active, %d succeeded, %d failed", b.Waiting, b.Active, b.Succeeded, b.Failed)
		if line != last {
			in.tell("%s", line)
			last = line
		}
		if !b.EndedAt.IsZero() {
			break
		}
		select {
		case <-waited.Done():
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			in.diags.AddError(fmt.Sprintf("backfill %s of job %s is not at its end after %s", b.ID, in.Job, in.Wait), "It goes on. Look further with\n\n  "+next)
			return nil
		case <-tick.C:
		}
	}
	if b.Succeeded == b.Total {
		return nil
	}
	summary := fmt.Sprintf("backfill %s of job %s: %d of %s did not succeed", b.ID, in.Job, b.Total-b.Succeeded, api.Counted(b.Total, "run"))
	if in.FailOn == failOnNever {
		in.diags.AddWarning(summary, "Look further with\n\n  "+next)
	} else {
		in.diags.AddError(summary, "Look further with\n\n  "+next)
	}
	return nil
}

// backfill asks how one is.
func (in *invocation) backfill(ctx context.Context, id string) (api.Backfill, error) {
	all, err := in.client.Backfills(ctx, in.Job, 0)
	if err != nil {
		return api.Backfill{}, err
	}
	for _, b := range all {
		if b.ID == id {
			return b, nil
		}
	}
	return api.Backfill{}, api.Errorf(api.CodeNotFound, "", "backfill %s is not known any more", id)
}
