package durabletest_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
)

func newFaulty(t *testing.T) (*durabletest.Faulty, string) {
	t.Helper()
	return durabletest.New(durabletest.NoSync()), t.TempDir()
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// write writes and closes a file without syncing it.
func write(f *durabletest.Faulty, path, content string) error {
	file, err := f.Create(path)
	if err != nil {
		return err
	}
	_, err = io.WriteString(file, content)
	return errors.Join(err, file.Close())
}

func holds(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s holds %q (%v), want %q", filepath.Base(path), got, err, want)
	}
}

func TestSpaceRunsOutInTheMiddleOfAWrite(t *testing.T) {
	f, dir := newFaulty(t)
	path := filepath.Join(dir, "file")
	f.SetSpace(4)
	if err := write(f, path, "predictions"); !errors.Is(err, syscall.ENOSPC) || !durable.IsStorage(err) {
		t.Errorf("write on a full disk: %v", err)
	}
	holds(t, path, "pred")
	f.SetSpace(-1)
	must(t, write(f, path, "predictions"))
	holds(t, path, "predictions")
}

func TestFailGivesTheErrorUntilItIsTakenBack(t *testing.T) {
	f, dir := newFaulty(t)
	f.Fail(durabletest.Create, syscall.EACCES)
	if err := write(f, filepath.Join(dir, "file"), ""); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("create: %v", err)
	}
	f.Fail(durabletest.Create, nil)
	must(t, write(f, filepath.Join(dir, "file"), ""))
}

func TestStopAfterTearsAWriteAndTakesNoFurtherStep(t *testing.T) {
	f, dir := newFaulty(t)
	path := filepath.Join(dir, "file")
	f.StopAfter(1) // the create
	if err := write(f, path, "abcdef"); !errors.Is(err, durabletest.ErrStopped) {
		t.Errorf("write: %v", err)
	}
	holds(t, path, "abc")
	if err := f.Remove(path); !errors.Is(err, durabletest.ErrStopped) {
		t.Errorf("remove: %v", err)
	}
	holds(t, path, "abc")
}

func TestForgetLosesWhatWasNotSynced(t *testing.T) {
	f, dir := newFaulty(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	must(t, f.MkdirAll(path("folder")))

	must(t, write(f, path("old"), "x"))
	must(t, f.SyncDir(dir)) // the name is durable, the content is not
	must(t, write(f, path("new"), "x"))
	must(t, f.Rename(path("folder"), path("renamed")))

	must(t, f.Forget())

	holds(t, path("old"), "")
	if _, err := os.Stat(path("new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file whose name was not synced is there: %v", err)
	}
	if _, err := os.Stat(path("folder")); err != nil {
		t.Errorf("a rename that was not synced stayed: %v", err)
	}
}

func TestForgetBringsBackWhatARenameReplaced(t *testing.T) {
	f, dir := newFaulty(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.WriteFile(path("pointer"), []byte("old"), 0o666))
	file, err := f.Create(path("fresh"))
	must(t, err)
	_, err = io.WriteString(file, "new")
	must(t, err, file.Sync(), file.Close())
	must(t, f.Rename(path("fresh"), path("pointer")))
	holds(t, path("pointer"), "new")
	must(t, f.Forget())
	holds(t, path("pointer"), "old")
}

func TestForgetKeepsWhatWasSyncedAndFollowsItsMoves(t *testing.T) {
	f, dir := newFaulty(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	must(t, f.MkdirAll(path("a")), f.MkdirAll(path("b")))
	file, err := f.Create(path("a/synced"))
	must(t, err)
	_, err = io.WriteString(file, "x")
	must(t, err, file.Sync(), file.Close())
	must(t, write(f, path("a/torn"), "x"))
	must(t, f.SyncDir(path("a")))
	must(t, f.Exchange(path("a"), path("b")), f.SyncDir(dir))

	must(t, f.Forget())

	holds(t, path("b/synced"), "x")
	holds(t, path("b/torn"), "")
}
