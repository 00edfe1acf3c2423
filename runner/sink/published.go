package sink

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

const (
	takenHint      = "move it away, or give this job another output.files.uri"
	unwritableHint = "make it a folder with room that the runner's user can read and write, or change output.files.uri"
)

// published is what lies at the run's folder now.
type published struct {
	dir      string    // where it lies; empty: nothing is there
	manifest *Manifest // nil: nothing, or an empty folder
}

// CheckTaken fails with *api.Failure{output_taken} where publishing would
// replace something this job did not write.
func (f *Files) CheckTaken() error {
	if _, err := f.published(); err != nil {
		return err
	}
	_, err := f.latest()
	return err
}

// CheckPublished fails unless all of the parts are in the folder, so that
// another revision can take them from there.
func (f *Files) CheckPublished(parts []PublishedPart) error {
	if len(parts) == 0 {
		return nil
	}
	now, err := f.published()
	if err != nil {
		return err
	}
	for _, part := range parts {
		part.Path = ""
		path, err := f.locate(now, part)
		if err == nil {
			err = checkSize(path, f.partOf(part))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// PublishedBy is the run whose folder it is now, and as which of its revisions;
// none where nothing is there.
func (f *Files) PublishedBy() (run string, revision int64, err error) {
	now, err := f.published()
	if err != nil || now.manifest == nil {
		return "", 0, err
	}
	return now.manifest.Run, now.manifest.Revision, nil
}

// NextRevision is the revision that a publish would have now: one more than
// that of the published folder, and than the pointer's if it names the same
// occurrence (whose folder may have been removed, or be named after its run).
// A progressive folder keeps the revision it was begun with.
func (f *Files) NextRevision() (int64, error) {
	now, err := f.published()
	if err != nil {
		return 0, err
	}
	latest, err := f.latest()
	if err != nil {
		return 0, err
	}
	if f.isShown(now) {
		return now.manifest.Revision, nil
	}
	revision := int64(0)
	if now.manifest != nil {
		revision = now.manifest.Revision
	}
	if latest != nil && latest.Occurrence.Equal(f.occasion.Occurrence) {
		revision = max(revision, latest.Revision)
	}
	return revision + 1, nil
}

// published finds the published folder, be it that a crash between the two
// renames of an exchange has left it in staging.
func (f *Files) published() (published, error) {
	for _, dir := range []string{f.folder, f.replaced()} {
		info, err := os.Lstat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return published{}, unreadable(f.folder, err)
		case !info.IsDir():
			return published{}, taken("output %s is not a folder", dir)
		}
		manifest, err := ownManifest(dir, f.uid)
		return published{dir: dir, manifest: manifest}, err
	}
	return published{}, nil
}

// ownManifest reads the manifest of an existing folder, nil if it is empty.
// It fails if the folder, or anything in it, is not the job's.
func ownManifest(dir, uid string) (*Manifest, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, unreadable(dir, err)
	}
	if len(entries) == 0 {
		return nil, nil
	}
	content, err := os.ReadFile(filepath.Join(dir, ManifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, taken("output folder %s holds files (%s, …) and no %s: no job wrote it", dir, entries[0].Name(), ManifestName)
	}
	if err != nil {
		return nil, unreadable(dir, err)
	}
	m := &Manifest{}
	if err := decode(content, m, &m.Format); err != nil {
		return nil, taken("output folder %s: read its %s: %w", dir, ManifestName, err)
	}
	if m.UID != uid {
		return nil, taken("output folder %s belongs to job %q (uid %s)", dir, m.Job, m.UID)
	}
	foreign, err := foreignIn(dir, m)
	if err != nil {
		return nil, unreadable(dir, err)
	}
	if foreign != "" {
		return nil, taken("output folder %s holds %s, which no run wrote and a new revision would remove", dir, foreign)
	}
	return m, nil
}

func taken(format string, args ...any) error {
	return api.Fail(api.ReasonOutputTaken, takenHint, fmt.Errorf(format, args...))
}

func unreadable(dir string, err error) error {
	return api.Fail(api.ReasonOutputUnwritable, unwritableHint, fmt.Errorf("look at output %s: %w", dir, err))
}
