package database

import (
	"context"
	"errors"
	"fmt"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// statementRows is how many rows a statement writes, statementBytes how much
// of them: servers bound the size of a message.
const (
	statementRows  = 1000
	statementBytes = 2 << 20
)

// errSurprised says that a row was not as assumed, or the marker there
// already.
var errSurprised = errors.New("not every row was there to be written")

// commitAssuming writes one unit as if nobody had committed it, and every row
// were there and free, or absent where rows are inserted: so it is, nearly
// always. Then no row is looked at before it is written, and the marker is
// right from the beginning. Otherwise errSurprised: the transaction is to be
// taken back.
func (w *writer) commitAssuming(ctx context.Context, c Commit, step func(string)) (Result, error) {
	marker := []call{w.marker(c, c.Records)} // on its way with the first rows
	rows := w.updateFree
	if w.target.Write == api.WriteInsert {
		rows = w.insert
	}
	err := w.chunks(c, func(part *chunk) error {
		written, err := w.session.exec(ctx, append(marker, rows(part, part.order))...)
		if w.server.duplicate(err) || err == nil && written[len(written)-1] != int64(part.rows()) {
			return errSurprised
		}
		if err != nil {
			return fmt.Errorf("write %d rows: %w", part.rows(), err)
		}
		if len(marker) > 0 {
			step(StepMarker)
		}
		marker = nil
		return nil
	})
	return Result{Written: c.Records, Gone: map[string]int64{}}, err
}

// writeAll writes the rows, a statement's worth at a time.
func (w *writer) writeAll(ctx context.Context, c Commit) (Result, error) {
	result := Result{Gone: map[string]int64{}}
	return result, w.chunks(c, func(part *chunk) error { return w.write(ctx, part, &result) })
}

// chunks reads the rows of a unit, a statement's worth at a time, each in the
// order of its keys.
func (w *writer) chunks(c Commit, write func(*chunk) error) error {
	part := newChunk(w.target)
	flush := func() error {
		if part.rows() == 0 {
			return nil
		}
		defer part.reset()
		part.sort()
		return write(part)
	}
	var seen int64
	for values, err := range c.Rows {
		if err != nil {
			return fmt.Errorf("read the staged result: %w", err)
		}
		seen++
		if err := part.add(values); err != nil {
			return fmt.Errorf("record %d: %w", seen, err)
		}
		if part.full() {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if seen != c.Records {
		return fmt.Errorf("the staged result has %d records, expected %d", seen, c.Records)
	}
	return flush()
}

// write writes one chunk: it locks the rows there are, in the order of their
// keys, and then writes those that may be written.
func (w *writer) write(ctx context.Context, part *chunk, result *Result) error {
	status, err := w.find(ctx, part)
	if err != nil {
		return fmt.Errorf("lock the rows: %w", err)
	}
	var updates, inserts []int
	for at, row := range part.order {
		switch {
		case status[at] == statusMissing && w.target.Write == api.WriteUpdate:
			result.Gone[GoneDeleted]++
		case status[at] == statusMissing:
			inserts = append(inserts, row)
		case status[at] != statusFree:
			result.Gone[status[at]]++
		case w.target.Write == api.WriteInsert:
			result.Gone[GoneTaken]++
		default:
			updates = append(updates, row)
		}
	}
	if len(updates) > 0 {
		rows, err := w.session.exec(ctx, w.update(part, updates))
		if err == nil && rows[0] != int64(len(updates)) {
			err = &valueError{fmt.Errorf("%d took place; two records may name one row, by keys that the table finds equal, or a trigger leaves rows out", rows[0])}
		}
		if err != nil {
			return fmt.Errorf("update %d rows: %w", len(updates), err)
		}
	}
	if len(inserts) > 0 {
		rows, err := w.session.exec(ctx, w.insert(part, inserts))
		switch {
		case w.server.duplicate(err):
			err = &racedError{err}
		case err == nil && rows[0] != int64(len(inserts)):
			err = &valueError{fmt.Errorf("%d took place; a trigger or rule of the table leaves rows out", rows[0])}
		}
		if err != nil {
			return fmt.Errorf("insert %d rows: %w", len(inserts), err)
		}
	}
	result.Written += int64(len(updates) + len(inserts))
	return nil
}
