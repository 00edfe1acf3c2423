package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// How often a run attempt may lose a ready server: more often where mini-batches
// are suspected of ending servers, since finding that out costs some.
const (
	lossBudget         = 3
	lossBudgetSuspects = 5
)

// lose takes note that a ready server is gone, once: it is stopped with all it
// left behind, the loss is recorded, and another is launched in the background
// as long as the run's budget lasts. spent tells that the fleet has come to its
// end by it.
func (f *fleet) lose(ctx context.Context, s *readyServer) (spent bool, err error) {
	f.mu.Lock()
	if !f.forget(s) {
		defer f.mu.Unlock()
		return f.failure != nil, nil
	}
	alone := f.alone
	f.starting++ // until it is decided whether another takes its place
	f.mu.Unlock()

	cause := s.exit()
	if cause == nil {
		cause = errors.New("the prediction server is not ready any more")
	}
	f.x.log.Warn("prediction server lost", "server", s.url, "error", cause)
	outcome := store.LaunchLost
	if alone {
		outcome = store.LaunchLostOnTrial
	}
	losses, budget := int64(0), int64(0)
	err = s.stop(outcome, func(tx *store.Tx) (err error) {
		if !alone {
			err = tx.CountLoss(f.run.ID, f.run.Attempt)
		}
		if err != nil {
			return err
		}
		if losses, budget, err = f.budget(tx); err != nil {
			return err
		}
		return f.eventIn(tx, "server_lost", cause.Error())
	})

	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.notify()
	f.starting--
	switch {
	case err != nil:
		f.fail(err)
	case alone:
	case losses < budget:
		f.fill(f.limit)
	default:
		f.spend(losses, cause)
	}
	return f.failure != nil, err
}

// charge counts the replacement of servers that still live as a loss.
func (f *fleet) charge(ctx context.Context) error {
	losses, budget := int64(0), int64(0)
	err := f.x.e.Store.Write(ctx, func(tx *store.Tx) (err error) {
		if err = tx.CountLoss(f.run.ID, f.run.Attempt); err != nil {
			return err
		}
		losses, budget, err = f.budget(tx)
		return err
	})
	if err != nil || losses < budget {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.limit = 1
	f.spend(losses, errors.New("it answered wrongly"))
	return f.failure
}

// budget tells how many losses the run attempt has had and may have.
func (f *fleet) budget(tx *store.Tx) (losses, budget int64, err error) {
	losses, suspects, err := tx.Losses(f.run.ID, f.run.Attempt)
	if suspects {
		return losses, lossBudgetSuspects, err
	}
	return losses, lossBudget, err
}

// spend gives a lost server no successor; the last one ends the fleet. The
// lock is held.
func (f *fleet) spend(losses int64, cause error) {
	f.limit--
	if f.limit > 0 {
		f.x.log.Warn("go on with fewer prediction servers", "servers", f.limit)
		return
	}
	f.fail(api.Fail(api.ReasonServerLost, "see its output with: batch-runner logs "+f.run.ID,
		fmt.Errorf("the prediction server was lost %d times, the last: %w", losses, cause)))
}

// giveUpWithout has a run whose servers are spent give up all that it has not
// predicted, and end by what it has, if max_failed allows that: else, and with
// any other failure, it fails as it is, to be resumed.
func (x *execution) giveUpWithout(ctx context.Context, err error) error {
	failure, ok := errors.AsType[*api.Failure](err)
	if !ok || failure.Reason != api.ReasonServerLost || x.complete() {
		return err
	}
	max, bad := x.maxFailed()
	if bad != nil {
		return bad
	}
	return x.e.Store.Write(ctx, func(tx *store.Tx) error {
		if err := errors.Join(tx.ReleaseAll(x.run.ID), tx.RestoreRedriven(x.run.ID)); err != nil {
			return err
		}
		counted, bad := tx.Count(x.run)
		if bad != nil {
			return bad
		}
		c := counted.Counts
		rest := c.Unfinished - c.Staged - c.GivenUp
		if c.Staged+c.Committed == 0 || exceeded(c.Failed()+rest, c.Planned, max) {
			return err
		}
		return tx.GiveUp(x.run.ID, store.Failure{Class: api.ClassServerLost, Error: failure.Err.Error()})
	})
}
