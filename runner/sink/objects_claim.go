package sink

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
)

// claimPrefix begins the names of claims.
const claimPrefix = "_CLAIM."

// ClaimName is the object that says which run uploads a revision of a folder.
func ClaimName(revision int64) string { return fmt.Sprintf("%sr%d.json", claimPrefix, revision) }

// claim is the content of that object. The parts of one revision have the same
// names whoever writes them, so that each revision is one run's, and of one
// content: who creates its claim, where there is none, may upload it. Whatever
// holds for a revision follows from that, without locks and clocks:
//
//   - Nobody overwrites a part by another. The same run goes on after a crash,
//     with the same parts; any other takes the next revision.
//   - What a revision does not name can be removed once its manifest is there,
//     and the claims up to it: no manifest of a lower revision can follow.
//   - A run that ends unpublished may remove its parts only after it has given
//     the claim up, by compare-and-swap; the claim stays, so that the revision is
//     never anybody else's. Its manifest can't come after that, since who writes
//     it swaps the claim to committing before.
//
// So it is with two runners, too, that have copies of one data directory.
type claim struct {
	Format   int64      `json:"format"`
	Job      string     `json:"job"`
	UID      string     `json:"uid"`
	Run      string     `json:"run"`
	Revision int64      `json:"revision"`
	Parts    string     `json:"parts"` // SHA-256 of the list of them
	State    claimState `json:"state"`
}

type claimState string

const (
	claimUploading  claimState = "uploading"
	claimCommitting claimState = "committing" // its manifest may come at any moment
	claimGivenUp    claimState = "given_up"
)

// in is the claim in another state.
func (c claim) in(state claimState) claim {
	c.State = state
	return c
}

// heldClaim is a claim as it lies in a folder; the zero value: there is none.
type heldClaim struct {
	claim

	etag    string
	written time.Time
}

// claimTries is how often a claim is tried again that comes and goes.
const claimTries = 5

// claim takes the revision of the folder, in which such a state was seen, for
// this run.
func (o *Objects) claim(ctx context.Context, at objectFolder, seen publishedObjects, m Manifest) (heldClaim, error) {
	list, err := json.Marshal(m.Parts)
	if err != nil {
		return heldClaim{}, err
	}
	digest := sha256.Sum256(list)
	held, err := at.takeClaim(ctx, claim{fileFormat, o.job, o.uid, o.occasion.Run, m.Revision, hex.EncodeToString(digest[:]), claimUploading}, seen.manifest == nil)
	if err != nil {
		return held, err
	}
	failpoint.Here("publish.claim")
	// Somebody else may have published, and let go, before the claim was there.
	now, err := at.published(ctx, o.uid)
	switch {
	case err == nil && now.etag == seen.etag:
		return held, nil
	case now.manifest != nil && now.manifest.Revision >= m.Revision: // the claim was for nothing
		err = errors.Join(err, at.remove(ctx, []string{ClaimName(m.Revision)}))
		if err == nil && !now.is(m) {
			err = cameFirst(m, *now.manifest)
		}
	}
	if err == nil {
		err = errors.New("the manifest changed while the folder was claimed")
	}
	return held, err
}

// takeClaim creates a claim, or finds it there; contested says that the folder
// is nobody's yet.
func (f objectFolder) takeClaim(ctx context.Context, c claim, contested bool) (heldClaim, error) {
	for range claimTries {
		held, err := f.putClaim(ctx, c, object.Condition{Absent: true})
		if !errors.Is(err, object.ErrPrecondition) {
			return held, err
		}
		if held, err = f.claimed(ctx, ClaimName(c.Revision)); err != nil {
			return held, err
		}
		if held.Revision > 0 {
			return held, f.mustBe(held.claim, c, contested)
		}
	}
	return heldClaim{}, fmt.Errorf("others claim the folder at the same time")
}

func (f objectFolder) putClaim(ctx context.Context, c claim, when object.Condition) (heldClaim, error) {
	content, err := encode(c)
	if err != nil {
		return heldClaim{}, err
	}
	etag, err := f.putIf(ctx, ClaimName(c.Revision), content, when)
	return heldClaim{claim: c, etag: etag}, err
}

// mustBe fails if a claim that lies there is not the one that was to be.
func (f objectFolder) mustBe(there, c claim, contested bool) error {
	if contested {
		if err := f.checkHeld(there, c.UID); err != nil {
			return err
		}
	}
	switch {
	case there.State == claimGivenUp:
		return api.Fail(api.ReasonPublish, "retry the run", fmt.Errorf("revision %d was given up by run %s", c.Revision, there.Run))
	case there.in(c.State) == c:
		return nil
	case there.Run == c.Run:
		return api.Fail(api.ReasonPublish, "retry the run, and see that no two runners have copies of one data directory",
			fmt.Errorf("run %s uploads other parts as revision %d already", c.Run, c.Revision))
	}
	return api.Fail(api.ReasonPublish, "retry the run", fmt.Errorf("revision %d is uploaded by run %s", c.Revision, there.Run))
}

// willCommit notes in the claim that the manifest comes next, and fails if the
// claim is not the run's any more.
func (f objectFolder) willCommit(ctx context.Context, held heldClaim) error {
	c := held.in(claimCommitting)
	_, err := f.putClaim(ctx, c, object.Condition{Match: held.etag})
	if !errors.Is(err, object.ErrPrecondition) {
		return err
	}
	now, err := f.claimed(ctx, ClaimName(c.Revision))
	switch {
	case err != nil || now.claim == c: // as an answer that was lost has said
		return err
	case now.Revision == 0:
		return fmt.Errorf("%s was removed", ClaimName(c.Revision))
	}
	if err := f.mustBe(now.claim, c, false); err != nil {
		return err
	}
	return fmt.Errorf("%s changed", ClaimName(c.Revision))
}

// claimed reads a claim.
func (f objectFolder) claimed(ctx context.Context, name string) (held heldClaim, err error) {
	content, info, err := f.get(ctx, name)
	if err != nil || info.ETag == "" {
		return held, cannotLook(f.uri, err)
	}
	if err := decode(content, &held.claim, &held.Format); err != nil {
		return held, taken("output %s: read its %s: %w", f.uri, name, err)
	}
	held.etag, held.written = info.ETag, info.ModTime
	return held, nil
}

// claims are the names of those in the folder.
func (f objectFolder) claims(ctx context.Context) (names []string, err error) {
	err = f.bucket.List(ctx, f.prefix+claimPrefix, func(info object.Info) error {
		names = append(names, strings.TrimPrefix(info.Key, f.prefix))
		return nil
	})
	return names, cannotLook(f.uri, err)
}

// checkClaims fails if another job is about to publish here. Of one that died
// the claim stays: nobody can tell it from one that is slow.
func (f objectFolder) checkClaims(ctx context.Context, names []string, uid string) error {
	for _, name := range names {
		held, err := f.claimed(ctx, name)
		if err == nil && held.Revision > 0 {
			err = f.checkHeld(held.claim, uid)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f objectFolder) checkHeld(c claim, uid string) error {
	if c.UID == uid || c.State == claimGivenUp {
		return nil
	}
	return api.Fail(api.ReasonOutputTaken,
		fmt.Sprintf("give each job an output of its own; if job %q is gone for good, delete %s/%s", c.Job, f.uri, ClaimName(c.Revision)),
		fmt.Errorf("output %s is being written by run %s of job %q (uid %s)", f.uri, c.Run, c.Job, c.UID))
}
