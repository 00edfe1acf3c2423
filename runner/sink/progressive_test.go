package sink_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/sink/sinktest"
)

// begun is the manifest of a run under way.
func begun(revision int64) sink.Manifest {
	return publication(revision, 0).Manifest
}

// show makes parts visible and marks them committed, as their rows would be.
func show(f *sink.Files, parts ...*sink.PublishedPart) error {
	if _, err := f.Begin(begun(1)); err != nil {
		return err
	}
	for _, part := range parts {
		if part.Path == "" {
			continue // visible since an earlier try
		}
		if err := f.Show(*part); err != nil {
			return err
		}
		part.Path = ""
	}
	return nil
}

func readManifest(t *testing.T, folder string) sink.Manifest {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, "_MANIFEST.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m sink.Manifest
	if err := json.Unmarshal(content, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return all
}

func TestAProgressiveFolderFillsUpAndEndsAsAnyOther(t *testing.T) {
	p := newPlace(t)
	f := p.open(t, "run-1", night)
	one, two, three := stage(t, f, 1, 1, 2, "x"), stage(t, f, 1, 2, 1, "x"), stage(t, f, 1, 3, 1, "x")
	want := newPlace(t)
	undisturbed := want.open(t, "run-1", night)
	publish(t, undisturbed, publication(1, 1, stage(t, undisturbed, 1, 1, 2, "x"), stage(t, undisturbed, 1, 2, 1, "x"), stage(t, undisturbed, 1, 3, 1, "x")))

	if err := show(f, &two); err != nil {
		t.Fatal(err)
	}
	if m := readManifest(t, f.Folder()); m.State != api.RunRunning || m.UID != uid || m.Run != "run-1" {
		t.Errorf("under way the manifest says %+v", m)
	}
	if got := names(t, f.Folder()); !slices.Equal(got, []string{"_MANIFEST.json", "part-000002.jsonl"}) {
		t.Errorf("visible are %v", got)
	}
	if exists(t, filepath.Join(p.root, "_LATEST.json")) {
		t.Error("the pointer names a run under way")
	}
	if revision, err := f.NextRevision(); err != nil || revision != 1 {
		t.Errorf("the run would publish revision %d (%v)", revision, err)
	}
	if err := show(f, &one); err != nil {
		t.Fatal(err)
	}
	publish(t, f, publication(1, 1, one, two, three)) // the last part is staged only
	for _, f := range []*sink.Files{f, undisturbed} {
		if err := f.Sweep(); err != nil {
			t.Fatal(err)
		}
	}
	sameTree(t, tree(t, p.root), tree(t, want.root))
}

func TestAProgressiveRunLeavesARevisionWhole(t *testing.T) {
	p := newPlace(t)
	old := p.open(t, "run-1", night)
	publish(t, old, publication(1, 0, stage(t, old, 1, 1, 1, "old")))
	before := tree(t, old.Folder())
	f := p.open(t, "run-2", night)
	part := stage(t, f, 1, 1, 1, "new")
	if shows, err := f.Begin(begun(2)); err != nil || shows {
		t.Fatalf("Begin: %v, %v", shows, err)
	}
	sameTree(t, tree(t, f.Folder()), before)
	publish(t, f, publication(2, 0, part))
	if m, err := sinktest.Check(os.DirFS(f.Folder())); err != nil || m.Revision != 2 {
		t.Errorf("revision %d: %v", m.Revision, err)
	}
}

func TestAnotherRunReplacesAProgressiveFolderThatWasLeft(t *testing.T) {
	p := newPlace(t)
	left := p.open(t, "run-1", night)
	part := stage(t, left, 1, 1, 1, "old")
	if err := show(left, &part); err != nil {
		t.Fatal(err)
	}
	f := p.open(t, "run-2", night)
	revision, err := f.NextRevision()
	if err != nil || revision != 2 {
		t.Fatalf("next revision is %d (%v)", revision, err)
	}
	if err := f.Prepare(); err != nil {
		t.Fatal(err)
	}
	publish(t, f, publication(revision, 0, stage(t, f, 1, 2, 1, "new")))
	if m, err := sinktest.Check(os.DirFS(f.Folder())); err != nil || m.Run != "run-2" {
		t.Errorf("published is %+v: %v", m, err)
	}
	if err := left.CheckPublished([]sink.PublishedPart{part}); err == nil {
		t.Error("the first run still takes the folder for its own")
	}
}

func TestARunThatEndsOtherwiseSaysSoInItsFolder(t *testing.T) {
	p := newPlace(t)
	f := p.open(t, "run-1", night)
	one, two := stage(t, f, 1, 1, 2, "x"), stage(t, f, 1, 2, 1, "x")
	if err := show(f, &one, &two); err != nil {
		t.Fatal(err)
	}
	cancelled := publication(1, 1, one) // the row of mini-batch 2 was never written
	cancelled.Manifest.State = api.RunCancelled
	for range 2 {
		if err := f.Conclude(cancelled); err != nil {
			t.Fatal(err)
		}
		if m := readManifest(t, f.Folder()); m.State != api.RunCancelled || len(m.Parts) != 1 || m.Counts.Committed != 2 {
			t.Errorf("the manifest says %+v", m)
		}
		want := []string{"_DEAD_LETTERS.jsonl", "_MANIFEST.json", "part-000001.jsonl"}
		if got := names(t, f.Folder()); !slices.Equal(got, want) {
			t.Errorf("the folder holds %v, want %v", got, want)
		}
	}
	// It may be taken up again.
	again := stage(t, f, 2, 2, 1, "again")
	if err := show(f, &again); err != nil {
		t.Fatal(err)
	}
	if m := readManifest(t, f.Folder()); m.State != api.RunRunning {
		t.Errorf("taken up again, the manifest says %s", m.State)
	}
	publish(t, f, publication(1, 0, one, again))
	if _, err := sinktest.Check(os.DirFS(f.Folder())); err != nil {
		t.Error(err)
	}
	if err := f.Conclude(cancelled); err != nil {
		t.Fatal(err)
	}
	if m := readManifest(t, f.Folder()); m.State != api.RunSucceeded {
		t.Errorf("a published folder was concluded as %s", m.State)
	}
}

func TestAForeignFileInAProgressiveFolderIsTaken(t *testing.T) {
	p := newPlace(t)
	f := p.open(t, "run-1", night)
	part := stage(t, f, 1, 1, 1, "x")
	if err := show(f, &part); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(f.Folder(), "notes.txt"), "mine")
	if err := f.Publish(publication(1, 0, part)); reason(err) != api.ReasonOutputTaken || !strings.Contains(err.Error(), "notes.txt") {
		t.Errorf("Publish: %v", err)
	}
}

func TestAVisiblePartThatIsGoneIsNotPublishedOver(t *testing.T) {
	p := newPlace(t)
	f := p.open(t, "run-1", night)
	part := stage(t, f, 1, 1, 1, "x")
	if err := show(f, &part); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(f.Folder(), "part-000001.jsonl")); err != nil {
		t.Fatal(err)
	}
	if err := f.Publish(publication(1, 0, part)); err == nil || exists(t, filepath.Join(f.Folder(), "_SUCCESS")) {
		t.Errorf("Publish: %v", err)
	}
}

// A progressive run is stopped before each of its steps in turn, by a kill or
// by a power cut; then it goes on from what its rows say.
func TestAProgressiveRunGoesOnAfterACrashAtAnyStep(t *testing.T) {
	for name, faults := range map[string]map[durabletest.Op]error{
		"as usual": nil,
		"no links": {durabletest.Link: errors.ErrUnsupported},
	} {
		for _, powerCut := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, power cut %v", name, powerCut), func(t *testing.T) {
				s := scenario{faults: faults}
				want := newPlace(t)
				if err := progress(t, want.on(s.faulty(want)), progressiveParts(t, want)); err != nil {
					t.Fatal(err)
				}
				undisturbed := tree(t, want.root)
				for step := 0; ; step++ {
					p := newPlace(t)
					parts := progressiveParts(t, p)
					faulty := s.faulty(p)
					faulty.StopAfter(step)
					err := progress(t, p.on(faulty), parts)
					if err != nil && !errors.Is(err, durabletest.ErrStopped) {
						t.Fatalf("stopped after step %d: %v", step, err)
					}
					if powerCut {
						if err := faulty.Forget(); err != nil {
							t.Fatalf("power cut after step %d: %v", step, err)
						}
					}
					seesWholeParts(t, p, parts)
					if err := progress(t, p.on(s.faulty(p)), parts); err != nil {
						t.Fatalf("gone on after step %d: %v", step, err)
					}
					sameTree(t, tree(t, p.root), undisturbed)
					if t.Failed() {
						t.Fatalf("after a stop at step %d of\n%v", step, faulty.Steps())
					}
					if err == nil {
						return
					}
				}
			})
		}
	}
}

func progressiveParts(t *testing.T, p place) []*sink.PublishedPart {
	f := p.open(t, "run-1", night)
	one, two, three := stage(t, f, 1, 1, 2, "x"), stage(t, f, 1, 2, 1, "x"), stage(t, f, 1, 3, 1, "x")
	return []*sink.PublishedPart{&one, &two, &three}
}

// progress carries a progressive run from where it stands to its end. Two of
// its parts become visible before that.
func progress(t *testing.T, p place, parts []*sink.PublishedPart) error {
	f := p.open(t, "run-1", night)
	if m, err := os.ReadFile(filepath.Join(f.Folder(), "_MANIFEST.json")); err != nil || !strings.Contains(string(m), `"succeeded"`) {
		if err := show(f, parts[:2]...); err != nil {
			return err
		}
	}
	if err := f.Publish(publication(1, 1, *parts[0], *parts[1], *parts[2])); err != nil {
		return err
	}
	return f.Sweep()
}

// seesWholeParts: what was reported as shown is there, what is there is whole,
// and _SUCCESS tells the truth.
func seesWholeParts(t *testing.T, p place, parts []*sink.PublishedPart) {
	t.Helper()
	folder := p.open(t, "run-1", night).Folder()
	for _, part := range parts {
		info, err := os.Stat(filepath.Join(folder, fmt.Sprintf("part-%06d.jsonl", part.MiniBatch)))
		switch {
		case err != nil && part.Path == "":
			t.Errorf("mini-batch %d was shown and is gone: %v", part.MiniBatch, err)
		case err == nil && info.Size() != part.Bytes:
			t.Errorf("a reader sees %d of %d bytes of mini-batch %d", info.Size(), part.Bytes, part.MiniBatch)
		}
	}
	if exists(t, filepath.Join(folder, "_SUCCESS")) {
		if _, err := sinktest.Check(os.DirFS(folder)); err != nil {
			t.Errorf("the folder says _SUCCESS: %v", err)
		}
	}
}
