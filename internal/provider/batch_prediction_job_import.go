package provider

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// ImportState takes `<name>`, a job at the provider's endpoint, or
// `<endpoint>#<name>`, or an identity. The state it makes holds only what Read
// needs; Read fills in the rest.
func (r *jobResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	model := jobModel{}
	model.Name = req.ID
	var pinned jobIdentity
	if req.ID == "" {
		resp.Diagnostics.Append(req.Identity.Get(ctx, &pinned)...)
		if resp.Diagnostics.HasError() {
			return
		}
		model.Name = pinned.Name
	}
	endpoint := ""
	if i := strings.LastIndexByte(model.Name, '#'); i >= 0 {
		endpoint, model.Name = model.Name[:i], model.Name[i+1:]
	}
	if endpoint == "" && strings.Contains(req.ID, "#") || model.Name == "" {
		resp.Diagnostics.AddError("cannot import a job by "+req.ID, "Write <name>, or <endpoint>#<name>.")
		return
	}
	c, err := r.session.client(endpoint, pinned.RunnerID)
	if err == nil {
		_, err = c.Job(ctx, model.Name)
	}
	if api.CodeOf(err) == api.CodeNotFound {
		resp.Diagnostics.AddAttributeError(path.Root("name"), "cannot import job "+model.Name, err.Error())
		return
	}
	if err == nil {
		pinned.RunnerID, err = c.RunnerID(ctx)
	}
	if err != nil {
		resp.Diagnostics.Append(explain("import job "+model.Name, err)...)
		return
	}
	if endpoint != "" {
		model.Runner = &runnerRef{ID: pinned.RunnerID, Endpoint: endpoint}
	}
	resp.Diagnostics.Append(resp.Identity.Set(ctx, jobIdentity{model.Name, pinned.RunnerID})...)
	remember(ctx, resp.Private, jobMemory{RunnerID: pinned.RunnerID}, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("name"), model.Name)...)
	if model.Runner != nil {
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("runner").AtName("id"), model.Runner.ID)...)
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("runner").AtName("endpoint"), model.Runner.Endpoint)...)
	}
}
