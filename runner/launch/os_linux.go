package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL} // see run
}

func startTime(pid int) string {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	p, err := parseStat(string(stat))
	if err != nil {
		return ""
	}
	return p.start
}

// pipeTo makes a pipe to a process. Its end never waits in our poller, which
// would cost more than all that is written.
func pipeTo() (ours, theirs *os.File, err error) { return pipe(1) }

// pipeFrom makes a pipe from a process.
func pipeFrom() (ours, theirs *os.File, err error) { return pipe(0) }

func pipe(our int) (ours, theirs *os.File, err error) {
	ends := make([]int, 2)
	if err := unix.Pipe2(ends, unix.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	if err := unix.SetNonblock(ends[our], true); err != nil {
		_, _ = unix.Close(ends[0]), unix.Close(ends[1])
		return nil, nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(ends[our]), "|"), os.NewFile(uintptr(ends[1-our]), "|"), nil
}

// pollEnd waits until a child has ended, and leaves it to be waited for. Without
// it the waiting takes a thread; so it does where the kernel does not let us
// poll (before Linux 5.10).
func pollEnd(pid int) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return
	}
	handle := os.NewFile(uintptr(fd), "pidfd")
	defer handle.Close() //nolint:errcheck // nothing is written to it
	conn, err := handle.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Read(func(fd uintptr) bool {
		events, err := poll(fd, unix.POLLIN)
		return events != 0 || err != nil
	})
}

// widen has a pipe hold more, so that whoever writes to it and who reads it
// wait for each other less often. Where that is refused it works as it is.
func widen(pipe *os.File) {
	if conn, err := pipe.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) })
	}
}

// pipeSize is within what a user's pipes may hold together (16384 pages, as the
// kernel comes) for a hundred processes and more: beyond it new pipes shrink.
const pipeSize = 256 << 10

// Reap kills what the servers of a dead runner left behind: every process whose
// launch id begins with prefix, unless keep says that the launch is still
// wanted, together with its group and its descendants. It waits until they are
// gone and gives their numbers, sorted. Elsewhere than on Linux it does nothing.
//
// A process that replaced its environment, or whose environment we may not
// read, is found only through another one: as a member of its group or as its
// descendant.
func Reap(ctx context.Context, prefix string, keep func(id string) bool) ([]int, error) {
	if prefix == "" {
		return nil, errors.New("reap prediction servers: the prefix of the launch ids is empty")
	}
	orphans := &tree{
		launched: func(id string) bool { return strings.HasPrefix(id, prefix) && !keep(id) },
		seen:     map[int]string{},
	}
	killed, err := orphans.kill(ctx)
	if err != nil {
		return killed, fmt.Errorf("reap prediction servers: %w", err)
	}
	return killed, nil
}
