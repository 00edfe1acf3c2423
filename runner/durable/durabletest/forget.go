package durabletest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Forget does to the disk what a power cut does: what was written and not
// synced is gone, and so are names whose folder was not synced since. (What was
// removed stays removed, and folders stay: MkdirAll syncs by itself.) Call it
// when nothing writes any more.
func (f *Faulty) Forget() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var m memory
	var errs []error
	for at, step := range slices.Backward(f.steps) {
		switch {
		case step.Op == Write: // may have written something even if it failed
			errs = append(errs, m.forgetContent(step.Path))
		case step.Err == nil:
			errs = append(errs, m.undo(step, f.replaced[at]))
		}
	}
	return errors.Join(errs...)
}

// memory walks back through the steps and knows, at each, what was made
// durable later and where the things of that time are now.
type memory struct {
	files, dirs map[string]bool
	moves       []Step // renames and exchanges that stay, oldest first
}

// undo takes a step back; replaced is what a rename found in its place.
func (m *memory) undo(step Step, replaced []byte) error {
	switch step.Op {
	case Sync:
		m.files = with(m.files, step.Path)
	case SyncDir:
		m.dirs = with(m.dirs, step.Path)
	case Create:
		return m.forgetName(step.Path)
	case Link:
		return m.forgetName(step.To)
	case Rename, Exchange:
		if m.dirs[filepath.Dir(step.To)] {
			m.moves = slices.Insert(m.moves, 0, step)
			return nil
		}
		if step.Op == Rename {
			err := ignoreMissing(os.Rename(m.now(step.To), m.now(step.Path)))
			if err == nil && replaced != nil {
				err = ignoreMissing(os.WriteFile(m.now(step.To), replaced, 0o666))
			}
			return err
		}
		return swap(m.now(step.Path), m.now(step.To))
	}
	return nil
}

func (m *memory) forgetContent(path string) error {
	if m.files[path] {
		return nil
	}
	return ignoreMissing(os.Truncate(m.now(path), 0))
}

// forgetName removes a name, unless a move of just that name has lasted.
func (m *memory) forgetName(path string) error {
	lasted := slices.ContainsFunc(m.moves, func(move Step) bool { return move.Path == path })
	if lasted || m.dirs[filepath.Dir(path)] {
		return nil
	}
	return ignoreMissing(os.Remove(m.now(path)))
}

// now is where a path of the past is found today.
func (m *memory) now(path string) string {
	for _, move := range m.moves {
		if rest, ok := below(path, move.Path); ok {
			path = move.To + rest
		} else if rest, ok := below(path, move.To); ok && move.Op == Exchange {
			path = move.Path + rest
		}
	}
	return path
}

func below(path, dir string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(path, dir)
	return rest, ok && (rest == "" || rest[0] == filepath.Separator)
}

// swap exchanges two paths; nobody looks on, so three renames do.
func swap(a, b string) error {
	aside := a + ".aside"
	return errors.Join(os.Rename(a, aside), os.Rename(b, a), os.Rename(aside, b))
}

func with(set map[string]bool, key string) map[string]bool {
	if set == nil {
		set = map[string]bool{}
	}
	set[key] = true
	return set
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
