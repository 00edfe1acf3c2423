package provider

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/action/schema"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

var (
	_ action.Action                   = (*runnerAction)(nil)
	_ action.ActionWithConfigure      = (*runnerAction)(nil)
	_ action.ActionWithModifyPlan     = (*runnerAction)(nil)
	_ action.ActionWithValidateConfig = (*runnerAction)(nil)
)

// runnerAction is one thing that a runner can be told to do, from Terraform
// 1.14 on. What differs between them is their deed.
type runnerAction struct {
	deed
	session *session
}

// deed is what tells one action from another. Each has a twin on the command
// line.
type deed struct {
	name       string // behind the provider's
	verb       string // what it does to a job or a run, for errors
	about      string // for the documentation
	attributes map[string]schema.Attribute
	check      func(deedModel, *findings) // what the types do not tell; may be nil
	do         func(context.Context, *invocation) error
}

// deedModel is the configuration of any of them.
type deedModel struct {
	Job         string       `json:"job"`
	Run         string       `json:"run"`
	Occurrence  string       `json:"occurrence"`
	IfIdle      bool         `json:"if_idle"`
	DeadLetters bool         `json:"dead_letters"`
	From        string       `json:"from"`
	To          string       `json:"to"`
	Only        string       `json:"only"`
	Order       string       `json:"order"`
	MaxParallel *int64       `json:"max_parallel"`
	Reason      string       `json:"reason"`
	Wait        api.Duration `json:"wait"`
	FailOn      string       `json:"fail_on"`
	Runner      *runnerRef   `json:"runner"`
}

// What makes an action fail that waited for a run.
const (
	failOnFailed     = "failed"
	failOnIncomplete = "incomplete"
	failOnNever      = "never"
)

// invocation is one action under way.
type invocation struct {
	deedModel
	client   *client.Client
	session  *session
	expected api.RunState // an end that is as good as succeeded
	tell     func(format string, args ...any)
	diags    *diagnostics
}

func newAction(d deed) func() action.Action {
	return func() action.Action { return &runnerAction{deed: d} }
}

func (a *runnerAction) Metadata(_ context.Context, req action.MetadataRequest, resp *action.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_" + a.name
}

func (a *runnerAction) Configure(_ context.Context, req action.ConfigureRequest, _ *action.ConfigureResponse) {
	if s, ok := req.ProviderData.(*session); ok {
		a.session = s
	}
}

func (a *runnerAction) Schema(_ context.Context, _ action.SchemaRequest, resp *action.SchemaResponse) {
	attributes := map[string]schema.Attribute{
		"runner": schema.SingleNestedAttribute{
			Optional: true, MarkdownDescription: "Runner to tell; give it a whole `batch_runner`. Default: the runner at the provider's `endpoint`.",
			Attributes: map[string]schema.Attribute{
				"id":       schema.StringAttribute{Required: true, MarkdownDescription: "Id of the runner; another runner at the same endpoint is not told."},
				"endpoint": schema.StringAttribute{Required: true, MarkdownDescription: "Where the runner is reached."},
			},
		},
	}
	maps.Copy(attributes, a.attributes)
	resp.Schema = schema.Schema{MarkdownDescription: a.about + " Wants Terraform 1.14 or later.", Attributes: attributes}
}

func (a *runnerAction) ValidateConfig(_ context.Context, req action.ValidateConfigRequest, resp *action.ValidateConfigResponse) {
	a.find(req.Config.Raw, &resp.Diagnostics)
}

// ModifyPlan finds what is wrong with values that were not known when the
// configuration was validated.
func (a *runnerAction) ModifyPlan(_ context.Context, req action.ModifyPlanRequest, resp *action.ModifyPlanResponse) {
	a.find(req.Config.Raw, &resp.Diagnostics)
}

func (a *runnerAction) find(config tftypes.Value, diags *diagnostics) {
	var model deedModel
	unknown, empty, err := read(config, &model, a.keys()...)
	if err != nil {
		diags.AddError("cannot read the action", err.Error())
		return
	}
	f := findings{}
	if d, err := model.Wait.Parse(); model.Wait != "" && err != nil {
		f.add("/wait", "%v", err)
	} else if model.Wait != "" && d <= 0 {
		f.add("/wait", "%q is not longer than 0; remove it if the end is not waited for", model.Wait)
	}
	f.word("/fail_on", model.FailOn, failOnFailed, failOnIncomplete, failOnNever)
	if model.FailOn != "" && model.Wait == "" {
		f.add("/fail_on", "goes with wait only; remove it or say how long to wait")
	}
	if model.Runner != nil && model.Runner.Endpoint != "" {
		f.check("/runner/endpoint", model.Runner.Endpoint, client.CheckEndpoint(model.Runner.Endpoint))
	}
	if a.check != nil {
		a.check(model, &f)
	}
	f.report(diags, unknown, empty)
}

func (a *runnerAction) Invoke(ctx context.Context, req action.InvokeRequest, resp *action.InvokeResponse) {
	in := &invocation{session: a.session, diags: &resp.Diagnostics}
	in.tell = func(format string, args ...any) {
		resp.SendProgress(action.InvokeProgressEvent{Message: fmt.Sprintf(format, args...)})
	}
	_, _, err := read(req.Config.Raw, &in.deedModel, a.keys()...)
	if err == nil {
		in.client, err = in.reach()
	}
	if err == nil {
		err = a.do(ctx, in)
	}
	if err != nil {
		resp.Diagnostics.Append(explain(a.what(in.deedModel), err)...)
	}
}

// keys are the names of all attributes.
func (a *runnerAction) keys() []string {
	return append(slices.Sorted(maps.Keys(a.attributes)), "runner")
}

// what says what was tried.
func (a *runnerAction) what(m deedModel) string {
	if m.Run != "" {
		return fmt.Sprintf("%s %s", a.verb, m.Run)
	}
	return fmt.Sprintf("%s job %s", a.verb, m.Job)
}

func (in *invocation) reach() (*client.Client, error) {
	if in.Runner == nil {
		return in.session.client("", "")
	}
	return in.session.client(in.Runner.Endpoint, in.Runner.ID)
}
