package sink_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
	"github.com/batchpattern/terraform-provider-batch/runner/object/objecttest"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/sink/sinktest"
)

// bucketPlace is an output root in a bucket, and opens it for runs of job churn.
type bucketPlace struct {
	bucket object.Bucket
	root   string // uri, with a slash at its end
	local  string // staging of all runs
}

func newBucketPlace(t *testing.T) (bucketPlace, *objecttest.Memory) {
	t.Helper()
	memory := objecttest.NewMemory()
	return bucketPlace{memory, "s3://bucket/out/", t.TempDir()}, memory
}

func (p bucketPlace) on(bucket object.Bucket) bucketPlace {
	p.bucket = bucket
	return p
}

func (p bucketPlace) stores() *object.Stores {
	name, _, _ := strings.Cut(strings.TrimPrefix(p.root, "s3://"), "/")
	return object.StoresOf(map[string]object.Bucket{"s3://" + name: p.bucket})
}

func (p bucketPlace) openAs(t testing.TB, uid, run string, occurrence time.Time) *sink.Objects {
	t.Helper()
	out := api.OutputFiles{URI: p.root + "dt={date}/", Format: api.FormatJSONL}
	o, err := sink.OpenObjects(durabletest.NoSync(), filepath.Join(p.local, run), p.stores(), out, job, uid, api.Occasion{Occurrence: occurrence, Run: run})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (p bucketPlace) open(t testing.TB, run string, occurrence time.Time) *sink.Objects {
	t.Helper()
	return p.openAs(t, uid, run, occurrence)
}

// stageObject writes one mini-batch of so many records, as stage does.
func stageObject(t testing.TB, o *sink.Objects, miniBatch, records int64, version string) sink.PublishedPart {
	t.Helper()
	part, err := o.Stage(1, miniBatch, 1, columns)
	if err != nil {
		t.Fatal(err)
	}
	defer part.Abort()
	for i := range records {
		if err := part.Write(record(fmt.Sprintf("%d-%d", miniBatch, i), version)); err != nil {
			t.Fatal(err)
		}
	}
	staged, err := part.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return sink.PublishedPart{MiniBatch: miniBatch, Staged: staged}
}

func publishObjects(t testing.TB, o *sink.Objects, p sink.Publication) {
	t.Helper()
	if _, err := o.Publish(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

// checkFolder judges a published folder as a reader would.
func checkFolder(contents map[string]string, prefix string) (sink.Manifest, error) {
	files := fstest.MapFS{}
	for key, content := range contents {
		if name, below := strings.CutPrefix(key, prefix); below {
			files[name] = &fstest.MapFile{Data: []byte(content)}
		}
	}
	return sinktest.Check(files)
}

func keysOf(contents map[string]string) []string { return slices.Sorted(maps.Keys(contents)) }

func wantNames(t *testing.T, memory *objecttest.Memory, want ...string) {
	t.Helper()
	if got := keysOf(memory.Contents()); !slices.Equal(got, want) {
		t.Errorf("the bucket holds\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestThePointerToObjectsSaysWhatIsNewest(t *testing.T) {
	p, memory := newBucketPlace(t)
	o := p.open(t, "run-1", night)
	publishObjects(t, o, publication(1, 0, stageObject(t, o, 1, 2, "new"), stageObject(t, o, 2, 0, "new")))
	want := "{\n  \"format\": 1,\n  \"job\": \"churn\",\n  \"uid\": \"uid-of-churn\",\n  \"occurrence\": \"2026-11-21T02:00:00Z\",\n  \"revision\": 1,\n  \"folder\": \"dt=2026-11-21\"\n}\n"
	if got := memory.Contents()["out/_LATEST.json"]; got != want {
		t.Errorf("the pointer is\n%s", got)
	}
	if m, err := checkFolder(memory.Contents(), folderKey); err != nil || len(m.Parts) != 1 {
		t.Errorf("a part without records is listed: %+v, %v", m, err)
	}
}

func TestAPartThatWasNotPublishedIsNoneToKeep(t *testing.T) {
	p, _ := newBucketPlace(t)
	o := p.open(t, "run-1", night)
	part := stageObject(t, o, 1, 2, "old")
	publishObjects(t, o, publication(1, 0, part))
	part.Path, part.SHA256 = "", "another"
	if err := o.CheckPublished(t.Context(), []sink.PublishedPart{part}); err == nil {
		t.Error("a part that was not published passes for one")
	}
}

func TestAPublishedObjectIsReadBackRecordByRecord(t *testing.T) {
	p, _ := newBucketPlace(t)
	o := p.open(t, "run-1", night)
	part := stageObject(t, o, 1, 3, "new")
	publishObjects(t, o, publication(1, 0, part))
	if err := o.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	part.Path = ""
	records, err := p.open(t, "run-1", night).OpenRecords(t.Context(), part, columns)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = records.Close() }() // only read
	for i := range 3 {
		line, err := records.Next()
		if want := fmt.Sprintf(`{"id":"1-%d","label":"new"}`+"\n", i); err != nil || string(line) != want {
			t.Errorf("record %d is %q, %v; want %q", i, line, err, want)
		}
	}
	if _, err := records.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last: %v", err)
	}
}

// Whatever the store, outputs in it are the same, and one that keeps no
// conditions is found out.
func TestOutputsInObjectStores(t *testing.T) {
	for name, store := range objecttest.Servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sinktest.ObjectsConform(t, func(t *testing.T) sinktest.Objects { return sinktest.Objects{Store: store(t)} })
		})
	}
	for name, ignores := range map[string]bool{"memory": false, "memory without conditions": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused := 0
			sinktest.ObjectsConform(t, func(t *testing.T) sinktest.Objects {
				memory := objecttest.NewMemory()
				memory.Ignores = ignores
				server := &objecttest.S3Server{Memory: memory}
				t.Cleanup(func() { refused += int(server.Refused.Load()) })
				return sinktest.Objects{Store: objecttest.NewS3Server(t, server), Ignores: ignores}
			})
			if ignores != (refused == 0) {
				t.Errorf("the server has answered 412 %d times", refused)
			}
		})
	}
}

// Whatever the place, the format and the layout, a reader finds the same records.
func TestOutputsOfFiles(t *testing.T) {
	places := map[string]func(*testing.T) sinktest.Place{"local": sinktest.Folder}
	stores := maps.Clone(objecttest.Servers)
	stores["memory"] = func(t testing.TB) objecttest.Store {
		return objecttest.NewS3Server(t, &objecttest.S3Server{Memory: objecttest.NewMemory()})
	}
	for name, store := range stores {
		places[name] = func(t *testing.T) sinktest.Place { return sinktest.Objects{Store: store(t)}.Place(t) }
	}
	for name, place := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sinktest.FilesConform(t, place)
		})
	}
}

// Each request of a publish goes wrong in turn; then the publish is tried
// again, by the same run or after a crash.
func TestPublishingObjectsGoesOnAfterAFaultOfAnyRequest(t *testing.T) {
	for _, fault := range []objecttest.Fault{objecttest.NotSent, objecttest.AnswerLost, objecttest.SentTwice} {
		for _, forever := range []bool{false, true} {
			for _, crash := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, forever %v, crash %v", fault, forever, crash), func(t *testing.T) {
					undisturbed, want := publishTwice(t, &objecttest.Faulty{}, false)
					for at := range undisturbed {
						faulty := &objecttest.Faulty{Fault: fault, At: at, Forever: forever}
						_, got := publishTwice(t, faulty, crash)
						sameTree(t, got, want)
						if t.Failed() {
							t.Fatalf("after a fault of request %d of\n%s", at, strings.Join(faulty.Requests(), "\n"))
						}
					}
				})
			}
		}
	}
}

// publishTwice publishes a revision undisturbed, and the next over a faulty
// bucket until it is done; it tells how many requests that made.
func publishTwice(t *testing.T, faulty *objecttest.Faulty, crash bool) (requests int, contents map[string]string) {
	t.Helper()
	p, memory := newBucketPlace(t)
	first := p.open(t, "run-1", night)
	kept := stageObject(t, first, 1, 2, "old")
	publishObjects(t, first, publication(1, 1, kept, stageObject(t, first, 2, 1, "old")))
	kept.Path = ""
	faulty.Bucket = memory
	second := p.on(faulty).open(t, "run-2", night)
	next := publication(2, 2, kept, stageObject(t, second, 2, 2, "new"), stageObject(t, second, 3, 2, "new"))
	if _, err := second.Publish(t.Context(), next); err != nil {
		if !object.Transient(err) {
			t.Fatalf("%v does not pass", err)
		}
		readerSeesOneRevision(t, memory)
		again := p.open(t, "run-2", night)
		if !crash {
			faulty.Forever = false
			again = second
		}
		publishObjects(t, again, next)
	}
	if m, err := checkFolder(memory.Contents(), "out/dt=2026-11-21/"); err != nil || m.Revision != 2 {
		t.Errorf("a reader finds revision %d, %v", m.Revision, err)
	}
	return len(faulty.Requests()), memory.Contents()
}

// readerSeesOneRevision follows the manifest, whatever lies beside its parts.
func readerSeesOneRevision(t *testing.T, memory *objecttest.Memory) {
	t.Helper()
	const folder = "out/dt=2026-11-21/"
	contents := memory.Contents()
	var m sink.Manifest
	if err := json.Unmarshal([]byte(contents[folder+sink.ManifestName]), &m); err != nil {
		t.Fatal(err)
	}
	named := []string{sink.ManifestName, sink.SuccessName, fmt.Sprintf("_DEAD_LETTERS.r%d.jsonl", m.Revision)}
	for _, part := range m.Parts {
		named = append(named, part.Name)
	}
	maps.DeleteFunc(contents, func(key, _ string) bool { return !slices.Contains(named, strings.TrimPrefix(key, folder)) })
	if _, err := checkFolder(contents, folder); err != nil || m.Revision != 1 && m.Revision != 2 {
		t.Errorf("a reader finds revision %d, %v", m.Revision, err)
	}
}

func TestObjectsOfOthersAreNotReplaced(t *testing.T) {
	for name, c := range map[string]struct {
		key     string
		content func(*testing.T, bucketPlace) // nil: some text at key
	}{
		"a file of somebody":     {key: "out/dt=2026-11-21/notes.txt"},
		"a folder of somebody":   {key: "out/dt=2026-11-21/hour=02/part-000001.r1.jsonl"},
		"an unreadable manifest": {key: "out/dt=2026-11-21/_MANIFEST.json"},
		"an unreadable pointer":  {key: "out/_LATEST.json"},
		"another job's folder":   {content: anotherJobs(night)},
		"another job's pointer":  {content: anotherJobs(night.AddDate(0, 0, 7))},
	} {
		t.Run(name, func(t *testing.T) {
			p, memory := newBucketPlace(t)
			if c.content != nil {
				c.content(t, p)
			} else if _, err := memory.Put(t.Context(), c.key, strings.NewReader("x"), 1, object.Condition{}); err != nil {
				t.Fatal(err)
			}
			before := memory.Contents()
			o := p.open(t, "run-1", night)
			if err := o.Prepare(t.Context()); reason(err) != api.ReasonOutputTaken {
				t.Errorf("Prepare: %v", err)
			}
			_, err := o.Publish(t.Context(), publication(1, 0, stageObject(t, o, 1, 1, "new")))
			if reason(err) != api.ReasonOutputTaken {
				t.Errorf("Publish: %v", err)
			}
			sameTree(t, memory.Contents(), before)
		})
	}
}

func anotherJobs(occurrence time.Time) func(*testing.T, bucketPlace) {
	return func(t *testing.T, p bucketPlace) {
		o := p.openAs(t, "uid-of-another", "run-0", occurrence)
		publishObjects(t, o, publication(1, 0, stageObject(t, o, 1, 1, "theirs")))
	}
}

func TestObjectsThatAJobDoesNotKeepAreRemoved(t *testing.T) {
	p, memory := newBucketPlace(t)
	for day := range 2 {
		o := p.open(t, fmt.Sprint("run-", day), night.AddDate(0, 0, day))
		publishObjects(t, o, publication(1, 1, stageObject(t, o, 1, 1, "new")))
	}
	old := sink.ObjectsOutput{Output: sink.Output{Folder: "s3://bucket/out/dt=2026-11-21", UID: uid, Run: "run-0", Revision: 1}, Stores: p.stores()}
	newest := sink.ObjectsOutput{Output: sink.Output{Folder: "s3://bucket/out/dt=2026-11-22", UID: uid, Run: "run-1", Revision: 1}, Stores: p.stores()}
	other := old
	other.Run = "run-9"
	for name, kept := range map[string]sink.ObjectsOutput{"the newest": newest, "another run's": other} {
		if err := kept.Remove(t.Context()); !errors.Is(err, sink.ErrKept) {
			t.Errorf("%s: %v", name, err)
		}
	}
	foreign := "out/dt=2026-11-21/notes.txt"
	if _, err := memory.Put(t.Context(), foreign, strings.NewReader("x"), 1, object.Condition{}); err != nil {
		t.Fatal(err)
	}
	if err := old.Removable(t.Context()); reason(err) != api.ReasonOutputTaken {
		t.Errorf("with somebody's file: %v", err)
	}
	if err := memory.Delete(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	removeThroughFaults(t, p, memory, old)
	wantNames(t, memory, "out/_LATEST.json", "out/dt=2026-11-22/_DEAD_LETTERS.r1.jsonl", "out/dt=2026-11-22/_MANIFEST.json",
		"out/dt=2026-11-22/_SUCCESS", "out/dt=2026-11-22/part-000001.r1.jsonl")
}

// removeThroughFaults removes a folder while every request fails once.
func removeThroughFaults(t *testing.T, p bucketPlace, memory *objecttest.Memory, out sink.ObjectsOutput) {
	t.Helper()
	for at := 0; ; at++ {
		out.Stores = p.on(&objecttest.Faulty{Bucket: memory, Fault: objecttest.AnswerLost, At: at}).stores()
		if err := out.Remove(t.Context()); err == nil {
			return
		} else if !object.Transient(err) {
			t.Fatal(err)
		}
	}
}
