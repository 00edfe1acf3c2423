package provider

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
	"github.com/batchpattern/terraform-provider-batch/internal/install"
)

// minKeepHistory is the shortest keep_history that a runner takes: less would
// be a slip of the pen.
const minKeepHistory = 24 * time.Hour

const envAllowEphemeral = "BATCH_ALLOW_EPHEMERAL_HOST"

// ephemeralSigns are environment variables and files of hosts that do not
// last.
var (
	ephemeralVariables = []string{
		"CI", "GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", "JENKINS_URL", "TF_BUILD", "CODEBUILD_BUILD_ID",
		"TFC_RUN_ID", "SPACELIFT_RUN_ID", "ATLANTIS_TERRAFORM_VERSION", "KUBERNETES_SERVICE_HOST",
	}
	ephemeralFiles = []string{"/.dockerenv", "/run/.containerenv"}
)

func (r *runnerResource) ValidateConfig(_ context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var model runnerModel
	unknown, empty, err := read(req.Config.Raw, &model, runnerDeclared...)
	if err != nil {
		resp.Diagnostics.AddError("cannot read the runner", err.Error())
		return
	}
	f := findings{}
	known := func(attribute string) bool {
		return len(certain([]api.Error{{Pointer: "/" + attribute}}, unknown)) == 1
	}
	switch local, existing := model.Local != nil || !known("local"), model.Existing != nil || !known("existing"); {
	case !local && !existing:
		resp.Diagnostics.AddError("one of local, existing is required", `Write local = { service = "process" } to install a runner here, or existing = { endpoint = … } to use one.`)
	case model.Local != nil && model.Existing != nil:
		f.add("/local", "local and existing are both set; keep one")
	}
	if model.Local != nil {
		f.word("/local/service", model.Local.Service, install.ServiceProcess)
		f.absolute("/local/data_dir", model.Local.DataDir)
	}
	if model.Existing != nil && model.Existing.Endpoint != "" {
		f.check("/existing/endpoint", model.Existing.Endpoint, client.CheckEndpoint(model.Existing.Endpoint))
	}
	if model.Listen != "" {
		f.check("/listen", model.Listen, install.CheckListen(model.Listen))
	}
	if n := model.MaxConcurrentRuns; n != nil && (*n < 1 || *n > 1000) {
		f.add("/max_concurrent_runs", "%d is not in 1–1000", *n)
	}
	f.absolute("/secrets_dir", model.SecretsDir)
	f.absolute("/environment_file", model.EnvironmentFile)
	f.absolute("/binary_path", model.BinaryPath)
	for pointer, d := range map[string]api.Duration{"/drain_timeout": model.DrainTimeout, "/start_timeout": model.StartTimeout} {
		if value, err := d.Parse(); err == nil && value <= 0 {
			f.add(pointer, "%q is not longer than 0", d)
		}
	}
	if value, err := model.KeepHistory.Parse(); err == nil && value < minKeepHistory {
		f.add("/keep_history", "%q is shorter than 1d", model.KeepHistory)
	}
	if model.Existing != nil && model.Local == nil {
		f.localOnly(model)
	}
	f.report(&resp.Diagnostics, unknown, empty)
}

// localOnly finds settings that nobody would act on.
func (f *findings) localOnly(m runnerModel) {
	for _, setting := range []struct {
		name string
		set  bool
	}{
		{"listen", m.Listen != ""}, {"max_concurrent_runs", m.MaxConcurrentRuns != nil}, {"secrets_dir", m.SecretsDir != ""},
		{"environment_file", m.EnvironmentFile != ""}, {"drain_timeout", m.DrainTimeout != ""}, {"keep_history", m.KeepHistory != ""}, {"binary_path", m.BinaryPath != ""},
		{"allow_ephemeral_host", m.AllowEphemeralHost != nil}, {"on_destroy", m.OnDestroy != nil},
	} {
		if setting.set {
			f.add("/"+setting.name, "goes with local only; remove it, or install the runner with local")
		}
	}
}

// ModifyPlan plans what is computed: the id stays, the endpoint follows the
// configuration (unknown, it would have every job planned again), the version
// is that of the binary at hand, and the daemon runs.
func (r *runnerResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		return // destroyed
	}
	var model runnerModel
	unknown, _, err := read(req.Plan.Raw, &model, runnerDeclared...)
	if err != nil {
		resp.Diagnostics.AddError("cannot read the plan of a runner", err.Error())
		return
	}
	set := func(attribute string, value any) {
		resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root(attribute), value)...)
	}
	set("running", true)
	if uncertain(unknown, "/local") || slices.Contains(unknown, "/existing") || model.Local == nil && model.Existing == nil {
		return // it may become another runner
	}
	// A runner that is here already was allowed to be: it may be destroyed, too.
	newcomer := func() {
		if model.Local != nil && !uncertain(unknown, "/allow_ephemeral_host") {
			refuseEphemeralHost(model, &resp.Diagnostics)
		}
	}
	var prior runnerModel
	var memory runnerMemory
	if req.State.Raw.IsNull() {
		newcomer()
	} else {
		var ok bool
		if prior, ok = readRunner(req.State.Raw, &resp.Diagnostics); !ok {
			return
		}
		memory = recall[runnerMemory](ctx, req.Private, &resp.Diagnostics)
		if replaced(model, prior, memory) {
			newcomer()
			for _, attribute := range []string{"id", "endpoint", "version"} {
				set(attribute, types.StringUnknown())
			}
			resp.RequiresReplace = append(resp.RequiresReplace, path.Root("id"))
			return
		}
		set("id", prior.ID)
		set("version", prior.Version)
		if uncertain(unknown, "/listen") || uncertain(unknown, "/existing") {
			set("endpoint", types.StringUnknown())
		} else {
			set("endpoint", model.endpoint())
		}
	}
	if model.Local != nil && !uncertain(unknown, "/binary_path") {
		planVersion(ctx, model, prior, memory, set, &resp.Diagnostics)
	}
}

// uncertain tells whether a value, or something in it, is not known yet.
func uncertain(unknown []string, pointer string) bool {
	return slices.ContainsFunc(unknown, func(u string) bool { return within(u, pointer) })
}

// planVersion plans the version of the binary at hand, where it is not the one
// that runs.
func planVersion(ctx context.Context, model, prior runnerModel, memory runnerMemory, set func(string, any), diags *diagnostics) {
	binary, err := install.FindBinary(model.BinaryPath)
	if err != nil {
		diags.AddError("cannot find the runner's binary", err.Error())
		return
	}
	if binary.SHA256 == memory.BinarySHA256 {
		return
	}
	version := binary.Version(ctx)
	switch {
	case olderVersion(version, prior.Version):
		diags.AddError(fmt.Sprintf("version %s is older than the runner's, %s", version, prior.Version),
			fmt.Sprintf("The store of a newer runner can't be used by an older one. Use a provider of version %s or later; the binary found is %s.", prior.Version, binary.Path))
	case version == "" || version == prior.Version:
		set("version", types.StringUnknown()) // another build: shows, too
	default:
		set("version", version)
	}
}

// replaced tells whether the plan means another runner than the one in the
// state: another kind, another data dir, or a data dir that holds it no more.
func replaced(planned, prior runnerModel, memory runnerMemory) bool {
	if planned.Local == nil || prior.Local == nil {
		return (planned.Local == nil) != (prior.Local == nil)
	}
	if memory.DataDir != "" && memory.DataDir != planned.settings().Dir() {
		return true
	}
	record, err := install.Load(planned.settings().Dir())
	return errors.Is(err, install.ErrNotInstalled) || err == nil && record.RunnerID != "" && record.RunnerID != prior.ID
}

// refuseEphemeralHost stops who would install a daemon on a host that is gone
// tomorrow.
func refuseEphemeralHost(m runnerModel, diags *diagnostics) {
	if m.AllowEphemeralHost != nil && *m.AllowEphemeralHost {
		return
	}
	if allowed, _ := strconv.ParseBool(os.Getenv(envAllowEphemeral)); allowed {
		return
	}
	sign := ""
	for _, name := range ephemeralVariables {
		if value := os.Getenv(name); value != "" && value != "false" && sign == "" {
			sign = name + " is set"
		}
	}
	for _, file := range ephemeralFiles {
		if _, err := os.Stat(file); err == nil && sign == "" {
			sign = file + " exists"
		}
	}
	if sign != "" {
		diags.Append(diagnose(api.Error{
			Pointer: "/local", Message: fmt.Sprintf("this host looks ephemeral (%s), and a runner must outlive Terraform", sign),
			Hint: fmt.Sprintf("Use existing = { endpoint = … } for a runner elsewhere, or set allow_ephemeral_host = true or %s=1 if this host stays.", envAllowEphemeral),
		}))
	}
}

var numbers = regexp.MustCompile(`^v?([0-9]+)\.([0-9]+)\.([0-9]+)`)

// olderVersion compares two versions by their three numbers; what is not a
// version is not older.
func olderVersion(version, than string) bool {
	a, b := numbers.FindStringSubmatch(version), numbers.FindStringSubmatch(than)
	if a == nil || b == nil {
		return false
	}
	for i := 1; i <= 3; i++ {
		x, y := strings.TrimLeft(a[i], "0"), strings.TrimLeft(b[i], "0")
		if x != y {
			return len(x) < len(y) || len(x) == len(y) && x < y
		}
	}
	return false
}
