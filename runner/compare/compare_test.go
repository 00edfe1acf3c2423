package compare

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// publish writes a published folder: parts, and the manifest that lists them.
func publish(t *testing.T, parts map[string]string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	var listed []string
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		put(t, filepath.Join(folder, name), parts[name])
		listed = append(listed, fmt.Sprintf(`{"name": %q}`, name))
	}
	put(t, filepath.Join(folder, "part-999999.jsonl"), "of nobody\n")
	put(t, filepath.Join(folder, manifestName), `{"format": 1, "parts": [`+strings.Join(listed, ",")+`]}`)
	return folder
}

func put(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func run(t *testing.T, o Options) Result {
	t.Helper()
	result, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestEachRecordIsEqualDiffersIsMissingOrExtra(t *testing.T) {
	folder := publish(t, map[string]string{
		"part-000001.jsonl": `{"id":1,"label":"a","p":0.5}` + "\n" + `{"id":2,"label":"b","p":0.25}` + "\n",
		"part-000002.jsonl": `{"id":3,"label":"c","p":0.125}` + "\n" + `{"id":4,"label":"d","p":1}` + "\n",
	})
	against := put(t, filepath.Join(t.TempDir(), "old.csv"), "id,p,label,at\n3,0.1250001,c,x\n1,0.5,a,x\n9,1,z,x\n2,0.25,B,x\n")

	got := run(t, Options{Folder: folder, Against: api.InputFiles{URI: against}, Key: []string{"id"}, Tolerance: 1e-6, Examples: 5})
	want := Result{
		Equal: 2, Differ: 1, Missing: 1, Extra: 1, Columns: []string{"label", "p"}, Left: []string{"at"},
		Examples: []Example{
			{Kind: Differ, Key: "id=2", Column: "label", Published: `"b"`, Against: "B", place: 2},
			{Kind: Missing, Key: "id=9", place: 3}, {Kind: Extra, Key: "id=4", place: 4},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant\n%+v", got, want)
	}
	if got := run(t, Options{Folder: folder, Against: api.InputFiles{URI: against}, Key: []string{"id"}, Columns: []string{"p"}}); got.Differ != 1 || got.Equal != 2 || len(got.Examples) != 0 {
		t.Errorf("p alone, to the digit: %+v", got)
	}
}

// Whatever the formats, numbers of files and their order, and however many
// parts the comparison has: equal is equal.
func TestFormatsAndOrderDoNotMatter(t *testing.T) {
	const n = 5000
	var lines, cells, zipped bytes.Buffer
	parquet, err := format.NewWriter(api.FormatParquet, &zipped, []api.Column{{Name: "id", Type: api.TypeInt64}, {Name: "p", Type: api.TypeDouble}})
	if err != nil {
		t.Fatal(err)
	}
	cells.WriteString("p,id\n")
	for i := range n {
		j := (i*7 + 3) % n
		fmt.Fprintf(&lines, "{\"id\":%d,\"p\":%d.5}\n", i, i)
		fmt.Fprintf(&cells, "%d.50,%d\n", j, j)
		id, p := fmt.Sprint(j), fmt.Sprintf("%d.5", j)
		if err := parquet.Write([]format.Value{jsonCell(id), jsonCell(p)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := parquet.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	_, _ = w.Write(cells.Bytes())
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "a.csv"), cells.String())
	put(t, filepath.Join(dir, "a.csv.gz"), compressed.String())
	put(t, filepath.Join(dir, "a.parquet"), zipped.String())
	folder := publish(t, map[string]string{"part-000001.jsonl": lines.String()})
	for _, name := range []string{"a.csv", "a.csv.gz", "a.parquet"} {
		got := run(t, Options{Folder: folder, Against: api.InputFiles{URI: filepath.Join(dir, name)}, Key: []string{"id"}})
		if got.Equal != n || got.Differ+got.Missing+got.Extra > 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := run(t, Options{Folder: publish(t, map[string]string{"part-000001.parquet": zipped.String()}), Against: api.InputFiles{URI: filepath.Join(dir, "a.csv")}, Key: []string{"id"}}); got.Equal != n {
		t.Errorf("published as Parquet: %+v", got)
	}
}

// Two runs, as of two models, are compared by what both have published.
func TestAnotherPublishedFolderIsComparedByItsManifest(t *testing.T) {
	lines := map[string]string{"part-000001.jsonl": `{"id":1,"p":1}` + "\n", "part-000002.jsonl": `{"id":2,"p":2}` + "\n"}
	other := map[string]string{"part-000001.csv": "id,p\n2,2.0\n1,3\n"}
	got := run(t, Options{Folder: publish(t, lines), Against: api.InputFiles{URI: publish(t, other) + "/"}, Key: []string{"id"}})
	if got.Equal != 1 || got.Differ != 1 || got.Missing+got.Extra > 0 {
		t.Errorf("%+v", got)
	}
}

func TestManyParts(t *testing.T) {
	folder := t.TempDir()
	dealt, err := newParts(folder, 7)
	if err != nil {
		t.Fatal(err)
	}
	defer dealt.close()
	for i := range 1000 {
		if err := dealt.write(int64(i), cellsOf(fmt.Sprint(i)), cellsOf("x", "")); err != nil {
			t.Fatal(err)
		}
	}
	if err := dealt.flush(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i := range 7 {
		n := 0
		err := dealt.each(i, func(e entry) error {
			first, rest := cell(e.cells)
			second, rest := cell(rest)
			if string(first.Bytes) != "x" || len(second.Bytes)+len(rest) > 0 {
				t.Fatalf("entry %d came back as %q", e.place, e.cells)
			}
			seen[e.key] = true
			n++
			return nil
		})
		if err != nil || n == 0 {
			t.Errorf("part %d has %d entries, %v", i, n, err)
		}
	}
	if left, err := os.ReadDir(folder); len(seen) != 1000 || len(left) > 0 || err != nil {
		t.Errorf("%d keys; left behind: %v, %v", len(seen), left, err)
	}
}

func cellsOf(texts ...string) (cells []format.Value) {
	for _, text := range texts {
		cells = append(cells, csvCell(text))
	}
	return cells
}

func TestOnlyTheFirstExamplesAreKept(t *testing.T) {
	c := comparison{Options: Options{Key: []string{"id"}, Examples: 2}}
	var n int64
	for _, place := range []int64{5, 3, 9, 1, 4} {
		c.count(&n, Example{Kind: Extra, place: place}, string(appendKey(nil, cellsOf(fmt.Sprint(place)))))
	}
	if got := c.end().Examples; n != 5 || len(got) != 2 || got[0].Key != "id=1" || got[1].Key != "id=3" {
		t.Errorf("%d counted, examples %+v", n, got)
	}
}

func TestWhatCannotBeComparedSaysWhy(t *testing.T) {
	dir := t.TempDir()
	folder := publish(t, map[string]string{"part-000001.jsonl": `{"id":1,"p":1}` + "\n"})
	twice := publish(t, map[string]string{"part-000001.jsonl": `{"id":1,"p":1}` + "\n" + `{"id":1,"p":1}` + "\n"})
	good := put(t, filepath.Join(dir, "good.csv"), "id,p\n1,1\n")
	for text, o := range map[string]Options{
		"_MANIFEST.json": {Folder: dir, Against: api.InputFiles{URI: good}},
		"no such":        {Folder: dir + "/none", Against: api.InputFiles{URI: good}},
		"none.csv":       {Folder: folder, Against: api.InputFiles{URI: dir + "/none.csv"}},
		"is a folder that no run has published (it has no _MANIFEST.json): name its files, as in " + dir + "/*.csv": {
			Folder: folder, Against: api.InputFiles{URI: dir},
		},
		"the format of":                              {Folder: folder, Against: api.InputFiles{URI: put(t, dir+"/a.txt", "")}},
		"id=1 stands twice in " + twice:              {Folder: twice, Against: api.InputFiles{URI: good}},
		"id=1 stands twice in " + dir + "/twice.csv": {Folder: folder, Against: api.InputFiles{URI: put(t, dir+"/twice.csv", "id,p\n1,1\n1,2\n")}},
		"id=2 stands twice in " + dir + "/other.csv": {Folder: folder, Against: api.InputFiles{URI: put(t, dir+"/other.csv", "id,p\n2,1\n2,2\n")}},
		`keyless.csv has no column "id"; it has "p"`: {Folder: folder, Against: api.InputFiles{URI: put(t, dir+"/keyless.csv", "p\n1\n")}},
		"have no column in common but the key":       {Folder: folder, Against: api.InputFiles{URI: put(t, dir+"/apart.csv", "id,q\n1,1\n")}},
		"broken.csv:3: ":                             {Folder: folder, Against: api.InputFiles{URI: put(t, dir+"/broken.csv", "id,p\n1,1\n2\n")}},
	} {
		o.Key = []string{"id"}
		if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("want %q, got %v", text, err)
		}
	}
}

func TestNothingAgainstNothingIsEqual(t *testing.T) {
	folder := publish(t, map[string]string{})
	got := run(t, Options{Folder: folder, Against: api.InputFiles{URI: put(t, t.TempDir()+"/a.csv", "id,p\n7,1\n")}, Key: []string{"id"}})
	if got.Missing != 1 || got.Equal+got.Differ+got.Extra > 0 {
		t.Errorf("%+v", got)
	}
}
