package engine_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/engine"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

var (
	runStates = []api.RunState{api.RunQueued, api.RunPlanning, api.RunProvisioning, api.RunRunning, api.RunCommitting,
		api.RunSucceeded, api.RunIncomplete, api.RunFailed, api.RunCancelled, api.RunStopped, api.RunSkipped}
	miniBatchStates = []api.MiniBatchState{api.MiniBatchPending, api.MiniBatchRunning, api.MiniBatchRetryWait, api.MiniBatchStaged,
		api.MiniBatchCommitted, api.MiniBatchGivenUp, api.MiniBatchCancelled}
)

// holdToTheMachines makes the database of a data dir refuse, whoever writes,
// every change of a state that the state machines do not list.
func holdToTheMachines(dir string) error {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, store.File)+"?_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	_, err = db.ExecContext(context.Background(), refusing("runs", runStates, engine.CanMove)+refusing("mini_batches", miniBatchStates, engine.CanMoveMiniBatch))
	return errors.Join(err, db.Close())
}

// refusing is a trigger that lets only listed changes of state pass.
func refusing[S ~string](table string, states []S, allowed func(from, to S) bool) string {
	var moves []string
	for _, from := range states {
		for _, to := range states {
			if from == to || allowed(from, to) {
				moves = append(moves, fmt.Sprintf("'%s>%s'", from, to))
			}
		}
	}
	return fmt.Sprintf(`CREATE TRIGGER IF NOT EXISTS machine_of_%[1]s BEFORE UPDATE OF state ON %[1]s
		WHEN OLD.state || '>' || NEW.state NOT IN (%[2]s)
		BEGIN SELECT RAISE(ABORT, 'the state machine of %[1]s has no such move'); END;`, table, strings.Join(moves, ", "))
}

// The store writes states by SQL of its own; this holds that the databases of
// all these tests would refuse a move that the machines do not know.
func TestTheDatabaseIsHeldToTheMachines(t *testing.T) {
	b := newBench(t)
	run := b.run()
	err := b.store.Write(t.Context(), func(tx *store.Tx) error {
		succeeded, err := tx.Run(run.ID)
		if err == nil {
			_, err = tx.MoveRun(succeeded, store.RunChange{To: api.RunRunning})
		}
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "state machine of runs") {
		t.Errorf("succeeded → running: %v", err)
	}
}
