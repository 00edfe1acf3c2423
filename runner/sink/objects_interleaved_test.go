package sink_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
	"github.com/batchpattern/terraform-provider-batch/runner/object/objecttest"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
)

// turns has the requests of one who uses it wait until they are let through.
type turns struct {
	object.Bucket
	waiting chan chan struct{}
}

func newTurns(bucket object.Bucket) turns { return turns{bucket, make(chan chan struct{}, 100)} }

func (w turns) wait() {
	mine := make(chan struct{})
	w.waiting <- mine
	<-mine
}

func (w turns) Stat(ctx context.Context, key string) (object.Info, error) {
	w.wait()
	return w.Bucket.Stat(ctx, key)
}

func (w turns) Read(ctx context.Context, key, etag string, offset, length int64) (io.ReadCloser, error) {
	w.wait()
	return w.Bucket.Read(ctx, key, etag, offset, length)
}

func (w turns) Put(ctx context.Context, key string, body io.ReadSeeker, size int64, when object.Condition) (string, error) {
	w.wait()
	return w.Bucket.Put(ctx, key, body, size, when)
}

func (w turns) Delete(ctx context.Context, keys ...string) error {
	w.wait()
	return w.Bucket.Delete(ctx, keys...)
}

func (w turns) List(ctx context.Context, prefix string, yield func(object.Info) error) error {
	w.wait()
	return w.Bucket.List(ctx, prefix, yield)
}

// one lets one of the requests that wait through, any of them; false: none does.
func (w turns) one(random *rand.Rand) bool {
	synctest.Wait()
	n := len(w.waiting)
	if n == 0 {
		return false
	}
	chosen := random.IntN(n)
	for i := range n {
		if mine := <-w.waiting; i == chosen {
			close(mine)
		} else {
			w.waiting <- mine
		}
	}
	return true
}

// interleaved lets the requests of several through in a random order: some of
// one, some of another, so that any of them may stand still for long. It calls
// look after each.
func interleaved(seed uint64, all []turns, look func()) {
	random := rand.New(rand.NewPCG(seed, 0))
	for idle := 0; idle < 100; {
		next := all[random.IntN(len(all))]
		for range 1 + random.IntN(10) {
			if !next.one(random) {
				idle++
				break
			}
			idle = 0
			look()
		}
	}
}

// Whatever order the requests of three jobs come in, one of them publishes what
// it has predicted, and the others change nothing of it.
func TestOfJobsThatPublishToOneEmptyFolderOneWins(t *testing.T) {
	for seed := range uint64(150) {
		synctest.Test(t, func(t *testing.T) {
			p, memory := newBucketPlace(t)
			results := make(chan error, 3)
			var all []turns
			for i := range 3 {
				order := newTurns(memory)
				all = append(all, order)
				o := p.on(order).openAs(t, fmt.Sprint("uid-", i), fmt.Sprint("run-", i), night)
				what := publication(1, 1, stageObject(t, o, 1, 1, fmt.Sprint(i)), stageObject(t, o, 2, 1, fmt.Sprint(i)))
				go func() {
					results <- errorOf(o.Publish(context.WithoutCancel(t.Context()), what))
				}()
			}
			interleaved(seed, all, func() { readerFindsAll(t, memory) })
			won := 0
			for range 3 {
				if err := <-results; err == nil {
					won++
				} else if reason(err) != api.ReasonOutputTaken {
					t.Errorf("lose: %v", err)
				}
			}
			if m, err := checkFolder(memory.Contents(), folderKey); won != 1 || err != nil {
				t.Errorf("seed %d: %d have won; a reader finds %+v, %v", seed, won, m, err)
			}
		})
		if t.Failed() {
			return
		}
	}
}

// readerFindsAll fails unless all is there that the manifest names, as it was
// when it was named.
func readerFindsAll(t *testing.T, memory *objecttest.Memory) {
	t.Helper()
	contents := memory.Contents()
	content, there := contents[folderKey+sink.ManifestName]
	if !there {
		return
	}
	var m sink.Manifest
	if err := json.Unmarshal([]byte(content), &m); err != nil {
		t.Fatal(err)
	}
	for _, part := range m.Parts {
		if sum := sha256.Sum256([]byte(contents[folderKey+part.Name])); hex.EncodeToString(sum[:]) != part.SHA256 {
			t.Errorf("run %s has published revision %d, and its %s is %q", m.Run, m.Revision, part.Name, contents[folderKey+part.Name])
		}
	}
	if _, there := contents[folderKey+fmt.Sprintf("_DEAD_LETTERS.r%d.jsonl", m.Revision)]; !there {
		t.Errorf("run %s has published revision %d, and its dead letters are not there", m.Run, m.Revision)
	}
}

// jobsRuns are runs of one job in one folder, in runners with copies of one data
// directory; each begins some turns late.
type jobsRuns struct {
	t      *testing.T
	memory *objecttest.Memory
	random *rand.Rand
	all    []turns
	ended  chan error
}

func (r *jobsRuns) begin(does func(ctx context.Context) error) {
	order, late, ctx := r.all[len(r.all)-1], r.random.IntN(25), context.WithoutCancel(r.t.Context())
	go func() {
		for range late {
			order.wait()
		}
		r.ended <- does(ctx)
	}()
}

// open opens the output for a run, in a runner of its own.
func (r *jobsRuns) open(run string) (o *sink.Objects, staging string) {
	order := newTurns(r.memory)
	r.all = append(r.all, order)
	p := bucketPlace{order, "s3://bucket/out/", r.t.TempDir()}
	return p.open(r.t, run, night), filepath.Join(p.local, run)
}

// publishes has a run publish, and be retried, as the engine does both.
func (r *jobsRuns) publishes(run, label string) {
	o, _ := r.open(run)
	parts := []sink.PublishedPart{stageObject(r.t, o, 1, 1, label), stageObject(r.t, o, 2, 1, label)}
	r.begin(func(ctx context.Context) error {
		revision, err := o.NextRevision(ctx)
		for range 8 {
			if err != nil {
				break
			}
			if _, err = o.Publish(ctx, publication(revision, 1, parts...)); err == nil {
				break
			}
			if reason(err) == api.ReasonPublish {
				revision, err = o.NextRevision(ctx)
			} else if _, final := errors.AsType[*api.Failure](err); !final {
				err = nil
			}
		}
		return err
	})
}

// sweeps has a run that is over be swept.
func (r *jobsRuns) sweeps(run string) {
	o, staging := r.open(run)
	if err := errors.Join(os.MkdirAll(staging, 0o700), os.WriteFile(filepath.Join(staging, "uploading"), nil, 0o600)); err != nil {
		r.t.Fatal(err)
	}
	r.begin(o.Sweep)
}

// Whatever order the requests of a job's runs come in, of two runners that both
// have a run, and sweep what the other uploads just now, a reader finds at every
// moment all that the manifest names; and the next publish leaves nothing of
// theirs.
func TestRunsOfOneJobTakeNothingFromEachOther(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			r := &jobsRuns{t: t, memory: objecttest.NewMemory(), random: rand.New(rand.NewPCG(seed, 1)), ended: make(chan error, 10)}
			r.publishes("run-1", "one")
			r.publishes("run-1", []string{"one", "copied"}[seed%2])
			r.publishes("run-2", "two")
			r.sweeps("run-1")
			r.sweeps("run-1")
			r.sweeps("run-2")
			interleaved(seed, r.all, func() { readerFindsAll(t, r.memory) })
			for range r.all {
				if err := <-r.ended; err != nil {
					t.Error(err)
				}
			}
			last := bucketPlace{r.memory, "s3://bucket/out/", t.TempDir()}.open(t, "run-3", night)
			revision, err := last.NextRevision(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			publishObjects(t, last, publication(revision, 1, stageObject(t, last, 1, 1, "last")))
			wantNames(t, r.memory, "out/_LATEST.json", fmt.Sprintf("%s_DEAD_LETTERS.r%d.jsonl", folderKey, revision),
				folderKey+"_MANIFEST.json", folderKey+"_SUCCESS", fmt.Sprintf("%spart-000001.r%d.jsonl", folderKey, revision))
			if t.Failed() {
				t.Logf("seed %d", seed)
			}
		})
		if t.Failed() {
			return
		}
	}
}
