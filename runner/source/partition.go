package source

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// Partition is a column that a file has by the folder it lies in.
type Partition struct {
	Column string  `json:"column"`
	Value  *string `json:"value"` // nil: null
}

// Partitions are the columns that a file has by the folders it lies in.
type Partitions []Partition

// nullPartition is the folder of the rows that have no value, by Hive's word.
const nullPartition = "__HIVE_DEFAULT_PARTITION__"

// partitionsOf reads the columns of folders named column=value out of a path.
// The name of a column, too, may be escaped.
func partitionsOf(file string) (Partitions, error) {
	var all Partitions
	for folder := range strings.SplitSeq(path.Dir(file), "/") {
		name, value, is := strings.Cut(folder, "=")
		if !is || name == "" {
			continue
		}
		column, err := unescaped(folder, name)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(p Partition) bool { return p.Column == column }) {
			return nil, fmt.Errorf("two folders name column %q; each may be named once", column)
		}
		p := Partition{Column: column}
		if value != nullPartition {
			text, err := unescaped(folder, value)
			if err != nil {
				return nil, err
			}
			p.Value = &text
		}
		all = append(all, p)
	}
	return all, nil
}

// unescaped is what a part of a folder's name says. It becomes the cell of a
// record, so it must be text.
func unescaped(folder, part string) (string, error) {
	text, err := url.PathUnescape(part)
	if err == nil && !utf8.ValidString(text) {
		err = fmt.Errorf("%q is not UTF-8", part)
	}
	if err != nil {
		return "", fmt.Errorf("folder %q: %w", folder, err)
	}
	return text, nil
}

// names are the columns.
func (p Partitions) names() []string {
	var names []string
	for _, one := range p {
		names = append(names, one.Column)
	}
	return names
}

// checkAgainst looks for the columns among those that stand in the file: where
// each record says so for itself, in the first one.
func (p Partitions) checkAgainst(file File, data content) error {
	inside := slices.Clone(file.Header)
	for _, c := range file.Types {
		inside = append(inside, c.Name)
	}
	if _, once := data.(passing); file.Format == api.FormatJSONL && !once && len(p) > 0 {
		opened := &Opened{file: File{Path: file.Path, Format: file.Format}, content: data}
		var err error
		if inside, err = opened.firstKeys(file.Start, file.Bytes()-file.Start); err != nil {
			return err
		}
	}
	for _, one := range p {
		if slices.Contains(inside, one.Column) {
			return fmt.Errorf("column %q is in the file, and its folder names it, too", one.Column)
		}
	}
	return nil
}

// split tells which of the wanted columns are in the file, and where in a
// projection the others go.
func (p Partitions) split(project []string) (inside []string, outside *partitioned) {
	if len(p) == 0 {
		return project, nil
	}
	inside = []string{} // nil would be all
	outside = &partitioned{values: make([]format.Value, len(project)), inside: make([]int, 0, len(project))}
	for i, name := range project {
		at := slices.IndexFunc(p, func(one Partition) bool { return one.Column == name })
		switch {
		case at < 0:
			inside = append(inside, name)
			outside.inside = append(outside.inside, i)
		case p[at].Value == nil:
			outside.values[i] = format.Value{Bytes: []byte("null"), JSON: true}
		default:
			outside.values[i] = format.Value{Bytes: []byte(*p[at].Value)}
		}
	}
	return inside, outside
}

// partitioned completes the records of a file with the columns of its folders.
type partitioned struct {
	reader format.Reader
	record format.Record
	values []format.Value // the wanted columns
	inside []int          // those of them that the file has
}

func (p *partitioned) complete(reader format.Reader) format.Reader {
	if p == nil {
		return reader
	}
	p.reader = reader
	return p
}

// Read gives the next record of the file with all of its columns.
func (p *partitioned) Read() (*format.Record, error) {
	record, err := p.reader.Read()
	if err != nil || record.Bad != nil {
		return record, err
	}
	for i, at := range p.inside {
		p.values[at] = record.Values[i]
	}
	p.record = *record
	p.record.Values = p.values
	return &p.record, nil
}
