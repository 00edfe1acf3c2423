package runner

import (
	"context"
	"fmt"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/server"
	"github.com/batchpattern/terraform-provider-batch/runner/trigger"
)

// A run in this process is looked at after firstPoll, then less and less often
// up to every lastPoll: small runs end soon, long ones are no hurry.
const firstPoll, lastPoll = 10 * time.Millisecond, 250 * time.Millisecond

// Prediction is one run of one job, asked for by hand.
type Prediction struct {
	Job api.Job
	// Occurrence is the nominal due time; zero takes that of the unfinished
	// run, or now.
	Occurrence time.Time
	Actor      string
	// Begun is told which run it is, and whether it goes on with one that an
	// earlier process left unfinished.
	Begun func(run api.Run, resumed bool)
	// Progress is shown the run now and then, and once at its end.
	Progress func(api.Run)
}

// Predict stores the job, starts the runner, carries out one run of it and
// explains how that ended. When ctx ends first, the run stays as it is and the
// same Predict goes on with it. Stop is still the caller's.
func (r *Runner) Predict(ctx context.Context, p Prediction) (api.Why, error) {
	job, _, err := r.trigger.Put(ctx, p.Job.Name, api.PutJob{Spec: p.Job}, trigger.Condition{}, p.Actor)
	if err != nil {
		return api.Why{}, err
	}
	run, resumed, err := r.unfinished(job.UID, p.Occurrence)
	if err == nil && !resumed {
		run, _, err = r.trigger.Run(ctx, p.Job.Name, api.Trigger{Occurrence: p.Occurrence}, "", p.Actor)
	}
	if err != nil {
		return api.Why{}, err
	}
	p.Begun(run, resumed)
	if err := r.Start(ctx); err != nil {
		return api.Why{}, err
	}
	if err := r.follow(ctx, run.ID, p.Progress); err != nil {
		return api.Why{}, err
	}
	return server.Explain(r.store, run.ID)
}

// unfinished finds the job's run, of that occurrence where one is given, that
// an earlier process did not bring to its end.
func (r *Runner) unfinished(uid string, occurrence time.Time) (api.Run, bool, error) {
	active, err := r.store.UnfinishedOf(uid)
	if err != nil {
		return api.Run{}, false, fmt.Errorf("look for an unfinished run: %w", err)
	}
	for _, run := range active {
		if occurrence.IsZero() || occurrence.Equal(run.Occurrence) {
			return run.Run, true, nil
		}
	}
	return api.Run{}, false, nil
}

// follow shows a run until it has ended. The store has no change feed, so it
// is read again and again.
func (r *Runner) follow(ctx context.Context, id string, show func(api.Run)) error {
	wait := firstPoll
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		run, err := r.store.Run(id)
		if err != nil {
			return fmt.Errorf("read run %s: %w", id, err)
		}
		show(run.Run)
		if run.State.Ended() {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
			wait = min(wait*3/2, lastPoll)
			timer.Reset(wait)
		}
	}
}
