package engine_test

import (
	"strings"
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

// A run whose rows were all deleted before they could be written has failed, and
// moves nothing. What it owed goes with the next rows that are committed.
func TestAnIncrementalRunWhoseRowsAreAllGoneMovesNothing(t *testing.T) {
	for _, publish := range []string{api.PublishProgressive, api.PublishOnComplete} {
		t.Run(publish, func(t *testing.T) {
			beyond(t, 5, func(b *bench, table items) {
				table.fills()
				b.job.Output.Publish = publish
				deletes := b.during("1", func() { table.do(`DELETE FROM items`) })
				run := b.day(0)
				deletes()
				b.expect(run, "failed(nothing_succeeded) 0/0/0/0")
				if run.Counts.Gone != 5 || !strings.Contains(run.Message, "had no row to be written to") {
					b.t.Errorf("%d are gone: %s", run.Counts.Gone, run.Message)
				}
				if mark := b.mark(); mark != "" {
					b.t.Errorf("the mark has moved to %s", mark)
				}
				table.more(6, 8)
				b.expect(b.day(1), "succeeded() 3/0/0/0")
			})
		})
	}
}

func TestOwedRowsThatAreAllGoneAreSettledWithTheNext(t *testing.T) {
	beyond(t, 10, func(b *bench, table items) {
		table.fills()
		repair := b.transient(6)
		r0 := b.day(0)
		b.expect(r0, "incomplete() 5/5/0/0")
		table.do(`DELETE FROM items WHERE id > 5`)
		repair()
		b.expect(b.day(1), "failed(nothing_succeeded) 0/0/0/0")
		b.expectOwed("r0:5*1", r0)
		table.more(11, 13)
		r2 := b.day(2)
		b.expect(r2, "succeeded() 3/0/0/0")
		if r2.Counts.Gone != 5 {
			b.t.Errorf("%d are gone", r2.Counts.Gone)
		}
		b.expectOwed("", r0, r2)
	})
}

// during has something happen while a record is being predicted, once.
func (b *bench) during(record string, happens func()) (remove func()) {
	return b.server.Inject(predicttest.Fault{Record: record, Times: 1, Delay: 1, Do: happens})
}
