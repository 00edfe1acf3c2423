//go:build unix

package server

import (
	"os"

	"golang.org/x/sys/unix"
)

// freeSpace is what an ordinary user may still write where path lies.
func freeSpace(path string) (uint64, error) {
	var info unix.Statfs_t
	if err := unix.Statfs(path, &info); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	return uint64(info.Bavail) * uint64(info.Bsize), nil
}

// writable tells whether this process may write into a folder.
func writable(folder string) error {
	if err := unix.Access(folder, unix.W_OK|unix.X_OK); err != nil {
		return &os.PathError{Op: "write into", Path: folder, Err: err}
	}
	return nil
}
