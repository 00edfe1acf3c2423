package provider

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

var (
	_ datasource.DataSource                   = (*schedulePreviewDataSource)(nil)
	_ datasource.DataSourceWithConfigure      = (*schedulePreviewDataSource)(nil)
	_ datasource.DataSourceWithValidateConfig = (*schedulePreviewDataSource)(nil)
)

// schedulePreviewDataSource is the data source batch_schedule_preview. It
// computes everything by itself; a runner is asked only for its zones.
type schedulePreviewDataSource struct{ session *session }

// previewConfig is what is asked for.
type previewConfig struct {
	Schedules map[string]api.Schedule `json:"schedules"`
	From      string                  `json:"from,omitzero"`
	Limit     *int64                  `json:"limit,omitzero"`
	Runner    *runnerRef              `json:"runner,omitzero"`
}

var previewAttributes = []string{"schedules", "from", "limit", "runner"}

// defaultLimit is how many occurrences of each schedule are listed.
const defaultLimit = 10

func newSchedulePreviewDataSource() datasource.DataSource { return &schedulePreviewDataSource{} }

func (d *schedulePreviewDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_schedule_preview"
}

func (d *schedulePreviewDataSource) Configure(_ context.Context, req datasource.ConfigureRequest, _ *datasource.ConfigureResponse) {
	if s, ok := req.ProviderData.(*session); ok {
		d.session = s
	}
}

func (d *schedulePreviewDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "When schedules are due, what daylight saving does to them, and where they meet: before anything is created, and without a runner. Instants are nominal, before `jitter`.",
		Attributes: map[string]schema.Attribute{
			"schedules": schema.MapNestedAttribute{
				Required: true, MarkdownDescription: "Schedules by a name of your choice, each written like `schedule` of a `batch_prediction_job`.",
				NestedObject: schema.NestedAttributeObject{Attributes: asked(scheduleAttributes())},
			},
			"from": schema.StringAttribute{
				Optional: true, CustomType: instantText,
				MarkdownDescription: "RFC 3339 instant to begin at. Default: now, so that the answer changes with time.",
			},
			"limit": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: fmt.Sprintf("How many occurrences of each schedule are listed, 1 to %d. Default: `%d`.", maxPreview, defaultLimit),
			},
			"runner": schema.SingleNestedAttribute{
				Optional: true, MarkdownDescription: "Runner to compare time zones with; give it a whole `batch_runner`. Another release of them than the provider's is a warning. Default: none is asked.",
				Attributes: asked(runnerReference("").Attributes),
			},
			"descriptions": schema.MapAttribute{
				Computed: true, ElementType: types.StringType, MarkdownDescription: "Each schedule in words, by its name.",
			},
			"occurrences": schema.ListNestedAttribute{
				Computed: true, MarkdownDescription: "When they are due, in the order of time.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"schedule": computedString("Name of the schedule."),
					"at":       computedString("When it is due, RFC 3339 in UTC."),
					"local":    computedString("The same instant in the schedule's zone, RFC 3339 with its offset."),
					"nominal":  computedString("The date and time of day that the rule means; differs from `local` where daylight saving has removed it."),
					"note":     computedString("What is special about it: its time of day does not exist on that day, comes twice, or its day was moved; null where nothing is."),
				}},
			},
			"collisions": schema.ListNestedAttribute{
				Computed: true, MarkdownDescription: "The first `limit` instants, within the time that `occurrences` cover and a year at most, at which more than one of the schedules is due: jobs that would share a runner.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"at":        computedString("When they are due together, RFC 3339 in UTC."),
					"schedules": schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "Names of the schedules."},
				}},
			},
			"zones": computedString("IANA release of the time zones that the answer rests on."),
		},
	}
}

func (d *schedulePreviewDataSource) ValidateConfig(_ context.Context, req datasource.ValidateConfigRequest, resp *datasource.ValidateConfigResponse) {
	var config previewConfig
	unknown, empty, err := read(req.Config.Raw, &config, previewAttributes...)
	if err != nil {
		resp.Diagnostics.AddError("cannot read the preview's configuration", err.Error())
		return
	}
	f := findings{}
	for _, name := range slices.Sorted(maps.Keys(config.Schedules)) {
		if at := appendPointer("/schedules", name); !holdsUnknown(at, unknown) && !slices.Contains(empty, at) {
			f = append(f, problemsAt(at, config.Schedules[name])...)
		}
	}
	if config.Limit != nil && (*config.Limit < 1 || *config.Limit > maxPreview) {
		f.add("/limit", "%d is not in 1–%d", *config.Limit, maxPreview)
	}
	if config.Runner != nil && config.Runner.Endpoint != "" {
		f.check("/runner/endpoint", config.Runner.Endpoint, client.CheckEndpoint(config.Runner.Endpoint))
	}
	f.report(&resp.Diagnostics, unknown, empty)
}

func (d *schedulePreviewDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var config previewConfig
	if _, _, err := read(req.Config.Raw, &config, previewAttributes...); err != nil {
		resp.Diagnostics.AddError("cannot read the preview's configuration", err.Error())
		return
	}
	from, limit, err := d.session.now(), int64(defaultLimit), error(nil)
	if config.From != "" {
		from, err = time.Parse(time.RFC3339, config.From)
	}
	if config.Limit != nil {
		limit = *config.Limit
	}
	rules := map[string]*schedule.Schedule{}
	for name := range config.Schedules {
		if err == nil {
			rules[name], err = schedule.Parse(config.Schedules[name])
		}
	}
	if err != nil { // validation has refused all that is wrong
		resp.Diagnostics.AddError("cannot preview the schedules", err.Error())
		return
	}
	if config.Runner != nil {
		d.compareZones(ctx, *config.Runner, &resp.Diagnostics)
	}
	answer := struct {
		previewConfig
		preview
	}{config, newPreview(rules, from, int(limit))}
	if resp.State.Raw, err = write(resp.State.Schema.Type().TerraformType(ctx), answer); err != nil {
		resp.Diagnostics.AddError("cannot write the preview", err.Error())
	}
}

// compareZones warns where a runner would compute from other time zones.
func (d *schedulePreviewDataSource) compareZones(ctx context.Context, runner runnerRef, diags *diagnostics) {
	var info api.Info
	c, err := d.session.client(runner.Endpoint, runner.ID)
	if err == nil {
		info, err = c.Info(ctx)
	}
	switch {
	case client.IsUnreachable(err):
		diags.AddWarning("the preview is not compared with the runner's time zones", err.Error())
	case err != nil:
		diags.Append(explain("ask the runner for its time zones", err)...)
	case info.Zones != schedule.ZoneRelease():
		diags.AddWarning(fmt.Sprintf("the runner at %s has time zones %s, the preview %s", c.Endpoint(), info.Zones, schedule.ZoneRelease()),
			"Where the two releases differ, the runner's occurrences differ from the preview's. Install the runner that comes with this version of the provider.")
	}
}
