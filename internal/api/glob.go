package api

import (
	"path"
	"slices"
	"strings"
)

// GlobCharacters make a pattern of a path.
const GlobCharacters = `*?[\`

// AnyFolders is the segment of a pattern that stands for any number of folders,
// none included; at its end, for all files below.
const AnyFolders = "**"

// Glob is a pattern of paths or uris, cut at slashes. Its wildcards match no name
// that is hidden, unless the pattern writes its first character.
type Glob []string

// NewGlob takes a pattern apart. An error is path.ErrBadPattern.
func NewGlob(pattern string) (Glob, error) {
	g := Glob(strings.Split(pattern, "/"))
	for _, segment := range g {
		if _, err := path.Match(segment, ""); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// Prefix is what each path that matches begins with.
func (g Glob) Prefix() string {
	whole := strings.Join(g, "/")
	if i := strings.IndexAny(whole, GlobCharacters); i >= 0 {
		return whole[:i]
	}
	return whole
}

// hidden tells of a file or folder by its name that it holds no records: markers,
// manifests, dead letters and staging of those who publish files, ours included.
func hidden(name string) bool { return strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".") }

// Match tells whether a path is of the pattern.
func (g Glob) Match(file string) bool { return matchSegments(g, strings.Split(file, "/")) }

func matchSegments(pattern, segments []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == AnyFolders && len(pattern) == 1 {
			return len(segments) > 0 && !slices.ContainsFunc(segments, hidden) // whatever lies below
		}
		if pattern[0] == AnyFolders {
			for skip := 0; skip < len(segments); skip++ { // the last segment is the file
				if matchSegments(pattern[1:], segments[skip:]) {
					return true
				}
				if hidden(segments[skip]) {
					return false
				}
			}
			return false
		}
		if len(segments) == 0 || hidden(segments[0]) && strings.IndexAny(pattern[0], "*?") == 0 {
			return false
		}
		if matches, err := path.Match(pattern[0], segments[0]); err != nil || !matches {
			return false
		}
		pattern, segments = pattern[1:], segments[1:]
	}
	return len(segments) == 0
}
