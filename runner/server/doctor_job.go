package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/launch"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
	"github.com/batchpattern/terraform-provider-batch/runner/trigger"
)

// answerTimeout is how long the doctor waits for a database or a store.
const answerTimeout = 10 * time.Second

// checkJob looks at what a run of the job would need if it began now. Nothing
// is made or changed.
func (s *Server) checkJob(ctx context.Context, job store.Job) []api.Check {
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
	checks = append(checks, s.checkInput(ctx, spec, occasion), s.checkOutput(ctx, spec, job.UID, occasion))
	checks = append(checks, s.checkSecrets(spec)...)
	switch {
	case spec.Predict.Server != nil:
		return append(checks, checkExecutable(spec))
	case spec.Predict.Program != nil:
		return append(checks, checkProgram(*spec.Predict.Program))
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
	if spec.Input.SQL != nil {
		return s.checkDatabase(ctx, "input", spec.Input.SQL.DSN)
	}
	columns := slices.Concat(spec.Predict.Features.Columns, spec.Input.Key, spec.Output.Keep)
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

// checkDatabase asks a database for the time.
func (s *Server) checkDatabase(ctx context.Context, name string, ref api.SecretRef) api.Check {
	dsn, err := s.Secrets.Resolve(ref)
	if err != nil {
		return bad(name, err, "")
	}
	db, err := database.Open(ctx, dsn)
	if err != nil {
		return bad(name, err, "")
	}
	defer db.Close()
	clock, err := db.Now(ctx)
	if err != nil {
		return bad(name, err, "")
	}
	return good(name, "the database answers (%s); its clock is at %s", db.Kind(), clock.UTC().Format(time.RFC3339))
}

// checkOutput changes nothing: what a run would make first is not made here.
func (s *Server) checkOutput(ctx context.Context, spec api.Job, uid string, o api.Occasion) api.Check {
	switch {
	case spec.Output.SQL != nil:
		return s.checkDatabase(ctx, "output", spec.Output.SQL.DSN)
	case api.IsObject(spec.Output.Files.URI):
		return s.checkBucket(ctx, spec.Output.Files.URI)
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

// checkBucket reads the pointer, which need not be there, and lists what is
// beside it: that a bucket is not there, a store says only then.
func (s *Server) checkBucket(ctx context.Context, uri string) api.Check {
	pointer := api.Root(uri) + "/" + sink.LatestName
	bucket, key, err := s.Inputs.Objects.Bucket(ctx, pointer)
	if err == nil {
		if _, err = bucket.Stat(ctx, key); errors.Is(err, object.ErrNotFound) {
			err = bucket.List(ctx, key, func(object.Info) error { return nil })
		}
	}
	if errors.Is(err, object.ErrNoBucket) {
		return bad("output", err, "make the bucket, or correct its name in output.files.uri, or the store's endpoint in the runner's environment_file")
	}
	if err != nil {
		return bad("output", err, "make it a place that the runner's identity can list, read, write and delete, or change output.files.uri")
	}
	return good("output", "%s can be read; whether it can be written, a run finds out first of all", api.Root(uri))
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

// checkExecutable prepares a launch without starting it.
func checkExecutable(spec api.Job) api.Check {
	server := spec.Predict.Server
	_, err := launch.Prepare(launch.Command{ID: "doctor", Args: server.Command, Dir: server.WorkingDir, Env: server.Env, Model: spec.Predict.Model})
	if err != nil {
		return bad("executable", err, "")
	}
	return good("executable", "%s is there", server.Command[0])
}

// checkProgram looks for a program as a launch would.
func checkProgram(p api.Program) api.Check {
	name := p.Command[0]
	if strings.ContainsRune(name, '/') && !filepath.IsAbs(name) {
		name = filepath.Join(p.WorkingDir, name)
	}
	if _, err := exec.LookPath(name); err != nil {
		return bad("executable", err, "install it, or correct predict.program.command")
	}
	return good("executable", "%s is there", p.Command[0])
}
