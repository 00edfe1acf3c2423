package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/split"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// planFormat is the number of the form of plans and staged parts that this
// binary writes, and the only one it goes on with.
const planFormat = 1

// planChunk is how many mini-batches one transaction of a planning stores.
const planChunk = 500

// makePlan pins the input: which files, cut into which mini-batches. The plan
// is stored whole before any prediction, in one last transaction; until then
// its mini-batches are nobody's.
func (x *execution) makePlan(ctx context.Context) error {
	files, err := source.Find(*x.job.Input.Files, x.occasion, x.columns())
	if err != nil {
		return err
	}
	if err := x.prepare(ctx); err != nil {
		return err
	}
	if err := x.e.Store.Write(ctx, func(tx *store.Tx) error { return tx.DropUnplanned(x.run.ID) }); err != nil {
		return err
	}
	x.files = files
	planner := planner{x: x, ctx: ctx, hash: sha256.New()}
	if err := split.Split(ctx, files, *x.job.MiniBatch.Rows, planner.add); err != nil {
		return err
	}
	if err := planner.flush(); err != nil {
		return err
	}
	if planner.records == 0 && x.job.Input.OnEmpty == api.OnEmptyFail {
		return api.Fail(api.ReasonInputEmpty, `set input.on_empty to "succeed" or "skip" where an empty input is fine`,
			fmt.Errorf("input.files.uri %q: %s, no record in them", x.job.Input.Files.URI, api.Counted(int64(len(files)), "file")))
	}
	identities, err := json.Marshal(files)
	if err != nil {
		return fmt.Errorf("encode the plan: %w", err)
	}
	x.plan = store.Plan{
		Run: x.run.ID, Format: planFormat, Spec: x.job, Generation: x.run.Generation, Files: identities,
		Records: planner.records, Hash: planner.sum(identities),
		PlanSpecHash: x.job.PlanSpecHash(), ExecSpecHash: x.job.ExecSpecHash(),
	}
	err = x.e.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.InsertPlan(x.plan); err != nil {
			return err
		}
		return tx.Event(store.Event{UID: x.run.JobUID, Run: x.run.ID, Event: api.Event{Kind: "planned", Actor: "runner",
			Detail: fmt.Sprintf("%s in %s from %s", api.Counted(planner.records, "record"),
				api.Counted(planner.number, "mini-batch"), api.Counted(int64(len(files)), "file"))}})
	})
	if err == nil {
		failpoint.Here("plan.stored")
	}
	return err
}

// columns are the input columns that a run reads: features first, then what
// is kept and what names a record, each once.
func (x *execution) columns() []string {
	var columns []string
	seen := map[string]bool{}
	for _, group := range [][]string{x.job.Predict.Features.Columns, x.job.Output.Keep, x.job.Input.Key} {
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
	if x.plan.Format != planFormat {
		return api.Fail(api.Reason(api.ClassConfig), "trigger the occurrence again", fmt.Errorf("the plan has format %d; this runner knows %d", x.plan.Format, planFormat))
	}
	if err := json.Unmarshal(x.plan.Files, &x.files); err != nil {
		return fmt.Errorf("decode the plan: %w", err)
	}
	return nil
}

// planner stores mini-batches as the split finds them, in bounded memory.
type planner struct {
	x       *execution
	ctx     context.Context
	chunk   []store.MiniBatch
	number  int64
	records int64
	hash    hash.Hash
}

func (p *planner) add(s split.Slice) error {
	p.number++
	p.records += s.Records
	_, _ = fmt.Fprintf(p.hash, "%d %d %d %d %d\n", s.File, s.Offset, s.Length, s.FirstLine, s.Records)
	p.chunk = append(p.chunk, store.MiniBatch{
		Number: p.number, File: int64(s.File), Offset: s.Offset, Length: s.Length, FirstLine: s.FirstLine, Records: s.Records,
	})
	if len(p.chunk) < planChunk {
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

func (p *planner) sum(identities []byte) string {
	p.hash.Write(identities)
	return hex.EncodeToString(p.hash.Sum(nil))
}
