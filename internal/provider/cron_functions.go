package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

// The functions are pure: they read no clock, so that the same configuration
// means the same tomorrow.
var (
	_ function.Function = cronNext{}
	_ function.Function = cronDescribe{}
	_ function.Function = cronValidate{}
)

const maxPreview = 1000 // occurrences of one schedule

// cronNext is the function cron_next.
type cronNext struct{}

func newCronNext() function.Function { return cronNext{} }

func (cronNext) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "cron_next"
}

func (cronNext) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary: "Next occurrences of a cron expression",
		MarkdownDescription: "The next occurrences of a cron expression after an instant, as RFC 3339 instants in UTC, computed as the runner computes them: " +
			"daylight saving counts as in a `schedule` without `dst`. It never reads the clock: pass `plantimestamp()` to begin now.",
		Parameters: []function.Parameter{
			expressionParameter(), zoneParameter(),
			function.StringParameter{Name: "after", MarkdownDescription: "RFC 3339 instant; only what comes after it is listed."},
			function.Int64Parameter{Name: "count", MarkdownDescription: fmt.Sprintf("How many occurrences, 1 to %d.", maxPreview)},
		},
		Return: function.ListReturn{ElementType: types.StringType},
	}
}

func (cronNext) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var (
		expression, zone, after string
		count                   int64
	)
	if resp.Error = req.Arguments.Get(ctx, &expression, &zone, &after, &count); resp.Error != nil {
		return
	}
	rule, failed := parseCron(expression, zone)
	from, err := time.Parse(time.RFC3339, after)
	switch {
	case failed != nil:
	case err != nil:
		failed = function.NewArgumentFuncError(2, notAnInstant(after))
	case count < 1 || count > maxPreview:
		failed = function.NewArgumentFuncError(3, fmt.Sprintf("%d is not in 1–%d", count, maxPreview))
	}
	if resp.Error = failed; failed != nil {
		return
	}
	instants := []string{}
	for next, ok := rule.Next(from); ok && int64(len(instants)) < count; next, ok = rule.Next(next) {
		instants = append(instants, next.Format(time.RFC3339))
	}
	resp.Error = resp.Result.Set(ctx, instants)
}

// cronDescribe is the function cron_describe.
type cronDescribe struct{}

func newCronDescribe() function.Function { return cronDescribe{} }

func (cronDescribe) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "cron_describe"
}

func (cronDescribe) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary:             "A cron expression in words",
		MarkdownDescription: "A cron expression in words, as `summary` of a `batch_prediction_job` has it: `at 02:00, Monday to Saturday, Europe/Berlin`.",
		Parameters:          []function.Parameter{expressionParameter(), zoneParameter()},
		Return:              function.StringReturn{},
	}
}

func (cronDescribe) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var expression, zone string
	if resp.Error = req.Arguments.Get(ctx, &expression, &zone); resp.Error != nil {
		return
	}
	rule, failed := parseCron(expression, zone)
	if resp.Error = failed; failed != nil {
		return
	}
	resp.Error = resp.Result.Set(ctx, rule.Describe())
}

// cronValidate is the function cron_validate.
type cronValidate struct{}

func newCronValidate() function.Function { return cronValidate{} }

func (cronValidate) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "cron_validate"
}

func (cronValidate) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary:             "Whether a cron expression can be kept",
		MarkdownDescription: "Whether a string is a cron expression that `schedule.cron` takes: well formed, and due at some time. Made for the `validation` of a variable.",
		Parameters:          []function.Parameter{expressionParameter()},
		Return:              function.BoolReturn{},
	}
}

func (cronValidate) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var expression string
	if resp.Error = req.Arguments.Get(ctx, &expression); resp.Error != nil {
		return
	}
	_, failed := parseCron(expression, api.DefaultTimeZone)
	resp.Error = resp.Result.Set(ctx, failed == nil)
}

func expressionParameter() function.Parameter {
	return function.StringParameter{Name: "expression", MarkdownDescription: "Cron expression, as `schedule.cron` of a `batch_prediction_job` takes it."}
}

func zoneParameter() function.Parameter {
	return function.StringParameter{Name: "time_zone", MarkdownDescription: "IANA time zone it is judged in, like `Europe/Berlin`."}
}

// parseCron reads the first two arguments of a function.
func parseCron(expression, zone string) (*schedule.Schedule, *function.FuncError) {
	if expression == "" {
		return nil, function.NewArgumentFuncError(0, "an expression is required, like 0 2 * * *")
	}
	if _, err := schedule.LoadZone(zone); err != nil {
		return nil, function.NewArgumentFuncError(1, firstMessage(err))
	}
	rule, err := schedule.Parse(api.Schedule{Cron: expression, TimeZone: zone})
	if err != nil {
		return nil, function.NewArgumentFuncError(0, firstMessage(err))
	}
	return rule, nil
}
