package engine_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
	"github.com/batchpattern/terraform-provider-batch/runner/object/objecttest"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

// zip makes a compressed input of CSV lines.
func (b *bench) zip(path string, lines []string) {
	b.t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte(strings.Join(lines, "\n") + "\n"))
	must(b.t, err)
	must(b.t, w.Close())
	must(b.t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(b.t, os.WriteFile(path, packed.Bytes(), 0o644))
}

// spools are the runs that have copies of input.
func (b *bench) spools() []string {
	b.t.Helper()
	found, err := filepath.Glob(filepath.Join(b.dir, "data", "runs", "*", "spool"))
	must(b.t, err)
	for i := range found {
		found[i] = filepath.Base(filepath.Dir(found[i]))
	}
	return found
}

func parquetOf(t *testing.T, n int) []byte {
	t.Helper()
	var file bytes.Buffer
	w, err := format.NewWriter(api.FormatParquet, &file, []api.Column{{Name: "id", Type: api.TypeInt64}, {Name: "a", Type: api.TypeInt64}, {Name: "b", Type: api.TypeDouble}})
	must(t, err)
	for i := 1; i <= n; i++ {
		id := format.Value{Bytes: fmt.Append(nil, i), JSON: true}
		must(t, w.Write([]format.Value{id, id, {Bytes: []byte("0.5"), JSON: true}}))
	}
	must(t, w.Close())
	return file.Bytes()
}

// However its records are stored, a run gives the same output.
func TestTheOutputIsTheSameHoweverTheInputIsStored(t *testing.T) {
	for name, store := range map[string]func(b *bench){
		"csv": func(*bench) {},
		"csv, no header": func(b *bench) {
			b.writeInput(records(30)[1:])
			b.job.Input.Files.Header, b.job.Input.Files.Columns = new(false), []string{"id", "a", "b"}
		},
		"gzip": func(b *bench) { b.job.Input.Files.URI = b.input + ".gz"; b.zip(b.input+".gz", records(30)) },
		"parquet": func(b *bench) {
			b.job.Input.Files.URI = b.input + ".parquet"
			must(b.t, os.WriteFile(b.input+".parquet", parquetOf(b.t, 30), 0o644))
		},
		"folders": func(b *bench) {
			b.zip(filepath.Join(b.dir, "in", "b=0.5", "x.csv.gz"), func() (cut []string) {
				for _, line := range records(30) {
					cut = append(cut, line[:strings.LastIndex(line, ",")])
				}
				return cut
			}())
			b.job.Input.Files = &api.InputFiles{URI: filepath.Join(b.dir, "in", "**", "*.csv.gz"), HivePartitions: new(true)}
		},
		"object":         func(b *bench) { b.object("in/a.csv", []byte(strings.Join(records(30), "\n"))) },
		"parquet object": func(b *bench) { b.object("in/a.parquet", parquetOf(b.t, 30)) },
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, func(b *bench) {
				store(b)
				run := b.day(0)
				b.expect(run, "succeeded() 30/0/0/0")
				b.expectIDs(0, numbers(1, 30)...)
				for i, row := range b.published(b.folder(occurrence)) {
					if row["id"] != fmt.Sprint(i+1) && row["id"] != float64(i+1) {
						t.Fatalf("record %d is %v", i+1, row)
					}
				}
				if got := b.spools(); len(got) > 0 {
					t.Errorf("copies are left of runs %v", got)
				}
			})
		})
	}
}

// object puts the input into a store.
func (b *bench) object(key string, content []byte) *objecttest.Memory {
	b.t.Helper()
	bucket := objecttest.NewMemory()
	_, err := bucket.Put(b.t.Context(), key, bytes.NewReader(content), int64(len(content)), object.Condition{})
	must(b.t, err)
	b.stores = object.StoresOf(map[string]object.Bucket{"s3://bucket": bucket})
	b.job.Input.Files.URI = "s3://bucket/" + key
	return bucket
}

func TestAnObjectThatChangesEndsTheRun(t *testing.T) {
	inMemory(t, func(b *bench) {
		bucket := b.object("in/a.csv", []byte(strings.Join(records(30), "\n")))
		repair := b.transient(17)
		run := b.day(0)
		b.expect(run, "incomplete() 25/0/0/5")
		repair()
		text := []byte(strings.Join(records(31), "\n"))
		_, err := bucket.Put(b.t.Context(), "in/a.csv", bytes.NewReader(text), int64(len(text)), object.Condition{})
		must(t, err)
		run = b.retry(run.ID)
		if run.Reason != api.Reason(api.ClassInputChanged) || !strings.Contains(run.Message, "s3://bucket/in/a.csv") {
			t.Errorf("the retry ended %s(%s): %s", run.State, run.Reason, run.Message)
		}
	})
}

// away is a bucket that can't be reached until an instant.
type away struct {
	object.Bucket
	until atomic.Int64
}

func (a *away) Read(ctx context.Context, key, etag string, offset, length int64) (io.ReadCloser, error) {
	if time.Now().UnixNano() < a.until.Load() {
		return nil, syscall.ECONNRESET
	}
	return a.Bucket.Read(ctx, key, etag, offset, length)
}

func TestAStoreThatIsAwayIsWaitedFor(t *testing.T) {
	inMemory(t, func(b *bench) {
		bucket := &away{Bucket: b.object("in/a.csv", []byte(strings.Join(records(30), "\n")))}
		b.stores = object.StoresOf(map[string]object.Bucket{"s3://bucket": bucket})
		b.job.Retry.Attempts = new(int64(1))
		b.job.Retry.Backoff = []api.Duration{"30s"}
		b.job.Parallelism = new(int64(1))
		b.server.Inject(predicttest.Fault{Times: 1, Delay: 1, Do: func() { bucket.until.Store(time.Now().Add(10 * time.Minute).UnixNano()) }})
		b.expect(b.day(0), "succeeded() 30/0/0/0")
	})
}

// What a run copied of its input stays as long as somebody may read it again.
func TestACopyStaysWhileTheRunCanGoOn(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.job.Input.Files.URI = b.input + ".gz"
		b.zip(b.input+".gz", records(30))
		repair := b.transient(17)
		run := b.day(0)
		b.expect(run, "incomplete() 25/0/0/5")
		must(t, os.Remove(b.input+".gz")) // the copy is what counts
		must(t, b.engine.SweepSpools())
		b.stop()
		b.start()
		if got := b.spools(); !slices.Equal(got, []string{run.ID}) {
			t.Fatalf("there are copies of runs %v", got)
		}
		repair()
		b.expect(b.retry(run.ID), "succeeded() 30/0/0/0")
		if got := b.spools(); len(got) > 0 {
			t.Errorf("copies are left of runs %v", got)
		}
	})
}

// One dead letter each night must not keep a copy of the whole input each night.
func TestACopyGoesOnceTheRunCanNotBeTakenUpAnyMore(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.job.Input.Files.URI = b.input + ".gz"
		b.zip(b.input+".gz", records(30))
		accept := b.refuse("17")
		run := b.day(0)
		b.expect(run, "incomplete() 29/0/1/0")
		accept()
		time.Sleep(api.DefaultKeepWithheld.Value() - time.Minute)
		must(t, b.engine.SweepSpools())
		b.refuse("17")
		b.redrive(run.ID)
		b.expect(b.rested(run.ID), "incomplete() 29/0/1/0") // from now on it is kept as long again
		time.Sleep(api.DefaultKeepWithheld.Value())
		must(t, b.engine.SweepSpools())
		if got := b.spools(); len(got) > 0 {
			t.Errorf("copies are left of runs %v", got)
		}
		_, err := b.engine.Retry(b.t.Context(), run.ID, api.RetryRun{DeadLetters: true}, "test")
		refusedWith(t, err, api.CodeConflict, "is not kept any longer, as keep_withheld says")
		if told, ok := errors.AsType[*api.Error](err); !ok || !strings.Contains(told.Hint, "batch-runner rerun iris --occurrence 2026-11-21T02:00:00Z") {
			t.Errorf("it says %v", err)
		}
		if after, err := b.store.Run(run.ID); err != nil || after.State != api.RunIncomplete || after.Counts.DeadLettered != 1 {
			t.Errorf("the run is %s %+v: %v", after.State, after.Counts, err)
		}
	})
}

// The copy is what was planned: it is never read as something else.
func TestACopyThatChangesEndsTheRun(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.job.Input.Files.URI = b.input + ".gz"
		b.zip(b.input+".gz", records(30))
		repair := b.transient(17)
		run := b.day(0)
		b.expect(run, "incomplete() 25/0/0/5")
		repair()
		copied, err := filepath.Glob(filepath.Join(b.engine.RunDir(run.ID), "spool", "*"))
		must(b.t, err)
		text, err := os.ReadFile(copied[0])
		must(b.t, err)
		if takes, err := b.engine.SpoolBytes(); err != nil || len(takes) != 1 || takes[run.ID] != int64(len(text)) {
			b.t.Errorf("copies take %v, %v; the one there is has %d bytes", takes, err, len(text))
		}
		must(b.t, os.WriteFile(copied[0], append(text, "31,31,0.5\n"...), 0o600))
		run = b.retry(run.ID)
		if run.Reason != api.Reason(api.ClassInputChanged) || !strings.Contains(run.Message, "the copy that run "+run.ID+" made of input") {
			b.t.Errorf("the retry ended %s(%s): %s", run.State, run.Reason, run.Message)
		}
	})
}

// The decision comes before the removal: a crash in between leaves a copy that
// nobody reads, and that the next look removes.
func TestACopyThatIsHalfRemovedIsNotRead(t *testing.T) {
	inMemory(t, func(b *bench) {
		disk := durabletest.New(durable.OS())
		b.fs = disk
		b.job.Input.Files.URI = b.input + ".gz"
		b.zip(b.input+".gz", records(30))
		repair := b.transient(17)
		run := b.day(0)
		b.expect(run, "incomplete() 25/0/0/5")
		repair()
		time.Sleep(api.DefaultKeepWithheld.Value())
		disk.Fail(durabletest.RemoveAll, syscall.EIO)
		if err := b.engine.SweepSpools(); !errors.Is(err, syscall.EIO) {
			t.Fatalf("the sweep: %v", err)
		}
		disk.Fail(durabletest.RemoveAll, nil)
		b.stop()
		b.start()
		_, err := b.engine.Retry(b.t.Context(), run.ID, api.RetryRun{}, "test")
		refusedWith(t, err, api.CodeConflict, "is not kept any longer")
		must(t, b.engine.SweepSpools())
		if got := b.spools(); len(got) > 0 {
			t.Errorf("copies are left of runs %v", got)
		}
	})
}

// A run that owes records leaves the copy to the one that takes them, whatever
// becomes of its own details.
func TestACopyStaysWhileRecordsOfItAreOwed(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.job.Input = api.Input{Files: &api.InputFiles{URI: filepath.Join(b.dir, "in", "*.csv.gz"), MinAge: "1ms"}, Key: []string{"id"}, Mode: api.ModeNewFiles}
		b.zip(filepath.Join(b.dir, "in", "a.csv.gz"), records(30))
		b.age(filepath.Join(b.dir, "in", "a.csv.gz"), time.Hour)
		repair := b.transient(17)
		first := b.day(0)
		b.expect(first, "incomplete() 25/5/0/0")
		must(t, b.engine.RemoveFiles(first.ID))
		must(t, b.engine.SweepSpools())
		if got := b.spools(); !slices.Equal(got, []string{first.ID}) {
			t.Fatalf("there are copies of runs %v", got)
		}
		repair()
		b.expect(b.day(1), "succeeded() 5/0/0/0")
		b.expectIDs(1, numbers(16, 20)...)
		b.expect(b.day(2), "succeeded() 0/0/0/0")
	})
}

// A planning that a full disk or a crash ends is made anew, and waits for room.
func TestCopyingWaitsForRoom(t *testing.T) {
	inMemory(t, func(b *bench) {
		disk := durabletest.New(durable.OS())
		b.fs = disk
		b.job.Input.Files.URI = b.input + ".gz"
		b.zip(b.input+".gz", records(30))
		b.start()
		disk.SetSpace(10)
		run := b.queue(occurrence)
		time.Sleep(10 * time.Second)
		if got := b.detail(run.ID, "storage"); !strings.Contains(got, syscall.ENOSPC.Error()) {
			t.Errorf("its history says %q", got)
		}
		disk.SetSpace(-1)
		b.expect(b.rested(run.ID), "succeeded() 30/0/0/0")
	})
}

func TestARunWaitsForItsInputWithoutASlot(t *testing.T) {
	inMemory(t, func(b *bench) {
		marker := filepath.Join(b.dir, "in", "_SUCCESS")
		b.slots = 1
		b.start()
		b.job.Input.WaitFor = &api.WaitFor{URI: marker, Timeout: "1h"}
		run := b.queue(occurrence)
		time.Sleep(10 * time.Minute)
		waiting, err := b.store.Run(run.ID)
		must(t, err)
		if waiting.State != api.RunQueued || waiting.Reason != api.ReasonWaitingForInput {
			t.Fatalf("the run is %s(%s)", waiting.State, waiting.Reason)
		}
		if got := b.detail(run.ID, "waiting"); !strings.Contains(got, marker) {
			t.Errorf("its history says %q", got)
		}
		waits := b.job
		b.job.Name, b.job.Input.WaitFor, b.output = "other", nil, filepath.Join(b.dir, "other")
		b.job.Output.Files = &api.OutputFiles{URI: b.output}
		b.expect(b.day(0), "succeeded() 30/0/0/0") // in the only slot
		b.job = waits

		b.stop()
		b.start()
		time.Sleep(30 * time.Minute) // it is known how long it has waited
		must(t, os.WriteFile(marker, nil, 0o644))
		b.expect(b.rested(run.ID), "succeeded() 30/0/0/0")
	})
}

func TestInputThatComesTooLateFailsTheRun(t *testing.T) {
	inMemory(t, func(b *bench) {
		marker := filepath.Join(b.dir, "in", "_SUCCESS")
		b.job.Input.WaitFor = &api.WaitFor{URI: marker, Timeout: "1h"}
		b.start()
		begin := time.Now()
		run := b.queue(occurrence)
		time.Sleep(40 * time.Minute)
		b.stop()
		b.start()
		ended := b.rested(run.ID)
		b.expect(ended, "failed(input_late) 0/0/0/0")
		if waited := ended.EndedAt.Sub(begin); waited < time.Hour || waited > time.Hour+time.Minute {
			t.Errorf("it waited %s", waited)
		}
		if !strings.Contains(ended.Message, "nothing matches "+marker) {
			t.Errorf("it says %q", ended.Message)
		}
		must(t, os.WriteFile(marker, nil, 0o644))
		b.expect(b.retry(run.ID), "succeeded() 30/0/0/0")
	})
}

func TestAWaitingRunCanBeCancelledAndRetried(t *testing.T) {
	inMemory(t, func(b *bench) {
		marker := filepath.Join(b.dir, "in", "_SUCCESS")
		b.job.Input.WaitFor = &api.WaitFor{URI: marker, Timeout: "1h"}
		b.start()
		run := b.queue(occurrence)
		time.Sleep(50 * time.Minute)
		_, err := b.engine.Cancel(b.t.Context(), run.ID, "test")
		must(t, err)
		b.expect(b.rested(run.ID), "cancelled() 0/0/0/0")
		_, err = b.engine.Retry(b.t.Context(), run.ID, api.RetryRun{}, "test")
		must(t, err)
		time.Sleep(30 * time.Minute)
		again, err := b.store.Run(run.ID)
		must(t, err)
		if again.State != api.RunQueued {
			t.Fatalf("the retry is %s(%s): it waits anew", again.State, again.Reason)
		}
		b.job.Input.WaitFor = nil // an edit ends the wait
		b.put()
		b.expect(b.rested(run.ID), "succeeded() 30/0/0/0")
	})
}

func TestFeaturesThatAreNotNamedAreTheOtherColumns(t *testing.T) {
	for name, write := range map[string]func(b *bench){
		"csv": func(*bench) {},
		"jsonl": func(b *bench) {
			b.job.Input.Files.Format = api.FormatJSONL
			var lines []string
			for i := 1; i <= 30; i++ {
				lines = append(lines, fmt.Sprintf(`{"id":"%d","a":%d,"b":0.5}`, i, i))
			}
			b.writeInput(lines)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, func(b *bench) {
				b.job.Predict.Features = api.Features{Exclude: []string{"b"}}
				write(b)
				run := b.day(0)
				b.expect(run, "succeeded() 30/0/0/0")
				plan, err := b.store.Plan(run.ID)
				must(t, err)
				if got := plan.Spec.Predict.Features.Columns; !slices.Equal(got, []string{"a"}) {
					t.Errorf("features %q", got)
				}
				if plan.PlanSpecHash != b.job.WithDefaults().PlanSpecHash() {
					t.Error("the plan looks like one of another job")
				}
			})
		})
	}
}
