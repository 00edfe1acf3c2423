package engine_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
	"github.com/batchpattern/terraform-provider-batch/runner/engine"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/sink/sinktest"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// refuse has the server refuse records, alone or among others.
func (b *bench) refuse(records ...string) (accept func()) {
	var removes []func()
	for _, record := range records {
		removes = append(removes, b.server.Inject(predicttest.Fault{Purpose: predicttest.AnyPurpose, Record: record, Status: 422, Body: "no"}))
	}
	return func() {
		for _, remove := range removes {
			remove()
		}
	}
}

func (b *bench) redrive(id string) {
	b.t.Helper()
	_, err := b.engine.Retry(b.t.Context(), id, api.RetryRun{DeadLetters: true}, "test")
	must(b.t, err)
}

// files are the contents of a folder, without its manifest.
func files(t *testing.T, folder string) map[string]string {
	t.Helper()
	found := map[string]string{}
	must(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == sink.ManifestName {
			return err
		}
		text, err := os.ReadFile(path)
		found[entry.Name()] = string(text)
		return err
	}))
	return found
}

// letters are the dead letters of a run, "position of the record: attempts".
func (b *bench) letters(id string) (all []api.DeadLetter) {
	b.t.Helper()
	must(b.t, b.store.DeadLetters(id, func(letter api.DeadLetter) error {
		all = append(all, letter)
		return nil
	}))
	return all
}

func TestDeadLettersAreSentAgainAndNothingElse(t *testing.T) {
	for _, format := range []string{api.FormatJSONL, api.FormatCSV} {
		t.Run(format, func(t *testing.T) {
			var undisturbed map[string]string
			setUp := func(b *bench) {
				b.job.Output.Files.Format = format
				b.job.Output.Keep = []string{"id", "b"}
			}
			inMemory(t, func(b *bench) {
				setUp(b)
				b.expect(b.day(0), "succeeded() 30/0/0/0")
				undisturbed = files(b.t, b.folder(occurrence))
			})
			inMemory(t, func(b *bench) {
				setUp(b)
				// One alone, two neighbours, and a whole mini-batch.
				accept := b.refuse("1", "13", "14", "21", "22", "23", "24", "25")
				run := b.day(0)
				b.expect(run, "incomplete() 22/0/8/0")
				accept()
				before := len(b.server.Sends())
				b.redrive(run.ID)
				run = b.rested(run.ID)
				b.expect(run, "succeeded() 30/0/0/0")

				var again []string
				for _, send := range b.server.Sends()[before:] {
					if send.Purpose == "" {
						again = append(again, send.Records...)
					}
				}
				slices.Sort(again)
				if want := []string{"1", "13", "14", "21", "22", "23", "24", "25"}; !slices.Equal(again, want) {
					b.t.Errorf("sent again: %v", again)
				}
				if got := files(b.t, b.folder(occurrence)); !maps.Equal(got, undisturbed) {
					b.t.Errorf("the folder holds %q\nan undisturbed run's %q", got, undisturbed)
				}
				m := b.manifest(b.folder(occurrence))
				if m.Revision != 2 || run.Revision != 2 || m.Counts != run.Counts || len(m.Parts) != 6 {
					b.t.Errorf("the manifest is %+v", m)
				}
				if letters := b.letters(run.ID); len(letters) > 0 {
					b.t.Errorf("dead letters %+v", letters)
				}
			})
		})
	}
}

func TestWhatIsRefusedAgainStaysDead(t *testing.T) {
	inMemory(t, func(b *bench) {
		lines := records(30)
		lines[12] = "12,many,0.5" // can't be read, and so is never sent
		b.writeInput(lines)
		acceptOne, _ := b.refuse("11"), b.refuse("14")
		run := b.day(0)
		b.expect(run, "incomplete() 27/0/3/0")
		first := b.letters(run.ID)
		acceptOne()
		b.redrive(run.ID)
		run = b.rested(run.ID)
		b.expect(run, "incomplete() 28/0/2/0")
		left := b.letters(run.ID)
		if len(left) != 2 || left[0].Class != api.ClassBadRecord || left[0].Attempts != first[1].Attempts || left[1].Class != api.ClassData ||
			left[1].Attempts <= first[2].Attempts || !left[1].FirstSeen.Equal(first[2].FirstSeen) || !left[1].LastSeen.After(first[2].LastSeen) {
			b.t.Errorf("dead letters %+v, were %+v", left, first)
		}
		if ids := b.ids(0); len(ids) != 28 || !slices.Contains(ids, "11") {
			b.t.Errorf("published: %v", ids)
		}
		if text := files(b.t, b.folder(occurrence))["_DEAD_LETTERS.jsonl"]; strings.Count(text, "\n") != 2 {
			b.t.Errorf("beside the output: %s", text)
		}
	})
}

// However a redrive fails, what was published stays, with its dead letters, and
// it can be tried again.
func TestARedriveThatFailsChangesNothing(t *testing.T) {
	const before, after = "incomplete() 28/0/2/0", "succeeded() 30/0/0/0"
	for name, c := range map[string]struct {
		fault predicttest.Fault
		end   func(b *bench, id string)
		want  string
	}{
		"the server fails": {predicttest.Fault{Status: 503}, nil, before},
		"it is cancelled": {predicttest.Fault{Hang: true}, func(b *bench, id string) {
			_, err := b.engine.Cancel(b.t.Context(), id, "test")
			must(b.t, err)
		}, "cancelled() 28/0/2/0"},
		"it is cancelled when some is staged": {predicttest.Fault{Record: "22", Hang: true}, func(b *bench, id string) {
			b.inTime("one mini-batch to be staged", func() bool {
				run, err := b.store.Run(id)
				must(b.t, err)
				return run.Counts.Staged == 1
			})
			_, err := b.engine.Cancel(b.t.Context(), id, "test")
			must(b.t, err)
		}, "cancelled() 28/0/2/0"},
		"the credentials are gone": {predicttest.Fault{Status: 401}, nil, "failed(config) 28/0/2/0"},
		"the input has changed":    {predicttest.Fault{}, func(b *bench, _ string) {}, "failed(input_changed) 28/0/2/0"},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, func(b *bench) {
				b.job.Predict.RequestTimeout = "1h"
				accept := b.refuse("11", "22")
				run := b.day(0)
				b.expect(run, before)
				accept()
				published, letters := files(b.t, b.folder(occurrence)), b.letters(run.ID)
				remove := b.server.Inject(c.fault)
				if c.want == "failed(input_changed) 28/0/2/0" {
					b.writeInput(records(31))
				}
				b.redrive(run.ID)
				if c.end != nil && c.fault.Hang {
					must(b.t, b.server.WaitSent(b.t.Context(), 1))
					c.end(b, run.ID)
				}
				run = b.rested(run.ID)
				b.expect(run, c.want)
				if got := files(b.t, b.folder(occurrence)); !maps.Equal(got, published) || run.Revision != 1 {
					b.t.Errorf("revision %d holds %q\nbefore: %q", run.Revision, got, published)
				}
				if now := b.letters(run.ID); len(now) != len(letters) {
					b.t.Errorf("dead letters %+v, were %+v", now, letters)
				}
				if c.want == "failed(input_changed) 28/0/2/0" {
					return
				}
				remove()
				b.redrive(run.ID)
				b.expect(b.rested(run.ID), after)
			})
		})
	}
}

func TestARedriveGoesOnAfterARestart(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.job.Predict.RequestTimeout = "1h"
		accept := b.refuse("11", "22")
		run := b.day(0)
		accept()
		published := files(b.t, b.folder(occurrence))
		remove := b.server.Inject(predicttest.Fault{Record: "22", Hang: true})
		b.redrive(run.ID)
		b.inTime("one mini-batch to be staged", func() bool {
			run, err := b.store.Run(run.ID)
			must(b.t, err)
			return run.Counts.Staged == 1
		})
		b.stop()
		if got := files(b.t, b.folder(occurrence)); !maps.Equal(got, published) {
			b.t.Errorf("half a redrive shows: %q", got)
		}
		remove()
		b.start()
		b.expect(b.rested(run.ID), "succeeded() 30/0/0/0")
	})
}

// The dead letters of a withheld run are merged into what is staged.
func TestAWithheldRunIsRedriven(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.job.MaxFailed = "0"
		accept := b.refuse("22")
		b.job.Parallelism = new(int64(1))
		run := b.day(0)
		if !run.Withheld {
			b.t.Fatalf("the run ended %s(%s): %s", run.State, run.Reason, run.Message)
		}
		accept()
		b.redrive(run.ID)
		b.expect(b.rested(run.ID), "succeeded() 30/0/0/0")
		sent := b.server.Seen("")
		for id, n := range sent {
			if n != 1 && id != "21" && id != "22" && id != "23" && id != "24" && id != "25" {
				b.t.Errorf("record %s was sent %d times", id, n)
			}
		}
	})
}

func TestRedrivesThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(b *bench)
		again bool // the occurrence is run once more before
		text  string
	}{
		"no dead letters":         {func(b *bench) { b.server.Inject(predicttest.Fault{Record: "7", Status: 503}) }, false, "no dead letters"},
		"only unreadable ones":    {func(b *bench) { line(7, "x")(b) }, false, "could not be read"},
		"replaced by another run": {func(b *bench) { b.refuse("7") }, true, "has replaced"},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, func(b *bench) {
				c.spoil(b)
				run := b.day(0)
				if run.State != api.RunIncomplete {
					b.t.Fatalf("the run ended %s(%s): %s", run.State, run.Reason, run.Message)
				}
				if c.again {
					b.day(0)
				}
				_, err := b.engine.Retry(b.t.Context(), run.ID, api.RetryRun{DeadLetters: true}, "test")
				refusal, ok := errors.AsType[*api.Error](err)
				if !ok || refusal.Code != api.CodeConflict || !strings.Contains(err.Error(), c.text) {
					b.t.Fatalf("got %v", err)
				}
				if now, err := b.store.Run(run.ID); err != nil || now.State != run.State || now.Counts != run.Counts {
					b.t.Errorf("the run is %s, %+v: %v", now.State, now.Counts, err)
				}
			})
		})
	}
}

// Somebody wrote into the published part: nothing is merged with it.
func TestARedriveOfAChangedOutputFails(t *testing.T) {
	for name, spoil := range map[string]func(part string) error{
		"changed": func(part string) error { return os.WriteFile(part, []byte("{}\n"), 0o644) },
		"gone":    os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, func(b *bench) {
				accept := b.refuse("22")
				run := b.day(0)
				accept()
				must(b.t, spoil(filepath.Join(b.folder(occurrence), "part-000005.jsonl")))
				b.redrive(run.ID)
				run = b.rested(run.ID)
				b.expect(run, "failed(publish) 29/0/1/0")
				if !strings.Contains(run.Message, "mini-batch 5") {
					b.t.Errorf("it says: %s", run.Message)
				}
			})
		})
	}
}

func TestCarriedRecordsAreRedriven(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.policy(api.PolicyNextBatch)
		remove := b.server.Inject(predicttest.Fault{Record: "11", Status: 503})
		b.expect(b.day(0), "incomplete() 25/5/0/0")
		remove()
		accept := b.refuse("12", "22") // 12 is carried, 22 is not
		run := b.day(1)
		b.expect(run, "incomplete() 28/0/2/0")
		accept()
		b.redrive(run.ID)
		b.expect(b.rested(run.ID), "succeeded() 30/0/0/0")
		owed, err := b.store.Owes(run.JobUID, "")
		must(b.t, err)
		if len(owed) > 0 {
			b.t.Errorf("still owed: %+v", owed)
		}
	})
}

// What an accepted run has left to the next one is not its own any more, also
// where it was never tried.
func TestARedriveLeavesAloneWhatItsRunHasLeftToTheNext(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.policy(api.PolicyNextBatch)
		b.daily(0, 1, 30)
		b.daily(1, 101, 10)
		b.job.Parallelism, b.job.MaxFailed = new(int64(1)), "0"
		accept := b.refuse("7")
		run := b.day(0) // stops at once: 11 to 30 are pending
		_, err := b.engine.Accept(b.t.Context(), run.ID, "good enough", "test")
		must(b.t, err)
		b.expect(b.rested(run.ID), "incomplete(accepted) 9/20/1/0")
		b.expect(b.day(1), "succeeded() 30/0/0/0") // has them
		accept()
		b.job.MaxFailed = "100%"
		b.put()
		b.redrive(run.ID)
		b.expect(b.rested(run.ID), "incomplete() 10/20/0/0")
		if sent := b.server.Seen("")["30"]; sent != 1 {
			b.t.Errorf("what the next run has finished was sent %d times", sent)
		}
	})
}

// The file of carried records is often gone by the time their dead letters are
// sent again: what was predicted of it stays.
func TestARedriveOfCarriedRecordsWhoseFileIsGoneLosesNothing(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.policy(api.PolicyNextBatch)
		b.daily(1, 101, 10)
		b.daily(0, 1, 10)
		repair := b.transient(1)
		b.expect(b.day(0), "incomplete() 5/5/0/0")
		repair()
		accept := b.refuse("2", "102") // 2 is carried
		run := b.day(1)
		b.expect(run, "incomplete() 13/0/2/0")
		accept()
		must(b.t, os.Remove(filepath.Join(b.dir, "in", occurrence.Format("2006-01-02")+".csv")))
		b.redrive(run.ID)
		b.expect(b.rested(run.ID), "incomplete() 14/0/1/0")
		if ids := b.ids(1); len(ids) != 14 || !slices.Contains(ids, "1") || !slices.Contains(ids, "102") {
			b.t.Errorf("published: %v", ids)
		}
		if left := b.letters(run.ID); len(left) != 1 || left[0].Class != api.ClassData {
			b.t.Errorf("dead letters %+v", left)
		}
	})
}

// In a progressive folder the result before stays visible until the end, and
// where the redrive fails.
func TestAProgressiveRunIsRedriven(t *testing.T) {
	inMemory(t, func(b *bench) {
		progressive(b)
		b.job.MaxFailed = "0"
		accept := b.refuse("7")
		run := b.day(0)
		b.expect(run, "failed(max_failed) 9/0/1/20")
		accept()
		down := b.server.Inject(predicttest.Fault{Record: "17", Status: 401})
		b.redrive(run.ID)
		run = b.rested(run.ID)
		b.expect(run, "failed(config) 14/0/1/15") // 11 to 15 are shown, too
		if ids := b.ids(0); len(ids) != 14 || slices.Contains(ids, "7") {
			b.t.Errorf("visible: %v", ids)
		}
		down()
		b.redrive(run.ID)
		b.expect(b.rested(run.ID), "succeeded() 30/0/0/0")
		if m, err := sinktest.Check(os.DirFS(b.folder(occurrence))); err != nil || m.Counts.Committed != 30 {
			b.t.Errorf("published %+v: %v", m, err)
		}
	})
}

// Parts that a newer runner can't go on with are given up, and the redrive with
// them: what was published stays.
func TestAnUpgradeEndsARedrive(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.job.Predict.RequestTimeout = "1h"
		accept := b.refuse("11", "22")
		run := b.day(0)
		accept()
		remove := b.server.Inject(predicttest.Fault{Record: "22", Hang: true})
		b.redrive(run.ID)
		b.inTime("one mini-batch to be staged", func() bool {
			run, err := b.store.Run(run.ID)
			must(b.t, err)
			return run.Counts.Staged == 1
		})
		b.stop()
		remove()
		defer engine.KnowPlanFormat(99, false)()
		b.open()
		must(b.t, b.store.Write(b.t.Context(), func(tx *store.Tx) error { return tx.SetPlanFormat(run.ID, 99) }))
		must(b.t, b.engine.Start(b.t.Context()))
		b.expect(b.rested(run.ID), "incomplete() 28/0/2/0")
		b.redrive(run.ID)
		b.expect(b.rested(run.ID), "succeeded() 30/0/0/0")
	})
}

// A redrive that betters nothing, and can't be published, leaves what was.
func TestARedriveThatIsNeverPublishedIsGivenUp(t *testing.T) {
	inMemory(t, func(b *bench) {
		disk := durabletest.New(b.fs)
		b.fs = disk
		b.job.KeepWithheld = "1h"
		accept := b.refuse("11", "22")
		run := b.day(0)
		disk.Fail(durabletest.Exchange, syscall.EIO)
		b.redrive(run.ID)
		b.expect(b.rested(run.ID), "failed(publish) 28/0/2/0")
		time.Sleep(2 * time.Hour)
		disk.Fail(durabletest.Exchange, nil)
		accept()
		b.retry(run.ID)
		b.redrive(run.ID)
		b.expect(b.rested(run.ID), "succeeded() 30/0/0/0")
	})
}
