package provider

import (
	"context"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

var (
	_ datasource.DataSource                   = (*runnerDataSource)(nil)
	_ datasource.DataSourceWithConfigure      = (*runnerDataSource)(nil)
	_ datasource.DataSourceWithValidateConfig = (*runnerDataSource)(nil)
)

// runnerDataSource is the data source batch_runner.
type runnerDataSource struct{ session *session }

func newRunnerDataSource() datasource.DataSource { return &runnerDataSource{} }

func (d *runnerDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_runner"
}

func (d *runnerDataSource) Configure(_ context.Context, req datasource.ConfigureRequest, _ *datasource.ConfigureResponse) {
	if s, ok := req.ProviderData.(*session); ok {
		d.session = s
	}
}

func (d *runnerDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "What a runner says of itself. One that can't be reached is an answer, not an error: everything but `reachable` and `endpoint` is null then.",
		Attributes: map[string]schema.Attribute{
			"endpoint": schema.StringAttribute{
				Optional: true, Computed: true,
				MarkdownDescription: "Where the runner is: `unix:///path`, `https://host:port`, or `http://host:port` on a loopback address. Default: the provider's `endpoint`.",
			},
			"reachable":  computedBool("Whether it answered."),
			"id":         computedString("Id of the runner, made at random with its data dir."),
			"version":    computedString("Version of the runner."),
			"epoch":      computedInt("How many times it was started."),
			"zones":      computedString("IANA release of its time zones."),
			"data_dir":   computedString("Folder of everything it keeps."),
			"started_at": computedString("When it was started, RFC 3339 in UTC."),
		},
	}
}

func (d *runnerDataSource) ValidateConfig(_ context.Context, req datasource.ValidateConfigRequest, resp *datasource.ValidateConfigResponse) {
	var config runnerExisting
	unknown, empty, err := read(req.Config.Raw, &config, "endpoint")
	if err != nil {
		resp.Diagnostics.AddError("cannot read the runner's configuration", err.Error())
		return
	}
	f := findings{}
	if config.Endpoint != "" {
		f.check("/endpoint", config.Endpoint, client.CheckEndpoint(config.Endpoint))
	}
	f.report(&resp.Diagnostics, unknown, empty)
}

func (d *runnerDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var config runnerExisting
	if _, _, err := read(req.Config.Raw, &config, "endpoint"); err != nil {
		resp.Diagnostics.AddError("cannot read the runner's configuration", err.Error())
		return
	}
	var info api.Info
	c, err := d.session.client(config.Endpoint, "")
	if err == nil {
		info, err = c.Info(ctx)
	}
	answer := map[string]any{"reachable": err == nil, "endpoint": config.Endpoint}
	if c != nil {
		answer["endpoint"] = c.Endpoint()
	}
	switch {
	case err == nil:
		answer["id"] = info.RunnerID
		tree, treeErr := treeOf(info)
		if fields, ok := tree.(map[string]any); ok {
			maps.Copy(answer, fields)
		}
		err = treeErr
	case client.IsUnreachable(err):
		err = nil
	}
	if err != nil {
		resp.Diagnostics.Append(explain("read the runner", err)...)
		return
	}
	var value tftypes.Value
	if value, err = write(resp.State.Schema.Type().TerraformType(ctx), answer); err != nil {
		resp.Diagnostics.AddError("cannot write what the runner says", err.Error())
		return
	}
	resp.State.Raw = value
}
