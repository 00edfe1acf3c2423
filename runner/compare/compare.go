// Package compare tells how a run's published predictions differ from other
// files or a table that hold the same: those of the script that the job is to
// replace, or of another model. Records are matched by key, whatever their order,
// format or number of files.
//
// It reads what is published, through the manifest or from the table, and knows
// nothing of runs, jobs or the runner that made it.
package compare

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
)

// Options say what is compared, and how.
type Options struct {
	Folder  string         // a published folder, local or in an object store
	Against api.InputFiles // files of any format, or a published folder
	// Table and AgainstTable, where set, are read in the place of the folder and
	// of the files.
	Table, AgainstTable *Table

	Key []string // the columns that tell records apart
	// Columns are what is compared; those that both sides have where empty.
	Columns []string
	// Tolerance is how far two numbers may lie apart and be equal: absolutely
	// where both are below 1, else as a part of the larger.
	Tolerance float64
	Examples  int            // of each kind
	Objects   *object.Stores // for what lies there
}

// Result is what was found, in records.
type Result struct {
	Equal  int64 `json:"equal"`
	Differ int64 `json:"differ"`
	// Missing are only in the files compared with, Extra only in what is
	// published.
	Missing int64 `json:"missing"`
	Extra   int64 `json:"extra"`
	// Columns are those that were compared, Left those of one side only.
	Columns  []string  `json:"columns"`
	Left     []string  `json:"left,omitzero"`
	Examples []Example `json:"examples"`
}

// The kinds of examples.
const (
	Differ  = "differ"
	Missing = "missing"
	Extra   = "extra"
)

// Example is one record that is not equal, in the order of its side.
type Example struct {
	Kind string `json:"kind"`
	Key  string `json:"key"` // "id=7, day=mon"
	// Column is the first that differs, with what both sides have in it.
	Column    string `json:"column,omitzero"`
	Published string `json:"published,omitzero"`
	Against   string `json:"against,omitzero"`

	place int64 // of the record in its side
}

// Run compares.
func Run(ctx context.Context, o Options) (Result, error) {
	folder, err := os.MkdirTemp("", "batch-runner-diff-*")
	if err != nil {
		return Result{}, fmt.Errorf("make room for the comparison: %w", err)
	}
	defer os.RemoveAll(folder) //nolint:errcheck // what can't be removed is temporary
	inputs := source.New(source.Options{RunsDir: folder, Run: "diff", FS: durable.OS(), MaxSpool: api.DefaultMaxSpool.Value(), Objects: o.Objects})

	published, against, err := o.sides(ctx, inputs)
	if err != nil {
		return Result{}, err
	}
	c := comparison{Options: o, published: published.name, against: against.name}
	if err := c.choose(published, against); err != nil {
		return Result{}, err
	}
	parts := int(min(published.bytes()/partSize+1, maxParts))
	for _, s := range []*side{published, against} {
		if s.parts, err = newParts(folder, parts); err != nil {
			return Result{}, fmt.Errorf("make room for the comparison: %w", err)
		}
		defer s.parts.close()
		if err := s.deal(ctx, o.Key, c.result.Columns); err != nil {
			return Result{}, err
		}
	}
	for i := range parts {
		if err := c.part(ctx, published.parts, against.parts, i); err != nil {
			return Result{}, err
		}
	}
	return c.end(), nil
}

func (o Options) sides(ctx context.Context, inputs *source.Inputs) (published, against *side, err error) {
	if o.Table != nil {
		published, err = o.Table.read(ctx, inputs)
	} else {
		published, err = findPublished(ctx, inputs, o.Folder, o.Objects)
	}
	if err != nil {
		return nil, nil, err
	}
	if o.AgainstTable != nil {
		against, err = o.AgainstTable.read(ctx, inputs)
	} else {
		against, err = findAgainst(ctx, inputs, o)
	}
	return published, against, err
}

// choose finds which columns are compared.
func (c *comparison) choose(published, against *side) error {
	for _, s := range []*side{published, against} {
		for _, name := range slices.Concat(c.Key, c.Columns) {
			if s.columns != nil && !slices.Contains(s.columns, name) {
				return fmt.Errorf("%s has no column %q; it has %s", s.name, name, quoted(s.columns))
			}
		}
	}
	c.result.Columns = c.Columns
	if len(c.Columns) > 0 {
		return nil
	}
	one, other := published.columns, against.columns
	if one == nil { // no record there: its columns are the other's
		one = other
	}
	if other == nil {
		other = one
	}
	for _, name := range one {
		switch {
		case slices.Contains(c.Key, name):
		case slices.Contains(other, name):
			c.result.Columns = append(c.result.Columns, name)
		default:
			c.result.Left = append(c.result.Left, name)
		}
	}
	for _, name := range other {
		if !slices.Contains(one, name) {
			c.result.Left = append(c.result.Left, name)
		}
	}
	if len(c.result.Columns) == 0 && one != nil {
		return fmt.Errorf("%s and %s have no column in common but the key: %s here, %s there", published.name, against.name, quoted(one), quoted(other))
	}
	return nil
}
