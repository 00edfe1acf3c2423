package engine_test

import (
	"context"
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
// more than a history.
var freshStore = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "batch-store-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := store.Open(context.Background(), filepath.Join(dir, "data"), time.Now)
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	if err := holdToTheMachines(filepath.Join(dir, "data")); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, "data", store.File))
})
