package launch

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// shell opens a pool of a shell's script.
func shell(t *testing.T, script string, p Program) *Pool {
	t.Helper()
	p.ID, p.Args = testPrefix()+t.Name(), []string{"/bin/sh", "-c", script}
	pool, err := OpenPool(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pool.Close(context.Background(), 0); err != nil {
			t.Error(err)
		}
	})
	return pool
}

// refusal is how a program fails at lines.
func refusal(t *testing.T, pool *Pool, lines string) *ProgramError {
	t.Helper()
	answer, err := ask(t.Context(), pool, lines)
	e, ok := errors.AsType[*ProgramError](err)
	if !ok {
		t.Fatalf("%q: the answer is %q, %v", lines, answer, err)
	}
	return e
}

// Nobody has to wait for a program that waits itself, whatever the timeout.
func TestAProgramThatOwesAnAnswerAndWaitsForInputIsFoundOut(t *testing.T) {
	for name, c := range map[string]struct {
		script, asked string
		status        int
		says          string
	}{
		"at its first record":  {"while read -r line; do :; done", "a\n", http.StatusNotImplemented, "has answered nothing and waits for more input"},
		"without a line's end": {"while read -r line; do printf x; done", "a\n", http.StatusNotImplemented, "has written 1 bytes without the end of a line"},
		"behind a wrapper":     {"sh -c 'echo hello >&2; while read -r line; do :; done'; exit $?", "a\n", http.StatusNotImplemented, "its stderr ended with:\nhello"},
		"leaving records out": {
			`read -r line; echo "$line"; read -r line; echo "$line"; while read -r line; do :; done`, "b\nc\nd\n", http.StatusUnprocessableEntity,
			"has read all of 3 lines, has answered 1 and waits for more input",
		},
	} {
		t.Run(name, func(t *testing.T) {
			pool := shell(t, c.script, Program{Timeout: time.Hour, StartTimeout: time.Hour})
			if c.status == http.StatusUnprocessableEntity {
				mustAsk(t, pool, "a\n")
			}
			e := refusal(t, pool, c.asked)
			if e.HTTPStatus() != c.status || e.Timeout() || e.Hint() == "" || !strings.Contains(e.Error(), c.says) {
				t.Errorf("status %d, hint %q: %v", e.HTTPStatus(), e.Hint(), e)
			}
		})
	}
}

// What sleeps or waits for anything else may still answer.
func TestAProgramThatIsAtWorkIsLeftAlone(t *testing.T) {
	for name, script := range map[string]string{
		"sleeps":                 "while read -r line; do sleep 1; echo 1; done",
		"has somebody else work": "(sleep 1; echo 1) & while read -r line; do :; done; wait",
	} {
		pool := shell(t, script, Program{Timeout: time.Minute, StartTimeout: time.Minute})
		if answer := mustAsk(t, pool, "a\n"); answer != "1\n" {
			t.Errorf("%s: the answer is %q", name, answer)
		}
	}
}

func TestTheTimesOfAProgramAreItsPools(t *testing.T) {
	const hangs = "exec sleep 60"
	for name, c := range map[string]struct {
		script string
		p      Program
		says   string
	}{
		"start":      {hangs, Program{Timeout: time.Hour, StartTimeout: 300 * time.Millisecond}, "it has not read it yet, and showed no sign of life for"},
		"first":      {"read -r line; " + hangs, Program{Timeout: 300 * time.Millisecond, StartTimeout: time.Hour}, "it has read it, and showed no sign of life for"},
		"unheard":    {"exec <&-; " + hangs, Program{Timeout: 300 * time.Millisecond, StartTimeout: time.Hour}, "it has closed its stdin, and showed no sign of life for"},
		"mini_batch": {hangs, Program{Timeout: 300 * time.Millisecond, Once: true}, "did not end within predict.request_timeout 300ms"},
		"closed":     {"exec >&-; " + hangs, Program{Timeout: 300 * time.Millisecond, Once: true}, "did not end within predict.request_timeout 300ms"},
		"some":       {`read -r l; echo 1; read -r l; echo 1; ` + hangs, Program{Timeout: time.Second, StartTimeout: time.Hour}, "has answered 1 of 2 lines within predict.request_timeout 1s"},
	} {
		pool := shell(t, c.script, c.p)
		asked := "a\n"
		if name == "some" {
			mustAsk(t, pool, asked)
			asked = "b\nc\n"
		}
		if e := refusal(t, pool, asked); !e.Timeout() || e.HTTPStatus() != http.StatusRequestTimeout || !strings.Contains(e.Error(), c.says) {
			t.Errorf("%s: status %d: %v", name, e.HTTPStatus(), e)
		}
	}
}

// A line too many, as of a program that greets, must not shift the answers.
func TestAProgramThatGreetsOnStdoutIsNotAskedAgain(t *testing.T) {
	for _, greets := range []string{"echo hello", "sleep 0.05; echo 0"} {
		pool := shell(t, greets+`; while read -r line; do sleep 0.02; echo "$line"; done`, Program{Timeout: time.Minute, StartTimeout: time.Minute})
		for _, asked := range []string{"1\n", "2\n", "3\n"} {
			if answer, err := ask(t.Context(), pool, asked); err == nil && strings.ContainsAny(answer, "123") && answer != asked {
				t.Errorf("%s: %q is answered by %q", greets, asked, answer)
			}
		}
	}
}

// A process that shows that it lives may take longer to start.
func TestAWordOnStderrIsASignOfLife(t *testing.T) {
	pool := shell(t, "for i in 1 2 3 4 5; do sleep 0.4; echo loading >&2; done; while read -r line; do echo 1; done",
		Program{Timeout: time.Hour, StartTimeout: 1500 * time.Millisecond})
	mustAsk(t, pool, "a\n")
}

// The time that a further process takes to start is not its first request's:
// it answers a record first that was answered before.
func TestAFurtherProcessBeginsWithARecordThatWasAnswered(t *testing.T) {
	pool, _ := openPool(t, Program{})
	if answer := mustAsk(t, pool, "count\nb\n"); !strings.HasPrefix(answer, "1\n") {
		t.Fatalf("the test is broken: %q", answer)
	}
	mustAsk(t, pool, "exit 0\n")
	if answer := mustAsk(t, pool, "count\n"); answer != "2\n" {
		t.Errorf("the further process has read %q lines", answer)
	}
}
