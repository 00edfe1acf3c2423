package sink_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/sink/sinktest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		writeFile(t, path, got)
	}
	want, err := os.ReadFile(path)
	if err != nil || got != string(want) {
		t.Errorf("%s (%v; -update rewrites it): got\n%s", path, err, got)
	}
}

func TestAPublishedFolder(t *testing.T) {
	p := newPlace(t)
	f := p.open(t, "run-1", night)
	two, one := stage(t, f, 1, 2, 1, "new"), stage(t, f, 1, 1, 2, "new")
	empty := stage(t, f, 1, 3, 0, "new") // all of its records were bad
	publication := publication(1, 2, two, one, empty)
	publication.Manifest.Times.CreatedAt = night.In(time.FixedZone("CET", 3600))
	publish(t, f, publication)
	if err := f.Sweep(); err != nil {
		t.Fatal(err)
	}

	files := tree(t, p.root)
	golden(t, "manifest.json", files["dt=2026-11-21/_MANIFEST.json"])
	golden(t, "latest.json", files["_LATEST.json"])
	golden(t, "dead_letters.jsonl", files["dt=2026-11-21/_DEAD_LETTERS.jsonl"])
	for _, name := range []string{"dt=2026-11-21/_MANIFEST.json", "dt=2026-11-21/_DEAD_LETTERS.jsonl", "_LATEST.json"} {
		delete(files, name)
	}
	sameTree(t, files, map[string]string{
		"./": "", "dt=2026-11-21/": "", "dt=2026-11-21/_SUCCESS": "",
		"dt=2026-11-21/part-000001.jsonl": `{"id":"1-0","label":"new"}` + "\n" + `{"id":"1-1","label":"new"}` + "\n",
		"dt=2026-11-21/part-000002.jsonl": `{"id":"2-0","label":"new"}` + "\n",
	})
	if _, err := sinktest.Check(os.DirFS(f.Folder())); err != nil {
		t.Error(err)
	}
}

func TestAnEmptyRunPublishesAnEmptyFolder(t *testing.T) {
	f := newPlace(t).open(t, "run-1", night)
	publish(t, f, publication(1, 0))
	if m, err := sinktest.Check(os.DirFS(f.Folder())); err != nil || m.Parts == nil {
		t.Errorf("manifest %+v: %v", m, err)
	}
}

func TestARevisionReplacesTheFolderWhole(t *testing.T) {
	p := newPlace(t)
	first := p.open(t, "run-1", night)
	kept := stage(t, first, 1, 1, 2, "old")
	publish(t, first, publication(1, 1, kept, stage(t, first, 1, 2, 1, "old"), stage(t, first, 1, 3, 1, "old")))
	partOne := filepath.Join(first.Folder(), "part-000001.jsonl")
	before, err := os.Stat(partOne)
	if err != nil {
		t.Fatal(err)
	}

	kept.Path = ""
	publish(t, first, publication(2, 0, kept, stage(t, first, 1, 2, 2, "new")))
	if err := first.Sweep(); err != nil {
		t.Fatal(err)
	}

	m, err := sinktest.Check(os.DirFS(first.Folder()))
	if err != nil || m.Revision != 2 || len(m.Parts) != 2 {
		t.Errorf("revision %d, parts %v: %v", m.Revision, m.Parts, err)
	}
	if after, err := os.Stat(partOne); err != nil || !os.SameFile(before, after) {
		t.Errorf("the unchanged part was not linked (%v)", err)
	}
}

func TestPublishTwiceIsPublishOnce(t *testing.T) {
	p := newPlace(t)
	recorder := durabletest.New(p.fs)
	f := p.on(recorder).open(t, "run-1", night)
	publication := publication(1, 1, stage(t, f, 1, 1, 1, "x"))
	publish(t, f, publication)
	before := tree(t, p.root)
	recorder.Reset()
	publish(t, f, publication)
	sameTree(t, tree(t, p.root), before)
	for _, step := range recorder.Steps() {
		if step.Op != durabletest.SyncDir {
			t.Errorf("the second publish took the step %v", step)
		}
	}
}

func TestPublishSyncsBeforeAndAfterEachRename(t *testing.T) {
	p := newPlace(t)
	f := p.open(t, "run-1", night)
	part := stage(t, f, 1, 1, 1, "x")
	for revision := range int64(2) {
		recorder := durabletest.New(p.fs)
		f := p.on(recorder).open(t, "run-1", night)
		publish(t, f, publication(revision+1, 1, part))
		assembled := filepath.Join(f.Staging(), "publish")
		move := durabletest.Step{Op: durabletest.Rename, Path: assembled, To: f.Folder()}
		if revision > 0 {
			move.Op = durabletest.Exchange
		}
		pointer := filepath.Join(f.Staging(), "_LATEST.json")
		var want []durabletest.Step
		want = append(want, durabletest.Step{Op: durabletest.Link, Path: filepath.Join(f.Staging(), part.Path), To: filepath.Join(assembled, "part-000001.jsonl")})
		for _, name := range []string{"_DEAD_LETTERS.jsonl", "_MANIFEST.json", "_SUCCESS"} {
			want = append(want, durabletest.Step{Op: durabletest.Create, Path: filepath.Join(assembled, name)}, durabletest.Step{Op: durabletest.Sync, Path: filepath.Join(assembled, name)})
		}
		want = append(want,
			durabletest.Step{Op: durabletest.SyncDir, Path: assembled}, move,
			durabletest.Step{Op: durabletest.SyncDir, Path: p.root},
			durabletest.Step{Op: durabletest.Write, Path: pointer}, durabletest.Step{Op: durabletest.Sync, Path: pointer},
			durabletest.Step{Op: durabletest.Rename, Path: pointer, To: filepath.Join(p.root, "_LATEST.json")},
			durabletest.Step{Op: durabletest.SyncDir, Path: p.root})
		inOrder(t, recorder.Steps(), want...)
	}
}

func TestPublishRefusesWhatCannotBeRight(t *testing.T) {
	p := newPlace(t)
	f := p.open(t, "run-1", night)
	part := stage(t, f, 1, 1, 1, "x")
	publish(t, f, publication(2, 0, part))
	before := tree(t, f.Folder())

	unknown, changed, twice := part, part, part
	unknown.MiniBatch, unknown.Path = 9, ""
	changed.Bytes++
	broken := publication(3, 0, part)
	broken.DeadLetters = func(yield func(api.DeadLetter, error) bool) { yield(api.DeadLetter{}, errors.New("store is closed")) }
	for text, publication := range map[string]sink.Publication{
		"not in the published folder": publication(3, 0, unknown),
		"somebody changed it":         publication(3, 0, changed),
		"two parts":                   publication(3, 0, part, twice),
		"store is closed":             broken,
	} {
		if err := f.Publish(publication); err == nil || !strings.Contains(err.Error(), text) || reason(err) != "" {
			t.Errorf("Publish: %v, want %q", err, text)
		}
	}
	if err := p.open(t, "run-2", night).Publish(publication(2, 0)); reason(err) != api.ReasonPublish {
		t.Errorf("a second revision 2: %v", err)
	}
	sameTree(t, tree(t, f.Folder()), before)
}

func TestAFullDiskWhilePublishingPassesWhenThereIsRoom(t *testing.T) {
	p := newPlace(t)
	f := p.open(t, "run-1", night)
	publication := publication(1, 3, stage(t, f, 1, 1, 1, "x"))
	faulty := durabletest.New(p.fs)
	full := p.on(faulty).open(t, "run-1", night)
	faulty.SetSpace(700)
	if err := full.Publish(publication); !durable.IsStorage(err) || exists(t, f.Folder()) {
		t.Errorf("Publish on a full disk: %v", err)
	}
	faulty.SetSpace(-1)
	publish(t, full, publication)
	if _, err := sinktest.Check(os.DirFS(f.Folder())); err != nil {
		t.Error(err)
	}
}

func TestThePointerOnlyMovesForward(t *testing.T) {
	p := newPlace(t)
	day := 24 * time.Hour
	at := func() string {
		t.Helper()
		content, err := os.ReadFile(filepath.Join(p.root, "_LATEST.json"))
		if errors.Is(err, fs.ErrNotExist) {
			return ""
		}
		_, folder, _ := strings.Cut(string(content), `"folder": "`)
		folder, _, _ = strings.Cut(folder, `"`)
		return folder
	}
	still := publication(1, 0)
	still.MovePointer = false
	for _, c := range []struct {
		run         string
		occurrence  time.Time
		publication sink.Publication
		want        string
	}{
		{"run-1", night, still, ""},
		{"run-2", night, publication(2, 0), "dt=2026-11-21"},
		{"run-3", night.Add(2 * day), publication(1, 0), "dt=2026-11-23"},
		{"run-4", night.Add(day), publication(1, 0), "dt=2026-11-23"},
		{"run-5", night, publication(3, 0), "dt=2026-11-23"},
		{"run-6", night.Add(3 * day), still, "dt=2026-11-23"},
		{"run-7", night.Add(4 * day), publication(1, 0), "dt=2026-11-25"},
	} {
		publish(t, p.open(t, c.run, c.occurrence), c.publication)
		if got := at(); got != c.want {
			t.Errorf("after %s the pointer names %q, want %q", c.run, got, c.want)
		}
	}
}

func TestNextRevisionCountsWithinTheOccurrence(t *testing.T) {
	p := newPlace(t)
	next := func(run string, occurrence time.Time, want int64) *sink.Files {
		t.Helper()
		f := p.open(t, run, occurrence)
		if got, err := f.NextRevision(); err != nil || got != want {
			t.Errorf("%s: next revision is %d (%v), want %d", run, got, err, want)
		}
		return f
	}
	publish(t, next("run-1", night, 1), publication(1, 0))
	publish(t, next("run-2", night, 2), publication(2, 0))
	next("run-3", night.Add(24*time.Hour), 1)
	if err := os.RemoveAll(p.open(t, "run-3", night).Folder()); err != nil {
		t.Fatal(err)
	}
	next("run-4", night, 3) // else the pointer would stay at 2
}

func TestSweepLeavesWhatOtherRunsHave(t *testing.T) {
	p := newPlace(t)
	f, other := p.open(t, "run-1", night), p.open(t, "run-2", night)
	stage(t, f, 1, 1, 1, "x")
	part := stage(t, other, 1, 1, 1, "x")
	for range 2 {
		if err := f.Sweep(); err != nil {
			t.Fatal(err)
		}
	}
	if exists(t, f.Staging()) || !exists(t, filepath.Join(other.Staging(), part.Path)) {
		t.Error("Sweep removed too little or too much")
	}
	if err := other.Sweep(); err != nil {
		t.Fatal(err)
	}
	sameTree(t, tree(t, p.root), map[string]string{"./": ""})
}

func TestSweepOfARunThatNeverWroteIsFine(t *testing.T) {
	p := newPlace(t)
	if err := p.open(t, "run-1", night).Sweep(); err != nil || exists(t, p.root) {
		t.Errorf("Sweep: %v", err)
	}
}

// Where folders can't be exchanged, a crash between the two renames leaves the
// published folder in staging; a run that is not taken up again gives it back.
func TestSweepPutsAFolderBackThatACrashLeftInStaging(t *testing.T) {
	p := newPlace(t)
	f := p.open(t, "run-1", night)
	part := stage(t, f, 1, 1, 1, "x")
	publish(t, f, publication(1, 0, part))
	before := tree(t, f.Folder())
	if err := os.Rename(f.Folder(), filepath.Join(f.Staging(), "replaced")); err != nil {
		t.Fatal(err)
	}
	if got, err := f.NextRevision(); err != nil || got != 2 {
		t.Errorf("next revision is %d (%v)", got, err)
	}
	if err := f.Sweep(); err != nil {
		t.Fatal(err)
	}
	sameTree(t, tree(t, f.Folder()), before)
}

// The second of the two renames fails: the reader gets the old folder back.
func TestAFailedReplacementIsUndone(t *testing.T) {
	p := newPlace(t)
	publish(t, p.open(t, "run-1", night), publication(1, 0))
	faulty := &failSecondRename{FS: p.fs}
	f := p.on(faulty).open(t, "run-2", night)
	before := tree(t, f.Folder())
	if err := f.Publish(publication(2, 0)); !errors.Is(err, syscall.EIO) {
		t.Errorf("Publish: %v", err)
	}
	sameTree(t, tree(t, f.Folder()), before)
}

type failSecondRename struct {
	durable.FS
	renames int
}

func (f *failSecondRename) Exchange(_, _ string) error { return errors.ErrUnsupported }

func (f *failSecondRename) Rename(from, to string) error {
	if f.renames++; f.renames == 2 {
		return syscall.EIO
	}
	return f.FS.Rename(from, to)
}

// The same on the real thing, syncs and all.
func TestPublishOnTheOperatingSystem(t *testing.T) {
	p := newPlace(t).on(durable.OS())
	for revision := range int64(2) {
		f := p.open(t, fmt.Sprintf("run-%d", revision), night)
		if err := f.Prepare(); err != nil {
			t.Fatal(err)
		}
		publish(t, f, publication(revision+1, 1, stage(t, f, 1, 1, 3, "x")))
		if err := f.Sweep(); err != nil {
			t.Fatal(err)
		}
		if m, err := sinktest.Check(os.DirFS(f.Folder())); err != nil || m.Revision != revision+1 {
			t.Errorf("revision %d: %v", m.Revision, err)
		}
	}
}
