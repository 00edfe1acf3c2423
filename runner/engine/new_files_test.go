package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// newFiles has the job take each file of its input folder once.
func newFiles(t *testing.T, test func(b *bench)) {
	t.Helper()
	inMemory(t, func(b *bench) {
		must(t, os.Remove(b.input))
		b.job.Input.Mode, b.job.Input.Files.URI = api.ModeNewFiles, filepath.Join(b.dir, "in", "*.csv")
		test(b)
	})
}

func (b *bench) expectKnown(want string) {
	b.t.Helper()
	if got := strings.Join(b.known(), " "); got != want {
		b.t.Fatalf("the job knows %q, want %q", got, want)
	}
}

func (b *bench) expectIDs(n int, want ...string) {
	b.t.Helper()
	if got := b.ids(n); !slices.Equal(got, want) {
		b.t.Fatalf("published %v, want %v", got, want)
	}
}

func TestEachFileIsTakenOnce(t *testing.T) {
	newFiles(t, func(b *bench) {
		b.file("a.csv", 1, 7)
		b.file("b.csv", 101, 3)
		b.expect(b.day(0), "succeeded() 10/0/0/0")
		b.expectKnown("a.csv b.csv")
		b.file("c.csv", 201, 4)
		run := b.day(1)
		b.expect(run, "succeeded() 4/0/0/0")
		b.expectIDs(1, numbers(201, 204)...)
		if got := b.detail(run.ID, "planned"); got != "4 records in 1 mini-batch from 1 file" {
			b.t.Errorf("planned %q", got)
		}
		sent := b.server.Seen("")
		for id, n := range sent {
			if n != 1 {
				b.t.Errorf("record %s was sent %d times", id, n)
			}
		}
	})
}

func TestNothingNewIsASuccessWithoutAServer(t *testing.T) {
	newFiles(t, func(b *bench) {
		b.expect(b.day(0), "succeeded() 0/0/0/0") // an empty folder
		b.file("a.csv", 1, 7)
		b.day(1)
		pointer := func() string {
			text, err := os.ReadFile(filepath.Join(b.output, sink.LatestName))
			must(b.t, err)
			return string(text)
		}
		before, sends, probes := pointer(), len(b.server.Sends()), b.server.Probes()
		run := b.day(2)
		b.expect(run, "succeeded() 0/0/0/0")
		if run.Output != "" || run.Revision != 0 || pointer() != before {
			b.t.Errorf("a run without input has published %q: %s", run.Output, pointer())
		}
		if _, err := os.Stat(b.folder(run.Occurrence)); err == nil {
			b.t.Error("a run without input has made a folder")
		}
		if len(b.server.Sends()) != sends || b.server.Probes() != probes {
			b.t.Error("a run without input has asked the prediction server")
		}
	})
}

// A second run into one folder would replace the predictions of files that no
// run takes again.
func TestPredictionsOfNewFilesAreNotReplacedByThoseOfOthers(t *testing.T) {
	newFiles(t, func(b *bench) {
		b.file("a.csv", 1, 7)
		first := b.day(0)
		b.file("b.csv", 11, 3)
		second := b.wait(b.queue(first.Occurrence.Add(time.Hour)).ID) // of the same date
		b.expect(second, "failed(output_taken) 0/0/0/3")
		if !strings.Contains(second.Message, first.ID) || !strings.Contains(second.Message, "{run}") {
			b.t.Errorf("it says %q", second.Message)
		}
		b.expectIDs(0, "1", "2", "3", "4", "5", "6", "7")
		b.expect(b.day(1), "succeeded() 3/0/0/0")
	})
}

func TestAMissingFolderIsMissingInput(t *testing.T) {
	newFiles(t, func(b *bench) {
		b.job.Input.Files.URI = filepath.Join(b.dir, "elsewhere", "*.csv")
		b.expect(b.day(0), "failed(input_missing) 0/0/0/0")
	})
}

func TestATouchedFileIsKnownAndAChangedOneIsNew(t *testing.T) {
	newFiles(t, func(b *bench) {
		a := b.file("a.csv", 1, 7)
		first := b.day(0)
		b.age(a, 2*time.Hour)
		b.expect(b.day(1), "succeeded() 0/0/0/0")
		if info, err := os.Stat(a); err != nil || !b.knownModTime(a).Equal(info.ModTime()) {
			b.t.Errorf("the job knows the file as of %s, and it is read again with each run: %v", b.knownModTime(a), err)
		}
		text, err := os.ReadFile(a)
		must(b.t, err)
		must(b.t, os.WriteFile(a, append(text, "8,8,0.5\n"...), 0o644)) // appended
		b.age(a, time.Hour)
		run := b.day(2)
		b.expect(run, "succeeded() 8/0/0/0")
		if got := b.detail(run.ID, "warning"); !strings.Contains(got, a) || !strings.Contains(got, first.ID) {
			b.t.Errorf("the warning says %q", got)
		}
		must(b.t, os.WriteFile(a, []byte(strings.Replace(string(text)+"8,8,0.5\n", "3,3,", "9,9,", 1)), 0o644)) // same size
		b.age(a, time.Hour+time.Minute)
		b.expect(b.day(3), "succeeded() 8/0/0/0")
	})
}

func (b *bench) knownModTime(path string) time.Time {
	b.t.Helper()
	job, err := b.store.Job(b.job.Name)
	must(b.t, err)
	files, err := b.store.KnownFiles(job.UID, b.job.InputIdentity())
	must(b.t, err)
	for _, f := range files {
		if f.Path == path {
			return f.ModTime
		}
	}
	return time.Time{}
}

func TestYoungFilesAreLeftForTheNextRun(t *testing.T) {
	newFiles(t, func(b *bench) {
		b.job.Input.Files.MinAge = "5m"
		b.file("a.csv", 1, 3)
		young := b.file("b.csv", 101, 3)
		b.age(young, 4*time.Minute)
		run := b.day(0)
		b.expect(run, "succeeded() 3/0/0/0")
		if got := b.detail(run.ID, "planned"); !strings.HasSuffix(got, fmt.Sprintf("; 1 file left for the next run: %s (younger than 5m)", young)) {
			b.t.Errorf("planned %q", got)
		}
		b.expectKnown("a.csv")
		time.Sleep(2 * time.Minute)
		b.expect(b.day(1), "succeeded() 3/0/0/0")
		b.expectIDs(1, numbers(101, 103)...)
	})
}

func TestWithADoneMarkerFilesAreTakenWhenItIsThere(t *testing.T) {
	newFiles(t, func(b *bench) {
		b.job.Input.Files.URI, b.job.Input.Files.DoneMarker = filepath.Join(b.dir, "in", "*"), "*.done"
		b.job.Input.Files.Format = api.FormatCSV
		a, other := b.file("a.csv", 1, 3), b.file("b.csv", 101, 3)
		for _, path := range []string{a, other} {
			b.age(path, 0) // the marker says more than the age
		}
		must(b.t, os.WriteFile(a+".done", nil, 0o644))
		run := b.day(0)
		b.expect(run, "succeeded() 3/0/0/0")
		if got := b.detail(run.ID, "planned"); !strings.HasSuffix(got, other+" (without its marker)") {
			b.t.Errorf("planned %q", got)
		}
		must(b.t, os.WriteFile(other+".done", nil, 0o644))
		b.expect(b.day(1), "succeeded() 3/0/0/0")
		b.expectKnown("a.csv b.csv")
	})
}

func TestWhatAnIncrementalRunCouldNotFinishIsOwedUnderEveryPolicy(t *testing.T) {
	for _, policy := range []string{api.PolicyPartial, api.PolicyNextBatch} {
		t.Run(policy, func(t *testing.T) {
			newFiles(t, func(b *bench) {
				b.policy(policy)
				a := b.file("a.csv", 1, 10)
				repair := b.transient(6)
				r0 := b.day(0)
				b.expect(r0, "incomplete() 5/5/0/0")
				b.expectKnown("a.csv")
				b.expectOwed("r0:5*1", r0)
				repair()
				b.age(a, 5*time.Hour) // touched: still the records that are owed
				b.file("b.csv", 101, 3)
				r1 := b.day(1)
				b.expect(r1, "succeeded() 8/0/0/0")
				b.expectIDs(1, append(numbers(6, 10), numbers(101, 103)...)...)
				b.expectOwed("", r0, r1)
				if got := b.detail(r1.ID, "planned"); got != "8 records in 2 mini-batches from 2 files; 5 of them left by earlier runs" {
					b.t.Errorf("planned %q", got)
				}
			})
		})
	}
}

// owingChanged is a run that owes records of a file which has got one more
// since. The next run takes that whole: all 11 records, and none of them twice.
func (b *bench) owingChanged() (run store.Run, repair func()) {
	b.t.Helper()
	a := b.file("a.csv", 1, 10)
	repair = b.transient(6)
	run = b.day(0)
	b.expect(run, "incomplete() 5/5/0/0")
	b.expectOwed("r0:5*1", run)
	b.file("a.csv", 1, 11)
	b.age(a, 2*time.Hour)
	return run, repair
}

func TestAChangedFileReplacesWhatIsOwedOfIt(t *testing.T) {
	newFiles(t, func(b *bench) {
		r0, repair := b.owingChanged()
		repair()
		b.file("b.csv", 101, 3)
		hangs := make(chan struct{})
		b.server.Inject(predicttest.Fault{Record: "101", Times: 1, Do: func() { close(hangs) }, Hang: true})
		r1 := b.queue(occurrence.AddDate(0, 0, 1))
		<-hangs
		b.expectOwed("r0:5*1 by r1", r0, r1) // it is nobody else's meanwhile
		b.server.Release()
		r1 = b.rested(r1.ID)
		b.expect(r1, "succeeded() 14/0/0/0")
		b.expectIDs(1, append(numbers(1, 11), numbers(101, 103)...)...)
		b.expectOwed("", r0, r1)
		if got := b.detail(r1.ID, "warning"); !strings.HasSuffix(got, "all of it, and replaces 5 records of it that earlier runs owe") {
			b.t.Errorf("the warning says %q", got)
		}
		if got := b.detail(r1.ID, "planned"); strings.Contains(got, "left by earlier runs") {
			b.t.Errorf("planned %q", got)
		}
		_, err := b.engine.Retry(b.t.Context(), r0.ID, api.RetryRun{}, "test")
		if api.CodeOf(err) != api.CodeConflict || !strings.Contains(err.Error(), r1.ID) {
			b.t.Errorf("a retry of the run that owed them gives %v", err)
		}
		b.expect(b.day(2), "succeeded() 0/0/0/0")
	})
}

func TestWhatAChangedFileReplacesIsOwedUntilItsRunCommits(t *testing.T) {
	failed := func(b *bench) (r0, r1 store.Run) {
		r0, repair := b.owingChanged()
		repair()
		repair = b.server.Inject(predicttest.Fault{Purpose: predicttest.AnyPurpose, Status: 401})
		r1 = b.day(1)
		b.expect(r1, "failed(config) 0/0/0/11")
		b.expectOwed("r0:5*1", r0, r1)
		repair()
		return r0, r1
	}
	t.Run("its retry takes the file", func(t *testing.T) {
		newFiles(t, func(b *bench) {
			r0, r1 := failed(b)
			b.expect(b.retry(r1.ID), "succeeded() 11/0/0/0")
			b.expectOwed("", r0, r1)
			b.expect(b.day(2), "succeeded() 0/0/0/0")
		})
	})
	t.Run("the next run takes it", func(t *testing.T) {
		newFiles(t, func(b *bench) {
			r0, r1 := failed(b)
			r2 := b.day(2)
			b.expect(r2, "succeeded() 11/0/0/0")
			b.expectOwed("", r0, r1, r2)
			_, err := b.engine.Retry(b.t.Context(), r1.ID, api.RetryRun{}, "test")
			if api.CodeOf(err) != api.CodeConflict || !strings.Contains(err.Error(), r2.ID) {
				b.t.Errorf("retry gives %v", err)
			}
		})
	})
	t.Run("the old content comes back", func(t *testing.T) {
		newFiles(t, func(b *bench) {
			r0, r1 := failed(b)
			b.age(b.file("a.csv", 1, 10), 3*time.Hour)
			r2 := b.day(2) // what is owed of it is valid again
			b.expect(r2, "succeeded() 5/0/0/0")
			b.expectIDs(2, numbers(6, 10)...)
			b.expectOwed("", r0, r1, r2)
			_, err := b.engine.Retry(b.t.Context(), r1.ID, api.RetryRun{}, "test")
			if api.CodeOf(err) != api.CodeConflict || !strings.Contains(err.Error(), r2.ID) {
				b.t.Errorf("retry gives %v", err)
			}
		})
	})
}

// What is owed of a changed file waits with it.
func TestWhatIsOwedOfAChangedFileIsLeftWithItForTheNextRun(t *testing.T) {
	newFiles(t, func(b *bench) {
		b.job.Input.Files.MinAge = "5m"
		r0, repair := b.owingChanged()
		repair()
		b.age(filepath.Join(b.dir, "in", "a.csv"), 4*time.Minute)
		b.expect(b.day(1), "succeeded() 0/0/0/0")
		b.expectOwed("r0:5*1", r0)
		time.Sleep(2 * time.Minute)
		b.expect(b.day(2), "succeeded() 11/0/0/0")
		b.expectOwed("", r0)
	})
}

func TestARunThatCommitsNothingMovesNoMemory(t *testing.T) {
	newFiles(t, func(b *bench) {
		b.policy(api.PolicyPartial)
		b.job.MaxFailed = "100%"
		lines := []string{"id,a,b", "ragged", "ragged"}
		path := filepath.Join(b.dir, "in", "a.csv")
		must(b.t, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644))
		b.age(path, time.Hour)
		b.expect(b.day(0), "failed(nothing_succeeded) 0/0/2/0")
		b.expectKnown("")
		b.expectOwed("")
		b.file("b.csv", 101, 3)
		b.expect(b.day(1), "incomplete() 3/0/2/0")
		b.expectKnown("a.csv b.csv")
	})
}

func TestAWithheldRunAndTheNextNeverBothHaveAFile(t *testing.T) {
	withheld := func(b *bench) (run store.Run, repair func()) {
		b.file("a.csv", 1, 10)
		b.job.MaxFailed = "1"
		repair = b.transient(6)
		run = b.day(0)
		b.expect(run, "failed(max_failed) 0/0/0/10")
		b.expectKnown("")
		return run, repair
	}
	t.Run("the next run comes first", func(t *testing.T) {
		newFiles(t, func(b *bench) {
			run, repair := withheld(b)
			repair()
			next := b.day(1)
			b.expect(next, "succeeded() 10/0/0/0")
			_, err := b.engine.Retry(b.t.Context(), run.ID, api.RetryRun{}, "test")
			if api.CodeOf(err) != api.CodeConflict || !strings.Contains(err.Error(), next.ID) {
				b.t.Errorf("retry gives %v", err)
			}
			_, err = b.engine.Accept(b.t.Context(), run.ID, "good enough", "test")
			if api.CodeOf(err) != api.CodeConflict || !strings.Contains(err.Error(), next.ID) {
				b.t.Errorf("accept gives %v", err)
			}
		})
	})
	t.Run("accepted first", func(t *testing.T) {
		newFiles(t, func(b *bench) {
			run, repair := withheld(b)
			repair()
			_, err := b.engine.Accept(b.t.Context(), run.ID, "good enough", "test")
			must(b.t, err)
			b.expect(b.rested(run.ID), "incomplete(accepted) 5/5/0/0")
			b.expectKnown("a.csv")
			next := b.day(1)
			b.expect(next, "succeeded() 5/0/0/0")
			b.expectIDs(1, numbers(6, 10)...)
		})
	})
	t.Run("retried, and the next runs before it", func(t *testing.T) {
		newFiles(t, func(b *bench) {
			run, repair := withheld(b)
			repair()
			b.file("b.csv", 101, 3)
			hangs := make(chan struct{})
			b.server.Inject(predicttest.Fault{Record: "101", Times: 1, Do: func() { close(hangs) }, Hang: true})
			next := b.queue(occurrence.AddDate(0, 0, 1)) // has both files in its plan
			<-hangs
			_, err := b.engine.Retry(b.t.Context(), run.ID, api.RetryRun{}, "test")
			if api.CodeOf(err) != api.CodeConflict || !strings.Contains(err.Error(), next.ID) {
				b.t.Errorf("retry gives %v", err)
			}
			b.server.Release()
			b.expect(b.rested(next.ID), "succeeded() 13/0/0/0")
		})
	})
	t.Run("retried, and the next leaves it the file", func(t *testing.T) {
		newFiles(t, func(b *bench) {
			run, repair := withheld(b)
			b.file("b.csv", 101, 3)
			b.stop() // both wait in the queue for the next start
			b.open()
			_, err := b.engine.Retry(b.t.Context(), run.ID, api.RetryRun{}, "test")
			must(b.t, err)
			next := b.queueRun(store.Run{Run: api.Run{Occurrence: occurrence.AddDate(0, 0, 1), Origin: api.OriginCatchUp}}) // has its turn first
			repair()
			must(b.t, b.engine.Start(b.t.Context()))
			b.expect(b.rested(next.ID), "succeeded() 3/0/0/0")
			if got := b.detail(next.ID, "planned"); !strings.Contains(got, "run "+run.ID+" has it") {
				b.t.Errorf("planned %q", got)
			}
			b.expect(b.rested(run.ID), "succeeded() 10/0/0/0")
			b.expectKnown("a.csv b.csv")
		})
	})
}

// An older run that ends again does not take back what a newer one knows.
func TestARetryOfAnOlderRunForgetsNothingThatANewerOneTook(t *testing.T) {
	newFiles(t, func(b *bench) {
		a := b.file("a.csv", 1, 4)
		repair := b.server.Inject(predicttest.Fault{Purpose: predicttest.AnyPurpose, Record: "2", Status: 400})
		r0 := b.day(0)
		b.expect(r0, "incomplete() 3/0/1/0")
		repair()
		b.file("a.csv", 11, 5)
		b.age(a, 2*time.Hour)
		b.expect(b.day(1), "succeeded() 5/0/0/0")
		b.expect(b.retry(r0.ID), "incomplete() 3/0/1/0")
		b.expect(b.day(2), "succeeded() 0/0/0/0")
	})
}

func TestCompleteTakesNewFilesAllOrNothing(t *testing.T) {
	newFiles(t, func(b *bench) {
		b.policy(api.PolicyComplete)
		b.file("a.csv", 1, 10)
		repair := b.transient(6)
		b.expect(b.day(0), "failed(transient) 0/0/0/10")
		b.expectKnown("")
		repair()
		b.expect(b.day(1), "succeeded() 10/0/0/0")
		b.expectKnown("a.csv")
	})
}

func TestARunGoesOnWithItsPlanAfterARestart(t *testing.T) {
	newFiles(t, func(b *bench) {
		b.policy(api.PolicyNextBatch)
		b.file("a.csv", 1, 10)
		repair := b.transient(6)
		r0 := b.day(0)
		repair()
		b.file("b.csv", 101, 10)
		hangs := make(chan struct{})
		b.server.Inject(predicttest.Fault{Record: "101", Times: 1, Do: func() { close(hangs) }, Hang: true})
		r1 := b.queue(occurrence.AddDate(0, 0, 1))
		<-hangs
		b.stopWithin(0)
		b.open()
		b.expectOwed("r0:5*1 by r1", r0, r1)
		b.file("c.csv", 201, 1) // is of the next run
		must(b.t, b.engine.Start(b.t.Context()))
		b.expect(b.rested(r1.ID), "succeeded() 15/0/0/0")
		b.expectKnown("a.csv b.csv")
		b.expectOwed("", r0, r1)
	})
}

// Memory of another input, which a file may stand in, too, is no reason to
// plan for ever.
func TestMemoryOfAnotherInputKeepsNoFileBack(t *testing.T) {
	newFiles(t, func(b *bench) {
		b.file("a.csv", 1, 7)
		b.expect(b.day(0), "succeeded() 7/0/0/0")
		b.job.Input.Files.URI = filepath.Join(b.dir, "in", "a*.csv")
		b.expect(b.day(1), "succeeded() 7/0/0/0")
		b.expectKnown("a.csv")
	})
}
