// Package durable is the one file-system interface through which everything
// is written that must survive a crash: staged parts, published folders, the
// pointer to the latest one.
//
// It holds the interface, the operating system behind it, and the test for
// errors that mean "our disk, not the data". What is written, and in which
// order it is synced, is the caller's business; reading needs none of this and
// uses package os. Package durabletest has the twin that runs out of space.
package durable

import (
	"errors"
	"io"
	"syscall"
)

// FS writes files and folders. Nothing is durable before the Sync of the file
// and the SyncDir of the folder its name is in have returned.
type FS interface {
	// Create opens a file for writing, empty, whether or not it was there.
	Create(path string) (File, error)
	// MkdirAll makes a folder and the missing ones above it; the parent of
	// each folder it made is synced.
	MkdirAll(path string) error
	// Rename moves a file or folder; a folder never lands on another one.
	Rename(from, to string) error
	// Exchange swaps two files or folders in one step no reader can see the
	// middle of. It is errors.ErrUnsupported where the system has none.
	Exchange(a, b string) error
	// Link gives a file a second name. It is errors.ErrUnsupported where the
	// two names can't share a file.
	Link(from, to string) error
	// Remove removes a file or an empty folder.
	Remove(path string) error
	// RemoveAll removes a folder with all that is in it; missing is fine.
	RemoveAll(path string) error
	// SyncDir makes the names in a folder durable.
	SyncDir(path string) error
}

// File is a file being written.
type File interface {
	io.Writer
	// Sync makes what was written durable; the file's name needs a SyncDir.
	Sync() error
	Close() error
}

// IsStorage tells whether an error of our own files says that the storage is
// at fault: full, over quota, broken or read-only. Such an error passes when
// somebody makes room; the data is not to blame.
func IsStorage(err error) bool {
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EROFS} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
