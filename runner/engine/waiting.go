package engine

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/batchpattern/terraform-provider-batch/runner/durable"
)

// storeRetry is the pause after the store itself failed, before a run is
// taken up again.
const storeRetry = 10 * time.Second

// storagePause is the wait before the output's storage is tried again; it
// doubles up to storagePauseMax.
const storagePause, storagePauseMax = time.Second, 30 * time.Second

// prepare proves that the output can be written. A full or failing disk is
// waited out, as it is while staging; one that is read-only was set up so.
func (x *execution) prepare(ctx context.Context) error {
	for pause, since := storagePause, x.e.Now(); ; pause = min(2*pause, storagePauseMax) {
		err := x.out.Prepare()
		if !durable.IsStorage(err) || errors.Is(err, syscall.EROFS) || x.e.Now().Sub(since) >= waitLimit {
			return err
		}
		x.log.Warn("wait for the output's storage", "in", pause, "error", err)
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
