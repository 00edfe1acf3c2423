package failpoint_test

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
)

// An ordinary build never runs into a name that is not listed; this reads the
// source instead.
func TestThePointsInTheSourceAreThoseListed(t *testing.T) {
	call := regexp.MustCompile(`failpoint\.Here\("([^"]*)"\)`)
	runner := os.DirFS("..")
	found := map[string]bool{}
	err := fs.WalkDir(runner, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		source, err := fs.ReadFile(runner, path)
		if err != nil {
			return err
		}
		for _, match := range call.FindAllSubmatch(source, -1) {
			found[string(match[1])] = true
			if name := string(match[1]); !slices.Contains(failpoint.Names, name) {
				t.Errorf("%s: failpoint %q is not in failpoint.Names", path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range failpoint.Names {
		if !found[name] {
			t.Errorf("failpoint %q is listed, and nothing in the source passes it", name)
		}
	}
}
