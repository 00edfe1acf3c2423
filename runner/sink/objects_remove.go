package sink

import (
	"context"
	"fmt"
	"path"

	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
)

// ObjectsOutput is an Output whose folder is a prefix of an object store.
type ObjectsOutput struct {
	Output
	Stores *object.Stores
}

// Removable tells what Output.Removable tells.
func (o ObjectsOutput) Removable(ctx context.Context) error {
	_, _, err := o.removable(ctx)
	return err
}

// removable gives the folder, and its manifest, nil where there is none.
func (o ObjectsOutput) removable(ctx context.Context) (objectFolder, *Manifest, error) {
	at, err := openFolder(ctx, o.Stores, o.Folder)
	if err != nil {
		return at, nil, cannotLook(o.Folder, err)
	}
	latest, err := at.isLatest(ctx, o.UID)
	if err != nil {
		return at, nil, err
	}
	if latest {
		return at, nil, fmt.Errorf("%s: %w: the output pointer names it", o.Folder, ErrKept)
	}
	now, err := at.published(ctx, o.UID)
	if err != nil {
		return at, nil, err
	}
	at.partitions = now.manifest.partitions()
	if err := at.checkOwn(ctx, now.manifest, o.UID); err != nil {
		return at, nil, err
	}
	if m := now.manifest; m != nil && (m.Run != o.Run || o.Revision > 0 && m.Revision != o.Revision) {
		return at, nil, fmt.Errorf("%s: %w: it holds revision %d of run %s", o.Folder, ErrKept, m.Revision, m.Run)
	}
	return at, now.manifest, nil
}

// isLatest looks for the job's pointer in the folders above, since the uri may
// have been edited, and tells whether it names this one.
func (f objectFolder) isLatest(ctx context.Context, uid string) (bool, error) {
	for key := path.Clean(f.prefix); key != "."; {
		key = path.Dir(key)
		above := objectFolder{bucket: f.bucket, uri: f.uri}
		if key != "." {
			above.prefix = key + "/"
		}
		content, info, err := above.get(ctx, LatestName)
		if err != nil {
			return false, cannotLook(f.uri, err)
		}
		latest := &Latest{}
		if info.ETag != "" && decode(content, latest, &latest.Format) == nil && latest.UID == uid {
			return above.prefix+path.Clean(latest.Folder)+"/" == f.prefix, nil
		}
	}
	return false, nil
}

// Remove removes the objects of the folder, only those that its job wrote: what
// says that it is whole first, the mark of who wrote it last. It may be called
// again after an error or a crash at any step.
func (o ObjectsOutput) Remove(ctx context.Context) error {
	at, m, err := o.removable(ctx)
	if err != nil {
		return err
	}
	if m != nil {
		if err := at.empty(ctx, m.Revision); err != nil {
			return fmt.Errorf("remove output %s: %w", o.Folder, err)
		}
	}
	failpoint.Here("retain.removed")
	return nil
}

func (f objectFolder) empty(ctx context.Context, revision int64) error {
	if err := f.remove(ctx, []string{SuccessName}); err != nil {
		return err
	}
	failpoint.Here("retain.unmarked")
	if err := f.removeOwn(ctx, nil, upTo(revision)); err != nil {
		return err
	}
	failpoint.Here("retain.emptied")
	return f.remove(ctx, []string{ManifestName})
}
