package engine_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/sink/sinktest"
)

// mergedLayouts are those whose files are of several mini-batches, with one
// file that each has.
var mergedLayouts = map[string]api.OutputFiles{
	"output.jsonl":            {Layout: api.LayoutSingle},
	"iris.jsonl":              {Layout: api.LayoutPerInputFile},
	"b=2/part-000001.jsonl":   {PartitionBy: []string{"b"}},
	"iris.parquet":            {Layout: api.LayoutPerInputFile, Format: api.FormatParquet},
	"b=1/part-000001.parquet": {PartitionBy: []string{"b"}, Format: api.FormatParquet},
}

// inLayouts runs a test with 30 records of three kinds in each of the layouts.
func inLayouts(t *testing.T, test func(b *bench, file string)) {
	t.Helper()
	for file, out := range mergedLayouts {
		t.Run(strings.ReplaceAll(file, "/", " "), func(t *testing.T) {
			inMemory(t, func(b *bench) {
				lines := records(30)
				for i := range lines[1:] {
					lines[i+1] = strings.Replace(lines[i+1], "0.5", string('0'+byte(i%3)), 1)
				}
				b.writeInput(lines)
				b.job.KeepWithheld = "1h"
				out.URI = b.job.Output.Files.URI
				if out.Format == api.FormatParquet {
					out.Types = map[string]string{"id": "int64", "b": "int64"}
				}
				b.job.Output.Files, b.job.Output.Keep = &out, []string{"id", "b"}
				test(b, file)
			})
		})
	}
}

// inTree are the files below a folder by their paths, but for the manifest.
func inTree(t *testing.T, folder string) map[string]string {
	t.Helper()
	found := map[string]string{}
	must(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == sink.ManifestName {
			return err
		}
		text, err := os.ReadFile(path)
		found[strings.TrimPrefix(path, folder+"/")] = string(text)
		return err
	}))
	return found
}

// A value that can't name a folder costs its own record, not the run.
func TestAValueTooLongForAFolderIsADeadLetter(t *testing.T) {
	inMemory(t, func(b *bench) {
		lines := records(30)
		for i := range lines {
			lines[i] += ",DE"
		}
		lines[0], lines[7] = "id,a,b,country", "7,7,0.5,"+strings.Repeat("é", 200)
		b.writeInput(lines)
		b.job.Output.Keep, b.job.Output.Files.PartitionBy = []string{"id", "country"}, []string{"country"}
		run := b.day(0)
		b.expect(run, "incomplete() 29/0/1/0")
		if letters := b.letters(run.ID); len(letters) != 1 || letters[0].Class != api.ClassData || !strings.Contains(letters[0].Error, `a value of "country" is too long to name a folder`) {
			b.t.Errorf("the dead letters are %+v", letters)
		}
	})
}

// What is left undone of a run is done by its retries, and in the end the
// folder is, to the byte, what it would have been at once.
func TestARunInAnyLayoutIsRetried(t *testing.T) {
	inLayouts(t, func(b *bench, file string) {
		undisturbed := b.day(1)
		b.expect(undisturbed, "succeeded() 30/0/0/0")
		want := inTree(b.t, undisturbed.Output)
		if want[file] == "" {
			b.t.Fatalf("%s is not among %v", file, slices.Sorted(maps.Keys(want)))
		}

		accept := b.refuse("11", "22")
		repair := b.server.Inject(predicttest.Fault{Record: "7", Status: 503})
		run := b.day(0)
		b.expect(run, "incomplete() 23/0/2/5")
		first := inTree(b.t, run.Output)
		accept()
		b.server.Inject(predicttest.Fault{Record: "8", Hang: true, Times: 1})
		b.redrive(run.ID)
		must(b.t, b.server.WaitSent(b.t.Context(), 1))
		_, err := b.engine.Cancel(b.t.Context(), run.ID, "test")
		must(b.t, err)
		b.expect(b.rested(run.ID), "cancelled() 23/0/2/5")
		if got := inTree(b.t, run.Output); !maps.Equal(got, first) {
			b.t.Error("a retry that was cancelled has changed the folder")
		}

		b.redrive(run.ID) // one mini-batch still fails
		b.expect(b.rested(run.ID), "incomplete() 25/0/0/5")
		repair()
		run = b.retry(run.ID)
		b.expect(run, "succeeded() 30/0/0/0")
		if got := inTree(b.t, run.Output); !maps.Equal(got, want) {
			b.t.Errorf("the folder holds %v\nan undisturbed run's %v", got, want)
		}
		if m, err := sinktest.Check(os.DirFS(run.Output)); err != nil || m.Revision != 3 {
			b.t.Errorf("revision %d: %v", m.Revision, err)
		}
		if _, err := os.Stat(filepath.Join(b.output, ".batch")); !errors.Is(err, fs.ErrNotExist) {
			b.t.Errorf("something is staged still: %v", err)
		}
	})
}

// The parts of a published run are there for as long as the job says; then it
// can't be revised any more, and nobody's output is harmed by trying.
func TestARunIsNotRetriedOnceItsPartsAreGone(t *testing.T) {
	inLayouts(t, func(b *bench, _ string) {
		accept := b.refuse("11")
		run := b.day(0)
		b.expect(run, "incomplete() 29/0/1/0")
		accept()
		staging := filepath.Join(b.output, ".batch", run.ID)
		if _, err := os.Stat(staging); err != nil {
			b.t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		if _, err := os.Stat(staging); !errors.Is(err, fs.ErrNotExist) {
			b.t.Errorf("its parts are there still: %v", err)
		}
		before := inTree(b.t, run.Output)
		_, err := b.engine.Retry(b.t.Context(), run.ID, api.RetryRun{DeadLetters: true}, "test")
		refusal, ok := errors.AsType[*api.Error](err)
		if !ok || refusal.Code != api.CodeConflict || !strings.Contains(err.Error(), "keep_withheld") {
			b.t.Errorf("got %v", err)
		}
		if now, err := b.store.Run(run.ID); err != nil || now.State != api.RunIncomplete || !maps.Equal(inTree(b.t, run.Output), before) {
			b.t.Errorf("the run is %s: %v", now.State, err)
		}
	})
}
