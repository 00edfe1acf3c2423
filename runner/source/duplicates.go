package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// Distinct compares the keys of all records of files, in bounded memory, and
// does with records of one key what which says, one of the Duplicates words:
// "error" gives an *api.Failure config that names a key and two of its places;
// "first" and "last" keep that record of each key and tell how many others are
// left out. Files that records are left out of come back as spooled copies, in
// which empty lines stand for these: their other records keep their lines.
//
// Records without a key, because something is wrong with them, are no
// duplicates. Where canonical is nil, keys are the same that have the same text.
func (in *Inputs) Distinct(ctx context.Context, files []File, key []string, which string, canonical Canonical) (kept []File, left int64, err error) {
	folder := filepath.Join(in.RunsDir, in.Run, spoolFolder)
	if err := in.FS.MkdirAll(folder); err != nil {
		return nil, 0, fmt.Errorf("compare keys: %w", err)
	}
	d := &duplicates{in: in, files: files, key: key, keys: &keySorter{sorter: newSorter(folder, sortMemory), canonical: canonical}, out: newSorter(folder, sortMemory/8)}
	defer d.keys.close()
	defer d.out.close()
	if err := d.read(ctx); err != nil {
		return nil, 0, err
	}
	if err := d.judge(which); err != nil {
		return nil, 0, err
	}
	if d.left == 0 {
		return files, 0, nil
	}
	if which == api.DuplicatesError {
		return nil, 0, d.refuse(ctx)
	}
	kept, err = d.copyKept(ctx)
	return kept, d.left, err
}

// duplicates compares the keys of an input. The place of a record is its
// number in the whole of it, counting from 0.
type duplicates struct {
	in      *Inputs
	files   []File
	key     []string
	keys    *keySorter
	out     *sorter // places that are left out
	records []int64 // in each file

	doubled      int64 // keys of several records
	left         int64 // records beyond one of each key
	first, again int64 // the places of the first pair, in the input's order
}

// read sorts the keys of all records.
func (d *duplicates) read(ctx context.Context) error {
	var place int64
	for _, file := range d.files {
		begin := place
		err := d.in.EachRecord(ctx, file, d.key, func(record *format.Record) error {
			place++
			if record.Bad != nil {
				return nil
			}
			return d.keys.addKey(ctx, record.Values, place-1)
		})
		if err != nil {
			return err
		}
		d.records = append(d.records, place-begin)
	}
	return d.keys.flush(ctx)
}

// judge goes over the keys in order and finds those that come again.
func (d *duplicates) judge(which string) error {
	var first, last entry // of the present key
	var records int64
	d.again = math.MaxInt64
	for e, err := range d.keys.sorted() {
		if err != nil {
			return err
		}
		if records == 0 || e.hash != first.hash {
			first, last, records = e, e, 1
			continue
		}
		if records++; records == 2 {
			d.doubled++
			if e.place < d.again {
				d.first, d.again = first.place, e.place
			}
		}
		d.left++
		out := e.place
		if which == api.DuplicatesLast {
			out = last.place
		}
		last = e
		if which == api.DuplicatesError {
			continue
		}
		if err := d.out.add(entry{place: out}); err != nil {
			return err
		}
	}
	return nil
}

// refuse names the first pair.
func (d *duplicates) refuse(ctx context.Context) error {
	var place int64
	var where, keys []string
	for _, file := range d.files {
		err := d.in.EachRecord(ctx, file, d.key, func(record *format.Record) error {
			if place == d.first || place == d.again {
				where = append(where, file.place(record.Line))
				keys = append(keys, keyText(d.key, record.Values))
			}
			if place++; place > d.again {
				return io.EOF
			}
			return nil
		})
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if len(where) == 2 {
			break
		}
	}
	return api.Fail(api.Reason(api.ClassConfig), fmt.Sprintf("make the key unique, or set input.duplicate_keys to %q or %q", api.DuplicatesFirst, api.DuplicatesLast),
		fmt.Errorf("%s: %s; %s in the input, %s too many", sameKey(keys), strings.Join(where, " and "),
			api.Counted(d.doubled, "such key"), api.Counted(d.left, "record")))
}

// sameKey says of two keys that they are one, though their texts may differ.
func sameKey(keys []string) string {
	if first, again := keys[0], keys[len(keys)-1]; first != again {
		return fmt.Sprintf("the table takes the keys %s and %s for the same", first, again)
	}
	return "two records have the key " + keys[0]
}

// place is where people find a record.
func (f File) place(line int64) string {
	if f.Spool != "" && f.Path == QueryName {
		return fmt.Sprintf("row %d of the query", line)
	}
	return fmt.Sprintf("%s:%d", f.Path, line)
}

func keyText(columns []string, values []format.Value) string {
	parts := make([]string, len(columns))
	for i, column := range columns {
		parts[i] = fmt.Sprintf("%s=%s", column, values[i].Bytes)
	}
	return strings.Join(parts, ", ")
}

// EachRecord reads all records of a file, projected to the named columns. It
// ends with the first error of yield.
func (in *Inputs) EachRecord(ctx context.Context, file File, project []string, yield func(*format.Record) error) error {
	opened, err := in.Open(ctx, file)
	if err != nil {
		return err
	}
	defer opened.Close() //nolint:errcheck // read only
	length, err := opened.extent()
	if err != nil {
		return err
	}
	return opened.each(ctx, Stretch{Offset: file.Start, Length: length, FirstLine: file.StartLine}, project, yield)
}

// each reads the records of a stretch of a file.
func (o *Opened) each(ctx context.Context, s Stretch, project []string, yield func(*format.Record) error) error {
	reader, err := o.Records(s, project)
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return o.Check()
		}
		if err != nil {
			return fmt.Errorf("read input %s: %w", o.file.Path, err)
		}
		if err := yield(record); err != nil {
			return err
		}
	}
}
