package sink

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
)

const sharedRootHint = "give this job an output.files.uri with another folder before its first placeholder, or move the pointer away if that job is gone"

// Latest is the pointer at the root: the newest published folder.
type Latest struct {
	Format     int64     `json:"format"`
	Job        string    `json:"job"`
	UID        string    `json:"uid"`
	Occurrence time.Time `json:"occurrence"`
	Revision   int64     `json:"revision"`
	Folder     string    `json:"folder"` // relative to the root, with slashes
}

// before tells whether the pointer would move forward to other.
func (l Latest) before(other Latest) bool {
	if !l.Occurrence.Equal(other.Occurrence) {
		return l.Occurrence.Before(other.Occurrence)
	}
	return l.Revision < other.Revision
}

// latest reads the pointer, nil if there is none. It fails if another job's
// is there: two jobs can't share one.
func (f *Files) latest() (*Latest, error) {
	path := filepath.Join(f.root, LatestName)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, unreadable(f.root, err)
	}
	latest := &Latest{}
	if err := decode(content, latest, &latest.Format); err != nil {
		return nil, taken("output pointer %s: %w", path, err)
	}
	if latest.UID != f.uid {
		return nil, api.Fail(api.ReasonOutputTaken, sharedRootHint, fmt.Errorf("output pointer %s belongs to job %q (uid %s), and two jobs can't share one", path, latest.Job, latest.UID))
	}
	return latest, nil
}

// movePointer makes _LATEST.json name the folder, unless it names a later one.
func (f *Files) movePointer(revision int64) error {
	if err := f.writePointer(revision); err != nil {
		return fmt.Errorf("move output pointer %s: %w", filepath.Join(f.root, LatestName), err)
	}
	failpoint.Here("publish.pointer")
	return nil
}

func (f *Files) writePointer(revision int64) error {
	folder, err := filepath.Rel(f.root, f.folder)
	if err != nil {
		return err
	}
	next := Latest{fileFormat, f.job, f.uid, f.occasion.Occurrence.UTC(), revision, filepath.ToSlash(folder)}
	latest, err := f.latest()
	if err != nil {
		return err
	}
	if latest == nil || latest.before(next) {
		content, err := encode(next)
		if err != nil {
			return err
		}
		if err := f.fs.MkdirAll(f.Staging()); err != nil {
			return err
		}
		fresh := filepath.Join(f.Staging(), LatestName)
		if err := f.writeFile(fresh, content); err != nil {
			return err
		}
		if err := f.fs.Rename(fresh, filepath.Join(f.root, LatestName)); err != nil {
			return err
		}
	}
	return f.fs.SyncDir(f.root)
}
