package engine_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

// A prediction that the table does not take is a dead letter of its row: it keeps
// no other row from being written, in this run or the next.
// refuseRows has the table refuse predictions for some rows.
func (i *table) refuseRows(ids string) {
	i.t.Helper()
	i.exec(`CREATE TRIGGER refuses BEFORE UPDATE OF score ON items WHEN NEW.id IN (` + ids + `) BEGIN SELECT RAISE(ABORT, 'no such score'); END`)
}

// letters are the dead letters of a run: class, key and error.
func (i *table) letters(run string) (said []string) {
	i.t.Helper()
	must(i.t, i.store.DeadLetters(run, func(letter api.DeadLetter) error {
		said = append(said, string(letter.Class)+" "+letter.Key["id"]+" "+letter.Error)
		return nil
	}))
	return said
}

func TestAPredictionThatTheTableRefusesIsADeadLetter(t *testing.T) {
	for _, publish := range []string{api.PublishProgressive, api.PublishOnComplete} {
		intoTable(t, func(b *table) {
			b.job.Output.Publish = publish
			b.job.MaxFailed = "20%"
			b.server.Inject(predicttest.Fault{Record: "9", Status: 422})
			b.refuseRows("7, 10, 21")
			run := b.day(0)
			b.expect(run, "incomplete() 26/0/4/0")
			b.expectPredicted(slices.Concat(numbers(1, 6), []string{"8"}, numbers(11, 20), numbers(22, 30))...)
			said := b.letters(run.ID)
			if len(said) != 4 || !strings.HasPrefix(said[0], "data 7 ") || !strings.Contains(said[0], "the table refuses the prediction: ") || !strings.Contains(said[0], "no such score") ||
				!strings.HasPrefix(said[2], "data 10 ") || !strings.HasPrefix(said[3], "data 21 ") {
				b.t.Errorf("the dead letters say %q", said)
			}
			if got := b.text(`SELECT SUM(rows) FROM _batch_commits WHERE run = ?`, run.ID); got != "26" {
				b.t.Errorf("the markers say %s", got)
			}
		})
	}
}

// What a table refuses is known only when it is written. It is judged as any
// failure is, though the run was published but for it.
func TestARunOfWhichTheTableRefusesTooMuchIsWithheld(t *testing.T) {
	intoTable(t, func(b *table) {
		b.job.Output.Publish = api.PublishOnComplete
		b.job.MaxFailed = "1"
		b.refuseRows("7, 21")
		run := b.day(0)
		b.expect(run, "failed(max_failed) 0/0/2/28")
		b.expectPredicted()
		_, err := b.engine.Accept(b.t.Context(), run.ID, "good enough", "test")
		must(b.t, err)
		b.expect(b.rested(run.ID), "incomplete(accepted) 28/0/2/0")
	})
}

func TestAnAcceptedRunIsPublishedButForWhatTheTableRefuses(t *testing.T) {
	intoTable(t, func(b *table) {
		b.job.Output.Publish = api.PublishOnComplete
		b.job.MaxFailed = "0"
		b.refuse("18")
		run := b.day(0)
		b.expect(run, "failed(max_failed) 0/0/1/29")
		b.refuseRows("7")
		_, err := b.engine.Accept(b.t.Context(), run.ID, "good enough", "test")
		must(b.t, err)
		b.expect(b.rested(run.ID), "incomplete(accepted) 18/0/2/10")
	})
}

// A crash at any step of leaving records out changes nothing about how the run
// ends.
func TestACrashWhileRecordsAreLeftOutIsGoneOnFrom(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		step, cut := int64(1), true
		for ; cut; step += stride {
			m, b := newMortalBench(t, filepath.Join(dir, fmt.Sprint(step)))
			i := newTable(b, 6)
			var lock *sql.Tx
			m.dying = func() { lock, _ = i.db.Begin() } // what a dead process writes since was never written
			b.job.Output.Publish = api.PublishOnComplete
			i.refuseRows("2, 4")
			b.start()
			id := b.queue(occurrence).ID
			m.dieAfter("", step)
			time.Sleep(10 * time.Minute) // however far it gets
			if cut = m.isDead(); cut {
				b.die()
				must(t, lock.Rollback())
				m.rise(t, true)
				b.start()
			}
			b.expect(b.rested(id), "incomplete() 3/0/3/0")
			i.expectPredicted("1", "3", "6")
			if letters := i.letters(id); len(letters) != 3 {
				t.Errorf("cut at step %d: the dead letters say %q", step, letters)
			}
			if got := i.text(`SELECT SUM(rows) || ' ' || COUNT(*) FROM _batch_commits`); got != "3 2" {
				t.Errorf("cut at step %d: the markers say %s", step, got)
			}
			b.stop()
			must(t, i.db.Close())
		}
		t.Logf("%d steps", step-2)
	})
}

// A redrive writes what the table takes; the rest is as dead as before.
func TestARedriveOfWhichTheTableRefusesSome(t *testing.T) {
	for _, publish := range []string{api.PublishProgressive, api.PublishOnComplete} {
		intoTable(t, func(b *table) {
			b.job.Output.Publish = publish
			accept := b.refuse("1", "13", "14", "15")
			run := b.day(0)
			b.expect(run, "incomplete() 26/0/4/0")
			accept()
			b.refuseRows("14")
			b.redrive(run.ID)
			run = b.rested(run.ID)
			b.expect(run, "incomplete() 29/0/1/0")
			if said := b.letters(run.ID); len(said) != 1 || !strings.HasPrefix(said[0], "data 14 ") || !strings.Contains(said[0], "no such score") {
				b.t.Errorf("the dead letters say %q", said)
			}
			b.exec(`DROP TRIGGER refuses`)
			b.redrive(run.ID)
			run = b.rested(run.ID)
			b.expect(run, "succeeded() 30/0/0/0")
			b.expectPredicted(numbers(1, 30)...)
		})
	}
}

// A redrive that fails by what the table refuses leaves nothing of itself there,
// also of other mini-batches: their records are dead letters still.
func TestARedriveOfWhichTheTableRefusesTooMuch(t *testing.T) {
	for _, publish := range []string{api.PublishProgressive, api.PublishOnComplete} {
		intoTable(t, func(b *table) {
			b.job.Output.Publish = publish
			b.job.MaxFailed = "1"
			accept := b.refuse("21", "28", "29") // the last of them in the last mini-batch
			run := b.day(0)
			accept()
			if publish == api.PublishOnComplete { // the redrive is one of what is in the table
				_, err := b.engine.Accept(b.t.Context(), run.ID, "good enough", "test")
				must(b.t, err)
				run = b.rested(run.ID)
			}
			left := slices.Concat(numbers(1, 20), numbers(22, 27), []string{"30"})
			b.expectPredicted(left...)
			b.refuseRows("28, 29")
			b.redrive(run.ID)
			b.expect(b.rested(run.ID), "failed(max_failed) 27/0/3/0")
			b.expectPredicted(left...)
			if letters := b.letters(run.ID); len(letters) != 3 {
				b.t.Errorf("the dead letters say %q", letters)
			}
		})
	}
}

// A table that takes none of them is not theirs: the run says so, and no row is
// written off.
func TestATableThatTakesNoPredictionFailsTheRun(t *testing.T) {
	for _, publish := range []string{api.PublishProgressive, api.PublishOnComplete} {
		intoTable(t, func(b *table) {
			b.job.Output.Publish = publish
			b.exec(`CREATE TRIGGER refuses BEFORE UPDATE OF score ON items BEGIN SELECT RAISE(ABORT, 'closed'); END`)
			run := b.day(0)
			b.expect(run, "failed(publish) 0/0/0/30")
			if !strings.Contains(run.Message, "takes none of the predictions") || strings.Count(run.Message, "closed") != 1 || strings.Count(run.Message, "correct the columns") != 1 {
				b.t.Errorf("the run says: %s", run.Message)
			}
			b.exec(`DROP TRIGGER refuses`)
			b.expect(b.retry(run.ID), "succeeded() 30/0/0/0")
		})
	}
}

// Mini-batches that hold nothing else are as dead as single records, wherever
// they stand: they do not keep the rest from being predicted.
func TestAMiniBatchThatTheTableRefusesWhole(t *testing.T) {
	for _, publish := range []string{api.PublishProgressive, api.PublishOnComplete} {
		for _, ids := range []string{"1, 2, 3, 4, 5", "11, 12, 13, 14, 15"} {
			intoTable(t, func(b *table) {
				b.job.Output.Publish = publish
				b.refuseRows(ids)
				run := b.day(0)
				b.expect(run, "incomplete() 25/0/5/0")
				if said := b.letters(run.ID); len(said) != 5 || !strings.Contains(said[4], "no such score") {
					b.t.Errorf("the dead letters say %q", said)
				}
			})
		}
	}
}
