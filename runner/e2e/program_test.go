//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// programKills is how many kills must hit in the middle of a run, for each way
// to use a program; E2E_KILLS overrides it.
const programKills = 8

// programLanes is how many worlds of one way are killed side by side.
const programLanes = 2

// scoreScript is a program as people write it, slow enough to be killed in the
// middle. It starts a process that leaves its group and would outlive it.
const scoreScript = `
import json, subprocess, sys, time
null = subprocess.DEVNULL
subprocess.Popen(["sleep", "60"], start_new_session=True, stdin=null, stdout=null, stderr=null)
for line in sys.stdin:
    record = json.loads(line)
    time.sleep(0.01)
    print(json.dumps({"score": record["a"] + record["b"]}), flush=True)
`

func programWorld(t *testing.T, input, per string) *world {
	t.Helper()
	w := newWorld(t, input)
	python, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output() // not a shim, which takes its time
	w.must(err)
	script := filepath.Join(filepath.Dir(w.input), "score.py") // the same for all worlds of an input
	if _, err := os.Stat(script); err != nil {
		w.must(os.WriteFile(script, []byte(scoreScript), 0o600))
	}
	w.job.Predict = api.Predict{
		Features: api.Features{Columns: []string{"a", "b"}},
		Program:  &api.Program{Command: []string{strings.TrimSpace(string(python)), script}, Per: per, Env: map[string]string{"E2E_SERVER_LOG": w.serverLog()}},
	}
	if per == api.PerSlot {
		w.job.Predict.RowsPerRequest = new(int64(4))
	}
	return w
}

// alarmScript answers its first records from the handler of a timer's signal:
// until it comes, the process is blocked in a read of its input.
const alarmScript = `
import json, signal, sys
owed = []
def answer(*_):
    while owed:
        print(json.dumps({"score": owed.pop(0)["a"]}), flush=True)
signal.signal(signal.SIGALRM, answer)
wait = 1.5
for line in sys.stdin:
    owed.append(json.loads(line))
    signal.setitimer(signal.ITIMER_REAL, wait)
    wait = 0.01
`

// What a program does wrong is in the message, and nothing of it is left.
func TestWhatProgramsDo(t *testing.T) {
	python := func(script string) func(w *world) []string {
		return func(w *world) []string {
			path := filepath.Join(w.dir, "program.py")
			w.must(os.WriteFile(path, []byte(script), 0o600))
			return []string{w.job.Predict.Program.Command[0], path}
		}
	}
	file := func(content string, mode os.FileMode) func(w *world) []string {
		return func(w *world) []string {
			path := filepath.Join(w.dir, "program")
			w.must(os.WriteFile(path, []byte(content), mode))
			return []string{path}
		}
	}
	const each = "import os, sys, time\nfor line in sys.stdin: "
	for name, c := range map[string]struct {
		command func(w *world) []string
		code    int
		says    string
	}{
		"answers from a timer":     {python(alarmScript), 0, "150 of 150 records committed"},
		"does not flush":           {python(each + `print('{"score":1}')`), 3, "have it flush its stdout after each line"},
		"fails":                    {python("import sys\nsys.stderr.write('x' * 50_000 + '\\nthe reason')\nsys.exit(1)"), 3, "exited with code 1; its stderr ended with:\n  the reason"},
		"says that it may work":    {python(each + "sys.exit(10)"), 3, "exited with code 10 (it may work another time)"},
		"refuses":                  {python(each + "sys.exit(11)"), 3, "exited with code 11 (it never will with these records)"},
		"can't read":               {python(each + "sys.exit(12)"), 3, "exited with code 12 (it can't read these records)"},
		"answers twice":            {python(each + `print('{"score":1}\n{"score":2}', flush=True)`), 3, "holds 2 lines for 1 records"},
		"writes a NUL":             {python(each + `print('{"score":"\0"}', flush=True)`), 3, "is not JSON: unexpected '\\x00'"},
		"stops reading":            {python(`import os, time; os.close(0); time.sleep(60)`), 3, "has not answered its first record: it has closed its stdin"},
		"is not there":             {func(*world) []string { return []string{"/no/such/program"} }, 3, "predict.program.command[0] must be an executable file"},
		"is not executable":        {file("#!/bin/sh\n", 0o600), 3, "permission denied; predict.program.command[0] must be an executable file"},
		"has no interpreter":       {file("#!/no/such/interpreter\n", 0o700), 3, "the interpreter in its first line"},
		"has no line that says it": {file("hello\n", 0o700), 3, "a script needs a first line like #!/bin/sh"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := programWorld(t, "", api.PerSlot)
			w.job.Predict.RequestTimeout = "5s"
			w.job.Retry.Attempts = new(int64(1))
			w.job.Predict.Program.Command = c.command(w)
			output, err := w.predict("")
			if exitCode(err) != c.code || !strings.Contains(output, c.says) {
				t.Errorf("it ended with %v, want %d and %q\n%s", err, c.code, c.says, output)
			}
			if left := w.orphans(); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// Kills at random instants, of the runner, of its programs or of all, lose and
// double nothing, and no process is left of what a program has started.
func TestRandomKillsOfPrograms(t *testing.T) {
	kills := programKills
	if text := os.Getenv("E2E_KILLS"); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatalf("E2E_KILLS=%s is not a number", text)
		}
	}
	seed := rand.Uint64()
	for way, per := range []string{api.PerSlot, api.PerMiniBatch} {
		t.Run(per, func(t *testing.T) {
			t.Parallel()
			reference := programWorld(t, "", per)
			reference.predicts(0)
			score := killScore{want: reference.tree()}
			t.Run("kills", func(t *testing.T) {
				for lane := range programLanes {
					t.Run(fmt.Sprint(lane), func(t *testing.T) {
						t.Parallel()
						random := rand.New(rand.NewPCG(seed, uint64(way*programLanes+lane)))
						for n := 0; score.more(kills) && !t.Failed(); n++ {
							t.Run(fmt.Sprint(n), func(t *testing.T) { score.killProgram(programWorld(t, reference.input, per), random) })
						}
					})
				}
			})
			t.Logf("seed %d, a program per %s: %d kills, %d qualified (%s; by server a program is meant); %d records lost, %d doubled, %d orphans; done after the restart: median %s, longest %s",
				seed, per, score.tried, score.qualified, score.victims(), score.lost, score.doubled, score.orphans, score.recovery(0.5), score.recovery(1))
			if score.lost+score.doubled+score.orphans > 0 {
				t.Fail()
			}
			if score.qualified < kills && !t.Failed() {
				t.Errorf("only %d kills hit in the middle of a run, want %d", score.qualified, kills)
			}
		})
	}
}

func (k *killScore) killProgram(w *world, random *rand.Rand) {
	victim := []string{"runner", "server", "both"}[random.IntN(3)]
	cmd := w.command("")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	w.must(cmd.Start())
	w.poll("a staged part", func() bool { return w.stagedParts() > 0 || cmd.ProcessState != nil })
	<-time.After(time.Duration(random.IntN(300)) * time.Millisecond) // the instant is the point
	parts := w.stagedParts()
	struck := w.strikePrograms(victim, cmd)
	err := cmd.Wait()
	killed := victim != "server" && exitCode(err) == -1
	start := time.Now()
	again, unswept := w.goOn(killed, err, output.String())
	qualified := parts > 0 && parts < 15 && (again || struck > 0)
	k.judge(w, victim, qualified, again, time.Since(start), unswept)
}

func (w *world) stagedParts() int {
	parts, _ := filepath.Glob(filepath.Join(w.output(), ".batch", "*", "*", "*"))
	return len(parts)
}

// strikePrograms kills with kill -9, and tells how many programs it has killed;
// what they have started lives on.
func (w *world) strikePrograms(victim string, runner *exec.Cmd) (programs int) {
	if victim != "runner" {
		for _, environ := range w.orphans() {
			name, err := os.ReadFile(filepath.Join(filepath.Dir(environ), "comm"))
			pid, _ := strconv.Atoi(strings.Split(environ, "/")[2])
			if err == nil && strings.HasPrefix(string(name), "python") && syscall.Kill(pid, syscall.SIGKILL) == nil {
				programs++
			}
		}
	}
	if victim != "server" {
		_ = runner.Process.Kill() // it may have ended
	}
	return programs
}
