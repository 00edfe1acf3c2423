package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
)

// partsSideBySide is the number of parts on their way to a store at once. So
// many make up for what a request takes on its way (BenchmarkPublishObjects);
// uploads begun ahead of the publish would still need a request each to complete.
const partsSideBySide = 16

// uploadingMark is a file in staging that says that objects of the run may lie
// in the store.
const uploadingMark = "uploading"

// Publish uploads the parts, publishes them by writing the manifest and moves
// the pointer. It may be called again after an error or a crash at any step:
// what is in the store tells which steps are done.
//
// Trying again can't help only after an *api.Failure with the reason
// output_taken, or publish (another revision came first).
func (o *Objects) Publish(ctx context.Context, p Publication) (map[int64]Gone, error) {
	if err := o.publish(ctx, p); err != nil {
		return nil, fmt.Errorf("publish %s: %w", o.folder, err)
	}
	return nil, nil
}

func (o *Objects) publish(ctx context.Context, p Publication) error {
	at, now, _, err := o.look(ctx)
	if err != nil {
		return err
	}
	p, err = o.complete(p, now)
	if err != nil {
		return err
	}
	if !now.is(p.Manifest) {
		held, err := o.upload(ctx, at, now, p)
		if err != nil {
			return err
		}
		if err := at.keepsClaim(ctx, held, o.uid); err != nil {
			return err
		}
		if err := o.publishManifest(ctx, at, now, p.Manifest); err != nil {
			return err
		}
	}
	failpoint.Here("publish.renamed")
	if err := at.put(ctx, SuccessName, nil); err != nil {
		return err
	}
	if p.MovePointer {
		if err := o.movePointer(ctx, p.Manifest.Revision); err != nil {
			return err
		}
	}
	if err := at.removeOwn(ctx, &p.Manifest, anyAge); err != nil {
		return err
	}
	return o.remove(o.local(uploadingMark))
}

// is tells whether the manifest is published: by an earlier try, or by a
// request whose answer was lost.
func (p publishedObjects) is(m Manifest) bool {
	return p.manifest != nil && p.manifest.Run == m.Run && p.manifest.Revision == m.Revision && slices.Equal(p.manifest.Parts, m.Parts)
}

// complete fills in what the sink knows, and brings everything into the one
// form in which equal publications are equal bytes.
func (o *Objects) complete(p Publication, now publishedObjects) (Publication, error) {
	m := &p.Manifest
	m.Format, m.Job, m.UID, m.Run = fileFormat, o.job, o.uid, o.occasion.Run
	m.Occurrence = o.occasion.Occurrence.UTC()
	m.Times = Times{m.Times.CreatedAt.UTC(), m.Times.StartedAt.UTC(), m.Times.PublishedAt.UTC()}
	p.Parts = slices.DeleteFunc(slices.Clone(p.Parts), func(part PublishedPart) bool { return part.Records == 0 })
	slices.SortFunc(p.Parts, func(a, b PublishedPart) int { return cmp.Compare(a.MiniBatch, b.MiniBatch) })
	m.Parts = make([]ManifestPart, 0, len(p.Parts))
	for i, part := range p.Parts {
		if i > 0 && part.MiniBatch == p.Parts[i-1].MiniBatch {
			return p, fmt.Errorf("mini-batch %d has two parts", part.MiniBatch)
		}
		entry := ManifestPart{
			Name:      fmt.Sprintf("part-%06d.r%d.%s", part.MiniBatch, m.Revision, o.format),
			MiniBatch: part.MiniBatch, Records: part.Records, DeadLettered: part.DeadLettered, Bytes: part.Bytes, SHA256: part.SHA256, Fingerprint: part.Fingerprint,
		}
		if part.Path == "" {
			old, err := now.keep(part)
			if err != nil {
				return p, err
			}
			entry.Name = old.Name
		}
		m.Parts = append(m.Parts, entry)
	}
	return p, nil
}

// upload claims the folder, and writes all that the manifest will name and that
// is not there.
func (o *Objects) upload(ctx context.Context, at objectFolder, now publishedObjects, p Publication) (held heldClaim, err error) {
	if now.manifest != nil && now.manifest.Revision >= p.Manifest.Revision {
		return held, cameFirst(p.Manifest, *now.manifest)
	}
	if err := at.checkOwn(ctx, now.manifest, o.uid); err != nil {
		return held, err
	}
	if err := o.mark(); err != nil {
		return held, err
	}
	if held, err = o.claim(ctx, at, now, p.Manifest); err != nil {
		return held, err
	}
	if err := o.uploadParts(ctx, at, p); err != nil {
		return held, err
	}
	failpoint.Here("publish.part")
	letters := o.local(DeadLettersName)
	written, err := o.writeDeadLetters(letters, p.DeadLetters)
	if err != nil {
		return held, fmt.Errorf("write %s: %w", DeadLettersName, err)
	}
	if written {
		return held, at.putFile(ctx, deadLettersOf(p.Manifest.Revision), letters)
	}
	return held, nil
}

func deadLettersOf(revision int64) string {
	return strings.Replace(DeadLettersName, ".", fmt.Sprintf(".r%d.", revision), 1)
}

func cameFirst(m, now Manifest) error {
	return api.Fail(api.ReasonPublish, "run the occurrence again", fmt.Errorf(
		"revision %d can't follow revision %d of run %s", m.Revision, now.Revision, now.Run))
}

// mark notes, durably, that the store is about to hold something of the run.
func (o *Objects) mark() error {
	if err := o.fs.MkdirAll(o.dir); err != nil {
		return err
	}
	if err := o.writeFile(o.local(uploadingMark), nil); err != nil {
		return err
	}
	return o.fs.SyncDir(o.dir)
}

// uploadParts uploads the parts that are staged, some side by side. What this
// value has uploaded in an earlier try is not sent again.
func (o *Objects) uploadParts(ctx context.Context, at objectFolder, p Publication) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	places := make(chan struct{}, partsSideBySide)
	for i, entry := range p.Manifest.Parts {
		staged := p.Parts[i].Path
		if staged == "" { // it stays as published
			continue
		}
		places <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		group.Go(func() {
			defer func() { <-places }()
			if err := o.uploadPart(ctx, at, entry, o.local(staged)); err != nil {
				cancel(err)
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

func (o *Objects) uploadPart(ctx context.Context, at objectFolder, entry ManifestPart, staged string) error {
	if sum, ok := o.uploaded.Load(entry.Name); ok && sum == entry.SHA256 {
		return nil
	}
	if err := checkSize(staged, entry); err != nil {
		return err
	}
	if err := at.putFile(ctx, entry.Name, staged); err != nil {
		return err
	}
	o.uploaded.Store(entry.Name, entry.SHA256)
	return nil
}

func (f objectFolder) putFile(ctx context.Context, name, from string) error {
	file, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	info, err := file.Stat()
	if err != nil {
		return err
	}
	_, err = f.bucket.Put(ctx, f.prefix+name, file, info.Size(), object.Condition{})
	return err
}

// publishManifest is the commit. Where the store says that another manifest
// came first it may be this one, by a request whose answer was lost.
func (o *Objects) publishManifest(ctx context.Context, at objectFolder, now publishedObjects, m Manifest) error {
	content, err := encode(m)
	if err != nil {
		return err
	}
	failpoint.Here("publish.manifest")
	_, err = at.putIf(ctx, ManifestName, content, object.Condition{Absent: now.manifest == nil, Match: now.etag})
	if !errors.Is(err, object.ErrPrecondition) {
		return err
	}
	first, err := at.published(ctx, o.uid)
	switch {
	case err != nil || first.is(m):
		return err
	case first.manifest == nil:
		return fmt.Errorf("the manifest that was to be replaced is gone")
	}
	return cameFirst(m, *first.manifest)
}

// removeOwn removes what runs have written into the folder, may go, and is not
// named by the manifest; the claim last.
func (f objectFolder) removeOwn(ctx context.Context, m *Manifest, mayGo func(object.Info) bool) error {
	listed := map[string]bool{}
	if m != nil {
		listed[deadLettersOf(m.Revision)] = m.Counts.DeadLettered > 0
		for _, part := range m.Parts {
			listed[part.Name] = true
		}
	}
	var unlisted, claims []string
	err := f.each(ctx, func(name string, info object.Info) error {
		switch {
		case !mayGo(info):
		case name == ClaimName:
			claims = append(claims, name)
		case objectForm.MatchString(name) && !listed[name]:
			unlisted = append(unlisted, name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := f.remove(ctx, unlisted); err != nil {
		return err
	}
	return f.remove(ctx, claims)
}

func anyAge(object.Info) bool { return true }
