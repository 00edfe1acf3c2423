package source

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"slices"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// globLocal lists what a pattern matches. Below ** it finds no folders, and
// passes over those that it may not look into, as filepath.Glob does.
func globLocal(pattern string) ([]string, error) {
	pattern = path.Clean(pattern)
	g, err := api.NewGlob(pattern)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(g, api.AnyFolders) {
		found, err := filepath.Glob(pattern)
		return slices.DeleteFunc(found, func(file string) bool { return !g.Match(file) }), err
	}
	var found []string
	root := path.Dir(g.Prefix() + "x")
	err = filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
			return nil
		case err != nil:
			return err
		case !entry.IsDir() && g.Match(file):
			found = append(found, file)
		}
		return nil
	})
	return found, err
}
