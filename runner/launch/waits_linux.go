package launch

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// drained tells that a process has read all that was written to it.
func (t *talk) drained() bool { return unread(t.stdin) == 0 }

// unread is how many bytes wait in a pipe (FIONREAD, as TIOCINQ is called too); -1 where nobody knows.
func unread(pipe *os.File) (n int) {
	conn, err := pipe.SyscallConn()
	if err != nil {
		return -1
	}
	controlErr := conn.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	if errors.Join(controlErr, err) != nil {
		return -1
	}
	return n
}

// waitsForInput tells that nothing will come of a process before it gets more
// input: some thread of it or of its descendants reads our pipe, which is empty,
// and each other one waits for a thread or a process among them. Whoever sleeps,
// polls, or talks to anybody else may still answer.
func (p *Process) waitsForInput() bool {
	pipe, ok := inode(p.talk.stdin)
	if !ok || unread(p.talk.stdout) != 0 {
		return false
	}
	t := &tree{launched: func(string) bool { return false }, group: p.PID(), seen: map[int]string{p.PID(): p.StartTime()}}
	living, err := t.living()
	if err != nil {
		return false
	}
	reads := false
	for _, q := range living {
		folder := "/proc/" + strconv.Itoa(q.pid)
		threads, err := os.ReadDir(folder + "/task")
		if err != nil {
			return false
		}
		for _, thread := range threads {
			switch doing(folder, thread.Name(), pipe) {
			case readsPipe:
				reads = true
			case waitsForOthers:
			default:
				return false
			}
		}
	}
	return reads && p.talk.drained() && unread(p.talk.stdout) == 0
}

// inode names a pipe as /proc does.
func inode(pipe *os.File) (string, bool) {
	info, err := pipe.Stat()
	if err != nil {
		return "", false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", false
	}
	return fmt.Sprintf("pipe:[%d]", stat.Ino), true
}

// What a thread does.
type activity int

const (
	something activity = iota
	readsPipe
	waitsForOthers // of its process, or for a child's end
)

// doing reads a line of proc_pid_syscall(5): "number arg1 … arg6 sp pc", or
// "running".
func doing(folder, thread, pipe string) activity {
	text, err := os.ReadFile(folder + "/task/" + thread + "/syscall")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 7 {
		return something
	}
	number, err := strconv.Atoi(fields[0])
	if err != nil {
		return something
	}
	switch number {
	case unix.SYS_READ, unix.SYS_READV:
		fd, err := strconv.ParseUint(fields[1], 0, 32)
		if err != nil {
			return something
		}
		if to, err := os.Readlink(fmt.Sprintf("%s/fd/%d", folder, fd)); err == nil && to == pipe {
			return readsPipe
		}
	case unix.SYS_FUTEX:
		if fields[4] == "0x0" { // without a timeout
			return waitsForOthers
		}
	case unix.SYS_WAIT4:
		if options, err := strconv.ParseUint(fields[3], 0, 64); err == nil && options&unix.WNOHANG == 0 {
			return waitsForOthers
		}
	}
	if slices.Contains(waitCalls, number) {
		return waitsForOthers
	}
	return something
}

var waitCalls = []int{unix.SYS_WAITID, unix.SYS_RT_SIGSUSPEND}
