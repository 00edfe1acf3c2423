package sink

import (
	"context"
	"errors"
	"fmt"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
)

// ClaimName is the object that says which run is uploading to a folder.
const ClaimName = "_CLAIM.json"

// claimTries is how often a claim is tried again that others change meanwhile.
const claimTries = 5

// claim is the content of that object. The parts of one revision have the same
// names whoever writes them, so that two jobs that publish to one empty folder
// would overwrite each other's before either of them lost at the manifest. The
// claim, created only where there is none, lets one of them begin. It goes once
// the manifest is there, which says from then on whose the folder is.
//
// Of a run that died the claim stays. Another run of the job takes it over: one
// runner has the job, and lets one of its runs publish at a time. Another job
// never does, since it can't tell a run that died from one that is slow.
type claim struct {
	Format   int64  `json:"format"`
	Job      string `json:"job"`
	UID      string `json:"uid"`
	Run      string `json:"run"`
	Revision int64  `json:"revision"`
}

// heldClaim is a claim as it lies in a folder.
type heldClaim struct {
	by   *claim // nil: there is none
	etag string
}

func (h heldClaim) is(c claim) bool { return h.by != nil && *h.by == c }

// claimed reads the claim of the folder.
func (f objectFolder) claimed(ctx context.Context) (heldClaim, error) {
	content, etag, err := f.get(ctx, ClaimName)
	if err != nil || etag == "" {
		return heldClaim{}, cannotLook(f.uri, err)
	}
	c := &claim{}
	if err := decode(content, c, &c.Format); err != nil {
		return heldClaim{}, taken("output %s: read its %s: %w", f.uri, ClaimName, err)
	}
	return heldClaim{c, etag}, nil
}

// checkClaim fails if another job is about to publish here.
func (f objectFolder) checkClaim(ctx context.Context, uid string) error {
	held, err := f.claimed(ctx)
	if err != nil || held.by == nil || held.by.UID == uid {
		return err
	}
	return api.Fail(api.ReasonOutputTaken,
		fmt.Sprintf("give each job an output of its own; if job %q is gone for good, delete %s/%s", held.by.Job, f.uri, ClaimName),
		fmt.Errorf("output %s is being written by run %s of job %q (uid %s)", f.uri, held.by.Run, held.by.Job, held.by.UID))
}

// claim takes the folder, in which such a state was seen, for this run.
func (o *Objects) claim(ctx context.Context, at objectFolder, seen publishedObjects, m Manifest) (heldClaim, error) {
	held, err := o.takeClaim(ctx, at, seen, claim{fileFormat, o.job, o.uid, o.occasion.Run, m.Revision})
	if err != nil {
		return held, err
	}
	failpoint.Here("publish.claim")
	// Somebody else may have published, and let go, before the claim was there.
	now, err := at.published(ctx, o.uid)
	if err == nil && now.etag == seen.etag {
		return held, nil
	}
	// The claim was for nothing; should it stay, it is in nobody's way.
	err = errors.Join(err, at.remove(ctx, []string{ClaimName}))
	switch {
	case err != nil:
		return held, err
	case now.manifest != nil && now.manifest.Revision >= m.Revision:
		return held, cameFirst(m, *now.manifest)
	}
	return held, fmt.Errorf("the manifest changed while the folder was claimed")
}

func (o *Objects) takeClaim(ctx context.Context, at objectFolder, seen publishedObjects, c claim) (held heldClaim, err error) {
	content, err := encode(c)
	if err != nil {
		return held, err
	}
	for range claimTries {
		if held.by != nil {
			o.uploaded.Clear() // they may have written over it
		}
		etag, err := at.putIf(ctx, ClaimName, content, object.Condition{Absent: held.by == nil, Match: held.etag})
		if err == nil {
			o.uploaded.Clear()
			return heldClaim{&c, etag}, nil
		}
		if !errors.Is(err, object.ErrPrecondition) {
			return held, err
		}
		if held, err = at.claimed(ctx); err != nil || held.is(c) {
			return held, err
		}
		if seen.manifest == nil { // else who else has claimed the folder can't publish there
			if err := at.checkClaim(ctx, o.uid); err != nil {
				return held, err
			}
		}
	}
	return held, fmt.Errorf("others claim the folder at the same time")
}

// keepsClaim fails if the claim is not this run's any more: its parts may not
// be what it has uploaded.
func (f objectFolder) keepsClaim(ctx context.Context, held heldClaim, uid string) error {
	info, err := f.bucket.Stat(ctx, f.prefix+ClaimName)
	if err == nil && info.ETag == held.etag {
		return nil
	}
	if err != nil && !errors.Is(err, object.ErrNotFound) {
		return err
	}
	if err := f.checkClaim(ctx, uid); err != nil {
		return err
	}
	return fmt.Errorf("the folder is not claimed by run %s any more", held.by.Run)
}
