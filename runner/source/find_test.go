package source_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
)

// inputs are those of a run that spools nothing.
var inputs = source.New(source.Options{})

var occasion = api.Occasion{Occurrence: time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC), Run: "r1"}

// folder makes a folder with files in it.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func find(t testing.TB, uri, format string, columns ...string) []source.File {
	t.Helper()
	files, err := inputs.Find(t.Context(), api.Input{Files: &api.InputFiles{URI: uri, Format: format}}, occasion, columns)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestFindExpandsPlaceholdersAndGlobs(t *testing.T) {
	dir := folder(t, map[string]string{
		"dt=2026-11-21/b.csv": "a\n1\n", "dt=2026-11-21/a.csv": "a\n1\n", "dt=2026-11-21/c.txt": "", "dt=2026-11-20/z.csv": "a\n1\n",
	})
	for uri, want := range map[string][]string{
		dir + "/dt={date}/*.csv":            {"dt=2026-11-21/a.csv", "dt=2026-11-21/b.csv"},
		"file://" + dir + "/dt={date}/*":    {"dt=2026-11-21/a.csv", "dt=2026-11-21/b.csv", "dt=2026-11-21/c.txt"},
		dir + "/dt={date-1d}/z.csv":         {"dt=2026-11-20/z.csv"},
		dir + "/*/[ab].csv":                 {"dt=2026-11-21/a.csv", "dt=2026-11-21/b.csv"},
		dir + "/*/*.csv":                    {"dt=2026-11-20/z.csv", "dt=2026-11-21/a.csv", "dt=2026-11-21/b.csv"},
		dir + "/dt={date:%Y-%m-%d}/?.csv":   {"dt=2026-11-21/a.csv", "dt=2026-11-21/b.csv"},
		dir + "/dt={year}-{month}-{day}/a*": {"dt=2026-11-21/a.csv"},
	} {
		var got []string
		for _, file := range find(t, uri, "csv") {
			relative, err := filepath.Rel(dir, file.Path)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, relative)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s finds %q, want %q", uri, got, want)
		}
	}
}

func TestFindPinsWhatAFileIs(t *testing.T) {
	dir := folder(t, map[string]string{"a.csv": "\uFEFF\nid,\"x\ny\"\n1,2\n", "a.jsonl": "\uFEFF{}\n", "empty.csv": ""})

	file := find(t, dir+"/a.csv", "csv", "x\ny", "id")[0]
	info, err := os.Stat(file.Path)
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	if file.Format != "csv" || file.Size != info.Size() || !file.ModTime.Equal(info.ModTime()) || file.Inode != stat.Ino || file.Device != uint64(stat.Dev) {
		t.Errorf("pinned %+v", file)
	}
	if !slices.Equal(file.Header, []string{"id", "x\ny"}) || file.Start != info.Size()-int64(len("1,2\n")) || file.StartLine != 4 {
		t.Errorf("header %q, records from byte %d, line %d", file.Header, file.Start, file.StartLine)
	}
	if file := find(t, dir+"/a.jsonl", "jsonl", "any")[0]; file.Header != nil || file.Start != 3 || file.StartLine != 1 {
		t.Errorf("json lines: %+v", file)
	}
	if file := find(t, dir+"/empty.csv", "csv", "any")[0]; file.Header != nil || file.Start != 0 || file.Size != 0 {
		t.Errorf("empty file: %+v", file)
	}
}

func TestWhatFindRefuses(t *testing.T) {
	dir := folder(t, map[string]string{
		"iris.csv": "id,petal\n1,2\n", "twice.csv": "id,x,id\n", "unnamed.csv": "id,\n", "open.csv": "id,\"x\n1\n", "sub/x.csv": "id\n",
	})
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.csv"), 0o644); err != nil {
		t.Fatal(err)
	}
	var wide []string
	for i := range 60 {
		wide = append(wide, fmt.Sprintf("c%d", i))
	}
	if err := os.WriteFile(filepath.Join(dir, "wide.csv"), []byte(strings.Join(wide, ",")), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		uri    string
		reason api.Reason
		texts  []string
	}{
		"no file":            {"/dt={date}/none.csv", api.ReasonInputMissing, []string{dir + "/dt=2026-11-21/none.csv", "input.files.uri"}},
		"nothing matches":    {"/*.jsonl", api.ReasonInputMissing, []string{dir + "/*.jsonl"}},
		"no folder":          {"/no*/*/x", api.ReasonInputMissing, []string{dir + "/no*/*/x"}},
		"column missing":     {"/iris.csv", "config", []string{dir + "/iris.csv", `no column "species"`, `"id", "petal"`, "predict.features.columns"}},
		"of many columns":    {"/wide.csv", "config", []string{`"c49" and 10 more`}},
		"name twice":         {"/twice.csv", "config", []string{dir + "/twice.csv", "line 1", `column 3 of the header is named "id"`}},
		"name missing":       {"/unnamed.csv", "config", []string{dir + "/unnamed.csv", "column 2 of the header has no name"}},
		"header not csv":     {"/open.csv", "config", []string{dir + "/open.csv", "never closed"}},
		"folder":             {"/sub", "config", []string{dir + "/sub is a folder", dir + "/sub/*"}},
		"folder among files": {"/s*", "config", []string{dir + "/sub is a folder"}},
		"pipe":               {"/pipe.csv", "config", []string{dir + "/pipe.csv is not a regular file"}},
		"bad placeholder":    {"/{dat}.csv", "config", []string{"{dat}"}},
		"bad glob":           {"/[a.csv", "config", []string{dir + "/[a.csv"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := inputs.Find(t.Context(), api.Input{Files: &api.InputFiles{URI: dir + test.uri, Format: "csv"}}, occasion, []string{"species"})
			wantFailure(t, err, test.reason, test.texts...)
		})
	}
}

func wantFailure(t *testing.T, err error, reason api.Reason, texts ...string) {
	t.Helper()
	failure, ok := errors.AsType[*api.Failure](err)
	if !ok || failure.Reason != reason {
		t.Fatalf("got %v, want a failure of reason %s", err, reason)
	}
	for _, text := range texts {
		if !strings.Contains(failure.Error(), text) {
			t.Errorf("%q does not say %q", failure.Error(), text)
		}
	}
}
