package sink

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
)

// A progressive folder is visible while its run is under way: a manifest of
// state running marks whose it is, parts appear in it one by one, each whole,
// and at the end come the dead letters, the manifest that lists it all, and
// _SUCCESS. A run that ends otherwise leaves what is visible, and a manifest
// that says how it ended; it may be taken up again.

// shownForm are the names of parts, in a folder whose manifest lists none yet.
var shownForm = regexp.MustCompile(`^part-[0-9]{6,}\.[a-z]+$`)

// whole tells whether a manifest is that of a folder published whole.
func (m *Manifest) whole() bool {
	return m.State == api.RunSucceeded || m.State == api.RunIncomplete
}

// isShown tells whether the folder is this run's own progressive one, and not
// published whole.
func (f *Files) isShown(now published) bool {
	return now.dir == f.folder && now.manifest != nil && now.manifest.Run == f.occasion.Run && !now.manifest.whole()
}

// Begin makes the folder visible as that of a run under way, or goes on with
// it. It tells false where another revision of the occurrence is there: that
// one stays whole until Publish replaces it.
func (f *Files) Begin(m Manifest) (bool, error) {
	p := f.complete(Publication{Manifest: m})
	p.Manifest.State = api.RunRunning
	now, err := f.published()
	if err != nil {
		return false, err
	}
	switch {
	case f.isShown(now):
		if now.manifest.State != api.RunRunning {
			err = f.putManifest(p.Manifest)
		}
	case now.manifest != nil:
		return false, nil
	default:
		err = f.mark(p.Manifest)
	}
	if err == nil { // also where the folder is in place: a crash may have come before this
		err = f.fs.SyncDir(filepath.Dir(f.folder))
	}
	if err != nil {
		return false, fmt.Errorf("begin output %s: %w", f.folder, err)
	}
	failpoint.Here("reveal.marked")
	return true, nil
}

// mark puts a folder in place that holds nothing but its manifest.
func (f *Files) mark(m Manifest) error {
	if err := f.fs.RemoveAll(f.publishing()); err != nil {
		return err
	}
	if err := f.fs.MkdirAll(f.publishing()); err != nil {
		return err
	}
	content, err := encode(m)
	if err != nil {
		return err
	}
	if err := f.writeFile(filepath.Join(f.publishing(), ManifestName), content); err != nil {
		return err
	}
	if err := f.fs.SyncDir(f.publishing()); err != nil {
		return err
	}
	if err := f.fs.MkdirAll(filepath.Dir(f.folder)); err != nil {
		return err
	}
	return f.swap()
}

// Show makes a staged part visible in the folder that Begin has marked, whole
// and in one step. It may be called by several goroutines, and again.
func (f *Files) Show(part PublishedPart) error {
	if part.Records == 0 {
		return nil // all its records are dead letters
	}
	if err := f.show(f.partOf(part), part.Path); err != nil {
		return fmt.Errorf("show mini-batch %d in %s: %w", part.MiniBatch, f.folder, err)
	}
	if err := f.fs.SyncDir(f.folder); err != nil {
		return fmt.Errorf("show mini-batch %d in %s: %w", part.MiniBatch, f.folder, err)
	}
	failpoint.Here("reveal.part")
	return nil
}

// show gives a staged part its place; its name is not synced.
func (f *Files) show(part ManifestPart, staged string) error {
	from, to := filepath.Join(f.Staging(), staged), filepath.Join(f.folder, part.Name)
	if same, err := sameFile(from, to); err != nil || same {
		return err
	}
	// Beside the staged parts first: the place may hold a part of an earlier
	// try, which is replaced in one step.
	fresh := filepath.Join(f.Staging(), part.Name)
	if err := f.remove(fresh); err != nil {
		return err
	}
	if err := f.take(from, fresh, part); err != nil {
		return err
	}
	return f.fs.Rename(fresh, to)
}

// finish makes a progressive folder a published one.
func (f *Files) finish(p Publication) error {
	for i, part := range p.Manifest.Parts {
		if staged := p.Parts[i].Path; staged != "" {
			if err := f.show(part, staged); err != nil {
				return err
			}
			continue
		}
		if err := checkSize(filepath.Join(f.folder, part.Name), part); err != nil {
			return err
		}
	}
	failpoint.Here("publish.part")
	if err := f.close(p); err != nil {
		return err
	}
	failpoint.Here("publish.manifest")
	return nil
}

// Conclude says in a progressive folder how its run has ended otherwise, and
// removes parts that are not the run's any more. Of another folder it leaves
// everything alone.
func (f *Files) Conclude(p Publication) error {
	p = f.complete(p)
	now, err := f.published()
	if err != nil || !f.isShown(now) {
		return err
	}
	if err := f.fs.MkdirAll(f.Staging()); err != nil {
		return fmt.Errorf("conclude %s: %w", f.folder, err)
	}
	if err := f.close(p); err != nil {
		return fmt.Errorf("conclude %s: %w", f.folder, err)
	}
	return nil
}

// Abandon says in a progressive folder that nobody goes on with its run, of
// which nothing else is known any more.
func (f *Files) Abandon() error {
	now, err := f.published()
	if err != nil || !f.isShown(now) {
		return err
	}
	now.manifest.State = api.RunCancelled
	if err := f.putManifest(*now.manifest); err != nil {
		return fmt.Errorf("conclude %s: %w", f.folder, err)
	}
	return nil
}

// close leaves in the folder what p says and no part beside, then replaces the
// manifest.
func (f *Files) close(p Publication) error {
	if err := f.removeUnlisted(p.Manifest); err != nil {
		return err
	}
	letters := filepath.Join(f.Staging(), DeadLettersName)
	if err := f.remove(letters); err != nil {
		return err
	}
	written, err := f.writeDeadLetters(letters, p.DeadLetters)
	if err != nil {
		return fmt.Errorf("write %s: %w", DeadLettersName, err)
	}
	if written {
		err = f.fs.Rename(letters, filepath.Join(f.folder, DeadLettersName))
	} else {
		err = f.remove(filepath.Join(f.folder, DeadLettersName))
	}
	if err != nil {
		return err
	}
	if err := f.fs.SyncDir(f.folder); err != nil {
		return err
	}
	return f.putManifest(p.Manifest)
}

// removeUnlisted removes parts that a manifest does not list: of a mini-batch
// that was visible, its row unwritten, when the run was cancelled.
func (f *Files) removeUnlisted(m Manifest) error {
	listed := map[string]bool{}
	for _, part := range m.Parts {
		listed[part.Name] = true
	}
	entries, err := os.ReadDir(f.folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if shownForm.MatchString(entry.Name()) && !listed[entry.Name()] {
			if err := f.fs.Remove(filepath.Join(f.folder, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// putManifest replaces the manifest of a folder in place, in one step.
func (f *Files) putManifest(m Manifest) error {
	content, err := encode(m)
	if err != nil {
		return err
	}
	if err := f.fs.MkdirAll(f.Staging()); err != nil {
		return err
	}
	fresh := filepath.Join(f.Staging(), ManifestName)
	if err := f.writeFile(fresh, content); err != nil {
		return err
	}
	if err := f.fs.Rename(fresh, filepath.Join(f.folder, ManifestName)); err != nil {
		return err
	}
	return f.fs.SyncDir(f.folder)
}

// succeed puts _SUCCESS where it is missing.
func (f *Files) succeed() error {
	path := filepath.Join(f.folder, SuccessName)
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := f.writeFile(path, nil); err != nil {
		return err
	}
	return f.fs.SyncDir(f.folder)
}

// sameFile tells whether two names are of one file; to may be missing.
func sameFile(from, to string) (bool, error) {
	there, err := os.Lstat(to)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	staged, err := os.Lstat(from)
	return err == nil && os.SameFile(staged, there), err
}
