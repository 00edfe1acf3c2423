package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

func TestPredictTellsItsEndByExitCodeAndText(t *testing.T) {
	for name, c := range map[string]struct {
		max  string
		bad  bool
		code exit
		want string
	}{
		"succeeded":  {"0", false, exitDone, "succeeded, 150 of 150 records committed in 8 mini-batches"},
		"incomplete": {"50%", true, exitIncomplete, "incomplete, 149 of 150 records committed in 8 mini-batches, 1 dead-lettered"},
		"failed":     {"0", true, exitFailed, "petals expected"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			if c.bad {
				b.model.Inject(predicttest.Fault{Record: "41", Status: 400, Body: "petals expected", Purpose: predicttest.AnyPurpose})
			}
			job := b.job("iris", 1, 150)
			job.MaxFailed = c.max
			s := b.expect(c.code, "predict", "-f", b.write(job), "--data-dir", filepath.Join(b.dir, "data"))
			contains(t, s.out, c.want)
			contains(t, s.err, "started")
			// How soon it is asked for the first time decides which state is shown.
			if !regexp.MustCompile(`(?m)^  (queued|planning|provisioning|running)`).MatchString(s.err) {
				t.Errorf("no progress is shown:\n%s", s.err)
			}
			if c.code != exitFailed {
				contains(t, s.out, "output: "+filepath.Join(b.dir, "out", "iris"))
			}
		})
	}
}

func TestPathsOfAJobFileCountFromItsFolder(t *testing.T) {
	b := newBench(t)
	b.dir = filepath.Join(b.dir, "{a} [b]")
	must(t, os.Mkdir(b.dir, 0o700))
	job := b.job("iris", 1, 20)
	job.Input.Files.URI, job.Output.Files.URI = "./iris*.csv", "out/{date}/"
	b.expect(exitDone, "predict", "-f", b.write(job), "--data-dir", filepath.Join(b.dir, "data"), "--occurrence", "2026-11-20T23:30:00Z")
	if _, err := os.Stat(filepath.Join(b.dir, "out", "2026-11-21", "_SUCCESS")); err != nil {
		t.Error(err)
	}
}

func TestOnlyRelativePathsAreResolved(t *testing.T) {
	job := api.Job{
		Input: api.Input{Files: &api.InputFiles{URI: "/abs/in.csv"}}, Output: api.Output{Files: &api.OutputFiles{URI: "file:///abs/out"}},
		Predict: api.Predict{Server: &api.Server{Command: []string{"bin/serve", "arg/x"}, WorkingDir: "models", ModelFiles: []string{"models/*.bin", "/abs/x"}}},
	}
	got := resolve(job, "/job")
	if got.Input.Files.URI != "/abs/in.csv" || got.Output.Files.URI != "file:///abs/out" {
		t.Errorf("absolute uris became %s and %s", got.Input.Files.URI, got.Output.Files.URI)
	}
	if s := got.Predict.Server; s.Command[0] != "/job/bin/serve" || s.Command[1] != "arg/x" || s.WorkingDir != "/job/models" || s.ModelFiles[0] != "/job/models/*.bin" || s.ModelFiles[1] != "/abs/x" {
		t.Errorf("the server became %+v", s)
	}
	job.Predict.Server.Command = []string{"python3"}
	if s := resolve(job, "/job").Predict.Server; s.Command[0] != "python3" {
		t.Errorf("a bare command became %s", s.Command[0])
	}
}

func TestAJobFileIsRefusedWithThePlaceAndTheRemedy(t *testing.T) {
	b := newBench(t)
	for text, wants := range map[string][]string{
		`{"name":"iris","imput":{}}`: {"job.json", "imput is unknown", "input"},
		`{"name":"iris",`:            {"job.json", "the document ends too early"},
		`{"name":"../iris"}`:         {"name", "not a job name"},
		`{"name":"i","schedule":{"cron":"0 25 * * *"},"input":{"files":{"uri":"/i.csv"}},"predict":{"protocol":"tf_v1","model":{"name":"m"},"features":{"columns":["a"]},"endpoint":{"url":"http://h"}},"output":{"files":{"uri":"/o"}}}`: {"schedule.cron", "25"},
	} {
		path := filepath.Join(b.dir, "job.json")
		must(t, os.WriteFile(path, []byte(text), 0o600))
		contains(t, b.expect(exitError, "predict", "-f", path, "--data-dir", filepath.Join(b.dir, "data")).err, wants...)
	}
}

func TestTheSameCommandGoesOnWithAnInterruptedRun(t *testing.T) {
	b := newBench(t)
	release := b.model.Inject(predicttest.Fault{Record: "41", Hang: true, Do: func() {
		b.stop <- syscall.SIGTERM // drains …
		b.stop <- syscall.SIGTERM // … and does not wait for the hanging request
	}})
	command := []string{"predict", "-f", b.write(b.job("iris", 1, 150)), "--data-dir", filepath.Join(b.dir, "data")}
	contains(t, b.expect(exitError, command...).err, "stopped by terminated", "the same command again goes on with the run")
	release()
	s := b.expect(exitDone, command...)
	contains(t, s.err, "goes on where it was left")
	contains(t, s.out, "150 of 150")
	for record, times := range b.model.Predicted() {
		if times != 1 {
			t.Errorf("record %s was predicted %d times", record, times)
		}
	}
}

func TestPredictRefusesADataDirInUse(t *testing.T) {
	b := newBench(t)
	b.withRunner()
	s := b.expect(exitError, "predict", "-f", b.write(b.job("iris", 1, 20)), "--data-dir", filepath.Join(b.dir, "data"))
	if !strings.Contains(s.err, "in use by another runner") {
		t.Error(s.err)
	}
}
