package engine_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// scope is a test whose cleanups run when a history ends: ten thousand of them
// share one test.
type scope struct {
	testing.TB
	cleanups []func()
}

func (s *scope) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *scope) close() {
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
	s.cleanups = nil
}

// memoryDir is a folder on a file system in memory, where there is one: the
// histories' disk is a model of one anyhow.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "batch-histories-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// freshStore is the database of a new data dir, made once: migrating one costs
// more than a history. Writes that the state machines do not list are refused
// in it.
var freshStore = sync.OnceValues(func() (fresh struct{ text, runner []byte }, err error) {
	dir, err := os.MkdirTemp("", "batch-store-")
	if err != nil {
		return fresh, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := store.Open(context.Background(), filepath.Join(dir, "data"), time.Now)
	if err != nil {
		return fresh, err
	}
	fresh.runner = []byte(s.RunnerID())
	if err := s.Close(); err != nil {
		return fresh, err
	}
	if err := holdToTheMachines(filepath.Join(dir, "data")); err != nil {
		return fresh, err
	}
	fresh.text, err = os.ReadFile(filepath.Join(dir, "data", store.File))
	return fresh, err
})

// newStore makes a new data dir, unless it is there. Each has an identity of
// its own: who starts reaps the processes of his own past, and of nobody else.
func newStore(t testing.TB, dir string) {
	t.Helper()
	path := filepath.Join(dir, store.File)
	if _, err := os.Stat(path); err == nil {
		return
	}
	fresh, err := freshStore()
	must(t, err)
	must(t, os.MkdirAll(dir, 0o700))
	must(t, os.WriteFile(path, bytes.ReplaceAll(fresh.text, fresh.runner, []byte(rand.Text())), 0o600))
}
