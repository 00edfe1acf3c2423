package source_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
)

// zipped is a folder with compressed files that are large in plain.
func zipped(t *testing.T, names ...string) string {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := io.WriteString(w, "id\n"+strings.Repeat("1234567\n", 10_000))
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, name := range names {
		files[name] = packed.String()
	}
	return folder(t, files)
}

func gzipped(dir string) api.Input {
	return api.Input{Files: &api.InputFiles{URI: dir + "/*.csv.gz", Format: api.FormatCSV, Compression: api.CompressionGzip}}
}

func TestWhatARunCopiesIsBounded(t *testing.T) {
	o := withSpool(t)
	o.MaxSpool = 100_000
	dir := zipped(t, "a.csv.gz")
	if _, err := source.New(o).Find(t.Context(), gzipped(dir), occasion, nil); err != nil {
		t.Errorf("80,003 bytes of 100,000: %v", err)
	}
	o.RunsDir = t.TempDir()
	dir = zipped(t, "a.csv.gz", "b.csv.gz")
	_, err := source.New(o).Find(t.Context(), gzipped(dir), occasion, nil)
	wantFailure(t, err, api.Reason(api.ClassConfig), dir+"/b.csv.gz", "input.max_spool, 100000 bytes", "raise input.max_spool")
	if _, err := os.Stat(filepath.Join(o.RunsDir, "r1", "spool", "2.csv")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file that is too large: %v", err)
	}
}

func TestACopyIsDurableBeforeItIsPlanned(t *testing.T) {
	o := withSpool(t)
	disk := durabletest.New(durable.OS())
	o.FS = disk
	files, err := source.New(o).Find(t.Context(), gzipped(zipped(t, "a.csv.gz")), occasion, nil)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(o.RunsDir, files[0].SpoolRun, files[0].Spool)
	steps := disk.Steps()
	at := func(op durabletest.Op, path string) int {
		return slices.IndexFunc(steps, func(s durabletest.Step) bool { return s.Op == op && s.Path == path })
	}
	created, synced, named := at(durabletest.Create, copied), at(durabletest.Sync, copied), at(durabletest.SyncDir, filepath.Dir(copied))
	if created < 0 || synced < created || named < created {
		t.Errorf("created by step %d, synced by %d, its name by %d of %v", created, synced, named, steps)
	}
}

func TestAFullDiskIsNoFaultOfTheInput(t *testing.T) {
	o := withSpool(t)
	disk := durabletest.New(durable.OS())
	disk.SetSpace(10_000)
	o.FS = disk
	inputs := source.New(o)
	in := gzipped(zipped(t, "a.csv.gz"))
	if _, err := inputs.Find(t.Context(), in, occasion, nil); !source.Passes(err) {
		t.Fatalf("it is taken for good: %v", err)
	}
	disk.SetSpace(-1)
	if err := inputs.ClearSpool(); err != nil {
		t.Fatal(err)
	}
	if _, err := inputs.Find(t.Context(), in, occasion, nil); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestACopyMovesWithTheDataDir(t *testing.T) {
	o := withSpool(t)
	dir := zipped(t, "a.csv.gz")
	file := mustFind(t, source.New(o), gzipped(dir))[0]
	if file.Path != dir+"/a.csv.gz" || file.Bytes() != 80_003 || file.Size == file.Bytes() {
		t.Errorf("pinned %+v", file)
	}
	if err := os.Remove(file.Path); err != nil { // nobody needs it any more
		t.Fatal(err)
	}
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(o.RunsDir, moved); err != nil {
		t.Fatal(err)
	}
	_, err := source.New(o).Open(t.Context(), file)
	wantFailure(t, err, api.Reason(api.ClassInputChanged), "the copy that run r1 made of input "+file.Path+" is gone", "data_dir")
	o.RunsDir, o.Run = moved, "r2" // a run that owes records of it
	opened, err := source.New(o).Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	text, err := io.ReadAll(opened.Stretch(0, 11))
	if err != nil || string(text) != "id\n1234567\n" {
		t.Errorf("read %q, %v", text, err)
	}
	if err := os.Truncate(filepath.Join(moved, "r1", file.Spool), 7); err != nil {
		t.Fatal(err)
	}
	wantFailure(t, source.New(o).Check(t.Context(), file), api.Reason(api.ClassInputChanged), "had 80003 bytes and has 7")
}

func mustFind(t *testing.T, inputs *source.Inputs, in api.Input) []source.File {
	t.Helper()
	files, err := inputs.Find(t.Context(), in, occasion, nil)
	if err != nil {
		t.Fatal(err)
	}
	return files
}
