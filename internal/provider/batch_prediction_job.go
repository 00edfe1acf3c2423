package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

var (
	_ resource.Resource                   = (*jobResource)(nil)
	_ resource.ResourceWithConfigure      = (*jobResource)(nil)
	_ resource.ResourceWithIdentity       = (*jobResource)(nil)
	_ resource.ResourceWithImportState    = (*jobResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*jobResource)(nil)
	_ resource.ResourceWithValidateConfig = (*jobResource)(nil)
)

// jobResource is the resource batch_prediction_job.
type jobResource struct{ session *session }

// jobModel is its configuration: the job, and what only the provider uses.
type jobModel struct {
	api.Job
	api.ClientSettings
	Runner *runnerRef `json:"runner,omitzero"`
}

// runnerRef is the part of a batch_runner that a job needs.
type runnerRef struct {
	ID       string `json:"id"`
	Endpoint string `json:"endpoint"`
}

// jobIdentity tells a job from every other.
type jobIdentity struct {
	Name     string `tfsdk:"name"`
	RunnerID string `tfsdk:"runner_id"`
}

// jobMemory is the private state: what the runner said when it was last read
// or written.
type jobMemory struct {
	RunnerID   string             `json:"runner_id"`
	UID        string             `json:"uid"` // stays when the name changes
	Generation int64              `json:"generation"`
	Hash       string             `json:"hash"`
	Settings   api.ClientSettings `json:"settings"`
}

const memoryKey = "memory"

var jobAttributes = []string{
	"name", "labels", "paused", "schedule", "catch_up", "overlap", "max_queued", "hold_after_failures",
	"input", "mini_batch", "parallelism", "predict", "output", "retry", "max_failed", "keep_withheld", "accept_incomplete", "dead_letters", "run_on_create", "on_destroy", "runner",
}

func newJobResource() resource.Resource { return &jobResource{} }

func (r *jobResource) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	if s, ok := req.ProviderData.(*session); ok {
		r.session = s
	}
}

func (r *jobResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	model, ok := readJob(req.Plan.Raw, &resp.Diagnostics)
	if !ok {
		return
	}
	c, err := r.client(model, "")
	if err != nil {
		resp.Diagnostics.Append(explain("create job "+model.Name, err)...)
		return
	}
	stored, _, err := c.PutJob(ctx, model.Name, r.body(model), client.Condition{Create: true, Key: uuid.NewString()})
	if api.CodeOf(err) == api.CodeExists {
		resp.Diagnostics.Append(alreadyThere(ctx, c, model, importInstead(model)))
		return
	}
	if err != nil {
		resp.Diagnostics.Append(explain("create job "+model.Name, err)...)
		return
	}
	runnerID, err := c.RunnerID(ctx)
	if err != nil {
		resp.Diagnostics.Append(explain("create job "+model.Name, err)...)
		return
	}
	resp.State.Raw = req.Plan.Raw
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("summary"), model.Summary(words(model.Schedule)))...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, jobIdentity{model.Name, runnerID})...)
	remember(ctx, resp.Private, newJobMemory(runnerID, stored), &resp.Diagnostics)
	if stored.Resumed {
		resp.Diagnostics.AddAttributeWarning(path.Root("name"), fmt.Sprintf("name %q: the history of a deleted job is continued", model.Name),
			"A job of this name was deleted on this runner a while ago. It is resumed: its past runs count as this job's. If they should not, "+
				"destroy the job with on_destroy = { purge = true }, and create it again.")
	}
	if model.RunOnCreate != "" && !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(firstRun(ctx, c, model, stored)...)
	}
}

func (r *jobResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	model, ok := readJob(req.State.Raw, &resp.Diagnostics)
	if !ok {
		return
	}
	memory := recall[jobMemory](ctx, req.Private, &resp.Diagnostics)
	runnerID := knownRunner(ctx, model, memory, req.Identity)
	// First of all, and on every way out: Terraform wants an identity even of
	// what is gone.
	resp.Diagnostics.Append(resp.Identity.Set(ctx, jobIdentity{model.Name, runnerID})...)

	c, err := r.client(model, runnerID)
	var stored api.StoredJob
	if err == nil {
		stored, err = find(ctx, c, model.Name, memory.UID)
	}
	switch {
	case api.CodeOf(err) == api.CodeNotFound:
		resp.State.RemoveResource(ctx)
		return
	case client.IsUnreachable(err) && r.session.starts(model.Runner):
		return // the runner's own plan shows it, and starts it
	case err != nil && r.session.keeps(err):
		resp.Diagnostics.AddWarning("the runner can't be reached; what is known of its jobs is kept",
			fmt.Sprintf("Job %s: %v", model.Name, err))
		return
	case err != nil:
		resp.Diagnostics.Append(explain("read job "+model.Name, err)...)
		return
	}
	resp.Diagnostics.Append(resp.Identity.Set(ctx, jobIdentity{stored.Spec.Name, runnerID})...)
	remember(ctx, resp.Private, newJobMemory(runnerID, stored), &resp.Diagnostics)
	if stored.Held != nil {
		resp.Diagnostics.Append(isHeld(c, stored.Spec.Name, *stored.Held))
	}
	if model.Hash() == stored.Spec.Hash() && equalSettings(model.ClientSettings, stored.Settings) {
		stored.Spec, stored.Settings = model.Job, model.ClientSettings // the spelling of the state is as good
	}
	setJob(ctx, &resp.State, jobModel{stored.Spec, stored.Settings, model.Runner}, &resp.Diagnostics)
}

// isHeld warns of a hold, which is the runner's: no plan can show or end it.
func isHeld(c *client.Client, name string, held api.Hold) diag.Diagnostic {
	return diag.NewWarningDiagnostic(fmt.Sprintf("job %s is held by %s since %s: %s", name, held.By, held.Since.UTC().Format(time.RFC3339), held.Reason),
		"What falls due is recorded as skipped, and no apply changes that. Release the job with\n\n  "+command(c, "release "+name))
}

func (r *jobResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	resp.State.Raw = req.State.Raw // until the runner has agreed
	model, ok := readJob(req.Plan.Raw, &resp.Diagnostics)
	prior, priorOK := readJob(req.State.Raw, &resp.Diagnostics)
	if !ok || !priorOK {
		return
	}
	memory := recall[jobMemory](ctx, req.Private, &resp.Diagnostics)
	runnerID := knownRunner(ctx, prior, memory, req.Identity)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, jobIdentity{prior.Name, runnerID})...)
	if memory.Hash != model.Hash() || !equalSettings(memory.Settings, model.ClientSettings) {
		c, err := r.client(model, runnerID)
		var stored api.StoredJob
		if err == nil {
			stored, err = r.put(ctx, c, prior.Name, model, memory)
		}
		switch {
		case api.CodeOf(err) == api.CodeExists:
			resp.Diagnostics.Append(alreadyThere(ctx, c, model, fmt.Sprintf("Job %s keeps its name. Choose another one, or delete or rename the other job first.", prior.Name)))
			return
		case err != nil:
			resp.Diagnostics.Append(explain("update job "+prior.Name, err)...)
			return
		}
		memory = newJobMemory(runnerID, stored)
	}
	resp.State.Raw = req.Plan.Raw
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("summary"), model.Summary(words(model.Schedule)))...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, jobIdentity{model.Name, runnerID})...)
	remember(ctx, resp.Private, memory, &resp.Diagnostics)
}

func (r *jobResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	model, ok := readJob(req.State.Raw, &resp.Diagnostics)
	if !ok {
		return
	}
	memory := recall[jobMemory](ctx, req.Private, &resp.Diagnostics)
	c, err := r.client(model, knownRunner(ctx, model, memory, req.Identity))
	if err == nil {
		err = c.DeleteJob(ctx, model.Name, model.OnDestroy != nil && model.OnDestroy.Purge)
	}
	switch {
	case err == nil, api.CodeOf(err) == api.CodeNotFound:
	case client.IsUnreachable(err) && r.session.onUnreachable == unreachableForget:
		resp.Diagnostics.AddWarning(fmt.Sprintf("job %s is forgotten, but may still run", model.Name),
			fmt.Sprintf("Its runner could not be asked to delete it. When it comes back it goes on with the job's schedule; `batch-runner status %s` there shows it. %v", model.Name, err))
	case client.IsUnreachable(err):
		diags := explain("delete job "+model.Name, err)
		diags[0] = withDetail(diags[0], "\n\nIf the runner is gone for good, set on_unreachable = \"forget\" in provider \"batch\".")
		resp.Diagnostics.Append(diags...)
	default:
		resp.Diagnostics.Append(explain("delete job "+model.Name, err)...)
	}
}

// client gives the client for a job's runner. Where the job names no runner,
// the provider's endpoint must still be the runner that has the job.
func (r *jobResource) client(model jobModel, runnerID string) (*client.Client, error) {
	if model.Runner == nil {
		return r.session.client("", runnerID)
	}
	if runnerID == "" {
		runnerID = model.Runner.ID
	}
	return r.session.client(model.Runner.Endpoint, runnerID)
}

func (r *jobResource) body(model jobModel) api.PutJob {
	return api.PutJob{Spec: model.Job, Settings: model.ClientSettings, Owner: r.session.owner.value}
}

// knownRunner is the id of the runner that has the job.
func knownRunner(ctx context.Context, model jobModel, memory jobMemory, identity *tfsdk.ResourceIdentity) string {
	if memory.RunnerID != "" {
		return memory.RunnerID
	}
	if model.Runner != nil {
		return model.Runner.ID
	}
	var known string
	if identity != nil && !identity.Raw.IsFullyNull() {
		identity.GetAttribute(ctx, path.Root("runner_id"), &known)
	}
	return known
}

func newJobMemory(runnerID string, stored api.StoredJob) jobMemory {
	return jobMemory{RunnerID: runnerID, UID: stored.UID, Generation: stored.Generation, Hash: stored.Spec.Hash(), Settings: stored.Settings}
}

func equalSettings(a, b api.ClientSettings) bool {
	purges := func(s api.ClientSettings) any {
		if s.OnDestroy == nil {
			return nil
		}
		return s.OnDestroy.Purge
	}
	return a.RunOnCreate == b.RunOnCreate && purges(a) == purges(b)
}

// readJob reads a configuration, plan or state in which everything is known.
func readJob(raw tftypes.Value, diags *diagnostics) (jobModel, bool) {
	var model jobModel
	unknown, _, err := read(raw, &model, jobAttributes...)
	if err == nil && len(unknown) > 0 {
		err = fmt.Errorf("%s is still unknown", api.DottedPath(unknown[0]))
	}
	if err != nil {
		diags.AddError("cannot read job "+model.Name, err.Error())
		return model, false
	}
	return model, true
}

// setJob writes a whole state.
func setJob(ctx context.Context, state *tfsdk.State, model jobModel, diags *diagnostics) {
	tree, err := treeOf(model)
	if fields, ok := tree.(map[string]any); ok {
		fields["summary"] = model.Summary(words(model.Schedule))
		state.Raw, err = shape(state.Schema.Type().TerraformType(ctx), fields)
	}
	if err != nil {
		diags.AddError("cannot write the state of job "+model.Name, err.Error())
	}
}

// The private state of a resource, as the framework passes it.
type (
	privateReader interface {
		GetKey(ctx context.Context, key string) ([]byte, diagnostics)
	}
	privateWriter interface {
		SetKey(ctx context.Context, key string, value []byte) diagnostics
	}
)

func remember(ctx context.Context, private privateWriter, memory any, diags *diagnostics) {
	content, err := json.Marshal(memory)
	if err != nil {
		diags.AddError("cannot write private state", err.Error())
		return
	}
	diags.Append(private.SetKey(ctx, memoryKey, content)...)
}

func recall[T any](ctx context.Context, private privateReader, diags *diagnostics) T {
	var memory T
	content, found := private.GetKey(ctx, memoryKey)
	diags.Append(found...)
	if len(content) > 0 {
		if err := json.Unmarshal(content, &memory); err != nil {
			diags.AddError("cannot read private state", err.Error())
		}
	}
	return memory
}
