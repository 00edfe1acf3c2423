package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/action/schema"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// actions are all of them.
func actions() []func() action.Action {
	deeds := []deed{runJob(), retryRun(), rerunJob(), backfillJob(), cancelRun(), acceptRun()}
	all := make([]func() action.Action, len(deeds))
	for i, d := range deeds {
		all[i] = newAction(d)
	}
	return all
}

// The attributes that several actions have.

func actOnJob() schema.Attribute {
	return schema.StringAttribute{Required: true, MarkdownDescription: "Name of the job."}
}

func actOnRun() schema.Attribute {
	return schema.StringAttribute{Required: true, MarkdownDescription: "Id of the run."}
}

func ifIdle() schema.Attribute {
	return schema.BoolAttribute{Optional: true, MarkdownDescription: "Whether to refuse instead of waiting for its turn where a run of the job is active. Default: `false`."}
}

func waitFor(end string) schema.Attribute {
	return schema.StringAttribute{
		Optional: true, CustomType: durationText,
		MarkdownDescription: fmt.Sprintf("How long to wait for the end of %s, with lines of progress: %s. That it takes longer is an error; it goes on. Default: it is not waited for.", end, durationForm),
	}
}

func failOn(ends string) schema.Attribute {
	return schema.StringAttribute{
		Optional: true,
		MarkdownDescription: fmt.Sprintf("With `wait` only: which end of %s is an error: `%s` (failed, cancelled, stopped or skipped; incomplete is a warning), `%s` (that too), or `%s` (all are warnings). Default: `%s`.",
			ends, failOnFailed, failOnIncomplete, failOnNever, failOnFailed),
	}
}

func runJob() deed {
	return deed{
		name: "run_job", verb: "run",
		about: "Runs a job now. On the command line: `batch-runner run JOB --wait`.",
		attributes: map[string]schema.Attribute{
			"job": actOnJob(),
			"occurrence": schema.StringAttribute{
				Optional: true, CustomType: instantText,
				MarkdownDescription: "The due time to run for, an RFC 3339 instant: placeholders in uris mean it. Default: now.",
			},
			"if_idle": ifIdle(), "wait": waitFor("the run"), "fail_on": failOn("the run"),
		},
		check: func(m deedModel, f *findings) {
			if problem := checkInstant(m.Occurrence); problem != "" {
				f.add("/occurrence", "%s", problem)
			}
		},
		do: func(ctx context.Context, in *invocation) error {
			trigger := api.Trigger{Occurrence: instantOf(in.Occurrence), IfIdle: in.IfIdle}
			run, _, err := in.client.StartRun(ctx, in.Job, trigger, uuid.NewString())
			if err != nil {
				return err
			}
			return in.follow(ctx, run, time.Time{})
		},
	}
}

func retryRun() deed {
	return deed{
		name: "retry_run", verb: "retry",
		about: "Goes on with what failed in a run, over the same plan. On the command line: `batch-runner retry RUN`.",
		attributes: map[string]schema.Attribute{
			"run": actOnRun(),
			"dead_letters": schema.BoolAttribute{
				Optional: true, MarkdownDescription: "Whether to send its dead letters again too (`--dead-letters`): where it was the model that was wrong, and not the records. Default: `false`.",
			},
			"wait": waitFor("the run"), "fail_on": failOn("the run"),
		},
		do: func(ctx context.Context, in *invocation) error {
			began := in.session.now()
			run, err := in.client.Retry(ctx, in.Run, api.RetryRun{DeadLetters: in.DeadLetters})
			if err != nil {
				return err
			}
			return in.follow(ctx, run, began)
		},
	}
}

func rerunJob() deed {
	return deed{
		name: "rerun", verb: "rerun",
		about: "Runs an occurrence once more, over fresh input; what it publishes replaces what was there. On the command line: `batch-runner rerun JOB --occurrence …`.",
		attributes: map[string]schema.Attribute{
			"job": actOnJob(),
			"occurrence": schema.StringAttribute{
				Required: true, MarkdownDescription: "The occurrence: an RFC 3339 instant, or a date or date and time in the job's zone that names one, like `2026-11-21`.",
			},
			"if_idle": ifIdle(), "wait": waitFor("the run"), "fail_on": failOn("the run"),
		},
		do: func(ctx context.Context, in *invocation) error {
			run, _, err := in.client.Rerun(ctx, in.Job, api.Rerun{Occurrence: in.Occurrence, IfIdle: in.IfIdle}, uuid.NewString())
			if err != nil {
				return err
			}
			return in.follow(ctx, run, time.Time{})
		},
	}
}

func backfillJob() deed {
	return deed{
		name: "backfill", verb: "backfill",
		about: "Runs a job for a range of past occurrences. On the command line: `batch-runner backfill JOB --from … --to …`.",
		attributes: map[string]schema.Attribute{
			"job":  actOnJob(),
			"from": schema.StringAttribute{Required: true, MarkdownDescription: "The first occurrence: an RFC 3339 instant, or a date or date and time in the job's zone, like `2026-11-01`."},
			"to":   schema.StringAttribute{Required: true, MarkdownDescription: "The last occurrence, written like `from`; a date stands for its whole day."},
			"only": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("Which occurrences of the range: `%s` (no run of them succeeded or goes on), `%s` (their newest run did not end well), `%s`. Default: `%s`.",
					api.OnlyMissing, api.OnlyFailed, api.OnlyAll, api.DefaultOnly),
			},
			"order": schema.StringAttribute{
				Optional: true, MarkdownDescription: fmt.Sprintf("`%s` or `%s`. Default: `%s`.", api.OldestFirst, api.NewestFirst, api.DefaultOrder),
			},
			"max_parallel": schema.Int64Attribute{Optional: true, MarkdownDescription: "Runs at a time, at least 1. Default: `1`."},
			"wait":         waitFor("all runs"), "fail_on": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("With `wait` only: whether runs that did not succeed are an error: `%s`, or `%s`. Default: `%s`.",
					failOnFailed, failOnNever, failOnFailed),
			},
		},
		check: func(m deedModel, f *findings) {
			f.word("/only", m.Only, api.OnlyMissing, api.OnlyFailed, api.OnlyAll)
			f.word("/order", m.Order, api.OldestFirst, api.NewestFirst)
			if m.MaxParallel != nil && *m.MaxParallel < 1 {
				f.add("/max_parallel", "%d is less than 1", *m.MaxParallel)
			}
			if m.FailOn == failOnIncomplete {
				f.add("/fail_on", "%q is about one run; a backfill counts incomplete ones with the others: use %q or %q", m.FailOn, failOnFailed, failOnNever)
			}
		},
		do: func(ctx context.Context, in *invocation) error {
			ask := api.AskBackfill{From: in.From, To: in.To, Only: in.Only, Order: in.Order}
			if in.MaxParallel != nil {
				ask.MaxParallel = *in.MaxParallel
			}
			backfill, _, err := in.client.Backfill(ctx, in.Job, ask, uuid.NewString())
			if err != nil {
				return err
			}
			return in.followBackfill(ctx, backfill)
		},
	}
}

func cancelRun() deed {
	return deed{
		name: "cancel_run", verb: "cancel",
		about:      "Ends a run; nothing more of it is published. On the command line: `batch-runner cancel RUN`.",
		attributes: map[string]schema.Attribute{"run": actOnRun(), "wait": waitFor("the run")},
		do: func(ctx context.Context, in *invocation) error {
			began := in.session.now()
			run, err := in.client.Cancel(ctx, in.Run)
			if err != nil {
				return err
			}
			in.expected = api.RunCancelled
			return in.follow(ctx, run, began)
		},
	}
}

func acceptRun() deed {
	return deed{
		name: "accept_run", verb: "accept",
		about: "Publishes what a withheld run has, in spite of its failures, and marks it as accepted. On the command line: `batch-runner accept RUN --reason …`.",
		attributes: map[string]schema.Attribute{
			"run":    actOnRun(),
			"reason": schema.StringAttribute{Required: true, MarkdownDescription: "Why, for those who read its history."},
			"wait":   waitFor("the run"),
		},
		do: func(ctx context.Context, in *invocation) error {
			began := in.session.now()
			run, err := in.client.Accept(ctx, in.Run, in.Reason)
			if err != nil {
				return err
			}
			in.expected = api.RunIncomplete
			return in.follow(ctx, run, began)
		},
	}
}
