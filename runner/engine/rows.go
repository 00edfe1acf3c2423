package engine

import (
	"fmt"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/split"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// readQuery reads what the query of an SQL input finds, once and in one
// snapshot, into the run's spool.
func (p *planner) readQuery() error {
	x := p.x
	p.notes, p.rows, p.superseded, p.replaced = nil, nil, nil, nil
	db, err := x.e.databases.of(p.ctx, "input.sql.dsn", x.job.Input.SQL.DSN)
	if err != nil {
		return err
	}
	query := source.Query{Text: x.job.Input.SQL.Query, ScheduledAt: x.run.Occurrence, Columns: x.columnsOf}
	if query.PreviousSuccess, err = x.e.Store.SuccessBefore(x.run.JobUID, x.run.Occurrence); err != nil {
		return err
	}
	switch x.job.Input.Mode {
	case api.ModeWatermark:
		if other, err := x.claimedStretch(); err != nil || other != "" {
			p.notes = append(p.notes, fmt.Sprintf("new rows are left for the next run: run %s has some of them and has not ended", other))
			return err
		}
		if query.Watermark, err = p.nextStretch(db, query); err != nil {
			return err
		}
	case api.ModePredicate:
		if query.Keep, err = p.leaveKnown(); err != nil {
			return err
		}
	}
	file, err := x.inputs.Query(p.ctx, db, query)
	if err != nil {
		return err
	}
	if file.SpoolSize == 0 {
		return nil
	}
	if p.rows, err = p.distinct([]source.File{file}); err != nil {
		return err
	}
	return p.supersede()
}

// columnsOf are the columns that the run needs of a query's result.
func (x *execution) columnsOf(result []api.Column) ([]string, error) {
	names := make([]string, len(result))
	for i, column := range result {
		names[i] = column.Name
	}
	if err := x.resolveFeatures(names); err != nil {
		return nil, err
	}
	return x.columns(), nil
}

// planRows cuts the rows that were read.
func (p *planner) planRows() error {
	for _, file := range p.rows {
		p.files = append(p.files, file)
		if err := split.File(p.ctx, p.x.inputs, len(p.files)-1, file, p.how(file), p.add); err != nil {
			return err
		}
	}
	return nil
}

// distinct does with records of one key what input.duplicate_keys says. Where
// that leaves some out, what is left of their files is copied into the run's
// spool.
func (p *planner) distinct(files []source.File) ([]source.File, error) {
	input := p.x.job.Input
	if input.DuplicateKeys == "" || len(input.Key) == 0 {
		return files, nil
	}
	kept, left, err := p.x.inputs.Distinct(p.ctx, files, input.Key, input.DuplicateKeys, p.x.canonical())
	if left > 0 {
		p.notes = append(p.notes, fmt.Sprintf("%s left out: only the %s with its key is taken", api.Counted(left, "record"), input.DuplicateKeys))
	}
	return kept, err
}

// canonical compares keys as the output does.
func (x *execution) canonical() source.Canonical {
	if table, is := x.out.(*sink.Table); is {
		return table.Canonical
	}
	return nil
}

// closeRows moves what a job remembers of a table, in the transaction that ends
// a run which has committed something; first says that it is the first end of
// the run that does so.
func closeRows(tx *store.Tx, run store.Run, plan store.Plan, identity string, first bool) error {
	if plan.Mark != nil && first {
		return moveMark(tx, run, plan, identity)
	}
	if plan.Spec.Input.Mode == api.ModePredicate {
		return tx.KnowKeys(run.JobUID, identity, plan)
	}
	return nil
}
