//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

const (
	killedRunners = 4
	killsOfEach   = 25
	backfilled    = 60
)

// Runners killed again and again around the transaction that decides what is
// due decide each occurrence once: none is lost, none doubled, and neither are
// the runs, whatever the job says of overlap and missed occurrences.
func TestAHundredKillsAroundTheDecidingTransaction(t *testing.T) {
	for n := range killedRunners {
		t.Run(fmt.Sprintf("runner %d", n+1), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "")
			w.slots = 8 // for the busy and the others
			random := rand.New(rand.NewPCG(20261121, uint64(n)))
			running := w.serve("")
			uids := w.declareCalendar()
			w.kill(running, 0)
			reached := map[string]int{}
			for range killsOfEach {
				if random.IntN(4) == 0 { // an outage
					<-time.After(time.Duration(random.IntN(2500)) * time.Millisecond)
				}
				switch failpoint := []string{"trigger.before_commit", "trigger.after_commit", ""}[random.IntN(3)]; failpoint {
				case "":
					// The transaction begins with the second, or with the start.
					running = w.launch("")
					next := time.Until(time.Now().Truncate(time.Second).Add(time.Second))
					w.kill(running, next+time.Duration(random.IntN(60)-10)*time.Millisecond)
				default:
					w.must(os.RemoveAll(w.failpointLog()))
					err := w.ended(w.launch(failpoint + fmt.Sprintf(":%d", 1+random.IntN(4)/3)))
					w.assertReached(failpoint, "", err)
					reached[failpoint]++
				}
			}
			t.Logf("killed %d times: at %v, and at random around them", killsOfEach, reached)

			running = w.serve("")
			w.awaitCalendar(time.Now())
			w.must(running.Process.Signal(syscall.SIGTERM))
			if err := w.ended(running); err != nil {
				t.Errorf("the runner drained with %v", err)
			}
			w.checkCalendar(uids)
		})
	}
}

// declareCalendar puts jobs that are due every second or so. Those named busy
// have runs that do not end by themselves, as nobody predicts; the others have
// nothing to predict. It gives their uids by name.
func (w *world) declareCalendar() map[string]string {
	w.t.Helper()
	every := func(interval api.Duration) *api.Schedule { return &api.Schedule{Every: interval} }
	empty, uids := w.emptyInput(), map[string]string{}
	for name, job := range map[string]api.Job{
		"latest":      {Schedule: every("1s")},
		"all":         {Schedule: &api.Schedule{Cron: "* * * * * *"}, CatchUp: &api.CatchUp{Mode: api.CatchUpAll}},
		"none":        {Schedule: every("1s"), CatchUp: &api.CatchUp{Mode: api.CatchUpNone}},
		"allow":       {Schedule: every("1s"), Overlap: api.OverlapAllow},
		"jitter":      {Schedule: &api.Schedule{Every: "3s", Jitter: "2s"}},
		"paused":      {Schedule: every("1s"), Paused: new(true)},
		"refill":      {Schedule: every("1m")},
		"busy skip":   {Schedule: every("1s")},
		"busy one":    {Schedule: every("1s"), Overlap: api.OverlapQueueOne},
		"busy queue":  {Schedule: every("1s"), Overlap: api.OverlapQueueAll, MaxQueued: new(int64(3))},
		"busy cancel": {Schedule: every("2s"), Overlap: api.OverlapCancelRunning},
	} {
		job.Input, job.Predict = api.Input{Files: &api.InputFiles{URI: empty}, OnEmpty: api.OnEmptySkip}, w.job.Predict
		if strings.HasPrefix(name, "busy") {
			job.Input, job.Predict.Server, job.Predict.Endpoint = w.job.Input, nil, &api.Endpoint{URL: "http://127.0.0.1:9"}
		}
		job.Name = strings.ReplaceAll(name, " ", "-")
		job.Output = api.Output{Files: &api.OutputFiles{URI: filepath.Join(w.output(), job.Name) + "/{run}/"}}
		var stored api.StoredJob
		w.send(http.MethodPut, "/v1/jobs/"+job.Name, api.PutJob{Spec: job}, &stored)
		uids[name] = stored.UID
	}
	to := time.Now().UTC().Truncate(time.Minute)
	w.send(http.MethodPost, "/v1/jobs/refill/backfills", api.AskBackfill{
		From: to.Add(-(backfilled - 1) * time.Minute).Format(time.RFC3339), To: to.Format(time.RFC3339),
	}, nil)
	return uids
}

// awaitCalendar waits until a daemon has decided up to an instant, and has
// ended the backfill.
func (w *world) awaitCalendar(until time.Time) {
	w.t.Helper()
	w.poll("decisions and the backfill's end", func() bool {
		var status api.JobStatus
		var list struct {
			Backfills []api.Backfill `json:"backfills"`
		}
		return w.get("/v1/jobs/latest/status", &status) && status.Cursor.After(until) &&
			w.get("/v1/jobs/refill/backfills", &list) && len(list.Backfills) == 1 && !list.Backfills[0].EndedAt.IsZero()
	})
}

// checkCalendar reads the data dir of a runner that has stopped.
func (w *world) checkCalendar(uids map[string]string) {
	w.t.Helper()
	s, err := store.Open(context.Background(), w.dataDir(), time.Now)
	w.must(err)
	defer s.Close() //nolint:errcheck // read only
	for name, uid := range uids {
		job, err := s.JobByUID(uid)
		w.must(err)
		decisions, err := s.Decisions(uid, 1_000_000)
		w.must(err)
		runs, err := s.Runs(uid, 1_000_000)
		w.must(err)
		slices.Reverse(decisions) // oldest first
		asked := w.checkDecisions(job, decisions)
		w.checkRuns(name, asked, runs)

		standing, err := s.Standing(uid)
		w.must(err)
		verdicts := map[string]int64{}
		for _, d := range decisions {
			verdicts[string(d.Verdict)] += d.Count
		}
		for verdict, counts := range map[api.Verdict]map[string]int64{api.VerdictSkipped: standing.Skipped, api.VerdictMissed: standing.Missed} {
			sum := int64(0)
			for _, n := range counts {
				sum += n
			}
			if sum != verdicts[string(verdict)] {
				w.t.Errorf("job %s: %d occurrences are counted as %s, and decided so %d", name, sum, verdict, verdicts[string(verdict)])
			}
		}
		w.t.Logf("job %-11s %3d decisions, %3d runs: %v", name, len(decisions), len(runs), verdicts)
	}
	backfills, err := s.Backfills(uids["refill"], 10)
	w.must(err)
	if len(backfills) != 1 || backfills[0].Succeeded != backfilled || backfills[0].Total != backfilled {
		w.t.Errorf("the backfill stands at %+v", backfills)
	}
}

// checkDecisions holds that the rows, oldest first, are the job's enumeration
// cut into pieces, from its creation to its cursor. It gives the occurrences
// to run, by run.
func (w *world) checkDecisions(job store.Job, decisions []api.Decision) map[string]time.Time {
	w.t.Helper()
	rule, err := schedule.Parse(*job.Spec.Schedule)
	w.must(err)
	runs, decided := map[string]time.Time{}, job.CreatedAt
	for _, d := range decisions {
		if first, ok := rule.Next(decided); !ok || !first.Equal(d.First) {
			w.t.Errorf("job %s: after %s, %s is decided and not %s", job.Spec.Name, decided, d.First, first)
		}
		if d.Run != "" {
			runs[d.Run] = d.First
		}
		count := int64(0)
		for range rule.Between(d.First.Add(-1), d.Last) {
			count++
		}
		if count != d.Count || (d.Verdict == api.VerdictRun) != (d.Run != "") || d.Run != "" && d.Count != 1 {
			w.t.Errorf("job %s: %d occurrences are in %+v", job.Spec.Name, count, d)
		}
		decided = d.Last
	}
	if next, ok := rule.Next(decided); !ok || !next.After(job.Cursor) {
		w.t.Errorf("job %s: %s is not decided, and the cursor stands at %s", job.Spec.Name, next, job.Cursor)
	}
	return runs
}

// checkRuns holds that there is one run for each decision that asked for one,
// one for each occurrence of the backfill, and no other.
func (w *world) checkRuns(name string, asked map[string]time.Time, runs []store.Run) {
	w.t.Helper()
	seen := map[string]bool{}
	for _, run := range runs {
		key := run.Occurrence.String() + " " + string(run.Origin)
		if seen[key] || run.Sequence != 1 {
			w.t.Errorf("job %s: there are two runs of %s", name, key)
		}
		seen[key] = true
		at, ok := asked[run.ID]
		if decided := run.Origin != api.OriginBackfill; decided != ok || ok && !at.Equal(run.Occurrence) {
			w.t.Errorf("job %s: run %s of %s is decided for %s", name, run.ID, key, at)
		}
		delete(asked, run.ID)
		if run.State == api.RunFailed {
			w.t.Errorf("job %s: run %s of %s failed: %s", name, run.ID, key, run.Message)
		}
	}
	if len(asked) > 0 {
		w.t.Errorf("job %s: decided runs are not there: %v", name, asked)
	}
}

// kill ends a daemon by kill -9 after a while.
func (w *world) kill(running *exec.Cmd, after time.Duration) {
	w.t.Helper()
	<-time.After(after)
	w.must(running.Process.Kill())
	if err := w.ended(running); err == nil || !strings.Contains(err.Error(), "killed") {
		w.t.Fatalf("the runner ended by itself: %v\n%s", err, w.log())
	}
}

// ended waits for the end of a daemon, and gives how it ended.
func (w *world) ended(running *exec.Cmd) error {
	w.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- running.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(30 * time.Second):
		w.t.Fatalf("waited too long for the runner's end\n%s", w.log())
		return errors.New("unreachable")
	}
}
