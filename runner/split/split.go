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

	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
)

// Slice is the place of one mini-batch in the input. The slices of a file tile
// what stands behind its header: each byte belongs to one of them, blank lines
// included. A file without records has no slice.
type Slice struct {
	File      int   `json:"file"` // index into the files that were split
	Offset    int64 `json:"offset"`
	Length    int64 `json:"length"`
	FirstLine int64 `json:"first_line"` // physical line at Offset, from 1
	Records   int64 `json:"records"`
}

const bufferSize = 256 << 10

// Split calls emit for each slice of rows records, the last of a file may hold
// fewer, in the order of the files. Memory does not grow with the input.
//
// A file that is no longer the one that was found gives the *api.Failure
// input_changed; the slices emitted until then are worth nothing.
func Split(ctx context.Context, files []source.File, rows int64, emit func(Slice) error) error {
	if rows < 1 {
		return fmt.Errorf("split input: %d rows per mini-batch; at least 1 is needed", rows)
	}
	buffer := make([]byte, bufferSize)
	for i, file := range files {
		framer, err := format.NewFramer(file.Format)
		if err != nil {
			return fmt.Errorf("split input %s: %w", file.Path, err)
		}
		c := &cutter{
			framer: framer, rows: rows, emit: emit, startLine: file.StartLine,
			slice: Slice{File: i, Offset: file.Start, FirstLine: file.StartLine},
		}
		if err := c.splitFile(ctx, file, buffer); err != nil {
			return err
		}
	}
	return nil
}

// cutter cuts one file.
type cutter struct {
	framer    *format.Framer
	rows      int64
	emit      func(Slice) error
	startLine int64
	slice     Slice // grows until it is full and
	full      Slice // waits here: blank lines at the end of the file are still to be added
}

func (c *cutter) splitFile(ctx context.Context, file source.File, buffer []byte) error {
	opened, err := file.Open()
	if err != nil {
		return err
	}
	defer func() { _ = opened.Close() }() // read only
	data := io.NewSectionReader(opened, file.Start, file.Size-file.Start)
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
	if err := file.Check(); err != nil {
		return err
	}
	return c.finish()
}

func (c *cutter) feed(data []byte) error {
	for len(data) > 0 {
		n, records := c.framer.Skip(data, c.rows-c.slice.Records)
		data = data[n:]
		c.slice.Length += int64(n)
		c.slice.Records += records
		if c.slice.Records < c.rows {
			continue
		}
		if err := c.release(); err != nil {
			return err
		}
		c.full = c.slice
		c.slice = Slice{
			File: c.full.File, Offset: c.full.Offset + c.full.Length,
			FirstLine: c.startLine + c.framer.Lines(),
		}
	}
	return nil
}

// finish emits what is left at the end of the file.
func (c *cutter) finish() error {
	if c.framer.End() {
		c.slice.Records++
	}
	if c.slice.Records == 0 { // blank lines at the end: they tile with the slice before
		c.full.Length += c.slice.Length
		c.slice = Slice{}
	}
	if err := c.release(); err != nil {
		return err
	}
	c.full = c.slice
	return c.release()
}

// release emits the full slice that waits, if there is one.
func (c *cutter) release() error {
	if c.full.Records == 0 {
		return nil
	}
	return c.emit(c.full)
}
