//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// The same command after a kill -9 goes on where the run stood: the output is
// that of an undisturbed run to the byte, what was staged is not sent again,
// and no prediction server is left.
func TestKillAtEachFailpoint(t *testing.T) {
	reference := newWorld(t, "")
	if output, err := reference.predict(""); err != nil {
		t.Fatalf("undisturbed run: %v\n%s", err, output)
	}
	want := reference.tree()
	if len(want) != 15+3 { // parts, manifest, _SUCCESS, _LATEST.json
		t.Fatalf("the undisturbed run published %v", slices.Sorted(maps.Keys(want)))
	}
	for _, failpoint := range []string{
		"plan.stored", "launch.intent", "launch.forked", "launch.recorded", "predict.sent:9",
		"stage.written:4", "stage.synced:4", "stage.row:4",
		"publish.intent", "publish.part", "publish.manifest", "publish.renamed", "publish.pointer", "publish.row",
	} {
		t.Run(failpoint, func(t *testing.T) {
			w := newWorld(t, reference.input)
			output, err := w.predict(failpoint)
			w.assertReached(failpoint, output, err)
			staged := w.staged()
			sentBefore := w.sent()

			if failpoint == "publish.row" {
				// The run has ended: it is there whole, and the next start
				// removes what it had staged.
				assertSameTree(t, want, w.tree(), ".batch")
				w.job.Name, w.job.Input.OnEmpty, w.job.Input.Files.URI = "other", api.OnEmptySkip, w.emptyInput()
				w.job.Output.Files = &api.OutputFiles{URI: filepath.Join(w.dir, "other")}
			}
			start := time.Now()
			output, err = w.predict("")
			if err != nil {
				t.Fatalf("the same command again: %v\n%s", err, output)
			}
			t.Logf("%d records staged before the kill; done %s after the restart", len(staged), time.Since(start).Round(time.Millisecond))
			assertSameTree(t, want, w.tree(), "")
			sent := w.sent()
			if len(sent) != 150 {
				t.Errorf("%d records were sent, want 150", len(sent))
			}
			for _, record := range staged {
				if sent[record] != 1 {
					t.Errorf("record %s was staged before the kill and sent %d times", record, sent[record])
				}
			}
			for record, n := range sent {
				if n > 1 && sentBefore[record] == 0 {
					t.Errorf("record %s was sent %d times after the restart", record, n)
				}
			}
			if left := w.orphans(); len(left) > 0 {
				t.Errorf("prediction servers are left: %v", left)
			}
		})
	}
}

// A server killed under a run costs a relaunch and nothing else.
func TestKillTheServerInTheMiddle(t *testing.T) {
	reference := newWorld(t, "")
	if output, err := reference.predict(""); err != nil {
		t.Fatalf("undisturbed run: %v\n%s", err, output)
	}
	w := newWorld(t, reference.input)
	w.job.Predict.Server.Env["E2E_SERVER_DIES"] = "10"
	if output, err := w.predict(""); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	assertSameTree(t, reference.tree(), w.tree(), "")
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
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			t.Errorf("%s differs from the undisturbed run's:\n%s\nwant\n%s", name, got[name], want[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok && (except == "" || !strings.HasPrefix(name, except)) {
			t.Errorf("%s is not in the undisturbed run's output", name)
		}
	}
}
