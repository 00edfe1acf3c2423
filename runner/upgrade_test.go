package runner_test

import (
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
	"github.com/batchpattern/terraform-provider-batch/runner"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

// The records of the jobs in testdata/upgrade.
var upgraded = map[string][2]int{"iris": {1, 150}, "closing": {201, 260}, "late": {301, 330}}

// An upgrade in the middle of runs: today's runner opens the data dir of one of
// schema 3 that was killed while it predicted, published and queued.
func TestAnUpgradeGoesOnWithTheRunsOfAnOlderRunner(t *testing.T) {
	model := predicttest.New(predicttest.Options{})
	dir, url := folder(t), model.Listen(t)
	oldDataDir(t, dir, url)
	r := start(t, runner.Options{DataDir: filepath.Join(dir, "data")})
	c := connect(t, client.Options{Endpoint: r.Addr()})
	for name, records := range upgraded {
		page, err := c.Runs(t.Context(), client.RunFilter{Job: name}, client.Paging{})
		must(t, err)
		if len(page.Items) != 1 {
			t.Fatalf("job %s has %d runs", name, len(page.Items))
		}
		run := await(t, c, page.Items[0].ID, func(r api.Run) bool { return r.State.Ended() })
		want := api.Counts{Planned: int64(records[1] - records[0] + 1)}
		want.Committed = want.Planned
		if run.State != api.RunSucceeded || run.Counts != want || run.Attempt != 1 {
			t.Errorf("the run of %s is %+v", name, run)
		}
	}
	for _, staged := range []string{"1", "40", "201", "260"} {
		if n := model.Predicted()[staged]; n != 0 {
			t.Errorf("record %s was staged by the older runner and is predicted again, %d times", staged, n)
		}
	}
	undisturbed := folder(t)
	other := start(t, runner.Options{DataDir: filepath.Join(undisturbed, "data")})
	c = connect(t, client.Options{Endpoint: other.Addr()})
	for name := range upgraded {
		inputOf(t, undisturbed, name)
		spec := job(t, undisturbed, url)
		spec.Name, spec.Input.Files.URI = name, filepath.Join(undisturbed, "in", name+".csv")
		spec.Output.Files.URI = filepath.Join(undisturbed, "out", name) + "/{date}/"
		_, _, err := c.PutJob(t.Context(), name, api.PutJob{Spec: spec}, client.Condition{})
		must(t, err)
		run, _, err := c.StartRun(t.Context(), name, api.Trigger{Occurrence: time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)}, "")
		must(t, err)
		await(t, c, run.ID, func(r api.Run) bool { return r.State.Ended() })
	}
	got, want := published(t, filepath.Join(dir, "out")), published(t, filepath.Join(undisturbed, "out"))
	if len(got) != len(want) {
		t.Errorf("%d files are published, and %d by undisturbed runs", len(got), len(want))
	}
	for path, text := range want {
		if got[path] != text {
			t.Errorf("%s is\n%s\nand not, as of an undisturbed run,\n%s", path, got[path], text)
		}
	}
}

// oldDataDir restores the data dir of testdata/upgrade into dir, with inputs
// and what the older runner had in the outputs' place.
func oldDataDir(t *testing.T, dir, url string) {
	t.Helper()
	script, err := os.ReadFile("testdata/upgrade/store.sql")
	must(t, err)
	values := []string{"{{dir}}", dir, "{{url}}", url}
	for name := range upgraded {
		info, err := os.Stat(inputOf(t, dir, name))
		must(t, err)
		stat := info.Sys().(*syscall.Stat_t)
		values = append(values, "{{"+name+".mod_time}}", info.ModTime().UTC().Format(time.RFC3339Nano),
			"{{"+name+".inode}}", fmt.Sprint(stat.Ino), "{{"+name+".device}}", fmt.Sprint(stat.Dev))
	}
	must(t, os.CopyFS(filepath.Join(dir, "out"), os.DirFS("testdata/upgrade/out")))
	must(t, os.Mkdir(filepath.Join(dir, "data"), 0o700))
	db, err := sql.Open("sqlite", filepath.Join(dir, "data", "store.db"))
	must(t, err)
	_, err = db.ExecContext(t.Context(), strings.NewReplacer(values...).Replace(string(script)))
	must(t, err)
	must(t, db.Close())
}

func inputOf(t *testing.T, dir, name string) (path string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Join(dir, "in"), 0o700))
	lines := []string{"id,a,b"}
	for i := upgraded[name][0]; i <= upgraded[name][1]; i++ {
		lines = append(lines, fmt.Sprintf("%d,%d,0.5", i, i))
	}
	path = filepath.Join(dir, "in", name+".csv")
	must(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	return path
}

// published reads the files below a folder that readers see, but for what
// names the run and its times.
func published(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	must(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err == nil && entry.Name() == ".batch": // may be swept just now
			return fs.SkipDir
		case err != nil || entry.IsDir() || entry.Name() == "_MANIFEST.json" || entry.Name() == "_LATEST.json":
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(root, path)
		files[name] = string(text)
		return err
	}))
	return files
}
