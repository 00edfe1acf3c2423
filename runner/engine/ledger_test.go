package engine_test

import (
	"cmp"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// daily gives each occurrence an input of its own: n records from id on.
func (b *bench) daily(n, first, count int) {
	b.t.Helper()
	b.job.Input.Files.URI = filepath.Join(b.dir, "in", "{date}.csv")
	b.file(occurrence.AddDate(0, 0, n).Format("2006-01-02")+".csv", first, count)
}

// file writes an input file of count records, the first of that id. It has been
// left alone for an hour.
func (b *bench) file(name string, first, count int) string {
	b.t.Helper()
	lines := []string{"id,a,b"}
	for i := first; i < first+count; i++ {
		lines = append(lines, fmt.Sprintf("%d,%d,0.5", i, i))
	}
	path := filepath.Join(b.dir, "in", name)
	must(b.t, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644))
	b.age(path, time.Hour)
	return path
}

// age sets when a file was written last.
func (b *bench) age(path string, age time.Duration) {
	b.t.Helper()
	at := time.Now().Add(-age)
	must(b.t, os.Chtimes(path, at, at))
}

// owed are the job's ledger entries: "run owing it:records*carries", with the
// run that has taken them.
func (b *bench) owed(runs ...store.Run) (entries []string) {
	b.t.Helper()
	names := map[string]string{"": ""}
	for i, run := range runs {
		names[run.ID] = fmt.Sprint("r", i)
	}
	job, err := b.store.Job(b.job.Name)
	must(b.t, err)
	all, err := b.store.LedgerPage(job.UID, 0, 1000)
	must(b.t, err)
	for _, o := range all {
		entry := fmt.Sprintf("%s:%d*%d", names[o.Run], o.Records, o.Carries)
		if o.TakenBy != "" {
			entry += " by " + names[o.TakenBy]
		}
		entries = append(entries, entry)
	}
	return entries
}

func (b *bench) expectOwed(want string, runs ...store.Run) {
	b.t.Helper()
	if got := strings.Join(b.owed(runs...), ", "); got != want {
		b.t.Fatalf("the job owes %q, want %q", got, want)
	}
}

// known are the files that the job knows, by name.
func (b *bench) known() (names []string) {
	b.t.Helper()
	job, err := b.store.Job(b.job.Name)
	must(b.t, err)
	files, err := b.store.KnownFiles(job.UID, b.job.InputIdentity())
	must(b.t, err)
	for _, f := range files {
		names = append(names, filepath.Base(f.Path))
	}
	slices.Sort(names)
	return names
}

// detail is what a run's first event of a kind says.
func (b *bench) detail(run, kind string) string {
	b.t.Helper()
	events, err := b.store.Events(run)
	must(b.t, err)
	for _, e := range events {
		if e.Kind == kind {
			return e.Detail
		}
	}
	return ""
}

// transient makes requests with these records fail for a while.
func (b *bench) transient(ids ...int) (repair func()) {
	var repairs []func()
	for _, id := range ids {
		repairs = append(repairs, b.server.Inject(predicttest.Fault{Record: fmt.Sprint(id), Status: 503}))
	}
	return func() {
		for _, repair := range repairs {
			repair()
		}
	}
}

// Five runs of a job that carries: each has 10 records of its own, in two
// mini-batches.
func TestTheLedgerAcrossRunsThatEndInEveryWay(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.policy(api.PolicyNextBatch)
		for n := range 6 {
			b.daily(n, 100*n+1, 10)
		}
		repair := b.transient(1)
		r0 := b.day(0) // 1 to 5 are given up
		b.expect(r0, "incomplete() 5/5/0/0")
		b.expectOwed("r0:5*1", r0)
		if !strings.HasSuffix(r0.Message, "; 5 records are carried to the next run") {
			b.t.Errorf("the message says %q", r0.Message)
		}

		down := b.server.Inject(predicttest.Fault{Status: 503})
		r1 := b.day(1) // nothing succeeds: it carries nothing, and nothing moves
		b.expect(r1, "failed(max_failed) 0/0/0/15")
		b.expectOwed("r0:5*1", r0)
		down()

		bad := b.server.Inject(predicttest.Fault{Purpose: predicttest.AnyPurpose, Record: "201", Status: 400})
		r2 := b.day(2) // sends them again in vain, and has a bad record of its own
		bad()
		b.expect(r2, "incomplete() 9/5/1/0")
		b.expectOwed("r0:5*2", r0)

		repair()
		other := b.transient(306)
		r3 := b.day(3) // they recover, and others are given up
		b.expect(r3, "incomplete() 10/5/0/0")
		b.expectOwed("r3:5*1", r0, r1, r2, r3)
		if got := b.ids(3); !slices.Equal(got, append(numbers(1, 5), numbers(301, 305)...)) {
			b.t.Errorf("what was carried does not come first: %v", got)
		}

		b.expect(b.day(4), "incomplete() 10/5/0/0") // 306 to 310 for the second time
		r5 := b.day(5)                              // and for the third: the last
		b.expect(r5, "incomplete() 10/0/5/0")
		b.expectOwed("")
		other()
		want := []string{"306 carried_out", "307 carried_out", "308 carried_out", "309 carried_out", "310 carried_out"}
		if got := b.lettersOf(r5.ID); !slices.Equal(got, want) {
			b.t.Errorf("dead letters %v", got)
		}
		letters, err := os.ReadFile(filepath.Join(b.folder(r5.Occurrence), "_DEAD_LETTERS.jsonl"))
		if err != nil || strings.Count(string(letters), "carried_out") != 5 || !strings.Contains(string(letters), "306,306,0.5") {
			b.t.Errorf("beside the output: %s, %v", letters, err)
		}
		if m := b.manifest(b.folder(r5.Occurrence)); m.Counts != r5.Counts {
			b.t.Errorf("the manifest says %+v, the run %+v", m.Counts, r5.Counts)
		}
		if m := b.manifest(b.folder(r3.Occurrence)); m.Counts != r3.Counts {
			b.t.Errorf("the manifest says %+v, the run %+v", m.Counts, r3.Counts)
		}

		// The second run still has its own records to predict; what it took of the
		// first was done by others since.
		_, err = b.engine.Retry(b.t.Context(), r1.ID, api.RetryRun{}, "test")
		if api.CodeOf(err) != api.CodeConflict || !strings.Contains(err.Error(), "run "+r3.ID+" has finished") {
			b.t.Errorf("a retry of what another run has done gives %v", err)
		}
	})
}

// Where the input is one file that stays, what an earlier run owes of it is part
// of the next run's own input: it is planned once, however that is cut.
func TestWhatIsOwedOfTheRunsOwnInputIsPlannedOnce(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.policy(api.PolicyNextBatch)
		b.job.Input.Files.URI = b.file("all.csv", 1, 20)
		b.job.MiniBatch.Rows = new(int64(5))
		repair := b.transient(7)
		first := b.day(0)
		b.expect(first, "incomplete() 15/5/0/0")
		repair()
		b.job.MiniBatch.Rows = new(int64(4))
		second := b.day(1)
		b.expect(second, "succeeded() 20/0/0/0")
		b.expectOwed("")
		got := b.ids(1)
		slices.SortFunc(got, func(a, c string) int { return cmp.Or(cmp.Compare(len(a), len(c)), cmp.Compare(a, c)) })
		if !slices.Equal(got, numbers(1, 20)) {
			b.t.Errorf("published %v", got)
		}
		b.expect(b.wait(b.queue(second.Occurrence).ID), "succeeded() 20/0/0/0") // once more: nothing of it is owed elsewhere
	})
}

// What a run took over from an earlier one lies in its folder alone, and so the
// folder is not replaced by a run that does not have it.
func TestAFolderWithRecordsTakenOverIsNotReplaced(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.policy(api.PolicyNextBatch)
		b.daily(0, 1, 10)
		repair := b.transient(3)
		first := b.day(0)
		repair()
		b.daily(1, 11, 10)
		second := b.day(1)
		b.expect(second, "succeeded() 15/0/0/0")
		again := b.wait(b.queue(second.Occurrence).ID)
		b.expect(again, "failed(output_taken) 0/0/0/10")
		if !strings.Contains(again.Message, second.ID) {
			b.t.Errorf("it says %q", again.Message)
		}
		b.expect(b.wait(b.queue(first.Occurrence).ID), "succeeded() 10/0/0/0") // nothing was taken over there
	})
}

func TestCarriedRecordsWhoseFileHasChangedAreDeadLetters(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.policy(api.PolicyNextBatch)
		b.daily(0, 1, 10)
		b.daily(1, 101, 10)
		repair := b.transient(6)
		r0 := b.day(0)
		repair()
		b.file(filepath.Base(b.expandedInput(0)), 1, 11)
		r1 := b.day(1)
		b.expect(r1, "incomplete() 10/0/5/0")
		b.expectOwed("", r0, r1)
		var lines []int64
		must(b.t, b.store.DeadLetters(r1.ID, func(d api.DeadLetter) error {
			if d.Class != api.ClassInputChanged || d.Input != "" {
				b.t.Errorf("dead letter %+v", d)
			}
			lines = append(lines, d.Source.Line)
			return nil
		}))
		if !slices.Equal(lines, []int64{7, 8, 9, 10, 11}) {
			b.t.Errorf("lines %v", lines)
		}
	})
}

func (b *bench) expandedInput(n int) string {
	return strings.ReplaceAll(b.job.Input.Files.URI, "{date}", occurrence.AddDate(0, 0, n).Format("2006-01-02"))
}

// How a run ends decides what becomes of what it took from the ledger.
func TestWhatARunTookFromTheLedgerIsFreeAgainUnlessItCommits(t *testing.T) {
	for name, end := range map[string]struct {
		end  func(b *bench) store.Run
		want string
	}{
		"cancelled": {func(b *bench) store.Run {
			hangs := make(chan struct{})
			b.server.Inject(predicttest.Fault{Record: "101", Times: 1, Do: func() { close(hangs) }, Hang: true})
			run := b.queue(occurrence.AddDate(0, 0, 1))
			<-hangs
			b.expectOwed("r0:5*1 by r1", b.runAt(0), run)
			_, err := b.engine.Cancel(b.t.Context(), run.ID, "test")
			must(b.t, err)
			return b.rested(run.ID)
		}, "cancelled()"},
		"failed": {func(b *bench) store.Run {
			b.server.Inject(predicttest.Fault{Purpose: predicttest.AnyPurpose, Status: 401})
			return b.day(1)
		}, "failed(config)"},
		"withheld": {func(b *bench) store.Run {
			b.transient(101)
			b.job.MaxFailed = "1"
			return b.day(1)
		}, "failed(max_failed)"},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, func(b *bench) {
				b.policy(api.PolicyNextBatch)
				b.daily(0, 1, 10)
				b.daily(1, 101, 10)
				b.daily(2, 201, 10)
				repair := b.transient(6)
				r0 := b.day(0)
				repair()
				r1 := end.end(b)
				if got := fmt.Sprintf("%s(%s)", r1.State, r1.Reason); got != end.want {
					t.Fatalf("the run ended %s: %s", got, r1.Message)
				}
				b.expectOwed("r0:5*1", r0, r1)
			})
		})
	}
}

// runAt is the run of the n-th occurrence.
func (b *bench) runAt(n int) store.Run {
	b.t.Helper()
	job, err := b.store.Job(b.job.Name)
	must(b.t, err)
	runs, err := b.store.Runs(job.UID, 100)
	must(b.t, err)
	at := slices.IndexFunc(runs, func(r store.Run) bool { return r.Occurrence.Equal(occurrence.AddDate(0, 0, n)) })
	return runs[at]
}

// A withheld run, the next run, and who may still do what with the records that
// both planned.
func TestRetryAndAcceptAreRefusedOnceAnotherRunHasTakenOver(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.policy(api.PolicyNextBatch)
		for n := range 4 {
			b.daily(n, 100*n+1, 10)
		}
		repair := b.transient(6)
		r0 := b.day(0)
		repair()
		repair = b.transient(101)
		b.job.MaxFailed = "1"
		r1 := b.day(1) // withheld, with the carried records staged
		repair()
		b.job.MaxFailed = "50%"

		hangs := make(chan struct{})
		b.server.Inject(predicttest.Fault{Record: "201", Times: 1, Do: func() { close(hangs) }, Hang: true})
		r2 := b.queue(occurrence.AddDate(0, 0, 2))
		<-hangs
		refused := func(when, what string, taker store.Run, err error) {
			b.t.Helper()
			if api.CodeOf(err) != api.CodeConflict || !strings.Contains(err.Error(), taker.ID) {
				b.t.Errorf("%s: %s gives %v, which does not name run %s", when, what, err, taker.ID)
			}
		}
		both := func(when string, run, taker store.Run) {
			b.t.Helper()
			_, err := b.engine.Retry(b.t.Context(), run.ID, api.RetryRun{}, "test")
			refused(when, "retry", taker, err)
			_, err = b.engine.Accept(b.t.Context(), run.ID, "good enough", "test")
			if run.State == api.RunFailed {
				refused(when, "accept", taker, err)
			}
		}
		both("taken", r1, r2)
		both("taken", r0, r2)
		b.server.Release()
		b.expect(b.rested(r2.ID), "succeeded() 15/0/0/0")
		both("settled", r1, r2)
		both("settled", r0, r2)
	})
}

// What others have finished since does not keep a run from sending its own dead
// letters again.
func TestDeadLettersAreRedrivenThoughTheLedgerHasMovedOn(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.policy(api.PolicyNextBatch)
		b.daily(0, 1, 15)
		b.daily(1, 101, 10)
		repair := b.transient(6)
		mend := b.server.Inject(predicttest.Fault{Purpose: predicttest.AnyPurpose, Record: "1", Status: 400})
		r0 := b.day(0)
		b.expect(r0, "incomplete() 9/5/1/0")
		repair()
		b.expect(b.day(1), "succeeded() 15/0/0/0")
		mend()
		_, err := b.engine.Retry(b.t.Context(), r0.ID, api.RetryRun{DeadLetters: true}, "test")
		must(b.t, err)
		b.expect(b.rested(r0.ID), "incomplete() 10/5/0/0")
		b.expectIDs(0, append(numbers(1, 5), numbers(11, 15)...)...)
		b.expectOwed("")
	})
}

func TestAnAcceptedRunLeavesWhatItHasNotDoneToTheNext(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.policy(api.PolicyNextBatch)
		b.daily(0, 1, 10)
		b.daily(1, 101, 10)
		repair := b.transient(6)
		b.job.MaxFailed = "1"
		run := b.day(0)
		b.expect(run, "failed(max_failed) 0/0/0/10")
		b.expectOwed("")
		_, err := b.engine.Accept(b.t.Context(), run.ID, "good enough", "test")
		must(b.t, err)
		b.expect(b.rested(run.ID), "incomplete(accepted) 5/5/0/0")
		b.expectOwed("r0:5*1", run)
		repair()
		b.expect(b.day(1), "succeeded() 15/0/0/0")
		b.expectOwed("")
	})
}

func TestARetryOfTheSameRunDoesNotCountAsAnotherCarry(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.policy(api.PolicyNextBatch)
		b.daily(0, 1, 10)
		repair := b.transient(6)
		run := b.day(0)
		for range 4 {
			b.expect(b.retry(run.ID), "incomplete() 5/5/0/0")
			b.expectOwed("r0:5*1", run)
		}
		repair()
		b.expect(b.retry(run.ID), "succeeded() 10/0/0/0")
		b.expectOwed("")
		if got := b.ids(0); !slices.Equal(got, numbers(1, 10)) {
			b.t.Errorf("published %v", got)
		}
	})
}

func TestPurgingAJobForgetsWhatItOwes(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.policy(api.PolicyNextBatch)
		b.daily(0, 1, 10)
		b.transient(6)
		run := b.day(0)
		must(b.t, b.store.Write(b.t.Context(), func(tx *store.Tx) error { return tx.PurgeJob(run.JobUID) }))
		db, err := sql.Open("sqlite", "file:"+filepath.Join(b.dir, "data", store.File)+"?mode=ro")
		must(b.t, err)
		defer func() { must(b.t, db.Close()) }()
		for _, table := range []string{"ledger", "known_files"} {
			n := 0
			must(b.t, db.QueryRow(`SELECT COUNT(*) FROM `+table).Scan(&n))
			if n != 0 {
				b.t.Errorf("%d rows of %s are left", n, table)
			}
		}
	})
}

func TestAWithheldRunThatIsSweptLeavesEverythingToTheNext(t *testing.T) {
	newFiles(t, func(b *bench) {
		b.policy(api.PolicyNextBatch)
		b.file("a.csv", 1, 10)
		repair := b.transient(6)
		b.job.MaxFailed, b.job.KeepWithheld = "1", "1h"
		run := b.day(0)
		b.expect(run, "failed(max_failed) 0/0/0/10")
		time.Sleep(2 * time.Hour)
		swept, err := b.store.Run(run.ID)
		must(b.t, err)
		if swept.Withheld || swept.Counts.Staged != 0 {
			b.t.Fatalf("after keep_withheld it has %+v", swept.Counts)
		}
		repair()
		b.expect(b.day(1), "succeeded() 10/0/0/0")
	})
}

// With progressive output a run that is cancelled has committed what can be
// seen already, and so the rest of its files is owed.
func TestACancelledProgressiveRunOwesWhatItHasNotShown(t *testing.T) {
	newFiles(t, func(b *bench) {
		b.policy(api.PolicyNextBatch)
		b.job.Output.Publish = api.PublishProgressive
		b.job.Parallelism = new(int64(1))
		b.file("a.csv", 1, 15)
		hangs := make(chan struct{})
		b.server.Inject(predicttest.Fault{Record: "11", Times: 1, Do: func() { close(hangs) }, Hang: true})
		b.start()
		run := b.queue(occurrence)
		<-hangs
		_, err := b.engine.Cancel(b.t.Context(), run.ID, "test")
		must(b.t, err)
		cancelled := b.rested(run.ID)
		b.expect(cancelled, "cancelled() 10/5/0/0")
		b.expectKnown("a.csv")
		b.expectOwed("r0:5*0", run)
		b.expect(b.day(1), "succeeded() 5/0/0/0")
		b.expectIDs(1, numbers(11, 15)...)
	})
}
