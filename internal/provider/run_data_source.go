package provider

import (
	"context"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

var (
	_ datasource.DataSource                   = (*runDataSource)(nil)
	_ datasource.DataSourceWithConfigure      = (*runDataSource)(nil)
	_ datasource.DataSourceWithValidateConfig = (*runDataSource)(nil)
)

// runDataSource is the data source batch_prediction_run.
type runDataSource struct{ asker }

// runConfig is what is asked for.
type runConfig struct {
	ID             string     `json:"id"`
	MaxDeadLetters *int64     `json:"max_dead_letters,omitzero"`
	Runner         *runnerRef `json:"runner,omitzero"`
}

const (
	defaultDeadLetters = 10
	maxDeadLetters     = 1000
)

var runConfigAttributes = []string{"id", "max_dead_letters", "runner"}

func newRunDataSource() datasource.DataSource { return &runDataSource{} }

func (d *runDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_prediction_run"
}

func (d *runDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	attributes := runDetails()
	maps.Copy(attributes, map[string]schema.Attribute{
		"message": computedString("What happened, in a sentence, or why the runner could not be asked; null where there is nothing to say."),
		"id":      schema.StringAttribute{Required: true, MarkdownDescription: "Id of the run."},
		"max_dead_letters": schema.Int64Attribute{
			Optional: true, MarkdownDescription: "How many dead letters to show, 0 to 1000. Default: `10`.",
		},
		"runner":    askedRunner("Runner that keeps the run"),
		"reachable": computedBool("Whether the runner answered."),
		"exists":    computedBool("Whether it knows the run; null where it did not answer."),
	})
	resp.Schema = schema.Schema{
		MarkdownDescription: "One run: what became of its records, why, and what it took. A runner that can't be reached is an answer, not an error. Instants are RFC 3339 in UTC.",
		Attributes:          attributes,
	}
}

func (d *runDataSource) ValidateConfig(_ context.Context, req datasource.ValidateConfigRequest, resp *datasource.ValidateConfigResponse) {
	var config runConfig
	unknown, empty, err := read(req.Config.Raw, &config, runConfigAttributes...)
	if err != nil {
		resp.Diagnostics.AddError("cannot read the question about a run", err.Error())
		return
	}
	f := findings{}
	if n := config.MaxDeadLetters; n != nil && (*n < 0 || *n > maxDeadLetters) {
		f.add("/max_dead_letters", "%d is not in 0–%d", *n, maxDeadLetters)
	}
	f.report(&resp.Diagnostics, unknown, empty)
}

func (d *runDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var config runConfig
	if _, _, err := read(req.Config.Raw, &config, runConfigAttributes...); err != nil {
		resp.Diagnostics.AddError("cannot read the question about a run", err.Error())
		return
	}
	var found runAnswer
	c, err := d.client(config.Runner)
	if err == nil {
		found, err = ask(ctx, c, config)
	}
	reachable, exists, refused := answered(err)
	if refused != nil {
		resp.Diagnostics.Append(explain("read run "+config.ID, refused)...)
		return
	}
	ours := map[string]any{"reachable": reachable}
	parts := []any{config, ours}
	if reachable {
		ours["exists"] = exists
	}
	if exists {
		parts = []any{found, config, ours}
	} else {
		ours["message"] = err.Error()
	}
	fields, err := overlay(parts...)
	if err == nil && exists {
		sayNo(fields)
	}
	if err == nil {
		resp.State.Raw, err = shape(resp.State.Schema.Type().TerraformType(ctx), fields)
	}
	if err != nil {
		resp.Diagnostics.AddError("cannot write run "+config.ID, err.Error())
	}
}

// runAnswer is all that is told of a run.
type runAnswer struct {
	api.Run
	Owed        int64            `json:"owed"`
	Notes       []string         `json:"notes"`
	RunAttempts []api.RunAttempt `json:"run_attempts"`
	Errors      []api.TopError   `json:"errors"`
	DeadLetters []deadLetter     `json:"dead_letters"`
}

// deadLetter is one without the record.
type deadLetter struct {
	api.DeadLetter
	// Where it stands, beside the rest.
	File  string `json:"file,omitzero"`
	Line  int64  `json:"line,omitzero"`
	Table string `json:"table,omitzero"`
}

// ask puts an answer together. A run that goes on may change meanwhile.
func ask(ctx context.Context, c *client.Client, config runConfig) (a runAnswer, err error) {
	if a.Run, err = c.Run(ctx, config.ID); err != nil {
		return a, err
	}
	if a.RunAttempts, err = c.RunAttempts(ctx, config.ID); err != nil {
		return a, err
	}
	why, err := c.Why(ctx, config.ID)
	if err != nil {
		return a, err
	}
	a.Errors, a.Notes = append([]api.TopError{}, why.Errors...), append([]string{}, why.Notes...)
	a.DeadLetters = []deadLetter{}
	limit := defaultDeadLetters
	if config.MaxDeadLetters != nil {
		limit = int(*config.MaxDeadLetters)
	}
	if a.Counts.DeadLettered > 0 && limit > 0 {
		for letter, err := range c.AllDeadLetters(ctx, config.ID) {
			if err != nil {
				return a, err
			}
			if a.DeadLetters = append(a.DeadLetters, deadLetter{letter, letter.Source.File, letter.Source.Line, letter.Source.Table}); len(a.DeadLetters) == limit {
				break
			}
		}
	}
	if a.Counts.Carried > 0 {
		a.Owed, err = owedBy(ctx, c, a.Run)
	}
	return a, err
}

// owedBy counts the records of a run that wait in its job's ledger.
func owedBy(ctx context.Context, c *client.Client, run api.Run) (records int64, err error) {
	for paging := (client.Paging{}); ; {
		page, err := c.Ledger(ctx, run.Job, paging)
		if api.CodeOf(err) == api.CodeNotFound {
			return 0, nil // the job was deleted: nobody takes them
		}
		if err != nil {
			return 0, err
		}
		for _, slice := range page.Items {
			if slice.Run == run.ID {
				records += slice.Records
			}
		}
		if page.Next == "" {
			return records, nil
		}
		paging.After = page.Next
	}
}
