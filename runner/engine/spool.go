package engine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/batchpattern/terraform-provider-batch/runner/source"
)

// SweepSpools removes copies of input that nobody needs any more: their run has
// ended for good, and no record of them is owed.
func (e *Engine) SweepSpools() error {
	runs := filepath.Dir(e.RunDir("any"))
	folders, err := os.ReadDir(runs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var spooled []string // listed first: a run that spools from now on is not among them
	for _, folder := range folders {
		if source.Spooled(runs, folder.Name()) {
			spooled = append(spooled, folder.Name())
		}
	}
	if len(spooled) == 0 {
		return nil
	}
	needed, err := e.Store.SpoolsNeeded()
	for _, run := range spooled {
		if err == nil && !needed[run] {
			err = source.RemoveSpool(e.FS, runs, run)
		}
	}
	return err
}

// RemoveFiles removes a run's own files, but for copies of input that others
// still need.
func (e *Engine) RemoveFiles(run string) error {
	folder := e.RunDir(run)
	if source.Spooled(filepath.Dir(folder), run) {
		needed, err := e.Store.SpoolNeeded(run)
		if err != nil || needed {
			return errors.Join(err, source.KeepSpoolOnly(filepath.Dir(folder), run))
		}
	}
	return os.RemoveAll(folder)
}

// dropSpool is SweepSpools for a run that has just ended. What goes wrong costs
// disk, until the next sweep.
func (x *execution) dropSpool() {
	runs := filepath.Dir(x.e.RunDir(x.run.ID))
	if !x.run.State.Ended() || !source.Spooled(runs, x.run.ID) {
		return
	}
	needed, err := x.e.Store.SpoolNeeded(x.run.ID)
	if err == nil && !needed {
		err = source.RemoveSpool(x.e.FS, runs, x.run.ID)
	}
	if err != nil {
		x.log.Warn("remove the copy of the input", "error", err)
	}
}
