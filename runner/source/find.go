package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// Find gives the files an input names for one occurrence, sorted by path: the
// order of the plan. Each CSV header must hold the wanted columns. A file
// without a single line is fine and has no records.
//
// Errors are *api.Failure: input_missing where no file matches, config where
// one that does cannot be used.
func Find(in api.InputFiles, o api.Occasion, columns []string) ([]File, error) {
	pattern, paths, err := match(in, o)
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, missing(pattern)
	}
	files := make([]File, 0, len(paths))
	for _, path := range paths {
		file, err := inspect(path, in.Format, columns)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// match lists what an input names for one occurrence, sorted.
func match(in api.InputFiles, o api.Occasion) (pattern string, paths []string, err error) {
	uri, err := api.ExpandURI(in.URI, o)
	if err != nil {
		return "", nil, unusable("", fmt.Errorf("expand input uri %q: %w", in.URI, err))
	}
	pattern = api.Path(uri)
	paths, err = filepath.Glob(pattern)
	if err != nil {
		return "", nil, unusable("", fmt.Errorf("match input files %q: %w", pattern, err))
	}
	slices.Sort(paths)
	return pattern, paths, nil
}

// missing explains why nothing matched.
func missing(pattern string) error {
	if err := reachable(pattern); errors.Is(err, fs.ErrPermission) {
		return err
	}
	return api.Fail(api.ReasonInputMissing, "check input.files.uri, or see that the file is there before the run",
		fmt.Errorf("no input file matches %s", pattern))
}

func inspect(path, fileFormat string, columns []string) (File, error) {
	// Asked before opening: to open a named pipe would wait for a writer.
	info, err := os.Stat(path)
	if err != nil {
		return File{}, unreadable(path, err)
	}
	if info.IsDir() {
		return File{}, unusable(fmt.Sprintf("name its files, as in %s", filepath.Join(path, "*."+fileFormat)),
			fmt.Errorf("input %s is a folder", path))
	}
	if !info.Mode().IsRegular() {
		return File{}, unusable("copy its content to a file first",
			fmt.Errorf("input %s is not a regular file", path))
	}
	opened, err := os.Open(path)
	if err != nil {
		return File{}, unreadable(path, err)
	}
	defer func() { _ = opened.Close() }() // read only
	if info, err = opened.Stat(); err != nil {
		return File{}, unreadable(path, err)
	}
	preamble, err := format.ReadPreamble(fileFormat, opened)
	if err != nil {
		return File{}, unusable("", fmt.Errorf("read input %s: %w", path, unwrapPath(err)))
	}
	file := File{
		Path: path, Format: fileFormat,
		Size: info.Size(), ModTime: info.ModTime().UTC(),
		Header: preamble.Header, Start: preamble.Size, StartLine: preamble.Lines + 1,
	}
	file.Inode, file.Device = identity(info)
	return file, file.CheckColumns(columns)
}

// CheckColumns looks for the wanted columns in a CSV header. A file of nothing
// has none, and no record that would miss one.
func (f File) CheckColumns(columns []string) error {
	if f.Header == nil {
		return nil
	}
	for _, column := range columns {
		if !slices.Contains(f.Header, column) {
			return unusable("correct the name in input.key, predict.features.columns or output.keep, or the file",
				fmt.Errorf("input %s has no column %q; its header has %s", f.Path, column, listed(f.Header)))
		}
	}
	return nil
}

func listed(header []string) string {
	const most = 50
	quoted := make([]string, 0, most)
	for _, name := range header[:min(most, len(header))] {
		quoted = append(quoted, fmt.Sprintf("%q", name))
	}
	text := strings.Join(quoted, ", ")
	if more := len(header) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func unreadable(path string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return denied(path, err)
	}
	return unusable("", fmt.Errorf("read input %s: %w", path, unwrapPath(err)))
}

func unusable(hint string, err error) error {
	return api.Fail(api.Reason(api.ClassConfig), hint, err)
}
