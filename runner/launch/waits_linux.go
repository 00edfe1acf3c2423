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

// waitsForInput looks whether nothing will come of a process before it gets more
// input: some thread of it or of its descendants reads our pipe, which is empty,
// each other one waits for a thread or a process among them, and nobody else can
// wake them. Whoever sleeps, polls, has a timer, or talks to anybody else may
// still answer.
//
// The threads are looked at one by one, so one look can be deceived by those that
// hand work to each other. Three in a row that give the same state can't: it holds
// how often each thread has left the processor, so that between the first two
// none has run. The state is empty where the process does not wait.
func (p *Process) waitsForInput() (state string) {
	pipe, ok := inode(p.talk.stdin)
	if !ok || unread(p.talk.stdout) != 0 {
		return ""
	}
	living, err := p.family().living()
	if err != nil {
		return ""
	}
	slices.SortFunc(living, func(a, b process) int { return a.pid - b.pid })
	var text strings.Builder
	reads := false
	for _, q := range living {
		// What a process of another user has started is not followed.
		if !q.owned || q.wakes() || !q.still(&text, pipe, &reads) {
			return ""
		}
	}
	if !reads || !p.talk.drained() || unread(p.talk.stdout) != 0 {
		return ""
	}
	return text.String()
}

// isAlone tells that nobody but a process, its descendants and we have its
// stdout: no daemon that it has left behind, which might answer for it.
func (p *Process) isAlone() bool {
	pipe, ok := inode(p.talk.stdout)
	table, err := readTable()
	if !ok || err != nil {
		return false
	}
	members := p.family().members(table)
	for pid := range table {
		if pid != os.Getpid() && !members[pid] && slices.Contains(openFiles(pid), pipe) {
			return false
		}
	}
	return true
}

// family is a process with its group and its descendants. The launch id is not
// asked for: all processes of a pool have one. Should the number be another
// process's by now, that one does not read our pipe.
func (p *Process) family() *tree {
	return &tree{launched: func(string) bool { return false }, group: p.PID(), seen: map[int]string{p.PID(): startTime(p.PID())}}
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

// openFiles are what a process has open, as far as we may see it.
func openFiles(pid int) (targets []string) {
	folder := fmt.Sprintf("/proc/%d/fd", pid)
	entries, _ := os.ReadDir(folder)
	for _, entry := range entries {
		if target, err := os.Readlink(folder + "/" + entry.Name()); err == nil {
			targets = append(targets, target)
		}
	}
	return targets
}

// wakes tells that the kernel may do something for a process, or wake it, though
// all of its threads wait for others: for a timer of POSIX, or by io_uring. A
// timer of setitimer(2) is not to be seen, but its signal is; see mayWake.
func (q process) wakes() bool {
	timers, err := os.ReadFile(fmt.Sprintf("/proc/%d/timers", q.pid)) // not every kernel has it
	return err == nil && len(timers) > 0 || slices.Contains(openFiles(q.pid), "anon_inode:[io_uring]")
}

// still tells that each thread of a process waits, and writes which they are and
// how often they have run.
func (q process) still(state *strings.Builder, pipe string, reads *bool) bool {
	folder := "/proc/" + strconv.Itoa(q.pid)
	threads, err := os.ReadDir(folder + "/task")
	if err != nil {
		return false
	}
	fmt.Fprintf(state, "%d %s\n", q.pid, q.start)
	for _, thread := range threads {
		runs, waits := schedule(folder + "/task/" + thread.Name() + "/status")
		if !waits {
			return false
		}
		fmt.Fprintf(state, "%s %s\n", thread.Name(), runs)
		switch doing(folder, thread.Name(), pipe) {
		case readsPipe:
			*reads = true
		case waitsForOthers:
		default:
			return false
		}
	}
	return true
}
