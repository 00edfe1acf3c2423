//go:build failpoint

package failpoint_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
)

// TestMain lets the tests run this binary as the process that dies.
func TestMain(m *testing.M) {
	if name := os.Getenv("FAILPOINT_TEST_PASS"); name != "" {
		for pass := 1; pass <= 3; pass++ {
			fmt.Println("pass", pass)
			failpoint.Here(name)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// pass runs a process that passes a point three times.
func pass(t *testing.T, name, setting string) (output, log string, err error) {
	t.Helper()
	logPath := filepath.Join(t.TempDir(), "log")
	self := exec.Command(os.Args[0])
	self.Env = append(os.Environ(), "FAILPOINT_TEST_PASS="+name, "BATCH_FAILPOINT="+setting, "BATCH_FAILPOINT_LOG="+logPath)
	out, err := self.CombinedOutput()
	content, logErr := os.ReadFile(logPath)
	if logErr != nil && !errors.Is(logErr, os.ErrNotExist) {
		t.Fatal(logErr)
	}
	return string(out), string(content), err
}

func TestAPointKillsAtItsPass(t *testing.T) {
	for setting, passes := range map[string]string{
		"stage.synced":   "pass 1\n",
		"stage.synced:2": "pass 1\npass 2\n",
	} {
		output, log, err := pass(t, "stage.synced", setting)
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Errorf("%s: the process ended with %v", setting, err)
		}
		if output != passes || log != "stage.synced\n" {
			t.Errorf("%s: output %q, log %q", setting, output, log)
		}
	}
}

func TestOtherPointsPass(t *testing.T) {
	for _, setting := range []string{"", "stage.row", "stage.synced:4"} {
		if output, log, err := pass(t, "stage.synced", setting); err != nil || log != "" || !strings.HasSuffix(output, "pass 3\n") {
			t.Errorf("%q: %v, output %q, log %q", setting, err, output, log)
		}
	}
}

func TestATypoCannotHide(t *testing.T) {
	for _, c := range []struct{ name, setting string }{
		{"stage.sinced", ""}, {"stage.synced", "stage.sinced"}, {"stage.synced", "stage.synced:0"}, {"stage.synced", "stage.synced:x"},
	} {
		if output, _, err := pass(t, c.name, c.setting); err == nil || !strings.Contains(output, "panic: ") {
			t.Errorf("passing %s with %s: %v, output %q", c.name, c.setting, err, output)
		}
	}
}
