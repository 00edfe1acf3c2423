package engine_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// scripted is a bench whose job is predicted by a script in Python.
func scripted(t *testing.T, per, script string) *bench {
	t.Helper()
	b := newBench(t)
	path := filepath.Join(t.TempDir(), "score.py")
	must(t, os.WriteFile(path, []byte(script), 0o600))
	b.job.Predict = api.Predict{
		Features: api.Features{Exclude: []string{"id"}},
		Program:  &api.Program{Command: []string{python(t), path}, Per: per},
	}
	return b
}

// python is the interpreter itself: what PATH has may be a shim, which takes its
// time at every start.
func python(t *testing.T) string {
	t.Helper()
	path, err := exec.CommandContext(t.Context(), "python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		t.Fatalf("python3 runs the programs of this test: %v", err)
	}
	return strings.TrimSpace(string(path))
}

// A program that will never answer is found out in seconds, long before a
// request's time is over, and the run says what to do.
func TestAProgramThatCannotAnswerSaysWhatToDo(t *testing.T) {
	for name, program := range map[string]struct {
		script, message, hint string
	}{
		"buffers": {
			"import sys\nfor line in sys.stdin:\n    print(1)\n",
			"has read its first record, has answered nothing and waits for more input", "print(..., flush=True)",
		},
		"buffers with threads": {
			"import sys, threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\nfor line in sys.stdin:\n    print(1)\n",
			"waits for more input", "python3 -u",
		},
		"waits for the end": {
			"import sys\nfor line in sys.stdin.readlines():\n    print(1, flush=True)\n",
			"waits for more input", `per = "mini_batch"`,
		},
		"ends no line": {
			"import sys\nfor line in sys.stdin:\n    print(1, end='', flush=True)\n",
			"has written 1 bytes without the end of a line", "flush",
		},
		"says hello": {
			"import sys\nprint('loaded the model', flush=True)\nfor line in sys.stdin:\n    print(1, flush=True)\n",
			`it wrote "loaded the model\n`, "stderr",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := scripted(t, api.PerSlot, program.script)
			begun := time.Now()
			run := b.run()
			if run.State != api.RunFailed || run.Reason != api.Reason(api.ClassConfig) || !strings.Contains(run.Message, program.message) || !strings.Contains(run.Message, program.hint) {
				t.Errorf("run is %s(%s): %s", run.State, run.Reason, run.Message)
			}
			if took := time.Since(begun); took > 40*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestAProgramBehindAWrapperThatCannotAnswerIsFoundOut(t *testing.T) {
	b := scripted(t, api.PerSlot, "import sys\nfor line in sys.stdin:\n    print(1)\n")
	b.job.Predict.Program.Command = append([]string{"/bin/sh", "-c", `"$@"; exit $?`, "sh"}, b.job.Predict.Program.Command...)
	if run := b.run(); run.Reason != api.Reason(api.ClassConfig) || !strings.Contains(run.Message, "waits for more input") {
		t.Errorf("run is %s(%s): %s", run.State, run.Reason, run.Message)
	}
}

// What a program may not do in a slot it may do for a mini-batch.
func TestAProgramForAMiniBatchNeedNotFlush(t *testing.T) {
	b := scripted(t, api.PerMiniBatch, "import json, sys\nfor line in sys.stdin.readlines():\n    r = json.loads(line)\n    print(json.dumps({'score': r['a'] + r['b']}))\n")
	run := b.run()
	if run.State != api.RunSucceeded {
		t.Fatalf("run is %s(%s): %s", run.State, run.Reason, run.Message)
	}
	b.holds(run, 150)
}

const adds = "for line in sys.stdin:\n    r = json.loads(line)\n    print(json.dumps({'score': r['a'] + r['b']}), flush=True)\n"

// A program that leaves a record out gives no line for it, and then waits: the
// record is found, and the others have their own predictions.
func TestARecordThatAProgramLeavesOutIsFound(t *testing.T) {
	b := scripted(t, api.PerSlot, "import json, sys\n"+strings.Replace(adds, "    print", "    if r['a'] == 33: continue\n    print", 1))
	b.job.MaxFailed = "5%"
	run := b.run()
	if run.State != api.RunIncomplete {
		t.Fatalf("run is %s(%s): %s", run.State, run.Reason, run.Message)
	}
	b.holds(run, 150, 33)
	must(t, b.store.DeadLetters(run.ID, func(d api.DeadLetter) error {
		if d.Class != api.ClassData || !strings.Contains(d.Error, "has read all of 1 line, has answered 0 and waits for more input") {
			t.Errorf("a dead letter of class %s says %s", d.Class, d.Error)
		}
		return nil
	}))
}

func TestAProgramThatCannotBeStartedSaysWhy(t *testing.T) {
	b := scripted(t, api.PerSlot, "")
	script := filepath.Join(t.TempDir(), "score")
	must(t, os.WriteFile(script, []byte("print(1)\n"), 0o700)) //nolint:gosec // a program
	b.job.Predict.Program.Command = []string{script}
	if run := b.run(); run.Reason != api.ReasonLaunchFailed || !strings.HasPrefix(run.Message, "start "+script) || !strings.Contains(run.Message, "a script needs a first line like #!/bin/sh") {
		t.Errorf("run is %s(%s): %s", run.State, run.Reason, run.Message)
	}
}

// Each process takes the time it needs to start: only answers have a timeout.
func TestAProgramMayLoadForLongerThanARequestTakes(t *testing.T) {
	b := scripted(t, api.PerSlot, "import json, sys, time\ntime.sleep(2)\n"+adds)
	b.job.Predict.RequestTimeout = "1500ms"
	run := b.run()
	if run.State != api.RunSucceeded {
		t.Fatalf("run is %s(%s): %s", run.State, run.Reason, run.Message)
	}
	b.holds(run, 150)
}

// Without a proof that nothing will come, time decides; the run fails with what
// may help, once.
func TestAProgramThatNeverAnswersIsNotWaitedForForever(t *testing.T) {
	b := scripted(t, api.PerSlot, "import sys, time\nfor line in sys.stdin:\n    print('asleep', file=sys.stderr, flush=True)\n    time.sleep(3600)\n")
	b.job.Predict.RequestTimeout = "1s"
	run := b.run()
	if run.Reason != api.ReasonStartTimeout || !strings.Contains(run.Message, "has not answered its first record: it has read it") || !strings.Contains(run.Message, "asleep") || run.Launches != 1 {
		t.Errorf("run is %s(%s) after %d launches: %s", run.State, run.Reason, run.Launches, run.Message)
	}
}
