package sink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
)

// publishedObjects is what lies at a folder now; without a manifest nothing
// does, for a reader.
type publishedObjects struct {
	manifest *Manifest
	etag     string // of the manifest
}

// published reads the manifest. It fails, and gives it, if that is another job's.
func (f objectFolder) published(ctx context.Context, uid string) (publishedObjects, error) {
	content, info, err := f.get(ctx, ManifestName)
	if err != nil || info.ETag == "" {
		return publishedObjects{}, cannotLook(f.uri, err)
	}
	m := &Manifest{}
	if err := decode(content, m, &m.Format); err != nil {
		return publishedObjects{}, taken("output %s: read its %s: %w", f.uri, ManifestName, err)
	}
	now := publishedObjects{m, info.ETag}
	if m.UID != uid {
		return now, taken("output %s belongs to job %q (uid %s)", f.uri, m.Job, m.UID)
	}
	return now, nil
}

// checkOwn fails if something is in the folder that no run wrote, or if another
// job is about to publish there.
func (f objectFolder) checkOwn(ctx context.Context, m *Manifest, uid string) error {
	listed := map[string]bool{ManifestName: true, SuccessName: true}
	for name := range m.names() {
		listed[name] = true
	}
	own := f.with(m)
	var claims []string
	err := f.each(ctx, func(name string) error {
		if strings.HasPrefix(name, claimPrefix) {
			claims = append(claims, name)
		}
		if !listed[name] && !own.wrote(name) {
			return taken("output %s holds %s, which no run of this job wrote", f.uri, name)
		}
		return nil
	})
	if err == nil && m == nil { // else who has claimed the folder can't publish there
		err = f.checkClaims(ctx, claims, uid)
	}
	return cannotLook(f.uri, err)
}

// cannotLook makes a failure of what stays an error however often it is tried.
func cannotLook(uri string, err error) error {
	if _, final := errors.AsType[*api.Failure](err); err == nil || final {
		return err
	}
	err = fmt.Errorf("look at output %s: %w", uri, err)
	if object.Transient(err) || errors.Is(err, object.ErrChanged) || errors.Is(err, context.Canceled) {
		return err
	}
	return unwritableObjects(err)
}

func unwritableObjects(err error) error {
	hint := "make it a place that the runner's identity can list, read, write and delete, or change output.files.uri"
	if errors.Is(err, object.ErrNoBucket) {
		hint = "make the bucket, or correct its name in output.files.uri, or the store's endpoint in the runner's environment_file"
	}
	return api.Fail(api.ReasonOutputUnwritable, hint, err)
}

// checkTaken fails with *api.Failure{output_taken} where publishing would
// replace something this job did not write.
func (o *Objects) checkTaken(ctx context.Context) error {
	at, now, _, err := o.look(ctx)
	if err != nil {
		return err
	}
	return at.checkOwn(ctx, now.manifest, o.uid)
}

// look is the state of the folder, and of the pointer.
func (o *Objects) look(ctx context.Context) (at objectFolder, now publishedObjects, latest pointer, err error) {
	if at, err = o.place(ctx); err != nil {
		return at, now, latest, cannotLook(o.folder, err)
	}
	if now, err = at.published(ctx, o.uid); err != nil {
		return at, now, latest, err
	}
	latest, err = o.latest(ctx)
	return at, now, latest, err
}

// PublishedBy is the run whose folder it is now, and as which of its revisions;
// none where nothing is there.
func (o *Objects) PublishedBy(ctx context.Context) (run string, revision int64, err error) {
	_, now, _, err := o.look(ctx)
	if err != nil || now.manifest == nil {
		return "", 0, err
	}
	return now.manifest.Run, now.manifest.Revision, nil
}

// NextRevision is the revision that a publish would have now: one more than
// that of the published folder, than any that was begun there, and than the
// pointer's if it names the same occurrence.
func (o *Objects) NextRevision(ctx context.Context) (int64, error) {
	at, now, latest, err := o.look(ctx)
	if err != nil {
		return 0, err
	}
	begun, err := at.claims(ctx)
	if err != nil {
		return 0, err
	}
	revision := int64(0)
	for _, name := range begun {
		revision = max(revision, revisionOf(name))
	}
	if now.manifest != nil {
		revision = max(revision, now.manifest.Revision)
	}
	if latest.to != nil && latest.to.Occurrence.Equal(o.occasion.Occurrence) {
		revision = max(revision, latest.to.Revision)
	}
	return revision + 1, nil
}

// CheckPublished fails unless all of the parts are in the folder, so that
// another revision can leave them there.
func (o *Objects) CheckPublished(ctx context.Context, parts []PublishedPart) error {
	if len(parts) == 0 {
		return nil
	}
	at, now, _, err := o.look(ctx)
	if err != nil {
		return err
	}
	for _, part := range parts {
		if o.layout.merged() {
			if err := checkSize(o.disk().keptPart(part), ManifestPart{Bytes: part.Bytes}); err != nil {
				return err
			}
			continue
		}
		old, err := now.keep(part)
		if err != nil {
			return err
		}
		if err := at.checkSize(ctx, old); err != nil {
			return err
		}
	}
	return nil
}

// keep finds the published part that stays as it is.
func (p publishedObjects) keep(part PublishedPart) (ManifestPart, error) {
	if p.manifest != nil {
		if old, ok := p.manifest.part(part.MiniBatch); ok && old.SHA256 == part.SHA256 {
			return old, nil
		}
	}
	return ManifestPart{}, fmt.Errorf("mini-batch %d is to stay as published, and is not in the published folder", part.MiniBatch)
}

func (f objectFolder) checkSize(ctx context.Context, part ManifestPart) error {
	info, err := f.bucket.Stat(ctx, f.prefix+part.Name)
	if err != nil {
		return err
	}
	if info.Size != part.Bytes {
		return fmt.Errorf("%s has %d bytes, %d were written: somebody changed it", path.Join(f.uri, part.Name), info.Size, part.Bytes)
	}
	return nil
}

// OpenRecords reads a part, staged (it has a path) or published (it has none),
// record by record; columns are those it was staged with.
func (o *Objects) OpenRecords(ctx context.Context, part PublishedPart, columns []api.Column) (*Records, error) {
	if part.Path != "" {
		return o.staging.OpenRecords(part, columns)
	}
	if o.layout.merged() {
		return o.openRecords(o.disk().keptPart(part), part, columns)
	}
	name, err := o.fetch(ctx, part)
	if err != nil {
		return nil, fmt.Errorf("read mini-batch %d: %w", part.MiniBatch, err)
	}
	return o.openRecords(name, part, columns)
}

// fetch copies a published part into staging, which is read like a staged one
// and goes with it.
func (o *Objects) fetch(ctx context.Context, part PublishedPart) (string, error) {
	at, now, _, err := o.look(ctx)
	if err != nil {
		return "", err
	}
	old, err := now.keep(part)
	if err != nil {
		return "", err
	}
	copied := o.local(filepath.Join("published", old.Name))
	if info, err := os.Stat(copied); err == nil && info.Size() == old.Bytes {
		return copied, nil
	}
	body, err := at.bucket.Read(ctx, at.prefix+old.Name, "", 0, -1)
	if err != nil {
		return "", err
	}
	defer func() { _ = body.Close() }() // only read
	if err := o.fs.MkdirAll(filepath.Dir(copied)); err != nil {
		return "", err
	}
	return copied, o.create(copied, func(w io.Writer) error {
		_, err := io.Copy(w, body)
		return err
	})
}
