package runner

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"time"

	"github.com/batchpattern/terraform-provider-batch/runner/durable"
)

// The defaults of Options.
const (
	DefaultDrainTimeout      = 30 * time.Second
	DefaultMaxConcurrentRuns = 4
	DefaultKeepHistory       = 365 * 24 * time.Hour
)

// minKeepHistory keeps a slip of the pen from removing what people look at
// today.
const minKeepHistory = 24 * time.Hour

// Options are the settings of a Runner. DataDir is required.
type Options struct {
	// DataDir holds everything the runner keeps; one runner has it at a time.
	DataDir string
	// Listen is unix:///path (empty: runner.sock in the data dir) or a
	// loopback address with a port, where :0 takes a free one.
	Listen string
	// Token is what clients on a port must send. Without Token and TokenFile
	// the one in the data dir's file "token" is taken, and made where missing.
	Token     string
	TokenFile string
	// EnvironmentFile and SecretsDir are where jobs' secrets are found.
	EnvironmentFile string
	SecretsDir      string
	// DrainTimeout is how long Run lets what is in flight finish.
	DrainTimeout time.Duration
	// MaxConcurrentRuns is the number of runs under way at a time.
	MaxConcurrentRuns int
	// KeepHistory is how long the details of ended runs are kept; after that,
	// a run is its row and its counts.
	KeepHistory time.Duration
	// Manual is for Predict: nothing listens, and no schedule fires.
	Manual bool

	// Version and ConfigHash are told to those who ask what runs here.
	Version    string
	ConfigHash string
	Log        *slog.Logger

	// Now, FS and Transport replace the clock, the file system below outputs,
	// and the connections to prediction servers in tests.
	Now       func() time.Time
	FS        durable.FS
	Transport http.RoundTripper
}

func (o Options) withDefaults() (Options, error) {
	if o.DataDir == "" {
		return o, errors.New("start the runner: no data dir is given")
	}
	dir, err := filepath.Abs(o.DataDir)
	if err != nil {
		return o, fmt.Errorf("find data dir %s: %w", o.DataDir, err)
	}
	o.DataDir = dir
	o.Listen = cmp.Or(o.Listen, "unix://"+filepath.Join(dir, "runner.sock"))
	o.DrainTimeout = cmp.Or(o.DrainTimeout, DefaultDrainTimeout)
	o.MaxConcurrentRuns = cmp.Or(o.MaxConcurrentRuns, DefaultMaxConcurrentRuns)
	o.KeepHistory = cmp.Or(o.KeepHistory, DefaultKeepHistory)
	if o.KeepHistory < minKeepHistory {
		return o, fmt.Errorf("start the runner: keep-history %s must be %s at least", o.KeepHistory, minKeepHistory)
	}
	if o.MaxConcurrentRuns < 1 || o.DrainTimeout < 0 {
		return o, fmt.Errorf("start the runner: max-concurrent-runs %d and drain-timeout %s must be above zero", o.MaxConcurrentRuns, o.DrainTimeout)
	}
	o.Version = cmp.Or(o.Version, "dev")
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.FS == nil {
		o.FS = durable.OS()
	}
	return o, nil
}
