package source_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
)

// spooling are the inputs of a run that may spool.
func spooling(t testing.TB) *source.Inputs {
	t.Helper()
	return source.New(source.Options{RunsDir: t.TempDir(), Run: "r1", FS: durable.OS(), MaxSpool: 1 << 20})
}

type fataler interface {
	Helper()
	Fatal(...any)
}

// rowsOf reads columns of all records of files as "line:a,b"; a bad record as
// "line:!".
func rowsOf(ctx context.Context, t fataler, in *source.Inputs, files []source.File, columns ...string) (rows []string) {
	t.Helper()
	for _, file := range files {
		opened, err := in.Open(ctx, file)
		if err != nil {
			t.Fatal(err)
		}
		reader, err := opened.Records(source.Stretch{Offset: file.Start, Length: file.Bytes() - file.Start, FirstLine: file.StartLine}, columns)
		for err == nil {
			record, e := reader.Read()
			if err = e; err != nil {
				break
			}
			var cells []string
			for _, v := range record.Values {
				cells = append(cells, string(v.Bytes))
			}
			if record.Bad != nil {
				cells = []string{"!"}
			}
			rows = append(rows, fmt.Sprintf("%d:%s", record.Line, strings.Join(cells, ",")))
		}
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if err := opened.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return rows
}

func TestDuplicateKeysAreNamedWithBothPlaces(t *testing.T) {
	dir := folder(t, map[string]string{
		"a.csv": "id,x\n1,\"two\nlines\"\n2,b\nragged\n",
		"b.csv": "x,id\nragged too\nc,3\nd,2\ne,1\nf,1\n",
	})
	files := find(t, dir+"/*.csv", "csv")
	_, _, err := spooling(t).Distinct(t.Context(), files, []string{"id"}, api.DuplicatesError, nil)
	wantFailure(t, err, api.Reason(api.ClassConfig), "key id=2: "+dir+"/a.csv:4 and "+dir+"/b.csv:4;",
		"2 such keys in the input, 3 records too many", `"first" or "last"`)
	kept, left, err := spooling(t).Distinct(t.Context(), files, []string{"id", "x"}, api.DuplicatesError, nil)
	if err != nil || left != 0 || len(kept) != 2 || kept[0].Spool != "" {
		t.Errorf("no pair has both: kept %+v, left %d, %v", kept, left, err)
	}
}

func TestOneRecordOfAKeyIsKept(t *testing.T) {
	dir := folder(t, map[string]string{
		"a.csv":   "id,x\n1,\"two\nlines\"\n2,b\n3,c\n",
		"b.csv":   "id,x\n4,d\n",
		"c.csv":   "id,x\n2,e\n\n1,f",
		"d.jsonl": `{"id":"1","x":"a"}` + "\n" + `{"id":1,"x":"b"}` + "\n" + `{"id":"\u0031","x":"c"}` + "\n" + `{"id":null,"x":"d"}` + "\n" + `{"id":"null","x":"e"}` + "\n",
	})
	for _, test := range []struct {
		pattern, format, which string
		left                   int64
		want                   string
		copies                 int
	}{
		{"[abc].csv", "csv", api.DuplicatesFirst, 2, "2:1,two\nlines 4:2,b 5:3,c 2:4,d", 1},
		{"[abc].csv", "csv", api.DuplicatesLast, 2, "5:3,c 2:4,d 2:2,e 4:1,f", 1},
		{"d.jsonl", "jsonl", api.DuplicatesFirst, 2, `1:"1","a" 4:null,"d" 5:"null","e"`, 1},
		{"d.jsonl", "jsonl", api.DuplicatesLast, 2, `3:"\u0031","c" 4:null,"d" 5:"null","e"`, 1},
	} {
		in, files := spooling(t), find(t, dir+"/"+test.pattern, test.format)
		kept, left, err := in.Distinct(t.Context(), files, []string{"id"}, test.which, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(rowsOf(t.Context(), t, in, kept, "id", "x"), " "); got != test.want || left != test.left {
			t.Errorf("%s of %s keeps %q and leaves %d out, want %q and %d", test.which, test.pattern, got, left, test.want, test.left)
		}
		copies := 0
		for i, file := range kept {
			if file.Path != files[i].Path || file.Size != files[i].Size {
				t.Errorf("a copy is known as %+v", file)
			}
			if file.Spool != "" {
				copies++
			}
		}
		if copies != test.copies {
			t.Errorf("%s of %s: %d files are copied, want %d", test.which, test.pattern, copies, test.copies)
		}
	}
}

// What is kept is what a map would keep, and it stays where it was.
func TestDistinctKeepsWhatAMapWouldKeep(t *testing.T) {
	dir, in := t.TempDir(), spooling(t)
	rapid.Check(t, func(rt *rapid.T) {
		which := rapid.SampledFrom([]string{api.DuplicatesFirst, api.DuplicatesLast}).Draw(rt, "which")
		var all []source.File
		for i, keys := range rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, 12), 0, 30), 1, 3).Draw(rt, "keys") {
			text := "id,x\n"
			for n, key := range keys {
				text += fmt.Sprintf("%d,\"%d%s\"\n", key, n, strings.Repeat("\n", n%3))
			}
			path := fmt.Sprintf("%s/%d.csv", dir, i)
			write(t, path, text)
			all = append(all, find(t, path, "csv")...)
		}
		rows := rowsOf(rt.Context(), rt, in, all, "id")
		keep := map[string]int{} // key → place
		for i, row := range rows {
			_, key, _ := strings.Cut(row, ":")
			if _, known := keep[key]; !known || which == api.DuplicatesLast {
				keep[key] = i
			}
		}
		var want []string
		for i, row := range rows {
			if _, key, _ := strings.Cut(row, ":"); keep[key] == i {
				want = append(want, row)
			}
		}
		kept, left, err := in.Distinct(rt.Context(), all, []string{"id"}, which, nil)
		if err != nil {
			rt.Fatal(err)
		}
		got := rowsOf(rt.Context(), rt, in, kept, "id")
		if !slices.Equal(got, want) || left != int64(len(rows)-len(want)) {
			rt.Fatalf("kept %q, left %d out, want %q", got, left, want)
		}
		if err := in.ClearSpool(); err != nil {
			rt.Fatal(err)
		}
	})
}

func TestACopyOfACopyTakesItsPlace(t *testing.T) {
	in := spooling(t)
	file := source.File{Path: source.QueryName, Format: api.FormatJSONL, StartLine: 1, SpoolRun: "r1"}
	var err error
	file.Spool, file.SpoolSize, err = in.Spool(t.Context(), "rows", ".jsonl", func(w io.Writer) error {
		_, err := io.WriteString(w, `{"id":1}`+"\n"+`{"id":1}`+"\n"+`{"id":2}`+"\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = in.Distinct(t.Context(), []source.File{file}, []string{"id"}, api.DuplicatesError, nil)
	wantFailure(t, err, api.Reason(api.ClassConfig), "key id=1: row 1 of the query and row 2 of the query;")
	kept, _, err := in.Distinct(t.Context(), []source.File{file}, []string{"id"}, api.DuplicatesLast, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := rowsOf(t.Context(), t, in, kept, "id"); !slices.Equal(got, []string{"2:1", "3:2"}) {
		t.Errorf("kept %q", got)
	}
	if err := in.Check(t.Context(), file); err == nil {
		t.Error("the first copy is still there")
	}
}
