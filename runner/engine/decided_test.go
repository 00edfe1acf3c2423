package engine_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// What was decided at the point of no return is what is published, whatever
// lies between the two: else nothing is.
func TestOnlyWhatWasDecidedIsPublished(t *testing.T) {
	for name, c := range map[string]struct{ policy, tamper, says string }{
		"other parts":    {api.PolicyPartial, `UPDATE mini_batches SET sha256 = 'other' WHERE number = 3`, "not those that were decided on"},
		"a part less":    {api.PolicyPartial, `DELETE FROM mini_batches WHERE number = 3`, "not those that were decided on"},
		"mixed attempts": {api.PolicyComplete, `UPDATE mini_batches SET staged_path = '2' || substr(staged_path, 2) WHERE number = 3`, "another run attempt"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.job.Retry = &api.Retry{Policy: c.policy}
			disk := durabletest.New(durable.OS())
			disk.Fail(durabletest.Link, syscall.EIO)
			b.fs = disk
			b.start()
			run := b.queue(occurrence)
			b.until(run.ID, func(store.Run) bool { // its first try has failed
				return slices.ContainsFunc(disk.Steps(), func(s durabletest.Step) bool { return s.Op == durabletest.Link && s.Err != nil })
			})
			b.stop()
			db, err := sql.Open("sqlite", "file:"+filepath.Join(b.dir, "data", store.File))
			must(t, err)
			_, err = db.ExecContext(t.Context(), c.tamper)
			must(t, err)
			must(t, db.Close())
			disk.Fail(durabletest.Link, nil)
			b.start()
			b.eventually("the run to end", func() bool {
				run, err = b.store.Run(run.ID)
				must(t, err)
				return run.State.Ended()
			})
			if run.State != api.RunFailed || run.Reason != api.ReasonPublish || !strings.Contains(run.Message, c.says) {
				t.Errorf("run is %s(%s): %s", run.State, run.Reason, run.Message)
			}
			if _, err := os.Stat(filepath.Join(b.folder(occurrence), sink.SuccessName)); err == nil {
				t.Error("something was published")
			}
		})
	}
}
