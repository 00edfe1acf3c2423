package provider

import (
	"context"
	"strconv"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

var (
	_ datasource.DataSource                   = (*runsDataSource)(nil)
	_ datasource.DataSourceWithConfigure      = (*runsDataSource)(nil)
	_ datasource.DataSourceWithValidateConfig = (*runsDataSource)(nil)
)

// runsDataSource is the data source batch_prediction_runs.
type runsDataSource struct{ asker }

// runsConfig is what is asked for.
type runsConfig struct {
	Job     string         `json:"job,omitzero"`
	States  []api.RunState `json:"states,omitzero"`
	Origins []api.Origin   `json:"origins,omitzero"`
	Since   string         `json:"since,omitzero"`
	Until   string         `json:"until,omitzero"`
	Limit   *int64         `json:"limit,omitzero"`
	Runner  *runnerRef     `json:"runner,omitzero"`
}

const (
	defaultRuns = 20
	maxRuns     = 1000
)

var (
	runsConfigAttributes = []string{"job", "states", "origins", "since", "until", "limit", "runner"}
	runStates            = []string{
		string(api.RunQueued), string(api.RunPlanning), string(api.RunProvisioning), string(api.RunRunning), string(api.RunCommitting),
		string(api.RunSucceeded), string(api.RunIncomplete), string(api.RunFailed), string(api.RunCancelled), string(api.RunStopped), string(api.RunSkipped),
	}
	runOrigins = []string{string(api.OriginSchedule), string(api.OriginCatchUp), string(api.OriginManual), string(api.OriginBackfill)}
)

func newRunsDataSource() datasource.DataSource { return &runsDataSource{} }

func (d *runsDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_prediction_runs"
}

func (d *runsDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Runs of one job or of all, newest first. A runner that can't be reached is an answer, not an error. Instants are RFC 3339 in UTC.",
		Attributes: map[string]schema.Attribute{
			"job":     schema.StringAttribute{Optional: true, MarkdownDescription: "Name of the job. Default: the runs of all jobs, the last queued first."},
			"states":  schema.ListAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Only runs in one of these states: " + codes(runStates) + ". Default: any."},
			"origins": schema.ListAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Only runs with one of these origins: " + codes(runOrigins) + ". Default: any."},
			"since":   schema.StringAttribute{Optional: true, CustomType: instantText, MarkdownDescription: "Only runs for occurrences from here on, an RFC 3339 instant. Default: from the first."},
			"until":   schema.StringAttribute{Optional: true, CustomType: instantText, MarkdownDescription: "Only runs for occurrences up to here, an RFC 3339 instant. Default: to the last."},
			"limit":   schema.Int64Attribute{Optional: true, MarkdownDescription: "How many runs, 1 to 1000. Default: `20`."},
			"runner":  askedRunner("Runner that keeps the runs"),

			"reachable": computedBool("Whether the runner answered."),
			"exists":    computedBool("Whether it has the job; null where it did not answer."),
			"summary":   computedString("How many runs there are, or why the runner could not be asked."),
			"runs":      computedList("The runs; none where the runner did not answer.", runAttributes()),
		},
	}
}

func (d *runsDataSource) ValidateConfig(_ context.Context, req datasource.ValidateConfigRequest, resp *datasource.ValidateConfigResponse) {
	var config runsConfig
	unknown, empty, err := read(req.Config.Raw, &config, runsConfigAttributes...)
	if err != nil {
		resp.Diagnostics.AddError("cannot read the question about runs", err.Error())
		return
	}
	f := findings{}
	for i, state := range config.States {
		f.word(appendPointer("/states", strconv.Itoa(i)), string(state), runStates...)
	}
	for i, origin := range config.Origins {
		f.word(appendPointer("/origins", strconv.Itoa(i)), string(origin), runOrigins...)
	}
	if n := config.Limit; n != nil && (*n < 1 || *n > maxRuns) {
		f.add("/limit", "%d is not in 1–%d", *n, maxRuns)
	}
	f.report(&resp.Diagnostics, unknown, empty)
}

func (d *runsDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var config runsConfig
	if _, _, err := read(req.Config.Raw, &config, runsConfigAttributes...); err != nil {
		resp.Diagnostics.AddError("cannot read the question about runs", err.Error())
		return
	}
	runs := []api.Run{}
	c, err := d.client(config.Runner)
	if err == nil {
		runs, err = config.ask(ctx, c)
	}
	reachable, exists, refused := answered(err)
	if refused != nil {
		resp.Diagnostics.Append(explain("list runs", refused)...)
		return
	}
	ours := map[string]any{"reachable": reachable, "runs": runs, "summary": api.Counted(int64(len(runs)), "run")}
	if reachable {
		ours["exists"] = exists
	}
	if err != nil {
		ours["summary"] = err.Error()
	}
	fields, err := overlay(config, ours)
	if err == nil {
		list, _ := fields["runs"].([]any)
		for _, run := range list {
			sayNo(run)
		}
		resp.State.Raw, err = shape(resp.State.Schema.Type().TerraformType(ctx), fields)
	}
	if err != nil {
		resp.Diagnostics.AddError("cannot write the runs", err.Error())
	}
}

// ask lists the runs. That a job is not there is told apart from that it has
// no such runs.
func (config runsConfig) ask(ctx context.Context, c *client.Client) ([]api.Run, error) {
	filter := client.RunFilter{Job: config.Job, States: config.States, Origins: config.Origins, Since: instantOf(config.Since), Until: instantOf(config.Until)}
	limit := defaultRuns
	if config.Limit != nil {
		limit = int(*config.Limit)
	}
	runs := []api.Run{}
	for run, err := range c.AllRuns(ctx, filter) {
		if err != nil {
			return []api.Run{}, err
		}
		if runs = append(runs, run); len(runs) == limit {
			break
		}
	}
	if len(runs) == 0 && config.Job != "" {
		if _, err := c.Snapshot(ctx, config.Job); err != nil {
			return runs, err
		}
	}
	return runs, nil
}

// instantOf is an instant that validation has passed; zero where there is none.
func instantOf(text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return at
}
