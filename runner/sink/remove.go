package sink

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
)

// ErrKept says that a folder is to stay as it is.
var ErrKept = errors.New("the folder is kept")

// Output is a folder that a run of a job has left for readers.
type Output struct {
	Folder   string
	UID      string // of the job
	Run      string
	Revision int64 // 0: whichever it is, of a run that was not published
}

// Removable tells whether Remove would remove the folder: ErrKept where the
// pointer names it or it is another run's by now, *api.Failure{output_taken}
// where it holds something that the job did not write. A folder that is gone,
// or empty, is removable.
func (o Output) Removable() error {
	_, err := o.removable()
	return err
}

// removable gives the folder's manifest, nil where it is empty or gone.
func (o Output) removable() (*Manifest, error) {
	_, latest, err := pointerAbove(o.Folder, o.UID)
	if err != nil {
		return nil, err
	}
	if latest {
		return nil, fmt.Errorf("%s: %w: the output pointer names it", o.Folder, ErrKept)
	}
	info, err := os.Lstat(o.Folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, unreadable(o.Folder, err)
	}
	if !info.IsDir() {
		return nil, taken("output %s is not a folder", o.Folder)
	}
	m, err := ownManifest(o.Folder, o.UID)
	if err != nil || m == nil {
		return nil, err
	}
	if m.Run != o.Run || o.Revision > 0 && m.Revision != o.Revision {
		return nil, fmt.Errorf("%s: %w: it holds revision %d of run %s", o.Folder, ErrKept, m.Revision, m.Run)
	}
	return m, nil
}

// Remove removes the folder, file by file and only files that its job wrote.
// From the first step on it does not look published any more; after an error
// or a crash at any step Remove goes on. The errors are those of Removable,
// and of the file system.
func (o Output) Remove(fs durable.FS) error {
	m, err := o.removable()
	if err != nil {
		return err
	}
	if err := o.remove(fs, m); err != nil {
		return fmt.Errorf("remove output %s: %w", o.Folder, err)
	}
	failpoint.Here("retain.removed")
	return nil
}

func (o Output) remove(fsys durable.FS, m *Manifest) error {
	if m != nil {
		if err := o.empty(fsys); err != nil {
			return err
		}
	}
	if err := fsys.Remove(o.Folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return o.tidy(fsys)
}

// empty removes the files in the folder: what says that it is whole first, the
// mark of who wrote it last.
func (o Output) empty(fsys durable.FS) error {
	names, err := inside(o.Folder)
	if err != nil {
		return err
	}
	remove := func(name string) error {
		err := fsys.Remove(filepath.Join(o.Folder, name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if err := remove(SuccessName); err != nil {
		return err
	}
	if err := fsys.SyncDir(o.Folder); err != nil {
		return err
	}
	failpoint.Here("retain.unmarked")
	for _, name := range names {
		if name != ManifestName && name != SuccessName {
			if err := remove(name); err != nil {
				return err
			}
		}
	}
	if err := fsys.SyncDir(o.Folder); err != nil {
		return err
	}
	failpoint.Here("retain.emptied")
	if err := remove(ManifestName); err != nil {
		return err
	}
	return fsys.SyncDir(o.Folder)
}

// tidy removes the folders between the root and the removed one that are empty
// now, as those of "{year}/{month}/" are in the end.
func (o Output) tidy(fsys durable.FS) error {
	root, _, err := pointerAbove(o.Folder, o.UID)
	if err != nil {
		return err
	}
	for dir := filepath.Dir(o.Folder); ; dir = filepath.Dir(dir) {
		if root != "" && dir != root {
			err := fsys.Remove(dir)
			if err == nil || errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if !errors.Is(err, fs.ErrExist) { // ErrExist: not empty
				return err
			}
		}
		if err := fsys.SyncDir(dir); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
}

// pointerAbove finds the job's pointer in the folders above a published one:
// the root, and whether the pointer names that folder. The uri may have been
// edited since, so it can't tell.
func pointerAbove(folder, uid string) (root string, named bool, err error) {
	for dir := filepath.Dir(folder); ; dir = filepath.Dir(dir) {
		content, err := os.ReadFile(filepath.Join(dir, LatestName))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", false, unreadable(dir, err)
		}
		latest := &Latest{}
		if err == nil && decode(content, latest, &latest.Format) == nil && latest.UID == uid {
			return dir, filepath.Join(dir, filepath.FromSlash(path.Clean(latest.Folder))) == folder, nil
		}
		if dir == filepath.Dir(dir) {
			return "", false, nil
		}
	}
}
