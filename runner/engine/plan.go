package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"slices"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/split"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// planFormat is the number of the form of plans and staged parts that this
// binary writes.
const planFormat = 1

// planFormats are the forms of plans that this binary can read: with true it
// also goes on with the parts staged under them, with false it starts over the
// same plan.
var planFormats = map[int64]bool{planFormat: true}

// planChunk is how many mini-batches one transaction of a planning stores.
const planChunk = 500

// makePlan pins the input: which files, cut into which mini-batches. The plan
// is stored whole before any prediction, in one last transaction; until then
// its mini-batches are nobody's.
func (x *execution) makePlan(ctx context.Context) error {
	if err := x.settleEarlier(ctx); err != nil {
		return err
	}
	p := &planner{x: x, ctx: ctx, stretch: stretch{hash: sha256.New()}, declared: x.job.PlanSpecHash()}
	var steps []func() error
	switch {
	case x.job.Input.SQL != nil:
		steps = []func() error{p.afresh(p.readQuery), p.takeOwed, p.planRows, p.flush}
	case x.job.Input.Incremental():
		steps = []func() error{p.afresh(p.findNew), p.takeOwed, p.planNew, p.flush}
	default:
		steps = []func() error{p.takeOwed, p.planAll, p.flush}
		if err := p.afresh(p.find)(); err != nil {
			return err
		}
	}
	if err := x.prepare(ctx); err != nil {
		return err
	}
	if err := x.e.Store.Write(ctx, func(tx *store.Tx) error { return tx.DropUnplanned(x.run.ID) }); err != nil {
		return err
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	if p.records == 0 && x.job.Input.OnEmpty == api.OnEmptyFail {
		return api.Fail(api.ReasonInputEmpty, `set input.on_empty to "succeed" or "skip" where an empty input is fine`,
			x.empty(len(p.files)))
	}
	if err := p.store(); err != nil {
		return err
	}
	failpoint.Here("plan.stored")
	return nil
}

// empty says that there is no record.
func (x *execution) empty(files int) error {
	if x.job.Input.SQL != nil {
		return errors.New("input.sql.query finds no row")
	}
	return fmt.Errorf("input.files.uri %q: %s, no record in them", x.job.Input.Files.URI, api.Counted(int64(files), "file"))
}

// columns are the input columns that a run reads: features first, then what
// is kept and what names a record, each once.
func (x *execution) columns() []string {
	var columns []string
	seen := map[string]bool{}
	for _, group := range [][]string{x.job.Predict.Features.Columns, x.kept(), x.job.Input.Key} {
		for _, column := range group {
			if !seen[column] {
				seen[column] = true
				columns = append(columns, column)
			}
		}
	}
	return columns
}

func (x *execution) decodeFiles() error {
	x.files = nil
	if _, known := planFormats[x.plan.Format]; !known {
		return api.Fail(api.Reason(api.ClassConfig), "trigger the occurrence again", fmt.Errorf("the plan has format %d; this runner knows %d", x.plan.Format, planFormat))
	}
	if err := json.Unmarshal(x.plan.Files, &x.files); err != nil {
		return fmt.Errorf("decode the plan: %w", err)
	}
	return nil
}

// planner stores mini-batches as the split finds them, in bounded memory.
type planner struct {
	x     *execution
	ctx   context.Context
	chunk []store.MiniBatch
	whole []source.File // of an input that is taken whole, each time
	files []source.File // of the plan
	stretch
	owed  int64                // records that earlier runs left to this one
	taken map[pin][]split.Span // where they stand, to plan none of them twice

	// Of an incremental input.
	candidates []source.Candidate
	left       []source.Left
	unread     map[string]bool         // the paths of both
	aside      map[string][]store.Owed // of files with another content than these records are of, by path
	replaced   []int64                 // those of them whose file is in the plan, as ledger rows
	touched    []source.File           // known ones with another modification time
	warnings   []string

	// Of an SQL input.
	rows    []source.File // what its query found
	leftOut leftOut
	// superseded are ledger rows that newer rows of the query replace.
	superseded map[int64]bool
	moves      *store.MarkMove

	declared string   // hash of the job as it was before the plan added to it
	notes    []string // for the run's history
}

// stretch is how far a planning has got.
type stretch struct {
	number  int64 // of mini-batches
	records int64
	hash    hash.Hash
}

// afresh makes a step of one that spools: what an earlier try has left in the
// spool is removed, and storage that refuses is waited for.
func (p *planner) afresh(step func() error) func() error {
	return func() error {
		return p.x.patiently(p.ctx, "input", func() error {
			if err := p.x.inputs.ClearSpool(); err != nil {
				return err
			}
			err := step()
			if source.Passes(err) {
				return passing{err}
			}
			if err == nil && p.x.inputs.HasSpooled() {
				failpoint.Here("plan.spooled")
			}
			return err
		})
	}
}

// find looks for the files of a whole input.
func (p *planner) find() error {
	found, err := p.x.inputs.Find(p.ctx, p.x.job.Input, p.x.occasion, p.x.columns())
	if err != nil {
		return err
	}
	if err := p.resolve(found); err != nil {
		return err
	}
	p.whole, err = p.distinct(found)
	return err
}

// resolve has the job name the features that it leaves to the input, by the
// columns of the first file that has some.
func (p *planner) resolve(files []source.File) error {
	if len(p.x.job.Predict.Features.Columns) > 0 {
		return nil
	}
	columns, err := p.x.inputs.Columns(p.ctx, files)
	if err != nil || columns == nil {
		return err
	}
	if err := p.x.resolveFeatures(columns); err != nil {
		return err
	}
	for _, file := range files {
		if err := file.CheckColumns(p.x.columns()); err != nil {
			return err
		}
	}
	return nil
}

// planAll plans every file of the input, but for what of it is owed.
func (p *planner) planAll() error {
	for _, file := range p.whole {
		p.files = append(p.files, file)
		if err := split.File(p.ctx, p.x.inputs, len(p.files)-1, file, p.how(file), p.add); err != nil {
			return err
		}
	}
	return nil
}

func (p *planner) add(s split.Slice) error {
	return p.append(store.MiniBatch{File: int64(s.File), Offset: s.Offset, Length: s.Length, FirstLine: s.FirstLine, Records: s.Records, Checksum: s.Checksum})
}

// how says how a file is split.
func (p *planner) how(file source.File) split.Options {
	return split.Options{
		Rows: *p.x.job.MiniBatch.Rows, Around: p.taken[pinOf(file)],
		Checksum: p.x.job.Input.Files != nil && p.x.job.Input.Files.Verify == api.VerifyChecksum,
	}
}

// stretchOf is where a mini-batch's records stand in its file.
func stretchOf(m store.MiniBatch) source.Stretch {
	return source.Stretch{Offset: m.Offset, Length: m.Length, FirstLine: m.FirstLine, Checksum: m.Checksum}
}

func (p *planner) append(m store.MiniBatch) error {
	p.number++
	m.Number = p.number
	p.records += m.Records
	_, _ = fmt.Fprintf(p.hash, "%d %d %d %d %d\n", m.File, m.Offset, m.Length, m.FirstLine, m.Records)
	if p.chunk = append(p.chunk, m); len(p.chunk) < planChunk {
		return nil
	}
	return p.flush()
}

func (p *planner) flush() error {
	if len(p.chunk) == 0 {
		return nil
	}
	err := p.x.e.Store.Write(p.ctx, func(tx *store.Tx) error { return tx.InsertMiniBatches(p.x.run.ID, p.chunk) })
	p.chunk = p.chunk[:0]
	return err
}

// mark notes how far the planning has got, for rewind.
func (p *planner) mark() (stretch, error) {
	hash, err := p.hash.(hash.Cloner).Clone()
	return stretch{p.number, p.records, hash}, err
}

// rewind takes everything planned since the mark out of the plan.
func (p *planner) rewind(to stretch) error {
	flushed := p.number - int64(len(p.chunk))
	p.chunk = p.chunk[:max(0, to.number-flushed)]
	p.stretch = to
	if flushed <= to.number {
		return nil
	}
	return p.x.e.Store.Write(p.ctx, func(tx *store.Tx) error { return tx.DropUnplannedAfter(p.x.run.ID, to.number) })
}

// store completes the plan. What it takes of the job's memory is claimed in the
// same transaction.
func (p *planner) store() error {
	x := p.x
	identities, err := json.Marshal(p.files)
	if err != nil {
		return fmt.Errorf("encode the plan: %w", err)
	}
	if err := p.hashFiles(); err != nil {
		return err
	}
	plan := store.Plan{
		Run: x.run.ID, Format: planFormat, Spec: x.job, Generation: x.run.Generation, Files: identities,
		Records: p.records, Hash: hex.EncodeToString(p.hash.Sum(nil)),
		PlanSpecHash: p.declared, ExecSpecHash: x.job.ExecSpecHash(), Mark: p.moves,
	}
	if p.records == 0 {
		plan.Columns = x.foreseen()
	}
	err = x.e.Store.Write(p.ctx, func(tx *store.Tx) error {
		if err := tx.InsertPlan(plan); err != nil {
			return err
		}
		if plan.Columns != nil {
			if err := tx.ResolvePlan(plan.Run, 0, plan.Columns); err != nil {
				return err
			}
		}
		if err := tx.ReplaceOwed(x.run.ID, p.replaced); err != nil {
			return err
		}
		if err := x.upToDate(tx, plan); err != nil {
			return err
		}
		for _, f := range p.touched {
			if err := tx.Touched(x.run.JobUID, x.job.InputIdentity(), store.KnownFile{Path: f.Path, ModTime: f.ModTime, SHA256: f.SHA256}); err != nil {
				return err
			}
		}
		return p.tell(tx)
	})
	if err == nil {
		x.plan, x.files = plan, p.files
	}
	return err
}

// hashFiles adds what the files are to the plan's hash, wherever copies of them
// lie.
func (p *planner) hashFiles() error {
	files := slices.Clone(p.files)
	for i := range files {
		files[i].Spool, files[i].SpoolRun = "", ""
	}
	identities, err := json.Marshal(files)
	if err != nil {
		return fmt.Errorf("encode the plan: %w", err)
	}
	p.hash.Write(identities)
	return nil
}

// told names the input for people.
func (p *planner) told() string {
	if p.x.job.Input.SQL != nil {
		return "the query"
	}
	return api.Counted(int64(len(p.files)), "file")
}

// tell puts what was planned, and what about it is remarkable, into the run's
// history.
func (p *planner) tell(tx *store.Tx) error {
	detail := fmt.Sprintf("%s in %s from %s", api.Counted(p.records, "record"), api.Counted(p.number, "mini-batch"), p.told())
	if p.owed > 0 {
		detail += fmt.Sprintf("; %s of them left by earlier runs", api.Thousands(p.owed))
	}
	if p.leftOut.rows > 0 {
		p.notes = append(p.notes, p.leftOut.String())
	}
	for _, note := range p.notes {
		detail += "; " + note
	}
	event := func(kind, detail string) error {
		return tx.Event(store.Event{UID: p.x.run.JobUID, Run: p.x.run.ID, Event: api.Event{Kind: kind, Actor: "runner", Detail: detail}})
	}
	for _, warning := range p.warnings {
		if err := event("warning", warning); err != nil {
			return err
		}
	}
	return event("planned", detail+tellLeft(p.left))
}
