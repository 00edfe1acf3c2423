// Package split cuts the files of an input into mini-batches of a number of
// records each, exactly, in one sequential pass.
//
// The offsets it gives are true record boundaries, never guesses: records are
// framed by the same format.Framer that reads them later. What the records
// hold, and whether they are sound, is not looked at here.
package split

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
)

// Slice is the place of one mini-batch in the input. The slices of a file tile
// what stands behind its header: each byte belongs to one of them, blank lines
// included. A file without records has no slice.
//
// Of a Parquet file Offset and Length count rows, and FirstLine is the number of
// the first row, from 1. A slice is a stretch of one row group or whole ones: it
// takes more than one only where they fit into it.
type Slice struct {
	File      int   `json:"file"` // index into the files that were split
	Offset    int64 `json:"offset"`
	Length    int64 `json:"length"`
	FirstLine int64 `json:"first_line"` // physical line at Offset, from 1
	Records   int64 `json:"records"`
	// Checksum is the CRC-32C of its bytes, where it was asked for; of a slice of
	// a Parquet file, of the row groups that it lies in.
	Checksum *uint32 `json:"checksum,omitempty"`
}

const bufferSize = 256 << 10

// Span is a stretch of a file, in the unit of its slices, that begins and ends
// where records do.
type Span struct{ Offset, Length int64 }

// Options say how a file is cut.
type Options struct {
	Rows int64 // records in a slice; the last before a span or the end may hold fewer
	// Around is left out: in order, without overlaps.
	Around []Span
	// Sum gets the whole content of the file, in the same pass.
	Sum io.Writer
	// Checksum has each slice tell its own.
	Checksum bool
}

// File calls emit for each slice of a file, the one of that index, in order.
// Memory does not grow with the file.
//
// A file that is no longer the one that was found gives the *api.Failure
// input_changed; the slices emitted until then are worth nothing.
func File(ctx context.Context, in *source.Inputs, index int, file source.File, o Options, emit func(Slice) error) error {
	if o.Rows < 1 {
		return fmt.Errorf("split input %s: %d rows per mini-batch; at least 1 is needed", file.Path, o.Rows)
	}
	opened, err := in.Open(ctx, file)
	if err != nil {
		return err
	}
	defer func() { _ = opened.Close() }() // read only
	if file.Format == api.FormatParquet {
		return splitRows(ctx, opened, index, file, o, emit)
	}
	framer, err := format.NewFramer(file.Format)
	if err != nil {
		return fmt.Errorf("split input %s: %w", file.Path, err)
	}
	c := &cutter{
		framer: framer, rows: o.Rows, around: o.Around, emit: emit, startLine: file.StartLine, checks: o.Checksum,
		slice: Slice{File: index, Offset: file.Start, FirstLine: file.StartLine},
	}
	return c.splitFile(ctx, opened, file, o.Sum)
}

// cutter cuts one file.
type cutter struct {
	framer    *format.Framer
	rows      int64
	emit      func(Slice) error
	startLine int64
	slice     Slice // grows until it is full and
	full      Slice // waits here: blank lines at the end of the file are still to be added
	around    []Span
	checks    bool
	sum       uint32 // of the slice
	fullSum   uint32 // of full,
	tiledSum  uint32 // and of what slice has as long as that is blank lines
}

func (c *cutter) splitFile(ctx context.Context, opened *source.Opened, file source.File, sum io.Writer) error {
	var data io.Reader
	if sum == nil {
		data = opened.Stretch(file.Start, file.Bytes()-file.Start)
	} else {
		data = io.TeeReader(opened.Stretch(0, file.Bytes()), sum)
		if _, err := io.CopyN(io.Discard, data, file.Start); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("split input %s: %w", file.Path, err)
		}
	}
	buffer := make([]byte, min(bufferSize, file.Bytes()-file.Start+1))
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("split input %s: %w", file.Path, err)
		}
		n, err := data.Read(buffer)
		if err := c.feed(buffer[:n]); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("split input %s: %w", file.Path, err)
		}
	}
	if err := opened.Check(); err != nil {
		return err
	}
	return c.finish()
}

func (c *cutter) feed(data []byte) error {
	for len(data) > 0 {
		now, out, err := c.next(data)
		if err != nil {
			return err
		}
		if out {
			c.framer.Skip(now, math.MaxInt64)
			c.begin(c.slice.Offset + int64(len(now)))
			data = data[len(now):]
			continue
		}
		n, records := c.framer.Skip(now, c.rows-c.slice.Records)
		c.slice.Length += int64(n)
		c.slice.Records += records
		if c.checks {
			c.check(data[:n])
		}
		data = data[n:]
		if c.slice.Records == c.rows {
			if err := c.cut(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *cutter) check(data []byte) {
	c.sum = format.AddChecksum(c.sum, data)
	if c.slice.Records == 0 {
		c.tiledSum = format.AddChecksum(c.tiledSum, data)
	}
}

// next is as much of data as is to be cut, or to be left out.
func (c *cutter) next(data []byte) (now []byte, out bool, err error) {
	at := c.slice.Offset + c.slice.Length
	for len(c.around) > 0 && at >= c.around[0].Offset+c.around[0].Length {
		c.around = c.around[1:]
	}
	if len(c.around) == 0 {
		return data, false, nil
	}
	span := c.around[0]
	if at < span.Offset {
		return data[:min(int64(len(data)), span.Offset-at)], false, nil
	}
	if c.slice.Length > 0 {
		err = c.cut()
	}
	return data[:min(int64(len(data)), span.Offset+span.Length-at)], true, err
}

// cut ends the slice and begins the next one behind it.
func (c *cutter) cut() error {
	if c.slice.Records == 0 {
		c.tile()
	} else {
		if err := c.release(); err != nil {
			return err
		}
		c.full, c.fullSum = c.slice, c.sum
	}
	c.begin(c.slice.Offset + c.slice.Length)
	return nil
}

// tile adds the slice, which is nothing but blank lines, to the one before,
// unless a span lies between them.
func (c *cutter) tile() {
	if c.full.Offset+c.full.Length == c.slice.Offset {
		c.full.Length += c.slice.Length
		c.fullSum = c.tiledSum
	}
}

func (c *cutter) begin(offset int64) {
	c.slice, c.sum = Slice{File: c.slice.File, Offset: offset, FirstLine: c.startLine + c.framer.Lines()}, 0
	c.tiledSum = c.fullSum
}

// finish emits what is left at the end of the file.
func (c *cutter) finish() error {
	leftOut := len(c.around) > 0 && c.slice.Length == 0 // the last record is without a line end, and in a span
	if c.framer.End() && !leftOut {
		c.slice.Records++
	}
	if c.slice.Records == 0 {
		c.tile()
		c.slice = Slice{}
	}
	if err := c.release(); err != nil {
		return err
	}
	c.full, c.fullSum = c.slice, c.sum
	return c.release()
}

// release emits the full slice that waits, if there is one.
func (c *cutter) release() error {
	if c.full.Records == 0 {
		return nil
	}
	if c.checks {
		sum := c.fullSum
		c.full.Checksum = &sum
	}
	return c.emit(c.full)
}
