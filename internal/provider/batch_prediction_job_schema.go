package provider

import (
	"context"
	"fmt"
	"strings"

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
					"or a percentage of the planned records like `0.1%%`, rounded up. `0` is all or nothing. Default: `%s`.", api.DefaultMaxFailed),
			},
			"keep_withheld": schema.StringAttribute{
				Optional: true, CustomType: durationText,
				MarkdownDescription: fmt.Sprintf("How long the results of a withheld run are kept for `retry` and `accept`: %s, at least `1m`. Default: `%s`.", durationForm, api.DefaultKeepWithheld),
			},
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

func inputSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		Required: true, MarkdownDescription: "Which records are predicted.",
		Attributes: map[string]schema.Attribute{
			"files": schema.SingleNestedAttribute{
				Required: true, MarkdownDescription: "Files on the runner's host.",
				Attributes: map[string]schema.Attribute{
					"uri": schema.StringAttribute{
						Required: true, CustomType: uriText,
						MarkdownDescription: "Absolute path or `file:///…`, with globs (`*`, `?`, `[a-z]`) and placeholders: `{date}`, `{year}`, `{month}`, `{day}`, `{hour}`, `{scheduled_at}`, `{run}`, " +
							"with offset (`{date-1d}`) and format (`{date:%Y%m%d}`). They mean the occurrence in the schedule's zone. `{{` is a brace.",
					},
					"format": formatSchema("By the extension: `.csv`, `.jsonl`, `.ndjson`."),
				},
			},
			"key": schema.ListAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Columns that identify a record for people. Default: none.",
			},
			"on_empty": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("What a run without any record does: `%s`, `%s` or `%s`. Default: `%s`.",
					api.OnEmptyFail, api.OnEmptySkip, api.OnEmptySucceed, api.DefaultOnEmpty),
			},
		},
	}
}

func formatSchema(standard string) schema.Attribute {
	return schema.StringAttribute{
		Optional:            true,
		MarkdownDescription: fmt.Sprintf("Format of the files: `%s` (RFC 4180, with a header) or `%s`. Default: %s", api.FormatCSV, api.FormatJSONL, standard),
	}
}

func miniBatchSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		Optional: true, MarkdownDescription: "How the input is cut into mini-batches, the units that are predicted, staged and retried.",
		Attributes: map[string]schema.Attribute{
			"rows": schema.Int64Attribute{
				Required:            true,
				MarkdownDescription: fmt.Sprintf("Records in a mini-batch, 1 to 10,000,000; the last of each file may hold fewer. Without `mini_batch`: `%d`.", api.DefaultRows),
			},
		},
	}
}

func outputSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		Required: true, MarkdownDescription: "Where the predictions go.",
		Attributes: map[string]schema.Attribute{
			"files": schema.SingleNestedAttribute{
				Required: true, MarkdownDescription: "One folder per occurrence on the runner's host, published whole when the run has ended.",
				Attributes: map[string]schema.Attribute{
					"uri": schema.StringAttribute{
						Required: true, CustomType: uriText,
						MarkdownDescription: "Absolute path or `file:///…` of the folder, with the placeholders of `input.files.uri`; without one that tells occurrences apart, `occurrence=<UTC>/` is appended.",
					},
					"format": formatSchema("`" + api.FormatJSONL + "`."),
				},
			},
			"keep": schema.ListAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Input columns copied before the predictions, in this order. Default: those of `input.key`.",
			},
		},
	}
}

func retrySchema() schema.Attribute {
	var waits []string
	for _, wait := range api.DefaultBackoff() {
		waits = append(waits, `"`+string(wait)+`"`)
	}
	return schema.SingleNestedAttribute{
		Optional: true, MarkdownDescription: "What happens to records that could not be predicted.",
		Attributes: map[string]schema.Attribute{
			"policy": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: fmt.Sprintf("`%s`: what is predicted stays, and only what failed is tried again. Without `retry`: `%s`.", api.PolicyPartial, api.DefaultPolicy),
			},
			"attempts": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: fmt.Sprintf("Attempts of one mini-batch, 1 to 100. Default: `%d`.", api.DefaultAttempts),
			},
			"backoff": schema.ListAttribute{
				Optional: true, ElementType: durationText,
				MarkdownDescription: fmt.Sprintf("Waits before the second, third, … attempt, each %s; the last one repeats. Default: `[%s]`.", durationForm, strings.Join(waits, ", ")),
			},
		},
	}
}
