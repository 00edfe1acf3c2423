package sink

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
)

// pointerTries is how often the pointer is moved again after somebody else has
// moved it meanwhile.
const pointerTries = 5

// pointer is _LATEST.json as it was read.
type pointer struct {
	to   *Latest // nil: there is none
	etag string
}

// latest reads the pointer. It fails if another job's is there.
func (o *Objects) latest(ctx context.Context) (pointer, error) {
	root, err := o.root(ctx)
	if err != nil {
		return pointer{}, cannotLook(o.rootURI, err)
	}
	content, info, err := root.get(ctx, LatestName)
	if err != nil || info.ETag == "" {
		return pointer{}, cannotLook(o.rootURI, err)
	}
	latest := &Latest{}
	if err := decode(content, latest, &latest.Format); err != nil {
		return pointer{}, taken("output pointer %s/%s: %w", o.rootURI, LatestName, err)
	}
	if latest.UID != o.uid {
		return pointer{}, api.Fail(api.ReasonOutputTaken, sharedRootHint,
			fmt.Errorf("output pointer %s/%s belongs to job %q (uid %s), and two jobs can't share one", o.rootURI, LatestName, latest.Job, latest.UID))
	}
	return pointer{latest, info.ETag}, nil
}

// movePointer makes _LATEST.json name the folder, unless it names a later one.
func (o *Objects) movePointer(ctx context.Context, revision int64) error {
	inside := strings.TrimPrefix(o.folder, o.rootURI+"/")
	next := Latest{fileFormat, o.job, o.uid, o.occasion.Occurrence.UTC(), revision, inside}
	var err error
	for range pointerTries {
		if err = o.swapPointer(ctx, next); !errors.Is(err, object.ErrPrecondition) && !errors.Is(err, object.ErrChanged) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("move output pointer %s/%s: %w", o.rootURI, LatestName, err)
	}
	failpoint.Here("publish.pointer")
	return nil
}

func (o *Objects) swapPointer(ctx context.Context, next Latest) error {
	now, err := o.latest(ctx)
	if err != nil || now.to != nil && !now.to.before(next) {
		return err
	}
	root, err := o.root(ctx)
	if err != nil {
		return err
	}
	content, err := encode(next)
	if err != nil {
		return err
	}
	_, err = root.putIf(ctx, LatestName, content, object.Condition{Absent: now.to == nil, Match: now.etag})
	return err
}
