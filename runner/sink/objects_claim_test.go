package sink_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
	"github.com/batchpattern/terraform-provider-batch/runner/object/objecttest"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
)

const (
	folderKey = "out/dt=2026-11-21/"
	claimKey  = folderKey + sink.ClaimName
)

// claims are the claims that were written to a bucket in its life.
type claims struct {
	*objecttest.Memory
	written []string
}

func (c *claims) Put(ctx context.Context, key string, body io.ReadSeeker, size int64, when object.Condition) (string, error) {
	etag, err := c.Memory.Put(ctx, key, body, size, when)
	if err == nil && key == claimKey {
		c.written = append(c.written, c.Contents()[key])
	}
	return etag, err
}

func TestAFolderIsClaimedBeforeItsFirstPartGoesUp(t *testing.T) {
	p, memory := newBucketPlace(t)
	faulty := &objecttest.Faulty{Bucket: memory}
	o := p.on(faulty).open(t, "run-1", night)
	publishObjects(t, o, publication(1, 0, stageObject(t, o, 1, 1, "new")))
	requests := faulty.Requests()
	claim, part := slices.Index(requests, "Put "+claimKey), slices.Index(requests, "Put "+folderKey+"part-000001.r1.jsonl")
	if claim < 0 || part < claim {
		t.Errorf("the requests are\n%s", strings.Join(requests, "\n"))
	}
	if left := keysOf(memory.Contents()); slices.Contains(left, claimKey) {
		t.Errorf("the claim stays: %v", left)
	}
}

// Each request of the first publish goes wrong in turn. While the claim is
// there, no other job publishes; then the publish is tried again, by the same
// run, after a crash, or by another run of the job.
func TestAClaimHoldsThroughAFaultOfAnyRequest(t *testing.T) {
	for _, fault := range []objecttest.Fault{objecttest.NotSent, objecttest.AnswerLost, objecttest.SentTwice} {
		for _, next := range []string{"the same", "restarted", "another run"} {
			t.Run(fmt.Sprintf("%s, %s", fault, next), func(t *testing.T) {
				undisturbed, want := publishFirst(t, &objecttest.Faulty{}, next)
				for at := range undisturbed {
					faulty := &objecttest.Faulty{Fault: fault, At: at, Forever: fault != objecttest.SentTwice}
					_, got := publishFirst(t, faulty, next)
					sameTree(t, got, want)
					if t.Failed() {
						t.Fatalf("after a fault of request %d of\n%s", at, strings.Join(faulty.Requests(), "\n"))
					}
				}
			})
		}
	}
}

// publishFirst publishes the first revision over a faulty bucket, until it is
// done; it tells how many requests the first try made.
func publishFirst(t *testing.T, faulty *objecttest.Faulty, next string) (requests int, contents map[string]string) {
	t.Helper()
	p, memory := newBucketPlace(t)
	faulty.Bucket = memory
	first := p.on(faulty).open(t, "run-1", night)
	what := publication(1, 1, stageObject(t, first, 1, 2, "new"), stageObject(t, first, 2, 1, "new"))
	if _, err := first.Publish(t.Context(), what); err != nil {
		if !object.Transient(err) {
			t.Fatalf("%v does not pass", err)
		}
		if memory.Contents()[claimKey] != "" && memory.Contents()[folderKey+sink.ManifestName] == "" {
			anotherIsKeptOut(t, p, memory)
		}
		publishAgain(t, p, first, faulty, what, next)
	}
	if m, err := checkFolder(memory.Contents(), folderKey); err != nil || m.Revision != 1 {
		t.Errorf("a reader finds revision %d, %v", m.Revision, err)
	}
	contents = memory.Contents()
	if next == "another run" { // whichever of the two it was that published
		contents[folderKey+sink.ManifestName] = strings.ReplaceAll(contents[folderKey+sink.ManifestName], `"run-2"`, `"run-1"`)
	}
	return len(faulty.Requests()), contents
}

func publishAgain(t *testing.T, p bucketPlace, first *sink.Objects, faulty *objecttest.Faulty, what sink.Publication, next string) {
	t.Helper()
	switch next {
	case "the same":
		faulty.Forever = false
		publishObjects(t, first, what)
	case "restarted":
		publishObjects(t, p.open(t, "run-1", night), what)
	default:
		other := p.open(t, "run-2", night)
		_, err := other.Publish(t.Context(), publication(1, 1, stageObject(t, other, 1, 2, "new"), stageObject(t, other, 2, 1, "new")))
		if reason(err) == api.ReasonPublish { // the first has come so far that only it can end this
			publishObjects(t, p.open(t, "run-1", night), what)
		} else if err != nil {
			t.Error(err)
		}
	}
}

func anotherIsKeptOut(t *testing.T, p bucketPlace, memory *objecttest.Memory) {
	t.Helper()
	before := memory.Contents()
	other := p.openAs(t, "uid-of-another", "run-9", night)
	for what, err := range map[string]error{
		"Prepare": other.Prepare(t.Context()),
		"Publish": errorOf(other.Publish(t.Context(), publication(1, 0, stageObject(t, other, 1, 1, "theirs")))),
		"Sweep":   other.Sweep(t.Context()),
	} {
		if what == "Sweep" && err == nil {
			continue
		}
		if reason(err) != api.ReasonOutputTaken || !strings.Contains(err.Error(), "run-1") || !strings.Contains(err.Error(), job) {
			t.Errorf("%s: %v", what, err)
		}
	}
	sameTree(t, memory.Contents(), before)
}

func errorOf[T any](_ T, err error) error { return err }

func TestARunTakesOverTheClaimOfOneOfItsJobThatDied(t *testing.T) {
	p, memory := newBucketPlace(t)
	dead := p.on(&objecttest.Faulty{Bucket: memory, Fault: objecttest.NotSent, At: 8, Forever: true}).open(t, "run-1", night)
	if _, err := dead.Publish(t.Context(), publication(1, 0, stageObject(t, dead, 1, 1, "dead"), stageObject(t, dead, 7, 1, "dead"))); err == nil {
		t.Fatal("published")
	}
	if left := keysOf(memory.Contents()); !slices.Contains(left, claimKey) || len(left) < 2 {
		t.Fatalf("the dead run leaves %v", left)
	}
	noted := &claims{Memory: memory}
	next := p.on(noted).open(t, "run-2", night)
	publishObjects(t, next, publication(1, 0, stageObject(t, next, 1, 1, "next")))
	if len(noted.written) != 1 || !strings.Contains(noted.written[0], "run-2") {
		t.Errorf("claimed by %q", noted.written)
	}
	wantNames(t, memory, "out/_LATEST.json", folderKey+"_MANIFEST.json", folderKey+"_SUCCESS", folderKey+"part-000001.r1.jsonl")
	if _, err := checkFolder(memory.Contents(), folderKey); err != nil {
		t.Error(err)
	}
}

// turns has the requests of all who use it wait until they are let through.
type turns struct {
	object.Bucket
	waiting chan chan struct{}
}

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

// Whatever order the requests of three jobs come in, one of them publishes what
// it has predicted, and the others change nothing of it.
func TestOfJobsThatPublishToOneEmptyFolderOneWins(t *testing.T) {
	for seed := range uint64(150) {
		synctest.Test(t, func(t *testing.T) {
			p, memory := newBucketPlace(t)
			order := turns{memory, make(chan chan struct{}, 100)}
			results := make(chan error, 3)
			for i := range 3 {
				o := p.on(order).openAs(t, fmt.Sprint("uid-", i), fmt.Sprint("run-", i), night)
				what := publication(1, 1, stageObject(t, o, 1, 1, fmt.Sprint(i)), stageObject(t, o, 2, 1, fmt.Sprint(i)))
				go func() {
					results <- errorOf(o.Publish(context.WithoutCancel(t.Context()), what))
				}()
			}
			random := rand.New(rand.NewPCG(seed, 0))
			for order.one(random) {
			}
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

func TestWhatARunNeverPublishedIsSweptUnlessAnotherHasTakenItOver(t *testing.T) {
	for _, c := range []struct {
		name, claim string // who has it by then; nothing: nobody
		after       time.Duration
		swept       bool
	}{
		{name: "its own", claim: "run-1", swept: true},
		{name: "taken over", claim: "run-2", after: 48 * time.Hour},
		{name: "nobody's, and fresh", after: time.Hour},
		{name: "nobody's, and old", after: 25 * time.Hour, swept: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, memory := newBucketPlace(t)
				o := p.on(&objecttest.Faulty{Bucket: memory, Fault: objecttest.NotSent, At: 8, Forever: true}).open(t, "run-1", night)
				if _, err := o.Publish(t.Context(), publication(1, 0, stageObject(t, o, 1, 1, "new"), stageObject(t, o, 2, 1, "new"))); err == nil {
					t.Fatal("published")
				}
				claim := strings.ReplaceAll(memory.Contents()[claimKey], "run-1", c.claim)
				if _, err := memory.Put(t.Context(), claimKey, strings.NewReader(claim), int64(len(claim)), object.Condition{}); err != nil {
					t.Fatal(err)
				}
				if c.claim == "" {
					if err := memory.Delete(t.Context(), claimKey); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(c.after)
				before := len(memory.Contents())
				if err := p.open(t, "run-0", night).Sweep(t.Context()); err != nil { // it has written nothing
					t.Fatal(err)
				}
				if len(memory.Contents()) != before {
					t.Fatal("another run's part is swept")
				}
				if err := p.open(t, "run-1", night).Sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
				if left := keysOf(memory.Contents()); c.swept && len(left) > 0 || !c.swept && len(left) != before {
					t.Errorf("%v are left of %d", left, before)
				}
			})
		})
	}
}

// late is a bucket into which somebody who claims nothing puts a manifest right
// before ours.
type late struct{ object.Bucket }

func (l late) Put(ctx context.Context, key string, body io.ReadSeeker, size int64, when object.Condition) (string, error) {
	if strings.HasSuffix(key, sink.ManifestName) {
		const foreign = `{"format":1,"job":"another","uid":"another"}`
		if _, err := l.Bucket.Put(ctx, key, strings.NewReader(foreign), int64(len(foreign)), object.Condition{}); err != nil {
			return "", err
		}
	}
	return l.Bucket.Put(ctx, key, body, size, when)
}

func TestAManifestThatCameMeanwhileIsNotReplaced(t *testing.T) {
	place, memory := newBucketPlace(t)
	o := place.on(late{memory}).open(t, "run-1", night)
	if _, err := o.Publish(t.Context(), publication(1, 1, stageObject(t, o, 1, 2, "new"))); err == nil {
		t.Error("it was replaced")
	}
	for key, content := range memory.Contents() {
		if strings.HasSuffix(key, sink.ManifestName) && !strings.Contains(content, "another") {
			t.Errorf("%s is %s", key, content)
		}
	}
}
