package provider

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/install"
)

const runnerKind = "batch_runner"

// lastingHost removes every sign that this host is ephemeral, but for files.
func lastingHost(t *testing.T) {
	t.Helper()
	for _, name := range append(ephemeralVariables, envAllowEphemeral) {
		t.Setenv(name, "")
	}
	files := ephemeralFiles
	ephemeralFiles = nil
	t.Cleanup(func() { ephemeralFiles = files })
}

func local(dataDir string) object {
	return object{"local": object{"service": "process", "data_dir": dataDir}}
}

// installed is the state of a runner in a data dir that holds a record, whose
// daemon is down.
func installed(t *testing.T, h *harness) (state instance, dir string) {
	t.Helper()
	dir = t.TempDir()
	record := install.Record{
		Settings: install.Settings{Service: "process", DataDir: dir}, RunnerID: "runner-1", Version: "1.2.3", BinarySHA256: "old",
	}
	content, err := json.Marshal(record)
	h.must(err)
	h.must(os.WriteFile(filepath.Join(dir, "install.json"), content, 0o600))
	state, diags := h.importBy(runnerKind, "local:"+dir, nil)
	h.clean(diags)
	state, diags = h.read(state)
	h.clean(diags)
	return state, dir
}

func TestAnExistingRunner(t *testing.T) {
	f := startFake(t)
	h := newHarness(t, object{})
	config := object{"existing": object{"endpoint": f.endpoint}, "start_timeout": "5s"}
	p, diags := h.plan(instance{kind: runnerKind}, config)
	h.clean(diags)
	for name, want := range map[string]string{"id": "(unknown)", "endpoint": "(unknown)", "running": "true"} {
		if got := h.text(p.state, name); got != want {
			t.Errorf("on create %s is planned %s, want %s", name, got, want)
		}
	}
	runner, diags := h.apply(p)
	h.clean(diags)
	for name, want := range map[string]string{"id": "runner-1", "endpoint": f.endpoint, "version": "1.2.3", "running": "true"} {
		if got := h.text(runner.state, name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	again, diags := h.read(runner)
	h.clean(diags)
	if p, _ := h.plan(again, config); !p.state.Equal(runner.state) {
		t.Errorf("the second plan is not empty: %s", p.state)
	}
	imported, diags := h.importBy(runnerKind, "existing:"+f.endpoint, nil)
	h.clean(diags)
	imported, diags = h.read(imported)
	h.clean(diags)
	if p, _ := h.plan(imported, with(config, nil, "start_timeout")); !p.state.Equal(imported.state) {
		t.Errorf("the plan after the import is not empty: %s", p.state)
	}
	_, diags = h.destroy(again)
	h.clean(diags)
}

func TestFaultsOfAnExistingRunner(t *testing.T) {
	f := startFake(t)
	h := newHarness(t, object{})
	config := object{"existing": object{"endpoint": f.endpoint}, "start_timeout": "300ms"}
	runner := h.create(runnerKind, config)

	f.becomeAnother()
	kept, diags := newHarness(t, object{}).read(runner)
	h.want(diags, isWarning, "runner-1", "runner-2")
	if !kept.state.Equal(runner.state) {
		t.Errorf("another runner changed the state to %s", kept.state)
	}
	f.stop()
	down, diags := h.read(runner)
	h.clean(diags)
	if h.text(down.state, "running") != "false" || h.text(down.state, "id") != "runner-1" {
		t.Errorf("a daemon that is down: %s", down.state)
	}
	p, _ := h.plan(down, config)
	if h.text(p.state, "running") != "true" || h.text(p.state, "id") != "runner-1" || h.text(p.state, "endpoint") != f.endpoint {
		t.Errorf("the repair is planned as %s", p.state)
	}
	_, diags = h.apply(p)
	h.want(diags, isError, "not ready within start_timeout (300ms)", f.endpoint)
}

func TestALocalRunnerIsPlanned(t *testing.T) {
	lastingHost(t)
	binary(t, "1.3.0")
	h := newHarness(t, object{})
	p, diags := h.plan(instance{kind: runnerKind}, local("/var/lib/x"))
	h.clean(diags)
	for name, want := range map[string]string{"id": "(unknown)", "endpoint": "(unknown)", "version": "1.3.0", "running": "true"} {
		if got := h.text(p.state, name); got != want {
			t.Errorf("on create %s is planned %s, want %s", name, got, want)
		}
	}
	state, dir := installed(t, h)
	if h.text(state.state, "running") != "false" {
		t.Errorf("a daemon that is down: %s", state.state)
	}
	p, diags = h.plan(state, with(local(dir), "127.0.0.1:8080", "listen"))
	h.clean(diags)
	for name, want := range map[string]string{"id": "runner-1", "endpoint": "http://127.0.0.1:8080", "version": "1.3.0", "running": "true"} {
		if got := h.text(p.state, name); got != want {
			t.Errorf("on update %s is planned %s, want %s", name, got, want)
		}
	}
	if len(p.replace) > 0 {
		t.Errorf("an update replaces %v", p.replace)
	}
}

func TestASettingThatIsNotKnownYetLeavesTheRunnerTheSame(t *testing.T) {
	lastingHost(t)
	binary(t, "1.3.0")
	h := newHarness(t, object{})
	state, dir := installed(t, h)
	for attribute, endpoint := range map[string]string{"secrets_dir": "unix://" + dir + "/runner.sock", "listen": "(unknown)"} {
		p, diags := h.plan(state, with(local(dir), unknown{}, attribute))
		h.clean(diags)
		if h.text(p.state, "id") != "runner-1" || h.text(p.state, "endpoint") != endpoint || len(p.replace) > 0 {
			t.Errorf("with %s unknown: %s, replaces %v", attribute, p.state, p.replace)
		}
	}
}

func TestWhatMakesALocalRunnerAnotherOne(t *testing.T) {
	lastingHost(t)
	binary(t, "1.3.0")
	h := newHarness(t, object{})
	state, dir := installed(t, h)
	p, _ := h.plan(state, local("/elsewhere"))
	if len(p.replace) != 1 || h.text(p.state, "id") != "(unknown)" {
		t.Errorf("another data dir: %s, replaces %v", p.state, p.replace)
	}
	h.must(os.Remove(filepath.Join(dir, "install.json")))
	lost, diags := h.read(state)
	h.want(diags, isWarning, "runner-1", "is not on this host", dir)
	if h.text(lost.state, "id") != "runner-1" || h.text(lost.state, "running") != "false" {
		t.Errorf("a lost data dir: %s", lost.state)
	}
	if p, _ = h.plan(lost, local(dir)); len(p.replace) != 1 {
		t.Errorf("a lost data dir replaces %v", p.replace)
	}
	_, diags = h.destroy(lost)
	h.clean(diags)
}

func TestAnOlderBinaryIsAnErrorAtPlan(t *testing.T) {
	lastingHost(t)
	path := binary(t, "1.2.2")
	h := newHarness(t, object{})
	state, dir := installed(t, h)
	// The version is that of the daemon that ran, which the record can't tell.
	config := with(with(with(local(dir), "runner-1", "id"), "unix:///r.sock", "endpoint"), "1.2.3", "version")
	state.state = h.value(h.kind(runnerKind), with(config, false, "running"))
	_, diags := h.plan(state, local(dir))
	h.want(diags, isError, "1.2.2 is older than the runner's, 1.2.3", path)
}

func TestNoBinaryIsAnErrorAtPlan(t *testing.T) {
	lastingHost(t)
	t.Setenv(install.EnvBinary, "/nowhere/runner")
	h := newHarness(t, object{})
	_, diags := h.plan(instance{kind: runnerKind}, with(local("/var/lib/x"), "/nowhere/either", "binary_path"))
	h.want(diags, isError, "beside the provider", "/nowhere/runner", "/nowhere/either")
}

func TestAnEphemeralHostIsAnErrorAtPlanUnlessAllowed(t *testing.T) {
	lastingHost(t)
	binary(t, "1.3.0")
	t.Setenv("CI", "true")
	h := newHarness(t, object{})
	none := instance{kind: runnerKind}
	_, diags := h.plan(none, local("/var/lib/x"))
	h.want(diags, isError, `AttributeName("local")`, "CI is set", "allow_ephemeral_host = true", "BATCH_ALLOW_EPHEMERAL_HOST=1")
	_, diags = h.plan(none, with(local("/var/lib/x"), true, "allow_ephemeral_host"))
	h.clean(diags)
	_, diags = h.plan(none, object{"existing": object{"endpoint": "unix:///r.sock"}})
	h.clean(diags)
	// One that is here already may be planned, as a destroy does first; not in another place.
	state, dir := installed(t, h)
	_, diags = h.plan(state, local(dir))
	h.clean(diags)
	_, diags = h.plan(state, local("/elsewhere"))
	h.want(diags, isError, "CI is set")
	t.Setenv(envAllowEphemeral, "1")
	_, diags = h.plan(none, local("/var/lib/x"))
	h.clean(diags)
}

func TestBadInputOfARunnerIsAnErrorAtPlan(t *testing.T) {
	h := newHarness(t, object{})
	tests := []struct {
		config object
		text   string
	}{
		{object{}, "one of local, existing is required"},
		{with(local("/d"), object{"endpoint": "unix:///r.sock"}, "existing"), "local and existing are both set; keep one"},
		{with(local("/d"), "systemd", "local", "service"), `local.service "systemd" is not one of process`},
		{local("build/data"), `local.data_dir "build/data" is not absolute; write abspath("build/data")`},
		{with(local("/d"), "0.0.0.0:80", "listen"), `listen "0.0.0.0:80" is not a loopback address`},
		{with(local("/d"), 0, "max_concurrent_runs"), "max_concurrent_runs 0 is not in 1–1000"},
		{with(local("/d"), "secrets", "secrets_dir"), `secrets_dir "secrets" is not absolute`},
		{with(local("/d"), "1h", "keep_history"), `keep_history "1h" is shorter than 1d`},
		{with(local("/d"), "soon", "drain_timeout"), `drain_timeout "soon" is not a duration`},
		{object{"existing": object{"endpoint": "/r.sock"}}, `existing.endpoint "/r.sock" is neither`},
		{object{"existing": object{"endpoint": "unix:///r.sock"}, "listen": "127.0.0.1:80"}, "listen goes with local only"},
		{object{"existing": object{"endpoint": "unix:///r.sock"}, "keep_history": "30d"}, "keep_history goes with local only"},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			h := &harness{t: t, server: h.server, schemas: h.schemas}
			h.want(h.validate(runnerKind, test.config), isError, test.text)
		})
	}
}

func TestWhichVersionIsOlder(t *testing.T) {
	for _, test := range []struct {
		version, than string
		older         bool
	}{
		{"1.2.3", "1.2.4", true}, {"1.9.0", "1.10.0", true}, {"2.0.0", "1.9.9", false}, {"v1.0.0", "1.0.0", false}, {"dev", "1.0.0", false}, {"1.0.0", "", false},
	} {
		if olderVersion(test.version, test.than) != test.older {
			t.Errorf("%s older than %s is not %v", test.version, test.than, test.older)
		}
	}
}

func TestImportOfARunnerSaysHowItIsWritten(t *testing.T) {
	h := newHarness(t, object{})
	for _, id := range []string{"runner-1", "local:data", "existing:/r.sock", "local:" + t.TempDir()} {
		_, diags := h.importBy(runnerKind, id, nil)
		if len(diags) != 1 || !strings.Contains(show(diags), "import") {
			t.Errorf("%s gives %s", id, show(diags))
		}
	}
}
