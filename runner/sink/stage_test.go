package sink_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
)

func TestAStagedPartIsWhatItsRowSays(t *testing.T) {
	f := newPlace(t).open(t, "run-1", night)
	part := stage(t, f, 2, 7, 3, "old")
	content, err := os.ReadFile(filepath.Join(f.Staging(), part.Path))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"7-0","label":"old"}` + "\n" + `{"id":"7-1","label":"old"}` + "\n" + `{"id":"7-2","label":"old"}` + "\n"
	sum := sha256.Sum256([]byte(want))
	if string(content) != want || part.Path != "2/000007.1" || part.Records != 3 ||
		part.Bytes != int64(len(want)) || part.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("staged %+v with content\n%s", part, content)
	}
	if exists(t, f.Folder()) {
		t.Error("a staged part is visible")
	}
}

func TestAPartIsSyncedBeforeItsFolderIs(t *testing.T) {
	p := newPlace(t)
	recorder := durabletest.New(p.fs)
	f := p.on(recorder).open(t, "run-1", night)
	part := stage(t, f, 1, 1, 1, "old")
	file := filepath.Join(f.Staging(), part.Path)
	inOrder(t, recorder.Steps(),
		durabletest.Step{Op: durabletest.MkdirAll, Path: filepath.Dir(file)},
		durabletest.Step{Op: durabletest.Create, Path: file},
		durabletest.Step{Op: durabletest.Write, Path: file},
		durabletest.Step{Op: durabletest.Sync, Path: file},
		durabletest.Step{Op: durabletest.SyncDir, Path: filepath.Dir(file)},
	)
}

// inOrder asserts that the wanted steps were taken, in this order.
func inOrder(t *testing.T, steps []durabletest.Step, want ...durabletest.Step) {
	t.Helper()
	rest := steps
	for _, step := range want {
		i := slices.Index(rest, step)
		if i < 0 {
			t.Fatalf("%v is missing, or comes too early, in\n%v", step, steps)
		}
		rest = rest[i+1:]
	}
}

func TestAFullDiskWhileStagingPassesWhenThereIsRoom(t *testing.T) {
	p := newPlace(t)
	faulty := durabletest.New(p.fs)
	f := p.on(faulty).open(t, "run-1", night)
	for _, fault := range []struct {
		set, lift func()
	}{
		{func() { faulty.SetSpace(10) }, func() { faulty.SetSpace(-1) }},
		{func() { faulty.Fail(durabletest.Sync, syscall.EIO) }, func() { faulty.Fail(durabletest.Sync, nil) }},
		{func() { faulty.Fail(durabletest.SyncDir, syscall.EIO) }, func() { faulty.Fail(durabletest.SyncDir, nil) }},
	} {
		part, err := f.Stage(1, 1, 1, columns)
		if err != nil {
			t.Fatal(err)
		}
		fault.set()
		for range 100_000 {
			if err = part.Write(record("1", "x")); err != nil {
				break
			}
		}
		if err == nil {
			_, err = part.Finish()
		}
		if !durable.IsStorage(err) || !strings.Contains(err.Error(), "000001.1") {
			t.Errorf("staging: %v", err)
		}
		part.Abort()
		if exists(t, filepath.Join(f.Staging(), "1/000001.1")) {
			t.Error("an aborted part still takes space")
		}
		fault.lift()
		stage(t, f, 1, 1, 1, "x")
	}
}

func TestAFailureToCreateAPartIsReturned(t *testing.T) {
	p := newPlace(t)
	faulty := durabletest.New(p.fs)
	faulty.Fail(durabletest.Create, syscall.EDQUOT)
	if _, err := p.on(faulty).open(t, "run-1", night).Stage(1, 1, 1, columns); !durable.IsStorage(err) {
		t.Errorf("Stage: %v", err)
	}
	p.root = filepath.Join(p.root, "x")
	if _, err := p.open(t, "run-1", night).Stage(1, 1, 1, nil); err == nil {
		t.Error("a part without columns was begun")
	}
}

func TestAbortAfterFinishKeepsThePart(t *testing.T) {
	f := newPlace(t).open(t, "run-1", night)
	part := stage(t, f, 1, 1, 1, "x") // defers Abort
	if !exists(t, filepath.Join(f.Staging(), part.Path)) {
		t.Error("the finished part is gone")
	}
}

func TestFencesKeepWorkersApart(t *testing.T) {
	f := newPlace(t).open(t, "run-1", night)
	late, err := f.Stage(1, 1, 1, columns)
	if err != nil {
		t.Fatal(err)
	}
	current, err := f.Stage(1, 1, 2, columns)
	if err != nil {
		t.Fatal(err)
	}
	staged, err := current.Finish()
	if err != nil {
		t.Fatal(err)
	}
	late.Abort()
	if !exists(t, filepath.Join(f.Staging(), staged.Path)) {
		t.Error("a worker that lost its mini-batch removed its successor's part")
	}
}
