package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Known is what a job remembers of a file that one of its runs has taken.
type Known struct {
	Size    int64
	ModTime time.Time
	SHA256  string
	Run     string // that took it
}

// Memory is what a job knows of its input files, by path.
type Memory struct {
	Known map[string]Known
	// Claimed are the files in the plans of runs that have not ended.
	Claimed map[string]string
}

// Candidate is a file that a run takes, unless its content turns out to be
// known already.
type Candidate struct {
	File
	Before *Known // what is known by this path; nil: nothing
}

// Left is a file that a run leaves to the next one.
type Left struct{ Path, Why string }

// NewFiles are the files that an incremental input has for a run.
type NewFiles struct {
	Candidates []Candidate // sorted by path: the order of the plan
	Left       []Left
}

// FindNew is Find for an input that takes each file once. That no file
// matches, or none that is new, is no error; that there is no folder to look
// into is.
func FindNew(in api.InputFiles, o api.Occasion, columns []string, m Memory, now time.Time) (NewFiles, error) {
	pattern, paths, err := match(in, o)
	if err != nil {
		return NewFiles{}, err
	}
	if err := reachable(pattern); err != nil && len(paths) == 0 {
		return NewFiles{}, err
	}
	var found NewFiles
	for _, path := range withoutMarkers(paths, in.DoneMarker) {
		seen, err := look(path, in.DoneMarker)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was there a moment ago
		}
		if err != nil {
			return NewFiles{}, err
		}
		before, known := m.Known[path]
		take, why := seen.judge(before, known, m.Claimed[path], in, now)
		if !take {
			if why != "" {
				found.Left = append(found.Left, Left{path, why})
			}
			continue
		}
		file, err := inspect(path, in.Format, columns)
		if err != nil {
			return NewFiles{}, err
		}
		candidate := Candidate{File: file}
		if known {
			candidate.Before = &before
		}
		found.Candidates = append(found.Candidates, candidate)
	}
	return found, nil
}

// Verdict is what the content of a candidate makes of it.
type Verdict int

// The verdicts.
const (
	Fresh   Verdict = iota // nothing was known of it
	Touched                // its content is the known one
	Changed                // it has another content than the known one
)

// Judge compares the content of the candidate, by its checksum, with the known
// one.
func (c Candidate) Judge(sha256 string) Verdict {
	switch {
	case c.Before == nil:
		return Fresh
	case c.Before.SHA256 == sha256:
		return Touched
	default:
		return Changed
	}
}

// seen is a file as it was listed.
type seen struct {
	size    int64
	modTime time.Time
	marked  bool // its done marker is there
}

// judge tells whether a file is a candidate. If not, why says what the run
// leaves it for; nothing, where it is known.
func (s seen) judge(before Known, known bool, claimedBy string, in api.InputFiles, now time.Time) (take bool, why string) {
	age := now.Sub(s.modTime)
	switch {
	case known && before.Size == s.size && before.ModTime.Equal(s.modTime):
		return false, ""
	case claimedBy != "":
		return false, "run " + claimedBy + " has it"
	case in.DoneMarker != "" && !s.marked:
		return false, "without its marker"
	case in.MinAge != "" && age < in.MinAge.Value():
		return false, "younger than " + string(in.MinAge)
	}
	return true, ""
}

func look(path, marker string) (seen, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return seen{}, err
	}
	if err != nil {
		return seen{}, unreadable(path, err)
	}
	s := seen{size: info.Size(), modTime: info.ModTime().UTC()}
	if marker == "" {
		return s, nil
	}
	_, err = os.Stat(markerOf(path, marker))
	s.marked = err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return seen{}, unreadable(markerOf(path, marker), err)
	}
	return s, nil
}

// markerOf is the file that says that the one at path is complete.
func markerOf(path, marker string) string {
	folder, name := filepath.Split(path)
	return folder + strings.ReplaceAll(marker, "*", name)
}

// withoutMarkers leaves out the files that are there to mark others.
func withoutMarkers(paths []string, marker string) []string {
	if marker == "" {
		return paths
	}
	prefix, suffix, perFile := strings.Cut(marker, "*")
	return slices.DeleteFunc(paths, func(path string) bool {
		name := filepath.Base(path)
		if !perFile {
			return name == marker
		}
		return len(name) > len(prefix)+len(suffix) && strings.HasPrefix(name, prefix) && strings.HasSuffix(name, suffix)
	})
}

// reachable tells whether the folder that a pattern begins with can be looked
// into. Glob passes over folders that it may not read.
func reachable(pattern string) error {
	folder := filepath.Dir(pattern)
	for strings.ContainsAny(folder, `*?[\`) {
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
