package engine

import (
	"context"
	"errors"
	"io"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// leaveOut makes dead letters of records that the output refuses, and stages the
// mini-batch once more without them. Its fence rises: the part of before is
// garbage from then on.
func (x *execution) leaveOut(ctx context.Context, m store.MiniBatch, part sink.PublishedPart, refused *sink.Refused) (store.MiniBatch, sink.PublishedPart, error) {
	why := map[int64]string{} // by place in the part
	for _, r := range refused.Records {
		why[r.Record] = r.Reason
	}
	letters, err := x.refusedLetters(m, why)
	if err != nil {
		return m, part, err
	}
	rest, err := x.stageWithout(m, part, why)
	if err != nil {
		return m, part, err
	}
	err = x.e.Store.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		return tx.LeaveOut(x.run, m, store.Staged{Path: rest.Path, Records: rest.Records, Bytes: rest.Bytes, SHA256: rest.SHA256, DeadLetters: letters})
	})
	if err != nil {
		return m, part, err
	}
	m.Fence++
	part.Staged, part.DeadLettered = rest, part.DeadLettered+int64(len(letters))
	return m, part, nil
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

// refusedLetters are dead letters of records by their places in a staged part,
// which holds all of a mini-batch but its dead letters.
func (x *execution) refusedLetters(m store.MiniBatch, why map[int64]string) ([]store.PlacedDeadLetter, error) {
	dead, err := x.e.Store.DeadPlaces(x.run.ID, m.Number)
	if err != nil {
		return nil, err
	}
	now := x.e.Now().UTC()
	keys, file := x.indexes(x.job.Input.Key), x.files[m.File]
	var letters []store.PlacedDeadLetter
	at := int64(-1)
	err = x.eachRecord(m, func(record *format.Record, position int64) error {
		if dead[position] {
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
