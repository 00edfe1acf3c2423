package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
)

// spoolFolder is the folder in a run's own that holds its spool.
const spoolFolder = "spool"

// ClearSpool makes room for a planning: what an earlier one that did not end
// has left is removed.
func (in *Inputs) ClearSpool() error {
	in.mu.Lock()
	in.spooled, in.spools = 0, 0
	in.mu.Unlock()
	return in.FS.RemoveAll(filepath.Join(in.RunsDir, in.Run, spoolFolder))
}

// Spooled tells whether a run has a spool.
func Spooled(runsDir, run string) bool {
	_, err := os.Stat(filepath.Join(runsDir, run, spoolFolder))
	return err == nil
}

// SpoolSize is what a run's spool takes, in bytes.
func SpoolSize(runsDir, run string) (bytes int64, err error) {
	entries, err := os.ReadDir(filepath.Join(runsDir, run, spoolFolder))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return bytes, err
		}
		bytes += info.Size()
	}
	return bytes, err
}

// RemoveSpool removes it, and the run's folder where nothing else is in there.
func RemoveSpool(dir durable.FS, runsDir, run string) error {
	if err := dir.RemoveAll(filepath.Join(runsDir, run, spoolFolder)); err != nil {
		return err
	}
	if left, err := os.ReadDir(filepath.Join(runsDir, run)); err != nil || len(left) > 0 {
		return err
	}
	return dir.Remove(filepath.Join(runsDir, run))
}

// KeepSpoolOnly removes everything else of a run.
func KeepSpoolOnly(runsDir, run string) error {
	folder := filepath.Join(runsDir, run)
	entries, err := os.ReadDir(folder)
	for _, entry := range entries {
		if entry.Name() != spoolFolder {
			err = errors.Join(err, os.RemoveAll(filepath.Join(folder, entry.Name())))
		}
	}
	return err
}

// Spool writes a new file of the run's spool, known to people as name and
// ending like extension (".csv"). It gives its path below the run's folder and
// its size. Once it has returned the file is durable. More than the spool may
// hold is an *api.Failure config; whatever goes wrong leaves no file behind.
func (in *Inputs) Spool(ctx context.Context, name, extension string, write func(io.Writer) error) (path string, size int64, err error) {
	in.mu.Lock()
	in.spools++
	path = filepath.Join(spoolFolder, fmt.Sprintf("%d%s", in.spools, extension))
	in.mu.Unlock()
	whole := filepath.Join(in.RunsDir, in.Run, path)
	if err := in.FS.MkdirAll(filepath.Dir(whole)); err != nil {
		return "", 0, fmt.Errorf("make the spool: %w", err)
	}
	file, err := in.FS.Create(whole)
	if err != nil {
		return "", 0, fmt.Errorf("make the spool of %s: %w", name, err)
	}
	w := &spoolWriter{ctx: ctx, in: in, name: name, w: file}
	if err = write(w); err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = in.FS.SyncDir(filepath.Dir(whole))
	}
	if err != nil {
		in.take(-w.size)
		return "", 0, errors.Join(err, in.FS.RemoveAll(whole))
	}
	return path, w.size, nil
}

// HasSpooled tells whether anything was spooled since New or ClearSpool.
func (in *Inputs) HasSpooled() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.spools > 0
}

// take counts bytes of the spool, and gives how many it holds with them.
func (in *Inputs) take(n int64) int64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.spooled += n
	return in.spooled
}

// spoolWriter writes one file of the spool, within bounds.
type spoolWriter struct {
	ctx  context.Context
	in   *Inputs
	name string
	w    io.Writer
	size int64
}

func (w *spoolWriter) Write(p []byte) (int, error) {
	if w.ctx.Err() != nil {
		return 0, context.Cause(w.ctx)
	}
	w.size += int64(len(p))
	if held := w.in.take(int64(len(p))); held > w.in.MaxSpool {
		return 0, api.Fail(api.Reason(api.ClassConfig), "raise input.max_spool if the disk of the runner's data_dir has room for it, or let a run take less",
			fmt.Errorf("the copy of %s would be larger than %d bytes, and with it what the run copies of its input exceed input.max_spool, %d bytes", w.name, w.size-int64(len(p)), w.in.MaxSpool))
	}
	return w.w.Write(p)
}

// spool is the copies that runs have made.
type spool struct{ runs string }

func (s spool) open(_ context.Context, f File) (content, error) {
	file, err := os.Open(s.path(f))
	if err != nil {
		return nil, s.lost(f, err)
	}
	info, err := file.Stat()
	if err == nil {
		err = s.compare(f, info)
	}
	if err != nil {
		_ = file.Close() // read only
		return nil, err
	}
	return spoolContent{localContent{file, f}}, nil
}

func (s spool) check(_ context.Context, f File) error {
	info, err := os.Stat(s.path(f))
	if err != nil {
		return s.lost(f, err)
	}
	return s.compare(f, info)
}

func (s spool) path(f File) string { return filepath.Join(s.runs, f.SpoolRun, f.Spool) }

func (s spool) compare(f File, info fs.FileInfo) error {
	if info.Size() == f.SpoolSize {
		return nil
	}
	return s.gone(f, fmt.Errorf("%s had %d bytes and has %d", s.path(f), f.SpoolSize, info.Size()))
}

func (s spool) lost(f File, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return s.gone(f, fmt.Errorf("%s is not there", s.path(f)))
	}
	return fmt.Errorf("open the copy of input %s: %w", f.Path, err)
}

func (s spool) gone(f File, how error) error {
	return api.Fail(api.Reason(api.ClassInputChanged), "start a new run, and leave the runner's data_dir to the runner",
		fmt.Errorf("the copy that run %s made of input %s is gone: %w", f.SpoolRun, f.Path, how))
}

// spoolContent is an open file of a spool, which nobody changes.
type spoolContent struct{ localContent }

func (spoolContent) check() error { return nil }
