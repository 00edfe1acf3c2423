package durabletest

import (
	"os"

	"github.com/batchpattern/terraform-provider-batch/runner/durable"
)

// NoSync is the operating system's file system that never waits for the disk:
// for tests that look at the order of steps, or at what a killed process
// leaves, where real syncs would only cost time.
func NoSync() durable.FS { return noSync{durable.OS()} }

type noSync struct{ durable.FS }

func (noSync) MkdirAll(path string) error { return os.MkdirAll(path, 0o777) }

func (noSync) SyncDir(path string) error {
	_, err := os.Stat(path)
	return err
}

func (n noSync) Create(path string) (durable.File, error) {
	under, err := n.FS.Create(path)
	if err != nil {
		return nil, err
	}
	return noSyncFile{under}, nil
}

type noSyncFile struct{ durable.File }

func (noSyncFile) Sync() error { return nil }
