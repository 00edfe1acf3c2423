package provider

import (
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func retrySchema() schema.Attribute {
	var waits []string
	for _, wait := range api.DefaultBackoff() {
		waits = append(waits, `"`+string(wait)+`"`)
	}
	return schema.SingleNestedAttribute{
		Optional: true, MarkdownDescription: "What happens to records that could not be predicted.",
		Attributes: map[string]schema.Attribute{
			"policy": schema.StringAttribute{
				Required: true,
				MarkdownDescription: fmt.Sprintf("`%s`: what is predicted stays, and what failed can be retried. `%s`: all or nothing, from one attempt at the whole run. "+
					"`%s`: one attempt, and what failed is carried to the next run, which takes it first. Without `retry`: `%s`.",
					api.PolicyPartial, api.PolicyComplete, api.PolicyNextBatch, api.DefaultPolicy),
			},
			"attempts": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: fmt.Sprintf("Attempts of one mini-batch, 1 to 100; with policy `%s` always 1. Default: `%d`.", api.PolicyNextBatch, api.DefaultAttempts),
			},
			"backoff": schema.ListAttribute{
				Optional: true, ElementType: durationText,
				MarkdownDescription: fmt.Sprintf("Waits before the second, third, … attempt, each %s; the last one repeats. Default: `[%s]`.", durationForm, strings.Join(waits, ", ")),
			},
			"max_run_attempts": schema.Int64Attribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("With policy `%s` only: how many times the whole plan may be predicted, 1 to 100; a mini-batch that is given up ends one of them. Default: `%d`.",
					api.PolicyComplete, api.DefaultMaxRunAttempts),
			},
			"max_carries": schema.Int64Attribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("With policy `%s` or input mode `%s` or `%s` only: how many runs may send a record in vain before it becomes a dead letter, 1 to 1000. Default: `%d`.",
					api.PolicyNextBatch, api.ModeNewFiles, api.ModeWatermark, api.DefaultMaxCarries),
			},
		},
	}
}

func deadLettersSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		Optional: true, MarkdownDescription: fmt.Sprintf("What is kept of records that were given up because of their data. Without `dead_letters`: `%s` input, for `%s`.", api.DefaultDeadInput, api.DefaultDeadKeepFor),
		Attributes: map[string]schema.Attribute{
			"input": schema.StringAttribute{
				Required: true,
				MarkdownDescription: fmt.Sprintf("`%s` keeps the record as it stands in the input, `%s` only its `input.key`, where records must not be copied; a redrive reads the input again.",
					api.DeadInputFull, api.DeadInputKeyOnly),
			},
			"keep_for": schema.StringAttribute{
				Optional: true, CustomType: durationText,
				MarkdownDescription: fmt.Sprintf("How long the runner keeps them: %s, at least `1h`; those beside the output stay with it. Default: `%s`.", durationForm, api.DefaultDeadKeepFor),
			},
		},
	}
}
