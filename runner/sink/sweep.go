package sink

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Sweep removes all that the run has below the root beside its published
// folder, whatever is staged included: for a run that is over.
func (f *Files) Sweep() error {
	if err := f.sweep(); err != nil {
		return fmt.Errorf("sweep %s: %w", f.Staging(), err)
	}
	return nil
}

func (f *Files) sweep() error {
	if _, err := os.Lstat(f.root); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := f.restore(); err != nil {
		return err
	}
	if err := f.fs.RemoveAll(f.Staging()); err != nil {
		return err
	}
	for dir := filepath.Dir(f.folder); ; dir = filepath.Dir(dir) {
		if err := f.fs.Remove(f.probeIn(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if dir == f.root {
			break
		}
	}
	err := f.fs.Remove(filepath.Join(f.root, stagingName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) { // ErrExist: not empty
		return err
	}
	return f.fs.SyncDir(f.root)
}

// restore puts back the published folder that an exchange by two renames left
// in staging when it was interrupted and never taken up again.
func (f *Files) restore() error {
	if _, err := os.Lstat(f.folder); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := os.Lstat(f.replaced()); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if err := f.fs.Rename(f.replaced(), f.folder); err != nil {
		return err
	}
	return f.fs.SyncDir(filepath.Dir(f.folder))
}
