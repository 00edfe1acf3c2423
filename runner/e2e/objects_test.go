//go:build e2e

package e2e

import (
	"bytes"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/e2e/accountant"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
	"github.com/batchpattern/terraform-provider-batch/runner/object/objecttest"
)

// objectKills is how many random kills there are for each store.
const objectKills = 4

// objectWorld is a world whose input and output are objects of a store. One of
// its records is refused by the server, so that there is a dead letter, too.
type objectWorld struct {
	*world
	store   objecttest.Store
	outside *accountant.Bucket
	ended   bool // the run, when the books were checked: the command again would begin another
}

// newObjectWorld has the input of another, nil for one of its own: the same
// object, so that their plans are equal.
func newObjectWorld(t *testing.T, open func(testing.TB) objecttest.Store, like *objectWorld) *objectWorld {
	t.Helper()
	w := &objectWorld{world: newWorld(t, ""), store: open(t)}
	for name, value := range w.store.Env {
		w.env = append(w.env, name+"="+value)
	}
	w.job.MaxFailed = "5%"
	w.faults(map[string]any{"Delay": 10 * time.Millisecond}, map[string]any{"Purpose": "*", "Record": bad, "Status": 400})
	w.job.Output.Files.URI = w.store.URI + "out/dt={date}/"
	var err error
	w.outside, err = accountant.OpenBucket(w.store.URI, w.store.Env)
	w.must(err)
	if like != nil {
		w.job.Input.Files.URI = like.job.Input.Files.URI
		return w
	}
	content, err := os.ReadFile(w.input)
	w.must(err)
	bucket, prefix := w.store.Bucket(t)
	_, err = bucket.Put(t.Context(), prefix+"in/records.csv", bytes.NewReader(content), int64(len(content)), object.Condition{})
	w.must(err)
	w.job.Input.Files.URI = w.store.URI + "in/records.csv"
	return w
}

// fetch copies the output to where that of other worlds is, and has the
// accountant check the books against the bucket.
func (w *objectWorld) fetch() map[string]string {
	w.t.Helper()
	account, err := accountant.AuditBucket(w.dataDir(), w.outside, w.store.URI+"out/", "id")
	w.must(err)
	if err := account.Err(); err != nil {
		w.t.Error(err)
	}
	for _, run := range account.Runs {
		w.ended = run.State == string(api.RunIncomplete)
	}
	w.must(os.RemoveAll(w.output()))
	w.must(os.MkdirAll(w.output(), 0o755))
	objects, err := w.outside.Copy(w.store.URI + "out/")
	w.must(err)
	for name, content := range objects {
		path := filepath.Join(w.output(), name)
		w.must(errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644)))
	}
	return w.tree()
}

// published runs the command to its end, and compares what it leaves with what
// an undisturbed run does.
func (w *objectWorld) published(want map[string]string) {
	w.t.Helper()
	w.predicts(2)
	assertSameTree(w.t, want, w.fetch(), "")
	if left := w.orphans(); len(left) > 0 {
		w.t.Errorf("prediction servers are left: %v", left)
	}
}

// eachStore runs a test for every kind of store, side by side, with what an
// undisturbed run publishes there.
func eachStore(t *testing.T, test func(t *testing.T, open func(testing.TB) objecttest.Store, reference *objectWorld, want map[string]string)) {
	for name, open := range objecttest.Servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reference := newObjectWorld(t, open, nil)
			reference.predicts(2)
			want := reference.fetch()
			if names := slices.Sorted(maps.Keys(want)); len(names) != 19 || names[1] != "dt=2026-11-21/_DEAD_LETTERS.r1.jsonl" || names[4] != "dt=2026-11-21/part-000001.r1.jsonl" {
				t.Fatalf("an undisturbed run published %v", names)
			}
			test(t, open, reference, want)
		})
	}
}

// Killed at any step of a publish to an object store, the same command again
// leaves the objects that an undisturbed run leaves, to the byte.
func TestKillWhilePublishingObjects(t *testing.T) {
	t.Parallel()
	failpoints := []string{"plan.stored", "stage.row:4", "publish.intent", "publish.claim", "publish.part", "publish.manifest", "publish.renamed", "publish.pointer", "publish.row"}
	eachStore(t, func(t *testing.T, open func(testing.TB) objecttest.Store, reference *objectWorld, want map[string]string) {
		for _, failpoint := range failpoints {
			t.Run(failpoint, func(t *testing.T) {
				w := newObjectWorld(t, open, reference)
				output, err := w.predict(failpoint)
				w.assertReached(failpoint, output, err)
				got := w.fetch()
				manifest := want["dt=2026-11-21/_MANIFEST.json"]
				published := slices.Contains([]string{"publish.renamed", "publish.pointer", "publish.row"}, failpoint)
				if there := got["dt=2026-11-21/_MANIFEST.json"]; there != "" != published || published && there != manifest {
					t.Errorf("after the kill the manifest is %q", there)
				}
				if _, claimed := got["dt=2026-11-21/_CLAIM.r1.json"]; claimed != slices.Contains(failpoints[3:8], failpoint) {
					t.Errorf("after the kill the folder is claimed: %v", claimed)
				}
				if failpoint != "publish.row" { // which ends the run
					w.published(want)
				}
			})
		}
	})
}

// Kills at random instants, of the runner, of the server or of both, lose and
// double nothing.
func TestRandomKillsLoseAndDoubleNoObject(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	eachStore(t, func(t *testing.T, open func(testing.TB) objecttest.Store, reference *objectWorld, want map[string]string) {
		random := rand.New(rand.NewPCG(seed, 0))
		for range objectKills {
			w := newObjectWorld(t, open, reference)
			victim := []string{"runner", "server", "both"}[random.IntN(3)]
			cmd := w.command("")
			var output bytes.Buffer
			cmd.Stdout, cmd.Stderr = &output, &output
			w.must(cmd.Start())
			w.poll("a staged part", func() bool {
				parts, _ := filepath.Glob(filepath.Join(w.dataDir(), "runs", "*", "staged", "*", "*"))
				return len(parts) > 0 || cmd.ProcessState != nil
			})
			<-time.After(time.Duration(random.IntN(500)) * time.Millisecond) // the instant is the point
			w.strike(victim, cmd)
			if code := exitCode(cmd.Wait()); code == -1 {
				if w.fetch(); !w.ended {
					w.predicts(2)
				}
			} else if code != 2 {
				t.Errorf("%s killed: the command ended with %d\n%s", victim, code, output.String())
			}
			assertSameTree(t, want, w.fetch(), "")
			if left := w.orphans(); len(left) > 0 {
				t.Errorf("%s killed: prediction servers are left: %v", victim, left)
			}
		}
	})
}
