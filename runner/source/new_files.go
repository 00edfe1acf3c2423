package source

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
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
func (in *Inputs) FindNew(ctx context.Context, input api.Input, o api.Occasion, columns []string, m Memory, now time.Time) (NewFiles, error) {
	place, pattern, listing, err := in.matchNew(ctx, input, o, m)
	if err != nil {
		return NewFiles{}, err
	}
	if err := place.reachable(ctx, pattern); err != nil && len(listing) == 0 {
		return NewFiles{}, err
	}
	var found NewFiles
	for _, l := range withoutMarkers(listing, input.Files.DoneMarker) {
		before, known := m.Known[l.path]
		take, why, err := judge(ctx, place, l, before, known, m.Claimed[l.path], *input.Files, now)
		if err != nil {
			return NewFiles{}, err
		}
		if !take {
			if why != "" {
				found.Left = append(found.Left, Left{l.path, why})
			}
			continue
		}
		file, err := inspect(ctx, place, l, *input.Files, columns, in.keepSpool)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was there a moment ago
		}
		if isChanged(err) {
			found.Left = append(found.Left, Left{l.path, "changed while it was read"})
			continue
		}
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

// matchNew is match, which of objects holds only those that are not known: a
// store may have very many.
func (in *Inputs) matchNew(ctx context.Context, input api.Input, o api.Occasion, m Memory) (place finder, pattern string, found []listed, err error) {
	uri, err := api.ExpandURI(input.Files.URI, o)
	if pattern = api.Path(uri); err != nil || !object.Is(pattern) {
		return in.match(ctx, input, o)
	}
	stores := objects{in.bucket, &in.ends}
	found, err = stores.listBut(ctx, pattern, func(l listed) bool {
		before, known := m.Known[l.path]
		return known && before.same(l)
	})
	return stores, pattern, found, err
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

// isChanged tells whether a file is not what it was a moment ago.
func isChanged(err error) bool {
	failure, ok := errors.AsType[*api.Failure](err)
	return ok && failure.Reason == api.Reason(api.ClassInputChanged)
}

// judge tells whether a file is a candidate. If not, why says what the run
// leaves it for; nothing, where it is known.
func judge(ctx context.Context, place finder, l listed, before Known, known bool, claimedBy string, in api.InputFiles, now time.Time) (take bool, why string, err error) {
	switch {
	case known && before.same(l):
		return false, "", nil
	case claimedBy != "":
		return false, "run " + claimedBy + " has it", nil
	case in.MinAge != "" && now.Sub(l.modTime) < in.MinAge.Value():
		return false, "younger than " + string(in.MinAge), nil
	case in.DoneMarker != "":
		marked, err := place.exists(ctx, markerOf(l.path, in.DoneMarker))
		if err != nil || !marked {
			return false, "without its marker", err
		}
	}
	return true, "", nil
}

// same tells whether a file is listed as it was taken.
func (k Known) same(l listed) bool {
	if l.etag != "" {
		return k.SHA256 == etagSum(l.etag)
	}
	return k.Size == l.size && k.ModTime.Equal(l.modTime)
}

// etagSum is what an object has in place of a checksum.
func etagSum(etag string) string { return "etag:" + etag }

// markerOf is the file that says that a file is complete.
func markerOf(file, marker string) string {
	folder, name := path.Split(file)
	return folder + strings.ReplaceAll(marker, "*", name)
}

// withoutMarkers leaves out the files that are there to mark others.
func withoutMarkers(listing []listed, marker string) []listed {
	if marker == "" {
		return listing
	}
	prefix, suffix, perFile := strings.Cut(marker, "*")
	return slices.DeleteFunc(listing, func(l listed) bool {
		name := path.Base(l.path)
		if !perFile {
			return name == marker
		}
		return len(name) > len(prefix)+len(suffix) && strings.HasPrefix(name, prefix) && strings.HasSuffix(name, suffix)
	})
}
