package engine_test

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
)

// mortal is the ground under an engine that dies: its disk, its clock and its
// way to the prediction server. A crash is an image of the disk, taken at an
// instant at which no step on files is under way and no transaction can begin;
// after it the engine reaches nothing any more, and a new one goes on from the
// image.
type mortal struct {
	root string // holds data and out
	disk *durabletest.Faulty

	// gate is held for reading by each step, for writing while the image is
	// taken.
	gate  sync.RWMutex
	dead  bool
	image map[string]entry
	kind  string // of the steps that count; empty: all
	after int64  // of them to go until the crash; zero: none is due

	skew    atomic.Int64 // of the clock
	stall   atomic.Int64 // how long the next transaction waits
	lag     atomic.Int64 // how long the next step on files waits
	late    atomic.Int64 // who waits in one of these now
	reached map[string]int

	dying    func()            // what else ends with the process; nil: nothing
	removing func(path string) // hears of what is removed; nil: nobody does
	ahead    func() bool       // whether a table has got more since it was asked last; nil: there is none
}

// entry is a file or folder of an image.
type entry struct {
	folder bool
	text   []byte
}

var errDead = errors.New("the process is dead")

func newMortal(dir string) *mortal {
	return &mortal{root: dir, disk: durabletest.New(durabletest.NoSync()), reached: map[string]int{}}
}

func (m *mortal) now() time.Time { return time.Now().Add(time.Duration(m.skew.Load())) }

// storeNow is the store's clock, which it reads at the beginning of each
// transaction.
func (m *mortal) storeNow() time.Time {
	m.wait(&m.stall)
	_ = m.step("transaction", func() error { return nil })
	return m.now()
}

// wait waits as long as is due, once.
func (m *mortal) wait(due *atomic.Int64) {
	if d := due.Swap(0); d > 0 {
		m.late.Add(1)
		defer m.late.Add(-1)
		time.Sleep(time.Duration(d))
	}
}

// rest returns when nobody waits any more. A worker that is late outlives the
// engine that has given it up, but must not outlive the bubble.
func (m *mortal) rest() {
	m.stall.Store(0)
	m.lag.Store(0)
	for m.late.Load() > 0 {
		time.Sleep(time.Second)
	}
}

// step takes a step, unless the process is dead, or dies of it.
func (m *mortal) step(name string, take func() error) error {
	kind := name
	if name != "transaction" && name != "request" {
		kind = "file"
		m.wait(&m.lag)
	}
	m.countDown(name, kind)
	m.gate.RLock()
	defer m.gate.RUnlock()
	if m.dead {
		return errDead
	}
	return take()
}

// dieAfter has the process die at the n-th step of a kind from now on.
func (m *mortal) dieAfter(kind string, n int64) {
	m.gate.Lock()
	defer m.gate.Unlock()
	m.kind, m.after = kind, n
	if kind == "commit" {
		_ = m.ahead() // of what it has from now on
	}
}

func (m *mortal) countDown(name, kind string) {
	m.gate.Lock()
	defer m.gate.Unlock()
	if m.kind == "commit" && kind == "transaction" && m.after > 0 && m.ahead() {
		kind = "commit" // whose answer the store is about to hear
	}
	if m.after == 0 || m.kind != "" && m.kind != kind {
		return
	}
	if m.after--; m.after == 0 {
		if m.dying != nil {
			m.dying()
		}
		m.image, m.dead = m.read(), true
		m.reached[name]++
	}
}

// isDead tells whether what the engine says now is of a world that never was.
func (m *mortal) isDead() bool {
	m.gate.RLock()
	defer m.gate.RUnlock()
	return m.dead
}

// read reads all that is on the disk.
func (m *mortal) read() map[string]entry {
	image := map[string]entry{}
	err := filepath.WalkDir(m.root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == filepath.Join(m.root, "in"):
			return fs.SkipDir // others write there
		case d.IsDir():
			image[path] = entry{folder: true}
			return nil
		case strings.HasSuffix(path, "-shm"):
			return nil // memory of the database, not disk
		}
		text, err := os.ReadFile(path)
		image[path] = entry{text: text}
		return err
	})
	if err != nil {
		panic(err)
	}
	return image
}

// rise puts the disk back as the image shows it; powerCut forgets what was not
// synced, too. Nothing may use it any more.
func (m *mortal) rise(t testing.TB, powerCut bool) {
	t.Helper()
	must(t, os.RemoveAll(filepath.Join(m.root, "data")))
	must(t, os.RemoveAll(filepath.Join(m.root, "out")))
	for path, e := range m.image {
		if e.folder {
			must(t, os.MkdirAll(path, 0o755))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, e.text, 0o600))
	}
	if powerCut {
		must(t, m.disk.Forget())
		m.disk.Reset()
	}
	m.gate.Lock()
	defer m.gate.Unlock()
	m.dead, m.image, m.after = false, nil, 0
	m.lag.Store(0)
	m.stall.Store(0)
}

// The file system of the mortal.

func (m *mortal) Create(path string) (file durable.File, err error) {
	err = m.step("create", func() error {
		file, err = m.disk.Create(path)
		return err
	})
	if err != nil {
		return nil, err
	}
	return mortalFile{m, file}, nil
}

func (m *mortal) MkdirAll(path string) error {
	return m.step("mkdir", func() error { return m.disk.MkdirAll(path) })
}

func (m *mortal) Rename(from, to string) error {
	return m.step("rename", func() error { return m.disk.Rename(from, to) })
}

func (m *mortal) Exchange(a, b string) error {
	return m.step("exchange", func() error { return m.disk.Exchange(a, b) })
}

func (m *mortal) Link(from, to string) error {
	return m.step("link", func() error { return m.disk.Link(from, to) })
}

func (m *mortal) Remove(path string) error {
	return m.step("remove", func() error { return m.disk.Remove(path) })
}

func (m *mortal) RemoveAll(path string) error {
	return m.step("remove all", func() error {
		if m.removing != nil {
			m.removing(path)
		}
		return m.disk.RemoveAll(path)
	})
}

func (m *mortal) SyncDir(path string) error {
	return m.step("sync folder", func() error { return m.disk.SyncDir(path) })
}

type mortalFile struct {
	m     *mortal
	under durable.File
}

func (f mortalFile) Write(p []byte) (n int, err error) {
	err = f.m.step("write", func() error {
		n, err = f.under.Write(p)
		return err
	})
	return n, err
}

func (f mortalFile) Sync() error { return f.m.step("sync", f.under.Sync) }

// Close closes in any case: a test leaks nothing.
func (f mortalFile) Close() error { return f.under.Close() }

// way is a transport that ends with the process.
type way struct {
	m    *mortal
	next http.RoundTripper
}

func (w way) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := w.m.step("request", func() error { return nil }); err != nil {
		return nil, err
	}
	return w.next.RoundTrip(r)
}
