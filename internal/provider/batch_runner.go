package provider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
	"github.com/batchpattern/terraform-provider-batch/internal/install"
)

var (
	_ resource.Resource                   = (*runnerResource)(nil)
	_ resource.ResourceWithConfigure      = (*runnerResource)(nil)
	_ resource.ResourceWithImportState    = (*runnerResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*runnerResource)(nil)
	_ resource.ResourceWithValidateConfig = (*runnerResource)(nil)
)

// runnerResource is the resource batch_runner.
type runnerResource struct{ session *session }

// runnerModel is its configuration, with what is computed.
type runnerModel struct {
	Local              *runnerLocal    `json:"local,omitzero"`
	Existing           *runnerExisting `json:"existing,omitzero"`
	Listen             string          `json:"listen,omitzero"`
	MaxConcurrentRuns  *int64          `json:"max_concurrent_runs,omitzero"`
	SecretsDir         string          `json:"secrets_dir,omitzero"`
	EnvironmentFile    string          `json:"environment_file,omitzero"`
	DrainTimeout       api.Duration    `json:"drain_timeout,omitzero"`
	StartTimeout       api.Duration    `json:"start_timeout,omitzero"`
	KeepHistory        api.Duration    `json:"keep_history,omitzero"`
	BinaryPath         string          `json:"binary_path,omitzero"`
	AllowEphemeralHost *bool           `json:"allow_ephemeral_host,omitzero"`
	OnDestroy          *api.OnDestroy  `json:"on_destroy,omitzero"`

	ID       string `json:"id,omitzero"`
	Endpoint string `json:"endpoint,omitzero"`
	Version  string `json:"version,omitzero"`
	Running  *bool  `json:"running,omitzero"`
}

type runnerLocal struct {
	Service string `json:"service"`
	DataDir string `json:"data_dir,omitzero"`
}

type runnerExisting struct {
	Endpoint string `json:"endpoint"`
}

// runnerMemory is the private state.
type runnerMemory struct {
	DataDir      string `json:"data_dir"`      // in force when it was installed
	BinarySHA256 string `json:"binary_sha256"` // of the daemon that ran
}

var (
	runnerDeclared = []string{
		"local", "existing", "listen", "max_concurrent_runs", "secrets_dir", "environment_file", "drain_timeout",
		"start_timeout", "keep_history", "binary_path", "allow_ephemeral_host", "on_destroy",
	}
	runnerAttributes = append([]string{"id", "endpoint", "version", "running"}, runnerDeclared...)
)

func newRunnerResource() resource.Resource { return &runnerResource{} }

func (r *runnerResource) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	if s, ok := req.ProviderData.(*session); ok {
		r.session = s
	}
}

func (r *runnerResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	model := r.converge(ctx, req.Plan.Raw, "", &resp.State, resp.Private, &resp.Diagnostics)
	if model != nil && model.Local != nil {
		resp.Diagnostics.AddWarning("a runner with service = \"process\" does not survive a reboot",
			fmt.Sprintf("After one, the next terraform apply starts the runner in %s again; runs that were due meanwhile are caught up then.", model.settings().Dir()))
	}
}

func (r *runnerResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	resp.State.Raw = req.State.Raw // until it has worked
	prior, ok := readRunner(req.State.Raw, &resp.Diagnostics)
	if ok {
		r.converge(ctx, req.Plan.Raw, prior.ID, &resp.State, resp.Private, &resp.Diagnostics)
	}
}

// converge is Create and Update: it makes the runner what the plan says. id is
// the runner it must be, where there is one already.
func (r *runnerResource) converge(ctx context.Context, plan tftypes.Value, id string, state *tfsdk.State, private privateWriter, diags *diagnostics) *runnerModel {
	var model runnerModel
	if _, _, err := read(plan, &model, runnerDeclared...); err != nil {
		diags.AddError("cannot read the plan of a runner", err.Error())
		return nil
	}
	var info api.Info
	var memory runnerMemory
	var err error
	if model.Local != nil {
		info, memory, err = model.install(ctx)
	} else {
		info, err = r.await(ctx, model, id)
	}
	if err == nil && id != "" && info.RunnerID != id {
		err = fmt.Errorf("the runner there is %s, and was %s: its data dir was replaced; use terraform apply -replace to accept that", info.RunnerID, id)
	}
	if err != nil {
		diags.Append(explain("set up the runner", err)...)
		return nil
	}
	model.setComputed(info)
	setRunner(ctx, state, model, diags)
	remember(ctx, private, memory, diags)
	return &model
}

func (m runnerModel) install(ctx context.Context) (api.Info, runnerMemory, error) {
	record, _, err := install.Converge(ctx, m.settings())
	info := api.Info{RunnerID: record.RunnerID, Version: record.Version}
	return info, runnerMemory{DataDir: m.settings().Dir(), BinarySHA256: record.BinarySHA256}, err
}

// await waits for a runner that somebody else starts.
func (r *runnerResource) await(ctx context.Context, m runnerModel, id string) (api.Info, error) {
	c, err := r.session.client(m.Existing.Endpoint, id)
	if err != nil {
		return api.Info{}, err
	}
	timeout := m.StartTimeout
	if timeout == "" {
		timeout = install.DefaultStartTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout.Value())
	defer cancel()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		err := c.Ready(ctx)
		if err == nil {
			return c.Info(ctx)
		}
		if code := api.CodeOf(err); code != api.CodeUnreachable && code != api.CodeUnavailable {
			return api.Info{}, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return api.Info{}, fmt.Errorf("not ready within start_timeout (%s): %w", timeout, err)
		}
	}
}

func (r *runnerResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	model, ok := readRunner(req.State.Raw, &resp.Diagnostics)
	if !ok {
		return
	}
	memory := recall[runnerMemory](ctx, req.Private, &resp.Diagnostics)
	var info api.Info
	var err error
	if model.Local != nil {
		info, err = model.inspect(ctx, &memory)
	} else {
		var c *client.Client
		if c, err = r.session.client(model.Existing.Endpoint, model.ID); err == nil {
			info, err = c.Info(ctx)
		}
	}
	running := err == nil
	model.Running = &running
	switch {
	case err == nil:
		model.setComputed(info)
		memory.BinarySHA256 = info.BinarySHA256
	case errors.Is(err, install.ErrNotInstalled), api.CodeOf(err) == api.CodeOtherRunner && model.Local != nil:
		resp.Diagnostics.AddWarning(fmt.Sprintf("runner %s is not on this host", model.ID), err.Error())
	case client.IsDown(err), client.IsUnreachable(err) && model.Local != nil:
		// The daemon is down: running shows it, and the plan repairs it.
		if model.Local != nil {
			r.session.willStart(model.Endpoint)
		}
	case r.session.keeps(err):
		resp.Diagnostics.AddWarning(fmt.Sprintf("runner %s can't be reached; what is known of it is kept", model.ID), err.Error())
		return
	default:
		resp.Diagnostics.Append(explain("read the runner "+model.ID, err)...)
		return
	}
	setRunner(ctx, &resp.State, model, &resp.Diagnostics)
	remember(ctx, resp.Private, memory, &resp.Diagnostics)
}

// inspect asks a runner of this host, and takes the settings from its record:
// they are what is in force.
func (m *runnerModel) inspect(ctx context.Context, memory *runnerMemory) (api.Info, error) {
	if memory.DataDir == "" {
		memory.DataDir = m.settings().Dir()
	}
	record, err := install.Load(memory.DataDir)
	if err != nil {
		return api.Info{}, err
	}
	if m.ID == "" || m.ID == record.RunnerID {
		m.declare(record.Settings)
	} else {
		record.RunnerID = m.ID // ours; whoever answers is another one
	}
	return install.Ask(ctx, record.At(memory.DataDir))
}

func (r *runnerResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	model, ok := readRunner(req.State.Raw, &resp.Diagnostics)
	if !ok || model.Local == nil {
		return // somebody else's
	}
	dir := recall[runnerMemory](ctx, req.Private, &resp.Diagnostics).DataDir
	if dir == "" {
		dir = model.settings().Dir()
	}
	if record, err := install.Load(dir); err == nil && record.RunnerID != "" && record.RunnerID != model.ID {
		return // another runner was installed in its place
	}
	err := install.Stop(ctx, dir)
	if err == nil && model.OnDestroy != nil && model.OnDestroy.Purge {
		err = install.Purge(dir)
	}
	if err != nil {
		resp.Diagnostics.Append(explain("stop the runner in "+dir, err)...)
	}
}

// settings are those of a local runner, as declared.
func (m runnerModel) settings() install.Settings {
	return install.Settings{
		Service: m.Local.Service, DataDir: m.Local.DataDir, Listen: m.Listen, MaxConcurrentRuns: m.MaxConcurrentRuns,
		SecretsDir: m.SecretsDir, EnvironmentFile: m.EnvironmentFile, DrainTimeout: m.DrainTimeout, StartTimeout: m.StartTimeout,
		KeepHistory: m.KeepHistory, BinaryPath: m.BinaryPath, AllowEphemeralHost: m.AllowEphemeralHost, OnDestroy: m.OnDestroy,
	}
}

// declare is the way back from settings.
func (m *runnerModel) declare(s install.Settings) {
	m.Local = &runnerLocal{Service: s.Service, DataDir: s.DataDir}
	m.Listen, m.MaxConcurrentRuns, m.SecretsDir, m.EnvironmentFile = s.Listen, s.MaxConcurrentRuns, s.SecretsDir, s.EnvironmentFile
	m.DrainTimeout, m.StartTimeout, m.KeepHistory, m.BinaryPath = s.DrainTimeout, s.StartTimeout, s.KeepHistory, s.BinaryPath
	m.AllowEphemeralHost, m.OnDestroy = s.AllowEphemeralHost, s.OnDestroy
}

// endpoint is where the runner is reached, from the configuration alone.
func (m runnerModel) endpoint() string {
	if m.Local != nil {
		return m.settings().Endpoint()
	}
	return m.Existing.Endpoint
}

func (m *runnerModel) setComputed(info api.Info) {
	running := true
	m.ID, m.Version, m.Endpoint, m.Running = info.RunnerID, info.Version, m.endpoint(), &running
}

func readRunner(raw tftypes.Value, diags *diagnostics) (runnerModel, bool) {
	var model runnerModel
	_, _, err := read(raw, &model, runnerAttributes...)
	if err == nil && model.Local == nil && model.Existing == nil {
		err = errors.New("neither local nor existing is set")
	}
	if err != nil {
		diags.AddError("cannot read the state of a runner", err.Error())
	}
	return model, err == nil
}

func setRunner(ctx context.Context, state *tfsdk.State, model runnerModel, diags *diagnostics) {
	value, err := write(state.Schema.Type().TerraformType(ctx), model)
	if err != nil {
		diags.AddError("cannot write the state of a runner", err.Error())
		return
	}
	state.Raw = value
}
