//go:build unix

package source

import (
	"io/fs"
	"syscall"
)

// identity tells two files of one name apart.
func identity(info fs.FileInfo) (inode, device uint64) {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(stat.Ino), uint64(stat.Dev) // other types on other systems
	}
	return 0, 0
}
