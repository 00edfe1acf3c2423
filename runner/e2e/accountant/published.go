package accountant

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// published is an output as its readers see it.
type published struct {
	fs.FS
	// piecemeal says that it changes object by object: until a run has ended,
	// there may be some that no manifest names, or no longer.
	piecemeal bool
}

// folder is a published folder, as a reader finds it.
type folder struct {
	Run        string
	Occurrence time.Time
	Revision   int64
	State      string
	Parts      []struct {
		Name    string
		Records int
		SHA256  string
	}
	keys, letters, strays, wrong []string
}

// folders finds the manifests and reads what they list.
func (p published) folders(key string) (map[string]folder, error) {
	folders := map[string]folder{}
	err := fs.WalkDir(p, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && name == ".":
			return nil // nothing is published yet
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".batch":
			return fs.SkipDir // staging
		case d.Name() != "_MANIFEST.json":
			return nil
		}
		f, err := p.folder(path.Dir(name), key)
		folders[path.Dir(name)] = f
		return err
	})
	return folders, err
}

func (p published) folder(dir, key string) (f folder, err error) {
	text, err := fs.ReadFile(p, path.Join(dir, "_MANIFEST.json"))
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(text, &f); err != nil {
		return f, fmt.Errorf("read the manifest in %s: %w", dir, err)
	}
	letters := "_DEAD_LETTERS.jsonl"
	if p.piecemeal {
		letters = fmt.Sprintf("_DEAD_LETTERS.r%d.jsonl", f.Revision)
	}
	listed := map[string]bool{"_MANIFEST.json": true, "_SUCCESS": true, letters: true}
	for _, part := range f.Parts {
		listed[part.Name] = true
		text, err := fs.ReadFile(p, path.Join(dir, part.Name))
		if err != nil {
			return f, err
		}
		if sum := sum(text); sum != part.SHA256 {
			f.wrong = append(f.wrong, fmt.Sprintf("%s/%s has the sum %s, the manifest says %s", dir, part.Name, sum, part.SHA256))
		}
		keys, err := publishedKeys(part.Name, text, key)
		if err != nil {
			return f, fmt.Errorf("read %s/%s: %w", dir, part.Name, err)
		}
		if len(keys) != part.Records {
			f.wrong = append(f.wrong, fmt.Sprintf("%s/%s holds %d records, the manifest says %d", dir, part.Name, len(keys), part.Records))
		}
		f.keys = append(f.keys, keys...)
	}
	if f.strays, err = p.strays(dir, listed); err != nil {
		return f, err
	}
	f.letters, err = p.letters(path.Join(dir, letters))
	return f, err
}

// strays are the files in a folder, and in folders of it, that are not listed.
func (p published) strays(dir string, listed map[string]bool) (strays []string, err error) {
	err = fs.WalkDir(p, dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !listed[strings.TrimPrefix(name, dir+"/")] {
			strays = append(strays, name)
		}
		return err
	})
	return strays, err
}

// letters are the places of the dead letters beside the output.
func (p published) letters(name string) (places []string, err error) {
	text, err := fs.ReadFile(p, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for line := range strings.Lines(string(text)) {
		place, bad := placeOf([]byte(line))
		err = errors.Join(err, bad)
		places = append(places, place)
	}
	return places, err
}

// compareStrays judges what lies beside the files that manifests list.
func (a *Account) compareStrays(runs []storedRun, folders map[string]folder, piecemeal bool) {
	if piecemeal && slices.ContainsFunc(runs, func(r storedRun) bool { return r.State == "committing" }) {
		return
	}
	for _, f := range folders {
		for _, name := range f.strays {
			a.wrong("%s is not in the manifest", name)
		}
	}
}

// comparePointer holds the output's pointer to what is published: it names a
// folder that is there, and none that a run has ended with is newer.
func (a *Account) comparePointer(p published, runs []storedRun, folders map[string]folder) error {
	var to struct {
		Occurrence time.Time
		Revision   int64
		Folder     string
	}
	text, err := fs.ReadFile(p, "_LATEST.json")
	if err == nil {
		err = json.Unmarshal(text, &to)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("read the pointer: %w", err)
	}
	if f, there := folders[to.Folder]; to.Folder != "" && (!there || f.Revision < to.Revision || !f.Occurrence.Equal(to.Occurrence)) {
		a.wrong("the pointer names revision %d of %s, which holds revision %d", to.Revision, to.Folder, f.Revision)
	}
	for name, f := range folders {
		ended := slices.ContainsFunc(runs, func(r storedRun) bool {
			return r.ID == f.Run && r.Revision == f.Revision && (r.State == "succeeded" || r.State == "incomplete")
		})
		if newer := f.Occurrence.Compare(to.Occurrence); ended && (newer > 0 || newer == 0 && f.Revision > to.Revision) {
			a.wrong("the pointer names %s, and %s is newer", to.Folder, name)
		}
	}
	return nil
}
