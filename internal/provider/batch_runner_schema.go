package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/batchpattern/terraform-provider-batch/internal/install"
)

func (r *runnerResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_runner"
}

func (r *runnerResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "The runner: the daemon that keeps jobs and executes them. Exactly one of `local` (Terraform installs, starts and upgrades it on this host) and `existing` (it runs already). " +
			"It outlives Terraform; a daemon that died shows as `running = false → true`.",
		Attributes: map[string]schema.Attribute{
			"local": schema.SingleNestedAttribute{
				Optional: true, MarkdownDescription: "A runner on this host. On a host that looks ephemeral, like a CI job or a container, this is an error unless `allow_ephemeral_host` is set.",
				Attributes: map[string]schema.Attribute{
					"service": schema.StringAttribute{
						Required:            true,
						MarkdownDescription: fmt.Sprintf("How it is kept running: `%s` is a plain process of this user, which does not survive a reboot.", install.ServiceProcess),
					},
					"data_dir": schema.StringAttribute{
						Optional:            true,
						MarkdownDescription: "Absolute path of the folder for everything the runner keeps. Default: `/var/lib/batch-runner` as root, else `$XDG_STATE_HOME/batch-runner`. Another folder is another runner.",
					},
				},
			},
			"existing": schema.SingleNestedAttribute{
				Optional: true, MarkdownDescription: "A runner that somebody else installed.",
				Attributes: map[string]schema.Attribute{
					"endpoint": schema.StringAttribute{Required: true, MarkdownDescription: "Where it is: `unix:///path`, `https://host:port`, or `http://host:port` on a loopback address."},
				},
			},
			"listen": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "Where a local runner listens: `unix:///path`, protected by file permissions, or a loopback address `127.0.0.1:port`, protected by the token in `<data_dir>/token` (the provider's `token_file`). " +
					"Default: `unix://<data_dir>/runner.sock`. A change restarts the daemon.",
			},
			"max_concurrent_runs": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: fmt.Sprintf("Runs that a local runner executes at the same time, 1 to 1000. Default: `%d`. A change restarts the daemon.", install.DefaultMaxConcurrentRuns),
			},
			"secrets_dir": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Absolute path of the folder in which `{ secret = \"x\" }` is the file `x`. Default: none. A change restarts the daemon.",
			},
			"environment_file": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Absolute path of a file with lines `NAME=value`, in which `{ env = \"NAME\" }` is looked up. Of Terraform's environment a local runner inherits `PATH`, `HOME`, `LANG` and `TZ` alone. Default: none. A change restarts the daemon.",
			},
			"drain_timeout": schema.StringAttribute{
				Optional: true, CustomType: durationText,
				MarkdownDescription: fmt.Sprintf("How long a local runner waits for mini-batches in flight when it stops: %s. Default: `%s`. A change restarts the daemon.", durationForm, install.DefaultDrainTimeout),
			},
			"start_timeout": schema.StringAttribute{
				Optional: true, CustomType: durationText,
				MarkdownDescription: fmt.Sprintf("How long to wait until the runner is ready: %s. Default: `%s`.", durationForm, install.DefaultStartTimeout),
			},
			"keep_history": schema.StringAttribute{
				Optional: true, CustomType: durationText,
				MarkdownDescription: fmt.Sprintf("How long a local runner keeps the details of runs that ended (mini-batches, attempts, events, logs): %s, at least `1d`. What a run came to, and published predictions, stay. Default: `%s`. A change restarts the daemon.",
					durationForm, install.DefaultKeepHistory),
			},
			"binary_path": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: fmt.Sprintf("Absolute path of the runner's binary, used where the provider's package holds none and `%s` is not set. It is copied into `data_dir`. Default: none.", install.EnvBinary),
			},
			"allow_ephemeral_host": schema.BoolAttribute{
				Optional:            true,
				MarkdownDescription: fmt.Sprintf("Whether to install on a host that looks ephemeral. `%s=1` does the same. Default: `false`.", envAllowEphemeral),
			},
			"on_destroy": onDestroySchema("What destroying the resource does to a local runner. Default: it is drained and stopped, and `data_dir` stays.",
				"Whether `data_dir` is removed too, with all jobs and their history. Published predictions stay."),
			"id":       schema.StringAttribute{Computed: true, MarkdownDescription: "Id of the runner, made at random with its data dir."},
			"endpoint": schema.StringAttribute{Computed: true, MarkdownDescription: "Where the runner is reached."},
			"version":  schema.StringAttribute{Computed: true, MarkdownDescription: "Version of the runner. An upgrade shows here and drains, restarts and checks the daemon in place."},
			"running":  schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether the daemon runs; planned `true`, so that one that died is repaired."},
		},
	}
}
