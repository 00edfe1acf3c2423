package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/launch"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

const (
	// lowDisk is what staging, logs and the store should have left.
	lowDisk = 512 << 20
	// clockMargin is how far a cursor may stand in the future.
	clockMargin = time.Minute
	// namedJobs is how many jobs a finding about all of them names.
	namedJobs = 5
)

func (s *Server) getDoctor(w http.ResponseWriter, r *http.Request) error {
	ask := query(r, "job")
	if ask.err != nil {
		return ask.err
	}
	checks := []api.Check{s.checkStore(r.Context()), s.checkDisk(), s.checkClock()}
	checks = append(checks, s.checkPermissions()...)
	if name := ask.values["job"]; name != "" {
		job, err := s.findJob(name)
		if err != nil {
			return err
		}
		checks = append(checks, s.checkJob(job)...)
	}
	answer(w, http.StatusOK, checkList{Checks: checks})
	return nil
}

// good and bad are findings; err tells what is wrong, hint what to do.
func good(name, format string, args ...any) api.Check {
	return api.Check{Name: name, OK: true, Detail: fmt.Sprintf(format, args...)}
}

func bad(name string, err error, hint string) api.Check {
	if failure, ok := errors.AsType[*api.Failure](err); ok {
		err, hint = failure.Err, failure.Hint
	}
	if known, ok := errors.AsType[*api.Error](err); ok {
		return api.Check{Name: name, Detail: known.Message, Hint: cmp.Or(known.Hint, hint)}
	}
	return api.Check{Name: name, Detail: err.Error(), Hint: hint}
}

func (s *Server) checkStore(ctx context.Context) api.Check {
	if err := s.Store.Trouble(ctx); err != nil {
		return bad("store", err, "")
	}
	if err := s.Store.Check(ctx); err != nil {
		return bad("store", err, "stop the runner and restore the data dir from a backup")
	}
	return good("store", "%s is sound", filepath.Join(s.Info.DataDir, store.File))
}

func (s *Server) checkDisk() api.Check {
	free, err := freeSpace(s.Info.DataDir)
	if err == nil && free < lowDisk {
		err = fmt.Errorf("%d MiB are free in %s", free>>20, s.Info.DataDir)
	}
	if err != nil {
		return bad("disk", err, fmt.Sprintf("make room: less than %d MiB is not enough for long", lowDisk>>20))
	}
	return good("disk", "%d MiB are free in %s", free>>20, s.Info.DataDir)
}

// checkClock finds a clock that jumped, and one that was set back: cursors
// never are by themselves.
func (s *Server) checkClock() api.Check {
	if trouble := s.Trigger.Trouble(); trouble != "" {
		return bad("clock", errors.New(trouble), "") // it names the remedy
	}
	jobs, err := s.Store.Jobs()
	if err != nil {
		return bad("clock", err, "")
	}
	now := s.Now()
	jobs = slices.DeleteFunc(jobs, func(job store.Job) bool { return job.Cursor.Sub(now) <= clockMargin })
	if len(jobs) == 0 {
		return good("clock", "it is %s, and nothing is decided beyond", now.UTC().Format(time.RFC3339))
	}
	var behind []string
	for _, job := range jobs[:min(len(jobs), namedJobs)] {
		behind = append(behind, fmt.Sprintf("job %s is decided up to %s, which is %s in the future",
			job.Spec.Name, job.Cursor.UTC().Format(time.RFC3339), job.Cursor.Sub(now).Round(time.Second)))
	}
	if more := len(jobs) - len(behind); more > 0 {
		behind = append(behind, fmt.Sprintf("and %d more jobs", more))
	}
	return bad("clock", fmt.Errorf("clock_behind: %s", strings.Join(behind, ", ")),
		"nothing is due until then: set the host's clock, or, where it is right, batch-runner cursor JOB --to now")
}

// checkPermissions finds what others on the host can read but should not.
func (s *Server) checkPermissions() []api.Check {
	places := map[string]fs.FileMode{s.Info.DataDir: 0o077}
	if s.EnvironmentFile != "" {
		places[s.EnvironmentFile] = 0o004
	}
	if s.SecretsDir != "" {
		places[s.SecretsDir] = 0o002
		entries, _ := os.ReadDir(s.SecretsDir) // the folder itself is looked at below
		for _, entry := range entries {
			if entry.Type().IsRegular() {
				places[filepath.Join(s.SecretsDir, entry.Name())] = 0o004
			}
		}
	}
	var problems []api.Check
	for _, path := range slices.Sorted(maps.Keys(places)) {
		info, err := os.Stat(path)
		switch {
		case err != nil:
			problems = append(problems, bad("permissions", err, "make it, or correct the runner's settings"))
		case info.Mode().Perm()&places[path] != 0:
			problems = append(problems, bad("permissions", fmt.Errorf("%s has mode %#o: others on this host get at it", path, info.Mode().Perm()),
				fmt.Sprintf("chmod go-rwx %s", path)))
		}
	}
	if len(problems) > 0 {
		return problems
	}
	return []api.Check{good("permissions", "only the runner's user gets at %s and the secrets", s.Info.DataDir)}
}

// checkJob looks at what a run of the job would need if it began now.
func (s *Server) checkJob(job store.Job) []api.Check {
	spec := job.Spec.WithDefaults()
	zone := time.UTC
	if spec.Schedule != nil {
		loaded, err := schedule.LoadZone(spec.Schedule.TimeZone)
		if err != nil {
			return []api.Check{bad("input", err, "")}
		}
		zone = loaded
	}
	occasion := api.Occasion{Occurrence: s.Now().In(zone).Truncate(time.Second), Run: "doctor"}
	checks := []api.Check{checkInput(spec, occasion), checkOutput(spec, job.UID, occasion)}
	if spec.Predict.Server == nil {
		return checks
	}
	return append(append(checks, s.checkSecrets(spec)...), checkExecutable(spec))
}

func checkInput(spec api.Job, o api.Occasion) api.Check {
	columns := slices.Concat(spec.Predict.Features.Columns, spec.Input.Key, spec.Output.Keep)
	files, err := source.Find(*spec.Input.Files, o, columns)
	if err != nil {
		return bad("input", err, "")
	}
	size := int64(0)
	for _, file := range files {
		open, err := file.Open()
		if err == nil {
			err = open.Close()
		}
		if err != nil {
			return bad("input", err, "")
		}
		size += file.Size
	}
	what := "1 file"
	if len(files) > 1 {
		what = fmt.Sprintf("%d files", len(files))
	}
	return good("input", "a run of %s would read %s with %s bytes, the first is %s", at(o.Occurrence), what, api.Thousands(size), files[0].Path)
}

// at writes an instant for people, in its zone.
func at(instant time.Time) string {
	return instant.Format("2006-01-02 15:04 ") + instant.Location().String()
}

// checkOutput changes nothing: what a run would make first is not made here.
func checkOutput(spec api.Job, uid string, o api.Occasion) api.Check {
	out, err := sink.Open(durable.OS(), *spec.Output.Files, spec.Name, uid, o)
	if err == nil {
		err = out.CheckTaken()
	}
	if err != nil {
		return bad("output", err, "")
	}
	folder := existing(out.Root())
	if err := writable(folder); err != nil {
		return bad("output", err, "let the runner's user write there, or change output.files.uri")
	}
	return good("output", "%s can be written", folder)
}

// existing is the innermost folder of a path that is there.
func existing(path string) string {
	for {
		if _, err := os.Stat(path); err == nil || path == filepath.Dir(path) {
			return path
		}
		path = filepath.Dir(path)
	}
}

func (s *Server) checkSecrets(spec api.Job) []api.Check {
	var checks []api.Check
	refs := spec.Predict.Server.SecretEnv
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		_, err := s.Secrets.Resolve(refs[name])
		described := s.Secrets.Describe(refs[name])
		checks = append(checks, api.Check{
			Name: "secret", OK: err == nil && !strings.Contains(described, "chmod"),
			Detail: "predict.server.secret_env." + name + ": " + described,
		})
	}
	return checks
}

// checkExecutable prepares a launch without starting it.
func checkExecutable(spec api.Job) api.Check {
	server := spec.Predict.Server
	_, err := launch.Prepare(launch.Command{ID: "doctor", Args: server.Command, Dir: server.WorkingDir, Env: server.Env, Model: spec.Predict.Model})
	if err != nil {
		return bad("executable", err, "")
	}
	return good("executable", "%s is there", server.Command[0])
}
