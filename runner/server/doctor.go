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
	return s.doctor(w, r, false)
}

// postDoctor tries what a run would write, too.
func (s *Server) postDoctor(w http.ResponseWriter, r *http.Request) error {
	return s.doctor(w, r, true)
}

func (s *Server) doctor(w http.ResponseWriter, r *http.Request, try bool) error {
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
		checks = append(checks, s.checkJob(r.Context(), job, try)...)
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
		err, hint = failure.Err, cmp.Or(failure.Hint, hint)
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
	spooled, runs, err := s.spooled()
	if err != nil {
		return bad("disk", err, "")
	}
	text := fmt.Sprintf("%d MiB are free in %s", free>>20, s.Info.DataDir)
	if runs > 0 {
		text += fmt.Sprintf("; %d MiB are copies of the input of %s", spooled>>20, api.Counted(int64(runs), "run"))
	}
	return good("disk", "%s", text)
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
