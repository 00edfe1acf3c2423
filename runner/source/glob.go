package source

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// globCharacters make a pattern of a path.
const globCharacters = `*?[\`

// anyFolders is the segment of a pattern that stands for any number of folders,
// none included; at its end, for all files below.
const anyFolders = "**"

// glob is a pattern of paths, cut at slashes. Its wildcards match no name that is
// hidden, unless the pattern writes its first character.
type glob []string

func newGlob(pattern string) (glob, error) {
	g := glob(strings.Split(pattern, "/"))
	for _, segment := range g {
		if _, err := path.Match(segment, ""); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// prefix is what each path that matches begins with.
func (g glob) prefix() string {
	whole := strings.Join(g, "/")
	if i := strings.IndexAny(whole, globCharacters); i >= 0 {
		return whole[:i]
	}
	return whole
}

// hidden tells of a file or folder by its name that it holds no records: markers,
// manifests, dead letters and staging of those who publish files, ours included.
func hidden(name string) bool { return strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".") }

// match tells whether a path is of the pattern.
func (g glob) match(file string) bool { return matchSegments(g, strings.Split(file, "/")) }

func matchSegments(pattern, segments []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == anyFolders && len(pattern) == 1 {
			return len(segments) > 0 && !slices.ContainsFunc(segments, hidden) // whatever lies below
		}
		if pattern[0] == anyFolders {
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

// globLocal lists what a pattern matches. Below ** it finds no folders, and
// passes over those that it may not look into, as filepath.Glob does.
func globLocal(pattern string) ([]string, error) {
	pattern = path.Clean(pattern)
	g, err := newGlob(pattern)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(g, anyFolders) {
		found, err := filepath.Glob(pattern)
		return slices.DeleteFunc(found, func(file string) bool { return !g.match(file) }), err
	}
	var found []string
	root := path.Dir(g.prefix() + "x")
	err = filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
			return nil
		case err != nil:
			return err
		case !entry.IsDir() && g.match(file):
			found = append(found, file)
		}
		return nil
	})
	return found, err
}
