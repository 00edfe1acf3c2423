package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

// pollRunEvery is how often a first run is looked at.
const pollRunEvery = 250 * time.Millisecond

// alreadyThere explains that another job has the name, whose it is, and what
// to do about it.
func alreadyThere(ctx context.Context, c *client.Client, model jobModel, remedy string) diag.Diagnostic {
	owner := "nobody in particular"
	if job, err := c.Job(ctx, model.Name); err == nil && job.Owner != "" {
		owner = fmt.Sprintf("%q", job.Owner)
	}
	return diag.NewAttributeErrorDiagnostic(path.Root("name"), fmt.Sprintf("name %q: the runner has a job of this name already", model.Name),
		fmt.Sprintf("It belongs to %s. %s", owner, remedy))
}

func importInstead(model jobModel) string {
	id := model.Name
	if model.Runner != nil {
		id = model.Runner.Endpoint + "#" + model.Name
	}
	return fmt.Sprintf("To manage it here, import it:\n\n  terraform import batch_prediction_job.NAME '%s'\n\nOtherwise choose another name.", id)
}

// command is one to type, on a host that reaches the runner.
func command(c *client.Client, arguments string) string {
	return fmt.Sprintf("%s=%s batch-runner %s", client.EnvEndpoint, c.Endpoint(), arguments)
}

// firstRun triggers one run and waits for it. The job is registered already,
// so nothing that happens here is more than a warning.
func firstRun(ctx context.Context, c *client.Client, model jobModel, stored api.StoredJob) diagnostics {
	var diags diagnostics
	warn := func(what, next string, details ...any) {
		diags.AddAttributeWarning(path.Root("run_on_create"), fmt.Sprintf("run_on_create: the first run of job %s %s", model.Name, what),
			fmt.Sprint(details...)+"\n\nThe job is registered. Look further with\n\n  "+command(c, next))
	}
	// The key names what Create stored: asked again, the runner gives the same run.
	run, _, err := c.StartRun(ctx, model.Name, api.Trigger{}, fmt.Sprintf("%s/%d", stored.UID, stored.Generation))
	if err != nil {
		warn("could not be started", "doctor", err)
		return diags
	}
	waited, cancel := context.WithTimeout(ctx, model.RunOnCreate.Value())
	defer cancel()
	tick := time.NewTicker(pollRunEvery)
	defer tick.Stop()
	for !run.State.Ended() {
		select {
		case <-waited.Done():
			details := "It goes on."
			if run.Trouble.Error != "" {
				details = "It waits " + run.Trouble.Told(func(at time.Time) string { return at.UTC().Format(time.RFC3339) }) + "."
			}
			warn(fmt.Sprintf("is %s after %s", run.State, model.RunOnCreate), "status "+model.Name, details)
			return diags
		case <-tick.C:
		}
		if newer, err := c.Run(waited, run.ID); err == nil {
			run = newer
		} else if waited.Err() == nil {
			warn("can't be followed", "status "+model.Name, err)
			return diags
		}
	}
	if run.State != api.RunSucceeded {
		warn(fmt.Sprintf("ended %s", run.State), "why "+run.ID, run.Message)
	}
	return diags
}

// withDetail is a diagnostic with more detail.
func withDetail(d diag.Diagnostic, more string) diag.Diagnostic {
	return diag.NewErrorDiagnostic(d.Summary(), d.Detail()+more)
}
