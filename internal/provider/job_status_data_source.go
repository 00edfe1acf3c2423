package provider

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

var (
	_ datasource.DataSource              = (*jobStatusDataSource)(nil)
	_ datasource.DataSourceWithConfigure = (*jobStatusDataSource)(nil)
)

// jobStatusDataSource is the data source batch_prediction_job_status.
type jobStatusDataSource struct{ asker }

// statusConfig is what is asked for.
type statusConfig struct {
	Job    string     `json:"job"`
	Runner *runnerRef `json:"runner,omitzero"`
}

func newJobStatusDataSource() datasource.DataSource { return &jobStatusDataSource{} }

func (d *jobStatusDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_prediction_job_status"
}

func (d *jobStatusDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "How a job is: made for a `check` block on `healthy`. A runner that can't be reached is an answer, not an error. Instants are RFC 3339 in UTC.",
		Attributes: map[string]schema.Attribute{
			"job":       schema.StringAttribute{Required: true, MarkdownDescription: "Name of the job."},
			"runner":    askedRunner("Runner that keeps the job"),
			"reachable": computedBool("Whether the runner answered."),
			"exists":    computedBool("Whether it has the job; null where it did not answer."),
			"healthy":   computedBool("Whether all is well: the runner answered, the newest due run succeeded (or ended incomplete, with `accept_incomplete`) or runs in time, nothing is overdue, and the job is not held. A job that was never due is healthy."),
			"summary":   computedString("The first reason why the job is not healthy, or how the last run went."),
			"reasons":   schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "Every reason why the job is not healthy."},
			"paused":    computedBool("Whether the job is declared as paused."),
			"held": schema.SingleNestedAttribute{
				Computed: true, MarkdownDescription: "Why the runner holds the job: what falls due is recorded as skipped until `batch-runner release`. Null where it does not.",
				Attributes: map[string]schema.Attribute{
					"by":     computedString("`hold_after_failures`, or who asked for it."),
					"reason": computedString("Why."),
					"since":  computedString("Since when."),
				},
			},
			"next_occurrence": computedString("The next occurrence, as the schedule means it; null where none is to come."),
			"next_due_at":     computedString("When the job is due next: `next_occurrence`, later by the job's part of `jitter`; null where it never is by itself."),
			"missed": schema.MapAttribute{
				Computed: true, ElementType: types.Int64Type,
				MarkdownDescription: "How many occurrences were missed, by reason: " + codes(missedReasons) + ". Null where the runner has not answered for the job.",
			},
			"skipped": schema.MapAttribute{
				Computed: true, ElementType: types.Int64Type,
				MarkdownDescription: "How many occurrences were skipped, by reason: " + codes(skippedReasons) + ". A run that waited and gave way to a newer one is not among them. Null where the runner has not answered for the job.",
			},
			"owed": computedInt("How many records runs have left to the next one: carried, and not yet taken. Null where the runner has not answered for the job."),
			"backfill": schema.SingleNestedAttribute{
				Computed: true, MarkdownDescription: "The backfill that goes on; null where none does.",
				Attributes: map[string]schema.Attribute{
					"id":        computedString("Id of the backfill."),
					"total":     computedInt("Its occurrences."),
					"waiting":   computedInt("Those without a run yet."),
					"active":    computedInt("Those whose run goes on."),
					"succeeded": computedInt("Those whose run succeeded."),
					"failed":    computedInt("Those whose run ended otherwise."),
				},
			},
			"last_run":     runSchema("The newest run, by occurrence and revision, backfills aside; null where there is none."),
			"last_success": runSchema("The newest run that succeeded; null where there is none."),
			"active_run":   runSchema("The run that goes on now; null where there is none."),
			"last_decision": schema.SingleNestedAttribute{
				Computed: true, MarkdownDescription: "What was decided about the newest occurrences; null where nothing was.",
				Attributes: map[string]schema.Attribute{
					"verdict": computedString("`run`, `skipped` or `missed`."),
					"reason":  computedString("Why. `run`: " + codes(runReasons) + ". `skipped`: " + codes(skippedReasons) + ". `missed`: " + codes(missedReasons) + "."),
					"first":   computedString("The first occurrence it is about."),
					"last":    computedString("The last occurrence it is about."),
					"count":   computedInt("How many occurrences it is about."),
					"run":     computedString("Id of the run; null where none was made."),
				},
			},
		},
	}
}

// The reasons of each verdict.
var (
	runReasons     = []string{api.DecidedDue, api.DecidedCatchUp}
	skippedReasons = []string{api.DecidedOverlap, api.DecidedQueueFull, api.DecidedPaused, api.DecidedHeld, api.DecidedCursor}
	missedReasons  = []string{api.DecidedOutage, api.DecidedTooOld, api.DecidedMaxRuns, api.DecidedRestored}
)

func codes(words []string) string { return "`" + strings.Join(words, "`, `") + "`" }

func (d *jobStatusDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var config statusConfig
	if _, _, err := read(req.Config.Raw, &config, "job", "runner"); err != nil {
		resp.Diagnostics.AddError("cannot read the status's configuration", err.Error())
		return
	}
	var status api.JobStatus
	c, err := d.client(config.Runner)
	if err == nil {
		status, err = c.Status(ctx, config.Job)
	}
	answer := map[string]any{"reachable": true, "healthy": false}
	switch {
	case err == nil:
		answer["exists"] = true
	case api.CodeOf(err) == api.CodeNotFound:
		answer["exists"] = false
		status.Summary = "the runner has no job " + config.Job
		status.Reasons = []string{status.Summary}
	case client.IsUnreachable(err):
		answer["reachable"] = false
		status.Summary = err.Error()
		status.Reasons = []string{status.Summary}
	default:
		resp.Diagnostics.Append(explain("read the status of job "+config.Job, err)...)
		return
	}
	resp.State.Raw, err = shapeStatus(ctx, resp.State.Schema, config, status, answer)
	if err != nil {
		resp.Diagnostics.AddError("cannot write the status of job "+config.Job, err.Error())
	}
}
