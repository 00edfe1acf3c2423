package sink

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// foreignIn names something in a published folder, or in the folders of its
// partitions, that no run wrote; "" where there is nothing.
func foreignIn(dir string, m *Manifest) (name string, err error) {
	files := map[string]bool{ManifestName: true, SuccessName: true, DeadLettersName: true}
	folders := map[string]bool{".": true}
	for _, part := range m.Parts {
		files[part.Name] = true
		for above := path.Dir(part.Name); !folders[above]; above = path.Dir(above) {
			folders[above] = true
		}
	}
	err = fs.WalkDir(os.DirFS(dir), ".", func(at string, entry fs.DirEntry, err error) error {
		// The manifest of a run under way does not list the parts yet.
		shown := !m.whole() && shownForm.MatchString(at)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && folders[at], !entry.IsDir() && files[at], shown:
			return nil
		}
		name = filepath.FromSlash(at)
		return fs.SkipAll
	})
	return name, err
}

// inside lists all that is in a folder, what is in a folder before that one.
func inside(dir string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(dir, func(at string, _ fs.DirEntry, err error) error {
		if err != nil || at == dir {
			return err
		}
		name, err := filepath.Rel(dir, at)
		names = append(names, name)
		return err
	})
	slices.Reverse(names)
	return names, err
}
