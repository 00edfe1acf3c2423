package engine_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

var histories = flag.Int("histories", drawnHistories, "how many histories are drawn")

// kind is what a history is of; write is empty where predictions go to files.
type kind struct{ policy, mode, publish, write string }

func (k kind) String() string {
	if k.write != "" {
		return "table " + k.write + ", " + k.policy + ", " + k.mode + ", " + k.publish
	}
	return "files, " + k.policy + ", " + k.mode + ", " + k.publish
}

// kinds are the combinations of policy, input mode, publishing and way to write.
var kinds = func() (all []kind) {
	add := func(mode string, writes ...string) {
		for _, policy := range []string{api.PolicyPartial, api.PolicyComplete, api.PolicyNextBatch} {
			for _, publish := range []string{api.PublishOnComplete, api.PublishProgressive} {
				for _, write := range writes {
					if policy != api.PolicyComplete || publish == api.PublishOnComplete {
						all = append(all, kind{policy, mode, publish, write})
					}
				}
			}
		}
	}
	add(api.ModeFull, "", api.WriteUpdate, api.WriteUpsert, api.WriteInsert)
	add(api.ModeNewFiles, "")
	add(api.ModePredicate, api.WriteUpdate)
	add(api.ModeWatermark, api.WriteUpdate, api.WriteUpsert, api.WriteInsert)
	return all
}()

// Whatever happens to runs, in whatever order: the accounts balance at every
// moment, what is staged is not sent again, each run ends as the model says it
// may, and once all is repaired every record has exactly one outcome, which is
// the same in the store, in the model and in what is published.
func TestWhateverHappensEveryRecordHasOneOutcome(t *testing.T) {
	const lanes, chunk = 2, 100 // rapid gives up after a day, by the clock of the bubble
	_, err := freshStore()
	must(t, err)
	each := min((*histories+lanes-1)/lanes, chunk)
	checks := flag.Lookup("rapid.checks")
	before := checks.Value.String()
	must(t, flag.Set("rapid.checks", fmt.Sprint(each)))
	t.Cleanup(func() { must(t, flag.Set("rapid.checks", before)) })
	var drawn tally
	start := time.Now()
	t.Run("histories", func(t *testing.T) {
		for lane := range lanes {
			t.Run(fmt.Sprint(lane), func(t *testing.T) {
				t.Parallel()
				dir := memoryDir(t)
				for n := 0; lanes*n < *histories && !t.Failed(); n += each {
					synctest.Test(t, func(t *testing.T) { // no wait takes time, and there is no deadline to ask for
						rapid.Check(struct{ testing.TB }{t}, func(r *rapid.T) { history(t, r, filepath.Join(dir, "world"), &drawn) })
					})
				}
			})
		}
	})
	t.Logf("%d histories in %s\n%s", *histories, time.Since(start).Round(time.Millisecond), drawn.table())
	if *histories >= 10_000 {
		for what, n := range drawn.counts {
			if n < 100 {
				t.Errorf("%s was drawn %d times only", what, n)
			}
		}
	}
}

// someKind draws each kind as often as any other, unlike rapid, which has those in
// front drawn more often.
func someKind(r *rapid.T) kind {
	n := 0
	for range 12 {
		n *= 2
		if rapid.Bool().Draw(r, "bit") {
			n++
		}
	}
	return kinds[n%len(kinds)]
}

// history is one of them.
func history(t *testing.T, r *rapid.T, dir string, drawn *tally) {
	k := someKind(r)
	w := newWorld(t, r, dir, k)
	defer os.RemoveAll(dir) //nolint:errcheck // it goes with the test at the latest
	defer w.stop()
	drawn.add("world: " + k.String())
	names := eventNames[:len(events)-inTables]
	if w.table != nil {
		names = eventNames
	}
	for range rapid.IntRange(3, 12).Draw(r, "steps") {
		i := slices.IndexFunc(events, named(rapid.SampledFrom(names).Draw(r, "event")))
		drawn.add(events[i].name)
		events[i].happens(w)
		w.observe()
	}
	w.finish()
	w.check()
	for where, n := range w.reached {
		drawn.addN("died at: "+where, n)
	}
}

// event is something that may happen to a world.
type event struct {
	name    string
	happens func(*world)
}

var events = []event{
	{"time passes", (*world).let},
	{"time passes", (*world).let},
	{"data error on some records", (*world).refuse},
	{"server error", (*world).serverError},
	{"server error for good", func(w *world) { w.strikeForGood(predicttest.Fault{Status: 500}) }},
	{"429", func(w *world) {
		w.strike(predicttest.Fault{Status: 429, Times: 3, Header: map[string]string{"Retry-After": "40"}})
	}},
	{"not authorized", func(w *world) { w.strike(predicttest.Fault{Status: 401}) }},
	{"too large", func(w *world) { w.strike(predicttest.Fault{MoreThan: 2, Status: 413}) }},
	{"timeout", func(w *world) { w.suspect(predicttest.Fault{Delay: time.Minute, Times: w.times()}) }},
	{"hang", func(w *world) { w.suspect(predicttest.Fault{Hang: true, Times: w.times()}) }},
	{"server death", func(w *world) { w.cluster.kill() }},
	{"server death at a record", func(w *world) { w.suspect(predicttest.Fault{Times: w.times(), Do: w.cluster.kill}) }},
	{"deadly record", func(w *world) { w.strikeForGood(predicttest.Fault{Do: w.cluster.kill}) }},
	{"record that hangs", func(w *world) { w.strikeForGood(predicttest.Fault{Hang: true}) }},
	{"slow answer", func(w *world) { w.strike(predicttest.Fault{Delay: time.Second}) }},
	{"connection reset", func(w *world) { w.strike(predicttest.Fault{Reset: true, Times: w.times()}) }},
	{"answer cut short", func(w *world) { w.strike(predicttest.Fault{Truncate: true, Times: w.times()}) }},
	{"answer too short", func(w *world) { w.strikeForGood(predicttest.Fault{Short: 1}) }},
	{"answer is no JSON", func(w *world) { w.strike(predicttest.Fault{BadJSON: true, Times: 1}) }},
	{"heal", (*world).heal},
	{"crash", (*world).crash},
	{"crash", (*world).crash},
	{"store stall of 30 s", func(w *world) { w.stall.Store(int64(30 * time.Second)) }},
	{"late worker", func(w *world) { w.lag.Store(int64(6 * time.Minute)) }},
	{"no space", func(w *world) { w.disk.SetSpace(rapid.Int64Range(0, 2000).Draw(w.r, "space")) }},
	{"make room", (*world).makeRoom},
	{"clock + 2 h", func(w *world) { w.skew.Add(int64(2 * time.Hour)) }},
	{"clock - 2 h", func(w *world) { w.skew.Add(-int64(2 * time.Hour)) }},
	{"cancel", (*world).cancel},
	{"skip", (*world).skip},
	{"retry", (*world).retry},
	{"redrive", (*world).redrive},
	{"accept", (*world).accept},
	{"spec edit", (*world).edit},
	{"drain", (*world).restart},
	{"second run due", (*world).queue},
	// In worlds with a table only.
	{"rows added", func(w *world) { w.table.add(rapid.IntRange(1, 5).Draw(w.r, "new rows")) }},
	{"rows changed", func(w *world) { w.table.change() }},
	{"rows deleted", func(w *world) { w.table.remove() }},
	{"rows filled by somebody", func(w *world) { w.table.fill() }},
	{"table locked", func(w *world) { w.table.hold() }},
}

const inTables = 5

// eventNames are what failures print; the first is what they shrink to.
var eventNames = func() (names []string) {
	for _, e := range events {
		names = append(names, e.name)
	}
	return names
}()

func named(name string) func(event) bool { return func(e event) bool { return e.name == name } }

func (w *world) times() int { return rapid.IntRange(1, 6).Draw(w.r, "times") }

// strike has a fault of the server befall requests that hold some record.
func (w *world) strike(f predicttest.Fault) (record int) {
	if f.MoreThan == 0 {
		record = w.someRecord()
		f.Record = fmt.Sprint(record)
	}
	w.faults = append(w.faults, w.server.Inject(f))
	return record
}

// blamed is how often an answer 500 to a record alone is needed before it is
// the record's: four tries of its request, and of each of two confirmations.
const blamed = 3 * 4

// serverError has a record's requests answered 500 a few times. Where several of
// these come together, they can't be told from bad data.
func (w *world) serverError() {
	f := predicttest.Fault{Status: 500, Times: w.times()}
	record := w.strike(f)
	if w.fails[record] += f.Times; w.fails[record] >= blamed {
		w.model.suspected[record] = true
	}
}

// strikeForGood has a fault that can't be told from bad data, until it heals.
func (w *world) strikeForGood(f predicttest.Fault) {
	f.Purpose = predicttest.AnyPurpose
	w.suspect(f)
}

// suspect has a fault for which a record may be blamed, rightly or not.
func (w *world) suspect(f predicttest.Fault) {
	record := w.someRecord()
	w.model.suspected[record], f.Record = true, fmt.Sprint(record)
	w.faults = append(w.faults, w.server.Inject(f))
}

func (w *world) someRecord() int { return rapid.IntRange(1, w.next).Draw(w.r, "record") }

func (w *world) refuse() {
	for range rapid.IntRange(1, 3).Draw(w.r, "how many") {
		w.strikeForGood(predicttest.Fault{Status: 400})
	}
}

func (w *world) heal() {
	for _, remove := range w.faults {
		remove()
	}
	w.faults = nil
}

func (w *world) makeRoom() { w.disk.SetSpace(-1) }

func (w *world) edit() {
	w.setUp()
	w.put()
	w.live()
}

// crash lets the process die at one of its next steps: of any kind, or of one.
func (w *world) crash() {
	kinds, most := []string{"", "file", "transaction", "request"}, int64(30)
	if w.table != nil {
		kinds = append([]string{"commit"}, kinds...)
	}
	kind := rapid.SampledFrom(kinds).Draw(w.r, "crash at")
	if kind == "commit" {
		most = 3
	}
	w.dieAfter(kind, rapid.Int64Range(1, most).Draw(w.r, "steps to the crash"))
	if rapid.Bool().Draw(w.r, "with work to do") {
		w.queue()
	}
	w.let()
}

// disarm takes back what has not happened yet.
func (w *world) disarm() {
	w.dieAfter("", 0)
	w.stall.Store(0)
	w.lag.Store(0)
	w.live()
}

func (w *world) pick() string { return rapid.SampledFrom(w.runs).Draw(w.r, "run") }

// expected are the answers to what a run can't do as it stands.
func (w *world) expected(err error) {
	if err != nil && api.CodeOf(err) != api.CodeConflict && api.CodeOf(err) != api.CodeNotFound {
		w.r.Fatal(err)
	}
	w.live()
}

func (w *world) cancel() {
	run := w.pick()
	_, err := w.engine.Cancel(w.t.Context(), run, "test")
	if err == nil {
		delete(w.settled, run)
	}
	w.expected(err)
}

// skip takes a run out of the queue, as the trigger does with one that a newer
// occurrence replaces.
func (w *world) skip() {
	id := w.pick()
	err := w.store.Write(w.t.Context(), func(tx *store.Tx) error {
		run, err := tx.Run(id)
		if err == nil && run.State == api.RunQueued && run.StartedAt.IsZero() {
			_, err = tx.MoveRun(run, store.RunChange{To: api.RunSkipped, Reason: api.ReasonReplaced, Actor: bySkip})
		}
		return err
	})
	must(w.t, err)
	w.live()
}

func (w *world) retry() { w.retryRun(w.pick(), api.RetryRun{}) }

func (w *world) retryRun(id string, how api.RetryRun) (goesOn bool) {
	_, err := w.engine.Retry(w.t.Context(), id, how, "test")
	if err == nil {
		w.model.resumed[id] = true
	}
	w.expected(err)
	return err == nil
}

// redrive retries a run with its dead letters.
func (w *world) redrive() { w.retryRun(w.pick(), api.RetryRun{DeadLetters: true}) }

func (w *world) accept() {
	_, err := w.engine.Accept(w.t.Context(), w.pick(), "why not", "test")
	w.expected(err)
}

func (w *world) restart() {
	w.stopWithin(rapid.SampledFrom([]time.Duration{0, 100 * time.Millisecond, time.Minute}).Draw(w.r, "drain timeout"))
	if w.isDead() {
		w.recover()
		return
	}
	w.start()
}

// let lets a while go by.
func (w *world) let() {
	time.Sleep(rapid.SampledFrom([]time.Duration{time.Minute, time.Millisecond, 50 * time.Millisecond, time.Second, 10 * time.Minute}).Draw(w.r, "while"))
}

// tally counts what was drawn, over all histories.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (t *tally) add(what string) { t.addN(what, 1) }

func (t *tally) addN(what string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[string]int{}
	}
	t.counts[what] += n
}

func (t *tally) table() string {
	var lines []string
	for _, what := range slices.Sorted(maps.Keys(t.counts)) {
		lines = append(lines, fmt.Sprintf("%7d  %s", t.counts[what], what))
	}
	return strings.Join(lines, "\n")
}
