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
	"github.com/batchpattern/terraform-provider-batch/runner/database/databasetest"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
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
	check := s.checkBucket(t.Context(), "s3://nosuch/out/{date}/", false)
	if check.OK || !strings.Contains(check.Detail, "bucket does not exist") || check.Hint == "" {
		t.Errorf("%+v", check)
	}
}

// The doctor says which right is missing, and leaves nothing behind.
func TestTheDoctorTriesWhatARunWouldDoWithObjects(t *testing.T) {
	memory, refused := objecttest.NewMemory(), ""
	s3 := objecttest.NewS3Server(t, &objecttest.S3Server{Memory: memory, Before: func(w http.ResponseWriter, r *http.Request) bool {
		what := r.Method
		if r.URL.Query().Has("list-type") {
			what = "LIST"
		}
		if r.URL.Query().Has("delete") {
			what = http.MethodDelete
		}
		if what != refused {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>")
		return true
	}})
	s := &Server{Options: Options{Inputs: source.Options{Objects: s3.Stores}}}
	for refuse, tells := range map[string]string{
		"LIST": "list s3://batch/out/", http.MethodPut: "write s3://batch/out/.batch-probe-", http.MethodGet: "read s3://batch/out/.batch-probe-",
		http.MethodDelete: "the object stays there",
	} {
		refused = refuse
		check := s.checkBucket(t.Context(), "s3://batch/out/{date}/", true)
		if check.OK || !strings.Contains(check.Detail, tells) || !strings.Contains(check.Hint, "s3:DeleteObject") {
			t.Errorf("where %s is refused: %+v", refuse, check)
		}
	}
	bucket, _, err := s3.Stores.Bucket(t.Context(), s3.URI)
	must(t, err)
	refused = ""
	left := 0
	must(t, bucket.List(t.Context(), "out/", func(info object.Info) error { left++; return bucket.Delete(t.Context(), info.Key) }))
	if left != 1 {
		t.Errorf("%d objects were left, 1 could not be deleted", left)
	}
	for try, tells := range map[bool]string{true: "listed, written, read and deleted, and its store keeps preconditions", false: "with --try"} {
		check := s.checkBucket(t.Context(), "s3://batch/out/{date}/", try)
		if !check.OK || !strings.Contains(check.Detail, tells) {
			t.Errorf("%t: %+v", try, check)
		}
	}
	must(t, bucket.List(t.Context(), "", func(info object.Info) error { return fmt.Errorf("object %s was left", info.Key) }))
}

func TestTheDoctorFindsThatAProgramCantBeExecuted(t *testing.T) {
	dir := t.TempDir()
	script := func(name, text string, mode os.FileMode) string {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), mode))
		return "./" + name
	}
	for command, tells := range map[string]string{
		script("good", "#!/bin/sh\n", 0o700):                    "",
		script("env", "#!/usr/bin/env sh\n", 0o700):             "",
		script("plain", "#!/bin/sh\n", 0o600):                   "permission denied",
		script("old", "#!/opt/old/python3 -u\n", 0o700):         "wants the interpreter /opt/old/python3",
		script("far", "#!/usr/bin/env no-such-python\n", 0o700): "wants the interpreter no-such-python",
		"./none":          "no such file",
		"no-such-program": "PATH",
	} {
		check := checkProgram(api.Job{Predict: api.Predict{Program: &api.Program{Command: []string{command}, WorkingDir: dir}}})
		if check.OK != (tells == "") || !strings.Contains(check.Detail, tells) {
			t.Errorf("%s: %+v", command, check)
		}
	}
	nowhere := checkProgram(api.Job{Predict: api.Predict{Program: &api.Program{Command: []string{"/bin/sh"}, WorkingDir: filepath.Join(dir, "none")}}})
	if nowhere.OK || !strings.Contains(nowhere.Hint, "working_dir") {
		t.Errorf("without its folder: %+v", nowhere)
	}
}

func TestTheDoctorLooksAtTheQueryAndTheTable(t *testing.T) {
	dsn := databasetest.New(t, "sqlite")
	databasetest.Exec(t, dsn, "CREATE TABLE people (id integer PRIMARY KEY, a real, score real)")
	secrets := t.TempDir()
	must(t, os.WriteFile(filepath.Join(secrets, "dsn"), []byte(dsn), 0o600))
	s := &Server{Options: Options{Secrets: secret.New(secrets, "")}}
	ref := api.SecretRef{Secret: "dsn"}
	for _, c := range []struct {
		query, table, tells, remedy string
	}{
		{"SELECT id, a FROM people WHERE :scheduled_at > '2026'", "people", "", ""},
		{"SELECT id FROM people", "people", "the query's result lacks a; it has id", "input.sql"},
		{"SELECT id, a FROM peopl", "people", "peopl", "try the query by hand"},
		{"SELECT id, a FROM people", "scores", "table scores does not exist", "output.sql.table"},
		{"SELECT id, a FROM people", "people_without_score", `no column`, "ADD COLUMN"},
	} {
		databasetest.Exec(t, dsn, "CREATE TABLE IF NOT EXISTS people_without_score (id integer PRIMARY KEY)")
		spec := api.Job{Input: api.Input{SQL: &api.InputSQL{DSN: ref, Query: c.query}, Key: []string{"id"}},
			Predict: api.Predict{Features: api.Features{Columns: []string{"a"}}, Outputs: map[string]string{"score": "score"}},
			Output:  api.Output{SQL: &api.OutputSQL{DSN: ref, Table: c.table, Write: api.WriteUpdate}}}.WithDefaults()
		text, ok := "", true
		for _, check := range []api.Check{s.checkInput(t.Context(), spec, api.Occasion{Occurrence: time.Now()}), s.checkOutput(t.Context(), spec, "", api.Occasion{}, false)} {
			text, ok = text+check.Detail+"; "+check.Hint+"\n", ok && check.OK
		}
		if ok != (c.tells == "") || !strings.Contains(text, c.tells) || !strings.Contains(text, c.remedy) {
			t.Errorf("%s into %s: %s", c.query, c.table, text)
		}
	}
	if tables := databasetest.Query(t, dsn, "SELECT name FROM sqlite_master WHERE name = '_batch_commits'"); len(tables) > 0 {
		t.Error("looking has made a table")
	}
}
