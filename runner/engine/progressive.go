package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// showing is where the folder of a progressive run stands in this execution.
type showing struct {
	mu      sync.Mutex
	decided bool
	shows   bool // false: another revision is there, the run publishes at its end
}

// progressive tells whether mini-batches become visible while the run is under
// way. What has been published whole is replaced whole; to a table it is added.
func (x *execution) progressive() bool {
	return x.job.Output.Publish == api.PublishProgressive && (x.run.Revision == 0 || additive(x.job))
}

// openOutput makes the output ready for predictions: what was committed before
// must be there still, staged parts that no row names are removed, and where
// the run publishes progressively, parts are shown that an earlier execution
// has only staged. Nothing is being staged yet.
func (x *execution) openOutput(ctx context.Context) error {
	if err := x.stillThere(ctx); err != nil {
		return err
	}
	staged := map[string]bool{}
	err := x.e.Store.Parts(x.run.ID, func(m store.MiniBatch) error {
		staged[m.StagedPath] = true
		return nil
	})
	if err != nil {
		return err
	}
	before, err := x.e.Store.StagedBefore(x.run.ID)
	if err != nil {
		return err
	}
	for _, path := range before {
		staged[path] = true
	}
	if err := x.out.SweepStaged(staged); err != nil {
		x.log.Warn("remove staged parts that nobody needs", "error", err) // costs disk, not data
	}
	return x.revealHidden(ctx)
}

// revealHidden shows what is staged only, where the run shows its mini-batches
// one by one.
func (x *execution) revealHidden(ctx context.Context) error {
	if !x.progressive() {
		return nil
	}
	var hidden []store.MiniBatch
	err := x.e.Store.Parts(x.run.ID, func(m store.MiniBatch) error {
		if m.State == api.MiniBatchStaged {
			hidden = append(hidden, m)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, m := range hidden {
		err := x.reveal(ctx, m, store.Staged{Path: m.StagedPath, Records: m.StagedRecords, Bytes: m.Bytes, SHA256: m.SHA256})
		if sink.Passes(err) {
			x.log.Warn("show mini-batch", "mini_batch", m.Number, "error", err)
			return nil // the end of the run shows them all
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stillThere fails a run whose folder does not hold any more what the run
// committed before: it could not be published whole.
func (x *execution) stillThere(ctx context.Context) error {
	parts, _, err := x.parts()
	if err != nil {
		return err
	}
	committed := slices.DeleteFunc(parts, func(part sink.PublishedPart) bool { return part.Path != "" })
	err = x.out.CheckPublished(ctx, committed)
	if _, told := errors.AsType[*api.Failure](err); told || sink.Passes(err) {
		return err
	}
	if err != nil {
		return api.Fail(api.ReasonPublish, "run the occurrence again", fmt.Errorf("find what run %s has published before: %w", x.run.ID, err))
	}
	return nil
}

// reveal makes a mini-batch visible that has just been staged, where the run
// publishes progressively. What goes wrong is made good later: a part that is
// staged only is shown when the run goes on or ends.
func (x *execution) reveal(ctx context.Context, m store.MiniBatch, staged store.Staged) error {
	if !x.progressive() || m.Redrive { // a redrive replaces what is visible at its end, or leaves it
		return nil
	}
	if shows, err := x.beginOutput(ctx); err != nil || !shows {
		return err
	}
	part := sink.PublishedPart{MiniBatch: m.Number, Staged: sink.Staged{Path: staged.Path, Records: staged.Records, Bytes: staged.Bytes, SHA256: staged.SHA256}}
	gone, err := x.out.Show(ctx, part, x.planColumns())
	if refused, ok := errors.AsType[*sink.Refused](err); ok {
		if theirs, err := x.blame(refused); err != nil || !theirs {
			return err // the end of the run shows what it can
		}
		if m, part, err = x.leaveOut(ctx, m, part, refused.Records[m.Number]); err != nil {
			return err
		}
		gone, err = x.out.Show(ctx, part, x.planColumns())
	}
	if err != nil {
		return err
	}
	err = x.e.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error { return tx.CommitShown(x.run, m, store.Gone(gone)) })
	if errors.Is(err, store.ErrFenced) {
		return nil // cancelled meanwhile: the end of the run removes the part
	}
	if err == nil {
		failpoint.Here("reveal.row")
	}
	return err
}

// beginOutput makes the run's folder visible, once, before its first part is.
func (x *execution) beginOutput(ctx context.Context) (shows bool, err error) {
	s := &x.showing
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.decided {
		return s.shows, nil
	}
	revision, err := x.nextRevision(ctx)
	if err != nil {
		return false, err
	}
	// The row first: who cleans up must know of every folder there may be.
	err = x.e.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error { return tx.Show(x.run) })
	if err != nil {
		return false, err
	}
	shows, err = x.out.Begin(ctx, x.manifest(api.RunRunning, "", revision, api.Counts{Planned: x.plan.Records, Unfinished: x.plan.Records}))
	if err == nil {
		s.decided, s.shows = true, shows
	}
	return shows, err
}

// conclude has the folder of a progressive run that ended unpublished say so.
// Of any other run it does nothing.
func (x *execution) conclude(ctx context.Context) error {
	shown, err := x.e.Store.IsShown(x.run.ID)
	if err != nil || !shown || x.out == nil {
		return err
	}
	run, err := x.e.Store.Run(x.run.ID)
	if err != nil || !run.State.Ended() {
		return err
	}
	x.run = run
	parts, _, err := x.parts()
	if err != nil {
		return err
	}
	var visible []sink.PublishedPart
	for _, part := range parts {
		if part.Path == "" {
			visible = append(visible, part)
		}
	}
	revision, err := x.nextRevision(ctx)
	if err != nil {
		return err
	}
	manifest := x.manifest(run.State, run.Reason, revision, run.Counts)
	manifest.Times.PublishedAt = run.EndedAt
	if err := x.out.Conclude(ctx, sink.Publication{Manifest: manifest, Parts: visible, DeadLetters: x.deadLetters}); err != nil {
		return err
	}
	return x.e.Store.Write(context.Background(), func(tx *store.Tx) (err error) {
		run, err := tx.Concluded(x.run, x.out.Folder())
		if err == nil {
			x.run = run
		}
		return err
	})
}
