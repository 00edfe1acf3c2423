package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

const (
	// publishTimeout is how long publishing is tried before the run fails.
	publishTimeout = time.Hour
	// publishPause is the wait before the next try; it doubles up to
	// publishPauseMax.
	publishPause, publishPauseMax = time.Second, 30 * time.Second
)

// commit passes the point of no return: one guarded transaction judges the
// run and stores what publishing will do. After it nothing can stop the run
// but publishing itself.
func (x *execution) commit(ctx context.Context) error {
	revision, err := x.out.NextRevision()
	if err != nil {
		return err
	}
	max, err := x.maxFailed()
	if err != nil {
		return err
	}
	err = x.e.Store.Write(ctx, func(tx *store.Tx) error {
		counted, err := tx.Run(x.run.ID)
		if err != nil {
			return err
		}
		if counted.Version != x.run.Version {
			return store.ErrFenced
		}
		x.run = counted // with the launches of this execution, too
		end := judge(counted.Counts, x.job.MaxFailed, max)
		if end.State == api.RunFailed {
			if err := tx.ReleaseAll(x.run.ID); err != nil {
				return err
			}
			return x.move(tx, store.RunChange{To: end.State, Actor: "runner", Reason: end.Reason, Message: end.Message,
				KeepStaging: tx.Now.Add(x.job.KeepWithheld.Value())})
		}
		if m := counted.MiniBatches; m.Pending+m.Running+m.RetryWait+m.Cancelled > 0 {
			return fmt.Errorf("run %s is not done: %d mini-batches are left", x.run.ID, m.Pending+m.Running+m.RetryWait+m.Cancelled)
		}
		return x.move(tx, store.RunChange{To: api.RunCommitting, Actor: "runner",
			Intent: x.intent(counted, end, revision, tx.Now)})
	})
	if err != nil || x.run.State == api.RunFailed {
		return err
	}
	failpoint.Here("publish.intent")
	return x.publish(ctx)
}

// intent is what publishing will do. Nothing new to show leaves the output as
// it is: an empty input that is skipped, or a retry that changed nothing.
func (x *execution) intent(counted store.Run, end verdict, revision int64, now time.Time) *store.Intent {
	c := counted.Counts
	intent := &store.Intent{State: end.State, Reason: end.Reason, Message: end.Message, Revision: revision, Folder: x.out.Folder(), At: now}
	if c.Planned == 0 {
		intent.Reason, intent.Message = api.ReasonInputEmpty, "the input holds no record"
		intent.NoOutput = x.job.Input.OnEmpty == api.OnEmptySkip
	} else if counted.MiniBatches.Staged == 0 {
		intent.NoOutput = counted.Revision > 0
	}
	c.Committed += c.Staged
	c.Unfinished -= c.Staged
	c.Staged = 0
	intent.Counts = c
	return intent
}

// publish carries out the stored intent. Each of its steps may have happened
// before a crash. Errors are retried; when that takes too long the run fails,
// its staging kept.
func (x *execution) publish(ctx context.Context) error {
	intent := x.run.Intent
	pause, since := publishPause, x.e.Now()
	for !intent.NoOutput {
		err := x.publishOnce()
		if err == nil {
			break
		}
		failure, final := errors.AsType[*api.Failure](err)
		final = final && (failure.Reason == api.ReasonOutputTaken || failure.Reason == api.ReasonPublish)
		if final || x.e.Now().Sub(since) > publishTimeout {
			return x.failPublish(ctx, err)
		}
		x.log.Warn("publish again", "in", pause, "error", err)
		if err := x.rest(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, publishPauseMax)
	}
	err := x.e.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		if err := tx.CommitStaged(x.run.ID); err != nil {
			return err
		}
		change := store.RunChange{To: intent.State, Actor: "runner", Reason: intent.Reason, Message: intent.Message}
		if !intent.NoOutput {
			change.Output, change.Revision = intent.Folder, intent.Revision
		}
		return x.move(tx, change)
	})
	if err != nil {
		return err
	}
	failpoint.Here("publish.row")
	x.sweep()
	return nil
}

func (x *execution) publishOnce() error {
	intent := x.run.Intent
	publication := sink.Publication{
		Manifest: sink.Manifest{
			Job: x.run.Job, UID: x.run.JobUID, Generation: x.plan.Generation, Origin: x.run.Origin, Occurrence: x.run.Occurrence,
			Revision: intent.Revision, State: intent.State, Reason: intent.Reason, PlanHash: x.plan.Hash, Counts: intent.Counts, Run: x.run.ID,
			Times:    sink.Times{CreatedAt: x.run.CreatedAt, StartedAt: x.run.StartedAt, PublishedAt: intent.At},
			Attempts: x.run.Attempt, Launches: x.run.Launches, Runner: sink.Runner{ID: x.e.Store.RunnerID(), Version: x.e.Version},
		},
		MovePointer: true,
	}
	err := x.e.Store.Parts(x.run.ID, func(m store.MiniBatch) error {
		if m.StagedRecords == 0 {
			return nil // all its records are dead letters
		}
		part := sink.PublishedPart{MiniBatch: m.Number, Staged: sink.Staged{Records: m.StagedRecords, Bytes: m.Bytes, SHA256: m.SHA256}}
		if m.State == api.MiniBatchStaged {
			part.Path = m.StagedPath // a committed one is taken from the published folder
		}
		publication.Parts = append(publication.Parts, part)
		return nil
	})
	if err != nil {
		return err
	}
	publication.DeadLetters = func(yield func(api.DeadLetter, error) bool) {
		stopped := errors.New("stopped")
		err := x.e.Store.DeadLetters(x.run.ID, func(letter api.DeadLetter) error {
			if !yield(letter, nil) {
				return stopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, stopped) {
			yield(api.DeadLetter{}, err)
		}
	}
	return x.out.Publish(publication)
}

func (x *execution) failPublish(ctx context.Context, cause error) error {
	return x.e.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		return x.move(tx, store.RunChange{To: api.RunFailed, Actor: "runner", Reason: api.ReasonPublish,
			Message: cause.Error(), KeepStaging: tx.Now.Add(x.job.KeepWithheld.Value())})
	})
}
