package acceptance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

// workspace is a folder with a configuration, and the data dir of the runner
// that it declares.
type workspace struct {
	t       *testing.T
	dir     string
	dataDir string
	with    installation
}

func newWorkspace(t *testing.T) *workspace {
	t.Helper()
	dir, err := os.MkdirTemp("", "ws") // short: a socket lies in it
	if err != nil {
		t.Fatal(err)
	}
	w := &workspace{t: t, dir: dir, dataDir: filepath.Join(dir, "data"), with: installed}
	t.Cleanup(func() {
		w.kill()
		_ = os.RemoveAll(dir)
	})
	return w
}

// write writes main.tf; %DATA%, %IRIS%, %SERVER% and %OUT% become the paths of
// this workspace.
func (w *workspace) write(hcl string) {
	w.t.Helper()
	w.writeTo("main.tf", "terraform {\n  required_providers {\n    batch = {\n      source = \"batchpattern/batch\"\n    }\n  }\n}\n"+hcl)
}

func (w *workspace) writeTo(file, hcl string) {
	w.t.Helper()
	iris, err := filepath.Abs("../../examples/quickstart/iris.csv")
	if err != nil {
		w.t.Fatal(err)
	}
	hcl = strings.NewReplacer("%DATA%", w.dataDir, "%IRIS%", iris, "%SERVER%", installed.irisServer, "%OUT%", filepath.Join(w.dir, "out")).Replace(hcl)
	if err := os.WriteFile(filepath.Join(w.dir, file), []byte(hcl), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// atLeast tells whether the Terraform at hand is of a version, or newer.
func (w *workspace) atLeast(major, minor int) bool {
	w.t.Helper()
	var told struct {
		Version string `json:"terraform_version"`
	}
	w.decode(w.terraform("version", "-json"), &told)
	var hasMajor, hasMinor int
	if _, err := fmt.Sscanf(told.Version, "%d.%d", &hasMajor, &hasMinor); err != nil {
		w.t.Fatalf("the version %q: %v", told.Version, err)
	}
	return hasMajor > major || hasMajor == major && hasMinor >= minor
}

// try runs Terraform and gives what it wrote, and its exit code.
func (w *workspace) try(args ...string) (string, int) {
	w.t.Helper()
	command := exec.CommandContext(w.t.Context(), w.with.terraform, args...)
	command.Dir = w.dir
	command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "TMPDIR=" + os.TempDir(), "TF_CLI_CONFIG_FILE=" + w.with.cliConfig, "CHECKPOINT_DISABLE=1",
		"TF_IN_AUTOMATION=1", "TF_CLI_ARGS=-no-color", "BATCH_ALLOW_EPHEMERAL_HOST=1", "TF_VAR_canary=terraform-only",
	}
	output, err := command.CombinedOutput()
	exit, failed := errors.AsType[*exec.ExitError](err)
	if err != nil && !failed {
		w.t.Fatal(err)
	}
	if failed {
		return string(output), exit.ExitCode()
	}
	return string(output), 0
}

// terraform runs Terraform and wants it to succeed.
func (w *workspace) terraform(args ...string) string {
	w.t.Helper()
	output, code := w.try(args...)
	if code != 0 {
		w.t.Fatalf("terraform %s ends with %d:\n%s", strings.Join(args, " "), code, output)
	}
	return output
}

func (w *workspace) apply() string {
	w.t.Helper()
	return w.terraform("apply", "-auto-approve", "-input=false")
}

// nothingToDo wants an empty plan.
func (w *workspace) nothingToDo() {
	w.t.Helper()
	if output, code := w.try("plan", "-input=false", "-detailed-exitcode"); code != 0 {
		w.t.Errorf("the plan is not empty (%d):\n%s", code, output)
	}
}

// change is what a plan wants to do with one resource.
type change struct {
	Address string
	Change  struct {
		Actions       []string
		Before, After map[string]any
	}
}

// plan gives which resources a plan would change, and what it wrote.
func (w *workspace) plan() ([]change, string) {
	w.t.Helper()
	text := w.terraform("plan", "-input=false", "-out=plan")
	var shown struct {
		ResourceChanges []change `json:"resource_changes"`
	}
	w.decode(w.terraform("show", "-json", "plan"), &shown)
	return slices.DeleteFunc(shown.ResourceChanges, func(c change) bool {
		return slices.Equal(c.Change.Actions, []string{"no-op"}) || slices.Equal(c.Change.Actions, []string{"read"})
	}), text
}

// state gives the values in the state, by address.
func (w *workspace) state() map[string]map[string]any {
	w.t.Helper()
	var shown struct {
		Values struct {
			RootModule struct {
				Resources []struct {
					Address string
					Values  map[string]any
				}
			} `json:"root_module"`
		}
	}
	w.decode(w.terraform("show", "-json"), &shown)
	state := map[string]map[string]any{}
	for _, r := range shown.Values.RootModule.Resources {
		state[r.Address] = r.Values
	}
	return state
}

func (w *workspace) decode(text string, target any) {
	w.t.Helper()
	// Terraform warns about development overrides before anything else.
	if i := strings.IndexByte(text, '{'); i >= 0 {
		text = text[i:]
	}
	if err := json.NewDecoder(strings.NewReader(text)).Decode(target); err != nil {
		w.t.Fatalf("%v in %s", err, text)
	}
}

func (w *workspace) endpoint() string { return client.SocketEndpoint(w.dataDir) }

// info asks the workspace's daemon.
func (w *workspace) info() (api.Info, error) {
	c := w.client()
	defer c.Close()
	return c.Info(context.WithoutCancel(w.t.Context())) // in a cleanup, the test's own is over
}

func (w *workspace) client() *client.Client {
	w.t.Helper()
	c, err := client.New(client.Options{Endpoint: w.endpoint(), Timeout: 5 * time.Second})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *workspace) mustInfo() api.Info {
	w.t.Helper()
	info, err := w.info()
	if err != nil {
		w.t.Fatal(err)
	}
	return info
}

// kill ends the daemon without asking it, and waits until the kernel has let
// go of its data dir. One that does not run is fine.
func (w *workspace) kill() {
	w.t.Helper()
	info, err := w.info()
	if err != nil {
		return
	}
	if err := syscall.Kill(info.PID, syscall.SIGKILL); err != nil {
		w.t.Errorf("kill the daemon with pid %d: %v", info.PID, err)
		return
	}
	awaitFree(w.t, info.DataDir)
}

// awaitFree waits until no daemon has a data dir.
func awaitFree(t *testing.T, dataDir string) {
	t.Helper()
	lock, err := os.Open(filepath.Join(dataDir, "lock"))
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_SH); err != nil {
		t.Error(err)
	}
}

// serve starts another daemon, outside of Terraform, which ends with the test.
func serve(t *testing.T, dataDir, endpoint string) {
	t.Helper()
	command := exec.Command(installed.runner, "serve", "--data-dir", dataDir, "--listen", endpoint)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		_ = log.Close()
	})
	c, err := client.New(client.Options{Endpoint: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	deadline := time.Now().Add(30 * time.Second)
	for tick := time.NewTicker(50 * time.Millisecond); ; <-tick.C {
		if err := c.Ready(t.Context()); err == nil {
			return
		} else if time.Now().After(deadline) {
			text, _ := os.ReadFile(log.Name())
			t.Fatalf("the other daemon is not ready: %v\n%s", err, text)
		}
	}
}

func addresses(changes []change) string {
	var all []string
	for _, c := range changes {
		all = append(all, fmt.Sprintf("%s %v", c.Address, c.Change.Actions))
	}
	return strings.Join(all, ", ")
}

// has wants a text to hold some parts, however Terraform has wrapped it.
func has(t *testing.T, text string, parts ...string) {
	t.Helper()
	flat := flatten(text)
	for _, part := range parts {
		if !strings.Contains(flat, part) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
}

func flatten(text string) string {
	return strings.Join(strings.Fields(strings.NewReplacer("│", " ", "╷", " ", "╵", " ").Replace(text)), " ")
}
