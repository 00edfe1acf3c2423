package source

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// Owed is a stretch of a file whose records an earlier run owes.
type Owed struct {
	File File
	Stretch
}

// Superseded says which stretches hold records whose keys come again.
type Superseded struct {
	Stretches map[int]bool // by their place among those asked about
	Records   int64        // that are superseded
	// Rest is a copy of the other records of these stretches, in the run's spool;
	// nil where there are none.
	Rest *File
}

// Supersede looks for records of stretches of JSONL whose keys the files have,
// too: those are newer. Canonical is as for Distinct. Stretches that can't be read any more are passed over.
func (in *Inputs) Supersede(ctx context.Context, owed []Owed, by []File, key []string, canonical Canonical) (Superseded, error) {
	folder := filepath.Join(in.RunsDir, in.Run, spoolFolder)
	if err := in.FS.MkdirAll(folder); err != nil {
		return Superseded{}, fmt.Errorf("compare keys: %w", err)
	}
	o := &overtaken{in: in, owed: owed, key: key, keys: &keySorter{sorter: newSorter(folder, sortMemory), canonical: canonical}, out: newSorter(folder, sortMemory/8)}
	defer o.keys.close()
	defer o.out.close()
	if err := o.read(ctx, by); err != nil {
		return Superseded{}, err
	}
	found := Superseded{Stretches: map[int]bool{}}
	err := o.judge(&found)
	if err == nil && found.Records > 0 {
		found.Rest, err = o.copyRest(ctx, &found)
	}
	return found, err
}

// overtaken finds owed records that newer ones come for. Among the keys, newer
// records have the place 0, and owed ones are counted from 1.
type overtaken struct {
	in      *Inputs
	owed    []Owed
	key     []string
	keys    *keySorter
	out     *sorter // places that are superseded
	records []int64 // in each stretch
}

func (o *overtaken) read(ctx context.Context, by []File) error {
	var place int64
	for _, stretch := range o.owed {
		begin := place
		err := o.in.eachOf(ctx, stretch, o.key, func(record *format.Record) error {
			place++
			if record.Bad != nil {
				return nil
			}
			return o.keys.addKey(ctx, record.Values, place)
		})
		if failure, ok := errors.AsType[*api.Failure](err); ok && failure.Reason == api.Reason(api.ClassInputChanged) {
			err = nil
		}
		if err != nil {
			return err
		}
		o.records = append(o.records, place-begin)
	}
	for _, file := range by {
		err := o.in.EachRecord(ctx, file, o.key, func(record *format.Record) error {
			if record.Bad != nil {
				return nil
			}
			return o.keys.addKey(ctx, record.Values, 0)
		})
		if err != nil {
			return err
		}
	}
	return o.keys.flush(ctx)
}

// judge goes over the keys in order: of each, newer records come first.
func (o *overtaken) judge(found *Superseded) error {
	var newer entry // the last one, if any
	var any bool
	for e, err := range o.keys.sorted() {
		if err != nil {
			return err
		}
		if e.place == 0 {
			newer, any = e, true
			continue
		}
		if !any || e.hash != newer.hash {
			continue
		}
		found.Records++
		if err := o.out.add(entry{place: e.place - 1}); err != nil {
			return err
		}
	}
	return nil
}

// copyRest copies what else the stretches hold that lose records.
func (o *overtaken) copyRest(ctx context.Context, found *Superseded) (*File, error) {
	next, stop := iter.Pull2(o.out.sorted())
	defer stop()
	out := &places{next: next}
	rest := &File{Path: QueryName, Format: api.FormatJSONL, StartLine: 1, SpoolRun: o.in.Run}
	var err error
	rest.Spool, rest.SpoolSize, err = o.in.Spool(ctx, "rows that earlier runs owe", "."+api.FormatJSONL, func(w io.Writer) error {
		buffered := bufio.NewWriterSize(w, 64<<10)
		var begin int64
		for i, stretch := range o.owed {
			place := begin
			begin += o.records[i]
			if err := out.upTo(place); err != nil {
				return err
			}
			if out.place >= begin {
				continue
			}
			found.Stretches[i], rest.Types = true, stretch.File.Types
			err := o.in.eachOf(ctx, stretch, nil, func(record *format.Record) error {
				if err := out.upTo(place); err != nil {
					return err
				}
				if out.place != place {
					_, _ = buffered.Write(record.Raw)
					_ = buffered.WriteByte('\n') // Flush gives the error
				}
				place++
				return nil
			})
			if err != nil {
				return err
			}
		}
		return buffered.Flush()
	})
	if err == nil && rest.SpoolSize == 0 {
		return nil, o.in.unspool(*rest)
	}
	return rest, err
}

// eachOf reads the records of a stretch.
func (in *Inputs) eachOf(ctx context.Context, s Owed, project []string, yield func(*format.Record) error) error {
	opened, err := in.Open(ctx, s.File)
	if err != nil {
		return err
	}
	defer opened.Close() //nolint:errcheck // read only
	return opened.each(ctx, s.Stretch, project, yield)
}
