// Package acceptance holds the tests that need a real Terraform and the real
// daemon: what a user does, seen from where a user sees it. They build the
// binaries once and lay them out as a release does. Everything that can be
// shown without Terraform is tested beside its code.
package acceptance

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// installation is where the binaries of this test are.
type installation struct {
	terraform  string
	dir        string // provider, and runner beside it
	cliConfig  string
	irisServer string
	runner     string
}

var installed installation

func TestMain(m *testing.M) {
	terraform, err := exec.LookPath("terraform")
	if err != nil {
		fmt.Println("acceptance tests need terraform in PATH; there is none, so they are left out")
		return
	}
	os.Exit(run(m, terraform))
}

func run(m *testing.M, terraform string) int {
	dir, err := os.MkdirTemp("", "accept")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if installed, err = build(dir, terraform); err != nil {
		fmt.Println(err)
		return 1
	}
	return m.Run()
}

// build builds the provider, the runner (unless BATCH_RUNNER_BINARY names one)
// and the example server, and writes a CLI configuration that finds the
// provider without a registry, an init or a lock file.
func build(dir, terraform string) (installation, error) {
	i := installation{
		terraform: terraform, dir: dir, cliConfig: filepath.Join(dir, "terraform.rc"),
		irisServer: filepath.Join(dir, "iris-server"), runner: filepath.Join(dir, "batch-runner"),
	}
	programs := map[string]string{
		filepath.Join(dir, "terraform-provider-batch"): "../..",
		i.irisServer: "../../examples/iris-server",
		i.runner:     "../../runner/cmd/batch-runner",
	}
	if given := os.Getenv("BATCH_RUNNER_BINARY"); given != "" {
		delete(programs, i.runner)
		content, err := os.ReadFile(given)
		if err == nil {
			err = os.WriteFile(i.runner, content, 0o755)
		}
		if err != nil {
			return i, err
		}
	}
	for program, source := range programs {
		if output, err := exec.Command("go", "build", "-o", program, source).CombinedOutput(); err != nil {
			return i, errors.Join(fmt.Errorf("build %s: %s", source, output), err)
		}
	}
	return i, i.configure()
}

// configure writes the CLI configuration.
func (i installation) configure() error {
	config := fmt.Sprintf("provider_installation {\n  dev_overrides {\n    \"batchpattern/batch\" = %q\n  }\n  direct {}\n}\n", i.dir)
	return os.WriteFile(i.cliConfig, []byte(config), 0o600)
}

// upgraded is an installation whose runner has another version.
func upgraded(t *testing.T, version string) installation {
	t.Helper()
	next := installed
	next.dir = t.TempDir()
	next.cliConfig, next.runner = filepath.Join(next.dir, "terraform.rc"), filepath.Join(next.dir, "batch-runner")
	provider, err := os.ReadFile(filepath.Join(installed.dir, "terraform-provider-batch"))
	if err == nil {
		err = os.WriteFile(filepath.Join(next.dir, "terraform-provider-batch"), provider, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-ldflags", "-X main.version="+version, "-o", next.runner, "../../runner/cmd/batch-runner")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the runner: %v\n%s", err, output)
	}
	if err := next.configure(); err != nil {
		t.Fatal(err)
	}
	return next
}
