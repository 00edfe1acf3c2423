package sink

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

const (
	// nullPartition is what Hive writes for a value that is null or empty.
	nullPartition = "__HIVE_DEFAULT_PARTITION__"
	// maxPartitions is how many there may be: who has more has chosen a column
	// that tells records apart, not kinds of them.
	maxPartitions = 10_000
	// openText and openParquet are how many files are open at once. A writer of
	// Parquet holds a row group in memory.
	openText, openParquet = 128, 16
)

const partitionHint = "partition by columns with few, short values,"

// partitions spreads the records of all parts over one file for each
// combination of values, whose columns Hive expects in the name only. Where
// there are more files than may be open, the parts are read once more for the
// next ones.
type partitions struct {
	f       *Files
	keys    []int // the columns that name folders
	rest    []int // those in the files
	columns []api.Column
	atOnce  int

	first  int            // of those that this pass writes
	number map[string]int // of folders, in the order of their first records
	open   []*partitionFile
	laid   []ManifestPart

	folder []byte // of the record at hand
	values []format.Value
}

// partitionFile is a file being written.
type partitionFile struct {
	part   ManifestPart
	path   string
	file   durable.File
	sum    *summed
	writer format.Writer
}

func (f *Files) layPartitions(now published, p Publication) (laid []ManifestPart, err error) {
	w := &partitions{f: f, atOnce: openText, number: map[string]int{}}
	if f.format == api.FormatParquet {
		w.atOnce = openParquet
	}
	if len(p.Parts) > 0 {
		if err := w.choose(p.Columns); err != nil {
			return nil, err
		}
	}
	fingerprint := sameFingerprint(p.Parts)
	for first := true; first || w.first < len(w.number); first = false {
		if err := w.pass(now, p); err != nil {
			return nil, errors.Join(err, w.abort())
		}
		w.first += w.atOnce
	}
	for i := range w.laid {
		w.laid[i].Fingerprint = fingerprint
	}
	slices.SortFunc(w.laid, func(a, b ManifestPart) int { return cmp.Compare(a.Name, b.Name) })
	return w.laid, nil
}

// choose tells the columns that name folders from the others.
func (w *partitions) choose(columns []api.Column) error {
	for _, name := range w.f.layout.partitionBy {
		i := slices.IndexFunc(columns, func(c api.Column) bool { return c.Name == name })
		if i < 0 {
			return unlayable("keep the column,", "output.files.partition_by names %q, which is no column of the output", name)
		}
		w.keys = append(w.keys, i)
	}
	for i, column := range columns {
		if !slices.Contains(w.keys, i) {
			w.rest = append(w.rest, i)
			w.columns = append(w.columns, column)
		}
	}
	w.values = make([]format.Value, len(w.rest))
	return nil
}

// pass reads all parts, and writes the next files.
func (w *partitions) pass(now published, p Publication) error {
	for _, part := range p.Parts {
		if err := w.readPart(now, part, p.Columns); err != nil {
			return err
		}
	}
	for len(w.open) > 0 {
		if err := w.close(w.open[0]); err != nil {
			return err
		}
		w.open = w.open[1:]
	}
	return nil
}

func (w *partitions) readPart(now published, part PublishedPart, columns []api.Column) error {
	path, err := w.f.locate(now, part)
	if err != nil {
		return err
	}
	records, err := w.f.openRecords(path, part, columns)
	if err != nil {
		return err
	}
	defer records.Close() //nolint:errcheck // read only
	for {
		values, err := records.Values()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = w.write(values, columns)
		}
		if err != nil {
			return err
		}
	}
}

func (w *partitions) write(values []format.Value, columns []api.Column) error {
	w.folder = w.folder[:0]
	for _, key := range w.keys {
		if len(w.folder) > 0 {
			w.folder = append(w.folder, '/')
		}
		start := len(w.folder)
		w.folder = appendPartition(w.folder, columns[key].Name, values[key])
		if len(w.folder)-start > longestName {
			return unlayable(partitionHint, "%w", tooLong(columns[key].Name, w.folder[start:]))
		}
	}
	number, known := w.number[string(w.folder)]
	if !known {
		if number = len(w.number); number >= maxPartitions {
			return unlayable(partitionHint, "output.files.partition_by makes more than %d folders", maxPartitions)
		}
		w.number[string(w.folder)] = number
	}
	if number < w.first || number >= w.first+w.atOnce {
		return nil // of another pass
	}
	if number-w.first >= len(w.open) {
		if err := w.begin(); err != nil {
			return err
		}
	}
	for i, column := range w.rest {
		w.values[i] = values[column]
	}
	file := w.open[number-w.first]
	file.part.Records++
	return file.writer.Write(w.values)
}

// CheckPartition tells whether a value of a column of
// output.files.partition_by can name a folder.
func CheckPartition(column string, v format.Value) error {
	if folder := appendPartition(nil, column, v); len(folder) > longestName {
		return tooLong(column, folder)
	}
	return nil
}

func tooLong(column string, folder []byte) error {
	return fmt.Errorf("a value of %q is too long to name a folder: %.40s…", column, folder)
}

// appendPartition writes the name of a folder, column=value.
func appendPartition(to []byte, column string, v format.Value) []byte {
	to = appendEscaped(to, column, hiveEscaped)
	return append(append(to, '='), partitionName(v)...)
}

// partitionName is a value as it names a folder.
func partitionName(v format.Value) []byte {
	text := v.Bytes
	switch {
	case v.JSON && bytes.Equal(text, []byte("null")):
		return []byte(nullPartition)
	case v.JSON && len(text) > 0 && text[0] == '"':
		var unquoted string
		if json.Unmarshal(text, &unquoted) == nil {
			text = []byte(unquoted)
		}
	}
	if len(text) == 0 {
		return []byte(nullPartition)
	}
	return appendEscaped(nil, string(text), hiveEscaped)
}

// begin opens the file of the folder at hand, which is met for the first time.
func (w *partitions) begin() error {
	name := path.Join(string(w.folder), "part-000001."+w.f.format)
	p := &partitionFile{part: ManifestPart{Name: name}, path: filepath.Join(w.f.publishing(), filepath.FromSlash(name))}
	if err := w.f.fs.MkdirAll(filepath.Dir(p.path)); err != nil {
		return err
	}
	// What is assembled begins with nothing.
	if _, err := os.Lstat(p.path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, unlayable("bring the values into one case,", "the folder %s is another partition's, too, on a file system that takes upper and lower case for the same", w.folder))
	}
	var err error
	if p.file, err = w.f.fs.Create(p.path); err != nil {
		return err
	}
	w.open = append(w.open, p)
	p.sum = newSummed(p.file)
	p.writer, err = format.NewWriter(w.f.format, p.sum, w.columns)
	return err
}

// close makes a file durable, and lists it.
func (w *partitions) close(p *partitionFile) error {
	if err := p.writer.Close(); err != nil {
		return err
	}
	if err := p.file.Sync(); err != nil {
		return err
	}
	if err := p.file.Close(); err != nil {
		return err
	}
	p.part.Bytes, p.part.SHA256 = p.sum.bytes, p.sum.hex()
	w.laid = append(w.laid, p.part)
	return w.f.fs.SyncDir(filepath.Dir(p.path))
}

// abort closes what is open; the files are garbage.
func (w *partitions) abort() error {
	var errs []error
	for _, p := range w.open {
		errs = append(errs, p.file.Close())
	}
	w.open = nil
	return errors.Join(errs...)
}
