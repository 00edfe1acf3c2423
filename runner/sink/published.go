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

// NextRevision is the revision that a publish would have now: one more than
// that of the published folder, and than the pointer's if it names the same
// occurrence (whose folder may have been removed, or be named after its run).
func (f *Files) NextRevision() (int64, error) {
	now, err := f.published()
	if err != nil {
		return 0, err
	}
	latest, err := f.latest()
	if err != nil {
		return 0, err
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
			return published{}, f.unreadable(err)
		case !info.IsDir():
			return published{}, f.taken("output %s is not a folder", dir)
		}
		manifest, err := f.ownManifest(dir)
		return published{dir: dir, manifest: manifest}, err
	}
	return published{}, nil
}

// ownManifest reads the manifest of an existing folder, nil if it is empty.
// It fails if the folder, or anything in it, is not this job's.
func (f *Files) ownManifest(dir string) (*Manifest, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, f.unreadable(err)
	}
	if len(entries) == 0 {
		return nil, nil
	}
	content, err := os.ReadFile(filepath.Join(dir, ManifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, f.taken("output folder %s holds files (%s, …) and no %s: no job wrote it", dir, entries[0].Name(), ManifestName)
	}
	if err != nil {
		return nil, f.unreadable(err)
	}
	m := &Manifest{}
	if err := decode(content, m, &m.Format); err != nil {
		return nil, f.taken("output folder %s: read its %s: %w", dir, ManifestName, err)
	}
	if m.UID != f.uid {
		return nil, f.taken("output folder %s belongs to job %q (uid %s)", dir, m.Job, m.UID)
	}
	own := map[string]bool{ManifestName: true, SuccessName: true, DeadLettersName: true}
	for _, part := range m.Parts {
		own[part.Name] = true
	}
	for _, entry := range entries {
		if !own[entry.Name()] {
			return nil, f.taken("output folder %s holds %s, which no run wrote and a new revision would remove", dir, entry.Name())
		}
	}
	return m, nil
}

func (f *Files) taken(format string, args ...any) error {
	return api.Fail(api.ReasonOutputTaken, takenHint, fmt.Errorf(format, args...))
}

func (f *Files) unreadable(err error) error {
	return api.Fail(api.ReasonOutputUnwritable, unwritableHint,
		fmt.Errorf("look at output %s: %w", f.folder, err))
}
