package provider

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

var (
	_ datasource.DataSource                   = (*jobsDataSource)(nil)
	_ datasource.DataSourceWithConfigure      = (*jobsDataSource)(nil)
	_ datasource.DataSourceWithValidateConfig = (*jobsDataSource)(nil)
)

// jobsDataSource is the data source batch_prediction_jobs.
type jobsDataSource struct{ asker }

// jobsConfig is what is asked for.
type jobsConfig struct {
	Labels map[string]string `json:"labels,omitzero"`
	Prefix string            `json:"prefix,omitzero"`
	Runner *runnerRef        `json:"runner,omitzero"`
}

// jobsAnswer is what is told of them.
type jobsAnswer struct {
	jobsConfig
	Reachable bool       `json:"reachable"`
	Healthy   bool       `json:"healthy"`
	Summary   string     `json:"summary"`
	Jobs      []jobShort `json:"jobs"`
	Unhealthy []string   `json:"unhealthy"`
}

// jobShort is a job and its status in short.
type jobShort struct {
	Name         string            `json:"name"`
	Labels       map[string]string `json:"labels"`
	Healthy      bool              `json:"healthy"`
	Summary      string            `json:"summary"`
	Paused       bool              `json:"paused"`
	Held         bool              `json:"held"`
	NextDueAt    time.Time         `json:"next_due_at,omitzero"`
	LastRunID    string            `json:"last_run_id,omitzero"`
	LastRunState api.RunState      `json:"last_run_state,omitzero"`
	ActiveRunID  string            `json:"active_run_id,omitzero"`
	Owed         int64             `json:"owed"`
}

var jobsConfigAttributes = []string{"labels", "prefix", "runner"}

func newJobsDataSource() datasource.DataSource { return &jobsDataSource{} }

func (d *jobsDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_prediction_jobs"
}

func (d *jobsDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "How many jobs are, in one question: made for one `check` over all of a team's jobs. A runner that can't be reached is an answer, not an error. Instants are RFC 3339 in UTC.",
		Attributes: map[string]schema.Attribute{
			"labels": schema.MapAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Only jobs that have all of these labels. Default: any."},
			"prefix": schema.StringAttribute{Optional: true, MarkdownDescription: "Only jobs whose name begins like this. Default: any."},
			"runner": askedRunner("Runner that keeps the jobs"),

			"reachable": computedBool("Whether the runner answered."),
			"healthy":   computedBool("Whether the runner answered and all of these jobs are healthy. Where there are none, they are."),
			"summary":   computedString("Which jobs are not healthy, or how many there are."),
			"unhealthy": computedStrings("Names of the jobs that are not healthy; none where the runner did not answer."),
			"jobs": computedList("The jobs, by name; none where the runner did not answer.", map[string]schema.Attribute{
				"name":           computedString("Name of the job."),
				"labels":         schema.MapAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "Its labels."},
				"healthy":        computedBool("Whether it is healthy, as `batch_prediction_job_status` says it."),
				"summary":        computedString("The first reason why it is not, or how the last run went."),
				"paused":         computedBool("Whether it is declared as paused."),
				"held":           computedBool("Whether the runner holds it."),
				"next_due_at":    computedString("When it is due next; null where it never is by itself."),
				"last_run_id":    computedString("Id of its newest run; null where there is none."),
				"last_run_state": computedString("State of its newest run; null where there is none."),
				"active_run_id":  computedString("Id of the run that goes on now; null where there is none."),
				"owed":           computedInt("How many records runs have left to the next one."),
			}),
		},
	}
}

func (d *jobsDataSource) ValidateConfig(_ context.Context, req datasource.ValidateConfigRequest, resp *datasource.ValidateConfigResponse) {
	var config jobsConfig
	unknown, empty, err := read(req.Config.Raw, &config, jobsConfigAttributes...)
	if err != nil {
		resp.Diagnostics.AddError("cannot read the question about jobs", err.Error())
		return
	}
	(&findings{}).report(&resp.Diagnostics, unknown, empty)
}

func (d *jobsDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var config jobsConfig
	if _, _, err := read(req.Config.Raw, &config, jobsConfigAttributes...); err != nil {
		resp.Diagnostics.AddError("cannot read the question about jobs", err.Error())
		return
	}
	answer := jobsAnswer{jobsConfig: config, Jobs: []jobShort{}, Unhealthy: []string{}}
	c, err := d.client(config.Runner)
	if err == nil {
		err = answer.ask(ctx, c)
	}
	switch reachable, _, refused := answered(err); {
	case refused != nil:
		resp.Diagnostics.Append(explain("list jobs", refused)...)
		return
	case !reachable:
		answer.Summary = err.Error()
	}
	if resp.State.Raw, err = write(resp.State.Schema.Type().TerraformType(ctx), answer); err != nil {
		resp.Diagnostics.AddError("cannot write the jobs", err.Error())
	}
}

func (a *jobsAnswer) ask(ctx context.Context, c *client.Client) error {
	jobs, err := c.Jobs(ctx)
	if err != nil {
		return err
	}
	statuses, err := c.Statuses(ctx)
	if err != nil {
		return err
	}
	a.Reachable = true
	byName := map[string]api.JobStatus{}
	for _, status := range statuses {
		byName[status.Job] = status
	}
	for _, job := range jobs {
		status, known := byName[job.Spec.Name]
		if !known || !a.wants(job.Spec) { // one that came or went meanwhile is left out
			continue
		}
		a.Jobs = append(a.Jobs, shorten(job.Spec, status))
		if !status.Healthy {
			a.Unhealthy = append(a.Unhealthy, job.Spec.Name)
		}
	}
	slices.SortFunc(a.Jobs, func(x, y jobShort) int { return cmp.Compare(x.Name, y.Name) })
	slices.Sort(a.Unhealthy)
	a.Healthy = len(a.Unhealthy) == 0
	a.Summary = api.Counted(int64(len(a.Jobs)), "job") + ", all of them healthy"
	if !a.Healthy {
		a.Summary = fmt.Sprintf("%d of %s not healthy: %s", len(a.Unhealthy), api.Counted(int64(len(a.Jobs)), "job"), strings.Join(a.Unhealthy, ", "))
	}
	return nil
}

// wants tells whether a job is among those asked for.
func (config jobsConfig) wants(job api.Job) bool {
	for name, value := range config.Labels {
		if has, ok := job.Labels[name]; !ok || has != value {
			return false
		}
	}
	return strings.HasPrefix(job.Name, config.Prefix)
}

func shorten(job api.Job, status api.JobStatus) jobShort {
	short := jobShort{
		Name: job.Name, Labels: job.Labels, Healthy: status.Healthy, Summary: status.Summary, Paused: status.Paused, Held: status.Held != nil,
		NextDueAt: status.NextDueAt, Owed: status.Owed,
	}
	if short.Labels == nil {
		short.Labels = map[string]string{}
	}
	if status.LastRun != nil {
		short.LastRunID, short.LastRunState = status.LastRun.ID, status.LastRun.State
	}
	if status.ActiveRun != nil {
		short.ActiveRunID = status.ActiveRun.ID
	}
	return short
}
