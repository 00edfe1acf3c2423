package engine_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/engine"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// inMemory runs a test on a bench whose server is reached without a network
// and whose waits take no time: 30 records in mini-batches of 5.
func inMemory(t *testing.T, test func(b *bench)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, dir: dir, server: predicttest.New(predicttest.Options{}), fs: durable.OS(), slots: 2}
		b.input, b.output = filepath.Join(dir, "in", "iris.csv"), filepath.Join(dir, "out")
		b.log = slog.New(slog.NewTextHandler(testWriter{t}, nil))
		defer b.stop()
		b.url, b.reach = predicttest.MemoryURL, b.server.RoundTripper(t, 4)
		b.writeInput(records(30))
		b.job = b.baseJob()
		b.job.MiniBatch.Rows, b.job.Predict.RowsPerRequest = new(int64(5)), new(int64(5))
		b.job.MaxFailed = "50%"
		test(b)
	})
}

// policy sets the job's policy, with what else it is allowed.
func (b *bench) policy(policy string) {
	b.job.Retry = &api.Retry{Policy: policy, Backoff: []api.Duration{"10s"}}
	if policy == api.PolicyComplete {
		b.job.MaxFailed, b.job.Retry.Attempts = "", new(int64(1))
	}
}

// ended waits, in the bubble's time, until a run has ended.
func (b *bench) rested(id string) store.Run {
	b.t.Helper()
	for range 10_000 {
		run, err := b.store.Run(id)
		must(b.t, err)
		if !run.Counts.Balanced() {
			b.t.Fatalf("the accounting law is broken: %+v", run.Counts)
		}
		if run.State.Ended() {
			synctest.Wait() // its execution has left the slot
			return run
		}
		time.Sleep(time.Second)
	}
	b.t.Fatalf("run %s does not end", id)
	return store.Run{}
}

// day runs the job for the n-th occurrence.
func (b *bench) day(n int) store.Run {
	b.t.Helper()
	if b.store == nil {
		b.start()
	}
	return b.rested(b.queue(occurrence.AddDate(0, 0, n)).ID)
}

func (b *bench) retry(id string) store.Run {
	b.t.Helper()
	_, err := b.engine.Retry(b.t.Context(), id, api.RetryRun{}, "test")
	must(b.t, err)
	return b.rested(id)
}

// expect holds a run to how it ended: "state(reason) committed/carried/dead/unfinished".
func (b *bench) expect(run store.Run, want string) {
	b.t.Helper()
	c := run.Counts
	got := fmt.Sprintf("%s(%s) %d/%d/%d/%d", run.State, run.Reason, c.Committed, c.Carried, c.DeadLettered, c.Unfinished)
	if got != want {
		b.t.Fatalf("the run ended %s, want %s: %s", got, want, run.Message)
	}
}

// attempts are the passes of a run: "outcome(reason)" each.
func (b *bench) attempts(run string) string {
	b.t.Helper()
	all, err := b.store.RunAttempts(run)
	must(b.t, err)
	var texts []string
	for _, a := range all {
		if a.Outcome != "" && a.EndedAt.IsZero() {
			b.t.Errorf("attempt %d ended without an instant", a.Number)
		}
		texts = append(texts, fmt.Sprintf("%s(%s)", a.Outcome, a.Reason))
	}
	return strings.Join(texts, " ")
}

// ids are the records published for the n-th occurrence.
func (b *bench) ids(n int) []string {
	b.t.Helper()
	ids := []string{}
	for _, row := range b.published(b.folder(occurrence.AddDate(0, 0, n))) {
		ids = append(ids, fmt.Sprint(row["id"]))
	}
	return ids
}

func numbers(from, to int) (all []string) {
	for i := from; i <= to; i++ {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

func TestWhatBecomesOfRunsUnderEachPolicy(t *testing.T) {
	gone := predicttest.Fault{Record: "7", Status: 503}
	refused := predicttest.Fault{Purpose: predicttest.AnyPurpose, Record: "7", Status: 400}
	down := predicttest.Fault{Status: 503}
	for _, test := range []struct {
		name, policy, maxFailed string
		fault                   predicttest.Fault
		ragged                  int // line of a record that can't be read
		first                   string
		retried                 string // after the repair
		attempts                string
	}{
		{"all goes well", "partial", "1%", predicttest.Fault{Times: 1, Delay: time.Second}, 0, "succeeded() 30/0/0/0", "", "succeeded()"},
		{"all goes well", "complete", "", predicttest.Fault{Times: 1, Delay: time.Second}, 0, "succeeded() 30/0/0/0", "", "succeeded()"},
		{"all goes well", "next_batch", "1%", predicttest.Fault{Times: 1, Delay: time.Second}, 0, "succeeded() 30/0/0/0", "", "succeeded()"},

		{"some can't be reached", "partial", "50%", gone, 0, "incomplete() 25/0/0/5", "succeeded() 30/0/0/0", "incomplete() succeeded()"},
		{"some can't be reached", "complete", "", gone, 0, "failed(transient) 0/0/0/30", "succeeded() 30/0/0/0", "queued(transient) failed(transient) succeeded()"},
		{"some can't be reached", "next_batch", "50%", gone, 0, "incomplete() 25/5/0/0", "succeeded() 30/0/0/0", "incomplete() succeeded()"},

		{"more than allowed", "partial", "10%", gone, 0, "failed(max_failed) 0/0/0/30", "succeeded() 30/0/0/0", "failed(max_failed) succeeded()"},
		{"more than allowed", "next_batch", "10%", gone, 0, "failed(max_failed) 0/0/0/30", "succeeded() 30/0/0/0", "failed(max_failed) succeeded()"},

		{"one is refused", "partial", "50%", refused, 0, "incomplete() 29/0/1/0", "", "incomplete()"},
		{"one is refused", "complete", "", refused, 0, "failed(data) 0/0/0/30", "succeeded() 30/0/0/0", "failed(data) succeeded()"},
		{"one is refused", "next_batch", "50%", refused, 0, "incomplete() 29/0/1/0", "", "incomplete()"},

		{"one can't be read", "partial", "50%", predicttest.Fault{}, 7, "incomplete() 29/0/1/0", "", "incomplete()"},
		{"one can't be read", "complete", "", predicttest.Fault{}, 7, "failed(bad_record) 0/0/0/30", "", "failed(bad_record)"},
		{"one can't be read", "next_batch", "50%", predicttest.Fault{}, 7, "incomplete() 29/0/1/0", "", "incomplete()"},

		{"nothing is predicted", "partial", "100%", down, 0, "failed(nothing_succeeded) 0/0/0/30", "succeeded() 30/0/0/0", "failed(nothing_succeeded) succeeded()"},
		{"nothing is predicted", "next_batch", "100%", down, 0, "failed(nothing_succeeded) 0/0/0/30", "succeeded() 30/0/0/0", "failed(nothing_succeeded) succeeded()"},
	} {
		t.Run(test.policy+": "+test.name, func(t *testing.T) {
			inMemory(t, func(b *bench) {
				b.policy(test.policy)
				b.job.MaxFailed = test.maxFailed
				if test.ragged > 0 {
					lines := records(30)
					lines[test.ragged] = "ragged"
					b.writeInput(lines)
				}
				repair := b.server.Inject(test.fault)
				run := b.day(0)
				b.expect(run, test.first)
				published := b.folder(occurrence)
				if _, err := os.Stat(published); (err == nil) != (run.Counts.Committed > 0) {
					t.Errorf("%d records are committed, and the folder: %v", run.Counts.Committed, err)
				}
				repair()
				if test.retried != "" {
					b.expect(b.retry(run.ID), test.retried)
					if got := b.ids(0); !slices.Equal(got, numbers(1, 30)) {
						t.Errorf("published %v", got)
					}
				}
				if got := b.attempts(run.ID); got != test.attempts {
					t.Errorf("the attempts ended %s, want %s", got, test.attempts)
				}
			})
		})
	}
}

func TestUnderCompleteEveryPredictionComesFromOneRunAttempt(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.policy(api.PolicyComplete)
		seen := 0
		repair := b.server.Inject(predicttest.Fault{Record: "28", Status: 503, Do: func() { seen++ }})
		b.start()
		run := b.queue(occurrence)
		for range 100_000 {
			if all, err := b.store.RunAttempts(run.ID); err != nil || len(all) > 0 && all[0].Outcome != "" {
				must(b.t, err)
				break
			}
			time.Sleep(time.Millisecond)
		}
		repair()
		ended := b.rested(run.ID)
		b.expect(ended, "succeeded() 30/0/0/0")
		if got, want := b.attempts(run.ID), "queued(transient) succeeded()"; got != want || seen == 0 {
			b.t.Fatalf("the attempts ended %s, want %s", got, want)
		}
		parts, err := b.store.MiniBatches(run.ID, 0, 100)
		must(b.t, err)
		for _, m := range parts {
			if filepath.Dir(m.StagedPath) != "2" {
				b.t.Errorf("mini-batch %d is of %s, not of the second attempt", m.Number, m.StagedPath)
			}
		}
		sent := map[string]int{}
		for _, send := range b.server.Sends() {
			if strings.HasPrefix(send.Key, run.ID+"/2/") {
				for _, record := range send.Records {
					sent[record]++
				}
			}
		}
		if len(sent) != 30 {
			b.t.Errorf("the second attempt sent %d of 30 records: what was staged before is not of it", len(sent))
		}
	})
}

func TestARetryUnderCompleteHasAllItsRunAttemptsAgain(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.policy(api.PolicyComplete)
		b.job.Retry.MaxRunAttempts = new(int64(3))
		b.server.Inject(predicttest.Fault{Record: "28", Status: 503})
		run := b.day(0)
		b.expect(b.retry(run.ID), "failed(transient) 0/0/0/30")
		want := strings.Repeat("queued(transient) queued(transient) failed(transient) ", 2)
		if got := b.attempts(run.ID); got != strings.TrimSpace(want) {
			b.t.Errorf("the attempts ended %s, want %s", got, want)
		}
		if again, err := b.store.Run(run.ID); err != nil || again.Counts.Staged != 0 || again.Withheld {
			b.t.Errorf("of a run that must begin anew %+v is kept, %v", again.Counts, err)
		}
	})
}

func TestTheMessageOfACompleteRunNamesTheRecord(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.policy(api.PolicyComplete)
		b.server.Inject(predicttest.Fault{Purpose: predicttest.AnyPurpose, Record: "28", Status: 422})
		run := b.day(0)
		if !strings.Contains(run.Message, b.input+":29") {
			b.t.Errorf("the message does not say which record it was: %s", run.Message)
		}
		if letters := b.lettersOf(run.ID); len(letters) != 0 {
			b.t.Errorf("dead letters of a run that published nothing: %v", letters)
		}
	})
}

// An upgrade comes while a run is under way: the plan stands, what was staged
// in the old form is predicted again.
func TestAnUpgradeStartsOverTheSamePlan(t *testing.T) {
	defer engine.KnowPlanFormat(7, false)()
	inMemory(t, func(b *bench) {
		b.policy(api.PolicyPartial)
		hangs := make(chan struct{})
		b.server.Inject(predicttest.Fault{Record: "28", Times: 1, Do: func() { close(hangs) }, Hang: true})
		b.start()
		run := b.queue(occurrence)
		<-hangs
		synctest.Wait()
		b.stopWithin(0)
		b.open()
		stopped, err := b.store.Run(run.ID)
		must(b.t, err)
		if stopped.Counts.Staged == 0 {
			b.t.Fatal("nothing was staged before the upgrade")
		}
		must(b.t, b.store.Write(b.t.Context(), func(tx *store.Tx) error { return tx.SetPlanFormat(run.ID, 7) }))
		must(b.t, b.engine.Start(b.t.Context()))
		ended := b.rested(run.ID)
		b.expect(ended, "succeeded() 30/0/0/0")
		if got := b.attempts(run.ID); got != "superseded(superseded) succeeded()" {
			b.t.Errorf("the attempts ended %s", got)
		}
		if ended.PlanHash != stopped.PlanHash {
			b.t.Error("the plan is another one")
		}
		if got := b.detail(run.ID, "superseded"); !strings.Contains(got, "upgraded") {
			b.t.Errorf("the history says %q", got)
		}
	})
}

func TestAPlanThatNoLongerCanBeReadFailsTheRun(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.server.Inject(predicttest.Fault{Status: 503})
		run := b.day(0)
		must(b.t, b.store.Write(b.t.Context(), func(tx *store.Tx) error { return tx.SetPlanFormat(run.ID, 99) }))
		again := b.retry(run.ID)
		if again.Reason != api.Reason(api.ClassConfig) || !strings.Contains(again.Message, "trigger the occurrence again") {
			b.t.Errorf("the run ended %s(%s): %s", again.State, again.Reason, again.Message)
		}
	})
}

// lettersOf are a run's dead letters: "id class" each.
func (b *bench) lettersOf(run string) (letters []string) {
	b.t.Helper()
	must(b.t, b.store.DeadLetters(run, func(d api.DeadLetter) error {
		letters = append(letters, d.Key["id"]+" "+string(d.Class))
		return nil
	}))
	return letters
}
