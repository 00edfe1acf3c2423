package server

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/object/objecttest"
	"github.com/batchpattern/terraform-provider-batch/runner/secret"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
)

// findings are the doctor's, by name.
func (b *bench) findings(job string) map[string][]api.Check {
	b.t.Helper()
	var list checkList
	b.get("/v1/doctor?job="+job, &list)
	found := map[string][]api.Check{}
	for _, check := range list.Checks {
		found[check.Name] = append(found[check.Name], check)
	}
	return found
}

func TestTheDoctorFindsNothingWhereAllIsWell(t *testing.T) {
	b := newBench(t)
	job := b.job("iris", 1, 20)
	job.Predict.Endpoint, job.Predict.Server = nil, &api.Server{Command: []string{"/bin/sh"}}
	b.declare(job)
	found := b.findings("iris")
	for _, name := range []string{"store", "disk", "clock", "permissions", "input", "output", "executable"} {
		if checks := found[name]; len(checks) != 1 || !checks[0].OK || checks[0].Detail == "" {
			t.Errorf("%s: %+v", name, checks)
		}
	}
	if input := found["input"][0].Detail; !strings.Contains(input, " UTC would read 1 file with ") {
		t.Errorf("the input: %s", input)
	}
	if _, err := os.Stat(filepath.Join(b.dir, "out")); !os.IsNotExist(err) {
		t.Errorf("looking at the output made it: %v", err)
	}
}

func TestTheDoctorNamesWhatIsWrongAndTheRemedy(t *testing.T) {
	secrets := t.TempDir()
	must(t, os.WriteFile(filepath.Join(secrets, "open"), []byte("v"), 0o644))
	b := newBench(t, func(o *Options) { o.SecretsDir, o.Secrets = secrets, secret.New(secrets, "") })
	job := b.job("iris", 1, 20)
	job.Predict.Features.Columns = []string{"a", "petals"}
	job.Output.Files.URI = filepath.Join(b.dir, "taken") + "/{date}/"
	today := filepath.Join(b.dir, "taken", time.Now().UTC().Format("2006-01-02"))
	must(t, os.MkdirAll(today, 0o700))
	must(t, os.WriteFile(filepath.Join(today, "mine.txt"), nil, 0o600))
	job.Predict.Endpoint, job.Predict.Server = nil, &api.Server{
		Command:   []string{"/nowhere/server"},
		SecretEnv: map[string]api.SecretRef{"MISSING": {Secret: "missing"}, "OPEN": {Secret: "open"}},
	}
	b.declare(job)
	must(t, os.Chmod(filepath.Join(b.dir, "data"), 0o755))
	found := b.findings("iris")
	for name, wants := range map[string][]string{
		"permissions": {"data has mode 0755", "chmod"},
		"input":       {"petals"},
		"output":      {"mine.txt"},
		"executable":  {"/nowhere/server", "executable file"},
		"secret":      {"secret_env.MISSING: not set", "secret_env.OPEN: set, 1 bytes"},
	} {
		text := ""
		for _, check := range found[name] {
			if check.OK {
				t.Errorf("%s is fine: %+v", name, check)
			}
			text += check.Detail + " " + check.Hint + "\n"
		}
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not tell %q: %s", name, want, text)
			}
		}
	}
}

func TestTheDoctorFindsAClockThatWasSetBack(t *testing.T) {
	b := newBench(t)
	b.declare(b.job("iris", 1, 20))
	b.server.Now = func() time.Time { return time.Now().Add(-time.Hour) }
	for i := range 7 {
		b.declare(b.job(fmt.Sprint("lily-", i), 1, 20))
	}
	clock := b.findings("iris")["clock"][0]
	if clock.OK || !strings.Contains(clock.Detail, "clock_behind: job iris") || !strings.Contains(clock.Detail, "and 3 more jobs") {
		t.Errorf("got %+v", clock)
	}
	if !strings.Contains(clock.Hint, "batch-runner cursor JOB --to now") {
		t.Errorf("the remedy is %q", clock.Hint)
	}
}

func TestTheDoctorFindsThatTheOutputsBucketIsNotThere(t *testing.T) {
	s3 := objecttest.NewS3Server(t, &objecttest.S3Server{Memory: objecttest.NewMemory(), Before: func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist.</Message></Error>")
		return true
	}})
	s := &Server{Options: Options{Inputs: source.Options{Objects: s3.Stores}}}
	check := s.checkBucket(t.Context(), "s3://nosuch/out/{date}/")
	if check.OK || !strings.Contains(check.Detail, "bucket does not exist") || check.Hint == "" {
		t.Errorf("%+v", check)
	}
}
