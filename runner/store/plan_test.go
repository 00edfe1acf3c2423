package store

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
)

// What is asked again and again costs the same however much is stored: it goes
// by an index, and in the index's order.
func TestWhatIsAskedOftenGoesByAnIndex(t *testing.T) {
	s, _ := open(t)
	const sorted = "TEMP B-TREE"
	for _, test := range []struct{ query, by, never string }{
		{claimable, "mini_batches_by_state (run_id=? AND state=?", sorted},
		{wakeDue, "mini_batches_by_state (run_id=? AND state=?", "SCAN"},
		{nextDue, "mini_batches_by_state (run_id=? AND state=?", "SCAN"},
		{claimDue, "jobs_due (next_due_at>? AND next_due_at<?)", sorted},
		{claimDue, "SEARCH r USING COVERING INDEX runs_active (uid=? AND state=?)", "SCAN"},
		{dueInstants, "SEARCH jobs USING COVERING INDEX jobs_due (next_due_at>?)", "SCAN jobs"},
		{runnable, "SCAN runs USING COVERING INDEX runs_queue, ", sorted},
		{runnable, "SEARCH o USING INDEX runs_under_way (uid=? AND shared<?), ", sorted},
		{runnable, "SEARCH o USING COVERING INDEX runs_active (uid=? AND state=? AND shared=?)", sorted},
		{runnableAlone, "SEARCH runs USING COVERING INDEX runs_active (uid=? AND state=? AND shared=?)", sorted},
		{runnableShared, "SEARCH runs USING COVERING INDEX runs_active (uid=? AND state=? AND shared=?)", sorted},
		{`SELECT id FROM runs WHERE ` + underWayStates, "runs_under_way", "runs_active"},
		{`SELECT id FROM runs WHERE ` + activeOf, "runs_active (uid=?", "SCAN"},
		{`SELECT id FROM runs WHERE ` + waitingOf, "runs_active (uid=?", "runs_queue"},
		{`SELECT id FROM runs WHERE ` + endedOf, "runs_ended (uid=?", "SCAN"},
		{`SELECT id FROM runs AS r WHERE r.uid = $1 AND ` + succeeded + ` ` + newestFirst, "runs_succeeded (uid=?)", sorted},
		{`SELECT id FROM runs ` + withOutput, "runs_with_output (uid=?)", sorted},
		{`SELECT id FROM runs ` + endedShown, "runs_shown (ended_at>?)", "SCAN"},
		{decidedAfter, "SEARCH decisions USING PRIMARY KEY (uid=? AND first>?)", "SCAN"},
		{runsOfBackfill, "COVERING INDEX runs_of_backfill (backfill=?)", "SCAN"},
		{nextOfBackfill, "COVERING INDEX backfill_waiting (backfill=? AND run_id=?)", sorted},
	} {
		expectPlan(t, s, test.query, test.by, test.never)
	}
}

// expectPlan holds a query to how it is answered.
func expectPlan(t *testing.T, s *Store, query, by, never string) {
	t.Helper()
	binds := 0
	for strings.Contains(query, fmt.Sprint("$", binds+1)) {
		binds++
	}
	steps := must(list(s.reader(), func(rows *sql.Rows) (detail string, err error) {
		err = rows.Scan(new(int), new(int), new(int), &detail)
		return detail, err
	}, "EXPLAIN QUERY PLAN "+query, []any{"r", 1, 1, 1}[:binds]...))(t)
	if plan := strings.Join(steps, ", "); !strings.Contains(plan, by) || strings.Contains(plan, never) {
		t.Errorf("%s\nis answered by: %s\nwant %s, never %s", query, plan, by, never)
	}
}

// What outlives runs grows with a job's age, not with what a run costs.
func TestTheLedgerAndKnownFilesGoByAnIndex(t *testing.T) {
	s, _ := open(t)
	const sorted = "TEMP B-TREE"
	for _, test := range []struct{ query, by, never string }{
		{ledgerFree, "ledger_owed (uid=?)", sorted},
		{ledgerClaimed, "SEARCH ledger USING INTEGER PRIMARY KEY", "SCAN ledger"},
		{ledgerClaimed, "mini_batches_of_ledger (run_id=?", "SCAN mini_batches"},
		{ledgerClaimed, "SEARCH plans", "SCAN plans"},
		{ledgerFreed, "ledger_taken (taken_by=?)", "SCAN"},
		{ledgerSettled, "ledger_taken (taken_by=?", "SCAN"},
		{ledgerReplaced, "SEARCH plans", "SCAN plans"},
		{ledgerReplaced, "SEARCH ledger USING ", "SCAN ledger"},
		{ledgerTaker, "SEARCH mini_batches USING INDEX mini_batches_of_ledger (run_id=?", "SCAN mini_batches"},
		{ledgerTaker, "SEARCH l USING INTEGER PRIMARY KEY", "SCAN l"},
		{owedAgain, "SEARCH m USING INDEX mini_batches_of_ledger (run_id=?", "SCAN"},
		{filesLeft, "SEARCH m USING INDEX mini_batches_by_state (run_id=? AND state=?)", "SCAN"},
		{entered, "SEARCH ledger USING COVERING INDEX ledger_of_run (run_id=? AND mini_batch=?)", "SCAN"},
		{`UPDATE mini_batches AS m SET carried = 1 WHERE ` + nowCarried, "SEARCH m USING INDEX mini_batches_", "SCAN"},
		{`SELECT $1, COUNT(*) ` + leftToCarry, "SEARCH m USING INDEX mini_batches_by_state (run_id=? AND state=?)", "SCAN"},
		{knownFile, "SEARCH known_files USING PRIMARY KEY (uid=? AND path=?)", "SCAN"},
		{knownFiles, "SEARCH known_files USING PRIMARY KEY (uid=?)", "SCAN"},
		{otherPlans, "SEARCH plans", "SCAN"},
		{knownKeys, "SEARCH known_keys USING PRIMARY KEY (uid=? AND key=?)", "SCAN known_keys"},
		{anyKeys, "SEARCH known_keys USING PRIMARY KEY (uid=?)", "SCAN"},
		{successBefore, "SEARCH r USING INDEX runs_succeeded (uid=? AND occurrence<?)", sorted},
		{markOf, "SEARCH marks USING PRIMARY KEY (uid=?)", "SCAN"},
	} {
		expectPlan(t, s, test.query, test.by, test.never)
	}
}
