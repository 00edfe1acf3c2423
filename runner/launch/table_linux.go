package launch

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// table is the host's processes by number, as far as /proc shows them.
type table map[int]process

// process is an entry of the table.
type process struct {
	pid, parent, group int
	start              string // clock ticks since boot; with pid it names one process for ever
	zombie             bool   // ended, and not yet waited for
	owned              bool   // by the runner's own user
	launch             string // its launch id; empty where it has none or we may not read it
}

func readTable() (table, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	processes := table{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if p, err := readProcess(pid); err == nil { // otherwise it ended just now
			processes[pid] = p
		}
	}
	if _, found := processes[os.Getpid()]; !found {
		return nil, errors.New("list processes: /proc does not show this process; is it mounted?")
	}
	return processes, nil
}

func readProcess(pid int) (process, error) {
	folder := "/proc/" + strconv.Itoa(pid)
	info, err := os.Stat(folder)
	if err != nil {
		return process{}, err
	}
	stat, err := os.ReadFile(folder + "/stat")
	if err != nil {
		return process{}, err
	}
	p, err := parseStat(string(stat))
	if err != nil {
		return process{}, err
	}
	p.pid = pid
	if owner, ok := info.Sys().(*syscall.Stat_t); ok {
		p.owned = int(owner.Uid) == os.Geteuid()
	}
	if environ, err := os.ReadFile(folder + "/environ"); err == nil {
		p.launch = launchID(environ)
	}
	return p, nil
}

// parseStat reads a line of proc_pid_stat(5): "pid (name) state ppid pgrp …",
// where the name may hold spaces and parentheses, and field 22 is the start.
func parseStat(stat string) (process, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:]) // from field 3 on
	if len(fields) < 20 {
		return process{}, fmt.Errorf("read process: %q has too few fields", stat)
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return process{}, fmt.Errorf("read process: parent: %w", err)
	}
	group, err := strconv.Atoi(fields[2])
	if err != nil {
		return process{}, fmt.Errorf("read process: group: %w", err)
	}
	return process{parent: parent, group: group, start: fields[19], zombie: fields[0] == "Z" || fields[0] == "X"}, nil
}

func launchID(environ []byte) string {
	for variable := range bytes.SplitSeq(environ, []byte{0}) {
		if id, found := bytes.CutPrefix(variable, []byte(IDVariable+"=")); found {
			return string(id)
		}
	}
	return ""
}

// withAncestors is the process, its parent, and so on.
func (t table) withAncestors(pid int) map[int]bool {
	line := map[int]bool{}
	for pid > 0 && !line[pid] {
		line[pid] = true
		pid = t[pid].parent
	}
	return line
}

// kill sends SIGKILL to this very process, never to a later one of its number.
func (p process) kill() error {
	handle, err := os.FindProcess(p.pid) // holds a pidfd where the kernel has them
	if err != nil {
		return err
	}
	defer func() { _ = handle.Release() }()
	if startTime(p.pid) != p.start {
		return nil
	}
	if err := handle.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}
