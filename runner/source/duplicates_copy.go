package source

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// copyKept copies each file that records are left out of.
func (d *duplicates) copyKept(ctx context.Context) ([]File, error) {
	next, stop := iter.Pull2(d.out.sorted())
	defer stop()
	out := &places{next: next}
	kept := make([]File, len(d.files))
	var begin int64
	for i, file := range d.files {
		kept[i] = file
		if err := out.upTo(begin); err != nil {
			return nil, err
		}
		if out.place < begin+d.records[i] {
			copied, err := d.in.without(ctx, file, begin, out)
			if err != nil {
				return nil, err
			}
			kept[i] = copied
		}
		begin += d.records[i]
	}
	return kept, nil
}

// places are places that are left out, in order, one at a time.
type places struct {
	next  func() (entry, error, bool)
	begun bool
	place int64 // beyond all records behind the last
}

// upTo goes to the first place that is not before the given one.
func (p *places) upTo(place int64) error {
	for !p.begun || p.place < place {
		p.begun = true
		e, err, more := p.next()
		if err != nil {
			return err
		}
		p.place = math.MaxInt64
		if more {
			p.place = e.place
		}
	}
	return nil
}

// without copies a file whose first record has the place begin, with empty
// lines for what is left out of it. Where it was a copy already, that goes.
func (in *Inputs) without(ctx context.Context, file File, begin int64, out *places) (File, error) {
	opened, err := in.Open(ctx, file)
	if err != nil {
		return File{}, err
	}
	defer opened.Close() //nolint:errcheck // read only
	copied, extension, write := file, "."+file.Format, copyText
	if file.Format == api.FormatParquet {
		copied.Format, extension, write = api.FormatJSONL, "."+api.FormatJSONL, copyRows
		copied.Start, copied.StartLine = 0, 1
	}
	copied.SpoolRun = in.Run
	copied.Spool, copied.SpoolSize, err = in.Spool(ctx, file.Path, extension, func(w io.Writer) error {
		buffered := bufio.NewWriterSize(w, 256<<10)
		return errors.Join(write(buffered, opened, begin, out), buffered.Flush(), opened.Check())
	})
	if err != nil {
		return File{}, fmt.Errorf("copy input %s: %w", file.Path, err)
	}
	if file.Spool != "" && file.SpoolRun == in.Run {
		err = in.unspool(file)
	}
	return copied, err
}

// copyText copies a file byte by byte, but with blanks for what is left out: all
// else keeps its lines and offsets.
func copyText(w *bufio.Writer, opened *Opened, place int64, out *places) error {
	file := opened.file
	framer, err := format.NewFramer(file.Format)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, opened.Stretch(0, file.Start)); err != nil {
		return err
	}
	data := opened.Stretch(file.Start, file.Bytes()-file.Start)
	buffer := make([]byte, 256<<10)
	for {
		n, err := data.Read(buffer)
		for rest := buffer[:n]; len(rest) > 0; {
			if err := out.upTo(place); err != nil {
				return err
			}
			leave := out.place == place
			limit := out.place - place
			if leave {
				limit = 1
			}
			n, records := framer.Skip(rest, limit)
			if leave {
				blank(rest[:n])
			}
			_, _ = w.Write(rest[:n])
			rest = rest[n:]
			place += records
		}
		if errors.Is(err, io.EOF) {
			return nil // Flush gives the errors of writing
		}
		if err != nil {
			return err
		}
	}
}

// blank makes empty lines of text.
func blank(text []byte) {
	for i, c := range text {
		if c != '\n' {
			text[i] = '\r' // which is nothing in CSV, too; a space is a cell
		}
	}
}

// copyRows writes rows as lines of JSON.
func copyRows(w *bufio.Writer, opened *Opened, place int64, out *places) error {
	length, err := opened.extent()
	if err != nil {
		return err
	}
	reader, err := opened.Records(Stretch{Length: length, FirstLine: 1}, nil) // Raw holds all columns
	if err != nil {
		return err
	}
	for ; ; place++ {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := out.upTo(place); err != nil {
			return err
		}
		if out.place != place {
			_, _ = w.Write(record.Raw)
		}
		if err := w.WriteByte('\n'); err != nil {
			return err
		}
	}
}

// extent is the length of the slice that is all of the file behind its Start.
func (o *Opened) extent() (int64, error) {
	if o.file.Format != api.FormatParquet {
		return o.file.Bytes() - o.file.Start, nil
	}
	groups, err := o.Groups()
	var rows int64
	for _, n := range groups {
		rows += n
	}
	return rows, err
}
