package sink

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
)

// staging is a run's own folder, in which its parts wait, durable and unseen,
// to be published. It is the same for every kind of output.
type staging struct {
	fs     durable.FS
	format string // of the parts
	dir    string
}

// Staging is the run's own folder.
func (s *staging) Staging() string { return s.dir }

// OpenRecords reads a staged part record by record; columns are those it was
// staged with.
func (s *staging) OpenRecords(part PublishedPart, columns []api.Column) (*Records, error) {
	return s.openRecords(filepath.Join(s.dir, part.Path), part, columns)
}

// SweepStaged removes staged parts that no row names: of workers that were
// killed or fenced off, and of run attempts that were given up. keep holds the
// paths of those that stay. Nothing may be staged meanwhile.
func (s *staging) SweepStaged(keep map[string]bool) error {
	if err := s.sweepStaged(keep); err != nil {
		return fmt.Errorf("sweep %s: %w", s.dir, err)
	}
	return nil
}

func (s *staging) sweepStaged(keep map[string]bool) error {
	attempts, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, attempt := range attempts {
		if _, err := strconv.ParseInt(attempt.Name(), 10, 64); err != nil || !attempt.IsDir() {
			continue // publish/ and the like
		}
		parts, err := os.ReadDir(filepath.Join(s.dir, attempt.Name()))
		if err != nil {
			return err
		}
		kept := false
		for _, part := range parts {
			path := filepath.Join(attempt.Name(), part.Name())
			if keep[path] {
				kept = true
				continue
			}
			if err := s.remove(filepath.Join(s.dir, path)); err != nil {
				return err
			}
		}
		if !kept {
			if err := s.remove(filepath.Join(s.dir, attempt.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// Sweep removes all that the run has staged: for a run that is over.
func (s *staging) Sweep() error {
	if err := s.fs.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("sweep %s: %w", s.dir, err)
	}
	return nil
}

// probe proves that parts can be staged.
func (s *staging) probe() error {
	if err := s.fs.MkdirAll(s.dir); err != nil {
		return err
	}
	path := filepath.Join(s.dir, "probe")
	if err := s.writeFile(path, []byte("probe\n")); err != nil {
		return err
	}
	return s.fs.Remove(path)
}

// create writes and syncs one file; its folder is not synced.
func (s *staging) create(path string, write func(io.Writer) error) error {
	file, err := s.fs.Create(path)
	if err != nil {
		return err
	}
	if err = write(file); err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func (s *staging) writeFile(path string, content []byte) error {
	return s.create(path, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// remove removes a file that may be missing.
func (s *staging) remove(path string) error {
	if err := s.fs.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Gone counts the records that had no row to be written to, by the reason.
type Gone map[string]int64

// Passes tells whether an error of an output may be gone at another try.
func Passes(err error) bool {
	return durable.IsStorage(err) || database.Transient(err) || object.Transient(err)
}
