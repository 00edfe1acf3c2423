package split

import (
	"context"
	"fmt"
	"io"

	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
)

// splitRows cuts a Parquet file: what its footer says is all there is to know.
func splitRows(ctx context.Context, opened *source.Opened, index int, file source.File, o Options, emit func(Slice) error) error {
	groups, err := opened.Groups()
	if err != nil {
		return err
	}
	sums := &groupSums{groups: groups}
	if o.Checksum {
		if sums.file, err = format.OpenParquet(opened, file.Bytes()); err != nil {
			return fmt.Errorf("split input %s: %w", file.Path, err)
		}
	}
	err = cutRows(groups, o.Rows, o.Around, func(s Span) error {
		if ctx.Err() != nil {
			return fmt.Errorf("split input %s: %w", file.Path, ctx.Err())
		}
		sum, err := sums.of(s)
		if err != nil {
			return fmt.Errorf("split input %s: %w", file.Path, err)
		}
		return emit(Slice{File: index, Offset: s.Offset, Length: s.Length, FirstLine: s.Offset + 1, Records: s.Length, Checksum: sum})
	})
	if err != nil {
		return err
	}
	if o.Sum != nil {
		if _, err := io.Copy(o.Sum, opened.Stretch(0, file.Bytes())); err != nil {
			return fmt.Errorf("split input %s: %w", file.Path, err)
		}
	}
	return opened.Check()
}

// groupSums are the checksums of slices. Those beside each other may lie in one
// row group, which is read once.
type groupSums struct {
	file   *format.Parquet // nil: none are asked for
	groups []int64
	group  Span // the row group of
	sum    uint32
}

func (g *groupSums) of(s Span) (*uint32, error) {
	if g.file == nil {
		return nil, nil
	}
	if s.Offset < g.group.Offset+g.group.Length { // a part of the same
		sum := g.sum
		return &sum, nil
	}
	for len(g.groups) > 0 && s.Offset >= g.group.Offset+g.group.Length {
		g.group = Span{g.group.Offset + g.group.Length, g.groups[0]}
		g.groups = g.groups[1:]
	}
	var err error
	g.sum, err = g.file.Checksum(s.Offset, s.Length)
	sum := g.sum
	return &sum, err
}

// cutRows cuts rows that lie in groups into stretches of at most so many, around
// what is left out. A stretch is whole groups, or a part of one.
func cutRows(groups []int64, most int64, around []Span, emit func(Span) error) error {
	var open, group Span // whole groups that may take more of them; the current one
	release := func() error {
		whole := open
		open = Span{}
		if whole.Length == 0 {
			return nil
		}
		return emit(whole)
	}
	for _, rows := range groups {
		group = Span{group.Offset + group.Length, rows}
		if open.Length > 0 && open.Length+rows > most {
			if err := release(); err != nil {
				return err
			}
		}
		for _, part := range without(group, around) {
			if part == group && rows <= most && (open.Length == 0 || open.Offset+open.Length == group.Offset) {
				open = Span{group.Offset - open.Length, open.Length + rows}
				continue
			}
			if err := release(); err != nil {
				return err
			}
			for part.Length > 0 {
				n := min(most, part.Length)
				if err := emit(Span{part.Offset, n}); err != nil {
					return err
				}
				part = Span{part.Offset + n, part.Length - n}
			}
		}
	}
	return release()
}

// without is what is left of a stretch around others.
func without(whole Span, around []Span) (left []Span) {
	for _, out := range around {
		if end := out.Offset + out.Length; end <= whole.Offset || out.Offset >= whole.Offset+whole.Length {
			continue
		}
		if out.Offset > whole.Offset {
			left = append(left, Span{whole.Offset, out.Offset - whole.Offset})
		}
		rest := max(whole.Offset+whole.Length-out.Offset-out.Length, 0)
		whole = Span{whole.Offset + whole.Length - rest, rest}
	}
	if whole.Length > 0 {
		left = append(left, whole)
	}
	return left
}
