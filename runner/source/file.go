package source

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// File is one input file as it was when the run was planned. It is stored with
// the plan.
type File struct {
	// Path is what people know it by: an absolute path or the uri of an object.
	// What a query found has the name that was given to its spool.
	Path    string    `json:"path"`
	Format  string    `json:"format"`
	Size    int64     `json:"size"`
	ModTime time.Time `json:"mod_time"`
	Inode   uint64    `json:"inode,omitzero"`
	Device  uint64    `json:"device,omitzero"`
	// ETag is what an object's content is known by.
	ETag string `json:"etag,omitzero"`
	// Header holds the names of a CSV file's columns; none where the file is
	// empty.
	Header []string `json:"header,omitzero"`
	// Nulls are the texts of CSV cells that stand for no value.
	Nulls []string `json:"nulls,omitzero"`
	// Types are the columns of a Parquet file or a query.
	Types []api.Column `json:"types,omitzero"`
	// Partitions are the columns that it has by its folders.
	Partitions Partitions `json:"partitions,omitzero"`
	// Start is the offset of the first byte behind byte order mark and header,
	// StartLine its physical line.
	Start     int64 `json:"start"`
	StartLine int64 `json:"start_line"`
	// SHA256 is the checksum of its content, in hex, where an incremental input
	// took it; of an object it is "etag:" and the ETag.
	SHA256 string `json:"sha256,omitzero"`
	// Carried says that the run takes records of it which earlier runs owe; it
	// may also have the file itself, as new.
	Carried bool `json:"carried,omitzero"`

	// Spool is the copy that is read instead, where there is one: a path below
	// the folder of the run SpoolRun. It has SpoolSize bytes.
	Spool     string `json:"spool,omitzero"`
	SpoolRun  string `json:"spool_run,omitzero"`
	SpoolSize int64  `json:"spool_size,omitzero"`
}

// Bytes is the size of what is read of the file.
func (f File) Bytes() int64 {
	if f.Spool != "" {
		return f.SpoolSize
	}
	return f.Size
}

// Columns are the columns that the file is known to have, in its order; none
// where each of its records says so for itself, and where it is empty.
func (f File) Columns() []string {
	columns := slices.Clone(f.Header)
	if len(f.Types) > 0 {
		columns = nil
		for _, c := range f.Types {
			columns = append(columns, c.Name)
		}
	}
	if columns == nil {
		return nil
	}
	return append(columns, f.Partitions.names()...)
}

// CheckColumns looks for the wanted columns among those that the file is known
// to have. A file of nothing has no record that would miss one.
func (f File) CheckColumns(wanted []string) error {
	columns := f.Columns()
	if columns == nil {
		return nil
	}
	var missing []string
	for _, column := range wanted {
		if !slices.Contains(columns, column) && !slices.Contains(missing, column) {
			missing = append(missing, column)
		}
	}
	if missing == nil {
		return nil
	}
	return unusable(remedyOfNames(missing, columns), fmt.Errorf("input %s has no column %s; it has %s", f.Path, listedNames(missing), listedNames(columns)))
}

// remedyOfNames knows the two mistakes that explain most of the missing columns.
func remedyOfNames(missing, columns []string) string {
	if len(columns) == 1 {
		if i := strings.IndexAny(columns[0], ";\t|"); i >= 0 {
			return fmt.Sprintf("its fields seem to be separated by %q: those of a CSV file are separated by commas", columns[0][i])
		}
	}
	for _, name := range missing {
		for _, column := range columns {
			if strings.EqualFold(strings.TrimSpace(column), strings.TrimSpace(name)) {
				return fmt.Sprintf("write %q instead of %q: case and spaces count", column, name)
			}
		}
	}
	return "correct the name in input.key, predict.features.columns or output.keep, or the file"
}

func listedNames(columns []string) string {
	const most = 50
	quoted := make([]string, 0, most)
	for _, name := range columns[:min(most, len(columns))] {
		quoted = append(quoted, fmt.Sprintf("%q", name))
	}
	text := strings.Join(quoted, ", ")
	if more := len(columns) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func (f File) unreachable(verb string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f.changed(errors.New("it is gone"))
	case errors.Is(err, fs.ErrPermission):
		return denied(f.Path, err)
	default:
		return fmt.Errorf("%s input %s: %w", verb, f.Path, err)
	}
}

func (f File) changed(how error) error {
	return api.Fail(api.Reason(api.ClassInputChanged), "start a new run, and replace input files only between runs",
		fmt.Errorf("input %s changed after the run was planned: %w", f.Path, how))
}

func denied(path string, err error) error {
	return api.Fail(api.Reason(api.ClassConfig), "let the runner's user read it",
		fmt.Errorf("read input %s: %w", path, unwrapPath(err)))
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

// unwrapPath drops the path from an error whose text names it already.
func unwrapPath(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
