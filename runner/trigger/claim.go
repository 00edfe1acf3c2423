package trigger

import (
	"fmt"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

const (
	// bySchedule is the actor that queues runs without being asked.
	bySchedule = "schedule"
	// postponement is how long a job that can't be decided is left alone, so
	// that it does not keep the others from their turn.
	postponement = time.Minute
)

// claim is the deciding of one transaction: jobs are decided one by one, and
// recorded together.
type claim struct {
	t     *Trigger
	tx    *store.Tx
	rules map[*store.Calendar]*schedule.Schedule // jobs that are declared alike share one

	decided   []store.Decided
	postponed []postponed
	moved     bool // the queue changes
}

type postponed struct {
	job string
	err error
}

func (t *Trigger) claim(tx *store.Tx) *claim {
	return &claim{t: t, tx: tx, rules: map[*store.Calendar]*schedule.Schedule{}}
}

// decideOrPostpone decides a job that is due. One whose rule can't be read is
// postponed.
func (c *claim) decideOrPostpone(job store.DueJob) error {
	err := c.decide(job, false)
	if isCalendar(err) {
		c.postpone(job, err)
		return nil
	}
	return err
}

// decide decides all that is due of one job as of the transaction.
func (c *claim) decide(job store.DueJob, early bool) error {
	out, err := c.judge(job, early)
	if err == nil && out.replace {
		err = c.replace(job.UID)
	}
	if err == nil && out.cancel {
		err = c.cancel(job.UID)
	}
	if err != nil {
		return fmt.Errorf("decide job %s: %w", job.Name, err)
	}
	for _, d := range out.decisions {
		c.moved = c.moved || d.Origin != ""
	}
	c.decided = append(c.decided, store.Decided{Job: job, Decisions: out.decisions, Cursor: out.cursor, NextDueAt: out.nextDue})
	return nil
}

func (c *claim) judge(job store.DueJob, early bool) (outcome, error) {
	words := job.Calendar
	rule, ok := c.rules[words]
	if !ok {
		var err error
		if rule, err = ruleOf(words.Schedule); err != nil {
			return outcome{}, err
		}
		c.rules[words] = rule
	}
	s := situation{
		rule: rule, offset: offset(rule, job.UID), cursor: job.Cursor, now: c.tx.Now, early: early,
		paused: words.Paused, held: job.Held != nil,
		catchUp: words.CatchUp, overlap: words.Overlap, maxQueued: int(words.MaxQueued),
		active: job.Active, waiting: job.Waiting,
	}
	if job.Rewound.After(job.Cursor) {
		var err error
		if s.ran, err = runsBetween(c.tx, job.UID, job.Cursor, earliest(job.Rewound, c.tx.Now)); err != nil {
			return outcome{}, err
		}
	}
	return decide(s), nil
}

// runsBetween lists the occurrences in (after, until] that have a main run.
func runsBetween(tx *store.Tx, uid string, after, until time.Time) ([]ran, error) {
	occurrences, err := tx.MainRunsBetween(uid, after.Add(1), until)
	have := make([]ran, len(occurrences))
	for i, o := range occurrences {
		have[i] = ran{at: o.Occurrence, run: o.Run}
	}
	return have, err
}

// replace takes the scheduled runs that never started out of the queue.
func (c *claim) replace(uid string) error {
	waiting, err := c.tx.WaitingSchedule(uid)
	if err != nil {
		return err
	}
	for _, run := range waiting {
		skipped, err := c.tx.MoveRun(run, store.RunChange{
			To: api.RunSkipped, Actor: bySchedule, Reason: api.ReasonReplaced, Message: "a newer occurrence took its place in the queue",
		})
		if err != nil {
			return err
		}
		if err := c.t.Ended(c.tx, skipped); err != nil {
			return err
		}
	}
	return nil
}

// cancel ends the runs that have left the queue and have not begun to commit;
// also those that a restart or a retry put back into it, as they would be
// under way had they come to their turn a moment earlier.
func (c *claim) cancel(uid string) error {
	runs, err := c.tx.UnfinishedOf(uid)
	if err != nil {
		return err
	}
	for _, run := range runs {
		neverStarted := run.State == api.RunQueued && run.StartedAt.IsZero()
		if neverStarted || run.State == api.RunCommitting {
			continue
		}
		if err := c.t.cancel(c.tx, run, api.ReasonOverlap, bySchedule); err != nil {
			return err
		}
	}
	return nil
}

// postpone leaves a job as it is for a while.
func (c *claim) postpone(job store.DueJob, why error) {
	c.decided = append(c.decided, store.Decided{Job: job, Cursor: job.Cursor, NextDueAt: c.tx.Now.Add(postponement)})
	c.postponed = append(c.postponed, postponed{job.Name, why})
}

// record writes down what was decided since the last record.
func (c *claim) record() error {
	decided := c.decided
	c.decided = nil
	if len(decided) == 0 {
		return nil
	}
	return c.tx.RecordDecisions(decided)
}
