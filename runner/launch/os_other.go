//go:build unix && !linux

package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// processAttributes: outside Linux no signal is sent when the parent dies.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func startTime(int) string { return "" }

func pipeTo() (ours, theirs *os.File, err error) {
	theirs, ours, err = os.Pipe()
	return ours, theirs, err
}

func pipeFrom() (ours, theirs *os.File, err error) { return os.Pipe() }

// pollEnd leaves the waiting to a thread.
func pollEnd(int) {}

// widen does nothing: pipes grow by themselves.
func widen(*os.File) {}

// Reap does nothing here: without /proc another process's environment can't be
// read, so servers that outlived a killed runner stay until they are stopped by
// hand.
func Reap(context.Context, string, func(id string) bool) ([]int, error) { return nil, nil }

// tree is the process group alone: descendants that left it are not found here.
type tree struct{ process *Process }

func newTree(p *Process) *tree { return &tree{process: p} }

func (t *tree) living() ([]int, error) {
	if t.groupLives() {
		return []int{t.process.PID()}, nil
	}
	return nil, nil
}

func (t *tree) groupLives() bool {
	return !errors.Is(syscall.Kill(-t.process.PID(), 0), syscall.ESRCH)
}

func (t *tree) kill(ctx context.Context) ([]int, error) {
	killed, err := t.living()
	for t.groupLives() {
		t.process.signalGroup(syscall.SIGKILL)
		if !pause(ctx) {
			return killed, fmt.Errorf("process group %d does not end after SIGKILL", t.process.PID())
		}
	}
	return killed, err
}
