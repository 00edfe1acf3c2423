//go:build unix

package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// detach puts the process into a session of its own, where Ctrl-C at
// Terraform's terminal does not reach it.
func detach(command *exec.Cmd) { command.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// terminate asks a process to drain and end.
func terminate(pid int) error {
	if pid <= 1 {
		return unix.ESRCH
	}
	return unix.Kill(pid, unix.SIGTERM)
}

// lock takes a file for this process; it says so at once if it can't.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, err
	}
	return func() { _ = file.Close() }, nil
}

// lockHolder is the pid, as text, of the daemon that has the data dir; empty
// where none has it. The kernel's lock tells, the file's content only names.
func lockHolder(dataDir string) string {
	path := filepath.Join(dataDir, "lock")
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	if err := unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB); err == nil {
		return ""
	}
	holder, _ := os.ReadFile(path)
	if pid := strings.TrimSpace(string(holder)); pid != "" {
		return pid
	}
	return "unknown"
}
