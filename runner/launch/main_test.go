package launch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The prediction servers of these tests are this test binary itself: what it
// does then is in child_test.go, chosen by this variable.
const roleVariable = "LAUNCH_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(child(role))
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		// A last net below the cleanups of the single tests.
		if left, err := Reap(context.Background(), testPrefix(), keepNone); len(left) > 0 || err != nil {
			fmt.Fprintf(os.Stderr, "processes %v survived their tests (%v)\n", left, err)
			code = 1
		}
		os.Exit(code)
	}))
}

func testPrefix() string { return fmt.Sprintf("launch-test-%d/", os.Getpid()) }

func keepNone(string) bool { return false }

// command is a launch of this binary in a role, with a launch id of this test.
func command(t *testing.T, role string) Command {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // for what no Stop has found
		if _, err := Reap(context.Background(), testPrefix()+t.Name()+"/", keepNone); err != nil {
			t.Error(err)
		}
	})
	return Command{
		ID:   testPrefix() + t.Name() + "/" + role,
		Args: []string{executable},
		Dir:  t.TempDir(),
		Env:  map[string]string{roleVariable: role},
	}
}

// start starts a command and gives the lines that it writes.
func start(t *testing.T, c Command) (*Process, *lines) {
	t.Helper()
	out := &lines{arrived: make(chan struct{}, 1)}
	c.Log = out
	p, err := Prepare(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, p, 0) })
	return p, out
}

func stop(t *testing.T, p *Process, grace time.Duration) {
	t.Helper()
	if err := p.Stop(context.Background(), grace); err != nil {
		t.Error(err)
	}
}

func awaitExit(t *testing.T, p *Process) error {
	t.Helper()
	select {
	case <-p.Exited():
		return p.ExitError()
	case <-time.After(patience):
		t.Fatal("the server does not exit")
		return nil
	}
}

// patience bounds the waiting for a signal that a broken build never sends.
const patience = 20 * time.Second

// lines is a log that tests wait on.
type lines struct {
	mu      sync.Mutex
	text    strings.Builder
	arrived chan struct{}
}

func (l *lines) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.arrived <- struct{}{}:
	default:
	}
	return l.text.Write(text)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// await waits until the text is as wanted.
func (l *lines) await(t *testing.T, what string, wanted func(text string) bool) {
	t.Helper()
	timeout := time.After(patience)
	for !wanted(l.String()) {
		select {
		case <-l.arrived:
		case <-timeout:
			t.Fatalf("no %s in:\n%s", what, l.String())
		}
	}
}

// find waits for a line that begins with prefix and gives the rest of it.
func (l *lines) find(t *testing.T, prefix string) (rest string) {
	t.Helper()
	l.await(t, fmt.Sprintf("line %q", prefix), func(text string) bool {
		for line := range strings.Lines(text) {
			after, found := strings.CutPrefix(line, prefix)
			if found && strings.HasSuffix(after, "\n") {
				rest = strings.TrimSpace(after)
				return true
			}
		}
		return false
	})
	return rest
}

func (l *lines) findPID(t *testing.T, prefix string) (pid int) {
	t.Helper()
	if _, err := fmt.Sscan(l.find(t, prefix), &pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

// executableFile writes a program of some text.
func executableFile(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}
