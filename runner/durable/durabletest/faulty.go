// Package durabletest has a file system for tests that runs out of space,
// fails, or stops dead at a chosen step, and writes down every step it took.
package durabletest

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/batchpattern/terraform-provider-batch/runner/durable"
)

// ErrStopped is what every step gives after the last one StopAfter allows.
var ErrStopped = errors.New("stopped: the file system takes no further steps")

// Op is a kind of step.
type Op string

// The steps a file system takes.
const (
	Create    Op = "create"
	Write     Op = "write"
	Sync      Op = "sync"
	Close     Op = "close"
	MkdirAll  Op = "mkdirall"
	Rename    Op = "rename"
	Exchange  Op = "exchange"
	Link      Op = "link"
	Remove    Op = "remove"
	RemoveAll Op = "removeall"
	SyncDir   Op = "syncdir"

	// Row is a step that the test notes: a store says something of the path.
	Row Op = "row"
)

// Step is one step that was taken, or tried.
type Step struct {
	Op   Op
	Path string // of a rename, exchange or link: the first path
	To   string // the second path
	Err  error
}

// Faulty wraps a file system. Safe for use by several goroutines; the
// switches may be turned at any time.
type Faulty struct {
	under durable.FS

	mu    sync.Mutex
	steps []Step
	space int64 // bytes that may still be written; negative is no limit
	left  int   // steps that may still be taken; negative is no limit
	once  int   // steps up to and including one that fails; 0: none does
	cause error // what that one fails with
	fail  map[Op]error
	// replaced is what was in the place of renamed files, by step: a power cut
	// may bring it back.
	replaced map[int][]byte
}

// New wraps a file system, without a fault yet.
func New(under durable.FS) *Faulty {
	return &Faulty{under: under, space: -1, left: -1, fail: map[Op]error{}, replaced: map[int][]byte{}}
}

// SetSpace leaves room for so many bytes more: the write that goes beyond is
// cut short with ENOSPC, like those after it. Negative lifts the limit.
func (f *Faulty) SetSpace(bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.space = bytes
}

// Fail makes each further step of a kind fail with err, without being taken;
// nil ends that. EIO on Sync is a broken disk, EACCES on Create a folder that
// is not ours, errors.ErrUnsupported on Exchange or Link a simpler system.
func (f *Faulty) Fail(op Op, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail[op] = err
}

// StopAfter lets n further steps be taken; the next one does half of a write
// or nothing, and fails like all after it, as if the process had been killed.
func (f *Faulty) StopAfter(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = n
}

// FailOnce lets the n-th further step fail with err, counting from 1, and no
// other one. A write is cut short by it.
func (f *Faulty) FailOnce(n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.once, f.cause = n, err
}

// Note writes down that a store has said something of a path; what, is in kind.
func (f *Faulty) Note(path, kind string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.steps = append(f.steps, Step{Op: Row, Path: path, To: kind})
}

// Steps is what happened since the file system was made or Reset.
func (f *Faulty) Steps() []Step {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Step(nil), f.steps...)
}

// Reset forgets the steps.
func (f *Faulty) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.steps = nil
	clear(f.replaced)
}

// step judges whether a step may be taken, takes it and writes it down.
func (f *Faulty) step(op Op, path, to string, take func() error) error {
	_, err := f.stepAt(op, path, to, take)
	return err
}

func (f *Faulty) stepAt(op Op, path, to string, take func() error) (at int, _ error) {
	f.mu.Lock()
	err := f.fail[op]
	if f.once > 0 {
		if f.once--; f.once == 0 {
			err = cut{f.cause}
		}
	}
	switch {
	case f.left == 0:
		err = ErrStopped
	case f.left > 0:
		f.left--
	}
	f.mu.Unlock()
	if err != nil {
		err = &os.PathError{Op: string(op), Path: path, Err: err}
	} else {
		err = take()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.steps = append(f.steps, Step{op, path, to, err})
	return len(f.steps) - 1, err
}

// cut is the error of a step that FailOnce has chosen.
type cut struct{ error }

func (c cut) Unwrap() error { return c.error }

// Create implements durable.FS.
func (f *Faulty) Create(path string) (durable.File, error) {
	var under durable.File
	err := f.step(Create, path, "", func() (err error) {
		under, err = f.under.Create(path)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &file{f, filepath.Clean(path), under}, nil
}

// MkdirAll implements durable.FS.
func (f *Faulty) MkdirAll(path string) error {
	return f.step(MkdirAll, path, "", func() error { return f.under.MkdirAll(path) })
}

// Rename implements durable.FS.
func (f *Faulty) Rename(from, to string) error {
	var replaced []byte // nil: there was no file
	at, err := f.stepAt(Rename, from, to, func() error {
		if info, err := os.Lstat(to); err == nil && info.Mode().IsRegular() {
			if replaced, err = os.ReadFile(to); err != nil {
				return err
			}
		}
		return f.under.Rename(from, to)
	})
	if err == nil && replaced != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.replaced[at] = replaced
	}
	return err
}

// Exchange implements durable.FS.
func (f *Faulty) Exchange(a, b string) error {
	return f.step(Exchange, a, b, func() error { return f.under.Exchange(a, b) })
}

// Link implements durable.FS.
func (f *Faulty) Link(from, to string) error {
	return f.step(Link, from, to, func() error { return f.under.Link(from, to) })
}

// Remove implements durable.FS.
func (f *Faulty) Remove(path string) error {
	return f.step(Remove, path, "", func() error { return f.under.Remove(path) })
}

// RemoveAll implements durable.FS.
func (f *Faulty) RemoveAll(path string) error {
	return f.step(RemoveAll, path, "", func() error { return f.under.RemoveAll(path) })
}

// SyncDir implements durable.FS.
func (f *Faulty) SyncDir(path string) error {
	return f.step(SyncDir, path, "", func() error { return f.under.SyncDir(path) })
}

type file struct {
	fs    *Faulty
	path  string
	under durable.File
}

func (w *file) Write(p []byte) (n int, err error) {
	err = w.fs.step(Write, w.path, "", func() error {
		room, full := w.fs.take(len(p))
		if n, err = w.under.Write(p[:room]); err != nil {
			return err
		}
		if full {
			return &os.PathError{Op: "write", Path: w.path, Err: syscall.ENOSPC}
		}
		return nil
	})
	if _, short := errors.AsType[cut](err); short || errors.Is(err, ErrStopped) { // a crash leaves torn writes behind
		n, _ = w.under.Write(p[:len(p)/2])
	}
	return n, err
}

// take reserves space for a write; full says that less than wanted was left.
func (f *Faulty) take(wanted int) (room int, full bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.space < 0 {
		return wanted, false
	}
	room = int(min(f.space, int64(wanted)))
	f.space -= int64(room)
	return room, room < wanted
}

func (w *file) Sync() error {
	return w.fs.step(Sync, w.path, "", w.under.Sync)
}

// Close always closes the file below, so that a stopped test leaks nothing.
func (w *file) Close() error {
	err := w.fs.step(Close, w.path, "", func() error { return nil })
	return errors.Join(err, w.under.Close())
}
