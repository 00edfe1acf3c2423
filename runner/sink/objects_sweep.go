package sink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
)

// orphanAge is how old an object must be that no manifest names, where there is
// no claim, to be nobody's.
const orphanAge = 24 * time.Hour

// Sweep removes what is staged, and what the run may have left in the store
// without publishing it: for a run that is over.
func (o *Objects) Sweep(ctx context.Context) error {
	if err := o.sweepOrphans(ctx); err != nil {
		return fmt.Errorf("sweep %s: %w", o.folder, err)
	}
	return o.staging.Sweep()
}

func (o *Objects) sweepOrphans(ctx context.Context) error {
	if _, err := os.Lstat(o.local(uploadingMark)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	at, err := o.place(ctx)
	if err != nil {
		return err
	}
	now, err := at.published(ctx, o.uid)
	if failure, told := errors.AsType[*api.Failure](err); told && failure.Reason == api.ReasonOutputTaken {
		return nil // its job came first, and this one has uploaded nothing
	}
	if err != nil {
		return err
	}
	held, err := at.claimed(ctx)
	if err != nil {
		return err
	}
	before := time.Now().Add(-orphanAge)
	if held.by != nil {
		if held.by.UID != o.uid || held.by.Run != o.occasion.Run {
			return nil // who holds it publishes, and removes what lies there from before
		}
		before = time.Now().Add(orphanAge) // everything: nobody else writes there
	}
	if uploads, ok := at.bucket.(object.Uploads); ok {
		if err := uploads.AbortUploads(ctx, at.prefix, before); err != nil {
			return err
		}
	}
	return at.removeOwn(ctx, now.manifest, func(info object.Info) bool { return info.ModTime.Before(before) })
}
