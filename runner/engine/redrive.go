package engine

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// redriveIn has the dead letters of an ended run sent again. Its mini-batches
// keep the result that they have until a better one is committed.
func redriveIn(tx *store.Tx, run store.Run) error {
	again, err := tx.Redrive(run.ID)
	switch {
	case err != nil || again > 0:
		return err
	case run.Counts.DeadLettered == 0:
		return api.Errorf(api.CodeConflict, "", "run %s has no dead letters to send again", run.ID)
	}
	return api.Errorf(api.CodeConflict, fmt.Sprintf("correct the input and run the occurrence again: batch-runner rerun %s", run.Job),
		"none of the dead letters of run %s can be sent again: their records could not be read, or are no longer kept", run.ID)
}

// predictAgain sends the dead letters of a mini-batch again, and nothing else.
// The part that it stages is the one before with the new predictions in their
// places; records that are refused once more stay dead.
func (a *attempt) predictAgain(ctx context.Context) (store.Staged, error) {
	d, m := a.d, a.m
	before, err := d.x.e.Store.Before(d.x.run.ID, m.Number)
	if err != nil {
		return store.Staged{}, err
	}
	a.only = map[int64]bool{}
	for _, letter := range before.Letters {
		a.only[letter.Position] = true
	}
	if before.Records+a.expected() != m.Records {
		return store.Staged{}, fmt.Errorf("mini-batch %d: %d records and %d dead letters of %d planned", m.Number, before.Records, a.expected(), m.Records)
	}
	again, err := a.predictOnce(ctx)
	if err != nil {
		return store.Staged{}, err
	}
	again.DeadLetters = stillDead(before.Letters, again.DeadLetters)
	if additive(d.x.job) && before.State == api.MiniBatchCommitted {
		again.Records += before.Records // which the part does not hold: they are there
		return again, nil
	}
	merge := merge{ctx: ctx, x: d.x, m: m, before: before, again: again}
	staged, err := merge.run()
	if err != nil {
		return store.Staged{}, err
	}
	again.Path, again.Records, again.Bytes, again.SHA256 = staged.Path, staged.Records, staged.Bytes, staged.SHA256
	return again, nil
}

// stillDead goes on with the history of letters. What can't be read was not
// sent, and so nothing is new about it.
func stillDead(before, now []store.PlacedDeadLetter) []store.PlacedDeadLetter {
	was := map[int64]store.PlacedDeadLetter{}
	for _, letter := range before {
		was[letter.Position] = letter
	}
	for i, letter := range now {
		old := was[letter.Position]
		if letter.Class == api.ClassBadRecord && old.Class == api.ClassBadRecord {
			now[i] = old
			continue
		}
		now[i].FirstSeen = old.FirstSeen
		now[i].Attempts += old.Attempts
	}
	return now
}

// expected is the number of records that an attempt has to account for.
func (a *attempt) expected() int64 {
	if a.only != nil {
		return int64(len(a.only))
	}
	return a.m.Records
}

// stageFence is the fence in the name of the part that an attempt writes. The
// new predictions of a redrive are a part of their own, which is merged into
// that of the mini-batch's fence.
func (a *attempt) stageFence() int64 {
	if a.only != nil {
		return -a.m.Fence
	}
	return a.m.Fence
}

// merge puts the new predictions of a mini-batch among those it had.
type merge struct {
	ctx    context.Context
	x      *execution
	m      store.MiniBatch
	before store.Before
	again  store.Staged
}

func (g merge) run() (staged sink.Staged, err error) {
	if g.before.Records+g.again.Records == 0 {
		return sink.Staged{}, nil // every record is a dead letter, still
	}
	old := sink.Staged{Records: g.before.Records, Bytes: g.before.Bytes, SHA256: g.before.SHA256}
	if g.before.State == api.MiniBatchStaged {
		old.Path = g.before.Path
	}
	kept, err := g.open(old)
	if err != nil {
		return sink.Staged{}, g.unreadable(err)
	}
	defer kept.Close() //nolint:errcheck // read only
	added, err := g.open(sink.Staged{Path: g.again.Path, Records: g.again.Records, Bytes: g.again.Bytes, SHA256: g.again.SHA256})
	if err != nil {
		return sink.Staged{}, err
	}
	defer added.Close() //nolint:errcheck // read only
	part, err := g.x.out.Stage(g.x.run.Attempt, g.m.Number, g.m.Fence, g.x.planColumns())
	if err != nil {
		return sink.Staged{}, err
	}
	defer part.Abort()
	if err := g.copy(part, kept, added); err != nil {
		return sink.Staged{}, g.unreadable(err)
	}
	return part.Finish()
}

// unreadable fails the run where the part before is not what it was: nothing
// can be merged with it, now or later.
func (g merge) unreadable(err error) error {
	err = fmt.Errorf("merge mini-batch %d with what was predicted before: %w", g.m.Number, err)
	if durable.IsStorage(err) {
		return err
	}
	return api.Fail(api.ReasonPublish, "run the occurrence again", err)
}

// open reads a part that holds records; one without has no file.
func (g merge) open(s sink.Staged) (records, error) {
	if s.Records == 0 {
		return none{}, nil
	}
	return g.x.out.OpenRecords(g.ctx, sink.PublishedPart{MiniBatch: g.m.Number, Staged: s}, g.x.planColumns())
}

// copy writes the records in the order of the input: each was sent again, or is
// in the part before.
func (g merge) copy(part *sink.Part, kept, added records) error {
	sent, dead := map[int64]bool{}, map[int64]bool{}
	for _, letter := range g.before.Letters {
		sent[letter.Position] = true
	}
	for _, letter := range g.again.DeadLetters {
		dead[letter.Position] = true
	}
	for position := range g.m.Records {
		from := kept
		switch {
		case dead[position]:
			continue
		case sent[position]:
			from = added
		}
		record, err := from.Next()
		if err != nil {
			return fmt.Errorf("record %d: %w", position, err)
		}
		if err := part.Copy(record); err != nil {
			return err
		}
	}
	// The end tells whether what was read is what was written.
	for _, from := range []records{kept, added} {
		if _, err := from.Next(); !errors.Is(err, io.EOF) {
			return errors.Join(errors.New("a part holds more records than its row says"), err)
		}
	}
	return nil
}

// records are those of a part.
type records interface {
	Next() ([]byte, error)
	Close() error
}

// none is a part without a record.
type none struct{}

func (none) Next() ([]byte, error) { return nil, io.EOF }
func (none) Close() error          { return nil }
