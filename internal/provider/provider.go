// Package provider is the Terraform surface: the provider "batch", its
// resources, data sources, actions and functions, one file or a few for each.
//
// It turns configuration into values of package api and back, finds at plan
// whatever can be found there, and says what Terraform should show. It holds
// no rules of its own about jobs (package api and schedule do), does not speak
// HTTP (package client) and starts no process (package install).
package provider

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

var (
	_ provider.Provider                   = (*batchProvider)(nil)
	_ provider.ProviderWithActions        = (*batchProvider)(nil)
	_ provider.ProviderWithFunctions      = (*batchProvider)(nil)
	_ provider.ProviderWithValidateConfig = (*batchProvider)(nil)
)

// batchProvider is the provider "batch".
type batchProvider struct {
	version string
	now     func() time.Time
}

// providerConfig is its configuration.
type providerConfig struct {
	Endpoint       string       `json:"endpoint"`
	Token          string       `json:"token"`
	TokenFile      string       `json:"token_file"`
	Owner          string       `json:"owner"`
	RequestTimeout api.Duration `json:"request_timeout"`
	OnUnreachable  string       `json:"on_unreachable"`
}

var providerAttributes = []string{"endpoint", "token", "token_file", "owner", "request_timeout", "on_unreachable"}

// New makes the constructor that providerserver asks for.
func New(version string) func() provider.Provider {
	return func() provider.Provider { return &batchProvider{version: version, now: time.Now} }
}

func (p *batchProvider) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName, resp.Version = "batch", p.version
}

func (p *batchProvider) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Declares batch prediction jobs on a runner, and the runner itself.",
		Attributes: map[string]schema.Attribute{
			"endpoint": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "Where the runner of jobs without `runner` is: `unix:///path`, `https://host:port`, or `http://host:port` on a loopback address. " +
					"Default: `BATCH_ENDPOINT`, else the socket in the default data dir (`/var/lib/batch-runner/runner.sock` as root, else `$XDG_STATE_HOME/batch-runner/runner.sock`).",
			},
			"token": schema.StringAttribute{
				Optional: true, Sensitive: true,
				MarkdownDescription: "Bearer token for runners that listen on a port. Default: `BATCH_TOKEN`. Prefer `token_file`.",
			},
			"token_file": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "Absolute path of a file that holds the token, read when a runner is first asked. " +
					"A runner of this host that listens on a port keeps it in `<data_dir>/token`. Default: `BATCH_TOKEN_FILE`.",
			},
			"owner": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "Name stored with each job; the runner refuses changes to a job by another owner. " +
					"Default: `BATCH_OWNER`, else no owner.",
			},
			"request_timeout": schema.StringAttribute{
				Optional: true, CustomType: durationText,
				MarkdownDescription: fmt.Sprintf("How long one request to a runner may take, a duration like `10s`. Default: `%s`.", client.DefaultTimeout),
			},
			"on_unreachable": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "What to do when a runner can't be reached, or another one has its place. `keep` (default): a refresh keeps what is known, with a warning, and a destroy fails. " +
					"`error`: a refresh fails too. `forget`: a destroy drops the job from the state, with a warning that says what may still run. Nothing else ever drops it.",
			},
		},
	}
}

func (p *batchProvider) ValidateConfig(_ context.Context, req provider.ValidateConfigRequest, resp *provider.ValidateConfigResponse) {
	var config providerConfig
	unknown, empty, err := read(req.Config.Raw, &config, providerAttributes...)
	if err != nil {
		resp.Diagnostics.AddError("cannot read the provider's configuration", err.Error())
		return
	}
	f := findings{}
	if config.Endpoint != "" {
		f.check("/endpoint", config.Endpoint, client.CheckEndpoint(config.Endpoint))
	}
	f.absolute("/token_file", config.TokenFile)
	if config.Token != "" && config.TokenFile != "" {
		f.add("/token_file", "is set, and token too; keep one")
	}
	if d, err := config.RequestTimeout.Parse(); err == nil && config.RequestTimeout != "" && d <= 0 {
		f.add("/request_timeout", "%q is not longer than 0", config.RequestTimeout)
	}
	f.word("/on_unreachable", config.OnUnreachable, unreachableKeep, unreachableError, unreachableForget)
	f.report(&resp.Diagnostics, unknown, empty)
}

// Configure only notes the settings: it never dials.
func (p *batchProvider) Configure(_ context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	var config providerConfig
	unknown, _, err := read(req.Config.Raw, &config, providerAttributes...)
	if err != nil {
		resp.Diagnostics.AddError("cannot read the provider's configuration", err.Error())
		return
	}
	declared := func(attribute, value, environment string) setting {
		s := setting{value: value, source: `provider "batch" { ` + attribute + " }"}
		for _, pointer := range unknown {
			s.unknown = s.unknown || pointer == "/"+attribute
		}
		if value == "" && !s.unknown && os.Getenv(environment) != "" {
			s.value, s.source = os.Getenv(environment), environment
		}
		return s
	}
	s := &session{
		now:           p.now,
		endpoint:      declared("endpoint", config.Endpoint, client.EnvEndpoint),
		token:         declared("token", config.Token, client.EnvToken),
		tokenFile:     declared("token_file", config.TokenFile, client.EnvTokenFile),
		owner:         declared("owner", config.Owner, client.EnvOwner),
		timeout:       config.RequestTimeout.Value(),
		onUnreachable: config.OnUnreachable,
	}
	if config.TokenFile != "" {
		s.token = setting{} // what is declared here goes before the environment
	}
	if s.endpoint.value == "" && !s.endpoint.unknown {
		s.endpoint.value, s.endpoint.source = client.DefaultEndpoint()
	}
	resp.ResourceData, resp.DataSourceData, resp.ActionData = s, s, s
}

func (p *batchProvider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{newRunnerResource, newJobResource}
}

func (p *batchProvider) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{
		newRunnerDataSource, newJobsDataSource, newJobStatusDataSource, newRunsDataSource, newRunDataSource, newSchedulePreviewDataSource,
	}
}

func (p *batchProvider) Actions(context.Context) []func() action.Action { return actions() }

func (p *batchProvider) Functions(context.Context) []func() function.Function {
	return []func() function.Function{newCronNext, newCronDescribe, newCronValidate}
}
