package sink_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
)

// twoNights publishes an old folder and a newer one, which the pointer names.
func twoNights(t *testing.T, p place) sink.Output {
	t.Helper()
	old := p.open(t, "run-1", night)
	publish(t, old, publication(1, 1, stage(t, old, 1, 1, 2, "x"), stage(t, old, 1, 2, 1, "x")))
	newer := p.open(t, "run-2", night.Add(24*time.Hour))
	publish(t, newer, publication(1, 0, stage(t, newer, 1, 1, 1, "x")))
	for _, f := range []*sink.Files{old, newer} {
		if err := f.Sweep(); err != nil {
			t.Fatal(err)
		}
	}
	return sink.Output{Folder: old.Folder(), UID: uid, Run: "run-1", Revision: 1}
}

func TestRemoveTakesOneFolderAway(t *testing.T) {
	p := newPlace(t)
	old := twoNights(t, p)
	want := tree(t, p.root)
	for name := range want {
		if strings.HasPrefix(name, "dt=2026-11-21/") {
			delete(want, name)
		}
	}
	for range 2 {
		if err := old.Remove(p.fs); err != nil {
			t.Fatal(err)
		}
		sameTree(t, tree(t, p.root), want)
	}
}

func TestRemoveTidiesUpEmptyFoldersBelowTheRoot(t *testing.T) {
	p := newPlace(t)
	out := api.OutputFiles{URI: p.root + "/{year}/{month}/{date}", Format: "jsonl"}
	var folders []sink.Output
	for i, at := range []time.Time{night, night.AddDate(0, 1, 0)} {
		f, err := sink.Open(p.fs, out, job, uid, api.Occasion{Occurrence: at, Run: "run"})
		if err != nil {
			t.Fatal(err)
		}
		publish(t, f, publication(1, 0, stage(t, f, 1, int64(i)+1, 1, "x")))
		if err := f.Sweep(); err != nil {
			t.Fatal(err)
		}
		folders = append(folders, sink.Output{Folder: f.Folder(), UID: uid, Run: "run", Revision: 1})
	}
	if err := folders[0].Remove(p.fs); err != nil {
		t.Fatal(err)
	}
	if exists(t, filepath.Join(p.root, "2026", "11")) || !exists(t, filepath.Join(p.root, "2026", "12")) {
		t.Errorf("left are %v", tree(t, p.root))
	}
}

func TestRemoveLeavesWhatItMayNotTouch(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, p place, o *sink.Output)
		kept   bool // else it is taken
	}{
		"the pointer's folder": {func(t *testing.T, p place, o *sink.Output) {
			*o = sink.Output{Folder: p.open(t, "x", night.Add(24*time.Hour)).Folder(), UID: uid, Run: "run-2", Revision: 1}
		}, true},
		"a later revision": {func(t *testing.T, p place, o *sink.Output) {
			publish(t, p.open(t, "run-3", night), publication(2, 0))
		}, true},
		"a later revision of the same run": {func(t *testing.T, p place, o *sink.Output) {
			publish(t, p.open(t, "run-1", night), publication(2, 0))
		}, true},
		"another job's folder": {func(t *testing.T, p place, o *sink.Output) { o.UID = "uid-of-fraud" }, false},
		"a foreign file": {func(t *testing.T, p place, o *sink.Output) {
			writeFile(t, filepath.Join(o.Folder, "notes.txt"), "mine")
		}, false},
		"a foreign folder": {func(t *testing.T, p place, o *sink.Output) {
			writeFile(t, filepath.Join(o.Folder, "notes", "a.txt"), "mine")
		}, false},
		"a folder without manifest": {func(t *testing.T, p place, o *sink.Output) {
			if err := os.Remove(filepath.Join(o.Folder, "_MANIFEST.json")); err != nil {
				t.Fatal(err)
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			old := twoNights(t, p)
			c.change(t, p, &old)
			before := tree(t, p.root)
			for _, err := range []error{old.Removable(), old.Remove(p.fs)} {
				if errors.Is(err, sink.ErrKept) != c.kept || (reason(err) == api.ReasonOutputTaken) == c.kept {
					t.Errorf("got %v", err)
				}
			}
			sameTree(t, tree(t, p.root), before)
		})
	}
}

// From the first step on, a folder that is being removed does not look
// published; a crash at any step, power cuts included, is gone on from.
func TestRemoveGoesOnAfterACrashAtAnyStep(t *testing.T) {
	for _, powerCut := range []bool{false, true} {
		want := newPlace(t)
		if err := twoNights(t, want).Remove(want.fs); err != nil {
			t.Fatal(err)
		}
		removed := tree(t, want.root)
		for step := 0; ; step++ {
			p := newPlace(t)
			old := twoNights(t, p)
			faulty := durabletest.New(p.fs)
			faulty.StopAfter(step)
			err := old.Remove(faulty)
			if err != nil && !errors.Is(err, durabletest.ErrStopped) {
				t.Fatalf("stopped after step %d: %v", step, err)
			}
			if powerCut {
				if err := faulty.Forget(); err != nil {
					t.Fatal(err)
				}
			}
			whole := exists(t, filepath.Join(old.Folder, "part-000001.jsonl")) && exists(t, filepath.Join(old.Folder, "part-000002.jsonl"))
			if exists(t, filepath.Join(old.Folder, "_SUCCESS")) && !whole {
				t.Errorf("after step %d the folder looks published, and parts of it are gone", step)
			}
			if f := p.open(t, "run-3", night); f.CheckTaken() != nil {
				t.Errorf("after step %d the job can't publish there: %v", step, f.CheckTaken())
			}
			if err := old.Remove(p.fs); err != nil {
				t.Fatalf("gone on after step %d: %v", step, err)
			}
			sameTree(t, tree(t, p.root), removed)
			if t.Failed() || err == nil {
				break
			}
		}
	}
}

func TestAFolderThatIsPublishedAgainWhileHalfRemovedStays(t *testing.T) {
	p := newPlace(t)
	old := twoNights(t, p)
	faulty := durabletest.New(p.fs)
	faulty.StopAfter(3)
	if err := old.Remove(faulty); !errors.Is(err, durabletest.ErrStopped) {
		t.Fatal(err)
	}
	again := p.open(t, "run-3", night)
	publish(t, again, publication(2, 0, stage(t, again, 1, 1, 1, "again")))
	before := tree(t, again.Folder())
	if err := old.Remove(p.fs); !errors.Is(err, sink.ErrKept) {
		t.Errorf("Remove: %v", err)
	}
	sameTree(t, tree(t, again.Folder()), before)
}
