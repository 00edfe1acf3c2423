package engine

import (
	"context"
	"errors"
	"path/filepath"
	"slices"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
)

// output is where one run's predictions go. Every kind of it stages parts on a
// local disk; they differ in what makes a part visible. What a kind has no
// notion of it answers in the simplest way that is true.
type output interface {
	// Folder is what people know the output by: a folder, the uri of a prefix,
	// or a table.
	Folder() string
	// Prepare proves, before anything is predicted, that the run will be able
	// to publish. An error is an *api.Failure, or one that passes.
	Prepare(ctx context.Context) error

	Stage(runAttempt, miniBatch, fence int64, columns []api.Column) (*sink.Part, error)
	// OpenRecords reads a part, staged (it has a path) or published.
	OpenRecords(ctx context.Context, part sink.PublishedPart, columns []api.Column) (*sink.Records, error)
	SweepStaged(keep map[string]bool) error

	// CheckPublished fails unless all of the parts are visible still.
	CheckPublished(ctx context.Context, parts []sink.PublishedPart) error
	// PublishedBy is the run whose output is there now, and would be replaced,
	// with the revision that it is.
	PublishedBy(ctx context.Context) (run string, revision int64, err error)
	// NextRevision is the revision that a publish would have now, as far as the
	// output itself knows.
	NextRevision(ctx context.Context) (int64, error)

	// Begin lets readers see that the run is under way, before its first part is
	// shown; false: nothing can be shown before the run has ended.
	Begin(ctx context.Context, m sink.Manifest) (bool, error)
	// Show makes one part visible. It may be called again, and by several
	// goroutines.
	Show(ctx context.Context, part sink.PublishedPart, columns []api.Column) (sink.Gone, error)
	// Publish makes the run's output visible and whole. It may be called again,
	// whatever of it is done.
	Publish(ctx context.Context, p sink.Publication) (map[int64]sink.Gone, error)
	// Conclude says in an output that was begun how its run has ended otherwise,
	// and Abandon that nobody goes on with a run of which nothing is known.
	Conclude(ctx context.Context, p sink.Publication) error
	Abandon(ctx context.Context) error
	// Sweep removes what is staged, for a run that is over.
	Sweep(ctx context.Context) error
}

// openOutput names the places of a run's output; it touches nothing.
func (e *Engine) openOutput(job api.Job, uid string, o api.Occasion) (output, error) {
	staged := filepath.Join(e.RunDir(o.Run), "staged")
	switch {
	case job.Output.SQL != nil:
		db := func(ctx context.Context) (*database.DB, error) {
			return e.databases.of(ctx, "output.sql.dsn", job.Output.SQL.DSN)
		}
		return sink.OpenTable(e.FS, staged, db, job, o), nil
	case api.IsObject(job.Output.Files.URI):
		objects, err := sink.OpenObjects(e.FS, staged, e.Inputs.Objects, *job.Output.Files, job.Name, uid, o)
		if err != nil {
			return nil, err
		}
		return objects, nil
	}
	files, err := sink.Open(e.FS, *job.Output.Files, job.Name, uid, o)
	if err != nil {
		return nil, err
	}
	return folder{files}, nil
}

// warn notes in the run's history what is to be known of its output, once it
// has been prepared.
func (x *execution) warn(ctx context.Context) error {
	out, may := x.out.(interface {
		Warnings(context.Context) ([]string, error)
	})
	if !may {
		return nil
	}
	warnings, err := out.Warnings(ctx)
	for _, warning := range warnings {
		err = errors.Join(err, x.event(ctx, "warning", warning))
	}
	return err
}

// occasionOf is a run's occasion, in the zone that names its folders.
func occasionOf(planned api.Job, o api.Occasion) (api.Occasion, error) {
	zone := api.DefaultTimeZone
	if planned.Schedule != nil {
		zone = planned.Schedule.TimeZone
	}
	location, err := schedule.LoadZone(zone)
	if err != nil {
		return o, api.Fail(api.Reason(api.ClassConfig), "", err)
	}
	o.Occurrence = o.Occurrence.In(location)
	return o, nil
}

// kept are the input columns that are copied before the results. A table is
// told the key of each record first.
func (x *execution) kept() []string {
	if !additive(x.job) {
		return x.job.Output.Keep
	}
	kept := slices.Clone(x.job.Input.Key)
	for _, column := range x.job.Output.Keep {
		if !slices.Contains(kept, column) {
			kept = append(kept, column)
		}
	}
	return kept
}

// additive tells whether what a run commits is added to what is there, so that
// no run replaces another's output.
func additive(job api.Job) bool { return job.Output.SQL != nil }

// folder is a local one, which nobody has to wait for.
type folder struct{ *sink.Files }

func (f folder) Prepare(context.Context) error                          { return f.Files.Prepare() }
func (f folder) PublishedBy(context.Context) (string, int64, error)     { return f.Files.PublishedBy() }
func (f folder) NextRevision(context.Context) (int64, error)            { return f.Files.NextRevision() }
func (f folder) Abandon(context.Context) error                          { return f.Files.Abandon() }
func (f folder) Sweep(context.Context) error                            { return f.Files.Sweep() }
func (f folder) Begin(_ context.Context, m sink.Manifest) (bool, error) { return f.Files.Begin(m) }

func (f folder) CheckPublished(_ context.Context, parts []sink.PublishedPart) error {
	return f.Files.CheckPublished(parts)
}

func (f folder) OpenRecords(_ context.Context, part sink.PublishedPart, columns []api.Column) (*sink.Records, error) {
	return f.Files.OpenRecords(part, columns)
}

func (f folder) Show(_ context.Context, part sink.PublishedPart, _ []api.Column) (sink.Gone, error) {
	return nil, f.Files.Show(part)
}

func (f folder) Publish(_ context.Context, p sink.Publication) (map[int64]sink.Gone, error) {
	return nil, f.Files.Publish(p)
}

func (f folder) Conclude(_ context.Context, p sink.Publication) error { return f.Files.Conclude(p) }
