package launch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// Log is the file that a run's prediction servers write to. It is a ring: at
// most the newest limit bytes are kept, in two files of half of it each, path
// and the older path.1. It is safe for concurrent use by one process.
type Log struct {
	mu   sync.Mutex
	path string
	half int64
	file *os.File // nil once closed
	size int64    // of file
}

// OpenLog opens the log for appending, and makes it where it is missing.
func OpenLog(path string, limit int64) (*Log, error) {
	if limit < 2 {
		return nil, fmt.Errorf("open log %s: a limit of %d bytes keeps nothing", path, limit)
	}
	l := &Log{path: path, half: limit / 2}
	if err := l.open(); err != nil {
		return nil, err
	}
	return l, nil
}

// Write appends text. What fits in half the limit is never torn apart.
func (l *Log) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return 0, fmt.Errorf("write log %s: %w", l.path, os.ErrClosed)
	}
	written := 0
	for written < len(text) {
		piece := text[written:]
		piece = piece[:min(int64(len(piece)), l.half)]
		if l.size > 0 && l.size+int64(len(piece)) > l.half {
			if err := l.turn(); err != nil {
				return written, err
			}
		}
		n, err := l.file.Write(piece)
		written, l.size = written+n, l.size+int64(n)
		if err != nil {
			return written, fmt.Errorf("write log %s: %w", l.path, err)
		}
	}
	return written, nil
}

// Close closes the log. A second Close does nothing.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// open opens path. Servers may write what they predict: the file is private.
func (l *Log) open() error {
	file, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("open log: %w", err), file.Close())
	}
	l.file, l.size = file, info.Size()
	return nil
}

// turn makes the newer file the older one. When it fails, the log goes on in
// the file it has, and the next Write tries again.
func (l *Log) turn() error {
	// It is not there when an earlier turn got no further than this.
	if err := os.Rename(l.path, older(l.path)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("turn log: %w", err)
	}
	full := l.file
	if err := l.open(); err != nil {
		return err
	}
	return full.Close()
}

func older(path string) string { return path + ".1" }

// ReadLog reads a log from its oldest byte to what was written when the reading
// gets there, also while a Log writes it. No log is os.ErrNotExist.
func ReadLog(path string) (io.ReadCloser, error) {
	for range 10 {
		reader, turned, err := openBoth(path)
		if err != nil {
			return nil, fmt.Errorf("open log: %w", err)
		}
		if !turned {
			return reader, nil
		}
		if err := reader.Close(); err != nil {
			return nil, fmt.Errorf("open log: %w", err)
		}
	}
	return nil, fmt.Errorf("open log %s: it and %s are one file", path, older(path))
}

// openBoth opens the newer file first: when the log is turned in between, the
// older one opened then is the same file, which can be seen. Either of them may
// be missing.
func openBoth(path string) (reader *logReader, turned bool, err error) {
	newest, missing := os.Open(path)
	if missing != nil && !errors.Is(missing, os.ErrNotExist) {
		return nil, false, missing
	}
	oldest, err := os.Open(older(path))
	switch {
	case missing != nil && err != nil:
		return nil, false, missing
	case missing != nil:
		return &logReader{Reader: oldest, files: []*os.File{oldest}}, false, nil
	case errors.Is(err, os.ErrNotExist):
		return &logReader{Reader: newest, files: []*os.File{newest}}, false, nil
	case err != nil:
		return nil, false, errors.Join(err, newest.Close())
	}
	reader = &logReader{Reader: io.MultiReader(oldest, newest), files: []*os.File{oldest, newest}}
	if turned, err = same(newest, oldest); err != nil {
		return nil, false, errors.Join(err, reader.Close())
	}
	return reader, turned, nil
}

func same(a, b *os.File) (bool, error) {
	first, err := a.Stat()
	if err != nil {
		return false, err
	}
	second, err := b.Stat()
	return err == nil && os.SameFile(first, second), err
}

type logReader struct {
	io.Reader
	files []*os.File
}

func (r *logReader) Close() error {
	var errs []error
	for _, file := range r.files {
		errs = append(errs, file.Close())
	}
	return errors.Join(errs...)
}
