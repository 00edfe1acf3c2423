package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// What turns out, while it is read, to be no new file leaves the plan as if it
// had never been looked at, however many of its mini-batches were stored.
func TestAFileThatIsNotNewLeavesNoTraceInThePlan(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, records int) (source.File, string) {
		text := "id\n" + strings.Repeat("1\n", records)
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		files, err := source.New(source.Options{}).Find(t.Context(), api.Input{Files: &api.InputFiles{URI: path, Format: api.FormatCSV}}, api.Occasion{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(text))
		return files[0], hex.EncodeToString(sum[:])
	}
	s, err := store.Open(t.Context(), filepath.Join(dir, "data"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	job := api.Job{MiniBatch: &api.MiniBatchSpec{Rows: new(int64(1))}}
	planned := func(run string, candidates ...source.Candidate) (*planner, string) {
		t.Helper()
		x := &execution{e: New(Options{Store: s}), inputs: source.New(source.Options{}), run: store.Run{Run: api.Run{ID: run}}, job: job}
		p := &planner{x: x, ctx: t.Context(), stretch: stretch{hash: sha256.New()}}
		for _, c := range candidates {
			if err := p.planCandidate(c); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.flush(); err != nil {
			t.Fatal(err)
		}
		stored, err := s.MiniBatches(run, 0, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		return p, fmt.Sprintf("%d %d %x %+v", p.number, p.records, p.hash.Sum(nil), stored)
	}
	first, _ := write("a.csv", 3)
	known, knownSum := write("b.csv", 2*planChunk+7)
	moving, _ := write("c.csv", planChunk+3)
	moving.ModTime = moving.ModTime.Add(-time.Second) // as it was listed
	last, _ := write("d.csv", planChunk)

	_, want := planned("r1", source.Candidate{File: first}, source.Candidate{File: last})
	p, got := planned("r2", source.Candidate{File: first}, source.Candidate{File: known, Before: &source.Known{SHA256: knownSum}},
		source.Candidate{File: moving}, source.Candidate{File: last})
	if got != want {
		t.Errorf("planned %.200s…\nwant    %.200s…", got, want)
	}
	if len(p.touched) != 1 || p.touched[0].Path != known.Path || len(p.left) != 1 || p.left[0].Path != moving.Path || len(p.warnings) != 0 {
		t.Errorf("touched %v, left %v, warnings %v", p.touched, p.left, p.warnings)
	}
	if len(p.files) != 2 || p.files[1].Path != last.Path {
		t.Errorf("planned files %v", p.files)
	}
	p, _ = planned("r3", source.Candidate{File: known, Before: &source.Known{SHA256: "other", Run: "r0"}})
	if len(p.warnings) != 1 || !strings.Contains(p.warnings[0], "run r0") {
		t.Errorf("warnings %q", p.warnings)
	}
}
