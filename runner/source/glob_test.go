package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What those who publish files leave beside them is nobody's input, on disks and
// in stores, unless it is named.
func TestWildcardsLeaveOutWhatIsNoData(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{
		"in/a.jsonl", "in/_DEAD_LETTERS.jsonl", "in/.a.jsonl.tmp", "in/.batch/run/1/part.jsonl", "in/_old/b.jsonl", "in/x/c.jsonl", "in/x/_d.jsonl", "_in/e.jsonl",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for pattern, want := range map[string]string{
		"in/*.jsonl":              "in/a.jsonl",
		"in/?DEAD_LETTERS.jsonl":  "",
		"in/_*.jsonl":             "in/_DEAD_LETTERS.jsonl",
		"in/_DEAD_LETTERS.jsonl":  "in/_DEAD_LETTERS.jsonl",
		"in/[_a]*.jsonl":          "in/_DEAD_LETTERS.jsonl in/a.jsonl",
		"in/*/*.jsonl":            "in/x/c.jsonl",
		"in//_old/*.jsonl":        "in/_old/b.jsonl",
		"in/**":                   "in/a.jsonl in/x/c.jsonl",
		"in/**/*.jsonl":           "in/a.jsonl in/x/c.jsonl",
		"in/**/_*":                "in/_DEAD_LETTERS.jsonl in/x/_d.jsonl",
		"in/.batch/**/part.jsonl": "in/.batch/run/1/part.jsonl",
		"_in/*":                   "_in/e.jsonl",
	} {
		found, err := globLocal(root + "/" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.ReplaceAll(strings.Join(found, " "), root+"/", "")
		if got != want {
			t.Errorf("%s finds %q, want %q", pattern, got, want)
		}
	}
}
