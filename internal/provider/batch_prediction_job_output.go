package provider

import (
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func outputSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		Required: true, MarkdownDescription: "Where the predictions go: exactly one of `files` and `sql`.",
		Attributes: map[string]schema.Attribute{
			"files": outputFilesSchema(),
			"sql":   outputSQLSchema(),
			"keep": schema.ListAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Input columns copied before the predictions, in this order. With `predict.features.exclude` they are not sent. Default: those of `input.key`.",
			},
			"publish": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("When readers see predictions: `%s`, all at once when the run has ended, or `%s`, each mini-batch as soon as it is predicted; `_SUCCESS` stands only at the end either way. "+
					"Default: `%s`, and `%s` with `sql` unless the policy is `%s`.", api.PublishOnComplete, api.PublishProgressive, api.DefaultPublish, api.PublishProgressive, api.PolicyComplete),
			},
			"keep_runs": schema.Int64Attribute{
				Optional: true,
				MarkdownDescription: "With `files` only: how many of the newest published occurrences are kept, 1 to 1,000,000; older ones are removed. Where `keep_for` is set too, what either keeps stays. " +
					"What `_LATEST.json` or the last success names, and files that no run wrote, always stay. Default: all.",
			},
			"keep_for": schema.StringAttribute{
				Optional: true, CustomType: durationText,
				MarkdownDescription: "With `files` only: how long a published occurrence is kept: " + durationForm + ", at least `1h`. Default: forever.",
			},
		},
	}
}

func outputFilesSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		Optional: true, MarkdownDescription: "One folder per occurrence, on the runner's host or in an object store.",
		Attributes: map[string]schema.Attribute{
			"uri": schema.StringAttribute{
				Required: true, CustomType: uriText,
				MarkdownDescription: "Absolute path, `file:///…`, `s3://bucket/…`, `gs://bucket/…` or `az://account/container/…` of the folder, with the placeholders of `input.files.uri`; without one that tells occurrences apart, `occurrence=<UTC>/` is appended.",
			},
			"format": formatSchema("`" + api.FormatJSONL + "`."),
			"layout": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("Which files there are: `%s`, a part for each mini-batch; `%s`, one; `%s`, one for each input file, under its name. Default: `%s`.",
					api.LayoutPerMiniBatch, api.LayoutSingle, api.LayoutPerInputFile, api.DefaultLayout),
			},
			"partition_by": schema.ListAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Columns of `keep` whose values name the folders, `column=value`, that the parts lie in; with layout `per_mini_batch` only. Default: none.",
			},
			"types": schema.MapAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: fmt.Sprintf("With format `%s` only: types of columns: `%s`, `%s`, `%s`, `%s`, `%s` (microseconds), `%s` (nanoseconds, years 1678 to 2261), `%s`, `%s` or `decimal(18,4)`. Default: as in a Parquet input, else by what the first prediction holds.",
					api.FormatParquet, api.TypeDouble, api.TypeInt64, api.TypeBoolean, api.TypeString, api.TypeTimestamp, api.TypeNanos, api.TypeDate, api.TypeJSON),
			},
		},
	}
}

func outputSQLSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "A table that exists. Each mini-batch is written in one transaction, together with a row of the table `_batch_commits` that the runner creates beside it, so that nothing is written twice. " +
			"Needs `input.key`, and a unique key of the table over these columns.",
		Attributes: map[string]schema.Attribute{
			"dsn": dsnSchema(),
			"table": schema.StringAttribute{
				Required: true, MarkdownDescription: "Its name, with its schema where it has one: `scores.churn`.",
			},
			"write": schema.StringAttribute{
				Required: true,
				MarkdownDescription: fmt.Sprintf("`%s` changes rows that exist, by `input.key`; `%s` changes those and adds new ones; `%s` adds new ones only.",
					api.WriteUpdate, api.WriteUpsert, api.WriteInsert),
			},
			"json_column": schema.StringAttribute{
				Optional: true, MarkdownDescription: "Column that takes all outputs of a record as one JSON value. Default: each output has the column of its name.",
			},
			"run_at": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Column that takes the run's occurrence. A row that a newer occurrence has written stays as it is, and the record counts as gone. Default: none.",
			},
			"only_if_unset": schema.BoolAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("Whether a row that has a prediction by the time it is written stays as it is; the record counts as gone. Default: `true` with input mode `%s`, else `false`.",
					api.ModePredicate),
			},
		},
	}
}
