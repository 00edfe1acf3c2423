package source_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
)

var now = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

// findNew tells what an incremental input has for a run: the candidates, with a
// mark where something is known of them, and what is left, each by name.
func findNew(t *testing.T, in api.InputFiles, m source.Memory) (candidates, left []string) {
	t.Helper()
	if in.Format == "" {
		in.Format = api.FormatCSV
	}
	found, err := inputs.FindNew(t.Context(), api.Input{Files: &in}, occasion, []string{"a"}, m, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range found.Candidates {
		name := filepath.Base(c.Path)
		if c.Before != nil {
			name += "?"
		}
		candidates = append(candidates, name)
	}
	for _, l := range found.Left {
		left = append(left, filepath.Base(l.Path)+": "+l.Why)
	}
	return candidates, left
}

func TestFindNewTellsWhatIsKnownNewAndToBeLeft(t *testing.T) {
	dir := folder(t, map[string]string{"known.csv": "a\n1\n", "touched.csv": "a\n1\n", "grown.csv": "a\n1\n2\n", "new.csv": "a\n", "young.csv": "a\n1\n", "claimed.csv": "a\n1\n", "ahead.csv": "a\n1\n"})
	at := now.Add(-time.Hour)
	m := source.Memory{Known: map[string]source.Known{}, Claimed: map[string]string{dir + "/claimed.csv": "r2", dir + "/known.csv": "r1"}}
	for _, name := range []string{"known.csv", "touched.csv", "grown.csv", "new.csv", "claimed.csv"} {
		touch(t, filepath.Join(dir, name), at)
	}
	touch(t, dir+"/young.csv", now.Add(-59*time.Second))
	touch(t, dir+"/ahead.csv", now.Add(time.Hour)) // by a clock that is fast
	m.Known[dir+"/known.csv"] = source.Known{Size: 4, ModTime: at}
	m.Known[dir+"/touched.csv"] = source.Known{Size: 4, ModTime: at.Add(-time.Second)}
	m.Known[dir+"/grown.csv"] = source.Known{Size: 4, ModTime: at}

	candidates, left := findNew(t, api.InputFiles{URI: dir + "/*.csv", MinAge: "1m"}, m)
	if want := []string{"grown.csv?", "new.csv", "touched.csv?"}; !slices.Equal(candidates, want) {
		t.Errorf("candidates %q, want %q", candidates, want)
	}
	if want := []string{"ahead.csv: younger than 1m", "claimed.csv: run r2 has it", "young.csv: younger than 1m"}; !slices.Equal(left, want) {
		t.Errorf("left %q, want %q", left, want)
	}
}

func TestADoneMarkerStandsBesideItsFile(t *testing.T) {
	for marker, test := range map[string]struct{ files, candidates, left string }{
		"*.done":   {"a.csv a.csv.done b.csv c.csv.done", "a.csv", "b.csv"},
		"_SUCCESS": {"a.csv b.csv _SUCCESS", "a.csv b.csv", ""},
		"DONE":     {"a.csv b.csv DONE.csv", "", "DONE.csv a.csv b.csv"},
		"ok-*":     {"a.csv ok-a.csv b.csv", "a.csv", "b.csv"},
	} {
		files := map[string]string{}
		for name := range strings.FieldsSeq(test.files) {
			files[name] = "a\n1\n"
		}
		dir := folder(t, files)
		candidates, left := findNew(t, api.InputFiles{URI: dir + "/*", DoneMarker: marker}, source.Memory{})
		for i := range left {
			left[i], _, _ = strings.Cut(left[i], ": without its marker")
		}
		if strings.Join(candidates, " ") != test.candidates || strings.Join(left, " ") != test.left {
			t.Errorf("%s of %s: candidates %q, left %q", marker, test.files, candidates, left)
		}
	}
}

func TestNothingToFindIsNoErrorButNowhereToLookIs(t *testing.T) {
	dir := folder(t, map[string]string{"x/a.csv": "a\n1\n"})
	if candidates, left := findNew(t, api.InputFiles{URI: dir + "/x/*.jsonl"}, source.Memory{}); candidates != nil || left != nil {
		t.Errorf("found %q, left %q", candidates, left)
	}
	_, err := inputs.FindNew(t.Context(), csvFiles(dir+"/y/*.csv"), occasion, nil, source.Memory{}, now)
	wantFailure(t, err, api.ReasonInputMissing, dir+"/y", "no such file", "see that the folder is there")
	_, err = inputs.FindNew(t.Context(), csvFiles(dir+"/x/*.csv"), occasion, []string{"b"}, source.Memory{}, now)
	wantFailure(t, err, api.Reason(api.ClassConfig), `no column "b"`)
	known := source.Memory{Known: map[string]source.Known{}}
	info, err := os.Stat(dir + "/x/a.csv")
	if err != nil {
		t.Fatal(err)
	}
	known.Known[dir+"/x/a.csv"] = source.Known{Size: info.Size(), ModTime: info.ModTime()}
	if _, err := inputs.FindNew(t.Context(), csvFiles(dir+"/x/*.csv"), occasion, []string{"b"}, known, now); err != nil {
		t.Errorf("a known file is looked into: %v", err)
	}
}

func TestContentDecidesWhatACandidateIs(t *testing.T) {
	for _, test := range []struct {
		before *source.Known
		want   source.Verdict
	}{
		{nil, source.Fresh},
		{&source.Known{SHA256: "same"}, source.Touched},
		{&source.Known{SHA256: "other"}, source.Changed},
	} {
		if got := (source.Candidate{Before: test.before}).Judge("same"); got != test.want {
			t.Errorf("with %+v known it is %v, want %v", test.before, got, test.want)
		}
	}
}

func TestRepinFollowsAFileWhoseContentIsThePinnedOne(t *testing.T) {
	for name, test := range map[string]struct {
		change func(path string)
		opens  bool
	}{
		"touched": {func(path string) { touch(t, path, now.Add(time.Hour)) }, true},
		"replaced by a copy": {func(path string) {
			write(t, path+".new", "a\n1\n")
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		}, true},
		"rewritten": {func(path string) { write(t, path, "a\n2\n"); touch(t, path, now.Add(time.Hour)) }, false},
		"grown":     {func(path string) { write(t, path, "a\n1\n2\n") }, false},
		"removed": {func(path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := folder(t, map[string]string{"a.csv": "a\n1\n"}) + "/a.csv"
			file := find(t, path, "csv")[0]
			file.SHA256 = "4bbd4d0a1d8e1a3fd0f9a0c5cf4c6a1c" // of something else
			test.change(path)
			if opened, err := inputs.Open(t.Context(), inputs.Repin(file)); err == nil {
				_ = opened.Close()
				t.Fatal("a file of another checksum is taken")
			}
			file.SHA256 = sumOf("a\n1\n")
			opened, err := inputs.Open(t.Context(), inputs.Repin(file))
			if err == nil {
				_ = opened.Close()
			}
			if (err == nil) != test.opens {
				t.Errorf("opened: %v", err)
			}
		})
	}
}

func sumOf(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }

func csvFiles(uri string) api.Input {
	return api.Input{Files: &api.InputFiles{URI: uri, Format: api.FormatCSV}}
}
