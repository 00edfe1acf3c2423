package sinktest

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
)

// Files is an output of files as a run uses it, wherever they lie.
type Files interface {
	Prepare(ctx context.Context) error
	Stage(runAttempt, miniBatch, fence int64, columns []api.Column) (*sink.Part, error)
	SweepStaged(keep map[string]bool) error
	Begin(ctx context.Context, m sink.Manifest) (bool, error)
	Show(ctx context.Context, part sink.PublishedPart, columns []api.Column) (sink.Gone, error)
	Publish(ctx context.Context, p sink.Publication) (map[int64]sink.Gone, error)
	NextRevision(ctx context.Context) (int64, error)
	CheckPublished(ctx context.Context, parts []sink.PublishedPart) error
	OpenRecords(ctx context.Context, part sink.PublishedPart, columns []api.Column) (*sink.Records, error)
}

// Place is an empty place for the outputs of a run.
type Place struct {
	// Open opens it for the run; its uri is the place's, whatever out says.
	Open func(t *testing.T, out api.OutputFiles) Files
	// Published is what a reader finds in the folder that the run publishes.
	Published func(t *testing.T) fs.FS
}

// Folder is a place on the local disk.
func Folder(t *testing.T) Place {
	root := t.TempDir()
	return Place{
		Open: func(t *testing.T, out api.OutputFiles) Files {
			t.Helper()
			out.URI = filepath.Join(root, "dt={date}")
			f, err := sink.Open(durabletest.NoSync(), out, "churn", "uid-of-churn", api.Occasion{Occurrence: night, Run: "run-1"})
			if err != nil {
				t.Fatal(err)
			}
			return local{f}
		},
		Published: func(*testing.T) fs.FS { return os.DirFS(filepath.Join(root, folder)) },
	}
}

// Place is the place as those of other kinds are.
func (o Objects) Place(t *testing.T) Place {
	place := newOutput(t, o)
	return Place{
		Open:      func(t *testing.T, out api.OutputFiles) Files { return place.open(t, out, "churn", "run-1", 0) },
		Published: func(t *testing.T) fs.FS { return place.files(t) },
	}
}

// local is a folder on a disk, which nobody has to wait for.
type local struct{ *sink.Files }

func (l local) Prepare(context.Context) error               { return l.Files.Prepare() }
func (l local) NextRevision(context.Context) (int64, error) { return l.Files.NextRevision() }

func (l local) Begin(_ context.Context, m sink.Manifest) (bool, error) { return l.Files.Begin(m) }

func (l local) Show(_ context.Context, part sink.PublishedPart, _ []api.Column) (sink.Gone, error) {
	return nil, l.Files.Show(part)
}

func (l local) Publish(_ context.Context, p sink.Publication) (map[int64]sink.Gone, error) {
	return nil, l.Files.Publish(p)
}

func (l local) CheckPublished(_ context.Context, parts []sink.PublishedPart) error {
	return l.Files.CheckPublished(parts)
}

func (l local) OpenRecords(_ context.Context, part sink.PublishedPart, columns []api.Column) (*sink.Records, error) {
	return l.Files.OpenRecords(part, columns)
}

// laid is a layout with the files, less extension and revision, that it makes
// of the mini-batches: the indexes of their records, first and once mini-batch
// 2 has record 5 instead of record 2.
type laid struct {
	out           api.OutputFiles
	first, second map[string][]int
	empty         []string // the files of a run that has predicted nothing, if there are any
}

var layouts = map[string]laid{
	"per mini-batch": {
		out:    api.OutputFiles{Layout: api.LayoutPerMiniBatch},
		first:  map[string][]int{"part-000001": {0, 1}, "part-000002": {2}, "part-000004": {3, 4}},
		second: map[string][]int{"part-000001": {0, 1}, "part-000002": {5}, "part-000004": {3, 4}},
	},
	"single": {
		out:    api.OutputFiles{Layout: api.LayoutSingle},
		first:  map[string][]int{"output": {0, 1, 2, 3, 4}},
		second: map[string][]int{"output": {0, 1, 5, 3, 4}},
		empty:  []string{"output"},
	},
	"per input file": {
		out:    api.OutputFiles{Layout: api.LayoutPerInputFile},
		first:  map[string][]int{"one": {0, 1, 2}, "two": {3, 4}},
		second: map[string][]int{"one": {0, 1, 5}, "two": {3, 4}},
		empty:  []string{"none", "one", "two"},
	},
	"partitions": {
		out: api.OutputFiles{PartitionBy: []string{"country"}},
		first: map[string][]int{
			"country=DE/part-000001": {0, 4}, "country=a%2Fb%3Dc d%25/part-000001": {1},
			"country=__HIVE_DEFAULT_PARTITION__/part-000001": {2}, "country=Köln/part-000001": {3},
		},
		second: map[string][]int{
			"country=DE/part-000001": {0, 4}, "country=a%2Fb%3Dc d%25/part-000001": {1}, "country=Köln/part-000001": {5, 3},
		},
	},
}

// FilesConform checks that a place holds the same records in every format and
// layout, and through a revision; each check gets an empty place.
func FilesConform(t *testing.T, empty func(t *testing.T) Place) {
	for name, layout := range layouts {
		for _, form := range []string{api.FormatCSV, api.FormatJSONL, api.FormatParquet} {
			t.Run(name+", "+form, func(t *testing.T) {
				layout.out.Format = form
				holdsAll(t, empty(t), layout)
				if len(layout.empty) > 0 {
					holdsNone(t, empty(t), layout)
				}
				if layout.out.Layout == api.LayoutPerMiniBatch { // no other shows parts
					showsParts(t, empty(t), layout)
				}
			})
		}
	}
}

// holdsAll publishes a run, and then a revision that keeps all but one of its
// mini-batches.
func holdsAll(t *testing.T, place Place, l laid) {
	out := place.Open(t, l.out)
	if err := out.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	one, two := stageRows(t, out, 1, 0, 0, 1), stageRows(t, out, 2, 0, 2)
	three, four := stageRows(t, out, 3, 1), stageRows(t, out, 4, 2, 3, 4)
	publishFiles(t, out, written(1, four, one, three, two))
	wantFiles(t, place, l, 1, l.first)

	if err := out.SweepStaged(nil); err != nil {
		t.Fatal(err)
	}
	one.Path, two.Path, four.Path = "", "", ""
	out = place.Open(t, l.out)
	if next, err := out.NextRevision(t.Context()); err != nil || next != 2 {
		t.Errorf("the next revision is %d, %v", next, err)
	}
	if err := out.CheckPublished(t.Context(), []sink.PublishedPart{one, two, four}); err != nil {
		t.Error(err)
	}
	wantRecords(t, out, l.out.Format, two, 2)
	publishFiles(t, out, written(2, one, stageRows(t, out, 2, 0, 5), four))
	wantFiles(t, place, l, 2, l.second)
	wantRecords(t, out, l.out.Format, four, 3, 4)
	if err := out.CheckPublished(t.Context(), []sink.PublishedPart{two}); err == nil {
		t.Error("a part that was replaced passes for one that is there")
	}
}

// holdsNone publishes a run that has predicted nothing.
func holdsNone(t *testing.T, place Place, l laid) {
	out := place.Open(t, l.out)
	publishFiles(t, out, written(1, stageRows(t, out, 1, 0)))
	want := map[string][]int{}
	for _, name := range l.empty {
		want[name] = nil
	}
	wantFiles(t, place, l, 1, want)
}

// showsParts has a run show a part before it has ended, where the place can do
// that; published, the folder is as any other.
func showsParts(t *testing.T, place Place, l laid) {
	out := place.Open(t, l.out)
	one, two, four := stageRows(t, out, 1, 0, 0, 1), stageRows(t, out, 2, 0, 2), stageRows(t, out, 4, 2, 3, 4)
	begun, err := out.Begin(t.Context(), written(1).Manifest)
	if err == nil {
		_, err = out.Show(t.Context(), one, typed)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !begun {
		return
	}
	name := "part-000001." + l.out.Format
	if got, err := readRows(place.Published(t), name, l.out); err != nil || !slices.Equal(got, rowsAs(l.out.Format, 0, 1)) {
		t.Errorf("%s of a run under way holds %q, %v", name, got, err)
	}
	one.Path = ""
	publishFiles(t, out, written(1, one, two, four))
	wantFiles(t, place, l, 1, l.first)
}

// stageRows stages a mini-batch of an input file with some of the records.
func stageRows(t *testing.T, out Files, miniBatch int64, input int, records ...int) sink.PublishedPart {
	t.Helper()
	part, err := out.Stage(1, miniBatch, 1, typed)
	if err != nil {
		t.Fatal(err)
	}
	defer part.Abort()
	for _, i := range records {
		if err := part.Write(rows[i].values()); err != nil {
			t.Fatal(err)
		}
	}
	staged, err := part.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return sink.PublishedPart{MiniBatch: miniBatch, Input: input, Staged: staged}
}

// written is what a run publishes of three input files, with one dead letter.
func written(n int64, parts ...sink.PublishedPart) sink.Publication {
	p := revision(n, parts...)
	p.Columns, p.Inputs = typed, []string{"/in/one.csv.gz", "/in/none.csv", "/in/two.jsonl"}
	p.Manifest.Counts = api.Counts{DeadLettered: 1}
	for _, part := range parts {
		p.Manifest.Counts.Committed += part.Records
	}
	p.Manifest.Counts.Planned = p.Manifest.Counts.Committed + 1
	return p
}

func publishFiles(t *testing.T, out Files, p sink.Publication) {
	t.Helper()
	if _, err := out.Publish(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

// ending is what the name of a file has behind what its layout calls it.
var ending = regexp.MustCompile(`(\.r[0-9]+)?\.(csv|jsonl|parquet)$`)

// wantFiles reads the files that the manifest names, and compares the records.
func wantFiles(t *testing.T, place Place, l laid, revision int64, want map[string][]int) {
	t.Helper()
	published := place.Published(t)
	m, err := Check(published)
	if err != nil {
		t.Fatal(err)
	}
	got, planned := map[string][]string{}, int64(1) // the dead letter
	for _, part := range m.Parts {
		records, err := readRows(published, part.Name, l.out)
		if err != nil {
			t.Fatalf("read %s: %v", part.Name, err)
		}
		if part.Records != int64(len(records)) || strings.HasPrefix(part.Name, "part-") != (part.MiniBatch > 0) {
			t.Errorf("%s holds %d records, the manifest says %+v", part.Name, len(records), part)
		}
		got[ending.ReplaceAllString(part.Name, "")] = records
		planned += part.Records
	}
	told := map[string][]string{}
	for name, records := range want {
		told[name] = rowsAs(l.out.Format, records...)
	}
	if !maps.EqualFunc(got, told, slices.Equal) {
		t.Errorf("revision %d holds\n%q\nwant\n%q", revision, got, told)
	}
	if m.Revision != revision || m.Counts != (api.Counts{Planned: planned, Committed: planned - 1, DeadLettered: 1}) {
		t.Errorf("the manifest of revision %d is %+v", revision, m)
	}
	if letters, err := fs.ReadFile(published, deadLetters(published, m)); err != nil || strings.Count(string(letters), "\n") != 1 {
		t.Errorf("the dead letters are %q, %v", letters, err)
	}
}

// wantRecords reads a published part as what goes on with its run does.
func wantRecords(t *testing.T, out Files, form string, part sink.PublishedPart, want ...int) {
	t.Helper()
	records, err := out.OpenRecords(t.Context(), part, typed)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = records.Close() }() // only read
	var got []string
	for {
		values, err := records.Values()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, cells(values))
	}
	if told := rowsAs(form, want...); !slices.Equal(got, told) {
		t.Errorf("mini-batch %d is read as\n%q\nwant\n%q", part.MiniBatch, got, told)
	}
}

// files is what lies in the folder of night.
func (o *output) files(t *testing.T) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	for key, content := range o.contents(t) {
		if name, inside := strings.CutPrefix(key, folder); inside {
			files[name] = &fstest.MapFile{Data: []byte(content)}
		}
	}
	return files
}
