package launch

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// drainDelay is how long a server that exited may keep its output open through
// a descendant before Exited is closed all the same. What the server itself
// wrote lies in the pipe by then and takes microseconds to read.
const drainDelay = 250 * time.Millisecond

// Start starts the server, once. Errors are *api.Failure (launch_failed).
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state != prepared {
		return fail("", fmt.Errorf("start %s: it was started or stopped before", p.cmd.Path))
	}
	p.state = closed
	var theirs *os.File
	if p.talk != nil {
		stdin, out, err := p.talk.open()
		if err != nil {
			return fail("", fmt.Errorf("start %s: %w", p.cmd.Path, err))
		}
		defer func() { _ = stdin.Close() }()
		p.cmd.Stdin, theirs = stdin, out
	}
	stdout, stderr, err := p.output.open(theirs)
	if err != nil {
		p.talk.close()
		return fail("", fmt.Errorf("start %s: %w", p.cmd.Path, err))
	}
	// The child has its own copies; ours would keep the pipes open forever.
	defer func() { _, _ = stdout.Close(), stderr.Close() }()
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr

	if err := p.fork(); err != nil {
		p.output.close()
		p.talk.close()
		return fail(startHint(err), fmt.Errorf("start %s: %w", p.cmd.Path, err))
	}
	p.state = started
	return nil
}

// fork starts the process and has it waited for.
//
// On Linux the process asks the kernel to be killed with its parent
// (PR_SET_PDEATHSIG), and by parent the kernel means the thread that forked,
// not the process. Go ends threads when it likes, a goroutine that returns
// while locked to one even must; so some goroutine holds the thread from the
// fork until the process is gone: the pool's forker, or one for this process.
//
// The signal reaches the process alone, none of its descendants: Reap is for
// them.
func (p *Process) fork() error {
	if p.forker != nil {
		err := p.forker.do(p.cmd.Start)
		if err == nil {
			go p.wait()
		}
		return err
	}
	forked := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		if err == nil {
			// Nobody has waited for the process, so this is its own entry even
			// if it has exited already.
			p.startTime = startTime(p.cmd.Process.Pid)
		}
		forked <- err
		if err == nil {
			p.wait()
		}
	}()
	return <-forked
}

// wait waits for the end of the process.
func (p *Process) wait() {
	pollEnd(p.cmd.Process.Pid)
	_ = p.cmd.Wait() // how it ended is in ProcessState
	p.mu.Lock()
	p.state = reaped
	p.mu.Unlock()

	if p.talk != nil {
		p.talk.hurry()
	}
	p.output.await(drainDelay)
	p.exitErr = p.describeExit(p.cmd.ProcessState)
	close(p.exited)
}

func (p *Process) describeExit(end *os.ProcessState) error {
	how := fmt.Sprintf("exited with code %d", end.ExitCode())
	if p.talk != nil {
		how += meaning[end.ExitCode()]
	}
	if status, ok := end.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		how = "was ended by " + unix.SignalName(status.Signal())
		if status.Signal() == syscall.SIGKILL {
			how += " (so ends a process for which there is no memory)"
		}
	}
	tail := p.Stderr()
	if tail == "" {
		return fmt.Errorf("%s %s %s and wrote nothing to stderr", p.what, p.cmd.Path, how)
	}
	return fmt.Errorf("%s %s %s; its stderr ended with:\n%s", p.what, p.cmd.Path, how, tail)
}

func startHint(err error) string {
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return "the file is no program for this machine; a script needs a first line like #!/bin/sh"
	case errors.Is(err, syscall.ENOENT):
		return "the file is there, so the interpreter in its first line, or its dynamic loader, is missing"
	}
	return ""
}
