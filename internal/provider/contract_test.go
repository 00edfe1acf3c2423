package provider

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/batchpattern/terraform-provider-batch/internal/install"
)

// binary makes a file that passes for the runner's binary when it is planned
// with.
func binary(t *testing.T, version string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "runner")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho batch-runner "+version+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv(install.EnvBinary, path)
	return path
}

// variants gives a configuration once for each value in it, with that value
// unknown: attributes, elements, and everything that holds them.
func variants(config object) map[string]object {
	all := map[string]object{}
	for name, value := range config {
		if value == nil {
			continue
		}
		all[name] = with(config, unknown{}, name)
		switch value := value.(type) {
		case object:
			for inner, variant := range variants(value) {
				all[name+"."+inner] = with(config, variant, name)
			}
		case []any:
			for i := range value {
				elements := append([]any{}, value...)
				elements[i] = unknown{}
				all[fmt.Sprintf("%s[%d]", name, i)] = with(config, elements, name)
			}
		}
	}
	return all
}

// covers fails where no configuration sets an attribute.
func covers(t *testing.T, block *tfprotov6.SchemaBlock, seen map[string]bool) {
	t.Helper()
	matches := func(pattern string) bool {
		for name := range seen {
			if ok, err := path.Match(pattern, name); ok && err == nil {
				return true
			}
		}
		return false
	}
	var walk func(prefix string, attributes []*tfprotov6.SchemaAttribute)
	walk = func(prefix string, attributes []*tfprotov6.SchemaAttribute) {
		for _, a := range attributes {
			if a.Description == "" {
				t.Errorf("%s has no description", prefix+a.Name)
			}
			if !a.Required && !a.Optional {
				continue
			}
			if !matches(prefix + a.Name) {
				t.Errorf("%s is never unknown in this test", prefix+a.Name)
			}
			if a.NestedType == nil {
				continue
			}
			switch a.NestedType.Nesting {
			case tfprotov6.SchemaObjectNestingModeSingle:
				walk(prefix+a.Name+".", a.NestedType.Attributes)
			case tfprotov6.SchemaObjectNestingModeMap:
				walk(prefix+a.Name+".*.", a.NestedType.Attributes)
			default:
				t.Errorf("%s: this test does not look into it", prefix+a.Name)
			}
		}
	}
	walk("", block.Attributes)
}

func runnerConfigs(path string) []object {
	return []object{
		{
			"local": object{"service": "process", "data_dir": "/var/lib/x"}, "listen": "127.0.0.1:8080", "max_concurrent_runs": 2, "secrets_dir": "/s",
			"environment_file": "/e", "drain_timeout": "1s", "start_timeout": "1s", "keep_history": "30d", "binary_path": path, "allow_ephemeral_host": true, "on_destroy": object{"purge": true},
		},
		{"existing": object{"endpoint": "unix:///r.sock"}, "start_timeout": "1s"},
	}
}

func TestEachAttributeUnknownOnceAndItsParentOnce(t *testing.T) {
	f := startFake(t)
	exe := binary(t, "1.2.3")
	h := newHarness(t, object{"endpoint": f.endpoint})
	configs := map[string][]object{
		"batch_prediction_job": fullJobs(object{"id": "runner-1", "endpoint": f.endpoint}),
		"batch_runner":         runnerConfigs(exe),
	}
	for kind, bases := range configs {
		seen := map[string]bool{}
		for i, base := range bases {
			prior := instance{kind: kind}
			if kind == "batch_prediction_job" {
				prior = h.create(kind, base)
				f.lose("churn")
			} else {
				state := with(with(with(with(base, "runner-1", "id"), "unix:///r.sock", "endpoint"), "1.2.3", "version"), true, "running")
				prior.state = h.value(h.kind(kind), state)
			}
			for name, config := range variants(base) {
				if seen[name] && i > 2 {
					continue // only their schedules tell these configurations apart
				}
				seen[name] = true
				t.Run(kind+"/"+name, func(t *testing.T) {
					h := &harness{t: t, server: h.server, schemas: h.schemas}
					h.clean(h.validate(kind, config))
					_, diags := h.plan(instance{kind: kind}, config)
					h.clean(diags)
					_, diags = h.plan(prior, config)
					h.clean(diags)
				})
			}
		}
		covers(t, h.schemas.ResourceSchemas[kind].Block, seen)
	}
}

func TestEachAttributeOfTheDataSourcesAndTheProviderUnknownOnce(t *testing.T) {
	h := newHarness(t, object{})
	runner := object{"id": "i", "endpoint": "unix:///r.sock"}
	configs := map[string][]object{
		"batch_prediction_job_status": {{"job": "churn", "runner": runner}},
		"batch_prediction_jobs":       {{"labels": object{"team": "growth"}, "prefix": "churn", "runner": runner}},
		"batch_prediction_run":        {{"id": "r", "max_dead_letters": 3, "runner": runner}},
		"batch_prediction_runs": {{
			"job": "churn", "states": []any{"failed"}, "origins": []any{"manual"}, "since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z", "limit": 5, "runner": runner,
		}},
		"batch_runner": {{"endpoint": "unix:///r.sock"}},
	}
	for _, schedule := range fullSchedules() {
		configs["batch_schedule_preview"] = append(configs["batch_schedule_preview"],
			object{"schedules": object{"nightly": schedule}, "from": "2026-01-01T00:00:00Z", "limit": 3, "runner": runner})
	}
	for kind, bases := range configs {
		seen := map[string]bool{}
		for _, base := range bases {
			for name, config := range variants(base) {
				seen[name] = true
				if diags := h.validateData(kind, config); len(diags) > 0 {
					t.Errorf("%s, %s:\n%s", kind, name, show(diags))
				}
			}
		}
		covers(t, h.schemas.DataSourceSchemas[kind].Block, seen)
	}
	provider := object{"endpoint": "unix:///r.sock", "token_file": "/t", "owner": "o", "request_timeout": "1s", "on_unreachable": "keep"}
	seen := map[string]bool{}
	for _, base := range []object{provider, with(with(provider, nil, "token_file"), "t", "token")} {
		for name, config := range variants(base) {
			seen[name] = true
			value := h.dynamic(h.value(h.schemas.Provider.ValueType(), config))
			resp, err := h.server.ValidateProviderConfig(t.Context(), &tfprotov6.ValidateProviderConfigRequest{Config: value})
			h.must(err)
			h.clean(resp.Diagnostics)
			newHarness(t, config)
		}
	}
	covers(t, h.schemas.Provider.Block, seen)
}

func TestAnEndpointThatIsNotKnownYetKeepsTheState(t *testing.T) {
	f := startFake(t)
	job := newHarness(t, object{"endpoint": f.endpoint}).create("batch_prediction_job", minimalJob())
	h := newHarness(t, object{"endpoint": unknown{}})
	kept, diags := h.read(job)
	h.want(diags, isWarning, "churn", "not known before apply")
	if !kept.state.Equal(job.state) {
		t.Errorf("the state became %s", kept.state)
	}
}

func TestASpecHoldsNothingComputed(t *testing.T) {
	h := newHarness(t, object{})
	var walk func(prefix string, attributes []*tfprotov6.SchemaAttribute)
	walk = func(prefix string, attributes []*tfprotov6.SchemaAttribute) {
		for _, a := range attributes {
			if a.Computed && prefix+a.Name != "summary" {
				t.Errorf("%s is computed", prefix+a.Name)
			}
			if a.Type != nil && (a.Type.Is(tftypes.DynamicPseudoType) || strings.Contains(a.Type.String(), "Set")) {
				t.Errorf("%s is a %s", prefix+a.Name, a.Type)
			}
			if a.NestedType != nil {
				walk(prefix+a.Name+".", a.NestedType.Attributes)
			}
		}
	}
	walk("", h.schemas.ResourceSchemas["batch_prediction_job"].Block.Attributes)
}

// Terraform drops keys it does not know inside an object. Where every key may
// be left out, a misspelt one would leave nothing behind.
func TestNoObjectOfAJobIsAllOptional(t *testing.T) {
	oneOf := []string{"schedule", "schedule.dst", "input", "input.sql.dsn", "predict.features", "predict.server.secret_env", "predict.program.secret_env", "output", "output.sql.dsn"} // exactly, or at least, one of a named set
	h := newHarness(t, object{})
	var walk func(prefix string, attributes []*tfprotov6.SchemaAttribute)
	walk = func(prefix string, attributes []*tfprotov6.SchemaAttribute) {
		for _, a := range attributes {
			if a.NestedType == nil {
				continue
			}
			required := slices.ContainsFunc(a.NestedType.Attributes, func(a *tfprotov6.SchemaAttribute) bool { return a.Required })
			if !required && !slices.Contains(oneOf, prefix+a.Name) {
				t.Errorf("%s: every key may be left out", prefix+a.Name)
			}
			walk(prefix+a.Name+".", a.NestedType.Attributes)
		}
	}
	walk("", h.schemas.ResourceSchemas["batch_prediction_job"].Block.Attributes)
}
