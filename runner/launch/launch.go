// Package launch starts ephemeral prediction servers: a process for each
// launch, in a process group of its own, with a launch id in its environment by
// which it is found again. It also keeps what a server writes (Log).
//
// A program that predicts from standard input to standard output is a Pool of
// such processes under one launch id, asked as an HTTP server is.
//
// What lives elsewhere: whether a server is ready (predict), when to launch
// again and what is recorded about a launch (engine), the values of secrets
// (secret).
//
// A server does not outlive its runner, on Linux: the kernel kills it when the
// runner dies (see run), and Reap finds what that does not reach. Elsewhere a
// server of a killed runner stays until somebody stops it.
package launch

import (
	"fmt"
	"io"
	"os/exec"
	"sync"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// IDVariable is the environment variable that carries the launch id.
const IDVariable = "BATCH_LAUNCH_ID"

// Command is a prediction server to launch.
type Command struct {
	ID    string            // launch id: unique, and the prefix by which Reap finds the process
	Args  []string          // program and arguments; {port}, {model_name}, {model_version} are replaced
	Dir   string            // working directory, absolute; empty for the runner's own
	Env   map[string]string // values with the same placeholders
	Model api.Model
	// SecretEnv are resolved secrets. They are passed as they are: a brace in
	// a password begins no placeholder.
	SecretEnv map[string]string
	// Log gets stdout and stderr as they come, one Write at a time; nil drops
	// them. Its errors are ignored: a full disk must not stop a server.
	Log io.Writer
}

// Process is one launch of a prediction server. Its methods are safe for
// concurrent use. Who has started a process must Stop it, also after it exited
// by itself: what it left behind ends there.
type Process struct {
	id   string
	what string // it is called in errors
	cmd  *exec.Cmd
	port int
	// talk has the process's stdin and stdout, where it is asked by them; such a
	// one is its pool's, whose forker starts it.
	talk   *talk
	forker *forker

	output output
	exited chan struct{} // closed once cmd.Wait returned and exitErr is set

	exitErr   error
	startTime string

	mu       sync.Mutex
	state    state
	stopping sync.Mutex // held while one Stop is at work
}

type state int

const (
	prepared state = iota
	started
	reaped // the leader's exit status was read: its number may belong to another process
	closed // never to be started
)

// Prepare resolves the executable, picks a free port on loopback and expands
// the placeholders. It starts nothing. Errors are *api.Failure (launch_failed).
//
// The port is free when Prepare returns, not reserved: whoever takes it before
// the server does makes the server fail to start, and the next launch has
// another port.
func Prepare(c Command) (*Process, error) {
	if c.ID == "" {
		return nil, fail("", fmt.Errorf("launch: the launch id is empty"))
	}
	port, err := freePort()
	if err != nil {
		return nil, fail("", fmt.Errorf("find a free port on 127.0.0.1: %w", err))
	}
	placeholders := map[string]string{
		"port":          fmt.Sprint(port),
		"model_name":    c.Model.Name,
		"model_version": c.Model.Version,
	}
	args, err := expandArgs(c.Args, placeholders)
	if err != nil {
		return nil, err
	}
	if err := checkDir(serverSpec, c.Dir); err != nil {
		return nil, err
	}
	executable, err := find(serverSpec, args[0], c.Dir)
	if err != nil {
		return nil, err
	}
	own, err := expandEnv(c.Env, placeholders)
	if err != nil {
		return nil, err
	}
	env, err := environment(own, c.SecretEnv, map[string]string{"PORT": placeholders["port"], IDVariable: c.ID})
	if err != nil {
		return nil, err
	}
	p := &Process{id: c.ID, what: "prediction server", port: port, exited: make(chan struct{})}
	p.cmd = &exec.Cmd{Path: executable, Args: args, Dir: c.Dir, Env: env, SysProcAttr: processAttributes()}
	p.output.log = c.Log
	return p, nil
}

// PID is the process id of the server and the id of its group; 0 before Start.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pid()
}

// StartTime tells this process from a later one of the same PID: the start time
// in /proc/<pid>/stat, in clock ticks since boot. Empty before Start, and where
// there is no /proc.
func (p *Process) StartTime() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.startTime
}

// URL is where the server is told to listen.
func (p *Process) URL() string { return fmt.Sprintf("http://127.0.0.1:%d", p.port) }

// Exited is closed when the server has exited and what it wrote was read. Its
// descendants may live on until Stop.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// ExitError says how the server ended, with the end of its stderr; nil while it
// runs. A server that ends with code 0 has an ExitError too.
func (p *Process) ExitError() error {
	select {
	case <-p.exited:
		return p.exitErr
	default:
		return nil
	}
}

// pid must be called with mu held, or after Start.
func (p *Process) pid() int {
	if p.cmd.Process == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

func fail(hint string, err error) error { return api.Fail(api.ReasonLaunchFailed, hint, err) }
