package sink_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
	"github.com/batchpattern/terraform-provider-batch/runner/object/objecttest"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
)

// partitioned stands for a layout by the column label.
const partitioned = "partitioned"

// openLaid opens the place for a run, with a layout.
func (p bucketPlace) openLaid(t *testing.T, run, layout string) *sink.Objects {
	t.Helper()
	out := api.OutputFiles{URI: p.root + "dt={date}/", Format: api.FormatCSV, Layout: layout}
	if layout == partitioned {
		out.Layout, out.PartitionBy = "", []string{"label"}
	}
	o, err := sink.OpenObjects(durabletest.NoSync(), filepath.Join(p.local, run), p.stores(), out, job, uid, api.Occasion{Occurrence: night, Run: run})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// laidOut is a publication of three mini-batches of two input files.
func laidOut(revision int64, parts ...sink.PublishedPart) sink.Publication {
	parts[len(parts)-1].Input = 1
	p := publication(revision, 1, parts...)
	p.Columns, p.Inputs = columns, []string{"s3://in/one.csv.gz", "s3://in/two.csv"}
	return p
}

var laidNames = map[string][]string{
	api.LayoutSingle:       {"output.r%d.csv"},
	api.LayoutPerInputFile: {"one.r%d.csv", "two.r%d.csv"},
}

func wantLaid(t *testing.T, memory *objecttest.Memory, layout string, revision int64, labels ...string) {
	t.Helper()
	m, err := checkFolder(memory.Contents(), folderKey)
	if err != nil {
		t.Fatal(err)
	}
	var all string
	names := []string{"out/_LATEST.json", fmt.Sprintf("%s_DEAD_LETTERS.r%d.jsonl", folderKey, revision), folderKey + "_MANIFEST.json", folderKey + "_SUCCESS"}
	for i, name := range laidNames[layout] {
		name = fmt.Sprintf(name, revision)
		names = append(names, folderKey+name)
		if m.Parts[i].Name != name {
			t.Errorf("the manifest names %s, want %s", m.Parts[i].Name, name)
		}
		header, records, _ := strings.Cut(memory.Contents()[folderKey+name], "\n")
		if header != "id,label" {
			t.Errorf("%s begins with %q", name, header)
		}
		all += records
	}
	wantNames(t, memory, names...)
	want := fmt.Sprintf("1-0,%s\n2-0,%s\n3-0,%s\n", labels[0], labels[1], labels[2])
	if all != want {
		t.Errorf("the files hold\n%s\nwant\n%s", all, want)
	}
}

// One file, or one for each input, is assembled of the staged parts; a revision
// is made of those that were kept, and of what is new.
func TestObjectsHoldAllRecordsInEveryLayout(t *testing.T) {
	for layout := range laidNames {
		t.Run(layout, func(t *testing.T) {
			p, memory := newBucketPlace(t)
			o := p.openLaid(t, "run-1", layout)
			parts := []sink.PublishedPart{stageObject(t, o, 1, 1, "a"), stageObject(t, o, 2, 1, "b"), stageObject(t, o, 3, 1, "c")}
			publishObjects(t, o, laidOut(1, parts...))
			wantLaid(t, memory, layout, 1, "a", "b", "c")
			publishObjects(t, p.openLaid(t, "run-1", layout), laidOut(1, parts...)) // as after a crash
			wantLaid(t, memory, layout, 1, "a", "b", "c")

			if err := o.SweepStaged(nil); err != nil {
				t.Fatal(err)
			}
			kept := slices.Clone(parts)
			for i := range kept {
				kept[i].Path = ""
			}
			o = p.openLaid(t, "run-1", layout)
			if err := o.CheckPublished(t.Context(), kept); err != nil {
				t.Fatal(err)
			}
			publishObjects(t, o, laidOut(2, kept[0], stageObject(t, o, 2, 1, "better"), kept[2]))
			wantLaid(t, memory, layout, 2, "a", "better", "c")
			records, err := o.OpenRecords(t.Context(), kept[2], columns)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = records.Close() }() // only read
			if line, err := records.Next(); err != nil || string(line) != "3-0,c\n" {
				t.Errorf("a kept part is read as %q, %v", line, err)
			}
			if err := o.CheckPublished(t.Context(), []sink.PublishedPart{{MiniBatch: 2, Staged: parts[1].Staged}}); err == nil {
				t.Error("a part that was replaced passes for one that is there")
			}
		})
	}
}

// Partitions come and go with the revisions, and what another job has in a folder
// that is no partition of this one's stays.
func TestObjectsAreLaidOutInPartitions(t *testing.T) {
	p, memory := newBucketPlace(t)
	o := p.openLaid(t, "run-1", partitioned)
	parts := []sink.PublishedPart{stageObject(t, o, 1, 2, "a/b"), stageObject(t, o, 2, 1, "c")}
	publishObjects(t, o, laidOut(1, parts...))
	wantNames(t, memory, "out/_LATEST.json", folderKey+"_DEAD_LETTERS.r1.jsonl", folderKey+"_MANIFEST.json", folderKey+"_SUCCESS",
		folderKey+"label=a%2Fb/part-000001.r1.csv", folderKey+"label=c/part-000001.r1.csv")
	if got := memory.Contents()[folderKey+"label=a%2Fb/part-000001.r1.csv"]; got != "id\n1-0\n1-1\n" {
		t.Errorf("a partition holds %q", got)
	}
	parts[1].Path = ""
	o = p.openLaid(t, "run-1", partitioned)
	publishObjects(t, o, laidOut(2, stageObject(t, o, 1, 1, "d"), parts[1]))
	wantNames(t, memory, "out/_LATEST.json", folderKey+"_DEAD_LETTERS.r2.jsonl", folderKey+"_MANIFEST.json", folderKey+"_SUCCESS",
		folderKey+"label=c/part-000001.r2.csv", folderKey+"label=d/part-000001.r2.csv")
	if _, err := checkFolder(memory.Contents(), folderKey); err != nil {
		t.Error(err)
	}
	theirs := folderKey + "hour=02/part-000001.r1.csv"
	if _, err := memory.Put(t.Context(), theirs, strings.NewReader("x"), 1, object.Condition{}); err != nil {
		t.Fatal(err)
	}
	if err := p.openLaid(t, "run-2", partitioned).Prepare(t.Context()); reason(err) != api.ReasonOutputTaken {
		t.Errorf("beside another's folder: %v", err)
	}
	if err := memory.Delete(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	// The output of a layout that the job does not have any more is replaced, too.
	o = p.openLaid(t, "run-2", api.LayoutSingle)
	publishObjects(t, o, laidOut(3, stageObject(t, o, 1, 1, "a"), stageObject(t, o, 2, 1, "b"), stageObject(t, o, 3, 1, "c")))
	wantLaid(t, memory, api.LayoutSingle, 3, "a", "b", "c")
}

func TestPartitionsThatAJobDoesNotKeepAreRemoved(t *testing.T) {
	p, memory := newBucketPlace(t)
	o := p.openLaid(t, "run-1", partitioned)
	what := laidOut(1, stageObject(t, o, 1, 2, "a"), stageObject(t, o, 2, 1, "c"))
	what.MovePointer = false
	publishObjects(t, o, what)
	out := sink.ObjectsOutput{Output: sink.Output{Folder: o.Folder(), UID: uid, Run: "run-1", Revision: 1}, Stores: p.stores()}
	if err := out.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantNames(t, memory)
}

// Whatever request goes wrong, the publish goes on to the same bytes.
func TestPublishingOneObjectGoesOnAfterAFaultOfAnyRequest(t *testing.T) {
	publish := func(faulty *objecttest.Faulty) (requests int, contents map[string]string) {
		p, memory := newBucketPlace(t)
		faulty.Bucket = memory
		o := p.on(faulty).openLaid(t, "run-1", api.LayoutSingle)
		what := laidOut(1, stageObject(t, o, 1, 1, "a"), stageObject(t, o, 2, 1, "b"))
		if _, err := o.Publish(t.Context(), what); err != nil {
			if !object.Transient(err) {
				t.Fatal(err)
			}
			publishObjects(t, p.openLaid(t, "run-1", api.LayoutSingle), what)
		}
		return len(faulty.Requests()), memory.Contents()
	}
	undisturbed, want := publish(&objecttest.Faulty{})
	for at := range undisturbed {
		_, got := publish(&objecttest.Faulty{Fault: objecttest.AnswerLost, At: at, Forever: true})
		sameTree(t, got, want)
	}
}
