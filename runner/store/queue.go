package store

import (
	"database/sql"
	"fmt"
	"iter"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

const (
	activeStates   = `state IN ('queued', 'planning', 'provisioning', 'running', 'committing')`
	underWayStates = `state IN ('planning', 'provisioning', 'running', 'committing')`

	slotColumns = `slot_order, occurrence, created_at, id`
	slotOrdered = `ORDER BY ` + slotColumns

	// waitsForTurn holds of a queued run that another run of its job keeps from
	// starting: one under way, or one that stands before it in the queue. Two
	// shared runs don't keep each other. Each part is one look into an index,
	// however many wait: whether the first of a kind stands before it.
	waitsForTurn = `(EXISTS (SELECT 1 FROM runs AS o WHERE o.uid = runs.uid AND o.` + underWayStates + ` AND o.shared <= 1 - runs.shared)
		OR EXISTS (` + firstQueued + ` AND o.shared = 0 ` + slotOrdered + ` LIMIT 1) AS o WHERE ` + before + `)
		OR runs.shared = 0 AND EXISTS (` + firstQueued + ` AND o.shared = 1 ` + slotOrdered + ` LIMIT 1) AS o WHERE ` + before + `))`
	firstQueued = `SELECT 1 FROM (SELECT ` + slotColumns + ` FROM runs AS o WHERE o.uid = runs.uid AND o.state = 'queued' AND o.` + activeStates + ``
	before      = `(o.slot_order, o.occurrence, o.created_at, o.id) < (runs.slot_order, runs.occurrence, runs.created_at, runs.id)`

	// shownReason is a run's reason as readers see it: why a run waits is not
	// stored, since it changes whenever another run moves.
	shownReason = `CASE WHEN state <> 'queued' THEN reason WHEN awaiting > 0 THEN 'waiting_for_input' WHEN ` + waitsForTurn + ` THEN 'waiting_for_turn' ELSE 'waiting_for_slot' END`

	activeOf  = `uid = $1 AND ` + activeStates
	queuedOf  = `uid = $1 AND state = 'queued' AND ` + activeStates // the latter has the index used
	waitingOf = queuedOf + ` AND origin = $2 AND started_at = 0 ` + slotOrdered
	// A skipped run did nothing.
	endedOf = `uid = $1 AND ended_at > 0 AND state <> 'skipped' ORDER BY ended_at DESC, id LIMIT $2`

	runnable = `SELECT id, uid, shared, awaiting FROM runs WHERE state = 'queued' AND awaiting <= 0 AND NOT ` + waitsForTurn + ` ` + slotOrdered
	// Of one job: in order over both kinds, all of its queue would be sorted.
	runnableAlone = `SELECT id, uid, shared, awaiting FROM (SELECT id, uid, shared, awaiting, slot_order, occurrence, created_at FROM runs
		WHERE ` + queuedOf + ` AND shared = 0 ` + slotOrdered + ` LIMIT 1) AS runs WHERE awaiting <= 0 AND NOT ` + waitsForTurn
	runnableShared = `SELECT id, uid, shared, awaiting FROM runs WHERE ` + queuedOf + ` AND shared = 1 AND awaiting <= 0 AND NOT ` + waitsForTurn + ` ` + slotOrdered
)

// slotOrder ranks origins: of the runs that wait for a slot, those of a lower
// rank come first.
func slotOrder(origin api.Origin) int64 {
	switch origin {
	case api.OriginCatchUp:
		return 0
	case api.OriginSchedule:
		return 1
	case api.OriginManual:
		return 2
	default:
		return 3
	}
}

// UnderWay lists the runs that left the queue and have not ended, in slot
// order and without their accounting.
func (s *Store) UnderWay() ([]Run, error) {
	return list(s.reader(), scanRun, `SELECT `+runColumns+` FROM runs WHERE `+underWayStates+` `+slotOrdered)
}

// Queued is a run whose turn it is.
type Queued struct {
	ID     string
	UID    string // of its job
	Shared bool
	// InputThere says that the run has waited for its input, and that it is there.
	InputThere bool
}

// Runnable gives the queued runs whose turn it is, in slot order: catch-up
// runs, scheduled, manual and backfill ones, each by occurrence. Of a job that
// is its next run in the queue while none is under way; shared runs of a job
// have their turn together. They are read as they are asked for, so that a
// long queue costs nothing; the loop must not wait for anything.
func (s *Store) Runnable() iter.Seq2[Queued, error] { return s.queued(runnable) }

// RunnableOf is Runnable of one job.
func (s *Store) RunnableOf(uid string) iter.Seq2[Queued, error] {
	return func(yield func(Queued, error) bool) {
		for _, query := range []string{runnableAlone, runnableShared} {
			found := false
			for q, err := range s.queued(query, uid) {
				found = true
				if !yield(q, err) || err != nil {
					return
				}
			}
			if found {
				return // where it is the turn of a run that must be alone, it is nobody else's
			}
		}
	}
}

func (s *Store) queued(query string, args ...any) iter.Seq2[Queued, error] {
	return func(yield func(Queued, error) bool) {
		rows, err := s.reader().rows(query, args...)
		if err != nil {
			yield(Queued{}, err)
			return
		}
		defer rows.Close() //nolint:errcheck // rows.Err tells what matters
		for rows.Next() {
			var q Queued
			var awaiting int64
			err := rows.Scan(&q.ID, &q.UID, &q.Shared, &awaiting)
			q.InputThere = awaiting < 0
			if !yield(q, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(Queued{}, err)
		}
	}
}

// RunInTheWay is the run of the same job under way that run can't go on
// beside; ErrNotFound: there is none.
func (t *Tx) RunInTheWay(run Run) (Run, error) {
	return run1(t, `WHERE uid = $1 AND `+underWayStates+` AND shared <= 1 - $2 AND id <> $3 LIMIT 1`, run.JobUID, number(run.Shared), run.ID)
}

// ActiveRun is the job's run that is under way or, else, first in its queue.
func (t *Tx) ActiveRun(uid string) (Run, error) {
	return run1(t, `WHERE `+activeOf+` ORDER BY `+underWayFirst+` LIMIT 1`, uid)
}

const underWayFirst = `CASE state WHEN 'queued' THEN 1 ELSE 0 END, ` + slotColumns

// UnfinishedOf lists a job's runs that have not ended, those under way first.
func (s *Store) UnfinishedOf(uid string) ([]Run, error) { return unfinishedOf(s.reader(), uid) }

// UnfinishedOf lists a job's runs that have not ended, those under way first.
func (t *Tx) UnfinishedOf(uid string) ([]Run, error) { return unfinishedOf(t, uid) }

func unfinishedOf(q querier, uid string) ([]Run, error) {
	return runs(q, `WHERE `+activeOf+` ORDER BY `+underWayFirst, uid)
}

// WaitingSchedule lists a job's scheduled runs that wait in the queue and
// never left it, in slot order.
func (t *Tx) WaitingSchedule(uid string) ([]Run, error) {
	return t.runsWhere(waitingOf, uid, api.OriginSchedule)
}

// RecentMain lists a job's ended runs but for skipped ones, the last ended
// first.
func (t *Tx) RecentMain(uid string, limit int) ([]Run, error) {
	return t.runsWhere(endedOf, uid, limit)
}

// ActiveWork counts the runs that have not ended by state, and sums up their
// accounting.
func (s *Store) ActiveWork() (map[api.RunState]int64, api.Counts, error) {
	states, total := map[api.RunState]int64{}, api.Counts{}
	_, err := list(s.reader(), func(rows *sql.Rows) (n int64, err error) {
		var state api.RunState
		err = rows.Scan(&state, &n)
		states[state] = n
		return n, err
	}, `SELECT state, COUNT(*) FROM runs WHERE `+activeStates+` GROUP BY state`)
	if err != nil {
		return nil, total, fmt.Errorf("count the active runs: %w", err)
	}
	started, err := runs(s.reader(), `WHERE `+activeStates+` AND started_at > 0`)
	for _, run := range started {
		total.Planned += run.Counts.Planned
		total.Committed += run.Counts.Committed
		total.Carried += run.Counts.Carried
		total.DeadLettered += run.Counts.DeadLettered
		total.Gone += run.Counts.Gone
		total.Unfinished += run.Counts.Unfinished
		total.Staged += run.Counts.Staged
		total.GivenUp += run.Counts.GivenUp
	}
	return states, total, err
}
