package sink_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/sink/sinktest"
)

var typed = []api.Column{{Name: "country", Type: api.TypeString}, {Name: "id", Type: api.TypeInt64}, {Name: "score", Type: api.TypeDouble}}

// scored are the records of a mini-batch: what comes after the country.
type scored struct{ country, rest string }

func columnsOf(format string) []api.Column {
	if format == api.FormatParquet {
		return typed
	}
	return []api.Column{{Name: "country"}, {Name: "id"}, {Name: "score"}}
}

// stageScored stages one mini-batch of an input file. A country is JSON text.
func stageScored(t *testing.T, f *sink.Files, format string, miniBatch int64, input int, records ...scored) sink.PublishedPart {
	t.Helper()
	part, err := f.Stage(1, miniBatch, 1, columnsOf(format))
	if err != nil {
		t.Fatal(err)
	}
	defer part.Abort()
	for _, r := range records {
		id, score, _ := strings.Cut(r.rest, " ")
		if err := part.Write(values(r.country, id, score)); err != nil {
			t.Fatal(err)
		}
	}
	staged, err := part.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return sink.PublishedPart{MiniBatch: miniBatch, Input: input, Staged: staged}
}

func values(tokens ...string) []format.Value {
	var v []format.Value
	for _, token := range tokens {
		v = append(v, format.Value{Bytes: []byte(token), JSON: true})
	}
	return v
}

// readScored reads a published file of a partition by country.
func readScored(t *testing.T, dir, name, form string) (records []string) {
	t.Helper()
	names := []string{"id", "score"}
	file, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // read only
	var reader format.Reader
	if form == api.FormatParquet {
		info, statErr := file.Stat()
		parquet, openErr := format.OpenParquet(file, info.Size())
		if err := errors.Join(statErr, openErr); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(parquet.Columns()) != len(names) {
			t.Fatalf("%s has the columns %v", name, parquet.Columns())
		}
		reader, err = parquet.Read(0, parquet.Rows(), names)
	} else {
		reader, err = format.NewReader(format.Options{Format: form}, file, names, names, 1)
	}
	for err == nil {
		var record *format.Record
		if record, err = reader.Read(); err != nil {
			continue
		}
		if record.Bad != nil {
			t.Fatalf("%s: %v", name, record.Bad)
		}
		var line []string
		for _, value := range record.Values {
			line = append(line, strings.Trim(string(value.Bytes), `"`))
		}
		records = append(records, strings.Join(line, " "))
	}
	if !errors.Is(err, io.EOF) {
		t.Fatalf("%s: %v", name, err)
	}
	return records
}

// A run that left something undone can be taken up again: the next revision
// holds what was published, though no mini-batch is found in the folder.
func TestTheNextRevisionOfAMergedLayoutHoldsWhatWasPublished(t *testing.T) {
	for _, out := range []api.OutputFiles{{Layout: api.LayoutSingle}, {Layout: api.LayoutPerInputFile}, {PartitionBy: []string{"country"}}} {
		for _, form := range []string{api.FormatCSV, api.FormatJSONL, api.FormatParquet} {
			t.Run(out.Layout+", "+form, func(t *testing.T) {
				first := []scored{{`"DE"`, "1 0.5"}, {`"FR"`, "2 1.5"}}
				open := func() (*sink.Files, sink.Publication) {
					p := newPlace(t)
					p.out, p.out.Format = out, form
					f := p.open(t, "run-1", night)
					return f, sink.Publication{Columns: columnsOf(form)}
				}
				f, _ := open()
				one := stageScored(t, f, form, 1, 0, first...)
				incomplete := publication(1, 2, one)
				incomplete.Columns = columnsOf(form)
				publish(t, f, incomplete)
				if err := f.SweepStaged(nil); err != nil {
					t.Fatal(err)
				}
				one.Path = ""
				if err := f.CheckPublished([]sink.PublishedPart{one}); err != nil {
					t.Fatal(err)
				}
				if r, err := f.NextRevision(); r != 2 || err != nil {
					t.Errorf("revision %d, %v", r, err)
				}
				records, err := f.OpenRecords(one, columnsOf(form)) // as a redrive does
				if err != nil {
					t.Fatal(err)
				}
				if line, err := records.Next(); err != nil || !strings.Contains(string(line), "DE") {
					t.Errorf("the first record is %s: %v", line, err)
				}
				if err := records.Close(); err != nil {
					t.Error(err)
				}
				two := func(f *sink.Files) sink.PublishedPart {
					return stageScored(t, f, form, 2, 0, scored{`"DE"`, "3 2.5"}, scored{`null`, "4 3.5"})
				}
				whole := publication(2, 0, one, two(f))
				whole.Columns = columnsOf(form)
				publish(t, f, whole)

				at, _ := open()
				atOnce := publication(2, 0, stageScored(t, at, form, 1, 0, first...), two(at))
				atOnce.Columns = columnsOf(form)
				publish(t, at, atOnce)
				sameTree(t, tree(t, f.Folder()), tree(t, at.Folder()))
				if len(tree(t, f.Folder())) < 4 {
					t.Error("nothing was published")
				}
			})
		}
	}
}

// A part that is not what was staged is found, though only its records would
// be in the folder.
func TestAChangedPartIsNotMerged(t *testing.T) {
	for _, out := range []api.OutputFiles{{Layout: api.LayoutSingle}, {PartitionBy: []string{"label"}}} {
		p := newPlace(t)
		p.out, p.out.Format = out, api.FormatJSONL
		f := p.open(t, "run-1", night)
		part := stage(t, f, 1, 1, 2, "old")
		path := filepath.Join(f.Staging(), part.Path)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, strings.Replace(string(content), "old", "new", 1))
		if err := f.Publish(publication(1, 0, part)); err == nil || !strings.Contains(err.Error(), "changed") {
			t.Errorf("%+v: %v", out, err)
		}
	}
}

// counting counts the files that are open.
type counting struct {
	durable.FS
	open, most *int
}

func (c counting) Create(path string) (durable.File, error) {
	file, err := c.FS.Create(path)
	*c.open++
	*c.most = max(*c.most, *c.open)
	return countingFile{file, c.open}, err
}

type countingFile struct {
	durable.File
	open *int
}

func (f countingFile) Close() error { *f.open--; return f.File.Close() }

func TestAThousandPartitionsAreAFileEachAndFewOpen(t *testing.T) {
	const rounds = 3
	for form, countries := range map[string]int{api.FormatJSONL: 1000, api.FormatParquet: 100} {
		t.Run(form, func(t *testing.T) {
			open, most := 0, 0
			p := newPlace(t)
			p.fs = counting{p.fs, &open, &most}
			p.out = api.OutputFiles{Format: form, PartitionBy: []string{"country"}}
			f := p.open(t, "run-1", night)
			var parts []sink.PublishedPart
			for round := range int64(rounds) {
				var records []scored
				for country := range countries {
					records = append(records, scored{fmt.Sprintf(`"c%d"`, (country*7)%countries), fmt.Sprintf("%d 0.5", round)})
				}
				parts = append(parts, stageScored(t, f, form, round+1, 0, records...))
			}
			published := publication(1, 0, parts...)
			published.Columns = columnsOf(form)
			publish(t, f, published)
			m, err := sinktest.Check(os.DirFS(f.Folder()))
			if err != nil || len(m.Parts) != countries {
				t.Fatalf("%d files: %v", len(m.Parts), err)
			}
			if got := readScored(t, f.Folder(), "country=c77/part-000001."+form, form); !slices.Equal(got, []string{"0 0.5", "1 0.5", "2 0.5"}) {
				t.Errorf("a partition holds %v", got)
			}
			if open != 0 || most > 128 {
				t.Errorf("%d files are open still, %d were at once", open, most)
			}
		})
	}
}

func TestTheFoldersOfPartitionsAreNamedAsHiveDoes(t *testing.T) {
	p := newPlace(t)
	p.out = api.OutputFiles{Format: api.FormatJSONL, PartitionBy: []string{"country", "id"}}
	f := p.open(t, "run-1", night)
	published := publication(1, 0, stageScored(t, f, api.FormatJSONL, 1, 0,
		scored{`"a/b=c d%"`, "1 1"}, scored{`null`, "2 1"}, scored{`""`, "2 2"}, scored{`"..\n\"ü"`, "null 3"}, scored{`{"x":[1]}`, "1.50 4"}))
	published.Columns = columnsOf(api.FormatJSONL)
	publish(t, f, published)
	m, err := sinktest.Check(os.DirFS(f.Folder()))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, part := range m.Parts {
		got = append(got, filepath.Dir(part.Name))
	}
	want := []string{"country=%7B%22x%22%3A%5B1%5D}/id=1.50", "country=..%0A%22ü/id=__HIVE_DEFAULT_PARTITION__",
		"country=__HIVE_DEFAULT_PARTITION__/id=2", "country=a%2Fb%3Dc d%25/id=1"}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPartitionsThatCanNotBeNamedFail(t *testing.T) {
	long, many := []scored{{`"` + strings.Repeat("x", 260) + `"`, "1 1"}}, make([]scored, 10_001)
	for i := range many {
		many[i] = scored{fmt.Sprint(i), "1 1"}
	}
	for name, test := range map[string]struct {
		by      string
		records []scored
		says    string
	}{
		"long":    {"country", long, "too long"},
		"many":    {"country", many, "more than 10000"},
		"missing": {"region", long, "no column"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			open, most := 0, 0
			p.fs = counting{p.fs, &open, &most}
			p.out = api.OutputFiles{Format: api.FormatJSONL, PartitionBy: []string{test.by}}
			f := p.open(t, "run-1", night)
			published := publication(1, 0, stageScored(t, f, api.FormatJSONL, 1, 0, test.records...))
			published.Columns = columnsOf(api.FormatJSONL)
			err := f.Publish(published)
			if reason(err) != api.ReasonPublish || !strings.Contains(err.Error(), test.says) || open != 0 || exists(t, f.Folder()) {
				t.Errorf("%v, %d files open", err, open)
			}
		})
	}
}

func TestFilesAreNamedAfterTheirInputs(t *testing.T) {
	long := strings.Repeat("ü", 120)
	inputs := []string{"/in/de/iris.csv.gz", "/in/fr/Iris.csv", "s3://bucket/iris.2026-11.jsonl", "/in/_DEAD_LETTERS.csv", "/in/.csv", "/in/100% [a].parquet",
		"/in/a\nb\xff.csv", "/in/" + long + ".csv", "/in/de/iris.csv.gz"}
	p := newPlace(t)
	p.out = api.OutputFiles{Format: api.FormatJSONL, Layout: api.LayoutPerInputFile}
	f := p.open(t, "run-1", night)
	var parts []sink.PublishedPart
	for i := range inputs {
		part := stage(t, f, 1, int64(i+1), 1, "x")
		part.Input = i
		parts = append(parts, part)
	}
	published := publication(1, 2, parts...)
	published.Inputs = inputs
	publish(t, f, published)
	m, err := sinktest.Check(os.DirFS(f.Folder()))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, part := range m.Parts {
		got = append(got, part.Name)
	}
	want := []string{"iris-….jsonl", "Iris-….jsonl", "iris.2026-11.jsonl", "%5FDEAD_LETTERS.jsonl", "%2Ecsv.jsonl", "100% [a].jsonl", "a%0Ab%FF.jsonl"}
	if len(got) != 8 || m.Parts[0].Records != 2 || !slices.Equal(got[2:7], want[2:]) ||
		!strings.HasPrefix(got[0], "iris-") || !strings.HasPrefix(got[1], "Iris-") || len(got[7]) > 255 {
		t.Errorf("got %q, want %q", got, want)
	}

	published.Parts, published.Manifest.Revision = parts[1:2], 2 // and its twin has no record
	published.Manifest.Counts.Committed = 1
	publish(t, f, published)
	if m, err = sinktest.Check(os.DirFS(f.Folder())); err != nil || m.Parts[0].Name != got[1] {
		t.Errorf("the name is %v now, and was %s: %v", m.Parts, got[1], err)
	}
}

// Retention removes the folders of partitions, and nothing that somebody put
// there.
func TestPartitionsAreRemovedWithTheirFolder(t *testing.T) {
	p := newPlace(t)
	p.out = api.OutputFiles{Format: api.FormatJSONL, PartitionBy: []string{"label"}}
	f := p.open(t, "run-1", night)
	published := publication(1, 1, stage(t, f, 1, 1, 1, "a"), stage(t, f, 1, 2, 1, "b"))
	published.MovePointer = false
	publish(t, f, published)
	old := sink.Output{Folder: f.Folder(), UID: uid, Run: "run-1", Revision: 1}
	foreign := filepath.Join(f.Folder(), "label=a", "notes.txt")
	writeFile(t, foreign, "mine")
	if err := old.Removable(); reason(err) != api.ReasonOutputTaken || !strings.Contains(err.Error(), "notes.txt") {
		t.Errorf("removable: %v", err)
	}
	if err := os.Remove(foreign); err != nil {
		t.Fatal(err)
	}
	recorder := durabletest.New(p.fs)
	if err := old.Remove(recorder); err != nil || exists(t, f.Folder()) {
		t.Errorf("removed: %v", err)
	}
	if err := durabletest.CheckOrder(recorder.Steps()); err != nil {
		t.Error(err)
	}
}
