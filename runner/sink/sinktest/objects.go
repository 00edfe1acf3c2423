package sinktest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
	"github.com/batchpattern/terraform-provider-batch/runner/object/objecttest"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
)

// Objects is an empty place for outputs in an object store.
type Objects struct {
	objecttest.Store
	// Ignores says that the store takes writes whatever their conditions.
	Ignores bool
}

// ObjectsConform checks what outputs in an object store do for their users;
// each check gets an empty place.
func ObjectsConform(t *testing.T, empty func(t *testing.T) Objects) {
	for name, check := range map[string]func(*testing.T, *output){
		"a folder is published by its manifest":                publishes,
		"a revision keeps the objects that it does not change": keepsUnchanged,
		"the pointer only moves forward":                       movesForward,
		"what others have written stays":                       leavesOthers,
		"a revision is published by one run":                   publishesOnce,
		"what a job does not keep is removed":                  removes,
		"what was never published is swept":                    sweeps,
		"a store without conditions is warned of":              warns,
	} {
		t.Run(name, func(t *testing.T) { check(t, newOutput(t, empty(t))) })
	}
	t.Run("of jobs that publish to one empty folder one wins", func(t *testing.T) {
		if place := empty(t); !place.Ignores { // else nothing keeps them apart, as the warning says
			oneWins(t, newOutput(t, place))
		}
	})
}

// output is a place, and the local disk of its runs.
type output struct {
	Objects
	bucket object.Bucket
	prefix string
	local  string
}

func newOutput(t *testing.T, place Objects) *output {
	t.Helper()
	o := &output{Objects: place, local: t.TempDir()}
	o.bucket, o.prefix = place.Bucket(t)
	return o
}

var (
	night   = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	columns = []api.Column{{Name: "id"}, {Name: "label"}}
)

const folder = "dt=2026-11-21/" // of night

// run opens the place for a run of a job, at so many days after night.
func (o *output) run(t *testing.T, job, run string, days int) *sink.Objects {
	t.Helper()
	return o.open(t, api.OutputFiles{Format: api.FormatJSONL}, job, run, days)
}

// open is run, for an output of any form.
func (o *output) open(t *testing.T, out api.OutputFiles, job, run string, days int) *sink.Objects {
	t.Helper()
	out.URI = o.URI + "dt={date}/"
	opened, err := sink.OpenObjects(durabletest.NoSync(), filepath.Join(o.local, job, run), o.Stores, out, job, "uid-of-"+job,
		api.Occasion{Occurrence: night.AddDate(0, 0, days), Run: run})
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// stage stages one record for a mini-batch.
func stage(t *testing.T, out *sink.Objects, miniBatch int64, label string) sink.PublishedPart {
	t.Helper()
	part, err := out.Stage(1, miniBatch, 1, columns)
	if err != nil {
		t.Fatal(err)
	}
	defer part.Abort()
	if err := part.Write([]format.Value{{Bytes: fmt.Append(nil, miniBatch)}, {Bytes: []byte(label)}}); err != nil {
		t.Fatal(err)
	}
	staged, err := part.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return sink.PublishedPart{MiniBatch: miniBatch, Staged: staged}
}

// revision is what a run publishes, with one dead letter.
func revision(n int64, parts ...sink.PublishedPart) sink.Publication {
	counts := api.Counts{Committed: int64(len(parts)), DeadLettered: 1, Planned: int64(len(parts)) + 1}
	return sink.Publication{
		Manifest: sink.Manifest{Origin: api.OriginSchedule, Revision: n, State: api.RunIncomplete, PlanHash: "hash", Counts: counts},
		Parts:    parts, Columns: columns, MovePointer: true,
		DeadLetters: func(yield func(api.DeadLetter, error) bool) {
			yield(api.DeadLetter{Source: api.Place{File: "a.csv", Line: 7}, Run: "run-1", MiniBatch: 2, Class: api.ClassBadRecord}, nil)
		},
	}
}

func publish(t *testing.T, out *sink.Objects, p sink.Publication) {
	t.Helper()
	if _, err := out.Publish(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

// contents is every object of the place.
func (o *output) contents(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := o.bucket.List(t.Context(), o.prefix, func(info object.Info) error {
		body, err := o.bucket.Read(t.Context(), info.Key, info.ETag, 0, -1)
		if err != nil {
			return err
		}
		content, err := io.ReadAll(body)
		all[strings.TrimPrefix(info.Key, o.prefix)] = string(content)
		return errors.Join(err, body.Close())
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// holds checks the names below the folder, and what a reader finds there.
func (o *output) holds(t *testing.T, revision int64, names ...string) sink.Manifest {
	t.Helper()
	files := o.files(t)
	found := slices.Sorted(maps.Keys(files))
	if want := slices.Sorted(slices.Values(append(names, "_MANIFEST.json", "_SUCCESS"))); !slices.Equal(found, want) {
		t.Errorf("the folder holds %v, want %v", found, want)
	}
	m, err := Check(files)
	if err != nil || m.Revision != revision {
		t.Errorf("a reader finds revision %d, %v; want %d", m.Revision, err, revision)
	}
	return m
}

func reason(err error) api.Reason {
	if failure, told := errors.AsType[*api.Failure](err); told {
		return failure.Reason
	}
	return ""
}

func publishes(t *testing.T, o *output) {
	out := o.run(t, "churn", "run-1", 0)
	if err := out.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := o.contents(t); len(left) > 0 {
		t.Errorf("before anything is published there are %v", left)
	}
	publish(t, out, revision(1, stage(t, out, 1, "new"), stage(t, out, 2, "new")))
	o.holds(t, 1, "part-000001.r1.jsonl", "part-000002.r1.jsonl", "_DEAD_LETTERS.r1.jsonl")
	publish(t, out, revision(1, stage(t, out, 1, "new"), stage(t, out, 2, "new"))) // as after a crash
	o.holds(t, 1, "part-000001.r1.jsonl", "part-000002.r1.jsonl", "_DEAD_LETTERS.r1.jsonl")
}

func keepsUnchanged(t *testing.T, o *output) {
	first := o.run(t, "churn", "run-1", 0)
	kept := stage(t, first, 1, "old")
	publish(t, first, revision(1, kept, stage(t, first, 2, "old")))
	kept.Path = ""
	second := o.run(t, "churn", "run-2", 0)
	if next, err := second.NextRevision(t.Context()); err != nil || next != 2 {
		t.Errorf("the next revision is %d, %v", next, err)
	}
	if err := second.CheckPublished(t.Context(), []sink.PublishedPart{kept}); err != nil {
		t.Error(err)
	}
	publish(t, second, revision(2, kept, stage(t, second, 2, "new")))
	o.holds(t, 2, "part-000001.r1.jsonl", "part-000002.r2.jsonl", "_DEAD_LETTERS.r2.jsonl")
	records, err := second.OpenRecords(t.Context(), kept, columns)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = records.Close() }() // only read
	if line, err := records.Next(); err != nil || !strings.Contains(string(line), `"old"`) {
		t.Errorf("read back: %q, %v", line, err)
	}
}

func movesForward(t *testing.T, o *output) {
	for _, step := range []struct {
		day  int
		want string
	}{{1, "dt=2026-11-22"}, {0, "dt=2026-11-22"}, {2, "dt=2026-11-23"}} {
		out := o.run(t, "churn", fmt.Sprint("run-", step.day), step.day)
		publish(t, out, revision(1, stage(t, out, 1, "new")))
		if got := o.contents(t)["_LATEST.json"]; !strings.Contains(got, step.want) {
			t.Errorf("after the run of day %d the pointer is %s", step.day, got)
		}
	}
}

func leavesOthers(t *testing.T, o *output) {
	theirs := o.run(t, "other", "run-9", 0)
	publish(t, theirs, revision(1, stage(t, theirs, 1, "theirs")))
	before := o.contents(t)
	mine := o.run(t, "churn", "run-1", 0)
	_, err := mine.Publish(t.Context(), revision(1, stage(t, mine, 1, "mine")))
	for what, err := range map[string]error{"Prepare": mine.Prepare(t.Context()), "Publish": err} {
		if reason(err) != api.ReasonOutputTaken || !strings.Contains(err.Error(), "other") {
			t.Errorf("%s: %v", what, err)
		}
	}
	o.unchanged(t, before)
}

func (o *output) unchanged(t *testing.T, before map[string]string) {
	t.Helper()
	after := o.contents(t)
	for name := range after {
		if after[name] != before[name] || len(after) != len(before) {
			t.Errorf("of %d objects there are %d, and %s is %q, was %q", len(before), len(after), name, after[name], before[name])
		}
	}
}

func publishesOnce(t *testing.T, o *output) {
	first, second := o.run(t, "churn", "run-1", 0), o.run(t, "churn", "run-2", 0)
	publish(t, first, revision(1, stage(t, first, 1, "first")))
	before := o.contents(t)
	_, err := second.Publish(t.Context(), revision(1, stage(t, second, 1, "second")))
	if reason(err) != api.ReasonPublish || !strings.Contains(err.Error(), "run-1") {
		t.Errorf("got %v", err)
	}
	o.unchanged(t, before)
	if run, revision, err := second.PublishedBy(t.Context()); err != nil || run != "run-1" || revision != 1 {
		t.Errorf("published by %q as revision %d, %v", run, revision, err)
	}
}

// oneWins has jobs publish at once, again and again.
func oneWins(t *testing.T, o *output) {
	const jobs = 4
	for day := range 5 {
		errs := make([]error, jobs)
		var group sync.WaitGroup
		for i := range jobs {
			out := o.run(t, fmt.Sprint("job-", i), fmt.Sprint("run-", i), day)
			what := revision(1, stage(t, out, 1, fmt.Sprint(i)), stage(t, out, 2, fmt.Sprint(i)))
			what.MovePointer = false // which is one job's
			group.Go(func() { _, errs[i] = out.Publish(t.Context(), what) })
		}
		group.Wait()
		won := -1
		for i, err := range errs {
			if err == nil && won < 0 {
				won = i
			} else if reason(err) != api.ReasonOutputTaken {
				t.Errorf("job %d: %v, and job %d has won", i, err, won)
			}
		}
		if day == 0 {
			if m := o.holds(t, 1, "part-000001.r1.jsonl", "part-000002.r1.jsonl", "_DEAD_LETTERS.r1.jsonl"); m.Job != fmt.Sprint("job-", won) {
				t.Errorf("job %d has won, and the folder is of %s", won, m.Job)
			}
		}
	}
}

func removes(t *testing.T, o *output) {
	for day := range 2 {
		out := o.run(t, "churn", fmt.Sprint("run-", day), day)
		publish(t, out, revision(1, stage(t, out, 1, "new")))
	}
	old := sink.ObjectsOutput{Output: sink.Output{Folder: o.URI + "dt=2026-11-21", UID: "uid-of-churn", Run: "run-0", Revision: 1}, Stores: o.Stores}
	newest := old
	newest.Folder, newest.Run = o.URI+"dt=2026-11-22", "run-1"
	if err := newest.Remove(t.Context()); !errors.Is(err, sink.ErrKept) {
		t.Errorf("the newest: %v", err)
	}
	if err := old.Remove(t.Context()); err != nil {
		t.Error(err)
	}
	for name := range o.contents(t) {
		if strings.HasPrefix(name, folder) {
			t.Errorf("%s is left", name)
		}
	}
	if left := o.contents(t); len(left) != 5 {
		t.Errorf("of the newest and the pointer %d objects are left", len(left))
	}
}

func sweeps(t *testing.T, o *output) {
	out := o.run(t, "churn", "run-1", 0)
	what := revision(1, stage(t, out, 1, "new"), stage(t, out, 2, "new"))
	ctx, cancel := context.WithCancel(t.Context())
	what.DeadLetters = func(func(api.DeadLetter, error) bool) { cancel() } // once the parts are up
	if _, err := out.Publish(ctx, what); err == nil {
		t.Fatal("published")
	}
	if left := o.contents(t); len(left) != 3 || left[folder+sink.ClaimName(1)] == "" {
		t.Errorf("two parts and the claim should be there: %v", left)
	}
	if err := out.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := o.contents(t); len(left) != 1 || !strings.Contains(left[folder+sink.ClaimName(1)], `"given_up"`) {
		t.Errorf("left are %v", left)
	}
	next := o.run(t, "churn", "run-2", 0)
	if n, err := next.NextRevision(t.Context()); err != nil || n != 2 {
		t.Errorf("the next revision is %d, %v", n, err)
	}
	publish(t, next, revision(2, stage(t, next, 1, "next")))
	o.holds(t, 2, "part-000001.r2.jsonl", "_DEAD_LETTERS.r2.jsonl")
}

func warns(t *testing.T, o *output) {
	out := o.run(t, "churn", "run-1", 0)
	warnings, err := out.Warnings(t.Context())
	if warned := len(warnings) == 1 && strings.Contains(warnings[0], strings.TrimSuffix(o.URI, "/")); err != nil || warned != o.Ignores || !warned && len(warnings) > 0 {
		t.Errorf("warned of %q, %v", warnings, err)
	}
	key := o.prefix + "x"
	for i := range 2 {
		_, err := o.bucket.Put(t.Context(), key, strings.NewReader("x"), 1, object.Condition{Absent: true})
		if refused := errors.Is(err, object.ErrPrecondition); refused != (i == 1 && !o.Ignores) || err != nil && !refused {
			t.Errorf("write %d: %v", i, err)
		}
	}
}
