package runner

import (
	"context"
	"io"
	"time"

	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// BackupInfo is what a copy of a runner's store says of itself.
type BackupInfo = store.BackupInfo

// Restoration is how a store was restored.
type Restoration = store.Restoration

// Backup copies the store of a data dir that no runner works on to w. One that
// works gives a copy itself, through its API.
func Backup(ctx context.Context, dataDir, version string, w io.Writer) (err error) {
	b, err := store.BackupDir(ctx, dataDir, version, time.Now())
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }() // only read
	_, err = io.Copy(w, b)
	return err
}

// CheckBackup reads a whole copy of a store and says what it is.
func CheckBackup(ctx context.Context, path string) (BackupInfo, error) {
	return store.CheckBackup(ctx, path)
}

// Restore puts a copy of a store into a data dir that no runner works on; with
// replace also into one that has a store, which is put aside. What the copy
// can't know of is settled when a runner starts there first.
func Restore(ctx context.Context, path, dataDir string, replace bool) (Restoration, error) {
	return store.Restore(ctx, path, dataDir, replace, time.Now())
}
