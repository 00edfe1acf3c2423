//go:build e2e

package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// setup is a way to run the crash job, and how it ends where nothing kills it.
type setup struct {
	name     string
	apply    func(*world)
	code     int // of the command
	parts    int
	letters  int // of the records
	sent     int // records that are sent in main requests
	twice    bool
	failures []string // failpoints, with the pass that kills
}

// bad is the record that faults are about; its mini-batch is the sixth.
const bad = "57"

var setups = []setup{
	{name: "partial", parts: 15, sent: 150, failures: []string{
		"plan.stored", "launch.intent", "launch.forked", "launch.recorded", "predict.sent:9",
		"stage.written:4", "stage.synced:4", "stage.row:4",
		"publish.intent", "publish.part", "publish.manifest", "publish.renamed", "publish.pointer", "publish.row",
	}},
	{name: "partial, a record that the server refuses", parts: 15, letters: 1, sent: 150, code: 2, apply: func(w *world) {
		w.job.MaxFailed = "5%"
		w.faults(map[string]any{"Purpose": "*", "Record": bad, "Status": 400})
	}, failures: []string{"isolate.half:1", "isolate.half:2", "stage.row:6", "publish.manifest"}},
	{name: "partial, an outage", parts: 15, sent: 150, twice: true, apply: func(w *world) {
		w.faults(map[string]any{"Record": bad, "Status": 503, "Times": 4})
	}, failures: []string{"retry_wait.row"}},
	{name: "complete", parts: 15, sent: 150, apply: func(w *world) {
		w.job.Retry = &api.Retry{Policy: api.PolicyComplete, Backoff: []api.Duration{"10ms"}}
	}, failures: []string{"plan.stored", "stage.row:4", "publish.intent", "publish.renamed"}},
	{name: "next_batch", parts: 14, sent: 150, code: 2, twice: true, apply: func(w *world) {
		w.job.MaxFailed, w.job.Retry = "20%", &api.Retry{Policy: api.PolicyNextBatch}
		w.faults(map[string]any{"Record": bad, "Status": 503})
	}, failures: []string{"stage.row:4", "publish.intent", "publish.renamed", "carry.row", "close.ledger"}},
	{name: "new_files", parts: 15, sent: 150, apply: func(w *world) {
		w.job.Input.Mode, w.job.Input.Files.MinAge = api.ModeNewFiles, "1ms"
	}, failures: []string{"plan.stored", "publish.renamed", "close.ledger"}},
	{name: "compressed", parts: 15, sent: 150, apply: func(w *world) { w.zipInput() },
		failures: []string{"plan.spooled", "plan.stored", "stage.row:4", "publish.renamed"}},
}

// zipInput has the job read its input compressed.
func (w *world) zipInput() {
	w.job.Input.Files.URI = w.input + ".gz"
	if _, err := os.Stat(w.input + ".gz"); err == nil {
		return // another world's, too
	}
	plain, err := os.ReadFile(w.input)
	w.must(err)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err = z.Write(plain)
	w.must(err)
	w.must(z.Close())
	w.must(os.WriteFile(w.input+".gz", packed.Bytes(), 0o644))
}

// The same command after a kill -9 goes on where the run stood: the output is
// that of an undisturbed run to the byte, what was staged is not sent again,
// and no prediction server is left.
func TestKillAtEachFailpoint(t *testing.T) {
	input := newWorld(t, "").input
	for _, s := range setups {
		t.Run(s.name, func(t *testing.T) {
			reference := s.world(t, input)
			reference.predicts(s.code)
			want := reference.tree()
			if n := len(want) - 3 - min(s.letters, 1); n != s.parts { // beside manifest, _SUCCESS, _LATEST.json and letters
				t.Fatalf("the undisturbed run published %v", slices.Sorted(maps.Keys(want)))
			}
			reference.audit()
			for _, failpoint := range s.failures {
				t.Run(failpoint, func(t *testing.T) { s.kill(t, input, failpoint, want) })
			}
		})
	}
}

func (s setup) world(t *testing.T, input string) *world {
	w := newWorld(t, input)
	if s.apply != nil {
		s.apply(w)
	}
	return w
}

func (s setup) kill(t *testing.T, input, failpoint string, want map[string]string) {
	w := s.world(t, input)
	output, err := w.predict(failpoint)
	w.assertReached(failpoint, output, err)
	staged := w.staged()
	sentBefore := w.sent()
	w.audit()

	code := s.code
	if failpoint == "publish.row" {
		// The run has ended: it is there whole, and the next start removes
		// what it had staged.
		assertSameTree(t, want, w.tree(), ".batch")
		w.job.Name, w.job.Input.OnEmpty, w.job.Input.Files.URI = "other", api.OnEmptySkip, w.emptyInput()
		w.job.Output.Files = &api.OutputFiles{URI: filepath.Join(w.dir, "other")}
	}
	start := time.Now()
	w.predicts(code)
	t.Logf("%d records staged before the kill; done %s after the restart", len(staged), time.Since(start).Round(time.Millisecond))
	assertSameTree(t, want, w.tree(), "")
	w.audit()
	w.assertSent(s, staged, sentBefore)
	if left := w.orphans(); len(left) > 0 {
		t.Errorf("prediction servers are left: %v", left)
	}
}

// assertSent holds that all was sent, and nothing needlessly.
func (w *world) assertSent(s setup, staged []string, before map[string]int) {
	w.t.Helper()
	sent := w.sent()
	if len(sent) != s.sent {
		w.t.Errorf("%d records were sent, want %d", len(sent), s.sent)
	}
	if s.twice || s.letters > 0 {
		return // those of the request that fails are
	}
	for _, record := range staged {
		if sent[record] != 1 {
			w.t.Errorf("record %s was staged before the kill and sent %d times", record, sent[record])
		}
	}
	for record, n := range sent {
		if n > 1 && before[record] == 0 {
			w.t.Errorf("record %s was sent %d times after the restart", record, n)
		}
	}
}

// A server killed under a run costs a relaunch and nothing else.
func TestKillTheServerInTheMiddle(t *testing.T) {
	reference := newWorld(t, "")
	reference.predicts(0)
	w := newWorld(t, reference.input)
	w.job.Predict.Server.Env["E2E_SERVER_DIES"] = "10"
	w.predicts(0)
	assertSameTree(t, reference.tree(), w.tree(), "")
	w.audit()
	if left := w.orphans(); len(left) > 0 {
		t.Errorf("prediction servers are left: %v", left)
	}
}

// staged are the records of the mini-batches that were staged or committed
// when the runner was killed, by their identity: record i is "i".
func (w *world) staged() []string {
	w.t.Helper()
	s, err := store.Open(context.Background(), w.dataDir(), time.Now)
	w.must(err)
	defer s.Close() //nolint:errcheck // read only
	jobs, err := s.Jobs()
	w.must(err)
	active, err := s.UnfinishedOf(jobs[0].UID)
	w.must(err)
	var records []string
	for _, run := range active {
		batches, err := s.MiniBatches(run.ID, 0, 1000)
		w.must(err)
		for _, m := range batches {
			if m.State != api.MiniBatchStaged && m.State != api.MiniBatchCommitted {
				continue
			}
			for line := m.FirstLine; line < m.FirstLine+m.Records; line++ {
				records = append(records, fmt.Sprint(line-1)) // line 1 is the header
			}
		}
	}
	return records
}

// assertSameTree compares two output trees, file by file; what lies below a
// folder named except is passed over.
func assertSameTree(t *testing.T, want, got map[string]string, except string) {
	t.Helper()
	for _, difference := range differences(want, got, except) {
		t.Error(difference)
	}
}

// differences between two output trees.
func differences(want, got map[string]string, except string) (all []string) {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			all = append(all, fmt.Sprintf("%s differs from the undisturbed run's:\n%s\nwant\n%s", name, got[name], want[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok && (except == "" || !strings.HasPrefix(name, except)) {
			all = append(all, name+" is not in the undisturbed run's output")
		}
	}
	return all
}
