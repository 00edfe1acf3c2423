package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

const durationForm = "a duration like `30s`, `10m`, `1h30m` or `7d`"

func (r *jobResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_prediction_job"
	resp.ResourceBehavior.MutableIdentity = true // a new name renames the job
}

func (r *jobResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"name":      identityschema.StringAttribute{RequiredForImport: true, Description: "Name of the job."},
		"runner_id": identityschema.StringAttribute{RequiredForImport: true, Description: "Id of the runner that keeps the job."},
	}}
}

func (r *jobResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "A batch prediction job: when it is due, which records it reads, who predicts, and where the predictions go. " +
			"The runner keeps and executes it; Terraform only declares it. Every optional attribute has a default, and `summary` shows what is in force.",
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "Name, unique on its runner: 1 to 63 lower-case letters, digits and dashes. A new name renames the job in place; its history goes along.",
			},
			"runner": runnerReference("Runner that keeps the job; give it a whole `batch_runner`. Default: the runner at the provider's `endpoint`. Another runner replaces the job."),
			"labels": schema.MapAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Free names and values for people and queries. Default: none.",
			},
			"paused": schema.BoolAttribute{
				Optional:            true,
				MarkdownDescription: "Whether due occurrences are recorded as skipped instead of run. Default: `false`.",
			},
			"schedule": scheduleSchema(),
			"catch_up": catchUpSchema(),
			"overlap": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("What becomes of an occurrence that falls due while a run of the job is active or waits: `%s` records it as skipped, `%s` lets it wait in place of one that waits already, "+
					"`%s` lets up to `max_queued` wait, `%s` cancels the run unless it is publishing, `%s` runs beside it and needs `{run}` in `output.files.uri`. Default: `%s`.",
					api.OverlapSkip, api.OverlapQueueOne, api.OverlapQueueAll, api.OverlapCancelRunning, api.OverlapAllow, api.DefaultOverlap),
			},
			"max_queued": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: fmt.Sprintf("How many scheduled runs may wait, 1 to 10,000; with `overlap = \"%s\"` only. Default: `%d`.", api.OverlapQueueAll, api.DefaultMaxQueued),
			},
			"hold_after_failures": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: "After how many failed runs in a row the runner holds the job, 1 to 1000: what falls due is recorded as skipped until `batch-runner release`. Default: never.",
			},
			"input":      inputSchema(),
			"mini_batch": miniBatchSchema(),
			"parallelism": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: fmt.Sprintf("Number of requests in flight in the whole run, 1 to 1024. Default: `%d`.", api.DefaultParallelism),
			},
			"predict": predictSchema(),
			"output":  outputSchema(),
			"retry":   retrySchema(),
			"max_failed": schema.StringAttribute{
				Optional: true, CustomType: thresholdText,
				MarkdownDescription: fmt.Sprintf("How many records of a run may fail before it stops and its results are withheld: a number like `25`, "+
					"or a percentage of the planned records like `0.1%%`, rounded up. `0` is all or nothing. Default: `%s`, and `0` with policy `%s`.", api.DefaultMaxFailed, api.PolicyComplete),
			},
			"keep_withheld": schema.StringAttribute{
				Optional: true, CustomType: durationText,
				MarkdownDescription: fmt.Sprintf("How long the staged results, and the copies of input, of a run that did not succeed are kept for `retry` and `accept`: %s, at least `1m`. Default: `%s`.", durationForm, api.DefaultKeepWithheld),
			},
			"accept_incomplete": schema.BoolAttribute{
				Optional: true,
				MarkdownDescription: "Whether the job is healthy when its last run ended `incomplete`: published, with records that failed up to `max_failed`. " +
					"Default: `false`.",
			},
			"dead_letters": deadLettersSchema(),
			"run_on_create": schema.StringAttribute{
				Optional: true, CustomType: durationText,
				MarkdownDescription: "Runs the job once when it is created, and waits at most this long for the end: " + durationForm +
					". A run that fails or takes longer is a warning, never an error. Default: no such run.",
			},
			"on_destroy": onDestroySchema("What destroying the resource does. Default: the job is buried: its schedule stops, its history stays, and creating the name again resumes it.",
				"Whether the job's history is removed too. Published predictions stay."),
			"summary": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "The job in one sentence, from the configuration alone, defaults included.",
			},
		},
	}
}

func runnerReference(description string) schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true, MarkdownDescription: description,
		Attributes: map[string]schema.Attribute{
			"id":       schema.StringAttribute{Required: true, MarkdownDescription: "Id of the runner; another runner at the same endpoint is not asked."},
			"endpoint": schema.StringAttribute{Required: true, MarkdownDescription: "Where the runner is reached: `unix:///path`, `https://host:port`, or `http://host:port` on a loopback address."},
		},
	}
}

func onDestroySchema(description, purge string) schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true, MarkdownDescription: description,
		Attributes: map[string]schema.Attribute{
			"purge": schema.BoolAttribute{Required: true, MarkdownDescription: purge},
		},
	}
}
