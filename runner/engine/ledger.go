package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/split"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// carriesOwn tells whether a run that has committed something leaves what it
// could not finish of its own input to the next one.
func carriesOwn(planned api.Job) bool {
	if planned.Input.SQL != nil && planned.Input.Mode != api.ModeWatermark {
		return false // the next run finds them again
	}
	return planned.Input.Incremental() || planned.Retry != nil && planned.Retry.Policy == api.PolicyNextBatch
}

// takeOwed plans what earlier runs owe: first of all, and in mini-batches as
// they were. What is owed of a file that has another content by now is set
// aside where this run or a later one takes the file anew: all of it.
func (p *planner) takeOwed() error {
	owed, err := p.x.e.Store.Owes(p.x.run.JobUID, p.x.job.InputIdentity())
	if err != nil {
		return err
	}
	files := map[string]owedFile{} // by identity
	p.taken, p.aside = map[pin][]split.Span{}, map[string][]store.Owed{}
	for _, o := range owed {
		if p.superseded[o.ID] {
			continue
		}
		file, seen := files[string(o.File)]
		if !seen {
			if file, err = p.takeFile(o); err != nil {
				return err
			}
			files[string(o.File)] = file
		}
		if file.aside {
			p.aside[file.path] = append(p.aside[file.path], o)
			continue
		}
		p.owed += o.Records
		at := pinOf(p.files[file.place])
		p.taken[at] = append(p.taken[at], split.Span{Offset: o.Offset, Length: o.Length})
		if err := p.append(store.MiniBatch{
			File: int64(file.place), Offset: o.Offset, Length: o.Length, FirstLine: o.FirstLine, Records: o.Records, Checksum: o.Checksum, Ledger: o.ID,
		}); err != nil {
			return err
		}
	}
	for _, spans := range p.taken {
		slices.SortFunc(spans, func(a, b split.Span) int { return cmp.Compare(a.Offset, b.Offset) })
	}
	return nil
}

// owedFile is a file that records are owed of.
type owedFile struct {
	path  string
	aside bool // with its records
	place int  // else in the plan
}

// takeFile has the plan hold the file of a ledger row, unless that is to be set
// aside.
func (p *planner) takeFile(o store.Owed) (owedFile, error) {
	var file source.File
	if err := json.Unmarshal(o.File, &file); err != nil {
		return owedFile{}, fmt.Errorf("decode ledger entry %d: %w", o.ID, err)
	}
	file = p.x.inputs.Repin(file)
	if p.unread[file.Path] && inputChanged(p.x.inputs.CheckOriginal(p.ctx, file)) {
		return owedFile{path: file.Path, aside: true}, nil
	}
	if err := p.resolve([]source.File{file}); err != nil {
		return owedFile{}, err
	}
	if err := file.CheckColumns(p.x.columns()); err != nil {
		return owedFile{}, err
	}
	file.Carried = true
	p.files = append(p.files, file)
	return owedFile{path: file.Path, place: len(p.files) - 1}, nil
}

// pin tells files apart: one that is to be carried from may be one of the run's
// own, where its input is a file that stays.
type pin struct {
	path          string
	size, modTime int64
	inode, device uint64
	etag          string
	query         string // the copy of what it found
}

func pinOf(f source.File) pin {
	p := pin{path: f.Path, size: f.Size, modTime: f.ModTime.UnixNano(), inode: f.Inode, device: f.Device, etag: f.ETag}
	if f.Path == source.QueryName {
		p.query = f.SpoolRun + "/" + f.Spool
	}
	return p
}

// closeMemory moves what outlives a run, in the transaction that ends it and
// before its accounting is frozen. A run that has committed nothing leaves
// everything as it found it. Else the job knows the files that it took from now
// on, and owes what is neither committed nor dead.
func closeMemory(tx *store.Tx, run store.Run) error {
	plan, err := tx.Plan(run.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	counted, err := tx.Count(run)
	if err != nil {
		return err
	}
	if counted.Counts.Committed == 0 {
		return tx.FreeOwed(run.ID)
	}
	job, err := tx.JobByUID(run.JobUID)
	if err != nil {
		return err
	}
	identity := memoryIdentity(plan.Spec, job.Spec)
	first, err := tx.Remember(run.ID)
	if err != nil {
		return err
	}
	if first {
		if err := know(tx, run, identity, plan); err != nil {
			return err
		}
	}
	if err := closeRows(tx, run, plan, identity, first); err != nil {
		return err
	}
	var files []json.RawMessage
	if err := json.Unmarshal(plan.Files, &files); err != nil {
		return fmt.Errorf("decode the plan of run %s: %w", run.ID, err)
	}
	carried, err := tx.CloseOwed(run, identity, files, carriesOwn(plan.Spec))
	if err != nil {
		return err
	}
	if carried > 0 {
		err := tx.Event(store.Event{UID: run.JobUID, Run: run.ID, Event: api.Event{Kind: "carried", Actor: "runner",
			Detail: api.Counted(carried, "record") + " left to the next run"}})
		if err != nil {
			return err
		}
		failpoint.Here("carry.row")
	}
	failpoint.Here("close.ledger")
	return nil
}

// memoryIdentity is the input that a run's memory is kept for: the planned one,
// unless the job was edited meanwhile to keep its memory for another.
func memoryIdentity(planned, current api.Job) string {
	identity := planned.InputIdentity()
	if identity != "" && current.Input.State == api.StateKeep && current.InputIdentity() != "" {
		return current.InputIdentity()
	}
	return identity
}

// takenElsewhere refuses to go on with a run, by retry or accept, where another
// run has taken over what it planned.
func takenElsewhere(tx *store.Tx, run store.Run) error {
	plan, err := tx.Plan(run.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	job, err := tx.JobByUID(run.JobUID)
	if err != nil {
		return err
	}
	if identity := plan.Spec.InputIdentity(); identity != "" && identity != job.Spec.InputIdentity() {
		return api.Errorf(api.CodeConflict, "run the job: it takes what is new", "the input of job %s is another one since run %s was planned", run.Job, run.ID)
	}
	path, taker, err := otherTaker(tx, run, plan)
	if err != nil {
		return err
	}
	if path != "" {
		return api.Errorf(api.CodeConflict, "see that run", "run %s has taken input %s of run %s", taker, path, run.ID)
	}
	if taker, err = otherReader(tx, run, plan); err != nil {
		return err
	}
	if taker != "" {
		return api.Errorf(api.CodeConflict, "see that run", "run %s has taken the rows of run %s", taker, run.ID)
	}
	taken, err := tx.TakerOf(run.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case taken.By == "":
		err = api.Errorf(api.CodeConflict, "run the job: it takes what is new", "job %s has forgotten what run %s left to the next one", run.Job, run.ID)
	case taken.Settled:
		err = api.Errorf(api.CodeConflict, "see that run", "run %s has finished what run %s left to the next one", taken.By, run.ID)
	default:
		err = api.Errorf(api.CodeConflict, "wait for that run to end", "run %s has taken over what run %s left to the next one", taken.By, run.ID)
	}
	return overtaken{err}
}

// overtaken is the error that what a run left to the next one is not to be had
// any more.
type overtaken struct{ error }

func (o overtaken) Unwrap() error { return o.error }

// carry is what the end of a run leaves to the next one.
type carry store.Carry

// foresee tells what the end of the run will carry, where counts are those with
// everything committed that is staged.
func (x *execution) foresee(tx *store.Tx, counts api.Counts) (carry, error) {
	if counts.Committed == 0 {
		return carry{}, nil
	}
	c, err := tx.Carry(x.run.ID, carriesOwn(x.plan.Spec), x.maxCarries())
	return carry(c), err
}

// after is a run's accounting once that is carried.
func (c carry) after(counts api.Counts) api.Counts {
	counts.Unfinished -= c.Carried + c.CarriedOut
	counts.GivenUp -= c.GivenUp
	counts.Carried += c.Carried
	counts.DeadLettered += c.CarriedOut
	return counts
}

func (x *execution) maxCarries() int64 {
	if most := x.job.Retry.MaxCarries; most != nil {
		return *most
	}
	return api.DefaultMaxCarries
}

// buryCarried makes dead letters of records that so many runs have sent in
// vain that the ledger takes them no more. It comes before publishing, which
// writes the letters beside the output; each mini-batch is one transaction, and
// those that are done are found done after a crash.
func (x *execution) buryCarried() error {
	most := x.run.Intent.MaxCarries
	if most == 0 || x.run.Intent.Counts.Committed == 0 {
		return nil
	}
	out, err := x.e.Store.CarriedOut(x.run.ID, carriesOwn(x.plan.Spec), most)
	if err != nil {
		return err
	}
	for _, m := range out {
		letters, err := x.lettersOf(m, api.ClassCarriedOut, m.Status, fmt.Sprintf("%s runs sent it in vain, the last error: %s", api.Thousands(most), m.Error))
		if err != nil {
			return err
		}
		if err := x.e.Store.Write(context.Background(), func(tx *store.Tx) error { return tx.BuryCarried(x.run, m, letters) }); err != nil {
			return err
		}
	}
	return nil
}

// changedCarried makes dead letters of a carried mini-batch whose file is no
// longer what it was when an earlier run left it: its records are gone, and the
// run goes on without them.
func (x *execution) changedCarried(m store.MiniBatch, cause error) ([]store.PlacedDeadLetter, bool) {
	failure, ok := errors.AsType[*api.Failure](cause)
	if !ok || failure.Reason != api.Reason(api.ClassInputChanged) || !x.files[m.File].Carried || x.job.Retry.Policy == api.PolicyComplete {
		return nil, false
	}
	return x.placeholders(m, api.ClassInputChanged, 0, failure.Err.Error()), true
}

// firstMiniBatch is the first one of the plan, but for carried ones whose file
// is no longer what it was; none, where there is no such.
func (x *execution) firstMiniBatch(ctx context.Context) ([]store.MiniBatch, error) {
	changed := map[int64]bool{}
	for after := int64(0); ; {
		next, err := x.e.Store.MiniBatches(x.plan.Run, after, 1)
		if err != nil || len(next) == 0 || !x.files[next[0].File].Carried {
			return next, err
		}
		file := next[0].File
		if _, known := changed[file]; !known {
			changed[file] = x.inputs.Check(ctx, x.files[file]) != nil
		}
		if !changed[file] {
			return next, nil
		}
		after = next[0].Number
	}
}

// lettersOf makes a dead letter of each record of a mini-batch, with its input
// where the file still holds it.
func (x *execution) lettersOf(m store.MiniBatch, class api.Class, status int, text string) ([]store.PlacedDeadLetter, error) {
	letters := x.placeholders(m, class, status, text)
	file := x.files[m.File]
	opened, err := x.inputs.Open(context.Background(), file)
	if _, changed := errors.AsType[*api.Failure](err); changed {
		return letters, nil
	}
	if err != nil {
		return nil, err
	}
	defer opened.Close() //nolint:errcheck // read only
	reader, err := opened.Records(stretchOf(m), x.columns())
	if err != nil {
		return nil, err
	}
	keys := x.indexes(x.job.Input.Key)
	for i := range letters {
		record, err := reader.Read()
		if _, changed := errors.AsType[*api.Failure](err); changed || errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file.Path, err)
		}
		x.describe(&letters[i], file, record, keys)
	}
	return letters, nil
}

// placeholders are the dead letters of a mini-batch's records as far as the
// plan knows them.
func (x *execution) placeholders(m store.MiniBatch, class api.Class, status int, text string) []store.PlacedDeadLetter {
	now := x.e.Now().UTC()
	letters := make([]store.PlacedDeadLetter, m.Records)
	for i := range letters {
		letters[i] = store.PlacedDeadLetter{Position: int64(i), DeadLetter: api.DeadLetter{
			Source: api.Place{File: x.files[m.File].Path, Line: m.FirstLine + int64(i)}, Run: x.run.ID, MiniBatch: m.Number,
			Class: class, Status: status, Error: text, Attempts: max(m.Attempts, 1), FirstSeen: now, LastSeen: now,
		}}
	}
	return letters
}
