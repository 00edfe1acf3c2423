package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// OS is the operating system's file system.
func OS() FS { return osFS{} }

type osFS struct{}

func (osFS) Create(path string) (File, error) { return os.Create(path) }

func (osFS) Rename(from, to string) error { return os.Rename(from, to) }

func (osFS) Exchange(a, b string) error {
	if err := exchange(a, b); err != nil {
		return &os.LinkError{Op: "exchange", Old: a, New: b, Err: err}
	}
	return nil
}

// Link's causes for "unsupported": a file system without links (EPERM), two
// file systems (EXDEV), or a file that has as many names as it can (EMLINK).
func (osFS) Link(from, to string) error {
	err := os.Link(from, to)
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.EXDEV, syscall.EMLINK} {
		if errors.Is(err, errno) {
			return fmt.Errorf("%w: %w", err, errors.ErrUnsupported)
		}
	}
	return err
}

func (osFS) Remove(path string) error { return os.Remove(path) }

func (osFS) RemoveAll(path string) error { return os.RemoveAll(path) }

func (f osFS) MkdirAll(path string) error {
	// A neighbour that tidies up may remove an empty folder between its
	// making and that of the folder below it; then we begin anew.
	const tries = 100
	var err error
	for range tries {
		if err = f.mkdirAll(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

// mkdirAll makes all folders before it syncs any: a folder with another one
// in it is safe from those who remove empty ones.
func (f osFS) mkdirAll(path string) error {
	var parents []string // of the missing folders
	for dir := path; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			break
		}
		parents = append(parents, filepath.Dir(dir))
	}
	if err := os.MkdirAll(path, 0o777); err != nil {
		return err
	}
	for _, parent := range parents {
		if err := f.SyncDir(parent); err != nil {
			return err
		}
	}
	return nil
}

func (osFS) SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	err = dir.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil // a file system that syncs its folders by itself
	}
	return errors.Join(err, dir.Close())
}
