package engine_test

import (
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

// A prediction that the table does not take is a dead letter of its row: it keeps
// no other row from being written, in this run or the next.
func TestAPredictionThatTheTableRefusesIsADeadLetter(t *testing.T) {
	intoTable(t, func(b *table) {
		b.job.MaxFailed = "10%"
		b.server.Inject(predicttest.Fault{Record: "9", Status: 422})
		b.exec(`CREATE TRIGGER refuses BEFORE UPDATE OF score ON items WHEN NEW.id IN (7, 10) BEGIN SELECT RAISE(ABORT, 'no seven'); END`)
		run := b.day(0)
		b.expect(run, "incomplete() 27/0/3/0")
		left := append(numbers(1, 6), "8")
		b.expectPredicted(append(left, numbers(11, 30)...)...)
		var said []string
		must(b.t, b.store.DeadLetters(run.ID, func(letter api.DeadLetter) error {
			said = append(said, string(letter.Class)+" "+letter.Key["id"]+" "+letter.Error)
			return nil
		}))
		if len(said) != 3 || !strings.HasPrefix(said[0], "data 7 ") || !strings.Contains(said[0], "the table refuses the prediction: ") || !strings.Contains(said[0], "no seven") ||
			!strings.HasPrefix(said[2], "data 10 ") {
			b.t.Errorf("the dead letters say %q", said)
		}
		if got := b.text(`SELECT SUM(rows) FROM _batch_commits WHERE run = ?`, run.ID); got != "27" {
			b.t.Errorf("the markers say %s", got)
		}
	})
}

// A table that takes none of them is not theirs: the run says so, and no row is
// written off.
func TestATableThatTakesNoPredictionFailsTheRun(t *testing.T) {
	intoTable(t, func(b *table) {
		b.exec(`CREATE TRIGGER refuses BEFORE UPDATE OF score ON items BEGIN SELECT RAISE(ABORT, 'closed'); END`)
		run := b.day(0)
		if run.State != api.RunFailed || run.Reason != api.ReasonPublish || run.Counts.DeadLettered != 0 || !strings.Contains(run.Message, "takes none of the 5 records") || !strings.Contains(run.Message, "closed") {
			b.t.Errorf("the run is %s (%s), %+v: %s", run.State, run.Reason, run.Counts, run.Message)
		}
	})
}
