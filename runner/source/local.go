package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// local is the disks of this machine. A file is the planned one as long as
// inode and device, size and modification time are.
type local struct{}

func (local) list(_ context.Context, pattern string) ([]listed, error) {
	paths, err := globLocal(pattern)
	if err != nil {
		return nil, unusable("", fmt.Errorf("match input files %q: %w", pattern, err))
	}
	slices.Sort(paths)
	var found []listed
	for _, path := range paths {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was there a moment ago
		}
		if err != nil {
			return nil, unreadable(path, err)
		}
		found = append(found, listed{path: path, size: info.Size(), modTime: info.ModTime().UTC()})
	}
	return found, nil
}

// reachable tells whether the folder that a pattern begins with can be looked
// into. Glob passes over folders that it may not read.
func (local) reachable(_ context.Context, pattern string) error {
	folder := filepath.Dir(pattern)
	for strings.ContainsAny(folder, api.GlobCharacters) {
		folder = filepath.Dir(folder)
	}
	opened, err := os.Open(folder)
	switch {
	case err == nil:
		return opened.Close()
	case errors.Is(err, fs.ErrPermission):
		return denied(folder, err)
	default:
		return api.Fail(api.ReasonInputMissing, "check input.files.uri, or see that the folder is there before the run",
			fmt.Errorf("look for input files %s: folder %s: %w", pattern, folder, unwrapPath(err)))
	}
}

func (local) width() int { return 1 }

func (local) pin(_ context.Context, l listed) (File, content, error) {
	path := l.path
	// Asked before opening: to open a named pipe would wait for a writer.
	info, err := os.Stat(path)
	if err != nil {
		return File{}, nil, unreadable(path, err)
	}
	if info.IsDir() {
		return File{}, nil, unusable(fmt.Sprintf("name its files, as in %s", filepath.Join(path, "*")),
			fmt.Errorf("input %s is a folder", path))
	}
	if !info.Mode().IsRegular() {
		return File{}, nil, unusable("copy its content to a file first",
			fmt.Errorf("input %s is not a regular file", path))
	}
	opened, err := os.Open(path)
	if err != nil {
		return File{}, nil, unreadable(path, err)
	}
	if info, err = opened.Stat(); err != nil {
		_ = opened.Close() // read only
		return File{}, nil, unreadable(path, err)
	}
	f := pinnedAs(File{Path: path}, info)
	return f, localContent{opened, f}, nil
}

func pinnedAs(f File, info fs.FileInfo) File {
	f.Size, f.ModTime = info.Size(), info.ModTime().UTC()
	f.Inode, f.Device = identity(info)
	return f
}

func (local) exists(_ context.Context, path string) (bool, error) {
	_, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, unreadable(path, err)
	}
	return err == nil, nil
}

func (local) open(_ context.Context, f File) (content, error) {
	file, err := os.Open(f.Path)
	if err != nil {
		return nil, f.unreachable("open", err)
	}
	info, err := file.Stat()
	if err == nil {
		err = f.compare(info)
	}
	if err != nil {
		_ = file.Close() // read only
		return nil, err
	}
	return localContent{file, f}, nil
}

func (local) check(_ context.Context, f File) error {
	info, err := os.Stat(f.Path)
	if err != nil {
		return f.unreachable("look at", err)
	}
	return f.compare(info)
}

func (f File) compare(info fs.FileInfo) error {
	var changed []string
	inode, device := identity(info)
	if inode != f.Inode || device != f.Device {
		changed = append(changed, "it is another file under the same name")
	}
	if info.Size() != f.Size {
		changed = append(changed, fmt.Sprintf("its size was %d bytes and is %d", f.Size, info.Size()))
	}
	if !info.ModTime().Equal(f.ModTime) {
		changed = append(changed, fmt.Sprintf("its modification time was %s and is %s", instant(f.ModTime), instant(info.ModTime())))
	}
	if len(changed) == 0 {
		return nil
	}
	return f.changed(errors.New(strings.Join(changed, ", ")))
}

// repin follows a file whose content is the pinned one.
func repin(f File) File {
	if f.SHA256 == "" || (local{}).check(context.Background(), f) == nil {
		return f
	}
	opened, err := os.Open(f.Path)
	if err != nil {
		return f
	}
	defer func() { _ = opened.Close() }() // read only
	info, err := opened.Stat()
	if err != nil || info.Size() != f.Size || !info.Mode().IsRegular() {
		return f
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, opened); err != nil || hex.EncodeToString(sum.Sum(nil)) != f.SHA256 {
		return f
	}
	return pinnedAs(f, info)
}

// localContent is an open file.
type localContent struct {
	*os.File
	pinned File
}

func (c localContent) from(offset, length int64) io.Reader {
	return io.NewSectionReader(c.File, offset, length)
}

func (c localContent) check() error { return local{}.check(context.Background(), c.pinned) }
