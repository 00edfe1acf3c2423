package sink

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// keptName is the folder, among what a run has staged, with the parts that its
// published folder was made of: 000001.<begin of its hash>. They are there
// before the folder is in place, and stay as long as the run may be revised.
const keptName = "kept"

func (f *Files) keptDir() string { return filepath.Join(f.Staging(), keptName) }

func (f *Files) keptPart(part PublishedPart) string {
	return filepath.Join(f.keptDir(), keptFile(part))
}

func keptFile(part PublishedPart) string {
	return fmt.Sprintf("%06d.%.16s", part.MiniBatch, part.SHA256)
}

// keep makes the parts of a publication last beyond it: by a second name, which
// takes no space, or by a copy where there are no such.
func (f *Files) keep(p Publication) error {
	if !f.layout.keepsParts(p.Manifest.Counts) {
		return nil
	}
	if err := f.fs.MkdirAll(f.keptDir()); err != nil {
		return err
	}
	for _, part := range p.Parts {
		if part.Path == "" {
			continue // kept since the revision before
		}
		if err := f.keepPart(part); err != nil {
			return err
		}
	}
	return f.fs.SyncDir(f.keptDir())
}

func (f *Files) keepPart(part PublishedPart) error {
	staged := filepath.Join(f.Staging(), part.Path)
	if same, err := sameFile(staged, f.keptPart(part)); err != nil || same {
		return err
	}
	fresh := filepath.Join(f.Staging(), keptFile(part)) // the place may hold what an earlier try has left
	if err := f.remove(fresh); err != nil {
		return err
	}
	if err := f.take(staged, fresh, f.partOf(part)); err != nil {
		return err
	}
	return f.fs.Rename(fresh, f.keptPart(part))
}

// forget removes kept parts that the published folder is not made of any more.
func (f *Files) forget(p Publication) error {
	if !f.layout.merged() {
		return nil
	}
	kept, err := os.ReadDir(f.keptDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	needed := map[string]bool{}
	for _, part := range p.Parts {
		needed[keptFile(part)] = true
	}
	for _, entry := range kept {
		if !needed[entry.Name()] {
			if err := f.remove(filepath.Join(f.keptDir(), entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
