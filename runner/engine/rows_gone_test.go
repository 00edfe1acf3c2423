package engine_test

import (
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

// fills has predictions go to the rows that the job reads.
func (i items) fills() {
	b := i.b
	b.job.Output = api.Output{Keep: []string{}, SQL: &api.OutputSQL{DSN: b.job.Input.SQL.DSN, Table: "items", Write: api.WriteUpdate, JSONColumn: "prediction"}}
	b.job.Parallelism = new(int64(1))
}

// Rows that are deleted before they could be written are of no more use to a job
// that takes each row once: its run has done what there was to do, and so does
// the next.
func TestAnIncrementalRunWhoseRowsAreAllGoneSucceeds(t *testing.T) {
	for _, publish := range []string{api.PublishProgressive, api.PublishOnComplete} {
		t.Run(publish, func(t *testing.T) {
			beyond(t, 5, func(b *bench, table items) {
				table.fills()
				b.job.Output.Publish = publish
				deletes := b.during("1", func() { table.do(`DELETE FROM items`) })
				run := b.day(0)
				deletes()
				b.expect(run, "succeeded() 0/0/0/0")
				if run.Counts.Gone != 5 || run.Message != "5 of 5 records had no row to be written to: deleted 5" {
					b.t.Errorf("%d are gone: %s", run.Counts.Gone, run.Message)
				}
				if b.mark() == "" {
					b.t.Error("the mark has not moved")
				}
				b.expect(b.day(1), "succeeded() 0/0/0/0")
				table.more(6, 8)
				b.expect(b.day(2), "succeeded() 3/0/0/0")
			})
		})
	}
}

// What is owed of rows that somebody has deleted since is settled by the next
// run, whatever else there is.
func TestOwedRowsThatAreAllGoneAreSettled(t *testing.T) {
	beyond(t, 10, func(b *bench, table items) {
		table.fills()
		repair := b.transient(6)
		r0 := b.day(0)
		b.expect(r0, "incomplete() 5/5/0/0")
		table.do(`DELETE FROM items WHERE id > 5`)
		repair()
		r1 := b.day(1)
		b.expect(r1, "succeeded() 0/0/0/0")
		if r1.Counts.Gone != 5 {
			b.t.Errorf("%d are gone", r1.Counts.Gone)
		}
		b.expectOwed("", r0, r1)
		r2 := b.day(2)
		b.expect(r2, "succeeded() 0/0/0/0")
		if r2.Counts.Planned != 0 {
			b.t.Errorf("the next run plans %d", r2.Counts.Planned)
		}
	})
}

// during has something happen while a record is being predicted, once.
func (b *bench) during(record string, happens func()) (remove func()) {
	return b.server.Inject(predicttest.Fault{Record: record, Times: 1, Delay: 1, Do: happens})
}
