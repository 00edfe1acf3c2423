package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"path/filepath"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

const (
	// publishTimeout is how long publishing is tried before the run fails.
	publishTimeout = api.StorageLimit
	// publishPause is the wait before the next try; it doubles up to
	// publishPauseMax.
	publishPause, publishPauseMax = time.Second, 30 * time.Second
)

// prospect is what the point of no return has to know of folders and parts. It
// is read before the transaction, which holds only if the run has not moved on
// since: without workers, nothing else changes its parts.
type prospect struct {
	revision int64
	parts    string // hash of the list of parts
}

func (x *execution) prospect(ctx context.Context) (prospect, error) {
	if x.run.Revision == 0 {
		if err := x.stillThere(ctx); err != nil {
			return prospect{}, err
		}
	}
	if err := x.replaceable(ctx); err != nil {
		return prospect{}, err
	}
	revision, err := x.nextRevision(ctx)
	if err != nil {
		return prospect{}, err
	}
	_, parts, err := x.parts()
	return prospect{revision, parts}, err
}

// nextRevision is the revision that a publish would have now. The store
// remembers those whose folders are gone.
func (x *execution) nextRevision(ctx context.Context) (int64, error) {
	revision, err := x.out.NextRevision(ctx)
	if err != nil {
		return 0, err
	}
	last, err := x.e.Store.LastRevision(x.run)
	return max(revision, last+1), err
}

// commit passes the point of no return: one guarded transaction judges the
// run and stores what publishing will do. After it nothing can stop the run
// but publishing itself.
func (x *execution) commit(ctx context.Context) error {
	if additive(x.job) { // what a table refuses must be known before the run is judged
		err := errors.Join(x.revealHidden(ctx), x.revealHidden(ctx)) // twice: what stays hidden while the table has taken nothing
		if failure, ok := errors.AsType[*api.Failure](err); ok && failure.Reason == api.ReasonPublish {
			return failure
		}
		if err != nil {
			x.log.Warn("show what is staged", "error", err) // publishing will, or say what is wrong
		}
	}
	ahead, err := x.prospect(ctx)
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
			return x.withhold(tx, end)
		}
		if m := counted.MiniBatches; m.Pending+m.Running+m.RetryWait+m.Cancelled > 0 {
			return fmt.Errorf("run %s is not done: %d mini-batches are left", x.run.ID, m.Pending+m.Running+m.RetryWait+m.Cancelled)
		}
		intent, err := x.intent(tx, counted, end, ahead)
		if err != nil {
			return err
		}
		return x.move(tx, store.RunChange{To: api.RunCommitting, Actor: "runner", Intent: intent})
	})
	if err != nil || x.run.State == api.RunFailed {
		return err
	}
	failpoint.Here("publish.intent")
	return x.publish(ctx)
}

// withhold fails a run and keeps what it has staged.
func (x *execution) withhold(tx *store.Tx, end verdict) error {
	// What a redrive has not bettered is as it was, before the memory moves.
	if err := errors.Join(tx.ReleaseAll(x.run.ID), tx.RestoreRedriven(x.run.ID)); err != nil {
		return err
	}
	return x.move(tx, store.RunChange{To: end.State, Actor: "runner", Reason: end.Reason, Message: end.Message,
		KeepStaging: tx.Now.Add(x.job.KeepWithheld.Value())})
}

// intent is what publishing will do. Nothing new to show leaves the output as
// it is: an empty input that is skipped, or a retry that changed nothing.
func (x *execution) intent(tx *store.Tx, counted store.Run, end verdict, ahead prospect) (*store.Intent, error) {
	c := counted.Counts
	intent := &store.Intent{State: end.State, Reason: end.Reason, Message: end.Message, Revision: ahead.revision, Parts: ahead.parts,
		Folder: x.out.Folder(), At: tx.Now}
	c.Committed += c.Staged
	c.Unfinished -= c.Staged
	c.Staged = 0
	carry, err := x.foresee(tx, c)
	if err != nil {
		return nil, err
	}
	intent.Counts, intent.MaxCarries = carry.after(c), x.maxCarries()
	switch {
	case c.Planned == 0 && x.job.Input.Incremental():
		intent.NoOutput, intent.Message = true, "the input holds nothing new"
	case c.Planned == 0:
		intent.Reason, intent.Message = api.ReasonInputEmpty, "the input holds no record"
		intent.NoOutput = x.job.Input.OnEmpty == api.OnEmptySkip
	case counted.MiniBatches.Staged == 0 && carry.CarriedOut == 0:
		before := counted.Intent.Counts // of the revision before; a table may have got more since, one by one
		intent.NoOutput = counted.Revision > 0 && c.Committed+c.Gone == before.Committed+before.Gone
	}
	if carry.Carried > 0 {
		intent.Message += fmt.Sprintf("; %s are carried to the next run", api.Counted(carry.Carried, "record"))
	}
	return intent, nil
}

// publish carries out the stored intent. Each of its steps may have happened
// before a crash. Errors are retried; when that takes too long the run fails,
// its staging kept.
func (x *execution) publish(ctx context.Context) error {
	pause, since := publishPause, x.e.Now()
	told := false
	var gone map[int64]sink.Gone
	for !x.run.Intent.NoOutput {
		var err error
		if gone, err = x.publishOnce(ctx); err == nil {
			break
		}
		if refused, ok := errors.AsType[*sink.Refused](err); ok {
			if err = x.decideAgain(ctx, refused); err == nil && x.run.State == api.RunFailed {
				return nil
			} else if err == nil {
				continue
			}
		}
		failure, final := errors.AsType[*api.Failure](err)
		final = final && (failure.Reason == api.ReasonOutputTaken || failure.Reason == api.ReasonPublish)
		if final || x.e.Now().Sub(since) > publishTimeout {
			return x.failPublish(ctx, err)
		}
		x.log.Warn("publish again", "in", pause, "error", err)
		if !told {
			told = true
			if err := x.event(ctx, "storage", err.Error()); err != nil {
				return err
			}
		}
		if err := x.rest(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, publishPauseMax)
	}
	intent := x.run.Intent
	err := x.e.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		if err := errors.Join(tx.CommitStaged(x.run.ID, perMiniBatch(gone)), tx.Published(x.run.ID)); err != nil {
			return err
		}
		change := store.RunChange{To: intent.State, Actor: "runner", Reason: intent.Reason, Message: intent.Message}
		if !intent.NoOutput {
			change.Output, change.Revision = intent.Folder, intent.Revision
		}
		if err := x.tellGone(tx, &change); err != nil {
			return err
		}
		return x.move(tx, change)
	})
	if err != nil {
		return err
	}
	failpoint.Here("publish.row")
	x.e.retainSoon(x.job)
	x.sweep(ctx)
	return nil
}

func (x *execution) publishOnce(ctx context.Context) (map[int64]sink.Gone, error) {
	intent := x.run.Intent
	if err := x.buryCarried(); err != nil {
		return nil, err
	}
	parts, list, err := x.parts()
	if err != nil {
		return nil, err
	}
	if intent.Parts != "" && intent.Parts != list {
		return nil, api.Fail(api.ReasonPublish, "retry the run", errors.New("the staged parts are not those that were decided on"))
	}
	manifest := x.manifest(intent.State, intent.Reason, intent.Revision, intent.Counts)
	manifest.Times.PublishedAt = intent.At
	return x.out.Publish(ctx, sink.Publication{Manifest: manifest, Parts: parts, Columns: x.planColumns(), Inputs: x.inputNames(),
		DeadLetters: x.deadLetters, MovePointer: true})
}

// inputNames are the plan's files as people know them.
func (x *execution) inputNames() []string {
	names := make([]string, len(x.files))
	for i, file := range x.files {
		names[i] = file.Path
	}
	return names
}

// manifest is what a published folder says of the run.
func (x *execution) manifest(state api.RunState, reason api.Reason, revision int64, counts api.Counts) sink.Manifest {
	return sink.Manifest{
		Job: x.run.Job, UID: x.run.JobUID, Generation: x.plan.Generation, Origin: x.run.Origin, Occurrence: x.run.Occurrence,
		Revision: revision, State: state, Reason: reason, PlanHash: x.plan.Hash, Counts: counts, Run: x.run.ID,
		Times:    sink.Times{CreatedAt: x.run.CreatedAt, StartedAt: x.run.StartedAt},
		Attempts: x.run.Attempt, Launches: x.run.Launches, Runner: sink.Runner{ID: x.e.Store.RunnerID(), Version: x.e.Version},
	}
}

// parts are those of the output, staged and committed, and a hash that tells
// their list from any other.
func (x *execution) parts() (parts []sink.PublishedPart, list string, err error) {
	return x.partsWith(nil)
}

// partsWith is parts, with some mini-batches as they will be.
func (x *execution) partsWith(changed map[int64]store.MiniBatch) (parts []sink.PublishedPart, list string, err error) {
	digest := sha256.New()
	attempt := ""
	err = x.e.Store.Parts(x.run.ID, func(m store.MiniBatch) error {
		if now, ok := changed[m.Number]; ok {
			m = now
		}
		if m.StagedRecords == 0 {
			return nil // all its records are dead letters
		}
		note(digest, m)
		part := x.part(m)
		if m.State == api.MiniBatchCommitted {
			part.Path = "" // taken from the folder
		} else if x.job.Retry.Policy == api.PolicyComplete {
			if attempt == "" {
				attempt = filepath.Dir(m.StagedPath)
			}
			if attempt != filepath.Dir(m.StagedPath) {
				return api.Fail(api.ReasonPublish, "run the occurrence again", fmt.Errorf(
					"mini-batch %d was predicted by another run attempt (%s) than those before it (%s)", m.Number, filepath.Dir(m.StagedPath), attempt))
			}
		}
		parts = append(parts, part)
		return nil
	})
	return parts, hex.EncodeToString(digest.Sum(nil)), err
}

func note(digest hash.Hash, m store.MiniBatch) {
	_, _ = fmt.Fprintf(digest, "%d %d %d %d %s\n", m.Number, m.StagedRecords, m.DeadLettered, m.Bytes, m.SHA256)
}

// part is a mini-batch's staged part.
func (x *execution) part(m store.MiniBatch) sink.PublishedPart {
	part := sink.PublishedPart{MiniBatch: m.Number, Input: int(m.File), DeadLettered: m.DeadLettered, Redriven: m.Redrive,
		Staged: sink.Staged{Path: m.StagedPath, Records: m.StagedRecords, Bytes: m.Bytes, SHA256: m.SHA256}}
	if additive(x.job) && m.Redrive { // what was committed before is not in the part
		part.Records -= m.Kept + m.Gone.Total()
	}
	if x.job.Predict.OnModelChange == api.ModelChangeContinue {
		part.Fingerprint = m.Fingerprint
	}
	return part
}

// deadLetters reads the run's dead letters one by one, in input order.
func (x *execution) deadLetters(yield func(api.DeadLetter, error) bool) {
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

func (x *execution) failPublish(ctx context.Context, cause error) error {
	return x.e.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		return x.move(tx, store.RunChange{To: api.RunFailed, Actor: "runner", Reason: api.ReasonPublish,
			Message: cause.Error(), KeepStaging: tx.Now.Add(x.job.KeepWithheld.Value())})
	})
}
