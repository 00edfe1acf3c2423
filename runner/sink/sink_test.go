package sink_test

import (
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
)

func TestOpenNamesThePlacesOfARun(t *testing.T) {
	berlin := time.FixedZone("CET", 3600)
	for _, c := range []struct{ uri, root, folder string }{
		{"/out/dt={date}/", "/out", "/out/dt=2026-11-22"},
		{"file:///out/{year}/{date:%m%d}", "/out", "/out/2026/1122"},
		{"/out/pre-{scheduled_at}-post", "/out", "/out/pre-20261121T233000Z-post"},
		{"/out", "/out", "/out/occurrence=20261121T233000Z"},
		{"/out/{run}/", "/out", "/out/run-1/occurrence=20261121T233000Z"},
		{"/", "/", "/occurrence=20261121T233000Z"},
	} {
		o := api.Occasion{Occurrence: time.Date(2026, 11, 22, 0, 30, 0, 0, berlin), Run: "run-1"}
		f, err := sink.Open(durable.OS(), api.OutputFiles{URI: c.uri, Format: "csv"}, job, uid, o)
		if err != nil {
			t.Errorf("%s: %v", c.uri, err)
			continue
		}
		if f.Root() != c.root || f.Folder() != c.folder || f.Staging() != filepath.Join(c.root, ".batch", "run-1") {
			t.Errorf("%s: root %s, folder %s, staging %s", c.uri, f.Root(), f.Folder(), f.Staging())
		}
	}
}

func TestOpenRefusesWhatLeadsElsewhere(t *testing.T) {
	for _, c := range []struct{ uri, run string }{
		{"/out", ""}, {"/out", "../run"}, {"/out", ".."}, {"out/{date}", "run-1"}, {"/out/{dat}", "run-1"}, {"/out/{date:../..}/x", "run-1"},
	} {
		o := api.Occasion{Occurrence: night, Run: c.run}
		if f, err := sink.Open(durable.OS(), api.OutputFiles{URI: c.uri, Format: "csv"}, job, uid, o); err == nil {
			t.Errorf("run %q, %s: opened %s", c.run, c.uri, f.Folder())
		}
	}
}

func TestPrepareLeavesNothingThatAReaderSees(t *testing.T) {
	p := newPlace(t)
	f := p.open(t, "run-1", night)
	if err := f.Prepare(); err != nil {
		t.Fatal(err)
	}
	sameTree(t, tree(t, p.root), map[string]string{"./": "", ".batch/": "", ".batch/run-1/": ""})
}

func TestPrepareProvesThatTheOutputCanBeWritten(t *testing.T) {
	for name, c := range map[string]struct {
		op      durabletest.Op
		err     error
		storage bool
	}{
		"not ours":    {durabletest.MkdirAll, syscall.EACCES, false},
		"full":        {durabletest.Write, syscall.ENOSPC, true},
		"read-only":   {durabletest.Create, syscall.EROFS, true},
		"broken":      {durabletest.Sync, syscall.EIO, true},
		"two systems": {durabletest.Rename, syscall.EXDEV, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			faulty := durabletest.New(p.fs)
			faulty.Fail(c.op, c.err)
			err := p.on(faulty).open(t, "run-1", night).Prepare()
			if reason(err) != api.ReasonOutputUnwritable || durable.IsStorage(err) != c.storage {
				t.Errorf("Prepare: %v (reason %q)", err, reason(err))
			}
			if err != nil && !strings.Contains(err.Error(), "dt=2026-11-21") {
				t.Errorf("the error does not name the folder: %v", err)
			}
		})
	}
}

func TestPrepareMeetsAFileWhereTheRootShouldBe(t *testing.T) {
	p := newPlace(t)
	writeFile(t, p.root, "a file")
	if err := p.open(t, "run-1", night).Prepare(); reason(err) != api.ReasonOutputUnwritable {
		t.Errorf("Prepare: %v", err)
	}
}

func TestAFolderOfSomebodyElseIsTaken(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, p place, folder string)
		text  string
	}{
		"another job's folder": {func(t *testing.T, p place, folder string) {
			other, err := sink.Open(p.fs, api.OutputFiles{URI: p.root + "/dt={date}", Format: "csv"}, "fraud", "uid-of-fraud", api.Occasion{Occurrence: night, Run: "run-0"})
			if err != nil {
				t.Fatal(err)
			}
			publication := publication(1, 0)
			publication.MovePointer = false
			publish(t, other, publication)
		}, `"fraud"`},
		"files without a manifest": {func(t *testing.T, _ place, folder string) {
			writeFile(t, filepath.Join(folder, "notes.txt"), "mine")
		}, "notes.txt"},
		"a garbled manifest": {func(t *testing.T, _ place, folder string) {
			writeFile(t, filepath.Join(folder, "_MANIFEST.json"), `{"format": 1, "ui`)
		}, "_MANIFEST.json"},
		"a manifest of a newer runner": {func(t *testing.T, _ place, folder string) {
			writeFile(t, filepath.Join(folder, "_MANIFEST.json"), `{"format": 2, "uid": "`+uid+`"}`)
		}, "format 2"},
		"a file beside our parts": {func(t *testing.T, p place, folder string) {
			publish(t, p.open(t, "run-0", night), publication(1, 0))
			writeFile(t, filepath.Join(folder, "notes.txt"), "mine")
		}, "notes.txt"},
		"a file in the folder's place": {func(t *testing.T, _ place, folder string) {
			writeFile(t, folder, "mine")
		}, "not a folder"},
		"a link in the folder's place": {func(t *testing.T, p place, folder string) {
			writeFile(t, filepath.Join(p.root, "x"), "")
			if err := os.Symlink(t.TempDir(), folder); err != nil {
				t.Fatal(err)
			}
		}, "not a folder"},
		"another job's pointer": {func(t *testing.T, p place, _ string) {
			writeFile(t, filepath.Join(p.root, "_LATEST.json"), `{"format": 1, "job": "fraud", "folder": "x"}`)
		}, `job "fraud" (uid ), and two jobs can't share one; give this job an output.files.uri with another folder before its first placeholder`},
		"a pointer that is none": {func(t *testing.T, p place, _ string) {
			writeFile(t, filepath.Join(p.root, "_LATEST.json"), "see dt=2026")
		}, "_LATEST.json"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			f := p.open(t, "run-1", night)
			c.spoil(t, p, f.Folder())
			before := tree(t, p.root)

			for step, err := range map[string]error{"CheckTaken": f.CheckTaken(), "Prepare": f.Prepare(), "Publish": f.Publish(publication(2, 0))} {
				if reason(err) != api.ReasonOutputTaken || !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), p.root) {
					t.Errorf("%s: %v (want %q in it)", step, err, c.text)
				}
			}
			sameTree(t, tree(t, p.root), before)
		})
	}
}

func TestOurOwnFolderAndAnEmptyOneAreNotTaken(t *testing.T) {
	p := newPlace(t)
	f := p.open(t, "run-1", night)
	if err := os.MkdirAll(f.Folder(), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := f.CheckTaken(); err != nil {
		t.Errorf("an empty folder: %v", err)
	}
	publish(t, f, publication(1, 2))
	if err := p.open(t, "run-2", night).CheckTaken(); err != nil {
		t.Errorf("a folder of the same job: %v", err)
	}
	renamed, err := sink.Open(p.fs, api.OutputFiles{URI: p.root + "/dt={date}", Format: "csv"}, "churn-eu", uid, api.Occasion{Occurrence: night, Run: "run-3"})
	if err != nil {
		t.Fatal(err)
	}
	publish(t, renamed, publication(2, 0))
}
