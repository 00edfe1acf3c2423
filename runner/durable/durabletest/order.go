package durabletest

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
)

// What rows that Note writes down may say of a path.
const (
	// RowNames: the store names a file, which must be durable with its name.
	RowNames = "names"
	// RowPublished: the store says that a folder, or a file in it, is visible:
	// it must be durable with all that is in it.
	RowPublished = "published"
)

// CheckOrder holds steps to the order in which things become durable: a file is
// written, then synced, then named by a row or moved, and then the folder is
// synced that it was moved to, before a row says that it is there.
func CheckOrder(steps []Step) error {
	o := order{content: map[string]bool{}, names: map[string]bool{}}
	var errs []error
	for i, step := range steps {
		if err := o.step(step); err != nil {
			errs = append(errs, fmt.Errorf("step %d, %s %s %s: %w", i, step.Op, step.Path, step.To, err))
		}
	}
	return errors.Join(errs...)
}

// order knows what a power cut would take at a moment: the content of files
// that are not synced, and names whose folder is not.
type order struct {
	content, names map[string]bool
}

func (o *order) step(step Step) error {
	if step.Op == Write { // may have written something even if it failed
		o.content[step.Path] = true
	}
	if step.Err != nil {
		return nil
	}
	path := filepath.Clean(step.Path)
	switch step.Op {
	case Create:
		o.content[path], o.names[path] = true, true
	case Sync:
		delete(o.content, path)
	case SyncDir:
		maps.DeleteFunc(o.names, func(name string, _ bool) bool { return filepath.Dir(name) == path })
	case Link:
		o.names[step.To] = true
		if o.content[path] {
			o.content[step.To] = true
		}
	case Rename:
		err := o.whole(path, false)
		move(o.content, path, step.To)
		move(o.names, path, step.To)
		o.names[step.To] = true
		return err
	case Exchange:
		err := o.whole(path, false)
		for _, set := range []map[string]bool{o.content, o.names} {
			move(set, path, path+".aside")
			move(set, step.To, path)
			move(set, path+".aside", step.To)
		}
		o.names[path], o.names[step.To] = true, true
		return err
	case Remove, RemoveAll:
		move(o.content, path, "")
		move(o.names, path, "")
	case Row:
		return o.whole(path, true)
	}
	return nil
}

// whole tells what a power cut would take of a path and what is below it. The
// own name of what is about to be moved does not count.
func (o *order) whole(path string, named bool) error {
	for file := range o.content {
		if _, ok := below(file, path); ok {
			return fmt.Errorf("the content of %s is not synced", file)
		}
	}
	for name := range o.names {
		if _, ok := below(name, path); ok && (named || name != path) {
			return fmt.Errorf("the folder of %s is not synced", name)
		}
	}
	return nil
}

// move renames what is at from and below it; to nowhere forgets it.
func move(set map[string]bool, from, to string) {
	moved := map[string]bool{}
	for path := range set {
		if rest, ok := below(path, from); ok {
			delete(set, path)
			moved[to+rest] = to != ""
		}
	}
	if to == "" {
		return
	}
	maps.DeleteFunc(set, func(path string, _ bool) bool { // what it replaces
		_, ok := below(path, to)
		return ok
	})
	maps.Copy(set, moved)
}
