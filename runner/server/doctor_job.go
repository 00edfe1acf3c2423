package server

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
	"github.com/batchpattern/terraform-provider-batch/runner/trigger"
)

// answerTimeout is how long the doctor waits for a database or a store.
const answerTimeout = 10 * time.Second

// checkJob looks at what a run of the job would need if it began now. Nothing
// is made or changed, unless it is to try: what it writes then, it removes.
func (s *Server) checkJob(ctx context.Context, job store.Job, try bool) []api.Check {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
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
	checks := s.checkTrouble(job)
	checks = append(checks, s.checkInput(ctx, spec, occasion), s.checkOutput(ctx, spec, job.UID, occasion, try))
	checks = append(checks, s.checkSecrets(spec)...)
	switch {
	case spec.Predict.Server != nil:
		return append(checks, checkExecutable(spec))
	case spec.Predict.Program != nil:
		return append(checks, checkProgram(spec))
	}
	return checks
}

// checkTrouble finds what a run under way waits for.
func (s *Server) checkTrouble(job store.Job) []api.Check {
	standing, err := s.Store.Standing(job.UID)
	if err == nil && standing.Active != nil {
		err = trigger.NoteTrouble(s.Store, &standing.Active.Run)
	}
	if err != nil {
		return []api.Check{bad("run", err, "")}
	}
	if standing.Active == nil || standing.Active.Trouble.Error == "" {
		return nil
	}
	run := standing.Active
	return []api.Check{bad("run", fmt.Errorf("run %s is %s%s", run.ID, run.State, waitingFor(run.Trouble)), "")}
}

func (s *Server) checkInput(ctx context.Context, spec api.Job, o api.Occasion) api.Check {
	columns := slices.Concat(spec.Predict.Features.Columns, spec.Input.Key, spec.Output.Keep)
	if spec.Input.SQL != nil {
		return s.checkQuery(ctx, spec, o, columns)
	}
	files, err := source.New(s.Inputs).Look(ctx, spec.Input, o, columns)
	if err != nil {
		return bad("input", err, "")
	}
	size := int64(0)
	for _, file := range files {
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

// checkOutput makes no folder: what a run would make first is not made here.
func (s *Server) checkOutput(ctx context.Context, spec api.Job, uid string, o api.Occasion, try bool) api.Check {
	switch {
	case spec.Output.SQL != nil:
		return s.checkTable(ctx, spec)
	case api.IsObject(spec.Output.Files.URI):
		return s.checkBucket(ctx, spec.Output.Files.URI, try)
	}
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

// checkSecrets looks at every secret that the job names.
func (s *Server) checkSecrets(spec api.Job) []api.Check {
	var checks []api.Check
	check := func(path string, ref api.SecretRef) {
		_, err := s.Secrets.Resolve(ref)
		described := s.Secrets.Describe(ref)
		checks = append(checks, api.Check{
			Name: "secret", OK: err == nil && !strings.Contains(described, "chmod"),
			Detail: path + ": " + described,
		})
	}
	if spec.Input.SQL != nil {
		check("input.sql.dsn", spec.Input.SQL.DSN)
	}
	if spec.Output.SQL != nil {
		check("output.sql.dsn", spec.Output.SQL.DSN)
	}
	for path, refs := range map[string]map[string]api.SecretRef{"predict.server.secret_env.": serverSecrets(spec), "predict.program.secret_env.": programSecrets(spec)} {
		for _, name := range slices.Sorted(maps.Keys(refs)) {
			check(path+name, refs[name])
		}
	}
	return checks
}

func serverSecrets(spec api.Job) map[string]api.SecretRef {
	if spec.Predict.Server == nil {
		return nil
	}
	return spec.Predict.Server.SecretEnv
}

func programSecrets(spec api.Job) map[string]api.SecretRef {
	if spec.Predict.Program == nil {
		return nil
	}
	return spec.Predict.Program.SecretEnv
}
