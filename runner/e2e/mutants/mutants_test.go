//go:build mutants

package mutants

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Each seeded bug is caught by the test that is named for it, and by no failure
// to compile.
func TestEachSeededBugIsCaught(t *testing.T) {
	var table strings.Builder
	for _, m := range mutants {
		t.Run(m.bug, func(t *testing.T) {
			start := time.Now()
			output, err := m.run(t)
			caught := err != nil && regexp.MustCompile(`(?m)^--- FAIL: `+m.test).MatchString(output)
			fmt.Fprintf(&table, "%-28s %-32s %-8v %4.0f s  %s\n", m.bug, m.file, caught, time.Since(start).Seconds(), m.test)
			if !caught {
				t.Errorf("%s did not notice: %v\n%s", m.test, err, tail(output))
			}
		})
	}
	t.Logf("\n%-28s %-32s %-8s %6s  %s\n%s", "seeded bug", "in", "caught", "took", "by", table.String())
}

// run runs the test over the source with the bug in it.
func (m mutant) run(t *testing.T) (output string, err error) {
	t.Helper()
	path, source := m.place(t)
	dir := t.TempDir()
	mutated := filepath.Join(dir, "mutated.go")
	if err := os.WriteFile(mutated, []byte(strings.Replace(source, m.old, m.new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{path: mutated}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"test", "-overlay", file, "-count=1", "-timeout=5m", "-run", "^" + m.test + "$", m.room}
	if m.drawn {
		args = append(args, "-rapid.nofailfile", "-rapid.shrinktime=1ms", "-rapid.checks=1000") // it ends at the first that fails
	}
	if m.test == histories {
		args = append(args, "-histories=2000")
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// tail is the end of an output.
func tail(output string) string {
	lines := strings.Split(output, "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}
