package source

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// File is one input file as it was when the run was planned. It is stored with
// the plan.
type File struct {
	Path    string    `json:"path"`
	Format  string    `json:"format"`
	Size    int64     `json:"size"`
	ModTime time.Time `json:"mod_time"`
	Inode   uint64    `json:"inode,omitzero"`
	Device  uint64    `json:"device,omitzero"`
	// Header holds the names of a CSV file's columns; none where the file is
	// empty.
	Header []string `json:"header,omitzero"`
	// Start is the offset of the first byte behind byte order mark and header,
	// StartLine its physical line.
	Start     int64 `json:"start"`
	StartLine int64 `json:"start_line"`
	// SHA256 is the checksum of its content, in hex, where an incremental input
	// took it.
	SHA256 string `json:"sha256,omitzero"`
	// Carried says that the run takes records of it which earlier runs owe; it
	// may also have the file itself, as new.
	Carried bool `json:"carried,omitzero"`
}

// Repin gives the file as it is now if its content still is the pinned one,
// whatever else about it has changed. What it can't tell is left for Open.
func (f File) Repin() File {
	if f.SHA256 == "" || f.Check() == nil {
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
	f.ModTime = info.ModTime().UTC()
	f.Inode, f.Device = identity(info)
	return f
}

// Open opens the file. It must be the one that was planned: same inode and
// device, size and modification time; otherwise the error is an *api.Failure
// input_changed.
func (f File) Open() (*os.File, error) {
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
	return file, nil
}

// Check says whether the file at the path still is the one that was planned,
// with errors as Open gives them.
func (f File) Check() error {
	info, err := os.Stat(f.Path)
	if err != nil {
		return f.unreachable("look at", err)
	}
	return f.compare(info)
}

// Records reads the records of length bytes at offset, a slice of the plan that
// begins on physical line firstLine, projected to the named columns.
func (f File) Records(file *os.File, offset, length, firstLine int64, project []string) (format.Reader, error) {
	reader, err := format.NewReader(f.Format, io.NewSectionReader(file, offset, length), f.Header, project, firstLine)
	if err != nil {
		return nil, fmt.Errorf("read input %s: %w", f.Path, err)
	}
	return reader, nil
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

func (f File) unreachable(verb string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f.changed(errors.New("it is gone"))
	case errors.Is(err, fs.ErrPermission):
		return denied(f.Path, err)
	default:
		return fmt.Errorf("%s input %s: %w", verb, f.Path, err)
	}
}

func (f File) changed(how error) error {
	return api.Fail(api.Reason(api.ClassInputChanged), "start a new run, and replace input files only between runs",
		fmt.Errorf("input %s changed after the run was planned: %w", f.Path, how))
}

func denied(path string, err error) error {
	return api.Fail(api.Reason(api.ClassConfig), "let the runner's user read it",
		fmt.Errorf("read input %s: %w", path, unwrapPath(err)))
}

// unwrapPath drops the path from an error whose text names it already.
func unwrapPath(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
