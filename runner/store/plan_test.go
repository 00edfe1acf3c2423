package store

import (
	"database/sql"
	"strings"
	"testing"
)

// A claim costs the same however many mini-batches are done: what the
// dispatcher asks with each of them goes by the index.
func TestClaimsReadNoMoreThanWhatIsPending(t *testing.T) {
	s, _ := open(t)
	for _, query := range []string{claimable, wakeDue, nextDue} {
		do(t, s, func(tx *Tx) error {
			steps, err := list(tx, func(rows *sql.Rows) (detail string, err error) {
				err = rows.Scan(new(int), new(int), new(int), &detail)
				return detail, err
			}, "EXPLAIN QUERY PLAN "+query, "r", 1)
			if plan := strings.Join(steps, ", "); !strings.Contains(plan, "mini_batches_by_state (run_id=? AND state=?") {
				t.Errorf("%s\nis answered by: %s", query, plan)
			}
			return err
		})
	}
}
