package engine_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

const (
	worldRecords = 30 // of an occurrence
	worldRows    = 5  // records of a mini-batch
)

// world is a bench in which everything happens, with the model that knows what
// must come of it.
type world struct {
	r *rapid.T
	*bench
	*mortal
	scope   *scope
	cluster *cluster
	model   *model
	// progressive: parts are visible before their run has ended.
	progressive bool
	table       *somebody // nil: files

	keys   map[string][]int // input file → its records, in order
	next   int              // the next record's key
	rows   *sql.DB
	asked  map[string]*sql.Stmt
	day    int // of the newest occurrence
	faults []func()
	fails  map[int]int // record → answers 500 that its requests may get
	runs   []string
	seen   map[string]int64 // run → its version when the model heard of its end
	// settled are the records of each run that were staged, with the number
	// of requests seen by then.
	settled map[string]map[int]int
}

func newWorld(t *testing.T, r *rapid.T, dir string, k kind) *world {
	w := &world{r: r, mortal: newMortal(dir), scope: &scope{TB: t}, keys: map[string][]int{}, seen: map[string]int64{}, settled: map[string]map[int]int{}, fails: map[int]int{}}
	w.model = newModel(k.policy, k.mode != api.ModeFull)
	w.model.comesBack = k.write != "" && k.mode != api.ModeWatermark
	w.progressive = k.publish == api.PublishProgressive
	b := &bench{t: t, dir: dir, server: predicttest.New(predicttest.Options{}), fs: w.mortal, log: slog.New(slog.DiscardHandler), slots: 2,
		clock: w.now, storeClock: w.storeNow}
	w.bench = b
	b.output = filepath.Join(dir, "out")
	w.cluster = &cluster{model: b.server, now: w.now}
	b.reach, b.launch = way{w.mortal, w.cluster.transport(w.scope)}, w.cluster.launch
	must(t, os.MkdirAll(filepath.Join(dir, "in"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "in", "server"), []byte("the model"), 0o755)) // it is looked at, never run

	b.input = filepath.Join(dir, "in", "{date}.csv")
	b.job = b.baseJob()
	b.job.Predict.Endpoint, b.job.Predict.Server = nil, &api.Server{Command: []string{filepath.Join(dir, "in", "server")}, Replicas: new(rapid.Int64Range(1, 2).Draw(r, "replicas"))}
	b.job.Retry = &api.Retry{Policy: k.policy}
	if w.progressive {
		b.job.Output.Publish = k.publish
	}
	if k.mode == api.ModeNewFiles {
		b.job.Input.Mode, b.job.Input.Files.URI, b.job.Input.Files.MinAge = k.mode, filepath.Join(dir, "in", "*.csv"), "1m"
	}
	b.job.MiniBatch.Rows, b.job.MiniBatch.Timeout = new(int64(worldRows)), "5m"
	b.job.Predict.RowsPerRequest = new(rapid.Int64Range(1, worldRows).Draw(r, "rows per request"))
	w.setUp()
	if k.write != "" {
		w.table = newSomebody(w, k)
	}
	b.start()
	w.queue()
	return w
}

// setUp draws what a run is executed with.
func (w *world) setUp() {
	w.job.Parallelism = new(rapid.Int64Range(1, 4).Draw(w.r, "parallelism"))
	w.job.Retry.Backoff = []api.Duration{"5s", "20s"}
	if w.model.policy != api.PolicyComplete {
		w.job.MaxFailed = rapid.SampledFrom([]string{"0", "1%", "30%", "100%"}).Draw(w.r, "max_failed")
	}
	if w.model.policy != api.PolicyNextBatch {
		w.job.Retry.Attempts = new(rapid.Int64Range(1, 3).Draw(w.r, "attempts"))
	}
}

// write adds an input file of records that no other holds; some of them can't
// be read.
func (w *world) write(path string, n int) {
	lines := []string{"id,a,b"}
	bad := rapid.SliceOfN(rapid.IntRange(0, n-1), 0, min(n, 4)).Draw(w.r, "bad records")
	for i := range n {
		w.next++
		line := fmt.Sprintf("%d,%d,0.5", w.next, w.next)
		if slices.Contains(bad, i) {
			line, w.model.bad[w.next] = "ragged", true
		}
		lines, w.keys[path] = append(lines, line), append(w.keys[path], w.next)
	}
	must(w.t, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644))
	aged := w.now().Add(-3 * time.Hour) // whatever the clock does
	must(w.t, os.Chtimes(path, aged, aged))
}

// queue has another run due. Where records are owed from run to run each has an
// occurrence of its own; elsewhere some are of one that there was before.
func (w *world) queue() {
	if w.day == 0 || w.table != nil || w.model.remembers() || rapid.Bool().Draw(w.r, "another day") {
		w.day++
	}
	at := occurrence.AddDate(0, 0, w.day-1)
	switch path := filepath.Join(w.dir, "in", at.Format("2006-01-02")+".csv"); {
	case w.table != nil:
	case w.keys[path] != nil:
	case w.model.incremental:
		w.write(path, rapid.IntRange(1, 12).Draw(w.r, "new records"))
	default:
		w.write(path, worldRecords)
	}
	w.runs = append(w.runs, w.bench.queue(at).ID)
	w.live()
}

// live goes on from the image of the disk, if the process died meanwhile.
func (w *world) live() {
	if w.isDead() {
		w.recover()
	}
}

func (w *world) recover() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	must(w.t, w.engine.Stop(ctx))
	_ = w.store.Close() // whatever of it is left
	if w.table != nil {
		w.table.release()
	}
	w.cluster.kill() // as their parent dies
	w.forget()
	w.rise(w.t, rapid.Bool().Draw(w.r, "power cut"))
	w.open()
	// What was asked for in the last moment may never have come to be.
	w.runs = slices.DeleteFunc(w.runs, func(id string) bool {
		_, err := w.store.Run(id)
		return errors.Is(err, store.ErrNotFound)
	})
	w.ends = map[string][]string{}
	for _, id := range w.runs {
		w.ends[id] = w.endsOf(id)
	}
	if w.table != nil && w.table.ahead() {
		w.reached["commit in doubt"]++
	}
	must(w.t, w.engine.Start(w.t.Context()))
}

// observe holds every run to the law, as it stands, and has the model judge
// those that ended.
func (w *world) observe() {
	w.live()
	for _, id := range w.runs {
		if w.rests(id) {
			continue
		}
		run, err := w.store.Run(id)
		must(w.t, err)
		c, m := run.Counts, run.MiniBatches
		switch {
		case w.isDead(): // this may never have been
		case !c.Balanced():
			w.r.Fatalf("%s run %s: the accounting law is broken: %+v", run.State, id, c)
		case m.Total != m.Pending+m.Running+m.RetryWait+m.Staged+m.Committed+m.GivenUp+m.Cancelled:
			w.r.Fatalf("%s run %s: mini-batches do not add up: %+v", run.State, id, m)
		case run.State.Ended() && m.Running > 0:
			w.r.Fatalf("%s run %s has running mini-batches: %+v", run.State, id, m)
		}
	}
	ended := w.ended()
	for _, id := range ended {
		run, err := w.store.Run(id)
		must(w.t, err)
		e := w.ending(run)
		if w.isDead() {
			break // it may not have ended at all
		}
		w.seen[run.ID] = run.Version
		if run.State == api.RunCancelled || run.State == api.RunSkipped {
			delete(w.settled, run.ID)
			if err := w.cancelled(e); err != nil {
				w.r.Fatalf("%v\n%s", err, w.books())
			}
			delete(w.model.resumed, run.ID)
			continue
		}
		if err := w.judged(e); err != nil {
			w.r.Fatalf("%v\n%s", err, w.books())
		}
		w.settle(e)
	}
	switch {
	case len(ended) == 0:
	case w.table != nil:
		w.table.check(false)
	default:
		w.checkMemory()
	}
	w.live()
}

// cancelled has the model hear of a run that was cancelled: what is visible of it
// stays.
func (w *world) cancelled(e ending) error {
	if w.table != nil {
		return nil
	}
	err := w.model.plans(e)
	if err == nil && e.counts.Committed > 0 {
		err = w.model.end(e)
	}
	return err
}

// judged has the model judge how a run ended. What becomes of a table is told by
// what is in it.
func (w *world) judged(e ending) error {
	if w.table == nil {
		return errors.Join(w.model.plans(e), w.model.end(e))
	}
	return w.model.endTable(e)
}

// settle notes what a run that rests has staged or committed.
func (w *world) settle(e ending) {
	sent := len(w.server.Sends())
	settled := w.settled[e.run]
	if settled == nil || w.model.policy == api.PolicyComplete { // which may begin anew
		settled = map[int]int{}
	}
	for _, s := range e.slices {
		for _, key := range s.keys {
			_, known := settled[key]
			if _, dead := e.dead[key]; s.result && !dead && !known {
				settled[key] = sent
			}
		}
	}
	w.settled[e.run] = settled
}

func (w *world) stop() {
	w.live()
	w.forget()
	w.bench.stop()
	w.rest()
	if w.table != nil {
		w.table.close()
	}
	w.scope.close()
}

// await waits until a run rests.
func (w *world) await(id string) (run store.Run, found bool) {
	for pause := time.Second; pause < 24*time.Hour; pause += pause / 4 {
		w.observe()
		if !slices.Contains(w.runs, id) {
			return run, false
		}
		run, err := w.store.Run(id)
		must(w.t, err)
		if run.State.Ended() {
			return run, true
		}
		time.Sleep(pause)
	}
	run, err := w.store.Run(id)
	w.r.Fatalf("run %s hangs in %s: %+v %+v %v", id, run.State, run.Counts, run.MiniBatches, err)
	return run, false
}

// finish repairs everything and brings every run to the best end it can have.
func (w *world) finish() {
	w.heal()
	w.makeRoom()
	w.disarm()
	w.server.Release()
	w.job.MaxFailed, w.job.Parallelism = "100%", new(int64(4))
	if w.model.policy == api.PolicyComplete {
		w.job.MaxFailed = ""
	}
	w.put()
	for _, id := range slices.Clone(w.runs) {
		w.complete(id)
	}
	for n := range 5 { // what is owed is for the next run
		if w.table == nil && (!w.model.remembers() || len(w.model.owed) == 0) || w.table != nil && n > 0 && !w.owes() {
			break
		}
		if w.table != nil {
			w.table.pass()
		}
		w.queue()
		w.complete(w.runs[len(w.runs)-1])
	}
}

// complete retries a run until nothing of it is left, or it is not its turn.
func (w *world) complete(id string) {
	for tries := 0; ; tries++ {
		run, found := w.await(id)
		if !found || run.State == api.RunSkipped || run.Reason == api.ReasonInputEmpty || run.State == api.RunSucceeded || run.State == api.RunIncomplete && run.Counts.Unfinished+run.Counts.Carried == 0 {
			return
		}
		if w.hopeless(run) {
			return
		}
		if !w.retryRun(id, api.RetryRun{}) {
			return
		}
		if tries > 5 {
			w.r.Fatalf("run %s does not succeed: %s(%s) %+v %s", id, run.State, run.Reason, run.Counts, run.Message)
		}
	}
}

// hopeless tells whether no retry of a run can succeed: the policy wants all of
// its records, and some can't be read; or none can.
func (w *world) hopeless(run store.Run) bool {
	e := w.ending(run)
	bad, all := int(run.Counts.Gone), 0
	for _, s := range e.slices {
		for _, key := range s.keys {
			all++
			if _, dead := e.dead[key]; dead || w.model.bad[key] {
				bad++
			}
		}
	}
	return all <= bad || bad > 0 && w.model.policy == api.PolicyComplete
}
