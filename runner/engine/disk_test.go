package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/sink/sinktest"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// newMemoryBench is a small bench for a bubble: its server is reached without
// a network. 6 records, one of them bad, in mini-batches of 3.
func newMemoryBench(t *testing.T, dir string, disk durable.FS) *bench {
	b := &bench{t: t, dir: dir, server: predicttest.New(predicttest.Options{}), fs: disk, log: slog.New(slog.DiscardHandler), slots: 1}
	b.input, b.output = filepath.Join(dir, "in", "iris.csv"), filepath.Join(dir, "out")
	b.url, b.reach = predicttest.MemoryURL, b.server.RoundTripper(t, 4)
	lines := records(6)
	lines[5] = "ragged"
	b.writeInput(lines)
	b.job = b.baseJob()
	b.job.MaxFailed, b.job.Parallelism, b.job.MiniBatch.Rows = "50%", new(int64(1)), new(int64(3))
	return b
}

// newMortalBench is a bench whose runner may crash.
func newMortalBench(t *testing.T, dir string) (*mortal, *bench) {
	m := newMortal(dir)
	b := newMemoryBench(t, m.root, m)
	b.clock, b.storeClock = m.now, m.storeNow
	b.reach = way{m, b.reach}
	return m, b
}

// A step of the disk fails once, each in turn, in the way its kind does. The
// run waits it out and ends as if nothing had happened.
func TestAFaultOfTheDiskAtAnyStepIsWaitedOut(t *testing.T) {
	faults := map[durabletest.Op]error{
		durabletest.Sync: syscall.EIO, durabletest.SyncDir: syscall.EIO, durabletest.Close: syscall.EIO,
		durabletest.Rename: syscall.EIO, durabletest.Exchange: syscall.EIO, durabletest.Remove: syscall.EIO, durabletest.RemoveAll: syscall.EIO,
	} // all others: no space
	for _, publish := range []string{api.PublishOnComplete, api.PublishProgressive} {
		t.Run(publish, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				disk := durabletest.New(durabletest.NoSync())
				b := newMemoryBench(t, filepath.Join(dir, "0"), disk)
				b.job.Output.Publish = publish
				undisturbed := outcome(t, b)
				steps := disk.Steps()
				for at := 0; at < len(steps); at += stride {
					disk := durabletest.New(durabletest.NoSync())
					cause := faults[steps[at].Op]
					if cause == nil {
						cause = syscall.ENOSPC
					}
					disk.FailOnce(at+1, cause)
					b := newMemoryBench(t, filepath.Join(dir, fmt.Sprint(at+1)), disk)
					b.job.Output.Publish = publish
					if got := outcome(t, b); got != undisturbed {
						t.Fatalf("step %d, %s %s, failed with %v: got\n%s\nwant\n%s", at+1, steps[at].Op, steps[at].Path, cause, got, undisturbed)
					}
				}
				t.Logf("%d steps", len(steps))
			})
		})
	}
}

// The power goes at each step of a run in turn, and takes what was not synced.
// A new process carries the run to the same end.
func TestAPowerCutAtAnyStepIsGoneOnFrom(t *testing.T) {
	for name, history := range map[string]func(b *bench){
		"on_complete": func(*bench) {},
		"progressive": progressive,
		"with an output that is not kept": func(b *bench) {
			b.job.Output.KeepRuns = new(int64(1))
			b.start()
			b.end(b.queue(occurrence.AddDate(0, 0, -1)).ID)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				b := newMemoryBench(t, filepath.Join(dir, "0"), durabletest.NoSync())
				history(b)
				undisturbed := outcome(t, b)
				step, cut := int64(1), true
				for ; cut; step += stride {
					m, b := newMortalBench(t, filepath.Join(dir, fmt.Sprint(step)))
					history(b)
					if b.engine == nil {
						b.start()
					}
					id := b.queue(occurrence).ID
					m.dieAfter("file", step)
					time.Sleep(10 * time.Minute) // however far it gets
					if cut = m.isDead(); cut {
						at := m.reached
						b.die()
						m.rise(t, true)
						b.start()
						if got := b.end(id); got != undisturbed {
							t.Fatalf("cut at step %d (%v): got\n%s\nwant\n%s", step, at, got, undisturbed)
						}
					}
					b.stop()
				}
				t.Logf("%d steps", step-2)
			})
		})
	}
}

// die ends the engine as a crash does: nothing is waited for.
func (b *bench) die() {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	must(b.t, b.engine.Stop(ctx))
	_ = b.store.Close() // whatever of it is left
}

// outcome carries a run to its end and says all that is left of it.
func outcome(t *testing.T, b *bench) string {
	t.Helper()
	if b.engine == nil {
		b.start()
	}
	defer b.stop()
	return b.end(b.queue(occurrence).ID)
}

// end waits for the end of a run and says all that is left of it.
func (b *bench) end(id string) string {
	t := b.t
	t.Helper()
	var run store.Run
	for !run.State.Ended() {
		time.Sleep(time.Second)
		var err error
		run, err = b.store.Run(id)
		must(t, err)
	}
	time.Sleep(2 * time.Minute) // for the sweep
	text := fmt.Sprintf("%s(%s) revision %d %+v\n", run.State, run.Reason, run.Revision, run.Counts)
	if _, err := sinktest.Check(os.DirFS(b.folder(occurrence))); err != nil {
		text += err.Error() + "\n"
	}
	must(t, filepath.WalkDir(b.output, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		name := strings.TrimPrefix(path, b.output)
		if strings.Contains(name, "part-") || strings.Contains(name, "LATEST") {
			name += " " + strings.ReplaceAll(string(content), run.JobUID, "uid")
		}
		text += name + "\n"
		return err
	}))
	if _, err := os.Stat(filepath.Join(b.output, ".batch")); !errors.Is(err, fs.ErrNotExist) {
		text += "staging is left behind\n"
	}
	return text
}
