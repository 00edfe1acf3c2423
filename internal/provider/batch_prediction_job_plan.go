package provider

import (
	"context"
	"fmt"
	"reflect"

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
	f = append(f, calendar(model.Schedule, unknown)...)
	f = append(f, folders(model.Job, unknown)...)
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

// ModifyPlan plans the summary and the identity, warns of a new schedule's
// surprises, and says what another runner means.
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
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("summary"), plannedSummary(model, unknown))...)
	if req.State.Raw.IsNull() {
		r.warn(model, api.Job{}, unknown, &resp.Diagnostics)
		return // created
	}
	prior, ok := readJob(req.State.Raw, &resp.Diagnostics)
	if !ok {
		return
	}
	r.warn(model, prior.Job, unknown, &resp.Diagnostics)
	runnerID := knownRunner(ctx, prior, recall[jobMemory](ctx, req.Private, &resp.Diagnostics), req.Identity)
	if movesAway(model, unknown, runnerID) {
		resp.RequiresReplace = append(resp.RequiresReplace, path.Root("runner"))
		return
	}
	for _, finding := range certain(memoryKept(model.Job, prior.Job), unknown) {
		resp.Diagnostics.Append(diagnose(finding))
	}
	if model.Name != "" && model.Name != prior.Name && runnerID != "" { // renamed
		resp.Diagnostics.Append(resp.Identity.Set(ctx, jobIdentity{model.Name, runnerID})...)
	}
}

func plannedSummary(model jobModel, unknown []string) types.String {
	for _, pointer := range unknown {
		if !within(pointer, "/runner") && !within(pointer, "/run_on_create") && !within(pointer, "/on_destroy") {
			return types.StringUnknown()
		}
	}
	return types.StringValue(model.Summary(words(model.Schedule)))
}

// warn tells the surprises of a job once, when what they are about is new.
func (r *jobResource) warn(model jobModel, prior api.Job, unknown []string, diags *diagnostics) {
	if model.Schedule != nil && !holdsUnknown("/schedule", unknown) && !reflect.DeepEqual(model.Schedule, prior.Schedule) {
		diags.Append(surprises(model.Name, *model.Schedule, r.session.now())...)
	}
	if warnings := api.Warnings(model.Job); !reflect.DeepEqual(warnings, api.Warnings(prior)) {
		diags.Append(cautions(model.Name, certain(warnings, unknown))...)
	}
}

// memoryKept checks that an edit that makes an incremental job read something
// else says what becomes of its memory of what was read. Whether there is one
// the runner knows; that there is none yet is rare, and state does no harm then.
func memoryKept(planned, prior api.Job) []api.Error {
	was, is := prior.InputIdentity(), planned.InputIdentity()
	if was == "" || is == "" || was == is || planned.Input.State != "" {
		return nil
	}
	return []api.Error{{
		Pointer: "/input/state",
		Message: fmt.Sprintf("is required: with another %s it must be said what becomes of the memory of what was taken", changedInput(planned.Input, prior.Input)),
		Hint:    fmt.Sprintf("Write state = %q to forget it, so that everything is new, or state = %q to take it along.", api.StateReset, api.StateKeep),
	}}
}

// changedInput names what makes the input another one.
func changedInput(planned, prior api.Input) string {
	switch {
	case planned.Files != nil && prior.Files != nil:
		return fmt.Sprintf("files.uri (%q, was %q)", planned.Files.URI, prior.Files.URI)
	case planned.SQL != nil && prior.SQL != nil && planned.Mode == prior.Mode:
		return "query, database or watermark column"
	default:
		return "kind of input"
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
