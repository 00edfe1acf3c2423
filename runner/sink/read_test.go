package sink_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
)

func readAll(f *sink.Files, part sink.PublishedPart) (string, error) {
	records, err := f.OpenRecords(part, columns)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for {
		record, err := records.Next()
		if errors.Is(err, io.EOF) {
			return text.String(), records.Close()
		}
		if err != nil {
			return text.String(), errors.Join(err, records.Close())
		}
		text.Write(record)
	}
}

// A part can be read back record by record, staged or published, and copied
// into another one to the byte.
func TestAPartIsReadBackAsItWasWritten(t *testing.T) {
	for _, as := range []string{api.FormatJSONL, api.FormatCSV, api.FormatParquet} {
		p, columns := newPlace(t), columns
		if as == api.FormatParquet {
			columns = []api.Column{{Name: "id", Type: api.TypeString}, {Name: "label", Type: api.TypeString}}
		}
		out := api.OutputFiles{URI: p.root + "/dt={date}/", Format: as}
		f, err := sink.Open(p.fs, out, job, uid, api.Occasion{Occurrence: night, Run: "run-1"})
		if err != nil {
			t.Fatal(err)
		}
		part, err := f.Stage(1, 1, 1, columns)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"1", "two\nlines, \"quoted\"", ""} {
			if err := part.Write([]format.Value{{Bytes: []byte(id)}, {Bytes: []byte(`"é"`), JSON: true}}); err != nil {
				t.Fatal(err)
			}
		}
		staged, err := part.Finish()
		if err != nil {
			t.Fatal(err)
		}
		source := sink.PublishedPart{MiniBatch: 1, Staged: staged}
		for range 2 { // staged, then published
			records, err := f.OpenRecords(source, columns)
			if err != nil {
				t.Fatal(err)
			}
			twin, err := f.Stage(2, 1, 1, columns)
			if err != nil {
				t.Fatal(err)
			}
			for {
				record, err := records.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err := errors.Join(err, twin.Copy(record)); err != nil {
					t.Fatal(err)
				}
			}
			copied, err := twin.Finish()
			if err != nil || copied.SHA256 != staged.SHA256 || copied.Records != 3 {
				t.Errorf("%s: the copy is %+v, want %+v (%v)", as, copied, staged, err)
			}
			if err := records.Close(); err != nil {
				t.Fatal(err)
			}
			if source.Path != "" {
				publish(t, f, publication(1, 0, source))
				source.Path = ""
			}
		}
	}
}

func TestAChangedPartIsNotReadToItsEnd(t *testing.T) {
	f := newPlace(t).open(t, "run-1", night)
	part := stage(t, f, 1, 1, 2, "x")
	path := filepath.Join(f.Staging(), part.Path)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, changed := range map[string]string{
		"another byte": strings.Replace(string(content), `"x"`, `"y"`, 1),
		"cut short":    strings.SplitAfter(string(content), "\n")[0],
		"longer":       string(content) + string(content),
	} {
		writeFile(t, path, changed)
		if text, err := readAll(f, part); err == nil || !strings.Contains(err.Error(), "somebody changed it") {
			t.Errorf("%s: read %q, %v", name, text, err)
		}
	}
	writeFile(t, path, string(content))
	if text, err := readAll(f, part); err != nil || text != string(content) {
		t.Errorf("read %q, %v", text, err)
	}
}

func TestSweepStagedLeavesWhatRowsName(t *testing.T) {
	p := newPlace(t)
	f := p.open(t, "run-1", night)
	kept, garbage, old := stage(t, f, 2, 1, 1, "x"), stage(t, f, 2, 2, 1, "x"), stage(t, f, 1, 1, 1, "x")
	writeFile(t, filepath.Join(f.Staging(), "publish", "part"), "x")
	for range 2 {
		if err := f.SweepStaged(map[string]bool{kept.Path: true}); err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]bool{kept.Path: true, garbage.Path: false, old.Path: false, "1": false, "publish/part": true} {
			if exists(t, filepath.Join(f.Staging(), path)) != want {
				t.Errorf("%s is there: %v", path, !want)
			}
		}
	}
	if err := p.open(t, "run-9", night).SweepStaged(nil); err != nil {
		t.Errorf("a run that has staged nothing: %v", err)
	}
}
