package install

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

// ServiceProcess runs the daemon as a plain process of the user who installs.
const ServiceProcess = "process"

// The defaults of a runner's settings; the command line of the daemon has the
// same ones.
const (
	DefaultMaxConcurrentRuns = 4
	DefaultDrainTimeout      = api.Duration("30s")
	DefaultStartTimeout      = api.Duration("1m")
	DefaultKeepHistory       = api.Duration("365d")
)

// Settings are what a user declared about a runner, spelled as declared; empty
// or nil is the default.
type Settings struct {
	Service            string         `json:"service"`
	DataDir            string         `json:"data_dir,omitzero"`
	Listen             string         `json:"listen,omitzero"`
	MaxConcurrentRuns  *int64         `json:"max_concurrent_runs,omitzero"`
	SecretsDir         string         `json:"secrets_dir,omitzero"`
	EnvironmentFile    string         `json:"environment_file,omitzero"`
	DrainTimeout       api.Duration   `json:"drain_timeout,omitzero"`
	StartTimeout       api.Duration   `json:"start_timeout,omitzero"`
	KeepHistory        api.Duration   `json:"keep_history,omitzero"`
	BinaryPath         string         `json:"binary_path,omitzero"`
	AllowEphemeralHost *bool          `json:"allow_ephemeral_host,omitzero"`
	OnDestroy          *api.OnDestroy `json:"on_destroy,omitzero"`
}

// Dir is the data dir in force.
func (s Settings) Dir() string {
	if s.DataDir == "" {
		return client.DefaultDataDir()
	}
	return filepath.Clean(s.DataDir)
}

// Endpoint is where a runner with these settings is reached.
func (s Settings) Endpoint() string {
	switch {
	case s.Listen == "":
		return client.SocketEndpoint(s.Dir())
	case strings.HasPrefix(s.Listen, "unix://"):
		return s.Listen
	default:
		return "http://" + s.Listen
	}
}

// ConfigHash covers what the daemon is started with: another hash means that
// it must be started again.
func (s Settings) ConfigHash() string {
	text, err := json.Marshal(s.arguments())
	if err != nil {
		panic(err) // strings can be encoded
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// arguments are those of `batch-runner serve`, but for the hash of themselves.
func (s Settings) arguments() []string {
	listen := s.Listen
	if listen == "" {
		listen = s.Endpoint()
	}
	runs := int64(DefaultMaxConcurrentRuns)
	if s.MaxConcurrentRuns != nil {
		runs = *s.MaxConcurrentRuns
	}
	args := []string{
		"--data-dir", s.Dir(), "--listen", listen,
		"--drain-timeout", s.drainTimeout().String(), "--max-concurrent-runs", strconv.FormatInt(runs, 10),
		"--keep-history", s.keepHistory().String(),
	}
	if s.EnvironmentFile != "" {
		args = append(args, "--environment-file", s.EnvironmentFile)
	}
	if s.SecretsDir != "" {
		args = append(args, "--secrets-dir", s.SecretsDir)
	}
	return args
}

func (s Settings) drainTimeout() time.Duration { return either(s.DrainTimeout, DefaultDrainTimeout) }
func (s Settings) startTimeout() time.Duration { return either(s.StartTimeout, DefaultStartTimeout) }

func (s Settings) keepHistory() time.Duration { return either(s.KeepHistory, DefaultKeepHistory) }

func either(declared, standard api.Duration) time.Duration {
	if declared == "" {
		declared = standard
	}
	return declared.Value()
}

// CheckListen says whether an address to listen on is written well.
func CheckListen(listen string) error {
	if strings.HasPrefix(listen, "unix://") {
		return client.CheckEndpoint(listen)
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return errors.New("is neither unix:///path nor 127.0.0.1:port")
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("is not a loopback address; write 127.0.0.1:%s", port)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return errors.New("has no port in 1–65535; jobs keep the runner's address, so it must be fixed")
	}
	return nil
}
