package engine

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

const refusedHint = "correct the table and retry the run, or correct the record and run the occurrence again"

// blame tells whether it is the records' fault that the table refuses them. Until
// it has taken one of the run, a table that takes none of many may be a wrong one,
// and nothing is written off.
func (x *execution) blame(refused *sink.Refused) (theirs bool, err error) {
	if !refused.All() {
		return true, nil
	}
	now, err := x.e.Store.Run(x.run.ID)
	return now.Counts.Committed > 0, err
}

// leaveOut makes dead letters of records that the output refuses, and stages the
// mini-batch once more without them. Its fence rises: the part of before is
// garbage from then on.
func (x *execution) leaveOut(ctx context.Context, m store.MiniBatch, part sink.PublishedPart, refused []database.Refusal) (store.MiniBatch, sink.PublishedPart, error) {
	rest, err := x.without(m, part, refused)
	if err != nil {
		return m, part, err
	}
	err = x.e.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error { return tx.LeaveOut(x.run, m, rest) })
	m = left(m, rest)
	return m, x.part(m), err
}

// left is a mini-batch some of whose records were left out.
func left(m store.MiniBatch, rest store.Staged) store.MiniBatch {
	m.Fence++
	m.StagedPath, m.StagedRecords, m.Bytes, m.SHA256 = rest.Path, rest.Records, rest.Bytes, rest.SHA256
	m.DeadLettered += int64(len(rest.DeadLetters))
	return m
}

// decideAgain decides anew on a run some of whose records the output has refused
// when it was published: they are dead letters, and the run is judged without
// them. What fails by that is withheld; else the intent is another one, to be
// carried out from the beginning.
func (x *execution) decideAgain(ctx context.Context, refused *sink.Refused) error {
	if x.job.Retry.Policy == api.PolicyComplete {
		return api.Fail(api.ReasonPublish, refusedHint, refused)
	}
	if theirs, err := x.blame(refused); err != nil {
		return err
	} else if !theirs {
		return api.Fail(api.ReasonPublish, "correct the columns of the table and retry the run, or correct predict.outputs and run the occurrence again",
			fmt.Errorf("the table takes none of the predictions: %w", refused))
	}
	rests, now := map[int64]store.Staged{}, map[int64]store.MiniBatch{}
	before, err := x.staged(refused.Records)
	if err != nil {
		return err
	}
	for _, m := range before {
		rest, err := x.without(m, x.part(m), refused.Records[m.Number])
		if err != nil {
			return err
		}
		rests[m.Number], now[m.Number] = rest, left(m, rest)
	}
	ahead := prospect{revision: x.run.Intent.Revision}
	if _, ahead.parts, err = x.partsWith(now); err != nil {
		return err
	}
	max, err := x.maxFailed()
	if err != nil {
		return err
	}
	return x.e.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		for _, m := range before {
			if err := tx.LeaveOut(x.run, m, rests[m.Number]); err != nil {
				return err
			}
		}
		return x.redecide(tx, max, ahead)
	})
}

func (x *execution) redecide(tx *store.Tx, max api.Threshold, ahead prospect) error {
	counted, err := tx.Run(x.run.ID)
	if err != nil {
		return err
	}
	end := judge(counted.Counts, x.job.MaxFailed, max)
	if was := x.run.Intent; was.Reason == api.ReasonAccepted { // whatever has failed
		end = verdict{was.State, was.Reason, was.Message}
	}
	if end.State == api.RunFailed {
		return x.withhold(tx, end)
	}
	intent, err := x.intent(tx, counted, end, ahead)
	if err != nil {
		return err
	}
	x.run, err = tx.Redecide(counted, *intent)
	return err
}

// staged are mini-batches by their numbers, in the order of the plan.
func (x *execution) staged(numbers map[int64][]database.Refusal) (found []store.MiniBatch, err error) {
	err = x.e.Store.Parts(x.run.ID, func(m store.MiniBatch) error {
		if len(numbers[m.Number]) > 0 {
			found = append(found, m)
		}
		return nil
	})
	return found, err
}

// without stages a mini-batch once more, but for the records that are refused.
func (x *execution) without(m store.MiniBatch, part sink.PublishedPart, refused []database.Refusal) (store.Staged, error) {
	why := map[int64]string{} // by place in the part
	for _, r := range refused {
		why[r.Record] = r.Reason
	}
	holds, before, err := x.placesOf(m)
	if err != nil {
		return store.Staged{}, err
	}
	letters, err := x.refusedLetters(m, holds, why)
	if err != nil {
		return store.Staged{}, err
	}
	rest, err := x.stageWithout(m, part, why)
	return store.Staged{Path: rest.Path, Records: before.Records + rest.Records, Bytes: rest.Bytes, SHA256: rest.SHA256,
		DeadLetters: stillDead(before.Letters, letters)}, err
}

// placesOf tells which records of a mini-batch its staged part holds: all but
// dead letters, or, where dead letters were sent again, those of them that were
// predicted, besides what it had before.
func (x *execution) placesOf(m store.MiniBatch) (holds func(position int64) bool, before store.Before, err error) {
	if !m.Redrive {
		dead, err := x.e.Store.DeadPlaces(x.run.ID, m.Number)
		return func(position int64) bool { return !dead[position] }, before, err
	}
	if before, err = x.e.Store.Before(x.run.ID, m.Number); err != nil {
		return nil, before, err
	}
	if before.State != api.MiniBatchCommitted {
		return nil, before, api.Fail(api.ReasonPublish, refusedHint, fmt.Errorf("mini-batch %d was staged before its dead letters were sent again", m.Number))
	}
	again, err := x.e.Store.RedrivenPlaces(x.run.ID, m.Number)
	return func(position int64) bool { return again[position] }, before, err
}

// stageWithout copies a staged part but for some of its records.
func (x *execution) stageWithout(m store.MiniBatch, part sink.PublishedPart, without map[int64]string) (sink.Staged, error) {
	if part.Records == int64(len(without)) {
		return sink.Staged{}, nil // all of them are dead letters
	}
	columns := x.planColumns()
	records, err := x.out.OpenRecords(context.Background(), part, columns)
	if err != nil {
		return sink.Staged{}, err
	}
	defer records.Close() //nolint:errcheck // read only
	rest, err := x.out.Stage(x.run.Attempt, m.Number, m.Fence+1, columns)
	if err != nil {
		return sink.Staged{}, err
	}
	defer rest.Abort()
	for at := int64(0); ; at++ {
		values, err := records.Values()
		if errors.Is(err, io.EOF) {
			return rest.Finish()
		}
		if err == nil && without[at] == "" {
			err = rest.Write(values)
		}
		if err != nil {
			return sink.Staged{}, err
		}
	}
}

// refusedLetters are dead letters of records by their places in a staged part.
func (x *execution) refusedLetters(m store.MiniBatch, holds func(position int64) bool, why map[int64]string) ([]store.PlacedDeadLetter, error) {
	now := x.e.Now().UTC()
	keys, file := x.indexes(x.job.Input.Key), x.files[m.File]
	var letters []store.PlacedDeadLetter
	at := int64(-1)
	err := x.eachRecord(m, func(record *format.Record, position int64) error {
		if !holds(position) {
			return nil
		}
		at++
		reason := why[at]
		if reason == "" {
			return nil
		}
		letter := store.PlacedDeadLetter{Position: position, DeadLetter: api.DeadLetter{
			Run: x.run.ID, MiniBatch: m.Number, Class: api.ClassData, Attempts: 1, FirstSeen: now, LastSeen: now,
		}}
		x.describe(&letter, file, record, keys)
		letter.Error = letter.Source.String() + ": the table refuses the prediction: " + reason
		letters = append(letters, letter)
		return nil
	})
	return letters, err
}
