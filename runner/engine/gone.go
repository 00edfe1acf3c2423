package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// perMiniBatch is what a publish says of records without a row, for the store.
func perMiniBatch(gone map[int64]sink.Gone) map[int64]store.Gone {
	all := map[int64]store.Gone{}
	for number, g := range gone {
		all[number] = store.Gone(g)
	}
	return all
}

// tellGone has the end of a run say which records had no row to be written to.
// Where nothing else was planned it has failed, after the point of no return,
// too: who looks at the table finds no prediction of it.
func (x *execution) tellGone(tx *store.Tx, change *store.RunChange) error {
	counted, err := tx.Count(x.run)
	if err != nil || counted.Counts.Gone == 0 {
		return err
	}
	gone, err := tx.Gone(x.run.ID)
	if err != nil {
		return err
	}
	text := goneText(counted.Counts, gone)
	if change.Message != "" {
		text = change.Message + "; " + text
	}
	change.Message = text
	if counted.Counts.Committed == 0 {
		change.To, change.Reason = api.RunFailed, api.ReasonNothingSucceeded
		change.Output, change.Revision = "", 0
	}
	return nil
}

// goneText reads "3 of 150 records had no row to be written to: deleted 2,
// newer 1".
func goneText(c api.Counts, gone store.Gone) string {
	var reasons []string
	for _, why := range slices.Sorted(maps.Keys(gone)) {
		reasons = append(reasons, fmt.Sprintf("%s %s", why, api.Thousands(gone[why])))
	}
	return fmt.Sprintf("%s of %s records had no row to be written to: %s",
		api.Thousands(c.Gone), api.Thousands(c.Planned), strings.Join(reasons, ", "))
}
