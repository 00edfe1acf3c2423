package source

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// A block is so many rows, or the first that exceed so many bytes.
const blockRows, blockBytes = 1000, 256 << 10

// spoolRows copies rows into the spool, block by block.
func (in *Inputs) spoolRows(ctx context.Context, rows *database.Rows, q Query) (File, error) {
	file := File{Path: QueryName, Format: api.FormatJSONL, StartLine: 1, Types: rows.Columns(), SpoolRun: in.Run}
	wanted, err := q.Columns(file.Types)
	if err != nil {
		return File{}, err
	}
	if err := file.checkResult(wanted); err != nil {
		return File{}, err
	}
	file.Spool, file.SpoolSize, err = in.Spool(ctx, "the query's rows", "."+api.FormatJSONL, func(w io.Writer) error {
		b := block{keep: q.Keep, columns: wanted}
		for rows.Next() {
			b.lines = append(rows.AppendJSON(b.lines), '\n')
			b.ends = append(b.ends, len(b.lines))
			if len(b.ends) == blockRows || len(b.lines) >= blockBytes {
				if err := b.flush(w); err != nil {
					return err
				}
			}
		}
		if err := rows.Err(); err != nil {
			return refused(ctx, err)
		}
		return b.flush(w)
	})
	return file, err
}

// checkResult looks for the columns that a run needs.
func (f File) checkResult(wanted []string) error {
	have := f.Columns()
	var missing []string
	for _, column := range wanted {
		if !slices.Contains(have, column) {
			missing = append(missing, column)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return unusable("select them in input.sql.query, or correct input.key, predict.features or output.keep",
		fmt.Errorf("the query's result lacks %s; it has %s", listedNames(missing), listedNames(have)))
}

// block is rows that are judged and written together.
type block struct {
	keep    func(format.Reader) ([]bool, error)
	columns []string
	lines   []byte
	ends    []int // of each line
}

// flush writes what stays of the block, and empties it.
func (b *block) flush(w io.Writer) error {
	if len(b.ends) == 0 {
		return nil
	}
	stays, err := b.judge()
	if err != nil {
		return err
	}
	_, err = w.Write(stays)
	b.lines, b.ends = b.lines[:0], b.ends[:0]
	return err
}

// judge gives the lines that stay.
func (b *block) judge() ([]byte, error) {
	if b.keep == nil {
		return b.lines, nil
	}
	rows, err := format.NewReader(format.Options{Format: api.FormatJSONL}, bytes.NewReader(b.lines), nil, b.columns, 1)
	if err != nil {
		return nil, err
	}
	stay, err := b.keep(rows)
	if err != nil {
		return nil, err
	}
	begin, kept := 0, b.lines[:0]
	for i, end := range b.ends {
		if stay[i] {
			kept = append(kept, b.lines[begin:end]...)
		}
		begin = end
	}
	return kept, nil
}

// unspool removes a file of the run's spool.
func (in *Inputs) unspool(f File) error {
	in.take(-f.SpoolSize)
	return in.FS.RemoveAll(filepath.Join(in.RunsDir, f.SpoolRun, f.Spool))
}
