// Package install puts a runner on this host and keeps it as declared: it
// copies the binary into the data dir, starts the daemon detached from
// Terraform, starts it again when its settings or its binary changed, and
// stops it.
//
// Whether a daemon lives is asked of its socket and of the lock on its data
// dir, never of a pid file. What the daemon does is not known here, and how a
// user declares a runner is decided in package provider.
package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

const (
	// askTimeout is that of a question to a runner on this host.
	askTimeout = 10 * time.Second
	// drainMargin is what a runner may take to end beyond its drain_timeout.
	drainMargin = 15 * time.Second
	// pollEvery is how often a starting or ending process is looked at.
	pollEvery = 25 * time.Millisecond
)

// Connect makes a client for the runner of a record. A runner that listens on
// a port keeps its token in the data dir.
func Connect(r Record) (*client.Client, error) {
	o := client.Options{
		Endpoint: r.Settings.Endpoint(), RunnerID: r.RunnerID, Timeout: askTimeout,
		Actor: "install", Source: "listen and data_dir",
	}
	if strings.HasPrefix(o.Endpoint, "http") {
		file := filepath.Join(r.Settings.Dir(), "token")
		o.TokenSource = file
		if token, err := client.ReadToken(file); err == nil {
			o.Token = token // no file: the runner says that it wants one
		}
	}
	return client.New(o)
}

// Ask gives what the runner of a record says of itself. An error that
// client.IsUnreachable knows means that it does not run, or that another one
// has its place.
func Ask(ctx context.Context, r Record) (api.Info, error) {
	c, err := Connect(r)
	if err != nil {
		return api.Info{}, err
	}
	defer c.Close()
	info, err := c.Info(ctx)
	if err == nil && !sameFolder(info.DataDir, r.Settings.Dir()) {
		return info, api.Errorf(api.CodeOtherRunner, "stop it, or choose another listen",
			"another runner is at %s: its data dir is %s, not %s", r.Settings.Endpoint(), info.DataDir, r.Settings.Dir())
	}
	return info, err
}

// Converge makes the runner of this host what the settings say: it installs,
// starts, or starts again, and is content with what is right already. changed
// tells whether a daemon was started.
func Converge(ctx context.Context, s Settings) (record Record, changed bool, err error) {
	dir := s.Dir()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Record{}, false, fmt.Errorf("make the data dir: %w", err)
	}
	unlock, err := lock(filepath.Join(dir, "install.lock"))
	if err != nil {
		return Record{}, false, fmt.Errorf("install into %s: another installation is under way: %w", dir, err)
	}
	defer unlock()

	recorded, err := Load(dir)
	if errors.Is(err, ErrNotInstalled) {
		recorded = Record{Settings: s}
	} else if err != nil {
		return Record{}, false, err
	}
	old := recorded.At(dir)
	binary, err := FindBinary(s.BinaryPath)
	if err != nil {
		return Record{}, false, err
	}
	info, running, err := find(ctx, old, dir)
	if err != nil {
		return Record{}, false, err
	}
	if running && info.ConfigHash == s.ConfigHash() && info.BinarySHA256 == binary.SHA256 {
		record := newRecord(s, info)
		return record, false, record.save(dir)
	}
	if running {
		if err := stop(ctx, info, dir, old.Settings.drainTimeout()); err != nil {
			return Record{}, false, err
		}
	}
	record, err = start(ctx, s, binary, old.RunnerID)
	if err != nil && running {
		return Record{}, false, errors.Join(err, restore(ctx, recorded, info, dir))
	}
	if err == nil {
		prune(dir, binary.SHA256)
	}
	return record, err == nil, err
}

// find tells whether the runner of a data dir runs. One that has the data dir
// and does not answer is ending, or else stuck: what to stop is not known then.
func find(ctx context.Context, r Record, dir string) (api.Info, bool, error) {
	info, err := Ask(ctx, r)
	if err == nil {
		return info, true, nil
	}
	if api.CodeOf(err) != api.CodeUnreachable {
		return info, false, err
	}
	if pid := lockHolder(dir); pid != "" && !awaitFree(ctx, dir, askTimeout) {
		return info, false, fmt.Errorf("data dir %s is in use by the process with pid %s, which does not answer; stop it first: %w", dir, pid, err)
	}
	return info, false, nil
}

// awaitFree waits until no daemon has the data dir.
func awaitFree(ctx context.Context, dir string, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for lockHolder(dir) != "" {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// start starts the daemon and waits until it is ready.
func start(ctx context.Context, s Settings, binary Binary, runnerID string) (Record, error) {
	dir := s.Dir()
	path, err := binary.place(dir)
	if err != nil {
		return Record{}, err
	}
	record := Record{Settings: s, ConfigHash: s.ConfigHash(), BinarySHA256: binary.SHA256, RunnerID: runnerID}
	d, err := spawn(path, s)
	if err != nil {
		return Record{}, err
	}
	record.PID = d.pid
	if err := record.save(dir); err != nil {
		return Record{}, err
	}
	info, err := d.ready(ctx, record, s.startTimeout())
	if err != nil {
		return Record{}, err
	}
	record = newRecord(s, info)
	return record, record.save(dir)
}

// restore brings back the runner that was stopped for one that did not start.
func restore(ctx context.Context, old Record, info api.Info, dir string) error {
	path, here := filepath.Join(dir, "bin", info.BinarySHA256, binaryName), old.At(dir)
	d, err := spawn(path, here.Settings)
	if err == nil {
		_, err = d.ready(ctx, here, here.Settings.startTimeout())
	}
	if err != nil {
		return fmt.Errorf("the runner from before could not be started again: %w", err)
	}
	old.PID = d.pid
	if err := old.save(dir); err != nil {
		return err
	}
	return errors.New("the runner from before runs again, with its old settings")
}

// Stop drains and stops the runner of a data dir; one that does not run is
// fine.
func Stop(ctx context.Context, dataDir string) error {
	record, err := Load(dataDir)
	if errors.Is(err, ErrNotInstalled) {
		return nil
	} else if err != nil {
		return err
	}
	record = record.At(dataDir)
	info, running, err := find(ctx, record, dataDir)
	if api.CodeOf(err) == api.CodeOtherRunner && lockHolder(dataDir) == "" {
		return nil // somebody else has the address; ours is down
	}
	if err != nil || !running {
		return err
	}
	return stop(ctx, info, dataDir, record.Settings.drainTimeout())
}

// Purge removes the data dir of a runner that does not run, with everything it
// knows. A folder without a record is left alone.
func Purge(dataDir string) error {
	if _, err := Load(dataDir); err != nil {
		if errors.Is(err, ErrNotInstalled) {
			return nil
		}
		return err
	}
	if pid := lockHolder(dataDir); pid != "" {
		return fmt.Errorf("remove %s: the process with pid %s uses it", dataDir, pid)
	}
	return os.RemoveAll(dataDir)
}

func stop(ctx context.Context, info api.Info, dir string, drain time.Duration) error {
	if err := terminate(info.PID); err != nil && !errors.Is(err, syscall.ESRCH) { // ended by itself is fine
		return fmt.Errorf("stop the runner with pid %d: %w", info.PID, err)
	}
	if within := drain + drainMargin; !awaitFree(ctx, dir, within) {
		if ctx.Err() != nil {
			return fmt.Errorf("stop the runner with pid %d: %w", info.PID, context.Cause(ctx))
		}
		return fmt.Errorf("stop the runner with pid %d: it still drains after %s; look into %s", info.PID, within, filepath.Join(dir, "runner.log"))
	}
	return nil
}

func newRecord(s Settings, info api.Info) Record {
	return Record{
		Settings: s, ConfigHash: info.ConfigHash, BinarySHA256: info.BinarySHA256,
		Version: info.Version, RunnerID: info.RunnerID, PID: info.PID,
	}
}

func sameFolder(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}
