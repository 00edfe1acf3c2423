//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/runner/e2e/accountant"
)

// defaultKills is how many kills must hit in the middle of a run; E2E_KILLS
// overrides it.
const defaultKills = 20

// killLanes is how many worlds are killed side by side: they mostly wait.
const killLanes = 4

// Kills at random instants, of the runner, of the server or of both, lose and
// double nothing: the same command again publishes what an undisturbed run
// does, to the byte. Those that hit between the first staged and the last
// mini-batch qualify.
func TestRandomKillsLoseAndDoubleNothing(t *testing.T) {
	kills := defaultKills
	if text := os.Getenv("E2E_KILLS"); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatalf("E2E_KILLS=%s is not a number", text)
		}
	}
	reference := slowWorld(t, newWorld(t, "").input)
	reference.predicts(0)
	score := killScore{want: reference.tree()}
	seed := rand.Uint64()
	t.Run("kills", func(t *testing.T) {
		for lane := range killLanes {
			t.Run(fmt.Sprint(lane), func(t *testing.T) {
				t.Parallel()
				random := rand.New(rand.NewPCG(seed, uint64(lane)))
				for n := 0; score.more(kills) && !t.Failed(); n++ {
					t.Run(fmt.Sprint(n), func(t *testing.T) { score.kill(t, reference.input, random) })
				}
			})
		}
	})
	t.Logf("seed %d: %d kills, %d qualified (%s); %d records lost, %d doubled, %d orphans; done after the restart: median %s, longest %s",
		seed, score.tried, score.qualified, score.victims(), score.lost, score.doubled, score.orphans, score.recovery(0.5), score.recovery(1))
	if score.lost+score.doubled+score.orphans > 0 {
		t.Fail()
	}
	if score.qualified < kills && !t.Failed() {
		t.Errorf("only %d kills hit in the middle of a run, want %d", score.qualified, kills)
	}
}

// slowWorld is one whose runs have a middle.
func slowWorld(t *testing.T, input string) *world {
	w := newWorld(t, input)
	w.faults(map[string]any{"Delay": 25 * time.Millisecond})
	return w
}

// killScore is what came of the kills so far.
type killScore struct {
	want map[string]string

	mu                     sync.Mutex
	tried, qualified       int
	lost, doubled, orphans int
	byVictim               map[string]int
	recoveries             []time.Duration
}

// more tells whether further kills are needed. Most qualify; if few do, the
// test is at fault.
func (k *killScore) more(kills int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.qualified >= kills || k.tried >= 3*kills+10 {
		return false
	}
	k.tried++
	return true
}

func (k *killScore) kill(t *testing.T, input string, random *rand.Rand) {
	w := slowWorld(t, input)
	victim := []string{"runner", "server", "both"}[random.IntN(3)]
	cmd := w.command("")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	w.must(cmd.Start())
	w.poll("a staged part", func() bool {
		parts, _ := filepath.Glob(filepath.Join(w.output(), ".batch", "*", "*", "*"))
		return len(parts) > 0 || cmd.ProcessState != nil
	})
	<-time.After(time.Duration(random.IntN(400)) * time.Millisecond) // the instant is the point
	w.strike(victim, cmd)
	err := cmd.Wait()
	runnerKilled := victim != "server" && exitCode(err) == -1
	staged := len(w.stagedNow())
	qualified := staged > 0 && staged < 150 || victim == "server" && w.relaunched()
	start := time.Now()
	again, unswept := w.goOn(runnerKilled, err, output.String())
	k.judge(w, victim, qualified, again, time.Since(start), unswept)
}

// strike kills with kill -9.
func (w *world) strike(victim string, runner *exec.Cmd) {
	if victim != "runner" {
		for _, environ := range w.orphans() { // the server is one as far as that tells
			if pid, err := strconv.Atoi(strings.Split(environ, "/")[2]); err == nil && pid != runner.Process.Pid {
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
			}
		}
	}
	if victim != "server" {
		_ = runner.Process.Kill() // it may have ended
	}
}

// stagedNow are the records with a result, as the books have it.
func (w *world) stagedNow() (records []string) {
	w.t.Helper()
	account, err := accountant.Audit(w.dataDir(), w.output(), "id")
	w.must(err)
	if err := account.Err(); err != nil {
		w.t.Error(err)
	}
	for _, run := range account.Runs {
		records = append(records, run.Staged...)
	}
	return records
}

// goOn gives the same command again after its runner was killed, but not behind
// the end of the run: it would be another one. Then unswept is what the runner had
// no time to remove.
func (w *world) goOn(killed bool, err error, output string) (again bool, unswept string) {
	w.t.Helper()
	switch {
	case killed && w.hasSucceeded():
		w.poll("the server to go with its runner", func() bool { return len(w.orphans()) == 0 })
		return false, ".batch"
	case killed:
		w.predicts(0)
	case err != nil:
		w.t.Errorf("the command ended with %v\n%s", err, output)
	}
	return killed, ""
}

// hasSucceeded tells whether the run is over, as the books have it.
func (w *world) hasSucceeded() bool {
	w.t.Helper()
	for _, run := range w.audit().Runs {
		if run.State == "succeeded" {
			return true
		}
	}
	return false
}

// relaunched tells whether the run needed more than one server.
func (w *world) relaunched() bool {
	for name, text := range w.manifests() {
		if !strings.Contains(text, `"launches":1,`) && !strings.Contains(text, `"launches": 1,`) {
			return name != ""
		}
	}
	return false
}

// manifests are the published ones, as they are.
func (w *world) manifests() map[string]string {
	w.t.Helper()
	all := map[string]string{}
	paths, err := filepath.Glob(filepath.Join(w.output(), "*", "_MANIFEST.json"))
	w.must(err)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		w.must(err)
		all[path] = string(text)
	}
	return all
}

// judge compares what is published with the undisturbed run's, by key and by
// byte; what begins with unswept, if it is set, may be left.
func (k *killScore) judge(w *world, victim string, qualified, restarted bool, took time.Duration, unswept string) {
	w.t.Helper()
	for _, difference := range differences(k.want, w.tree(), unswept) {
		w.t.Errorf("%s killed: %s", victim, difference)
	}
	account := w.audit()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, run := range account.Runs {
		k.lost += 150 - run.Count(accountant.Published)
	}
	for _, wrong := range account.Wrong {
		if strings.Contains(wrong, "doubled") {
			k.doubled++
		}
	}
	k.orphans += len(w.orphans())
	if qualified {
		k.qualified++
		if k.byVictim == nil {
			k.byVictim = map[string]int{}
		}
		k.byVictim[victim]++
	}
	if restarted {
		k.recoveries = append(k.recoveries, took)
	}
}

func (k *killScore) victims() string {
	var parts []string
	for _, victim := range []string{"runner", "server", "both"} {
		parts = append(parts, fmt.Sprintf("%s %d", victim, k.byVictim[victim]))
	}
	return strings.Join(parts, ", ")
}

// recovery is a quantile of the times from the restart to the end of the run.
func (k *killScore) recovery(q float64) time.Duration {
	if len(k.recoveries) == 0 {
		return 0
	}
	slices.Sort(k.recoveries)
	return k.recoveries[int(q*float64(len(k.recoveries)-1))].Round(time.Millisecond)
}
