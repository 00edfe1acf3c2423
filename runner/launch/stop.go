package launch

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// killTimeout is how long processes may take to disappear after SIGKILL. Only
// one that waits for a broken disk or network file system takes longer.
const killTimeout = 10 * time.Second

// pollInterval is how often the process table is read while processes that are
// not our children go away; one reading costs a few milliseconds.
const pollInterval = 10 * time.Millisecond

// Stop ends the server and everything it has started: SIGTERM to its group;
// after grace, or as soon as ctx ends, SIGKILL to the group and, on Linux, to
// the descendants that left it. It returns when all of them are gone; the error
// names those that are not. It may be called at any time and repeatedly; a
// process that was stopped before its start can't be started any more.
func (p *Process) Stop(ctx context.Context, grace time.Duration) error {
	p.stopping.Lock()
	defer p.stopping.Unlock()
	if !p.begun() {
		return nil
	}
	tree := newTree(p)
	// Look before the signal: a descendant that left the group and hides its
	// environment is found through its parent only as long as that lives.
	_, _ = tree.living()
	p.signalGroup(syscall.SIGTERM)
	p.awaitGroup(ctx, tree, grace)
	p.signalGroup(syscall.SIGKILL)

	killing, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTimeout)
	defer cancel()
	_, err := tree.kill(killing)
	select {
	case <-p.exited:
		p.output.close()
	case <-killing.Done():
		err = errors.Join(err, fmt.Errorf("process %d does not end after SIGKILL", p.PID()))
	}
	if err != nil {
		return fmt.Errorf("stop prediction server %s: %w", p.cmd.Path, err)
	}
	return nil
}

// begun tells whether there is something to stop, and otherwise sees to it that
// there never will be.
func (p *Process) begun() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == prepared {
		p.state = closed
	}
	return p.state != closed
}

// signalGroup has no error: whether the processes are gone in the end is what
// counts, and Stop sees to that.
func (p *Process) signalGroup(signal syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// The number of a group is not given to a new process while the group has
	// members. So once our leader is reaped, a process of that number proves
	// that the group is gone.
	if p.state == reaped && !errors.Is(syscall.Kill(p.pid(), 0), syscall.ESRCH) {
		return
	}
	_ = syscall.Kill(-p.pid(), signal)
}

// awaitGroup waits until the whole group has gone. The leader alone does not
// do: a shell dies at once of the SIGTERM that its server handles with care.
func (p *Process) awaitGroup(ctx context.Context, tree *tree, grace time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	select {
	case <-p.exited:
	case <-ctx.Done():
	}
	for tree.groupLives() && pause(ctx) {
	}
}

// pause waits for the next poll; false means that ctx has ended.
func pause(ctx context.Context) bool {
	timer := time.NewTimer(pollInterval)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
