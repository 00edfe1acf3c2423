package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

// ValidateConfig finds everything that is wrong whatever becomes of the values
// that are not known yet.
func (r *jobResource) ValidateConfig(_ context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var model jobModel
	unknown, empty, err := read(req.Config.Raw, &model, jobAttributes...)
	if err != nil {
		resp.Diagnostics.AddError("cannot read the job", err.Error())
		return
	}
	f := findings(api.Validate(model.Job))
	f = append(f, calendar(model.Schedule)...)
	f = append(f, folders(model.Job)...)
	if d, err := model.RunOnCreate.Parse(); model.RunOnCreate != "" {
		if err != nil {
			f.add("/run_on_create", "%v", err)
		} else if d <= 0 {
			f.add("/run_on_create", "%q is not longer than 0; remove it if no run is wanted", model.RunOnCreate)
		}
	}
	if model.Runner != nil && model.Runner.Endpoint != "" {
		f.check("/runner/endpoint", model.Runner.Endpoint, client.CheckEndpoint(model.Runner.Endpoint))
	}
	f.report(&resp.Diagnostics, unknown, empty)
}

// ModifyPlan plans the summary, and says what a new name or another runner
// means.
func (r *jobResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		return // destroyed
	}
	var model jobModel
	unknown, _, err := read(req.Plan.Raw, &model, jobAttributes...)
	if err != nil {
		resp.Diagnostics.AddError("cannot read the plan of a job", err.Error())
		return
	}
	summary := types.StringValue(model.Summary())
	for _, pointer := range unknown {
		if !within(pointer, "/runner") && !within(pointer, "/run_on_create") && !within(pointer, "/on_destroy") {
			summary = types.StringUnknown()
		}
	}
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("summary"), summary)...)
	if req.State.Raw.IsNull() {
		return // created
	}
	prior, ok := readJob(req.State.Raw, &resp.Diagnostics)
	if !ok {
		return
	}
	if model.Name != "" && model.Name != prior.Name {
		resp.Diagnostics.AddAttributeWarning(path.Root("name"), fmt.Sprintf("name %q: a new name is a new job", model.Name),
			fmt.Sprintf("Job %s is deleted and its history stays with its name; job %s begins without any.", prior.Name, model.Name))
	}
	if movesAway(model, unknown, knownRunner(ctx, prior, recall[jobMemory](ctx, req.Private, &resp.Diagnostics), req.Identity)) {
		resp.RequiresReplace = append(resp.RequiresReplace, path.Root("runner"))
	}
}

// movesAway tells whether the plan names another runner than the one that has
// the job. One that is not known yet is another one: it is being made.
func movesAway(planned jobModel, unknown []string, runnerID string) bool {
	for _, pointer := range unknown {
		if pointer == "/runner" || pointer == "/runner/id" {
			return true
		}
	}
	return planned.Runner != nil && planned.Runner.ID != runnerID
}
