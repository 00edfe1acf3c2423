package install

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// EnvBinary names a runner's binary where the provider's package holds none.
const EnvBinary = "BATCH_RUNNER_BINARY"

const binaryName = "batch-runner"

var versionForm = regexp.MustCompile(`\S*[0-9]+\.[0-9]+\.[0-9]+\S*|\bdev\b`)

// Binary is a runner's executable file.
type Binary struct {
	Path    string
	SHA256  string
	content []byte
}

// FindBinary looks for the runner's binary: beside the running executable,
// where a release has it, then where BATCH_RUNNER_BINARY says, then at
// binaryPath.
func FindBinary(binaryPath string) (Binary, error) {
	beside := "(unknown)"
	var places []string
	if executable, err := os.Executable(); err == nil {
		if resolved, err := filepath.EvalSymlinks(executable); err == nil {
			executable = resolved
		}
		beside = filepath.Join(filepath.Dir(executable), binaryName)
		places = append(places, beside, fmt.Sprintf("%s_%s_%s", beside, runtime.GOOS, runtime.GOARCH))
	}
	places = append(places, os.Getenv(EnvBinary), binaryPath)
	for _, place := range places {
		if info, err := os.Stat(place); err != nil || !info.Mode().IsRegular() {
			continue
		}
		content, err := os.ReadFile(place)
		if err != nil {
			return Binary{}, fmt.Errorf("read the runner's binary: %w", err)
		}
		sum := sha256.Sum256(content)
		return Binary{Path: place, SHA256: hex.EncodeToString(sum[:]), content: content}, nil
	}
	return Binary{}, fmt.Errorf("find the runner's binary: it is not beside the provider (%s, also with _%s_%s), not at %s (%s) and not at binary_path (%s)",
		beside, runtime.GOOS, runtime.GOARCH, EnvBinary, cmp.Or(os.Getenv(EnvBinary), "not set"), cmp.Or(binaryPath, "not set"))
}

// Version asks the binary for its version; empty where it does not say.
func (b Binary) Version(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, b.Path, "version")
	command.Env = environment()
	output, err := command.Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(output), "\n")
	return versionForm.FindString(line)
}

// place copies the binary to its own folder in the data dir and gives its path
// there: the provider's package may go away, or change under a running daemon.
func (b Binary) place(dataDir string) (string, error) {
	path := filepath.Join(dataDir, "bin", b.SHA256, binaryName)
	if placed, err := os.ReadFile(path); err == nil && sha256.Sum256(placed) == sha256.Sum256(b.content) {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	if err := writeFile(path, b.content, 0o755); err != nil {
		return "", fmt.Errorf("copy the runner's binary: %w", err)
	}
	return path, syncDir(filepath.Join(dataDir, "bin"))
}

// prune removes the binaries that are not run any more.
func prune(dataDir, keep string) {
	folders, _ := os.ReadDir(filepath.Join(dataDir, "bin"))
	for _, folder := range folders {
		if folder.Name() != keep {
			_ = os.RemoveAll(filepath.Join(dataDir, "bin", folder.Name()))
		}
	}
}

// environment is all that a daemon inherits: neither the provider's
// credentials nor Terraform's variables. Secrets reach it by environment_file
// and secrets_dir.
func environment() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "LANG", "TZ"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
