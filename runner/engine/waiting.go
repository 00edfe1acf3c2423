package engine

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
)

// storeRetry is the pause after the store itself failed, before a run is
// taken up again.
const storeRetry = 10 * time.Second

// storagePause is the wait before storage is tried again; it doubles up to
// storagePauseMax.
const storagePause, storagePauseMax = time.Second, 30 * time.Second

// prepare proves that the output can be written.
func (x *execution) prepare(ctx context.Context) error {
	return x.patiently(ctx, "output", func() error {
		err := x.out.Prepare(ctx)
		if sink.Passes(err) {
			return passing{err}
		}
		return err
	})
}

// passing is an error of what is not the run's fault, and may pass.
type passing struct{ error }

func (p passing) Unwrap() error { return p.error }

// patiently does a step of the planning. A full or failing disk is waited out,
// as it is while staging, and a store or database that can't be reached; a disk
// that is read-only was set up so. What does not pass in time ends the run.
func (x *execution) patiently(ctx context.Context, what string, step func() error) error {
	for pause, since := storagePause, x.e.Now(); ; pause = min(2*pause, storagePauseMax) {
		err := step()
		if _, passes := errors.AsType[passing](err); !passes || errors.Is(err, syscall.EROFS) {
			return err
		}
		if x.e.Now().Sub(since) >= waitLimit {
			return tooLong(what, err)
		}
		x.log.Warn("wait for storage", "of", what, "in", pause, "error", err)
		if pause == storagePause { // once for all
			if err := x.event(ctx, "storage", err.Error()); err != nil {
				return err
			}
		}
		if err := x.rest(ctx, pause); err != nil {
			return err
		}
	}
}

// tooLong ends a run that has waited for storage in vain.
func tooLong(what string, err error) error {
	if _, told := errors.AsType[*api.Failure](err); told {
		return err
	}
	reason := api.Reason(api.ClassStorage)
	if what == "output" {
		reason = api.ReasonOutputUnwritable
	}
	return api.Fail(reason, "see that it answers and that the runner's host reaches it, or correct the job", fmt.Errorf("the %s did not answer for %s: %w", what, waitLimit, err))
}

// rest waits before another try at a step, unless the runner drains.
func (x *execution) rest(ctx context.Context, d time.Duration) error {
	if err := sleepOr(ctx, d, x.e.drain); err != nil {
		return err
	}
	if x.draining() {
		return errDraining
	}
	return nil
}

// pause waits before another try at something that the machine refused.
func (x *execution) pause(ctx context.Context) {
	_ = sleepOr(ctx, storeRetry, x.e.drain)
}

// sleepOr waits until d is over, early is closed, or the context ends: then it
// gives the context's cause.
func sleepOr(ctx context.Context, d time.Duration, early <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-early:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}
