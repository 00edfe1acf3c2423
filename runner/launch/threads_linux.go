package launch

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// schedule reads in proc_pid_status(5) how often a thread was switched away from
// the processor, and whether no signal that somebody may send has a handler.
func schedule(path string) (runs string, waits bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", false
	}
	caught, known := uint64(0), false
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
		switch name {
		case "SigCgt":
			caught, err = strconv.ParseUint(value, 16, 64)
			known = err == nil
		case "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches":
			runs += " " + value
		}
	}
	return runs, known && caught&mayWake == 0
}

// mayWake are the signals whose handler may answer a record, a bit for each:
// all but those of a terminal, those that ask a process to end, those that only
// a running thread brings about, a child's end (the child is looked at too), and
// the two that belong to the C library.
var mayWake = func() uint64 {
	all := ^uint64(0)
	for _, signal := range []unix.Signal{
		unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGCONT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGWINCH,
		unix.SIGILL, unix.SIGTRAP, unix.SIGABRT, unix.SIGBUS, unix.SIGFPE, unix.SIGSEGV, unix.SIGSYS, unix.SIGPIPE, unix.SIGXFSZ,
		unix.SIGXCPU, unix.SIGVTALRM, unix.SIGPROF, unix.SIGCHLD, 32, 33,
	} {
		all &^= 1 << (signal - 1)
	}
	return all
}()

// What a thread does.
type activity int

const (
	something activity = iota
	readsPipe
	waitsForOthers // of its process, or for a child's end
)

// futexPrivate is the bit of a futex operation by which only threads of the same
// process can end it (FUTEX_PRIVATE_FLAG).
const futexPrivate = 128

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
		operation, err := strconv.ParseUint(fields[2], 0, 64)
		if err == nil && operation&futexPrivate != 0 && fields[4] == "0x0" { // without a timeout
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
