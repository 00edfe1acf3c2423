package sink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/runner/object"
)

// lostAge is how long after the last that was heard of it a manifest that was
// about to be written can't come any more.
const lostAge = 24 * time.Hour

// Sweep removes what is staged, and what the run has left in the store without
// publishing it: for a run that is over.
func (o *Objects) Sweep(ctx context.Context) error {
	if err := o.sweepUploads(ctx); err != nil {
		return fmt.Errorf("sweep %s: %w", o.folder, err)
	}
	return o.staging.Sweep()
}

func (o *Objects) sweepUploads(ctx context.Context) error {
	if _, err := os.Lstat(o.local(uploadingMark)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	at, err := o.place(ctx)
	if err != nil {
		return err
	}
	names, err := at.claims(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		held, err := at.claimed(ctx, name)
		if err != nil {
			return err
		}
		if held.UID != o.uid || held.Run != o.occasion.Run {
			continue
		}
		if err := at.giveUp(ctx, held); err != nil {
			return err
		}
	}
	return nil
}

// giveUp removes what was uploaded under a claim, but for what the folder's
// manifest names: that can be nothing where conditions are kept. What is about
// to be committed stays; the next publish to the folder removes it.
func (f objectFolder) giveUp(ctx context.Context, held heldClaim) error {
	if held.State == claimCommitting && time.Since(held.written) < lostAge {
		return nil
	}
	_, err := f.putClaim(ctx, held.in(claimGivenUp), object.Condition{Match: held.etag})
	if errors.Is(err, object.ErrPrecondition) {
		return nil // somebody goes on with it
	}
	if err != nil {
		return err
	}
	ofClaim := func(name string) bool { return name != ClaimName(held.Revision) && revisionOf(name) == held.Revision }
	if uploads, ok := f.bucket.(object.Uploads); ok {
		err := uploads.AbortUploads(ctx, f.prefix, func(key string) bool {
			return f.with(nil).wrote(strings.TrimPrefix(key, f.prefix)) && ofClaim(path.Base(key))
		})
		if err != nil {
			return err
		}
	}
	now, err := f.published(ctx, held.UID)
	if now.manifest == nil && err != nil {
		return err
	}
	return f.removeOwn(ctx, now.manifest, ofClaim)
}
