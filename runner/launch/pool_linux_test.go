package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// openPool opens a pool of this binary in the role of a program.
func openPool(t *testing.T, p Program) (*Pool, *lines) {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	log := &lines{arrived: make(chan struct{}, 1)}
	env := map[string]string{roleVariable: "program"}
	for name, value := range p.Env {
		env[name] = value
	}
	p.ID, p.Args, p.Env, p.Log = testPrefix()+t.Name(), []string{executable}, env, log
	pool, err := OpenPool(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pool.Close(context.Background(), patience); err != nil {
			t.Error(err)
		}
	})
	return pool, log
}

// ask sends lines and gives the answer, or how the process ended.
func ask(ctx context.Context, pool *Pool, lines string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://program/", strings.NewReader(lines))
	if err != nil {
		return "", err
	}
	response, err := pool.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close() //nolint:errcheck // in memory
	text, err := io.ReadAll(response.Body)
	return string(text), err
}

func mustAsk(t *testing.T, pool *Pool, lines string) string {
	t.Helper()
	text, err := ask(t.Context(), pool, lines)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// pids are the processes that answered, line by line.
func pids(answer string) (pids []string) {
	for line := range strings.Lines(answer) {
		pid, _, _ := strings.Cut(line, " ")
		pids = append(pids, pid)
	}
	return pids
}

func TestOneProcessAnswersRequestAfterRequest(t *testing.T) {
	pool, _ := openPool(t, Program{})
	first, second := mustAsk(t, pool, "a\nb\n"), mustAsk(t, pool, "c\n")
	pid := pids(first)[0]
	if want := pid + " a\n" + pid + " b\n"; first != want || second != pid+" c\n" {
		t.Errorf("answers are %q and %q", first, second)
	}
}

func TestLinesOfAnySizeGoThrough(t *testing.T) {
	for _, once := range []bool{false, true} {
		pool, _ := openPool(t, Program{Once: once})
		line := strings.Repeat("x", 100_000) // beyond what a pipe holds
		if answer := mustAsk(t, pool, strings.Repeat(line+"\n", 20)); strings.Count(answer, line) != 20 {
			t.Errorf("once %v: %d bytes came back", once, len(answer))
		}
	}
}

func TestRequestsInFlightHaveProcessesOfTheirOwn(t *testing.T) {
	pool, log := openPool(t, Program{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := ask(ctx, pool, "hang\n")
		ended <- err
	}()
	hanging, member := log.findPID(t, "hangs "), log.findPID(t, "member ")
	if pid := pids(mustAsk(t, pool, "a\n"))[0]; pid == strconv.Itoa(hanging) {
		t.Errorf("process %s answers while it hangs", pid)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("a request that was cancelled: %v", err)
	}
	for _, pid := range []int{hanging, member} {
		awaitGone(t, pid)
	}
}

// awaitGone waits until a killed process is gone; one that is no child of ours
// goes when its new parent notices.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	await(t, fmt.Sprintf("process %d to be gone", pid), func() bool {
		p, err := readProcess(pid)
		return err != nil || p.zombie
	})
}

func TestHowAProgramEndsTellsWhoIsToBlame(t *testing.T) {
	for _, once := range []bool{false, true} {
		pool, _ := openPool(t, Program{Once: once})
		for line, status := range map[string]int{
			"exit 10": http.StatusServiceUnavailable,
			"exit 11": http.StatusUnprocessableEntity,
			"exit 12": http.StatusBadRequest,
			"exit 1":  http.StatusInternalServerError,
			"kill " + strconv.Itoa(int(syscall.SIGSEGV)): http.StatusInternalServerError,
			"kill " + strconv.Itoa(int(syscall.SIGKILL)): http.StatusBadGateway,
		} {
			_, err := ask(t.Context(), pool, "a\n"+line+"\nb\n")
			end, ok := errors.AsType[*ProgramError](err)
			if !ok || end.HTTPStatus() != status {
				t.Errorf("once %v, %s: %v, want status %d", once, line, err, status)
				continue
			}
			if strings.HasPrefix(line, "exit") && !strings.Contains(end.Error(), "said "+line) {
				t.Errorf("once %v, %s: the error does not have what it wrote: %v", once, line, end)
			}
		}
		if answer := mustAsk(t, pool, "a\n"); !strings.HasSuffix(answer, " a\n") {
			t.Errorf("once %v: after all that the answer is %q", once, answer)
		}
	}
}

func TestAProcessOutOfStepIsNotAskedAgain(t *testing.T) {
	pool, _ := openPool(t, Program{})
	first := pids(mustAsk(t, pool, "a\n"))[0]
	mustAsk(t, pool, "b\ntwice\n") // the third line may come with the answer, or later
	if answer := mustAsk(t, pool, "c\n"); pids(answer)[0] == first || !strings.HasSuffix(answer, " c\n") {
		t.Errorf("after a line too many the answer is %q, the process was %s", answer, first)
	}
}

func TestALastWordWithoutAnAnswerIsNoFailure(t *testing.T) {
	pool, _ := openPool(t, Program{})
	if answer := mustAsk(t, pool, "a\nexit 0\n"); strings.Count(answer, "\n") != 1 {
		t.Errorf("the answer of a process that ended with code 0 is %q", answer)
	}
}

func TestAProcessForEachRequestSeesItsEnd(t *testing.T) {
	pool, _ := openPool(t, Program{Once: true, Env: map[string]string{"SAY_END": "1"}})
	first, second := mustAsk(t, pool, "a\n"), mustAsk(t, pool, "b\n")
	if !strings.HasSuffix(first, " a\nend\n") || !strings.HasSuffix(second, " b\nend\n") || pids(first)[0] == pids(second)[0] {
		t.Errorf("answers are %q and %q", first, second)
	}
}

func TestAProgramThatIsNotThereIsSaidWhereTheJobNamesIt(t *testing.T) {
	_, err := OpenPool(Program{ID: "x", Args: []string{"/no/such/program"}})
	failure, ok := errors.AsType[*api.Failure](err)
	if !ok || failure.Reason != api.ReasonLaunchFailed || !strings.Contains(failure.Hint, "predict.program.command[0]") {
		t.Errorf("the failure is %#v", err)
	}
}

func TestClosingAPoolEndsWhatIsAskedToo(t *testing.T) {
	pool, log := openPool(t, Program{})
	ended := make(chan error, 1)
	go func() {
		_, err := ask(context.Background(), pool, "hang\n")
		ended <- err
	}()
	hanging, member := log.findPID(t, "hangs "), log.findPID(t, "member ")
	if err := pool.Close(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("the request was answered")
	}
	for _, pid := range []int{hanging, member} {
		if p, err := readProcess(pid); err == nil && !p.zombie {
			t.Errorf("process %d lives", pid)
		}
	}
	if _, err := ask(t.Context(), pool, "a\n"); err == nil {
		t.Error("a closed pool answers")
	}
}
