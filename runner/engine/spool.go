package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// SweepSpools removes copies of input that nobody needs any more: their run has
// succeeded, or ended too long ago to be taken up again, and no record of them is
// owed.
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
	if err := e.Store.Write(context.Background(), func(tx *store.Tx) error { return tx.GiveUpCopies() }); err != nil {
		return err
	}
	needed, err := e.Store.SpoolsNeeded()
	for _, run := range spooled {
		if err == nil && !needed[run] {
			err = source.RemoveSpool(e.FS, runs, run)
		}
	}
	return err
}

// SpoolBytes is what the copies of input take on the disk, by their run.
func (e *Engine) SpoolBytes() (map[string]int64, error) {
	runs := filepath.Dir(e.RunDir("any"))
	folders, err := os.ReadDir(runs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	bytes := map[string]int64{}
	for _, folder := range folders {
		if err != nil {
			break
		}
		var size int64
		if size, err = source.SpoolSize(runs, folder.Name()); size > 0 {
			bytes[folder.Name()] = size
		}
	}
	return bytes, err
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

// copiesThere refuses to take up a run which is about to read a copy of its input
// that is not kept any longer.
func copiesThere(tx *store.Tx, run store.Run) error {
	of, err := tx.CopyGone(run.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	plan, err := tx.Plan(run.ID)
	if err != nil {
		return err
	}
	hint := fmt.Sprintf("run the occurrence again: batch-runner rerun %s --occurrence %s", run.Job, run.Occurrence.UTC().Format(time.RFC3339))
	switch plan.Spec.Input.Mode {
	case api.ModePredicate:
		hint = "run the job: it takes what its query finds; a row that is a dead letter comes back once it has changed"
	case api.ModeWatermark, api.ModeNewFiles:
		hint = "run the job: it takes what is owed; its dead letters hold their input: batch-runner dead-letters " + run.ID
	}
	return api.Errorf(api.CodeConflict, hint, "the copy that run %s made of its input is not kept any longer, as keep_withheld says", of)
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
