package durable_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/runner/durable"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	file, err := durable.OS().Create(path)
	if err == nil {
		_, err = file.Write([]byte(content))
		err = errors.Join(err, file.Sync(), file.Close(), durable.OS().SyncDir(filepath.Dir(path)))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestCreateReplacesWhatWasThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, "long content")
	write(t, path, "short")
	if got := read(t, path); got != "short" {
		t.Errorf("file holds %q", got)
	}
}

func TestExchangeSwapsFolders(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for _, folder := range []string{a, b} {
		if err := durable.OS().MkdirAll(folder); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, "name"), filepath.Base(folder))
	}
	err := durable.OS().Exchange(a, b)
	if errors.Is(err, errors.ErrUnsupported) && runtime.GOOS != "linux" {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if read(t, filepath.Join(a, "name")) != "b" || read(t, filepath.Join(b, "name")) != "a" {
		t.Error("the folders did not change places")
	}
	err = durable.OS().Exchange(a, filepath.Join(dir, "missing"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("exchange with nothing: %v", err)
	}
}

func TestRenameNeverLandsOnAFolder(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := errors.Join(durable.OS().MkdirAll(from), durable.OS().MkdirAll(to)); err != nil {
		t.Fatal(err)
	}
	if err := durable.OS().Rename(from, to); err == nil {
		t.Error("a folder was renamed onto another one")
	}
}

func TestMkdirAllRefusesAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, "")
	for _, folder := range []string{path, filepath.Join(path, "below")} {
		if err := durable.OS().MkdirAll(folder); !errors.Is(err, syscall.ENOTDIR) {
			t.Errorf("MkdirAll(%s) = %v", folder, err)
		}
	}
}

// A run that ends removes an empty .batch while the next one makes its own
// folder below it.
func TestMkdirAllHoldsAgainstANeighbourThatTidies(t *testing.T) {
	dir := t.TempDir()
	parent := filepath.Join(dir, "parent")
	stop := make(chan struct{})
	var tidying sync.WaitGroup
	tidying.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = os.Remove(parent)
			}
		}
	})
	for i := range 200 {
		folder := filepath.Join(parent, fmt.Sprint(i))
		if err := durable.OS().MkdirAll(folder); err != nil {
			t.Errorf("MkdirAll: %v", err)
			break
		}
		if err := os.Remove(folder); err != nil {
			t.Errorf("the folder was not there: %v", err)
			break
		}
	}
	close(stop)
	tidying.Wait()
}

func TestIsStorage(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EROFS} {
		err := fmt.Errorf("stage: %w", &os.PathError{Op: "write", Path: "part", Err: errno})
		if !durable.IsStorage(err) {
			t.Errorf("IsStorage(%v) = false", err)
		}
	}
	for _, err := range []error{nil, fs.ErrPermission, syscall.ENOENT, errors.New("no space")} {
		if durable.IsStorage(err) {
			t.Errorf("IsStorage(%v) = true", err)
		}
	}
}
