package provider

import (
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

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
					"min_age": schema.StringAttribute{
						Optional: true, CustomType: durationText,
						MarkdownDescription: fmt.Sprintf("With mode `%s` only: how long a file must have been left alone to be taken, %s; a younger one waits for the next run. Default: `%s`, and none with `done_marker`.",
							api.ModeNewFiles, durationForm, api.DefaultMinAge),
					},
					"done_marker": schema.StringAttribute{
						Optional: true,
						MarkdownDescription: fmt.Sprintf("With mode `%s` only: name of the file beside a new file that says it is complete, where `*` is the new file's name: `*.done`, `_SUCCESS`. Default: none is asked for.",
							api.ModeNewFiles),
					},
				},
			},
			"key": schema.ListAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Columns that identify a record for people. Default: none.",
			},
			"mode": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("What a run takes of the files that match: `%s`, all of them, or `%s`, those that no run has taken yet. A run without new files has succeeded and publishes nothing. Default: `%s`.",
					api.ModeFull, api.ModeNewFiles, api.DefaultMode),
			},
			"state": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("With mode `%s` only: what becomes of the memory of what was taken when `files.uri` changes: `%s` forgets it, so that every file is new, `%s` takes it along. "+
					"Such a change without it is an error at plan. Default: none.", api.ModeNewFiles, api.StateReset, api.StateKeep),
			},
			"on_empty": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("With mode `%s` only: what a run without any record does: `%s`, `%s` or `%s` (an empty output is published, no server is launched). Default: `%s`.",
					api.ModeFull, api.OnEmptyFail, api.OnEmptySkip, api.OnEmptySucceed, api.DefaultOnEmpty),
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
			"timeout": schema.StringAttribute{
				Optional: true, CustomType: durationText,
				MarkdownDescription: fmt.Sprintf("How long one attempt at a mini-batch may take: %s. Default: `%s`.", durationForm, api.DefaultTimeout),
			},
		},
	}
}

func outputSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		Required: true, MarkdownDescription: "Where the predictions go.",
		Attributes: map[string]schema.Attribute{
			"files": schema.SingleNestedAttribute{
				Required: true, MarkdownDescription: "One folder per occurrence on the runner's host.",
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
			"publish": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("When readers see predictions: `%s`, all at once when the run has ended, or `%s`, each mini-batch as soon as it is predicted; `_SUCCESS` stands only at the end either way. Default: `%s`.",
					api.PublishOnComplete, api.PublishProgressive, api.DefaultPublish),
			},
			"keep_runs": schema.Int64Attribute{
				Optional: true,
				MarkdownDescription: "How many of the newest published occurrences are kept, 1 to 1,000,000; older ones are removed. Where `keep_for` is set too, what either keeps stays. " +
					"What `_LATEST.json` or the last success names, and files that no run wrote, always stay. Default: all.",
			},
			"keep_for": schema.StringAttribute{
				Optional: true, CustomType: durationText,
				MarkdownDescription: "How long a published occurrence is kept: " + durationForm + ", at least `1h`. Default: forever.",
			},
		},
	}
}
