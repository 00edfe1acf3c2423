package engine

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// What a run has staged may be visible though its rows do not say so: the answer
// of a commit was lost, or publishing failed after its decisive step. A retry
// finds that out by itself. Before anybody else goes by the rows, they are settled.

// settler is an output that can tell which of a run's staged parts are visible,
// one by one, with what was gone of each.
type settler interface {
	Committed(ctx context.Context, parts []sink.PublishedPart) (map[int64]sink.Gone, error)
}

// settleEarlier settles what earlier runs of the job have staged, before this one
// plans what they left.
func (x *execution) settleEarlier(ctx context.Context) error {
	if !x.job.Input.Incremental() && !carriesOwn(x.job) {
		return nil
	}
	earlier, err := x.e.Store.WithStaging(x.run.JobUID)
	if err != nil {
		return err
	}
	for _, run := range earlier {
		if _, executing := x.e.execution(run.ID); executing || run.MiniBatches.Staged == 0 {
			continue
		}
		if err := x.settleOther(ctx, &execution{e: x.e, run: run, log: x.log}); err != nil {
			return err
		}
	}
	return nil
}

// settleOther settles an earlier run. An output that the job does not write to any
// more is asked once: what it holds is no concern of the new one's readers.
func (x *execution) settleOther(ctx context.Context, other *execution) error {
	once := false
	err := x.patiently(ctx, "output", func() error {
		if err := other.load(); err != nil {
			return err
		}
		once = !reflect.DeepEqual(other.job.Output, x.job.Output)
		err := other.settle(ctx)
		if sink.Passes(err) && !once {
			return passing{err}
		}
		return err
	})
	failure, told := errors.AsType[*api.Failure](err)
	switch {
	case err == nil || ctx.Err() != nil || errors.Is(err, store.ErrFenced):
		return err
	case once:
		return x.event(ctx, "warning", fmt.Sprintf("what run %s has made visible in an earlier output of the job can't be told: %v", other.run.ID, err))
	case told:
		return api.Fail(failure.Reason, failure.Hint, fmt.Errorf("tell what run %s has made visible: %w", other.run.ID, failure.Err))
	}
	return fmt.Errorf("tell what run %s has made visible: %w", other.run.ID, err)
}

// settle has the rows of an ended run say which of its staged mini-batches are
// visible, and moves the job's memory if these are the first.
func (x *execution) settle(ctx context.Context) error {
	seen, err := x.visible(ctx)
	if err != nil || len(seen) == 0 {
		return err
	}
	return x.e.Store.Write(ctx, func(tx *store.Tx) error {
		run, err := tx.Settling(x.run)
		if err != nil {
			return err
		}
		if err := x.rememberSeen(tx, run, seen); err != nil {
			return err
		}
		if x.run, err = tx.Settled(run, x.out.Folder()); err != nil {
			return err
		}
		return tx.Event(store.Event{UID: run.JobUID, Run: run.ID, Event: api.Event{Kind: "settled", Actor: "runner",
			Detail: api.Counted(int64(len(seen)), "mini-batch") + " turned out to be visible already"}})
	})
}

// rememberSeen commits mini-batches, and moves the job's memory as the end of the
// run would have done, had it known of them. What the run has left to others by
// now is theirs.
func (x *execution) rememberSeen(tx *store.Tx, run store.Run, seen map[int64]store.Gone) error {
	if x.plan.Remembered {
		job, err := tx.JobByUID(run.JobUID)
		if err != nil {
			return err
		}
		return errors.Join(tx.CommitSeen(run.ID, seen), tx.SettleSeen(run.ID),
			closeRows(tx, run, x.plan, memoryIdentity(x.plan.Spec, job.Spec), false))
	}
	if err := tx.ClaimOwed(run.ID); err != nil && !errors.Is(err, store.ErrFenced) {
		return err
	}
	return errors.Join(tx.CommitSeen(run.ID, seen), closeMemory(tx, run))
}

// visible are the mini-batches whose rows say that they are staged, and which
// readers see.
func (x *execution) visible(ctx context.Context) (map[int64]store.Gone, error) {
	var staged []sink.PublishedPart
	err := x.e.Store.Parts(x.run.ID, func(m store.MiniBatch) error {
		if m.State == api.MiniBatchStaged {
			staged = append(staged, x.part(m))
		}
		return nil
	})
	if err != nil || len(staged) == 0 {
		return nil, err
	}
	if x.run.Reason != api.ReasonPublish && x.job.Output.Publish != api.PublishProgressive {
		return nil, nil // it never came to publishing
	}
	if out, can := x.out.(settler); can {
		gone, err := out.Committed(ctx, staged)
		seen := perMiniBatch(gone)
		for _, part := range staged {
			if part.Records == 0 && len(seen) > 0 {
				seen[part.MiniBatch] = nil // all dead letters: it goes with the others
			}
		}
		return seen, err
	}
	if x.run.Reason != api.ReasonPublish || x.run.Intent.Revision == 0 || additive(x.job) {
		return nil, nil
	}
	// A folder is published whole: by its name and revision.
	by, revision, err := x.out.PublishedBy(ctx)
	if err != nil || by != x.run.ID || revision != x.run.Intent.Revision {
		return nil, err
	}
	seen := map[int64]store.Gone{}
	for _, part := range staged {
		seen[part.MiniBatch] = nil
	}
	return seen, nil
}
