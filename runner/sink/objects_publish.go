package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
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
// in the store; it holds the partitionKeys of those that it replaces.
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
	p, files, err := o.complete(p, now)
	if err != nil {
		return err
	}
	if !now.is(p.Manifest) {
		held, err := o.upload(ctx, at, now, p, files)
		if err != nil {
			return err
		}
		if err := at.willCommit(ctx, held); err != nil {
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
	marked, err := os.ReadFile(o.local(uploadingMark))
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // an earlier try has come to its end
		return err
	}
	at.partitions = append(at.partitions, strings.Split(string(marked), "\n")...)
	if err := at.removeOwn(ctx, &p.Manifest, upTo(p.Manifest.Revision)); err != nil {
		return err
	}
	if err := o.forget(p); err != nil {
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
// form in which equal publications are equal bytes; files are those to upload
// for the parts that the manifest names.
func (o *Objects) complete(p Publication, now publishedObjects) (_ Publication, files []string, err error) {
	m := &p.Manifest
	m.Format, m.Job, m.UID, m.Run = fileFormat, o.job, o.uid, o.occasion.Run
	m.Occurrence = o.occasion.Occurrence.UTC()
	m.Times = Times{m.Times.CreatedAt.UTC(), m.Times.StartedAt.UTC(), m.Times.PublishedAt.UTC()}
	p.Parts = slices.DeleteFunc(slices.Clone(p.Parts), func(part PublishedPart) bool { return part.Records == 0 })
	slices.SortFunc(p.Parts, func(a, b PublishedPart) int { return cmp.Compare(a.MiniBatch, b.MiniBatch) })
	if err := checkOnce(p.Parts); err != nil {
		return p, nil, err
	}
	l, err := o.lay(p, now)
	m.Parts = l.parts
	return p, l.files, err
}

// upload claims the folder, and writes all that the manifest will name and that
// is not there.
func (o *Objects) upload(ctx context.Context, at objectFolder, now publishedObjects, p Publication, files []string) (held heldClaim, err error) {
	if now.manifest != nil && now.manifest.Revision >= p.Manifest.Revision {
		return held, cameFirst(p.Manifest, *now.manifest)
	}
	if err := at.checkOwn(ctx, now.manifest, o.uid); err != nil {
		return held, err
	}
	if err := o.mark(now.manifest); err != nil {
		return held, err
	}
	if held, err = o.claim(ctx, at, now, p.Manifest); err != nil {
		return held, err
	}
	if err := o.uploadParts(ctx, at, p.Manifest.Parts, files); err != nil {
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

// mark notes, durably, that the store is about to hold something of the run, and
// the partitions of what it replaces, which may be of another layout.
func (o *Objects) mark(replaced *Manifest) error {
	if err := o.fs.MkdirAll(o.dir); err != nil {
		return err
	}
	if err := o.writeFile(o.local(uploadingMark), []byte(strings.Join(replaced.partitions(), "\n"))); err != nil {
		return err
	}
	return o.fs.SyncDir(o.dir)
}

// uploadParts uploads the parts that are staged, some side by side. What this
// value has uploaded in an earlier try is not sent again.
func (o *Objects) uploadParts(ctx context.Context, at objectFolder, parts []ManifestPart, files []string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	places := make(chan struct{}, partsSideBySide)
	for i, part := range parts {
		if files[i] == "" { // it stays as published
			continue
		}
		places <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		group.Go(func() {
			defer func() { <-places }()
			if err := o.uploadPart(ctx, at, part, files[i]); err != nil {
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
// named by the manifest; claims last.
func (f objectFolder) removeOwn(ctx context.Context, m *Manifest, mayGo func(name string) bool) error {
	listed := map[string]bool{}
	if m != nil {
		listed[deadLettersOf(m.Revision)] = m.Counts.DeadLettered > 0
	}
	for name := range m.names() {
		listed[name] = true
	}
	own := f.with(m)
	var unlisted, claims []string
	err := f.each(ctx, func(name string) error {
		switch {
		case !own.wrote(name) || listed[name] || !mayGo(name):
		case strings.HasPrefix(name, claimPrefix):
			claims = append(claims, name)
		default:
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

// upTo tells what is not of a later revision.
func upTo(revision int64) func(name string) bool {
	return func(name string) bool { return revisionOf(name) <= revision }
}
