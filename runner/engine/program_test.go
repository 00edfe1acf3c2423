package engine_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// predictLines is a program that predicts: a + b of each line, with what
// TEST_PROGRAM says about some records, as "13=exit 11,77=null".
func predictLines() {
	does := map[string]string{}
	for rule := range strings.SplitSeq(os.Getenv("TEST_PROGRAM"), ",") {
		record, what, _ := strings.Cut(rule, "=")
		does[record] = what
	}
	if does["start"] != "" {
		fmt.Fprintln(os.Stderr, does["start"])
		os.Exit(1)
	}
	if marks := os.Getenv("TEST_MARKS"); marks != "" { // a file for each process
		_ = os.WriteFile(filepath.Join(marks, fmt.Sprint(os.Getpid())), nil, 0o600)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var record struct{ A, B float64 }
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(12)
		}
		misbehave(does[fmt.Sprint(record.A)])
		if answer, ok := strings.CutPrefix(does[fmt.Sprint(record.A)], "say "); ok {
			fmt.Println(answer)
			continue
		}
		fmt.Printf("{\"score\": %v}\n", record.A+record.B)
	}
}

// misbehave ends the process where it is told to.
func misbehave(how string) {
	var code int
	if _, err := fmt.Sscanf(how, "exit %d", &code); err == nil {
		fmt.Fprintln(os.Stderr, "Traceback: no such category")
		os.Exit(code)
	}
	if once, found := strings.CutPrefix(how, "once "); found {
		if file, err := os.OpenFile(once, os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			_ = file.Close()
			os.Exit(10)
		}
	}
	switch how {
	case "segv":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSEGV)
		select {}
	case "hang":
		select {}
	}
}

// programmed is a bench whose job is predicted by this binary as a program.
func programmed(t *testing.T, per, rules string) *bench {
	t.Helper()
	b := newBench(t)
	executable, err := os.Executable()
	must(t, err)
	b.job.Predict = api.Predict{Features: api.Features{Exclude: []string{"id"}}, Program: &api.Program{Command: []string{executable}, Env: map[string]string{"TEST_PROGRAM": rules, "TEST_MARKS": ""}, Per: per}}
	return b
}

var pers = []string{api.PerSlot, api.PerMiniBatch}

func TestAProgramPredicts(t *testing.T) {
	for _, per := range pers {
		t.Run(per, func(t *testing.T) {
			b := programmed(t, per, "")
			marks := t.TempDir()
			b.job.Predict.Program.Env["TEST_MARKS"] = marks
			run := b.run()
			if run.State != api.RunSucceeded {
				t.Fatalf("run is %s(%s): %s", run.State, run.Reason, run.Message)
			}
			b.holds(run, 150)
			started, err := os.ReadDir(marks)
			must(t, err)
			// 8 mini-batches, and the warm-up where it has a process of its own.
			if per == api.PerMiniBatch && len(started) != 9 || per == api.PerSlot && len(started) > 4 {
				t.Errorf("%d processes were started", len(started))
			}
			if run.Launches != 1 {
				t.Errorf("%d launches are counted", run.Launches)
			}
		})
	}
}

func TestRecordsThatAProgramRefusesAreFound(t *testing.T) {
	for _, per := range pers {
		for name, how := range map[string]string{"never": "exit 11", "bad_input": "exit 12", "no_json": "say {\"score\": oops}"} {
			t.Run(per+"_"+name, func(t *testing.T) {
				b := programmed(t, per, "13="+how+",77="+how)
				b.job.MaxFailed = "5%"
				run := b.run()
				if run.State != api.RunIncomplete {
					t.Fatalf("run is %s(%s): %s", run.State, run.Reason, run.Message)
				}
				b.holds(run, 150, 13, 77)
				must(t, b.store.DeadLetters(run.ID, func(d api.DeadLetter) error {
					if strings.HasPrefix(how, "exit") && !strings.Contains(d.Error, "Traceback: no such category") || d.Class != api.ClassData {
						t.Errorf("a dead letter of class %s says %s", d.Class, d.Error)
					}
					return nil
				}))
			})
		}
	}
}

func TestARecordThatCrashesAProgramIsFound(t *testing.T) {
	b := programmed(t, api.PerSlot, "33=segv")
	b.job.MaxFailed = "5%"
	run := b.run()
	if run.State != api.RunIncomplete {
		t.Fatalf("run is %s(%s): %s", run.State, run.Reason, run.Message)
	}
	b.holds(run, 150, 33)
}

func TestARecordThatHangsAProgramIsFound(t *testing.T) {
	b := programmed(t, api.PerSlot, "33=hang")
	b.job.MaxFailed, b.job.Predict.RequestTimeout = "5%", "300ms"
	run := b.run()
	if run.State != api.RunIncomplete {
		t.Fatalf("run is %s(%s): %s", run.State, run.Reason, run.Message)
	}
	b.holds(run, 150, 33)
}

func TestAProgramThatWorksAnotherTimeIsAskedAgain(t *testing.T) {
	for _, per := range pers {
		b := programmed(t, per, "50=once "+filepath.Join(t.TempDir(), "once"))
		run := b.run()
		if run.State != api.RunSucceeded {
			t.Fatalf("%s: run is %s(%s): %s", per, run.State, run.Reason, run.Message)
		}
		b.holds(run, 150)
	}
}

func TestAProgramThatDoesNotStartSaysWhy(t *testing.T) {
	b := programmed(t, api.PerSlot, "start=ModuleNotFoundError: sklearn")
	run := b.run()
	if run.State != api.RunFailed || run.Reason != api.ReasonLaunchFailed || !strings.Contains(run.Message, "ModuleNotFoundError: sklearn") {
		t.Fatalf("run is %s(%s): %s", run.State, run.Reason, run.Message)
	}
}

func TestARefusedRecordIsRedrivenThroughARepairedProgram(t *testing.T) {
	b := programmed(t, api.PerMiniBatch, "13=exit 11")
	b.job.MaxFailed = "5%"
	run := b.run()
	b.holds(run, 150, 13)
	b.job.Predict.Program.Env["TEST_PROGRAM"] = ""
	b.put()
	_, err := b.engine.Retry(t.Context(), run.ID, api.RetryRun{DeadLetters: true}, "test")
	must(t, err)
	run = b.until(run.ID, func(run store.Run) bool { return run.State.Ended() && run.Attempt == 2 })
	if run.State != api.RunSucceeded {
		t.Fatalf("run is %s(%s): %s", run.State, run.Reason, run.Message)
	}
	b.holds(run, 150)
}

func TestPredictionsThatAreNoNumbersAreDeadLettersWhereTheJobSaysSo(t *testing.T) {
	b := programmed(t, api.PerSlot, `13=say {"score": NaN},14=say {"score": -Infinity}`)
	b.job.MaxFailed, b.job.Predict.NaN = "5%", api.NaNError
	run := b.run()
	b.holds(run, 150, 13, 14)
	must(t, b.store.DeadLetters(run.ID, func(d api.DeadLetter) error {
		if d.Class != api.ClassData || !strings.Contains(d.Error, `column "score"`) {
			t.Errorf("a dead letter of class %s says %s", d.Class, d.Error)
		}
		return nil
	}))
	if run.Isolation.Probes != 0 {
		t.Errorf("%d probes were sent for answers that are complete", run.Isolation.Probes)
	}
}

func TestAMiniBatchOfNothingButDeadLetters(t *testing.T) {
	rules := []string{}
	for record := 21; record <= 40; record++ {
		rules = append(rules, fmt.Sprintf(`%d=say {"score": NaN}`, record))
	}
	b := programmed(t, api.PerMiniBatch, strings.Join(rules, ","))
	b.job.MaxFailed, b.job.Predict.NaN = "50%", api.NaNError
	run := b.run()
	if c := run.Counts; run.State != api.RunIncomplete || c.DeadLettered != 20 || c.Committed != 130 {
		t.Errorf("run is %s(%s): %s, counts %+v", run.State, run.Reason, run.Message, c)
	}
}
