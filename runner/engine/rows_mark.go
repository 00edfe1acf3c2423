package engine

import (
	"errors"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// In mode "watermark" a key is below the job's mark, in the ledger, or unread,
// and never two of them: a run takes the stretch that begins at the mark; once
// it has committed something, its end moves the mark over that stretch and owes
// what is left of it, in one transaction.

// nextStretch is what the run takes of the watermark's column: from the mark up
// to the database's clock, but for the lag.
func (p *planner) nextStretch(db *database.DB, query source.Query) (*database.Range, error) {
	x, watermark := p.x, p.x.job.Input.SQL.Watermark
	high, err := query.WatermarkTop(p.ctx, db, watermark.Column, watermark.Lag.Value())
	if err != nil {
		return nil, err
	}
	var low *string
	mark, err := x.e.Store.Mark(x.run.JobUID, x.job.InputIdentity())
	switch {
	case err == nil:
		low = &mark.Value
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	case watermark.Start == api.StartNow:
		low = &high
	case watermark.Start != api.StartBeginning:
		low = &watermark.Start
		if at, ok := api.ParseMark(watermark.Start); ok {
			low = new(at.Format(time.RFC3339Nano))
		}
	}
	if low != nil && before(high, *low) { // by a clock that was set back, or a longer lag
		high = *low
	}
	p.moves = &store.MarkMove{From: low, To: high}
	return &database.Range{Column: watermark.Column, Low: low, High: high}, nil
}

// before tells whether one instant is before another; not where one of them is
// a value that is none.
func before(a, b string) bool {
	at, errA := time.Parse(time.RFC3339Nano, a)
	bt, errB := time.Parse(time.RFC3339Nano, b)
	return errA == nil && errB == nil && at.Before(bt)
}

// claimedStretch gives the run of the job, if there is one, that has planned the
// stretch behind the mark and waits to go on with it.
func (x *execution) claimedStretch() (run string, err error) {
	plans, err := x.e.Store.PlannedElsewhere(x.run)
	return claimant(plans), err
}

func claimant(plans []store.Plan) (run string) {
	for _, plan := range plans {
		if plan.Mark != nil && !plan.Remembered {
			return plan.Run
		}
	}
	return ""
}

// rowsUpToDate holds a new plan, in the transaction that stores it, to the mark
// as it stands by then. A job's first plan sets the mark that it begins with, so
// that "now" stays the same while runs find nothing.
func (x *execution) rowsUpToDate(tx *store.Tx, plan store.Plan) error {
	if plan.Mark == nil {
		return nil
	}
	other, err := otherReader(tx, x.run, plan)
	if err != nil {
		return err
	}
	if other != "" {
		return errOutOfDate
	}
	if plan.Mark.From == nil {
		return nil
	}
	return tx.BeginMark(x.run.JobUID, x.job.InputIdentity(), *plan.Mark.From, x.run.ID)
}

// otherReader finds a run that has taken, or claimed, rows which a plan that has
// not moved the mark takes; none, where there is no such.
func otherReader(tx *store.Tx, run store.Run, plan store.Plan) (other string, err error) {
	if plan.Mark == nil || plan.Remembered {
		return "", nil
	}
	plans, err := tx.PlannedElsewhere(run)
	if err != nil {
		return "", err
	}
	if other := claimant(plans); other != "" {
		return other, nil
	}
	mark, err := tx.Mark(run.JobUID, plan.Spec.InputIdentity())
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	case plan.Mark.From == nil || *plan.Mark.From != mark.Value:
		return mark.Run, nil
	}
	return "", nil
}

// moveMark moves the job's mark over what a run has taken.
func moveMark(tx *store.Tx, run store.Run, plan store.Plan, identity string) error {
	err := tx.MoveMark(run.JobUID, identity, *plan.Mark, run.ID)
	if errors.Is(err, store.ErrFenced) {
		return nil // the job was told to forget where it stood
	}
	return err
}
