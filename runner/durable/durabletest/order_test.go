package durabletest_test

import (
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
)

func TestCheckOrderFindsWhatIsMissing(t *testing.T) {
	step := func(op durabletest.Op, paths ...string) durabletest.Step {
		s := durabletest.Step{Op: op, Path: paths[0]}
		if len(paths) > 1 {
			s.To = paths[1]
		}
		return s
	}
	good := []durabletest.Step{
		step(durabletest.MkdirAll, "/s"),
		step(durabletest.Create, "/s/a"), step(durabletest.Write, "/s/a"), step(durabletest.Sync, "/s/a"), step(durabletest.SyncDir, "/s"),
		step(durabletest.Row, "/s/a", durabletest.RowNames),
		step(durabletest.MkdirAll, "/p"),
		step(durabletest.Link, "/s/a", "/p/a"), step(durabletest.SyncDir, "/p"),
		step(durabletest.Rename, "/p", "/out"), step(durabletest.SyncDir, "/"),
		step(durabletest.Row, "/out", durabletest.RowPublished),
	}
	if err := durabletest.CheckOrder(good); err != nil {
		t.Errorf("a good order: %v", err)
	}
	for i, want := range map[int]string{3: "content of /s/a", 4: "folder of /s/a", 8: "folder of /p/a", 10: "folder of /out"} {
		without := append(append([]durabletest.Step(nil), good[:i]...), good[i+1:]...)
		if err := durabletest.CheckOrder(without); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without %v: %v, want %q", good[i], err, want)
		}
	}
}
