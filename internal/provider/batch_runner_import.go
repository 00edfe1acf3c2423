package provider

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/batchpattern/terraform-provider-batch/internal/client"
	"github.com/batchpattern/terraform-provider-batch/internal/install"
)

// ImportState takes `existing:<endpoint>` or `local:<data_dir>`.
func (r *runnerResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	kind, rest, _ := strings.Cut(req.ID, ":")
	model := runnerModel{}
	memory := runnerMemory{}
	switch {
	case kind == "existing" && client.CheckEndpoint(rest) == nil:
		model.Existing = &runnerExisting{Endpoint: rest}
		c, err := r.session.client(rest, "")
		if err == nil {
			model.ID, err = c.RunnerID(ctx)
		}
		if err != nil {
			resp.Diagnostics.Append(explain("import the runner at "+rest, err)...)
			return
		}
	case kind == "local" && filepath.IsAbs(rest):
		memory.DataDir = filepath.Clean(rest)
		record, err := install.Load(memory.DataDir)
		if err != nil {
			resp.Diagnostics.Append(explain("import the runner in "+rest, err)...)
			return
		}
		model.declare(record.Settings)
		model.ID = record.RunnerID
	default:
		resp.Diagnostics.AddAttributeError(path.Root("id"), "cannot import a runner by "+req.ID,
			"Write existing:<endpoint>, like existing:unix:///run/batch-runner.sock, or local:<absolute data_dir>.")
		return
	}
	setRunner(ctx, &resp.State, model, &resp.Diagnostics)
	remember(ctx, resp.Private, memory, &resp.Diagnostics)
}
