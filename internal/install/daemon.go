package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// tailSize is how much of a daemon's log an error shows.
const tailSize = 4 << 10

// daemon is a process that was just started.
type daemon struct {
	pid    int
	exited chan struct{}
	status string // how it ended, once exited is closed
	log    string
	offset int64 // where its own part of the log begins
}

// spawn starts `batch-runner serve` as a process that outlives this one.
func spawn(path string, s Settings) (*daemon, error) {
	dir := s.Dir()
	log, err := os.OpenFile(filepath.Join(dir, "runner.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	offset, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	// Not CommandContext: a request's context ends long before the daemon.
	command := exec.Command(path, append(append([]string{"serve"}, s.arguments()...), "--config-hash", s.ConfigHash())...)
	command.Dir, command.Env = dir, environment()
	command.Stdout, command.Stderr = log, log
	detach(command)
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start the runner: %w", err)
	}
	d := &daemon{pid: command.Process.Pid, exited: make(chan struct{}), log: log.Name(), offset: offset}
	go func() {
		_ = command.Wait()
		d.status = command.ProcessState.String()
		close(d.exited)
	}()
	return d, nil
}

// ready waits until the daemon itself, not another one, takes work. One that
// does not get there is stopped.
func (d *daemon) ready(ctx context.Context, r Record, within time.Duration) (api.Info, error) {
	timeout, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	last := errors.New("never asked")
	for {
		select {
		case <-d.exited:
			return api.Info{}, fmt.Errorf("start the runner: it ended with %s: %s", d.status, d.tail())
		case <-timeout.Done():
			if ctx.Err() != nil {
				return api.Info{}, fmt.Errorf("wait for the runner: %w", context.Cause(ctx))
			}
			_ = terminate(d.pid)
			<-d.exited
			return api.Info{}, fmt.Errorf("start the runner: not ready within %s (%w), so it was stopped: %s", within, last, d.tail())
		case <-tick.C:
		}
		info, err := d.probe(timeout, r)
		if err == nil {
			return info, nil
		}
		last = err
	}
}

func (d *daemon) probe(ctx context.Context, r Record) (api.Info, error) {
	c, err := Connect(r) // anew each time: the token may just have been written
	if err != nil {
		return api.Info{}, err
	}
	defer c.Close()
	info, err := c.Info(ctx)
	if err != nil {
		return api.Info{}, err
	}
	if info.PID != d.pid {
		return api.Info{}, fmt.Errorf("the process with pid %d answers at %s", info.PID, c.Endpoint())
	}
	return info, c.Ready(ctx)
}

// tail is the end of what the daemon wrote.
func (d *daemon) tail() string {
	file, err := os.Open(d.log)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err.Error()
	}
	from := max(d.offset, info.Size()-tailSize)
	text, err := io.ReadAll(io.NewSectionReader(file, from, info.Size()-from))
	if err != nil {
		return err.Error()
	}
	return d.log + " ends with\n" + strings.TrimSpace(string(text))
}
