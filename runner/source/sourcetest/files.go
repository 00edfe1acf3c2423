package sourcetest

import (
	"errors"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/split"
)

func inOrder(t *testing.T, p Place) {
	for _, name := range []string{"b/2.csv", "a/1.csv", "a/10.csv", "a/x/y/3.csv", "a/notes.txt", "dt=2026-11-21/4.csv"} {
		p.Write(t, name, []byte("id\n1\n"))
	}
	for pattern, want := range map[string]string{
		"a/1.csv":         "a/1.csv",
		"*/*.csv":         "a/1.csv a/10.csv b/2.csv dt=2026-11-21/4.csv",
		"a/?.csv":         "a/1.csv",
		"dt={date}/*.csv": "dt=2026-11-21/4.csv",
		"a/**/*.csv":      "a/1.csv a/10.csv a/x/y/3.csv",
		"**/[23].csv":     "a/x/y/3.csv b/2.csv",
		"a/x/**":          "a/x/y/3.csv",
	} {
		var got []string
		for _, f := range p.find(t, p.files(pattern, api.FormatCSV, "")) {
			got = append(got, strings.TrimPrefix(f.Path, p.Root+"/"))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s finds %q, want %q", pattern, got, want)
		}
	}
}

// planned is one file, planned, and its only slice.
func (p Place) planned(t *testing.T) (source.File, split.Slice) {
	t.Helper()
	p.Write(t, "a.csv", []byte("id\n1\n2\n"))
	file := p.find(t, p.files("*.csv", api.FormatCSV, ""))[0]
	return file, split.Slice{Offset: file.Start, Length: file.Size - file.Start, FirstLine: file.StartLine, Records: 2}
}

func notChanged(t *testing.T, p Place) {
	file, slice := p.planned(t)
	p.Write(t, "a.csv", []byte("id\n3\n4\n")) // as long as before
	p.wantChanged(t, file, slice)
}

func notGone(t *testing.T, p Place) {
	file, slice := p.planned(t)
	p.Remove(t, "a.csv")
	p.wantChanged(t, file, slice)
}

func (p Place) wantChanged(t *testing.T, file source.File, slice split.Slice) {
	t.Helper()
	_, err := p.slice(t, file, slice, []string{"id"})
	wantFailure(t, err, api.Reason(api.ClassInputChanged), file.Path, "changed after the run was planned", "start a new run")
	wantFailure(t, p.Inputs.Check(t.Context(), file), api.Reason(api.ClassInputChanged), file.Path)
	err = split.File(t.Context(), p.Inputs, 0, file, split.Options{Rows: 1}, func(split.Slice) error { return nil })
	wantFailure(t, err, api.Reason(api.ClassInputChanged), file.Path)
}

func missing(t *testing.T, p Place) {
	p.Write(t, "a.csv", []byte("id\n1\n"))
	for _, name := range []string{"b.csv", "*.jsonl", "dt={date}/**/*.csv"} {
		_, err := p.Inputs.Find(t.Context(), p.files(name, api.FormatCSV, ""), occasion, nil)
		wantFailure(t, err, api.ReasonInputMissing, p.Root, "input.files.uri")
	}
	_, err := p.Inputs.Find(t.Context(), p.files("a.csv", api.FormatCSV, ""), occasion, []string{"x"})
	wantFailure(t, err, api.Reason(api.ClassConfig), p.Root+"/a.csv", `no column "x"`, `"id"`)
}

// findNew gives the names of what is new.
func (p Place) findNew(t *testing.T, in api.Input, m source.Memory) (found source.NewFiles, names string) {
	t.Helper()
	found, err := p.Inputs.FindNew(t.Context(), in, occasion, []string{"id"}, m, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, c := range found.Candidates {
		all = append(all, path.Base(c.Path))
	}
	return found, strings.Join(all, " ")
}

func takenOnce(t *testing.T, p Place) {
	for _, s := range stored {
		t.Run(s.format+" "+s.compression, func(t *testing.T) {
			folder := s.format + s.compression
			for _, name := range []string{"a", "b"} {
				p.Write(t, folder+"/"+name, encode(t, s.format, s.compression, many()[:3]))
			}
			in := p.files(folder+"/*", s.format, s.compression)
			found, names := p.findNew(t, in, source.Memory{})
			if names != "a b" {
				t.Fatalf("first there are %q", names)
			}
			m := source.Memory{Known: map[string]source.Known{}, Claimed: map[string]string{}}
			for _, c := range found.Candidates {
				sum, err := p.Inputs.Sum(t.Context(), c.File)
				if err != nil {
					t.Fatal(err)
				}
				m.Known[c.Path] = source.Known{Size: c.Size, ModTime: c.ModTime, SHA256: sum, Run: "r0"}
			}
			if _, names := p.findNew(t, in, m); names != "" {
				t.Errorf("known files are new: %q", names)
			}
			p.Write(t, folder+"/b", encode(t, s.format, s.compression, many()[:4]))
			p.Write(t, folder+"/c", encode(t, s.format, s.compression, many()[:4]))
			found, names = p.findNew(t, in, m)
			if names != "b c" || found.Candidates[0].Before == nil || found.Candidates[1].Before != nil {
				t.Fatalf("then there are %q: %+v", names, found.Candidates)
			}
			if sum, err := p.Inputs.Sum(t.Context(), found.Candidates[0].File); err != nil || found.Candidates[0].Judge(sum) != source.Changed {
				t.Errorf("a changed file is judged %v, %v", found.Candidates[0].Judge(sum), err)
			}
			m.Claimed[found.Candidates[1].Path] = "r7"
			if found, names := p.findNew(t, in, m); names != "b" || len(found.Left) != 1 || !strings.Contains(found.Left[0].Why, "r7") {
				t.Errorf("with one claimed: %q, left %v", names, found.Left)
			}
		})
	}
}

func waitsForMarker(t *testing.T, p Place) {
	for _, name := range []string{"a.csv", "a.csv.done", "b.csv"} {
		p.Write(t, name, []byte("id\n1\n"))
	}
	in := p.files("*", api.FormatCSV, "")
	in.Files.DoneMarker = "*.done"
	found, names := p.findNew(t, in, source.Memory{})
	if names != "a.csv" || len(found.Left) != 1 || !strings.HasSuffix(found.Left[0].Path, "b.csv") {
		t.Errorf("new are %q, left %v", names, found.Left)
	}
	in.Files.DoneMarker, in.Files.MinAge = "", "3h"
	if found, names := p.findNew(t, in, source.Memory{}); names != "" || len(found.Left) != 3 {
		t.Errorf("of files that are too young %q are taken, left %v", names, found.Left)
	}
}

func waitsFor(t *testing.T, p Place) {
	in := api.Input{WaitFor: &api.WaitFor{URI: p.Root + "/dt={date}/_SUCCESS"}}
	there, why, err := p.Inputs.There(t.Context(), in, occasion, source.Query{})
	if there || err != nil || !strings.Contains(why, p.Root+"/dt=2026-11-21/_SUCCESS") {
		t.Errorf("before: %v, %q, %v", there, why, err)
	}
	p.Write(t, "dt=2026-11-21/_SUCCESS", nil)
	if there, _, err := p.Inputs.There(t.Context(), in, occasion, source.Query{}); !there || err != nil {
		t.Errorf("after: %v, %v", there, err)
	}
}

func wantFailure(t *testing.T, err error, reason api.Reason, texts ...string) {
	t.Helper()
	failure, ok := errors.AsType[*api.Failure](err)
	if !ok || failure.Reason != reason {
		t.Errorf("got %v, want a failure of reason %s", err, reason)
		return
	}
	if i := slices.IndexFunc(texts, func(text string) bool { return !strings.Contains(failure.Error(), text) }); i >= 0 {
		t.Errorf("%q does not say %q", failure.Error(), texts[i])
	}
}
