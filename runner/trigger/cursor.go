package trigger

import (
	"context"
	"fmt"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// SetCursor moves the instant up to which everything is decided about a job,
// by hand; it may not lie in the future.
//
// Forward, what lies between is skipped. Back, which is the remedy after a
// clock was wrong, the decisions after it are forgotten and their occurrences
// come due anew; an occurrence that has a run by then keeps it and is not run
// again.
func (t *Trigger) SetCursor(ctx context.Context, name string, ask api.SetCursor, actor string) (api.JobStatus, error) {
	return t.change(ctx, name, func(tx *store.Tx, job store.Job) (bool, error) {
		to, err := cursorTo(ask.To, job, tx.Now)
		if err != nil {
			return false, err
		}
		rule, err := ruleOf(job.Spec.Schedule)
		if err != nil {
			return false, api.Errorf(api.CodeConflict, "mend its schedule first", "the schedule of job %s can't be read: %v", name, err)
		}
		switch {
		case to.Equal(job.Cursor):
			return false, nil
		case to.After(job.Cursor):
			err = passOver(tx, job, rule, to, api.VerdictSkipped, api.DecidedCursor)
		default:
			err = goBackTo(tx, job, rule, to)
		}
		if err != nil {
			return false, fmt.Errorf("move the cursor of job %s: %w", name, err)
		}
		return false, tx.Event(store.Event{UID: job.UID, Event: api.Event{Kind: "job", Actor: actor, To: "cursor",
			Detail: fmt.Sprintf("from %s to %s", job.Cursor.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339))}})
	})
}

func cursorTo(text string, job store.Job, now time.Time) (time.Time, error) {
	if text == "now" {
		return now, nil
	}
	asked, problem := readStretch("/to", text, zoneOf(job.Spec))
	switch {
	case problem == nil && asked.from.After(now):
		e := invalid("/to", "%q is in the future, and what is not due yet can't be decided", text)
		e.Hint = "pause the job to skip what comes"
		problem = &e
	case problem == nil && !asked.from.Equal(asked.to):
		e := invalid("/to", "%q is a day and not an instant; add the time", text)
		problem = &e
	}
	if problem != nil {
		return time.Time{}, api.Invalid("cursor", []api.Error{*problem})
	}
	return asked.from, nil
}

// goBackTo forgets what was decided after an instant. What goes of a row that
// spans it is counted by the rule in force; where an older one made it, that is
// the best there is.
func goBackTo(tx *store.Tx, job store.Job, rule *schedule.Schedule, to time.Time) error {
	err := tx.CutDecisions(job.UID, to, func(row api.Decision) (time.Time, int64) { return kept(rule, row, to) })
	if err != nil {
		return err
	}
	if err := tx.Rewind(job.UID, job.Cursor); err != nil {
		return err
	}
	return tx.MoveCursor(job, to, dueAfter(rule, to, offset(rule, job.UID)))
}

// kept is the last occurrence up to an instant of a row that spans it, and how
// many the row has until there. It has its first one at least.
func kept(rule *schedule.Schedule, row api.Decision, to time.Time) (last time.Time, count int64) {
	if rule == nil {
		return row.First, 1
	}
	if at, ok := rule.Previous(to.Add(1)); ok {
		last = at
	}
	return later(last, row.First), max(row.Count-int64(rule.Span(to, row.Last).Count), 1)
}
