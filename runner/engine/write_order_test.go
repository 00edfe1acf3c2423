package engine_test

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"modernc.org/sqlite"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// rows hears of rows inside the transactions that write them: the store itself
// calls it, by triggers.
var rows struct {
	sync.Mutex
	heard func(kind, run, text string)
}

func init() {
	sqlite.MustRegisterScalarFunction("heard", 3, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		rows.Lock()
		defer rows.Unlock()
		if rows.heard != nil {
			rows.heard(fmt.Sprint(args[0]), fmt.Sprint(args[1]), fmt.Sprint(args[2]))
		}
		return int64(0), nil
	})
}

const triggers = `
CREATE TRIGGER staged AFTER UPDATE OF state ON mini_batches WHEN NEW.state = 'staged' AND NEW.staged_records > 0
	BEGIN SELECT heard('staged', NEW.run_id, NEW.staged_path); END;
CREATE TRIGGER committed AFTER UPDATE OF state ON mini_batches WHEN NEW.state = 'committed' AND NEW.staged_records > 0
	BEGIN SELECT heard('committed', NEW.run_id, printf('part-%06d.jsonl', NEW.number)); END;
CREATE TRIGGER published AFTER UPDATE OF state ON runs WHEN NEW.state IN ('succeeded', 'incomplete') AND NEW.revision > 0
	BEGIN SELECT heard('published', NEW.id, NEW.output); END;
CREATE TRIGGER removal AFTER DELETE ON removals
	BEGIN SELECT heard('removed', OLD.run_id, OLD.folder); END;`

// hearRows has the store's rows written down among the steps of its files.
func (b *bench) hearRows(disk *durabletest.Faulty) {
	b.t.Helper()
	rows.Lock()
	rows.heard = func(kind, run, text string) {
		switch kind {
		case "staged":
			disk.Note(filepath.Join(b.output, ".batch", run, text), durabletest.RowNames)
		case "committed":
			disk.Note(filepath.Join(b.folder(occurrence), text), durabletest.RowPublished)
		case "published":
			disk.Note(text, durabletest.RowPublished)
			disk.Note(filepath.Join(b.output, "_LATEST.json"), durabletest.RowPublished)
		case "removed":
			disk.Note(text, durabletest.RowPublished)
		}
	}
	rows.Unlock()
	b.t.Cleanup(func() {
		rows.Lock()
		defer rows.Unlock()
		rows.heard = nil
	})
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.dir, "data", store.File)+"?_pragma=busy_timeout(10000)")
	must(b.t, err)
	defer db.Close() //nolint:errcheck // nothing was written since
	_, err = db.ExecContext(b.t.Context(), triggers)
	must(b.t, err)
}

// Whatever a run goes through, no row names bytes that a power cut could take,
// nothing moves into place before it is durable, and no row says that it is
// visible before the move is.
func TestEverythingIsDurableBeforeARowSaysSo(t *testing.T) {
	repairable := func(b *bench) (repair func()) {
		b.job.MaxFailed = "50%"
		return b.server.Inject(predicttest.Fault{Record: "41", Status: 500})
	}
	retry := func(b *bench, run store.Run) store.Run {
		_, err := b.engine.Retry(b.t.Context(), run.ID, api.RetryRun{}, "test")
		must(b.t, err)
		return b.until(run.ID, func(now store.Run) bool { return now.State.Ended() && now.Attempt > run.Attempt })
	}
	histories := map[string]func(b *bench){
		"a run": func(b *bench) { b.run() },
		"a retry that revises": func(b *bench) {
			repair := repairable(b)
			run := b.run()
			repair()
			retry(b, run)
		},
		"a run again": func(b *bench) {
			b.run()
			b.run()
		},
		"a withheld run that is accepted": func(b *bench) {
			repairable(b)
			b.job.MaxFailed = "0"
			b.job.Parallelism = new(int64(1))
			run := b.run()
			_, err := b.engine.Accept(b.t.Context(), run.ID, "good enough", "test")
			must(b.t, err)
			b.until(run.ID, func(run store.Run) bool { return run.State == api.RunIncomplete })
		},
		"output that is removed": func(b *bench) {
			b.job.Output.KeepRuns = new(int64(1))
			b.run()
			b.nights(2, 2)
			b.eventually("the first night to go", func() bool { return b.there(2) == "2" })
		},
	}
	for name, history := range histories {
		for _, publish := range []string{api.PublishOnComplete, api.PublishProgressive} {
			t.Run(name+", "+publish, func(t *testing.T) {
				b := newBench(t)
				b.job.Output.Publish = publish
				lines := records(150)
				lines[7] = "ragged" // a dead letter
				b.writeInput(lines)
				disk := durabletest.New(durable.OS())
				b.fs = disk
				b.start()
				b.hearRows(disk)
				history(b)
				b.stop()

				named, published := 0, 0
				for _, step := range disk.Steps() {
					if step.Op == durabletest.Row && step.To == durabletest.RowNames {
						named++
					} else if step.Op == durabletest.Row {
						published++
					}
				}
				if named == 0 || published < 3 {
					t.Errorf("only %d staged and %d visible rows were heard", named, published)
				}
				if err := durabletest.CheckOrder(disk.Steps()); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// The recorder hears of a row that comes too early.
func TestARowBeforeItsBytesIsHeard(t *testing.T) {
	b := newBench(t)
	disk := durabletest.New(durabletest.NoSync())
	b.fs = disk
	b.start()
	b.hearRows(disk)
	b.run()
	b.stop()
	var steps []durabletest.Step
	for _, step := range disk.Steps() {
		if step.Op != durabletest.Sync || !strings.Contains(step.Path, ".batch") {
			steps = append(steps, step)
		}
	}
	if err := durabletest.CheckOrder(steps); err == nil || !strings.Contains(err.Error(), "is not synced") {
		t.Errorf("without a sync of staged parts: %v", err)
	}
}
