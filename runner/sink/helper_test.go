package sink_test

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
)

const (
	job = "churn"
	uid = "uid-of-churn"
)

var (
	night   = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	columns = []api.Column{{Name: "id"}, {Name: "label"}}
)

// place is an output root, and opens it for runs of job churn.
type place struct {
	root string
	fs   durable.FS
	out  api.OutputFiles // but for the uri
}

func newPlace(t *testing.T) place {
	t.Helper()
	return place{filepath.Join(t.TempDir(), "out"), durabletest.NoSync(), api.OutputFiles{Format: api.FormatJSONL}}
}

func (p place) on(fs durable.FS) place {
	p.fs = fs
	return p
}

func (p place) open(t *testing.T, run string, occurrence time.Time) *sink.Files {
	t.Helper()
	p.out.URI = p.root + "/dt={date}/"
	f, err := sink.Open(p.fs, p.out, job, uid, api.Occasion{Occurrence: occurrence, Run: run})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// stage writes one mini-batch of so many records; their text depends on the
// mini-batch and on version.
func stage(t *testing.T, f *sink.Files, attempt, miniBatch, records int64, version string) sink.PublishedPart {
	t.Helper()
	part, err := f.Stage(attempt, miniBatch, 1, columns)
	if err != nil {
		t.Fatal(err)
	}
	defer part.Abort()
	for i := range records {
		if err := part.Write(record(fmt.Sprintf("%d-%d", miniBatch, i), version)); err != nil {
			t.Fatal(err)
		}
	}
	staged, err := part.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return sink.PublishedPart{MiniBatch: miniBatch, Staged: staged}
}

func record(id, label string) []format.Value {
	return []format.Value{{Bytes: []byte(id)}, {Bytes: []byte(`"` + label + `"`), JSON: true}}
}

// publication is the intent of a run with so many dead letters in its input.
func publication(revision int64, dead int64, parts ...sink.PublishedPart) sink.Publication {
	counts := api.Counts{DeadLettered: dead}
	for _, part := range parts {
		counts.Committed += part.Records
	}
	counts.Planned = counts.Committed + dead
	return sink.Publication{
		Manifest: sink.Manifest{
			Generation: 3, Origin: api.OriginSchedule, Revision: revision, State: api.RunSucceeded,
			PlanHash: "hash-of-plan", Counts: counts, Attempts: 1, Launches: 2,
			Times:  sink.Times{CreatedAt: night, StartedAt: night.Add(time.Second), PublishedAt: night.Add(time.Minute)},
			Runner: sink.Runner{ID: "runner-1", Version: "1.2.3"},
		},
		Parts:       parts,
		Columns:     columns,
		Inputs:      []string{"/in/iris.csv"},
		DeadLetters: deadLetters(dead),
		MovePointer: true,
	}
}

func deadLetters(n int64) iter.Seq2[api.DeadLetter, error] {
	return func(yield func(api.DeadLetter, error) bool) {
		for i := range n {
			if !yield(api.DeadLetter{
				Input: "1,<two>", Source: api.Place{File: "iris.csv", Line: 77 + i}, Run: "run-1",
				MiniBatch: 2, Class: api.ClassBadRecord, Error: "2 fields, 3 in the header", FirstSeen: night, LastSeen: night,
			}, nil) {
				return
			}
		}
	}
}

func publish(t *testing.T, f *sink.Files, p sink.Publication) {
	t.Helper()
	if err := f.Publish(p); err != nil {
		t.Fatal(err)
	}
}

// tree is every file below a folder with its content; folders end in a slash.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			files[name+"/"] = ""
			return nil
		}
		if entry.Type()&fs.ModeSymlink != 0 {
			files[name], err = os.Readlink(path)
			return err
		}
		content, err := os.ReadFile(path)
		files[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func sameTree(t *testing.T, got, want map[string]string) {
	t.Helper()
	if maps.Equal(got, want) {
		return
	}
	for name, content := range want {
		if other, ok := got[name]; !ok || other != content {
			t.Errorf("%s: there %v, holds\n%s\nwant\n%s", name, ok, other, content)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s should not be there", name)
		}
	}
}

func reason(err error) api.Reason {
	if failure, ok := errors.AsType[*api.Failure](err); ok {
		return failure.Reason
	}
	return ""
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(content), 0o666)); err != nil {
		t.Fatal(err)
	}
}

func exists(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Lstat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}
