package launch

import (
	"context"
	"strconv"
	"testing"
	"time"
)

// asked has a shell's script run until it has read the line "a" and reads on,
// while it owes the answer.
func asked(t *testing.T, script string) *Process {
	t.Helper()
	pool := shell(t, script, Program{Timeout: time.Hour, StartTimeout: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = ask(ctx, pool, "a\n") // the test has seen enough before it is answered
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	var process *Process
	await(t, "a process", func() bool {
		pool.mu.Lock()
		defer pool.mu.Unlock()
		for process = range pool.living {
			return process.talk.errand() != nil
		}
		return false
	})
	awaitReading(t, process)
	return process
}

// awaitReading waits until a process has read all there is and reads on.
func awaitReading(t *testing.T, p *Process) {
	t.Helper()
	pipe, ok := inode(p.talk.stdin)
	if !ok {
		t.Fatal("the pipe has no name")
	}
	number := strconv.Itoa(p.PID())
	await(t, "the process to read", func() bool {
		e := p.talk.errand()
		return e.sent.Load() && p.talk.drained() && doing("/proc/"+number, number, pipe) == readsPipe
	})
}

func await(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s in vain", what)
		}
	}
}

// A process that only reads is never heard of again, unless somebody or a timer
// can wake it by a signal.
func TestOnlyWhoNothingElseWakesWaitsForInput(t *testing.T) {
	const reads = "while read -r line; do :; done"
	for name, c := range map[string]struct {
		script string
		waits  bool
	}{
		"reads":                  {reads, true},
		"handles its end":        {"trap 'exit 1' TERM INT HUP; " + reads, true},
		"ignores a timer":        {"trap '' ALRM; " + reads, true},
		"has a timer":            {"trap 'echo 1' ALRM; " + reads, false},
		"is called by others":    {"trap 'echo 1' USR1; " + reads, false},
		"has a child that works": {"sleep 60 & " + reads, false},
	} {
		t.Run(name, func(t *testing.T) {
			process := asked(t, c.script)
			if state := process.waitsForInput(); (state != "") != c.waits {
				t.Errorf("it waits for input: %t\n%s", !c.waits, state)
			}
		})
	}
}

// One look takes a while; what runs between two of them is seen.
func TestAProcessThatHasRunIsInAnotherState(t *testing.T) {
	process := asked(t, "while read -r line; do :; done")
	first, second := process.waitsForInput(), process.waitsForInput()
	if first == "" || first != second {
		t.Errorf("a process that waits is in two states:\n%s\n%s", first, second)
	}
	if _, err := process.talk.stdin.WriteString("b\n"); err != nil {
		t.Fatal(err)
	}
	awaitReading(t, process)
	if third := process.waitsForInput(); third == first {
		t.Errorf("a process that has read a line is in the same state:\n%s", third)
	}
}

// A daemon that a program has left behind may answer in its place.
func TestAProcessWhoseStdoutSomebodyHasIsNotAlone(t *testing.T) {
	const reads = "while read -r line; do :; done"
	for script, alone := range map[string]bool{reads: true, "(setsid sleep 60 &); " + reads: false, "(setsid sleep 60 > /dev/null &); " + reads: true} {
		process := asked(t, script)
		if process.isAlone() != alone {
			t.Errorf("%s: it is alone: %t", script, !alone)
		}
	}
}
