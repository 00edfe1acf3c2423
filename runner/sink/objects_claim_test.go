package sink_test

import (
	"context"
	"fmt"
	"io"
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
	claimKey  = folderKey + "_CLAIM.r1.json"
)

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
	if _, err := checkFolder(memory.Contents(), folderKey); err != nil {
		t.Errorf("a reader finds %v", err)
	}
	return len(faulty.Requests()), asFirst(memory.Contents())
}

// asFirst is what run-2 has published, as run-1 would have.
func asFirst(contents map[string]string) map[string]string {
	first := map[string]string{}
	for key, content := range contents {
		content = strings.NewReplacer(`"run-2"`, `"run-1"`, ".r2.", ".r1.", `"revision": 2`, `"revision": 1`).Replace(content)
		first[strings.ReplaceAll(key, ".r2.", ".r1.")] = content
	}
	return first
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
		revision, err := other.NextRevision(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		publishObjects(t, other, publication(revision, 1, stageObject(t, other, 1, 2, "new"), stageObject(t, other, 2, 1, "new")))
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

// A revision is one run's: another of the job does not touch what that may yet
// commit, and removes it once it can't.
func TestARunTakesTheNextRevisionAfterOneOfItsJobThatDied(t *testing.T) {
	p, memory := newBucketPlace(t)
	dead := p.on(&objecttest.Faulty{Bucket: memory, Fault: objecttest.NotSent, At: 7, Forever: true}).open(t, "run-1", night)
	if _, err := dead.Publish(t.Context(), publication(1, 0, stageObject(t, dead, 1, 1, "dead"), stageObject(t, dead, 7, 1, "dead"))); err == nil {
		t.Fatal("published")
	}
	if left := keysOf(memory.Contents()); !slices.Contains(left, claimKey) || len(left) < 2 {
		t.Fatalf("the dead run leaves %v", left)
	}
	next := p.open(t, "run-2", night)
	part := stageObject(t, next, 1, 1, "next")
	before := memory.Contents()
	if _, err := next.Publish(t.Context(), publication(1, 0, part)); reason(err) != api.ReasonPublish || !strings.Contains(err.Error(), "run-1") {
		t.Errorf("as the same revision: %v", err)
	}
	sameTree(t, memory.Contents(), before)
	if revision, err := next.NextRevision(t.Context()); revision != 2 || err != nil {
		t.Errorf("the next revision is %d, %v", revision, err)
	}
	publishObjects(t, next, publication(2, 0, part))
	wantNames(t, memory, "out/_LATEST.json", folderKey+"_MANIFEST.json", folderKey+"_SUCCESS", folderKey+"part-000001.r2.jsonl")
	if _, err := checkFolder(memory.Contents(), folderKey); err != nil {
		t.Error(err)
	}
	late := p.open(t, "run-1", night)
	if _, err := late.Publish(t.Context(), publication(1, 0, stageObject(t, late, 1, 1, "dead"))); reason(err) != api.ReasonPublish {
		t.Errorf("the first, after the second: %v", err)
	}
}

// A copy of a data directory gives another runner the same run, whose
// predictions may differ.
func TestARunThatUploadsOtherPartsElsewhereIsRefused(t *testing.T) {
	p, memory := newBucketPlace(t)
	one := p.on(&objecttest.Faulty{Bucket: memory, Fault: objecttest.NotSent, At: 7, Forever: true}).open(t, "run-1", night)
	if _, err := one.Publish(t.Context(), publication(1, 0, stageObject(t, one, 1, 1, "one"), stageObject(t, one, 2, 1, "one"))); err == nil {
		t.Fatal("published")
	}
	before := memory.Contents()
	p.local = t.TempDir()
	copied := p.open(t, "run-1", night)
	_, err := copied.Publish(t.Context(), publication(1, 0, stageObject(t, copied, 1, 1, "copied"), stageObject(t, copied, 2, 1, "one")))
	if reason(err) != api.ReasonPublish || !strings.Contains(err.Error(), "other parts") {
		t.Errorf("got %v", err)
	}
	sameTree(t, memory.Contents(), before)
}

func TestWhatARunNeverPublishedIsSweptIfNobodyCanCommitIt(t *testing.T) {
	for _, c := range []struct {
		name, run, state string // of the claim
		after            time.Duration
		swept            bool
	}{
		{name: "its own", run: "run-1", state: "uploading", swept: true},
		{name: "its own, given up already", run: "run-1", state: "given_up", swept: true},
		{name: "its own, whose manifest may come", run: "run-1", state: "committing", after: time.Hour},
		{name: "its own, whose manifest can't come", run: "run-1", state: "committing", after: 25 * time.Hour, swept: true},
		{name: "another's", run: "run-2", state: "uploading", after: 48 * time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, memory := newBucketPlace(t)
				o := p.on(&objecttest.Faulty{Bucket: memory, Fault: objecttest.NotSent, At: 7, Forever: true}).open(t, "run-1", night)
				if _, err := o.Publish(t.Context(), publication(1, 0, stageObject(t, o, 1, 1, "new"), stageObject(t, o, 2, 1, "new"))); err == nil {
					t.Fatal("published")
				}
				claim := strings.NewReplacer("run-1", c.run, "uploading", c.state).Replace(memory.Contents()[claimKey])
				if _, err := memory.Put(t.Context(), claimKey, strings.NewReader(claim), int64(len(claim)), object.Condition{}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(c.after)
				before := memory.Contents()
				if err := p.open(t, "run-0", night).Sweep(t.Context()); err != nil { // it has written nothing
					t.Fatal(err)
				}
				sameTree(t, memory.Contents(), before)
				if err := p.open(t, "run-1", night).Sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
				if !c.swept {
					sameTree(t, memory.Contents(), before)
					return
				}
				wantNames(t, memory, claimKey)
				again := p.open(t, "run-1", night)
				if _, err := again.Publish(t.Context(), publication(1, 0, stageObject(t, again, 1, 1, "new"), stageObject(t, again, 2, 1, "new"))); reason(err) != api.ReasonPublish {
					t.Errorf("the revision that was given up is published: %v", err)
				}
				other := p.openAs(t, "uid-of-another", "run-9", night)
				if err := other.Prepare(t.Context()); err != nil {
					t.Errorf("what was given up keeps another job out: %v", err)
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
