package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/split"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// errOutOfDate says that what a planning was based on has changed meanwhile.
var errOutOfDate = errors.New("what the job remembers has changed while the run was planned")

// findNew looks for the files of an incremental input that no run has taken as
// they are.
func (p *planner) findNew() error {
	x := p.x
	memory, err := x.remembered()
	if err != nil {
		return err
	}
	found, err := x.inputs.FindNew(p.ctx, x.job.Input, x.occasion, x.columns(), memory, x.e.Now())
	if err != nil {
		return err
	}
	if err := p.distinctNew(found.Candidates); err != nil {
		return err
	}
	p.candidates, p.left, p.unread = found.Candidates, found.Left, map[string]bool{}
	for _, c := range found.Candidates {
		p.unread[c.Path] = true
	}
	for _, l := range found.Left {
		p.unread[l.Path] = true
	}
	return nil
}

// distinctNew has candidates name the features, and compares the keys in them.
func (p *planner) distinctNew(candidates []source.Candidate) error {
	files := make([]source.File, len(candidates))
	for i, c := range candidates {
		files[i] = c.File
	}
	if err := p.resolve(files); err != nil {
		return err
	}
	kept, err := p.distinct(files)
	if err != nil {
		return err
	}
	for i := range candidates {
		if kept[i].Spool != files[i].Spool { // records are left out: the file is known by what it was
			if kept[i].SHA256, err = p.x.inputs.Sum(p.ctx, files[i]); err != nil {
				return err
			}
		}
		candidates[i].File = kept[i]
	}
	return nil
}

// planNew plans the files that were found. Each is read once: cut and summed up
// in one pass. What turns out to be known, or changes under the eyes of the
// planner, leaves the plan again.
func (p *planner) planNew() error {
	for _, c := range p.candidates {
		if err := p.planCandidate(c); err != nil {
			return err
		}
	}
	return nil
}

func (p *planner) planCandidate(c source.Candidate) error {
	before, err := p.mark()
	if err != nil {
		return err
	}
	sum := sha256.New()
	how := p.how(c.File)
	if c.SHA256 == "" {
		how.Sum = sum
	}
	err = split.File(p.ctx, p.x.inputs, len(p.files), c.File, how, p.add)
	if inputChanged(err) {
		p.left = append(p.left, source.Left{Path: c.Path, Why: "changed while it was read"})
		return p.rewind(before)
	}
	if err != nil {
		return err
	}
	if c.SHA256 == "" {
		c.SHA256 = hex.EncodeToString(sum.Sum(nil))
	}
	verdict := c.Judge(c.SHA256)
	if verdict == source.Touched {
		p.touched = append(p.touched, c.File)
		return p.rewind(before)
	}
	owed := p.replace(c.Path)
	if verdict == source.Changed {
		warning := fmt.Sprintf("input %s has changed since run %s took it: it is taken once more, all of it", c.Path, c.Before.Run)
		if owed > 0 {
			warning += fmt.Sprintf(", and replaces %s of it that earlier runs owe", api.Counted(owed, "record"))
		}
		p.warnings = append(p.warnings, warning)
	}
	p.files = append(p.files, c.File)
	return nil
}

// replace has the plan claim what was set aside of a file: so many records.
func (p *planner) replace(path string) (records int64) {
	for _, o := range p.aside[path] {
		p.replaced = append(p.replaced, o.ID)
		records += o.Records
	}
	return records
}

// inputChanged tells whether a file is not what it was when it was pinned.
func inputChanged(err error) bool {
	failure, ok := errors.AsType[*api.Failure](err)
	return ok && failure.Reason == api.Reason(api.ClassInputChanged)
}

// remembered is what the job knows of its input's files.
func (x *execution) remembered() (source.Memory, error) {
	known, err := x.e.Store.KnownFiles(x.run.JobUID, x.job.InputIdentity())
	if err != nil {
		return source.Memory{}, err
	}
	memory := source.Memory{Known: make(map[string]source.Known, len(known))}
	for _, f := range known {
		memory.Known[f.Path] = source.Known{Size: f.Size, ModTime: f.ModTime, SHA256: f.SHA256, Run: f.Run}
	}
	plans, err := x.e.Store.PlannedElsewhere(x.run)
	if err == nil {
		memory.Claimed, err = claimedBy(plans)
	}
	return memory, err
}

// claimedBy are the files that plans take as their own input, with the plan's
// run.
func claimedBy(plans []store.Plan) (map[string]string, error) {
	claimed := map[string]string{}
	for _, plan := range plans {
		files, err := ownFiles(plan)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			claimed[f.Path] = plan.Run
		}
	}
	return claimed, nil
}

// ownFiles are the files of an incremental plan that its run takes for the job.
func ownFiles(plan store.Plan) ([]source.File, error) {
	if !plan.Spec.Input.Incremental() || plan.Spec.Input.Files == nil {
		return nil, nil
	}
	var files, own []source.File
	if err := json.Unmarshal(plan.Files, &files); err != nil {
		return nil, fmt.Errorf("decode the plan of run %s: %w", plan.Run, err)
	}
	for _, f := range files {
		if !f.Carried {
			own = append(own, f)
		}
	}
	return own, nil
}

// otherTaker finds a file of a plan that another run has taken as it was
// planned, or has claimed; nothing, where there is none.
func otherTaker(tx *store.Tx, run store.Run, plan store.Plan) (path, taker string, err error) {
	files, err := ownFiles(plan)
	if err != nil || len(files) == 0 {
		return "", "", err
	}
	plans, err := tx.PlannedElsewhere(run)
	if err != nil {
		return "", "", err
	}
	claimed, err := claimedBy(plans)
	if err != nil {
		return "", "", err
	}
	for _, f := range files {
		if by := claimed[f.Path]; by != "" {
			return f.Path, by, nil
		}
		known, err := tx.KnownFile(run.JobUID, plan.Spec.InputIdentity(), f.Path)
		if err == nil && known.Run != run.ID && known.SHA256 == f.SHA256 {
			return f.Path, known.Run, nil
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return "", "", err
		}
	}
	return "", "", nil
}

// upToDate holds a new plan, in the transaction that stores it, to what the job
// remembers by then.
func (x *execution) upToDate(tx *store.Tx, plan store.Plan) error {
	job, err := tx.JobByUID(x.run.JobUID)
	if err != nil {
		return err
	}
	if job.Spec.InputIdentity() != x.job.InputIdentity() {
		return errOutOfDate
	}
	if err := tx.ClaimOwed(x.run.ID); errors.Is(err, store.ErrFenced) {
		return errOutOfDate
	} else if err != nil {
		return err
	}
	path, _, err := otherTaker(tx, x.run, plan)
	if err == nil && path != "" {
		err = errOutOfDate
	}
	if err != nil {
		return err
	}
	return x.rowsUpToDate(tx, plan)
}

// stillOwnInput fails a run that goes on with an older plan where another run
// has taken its files meanwhile.
func (x *execution) stillOwnInput(ctx context.Context) error {
	if !x.plan.Spec.Input.Incremental() {
		return nil
	}
	return x.e.Store.Write(ctx, func(tx *store.Tx) error {
		path, taker, err := otherTaker(tx, x.run, x.plan)
		what := "input " + path
		if err == nil && path == "" {
			what = "what its query found"
			taker, err = otherReader(tx, x.run, x.plan)
		}
		if err != nil || taker == "" {
			return err
		}
		return api.Fail(api.Reason(api.ClassInputChanged), "nothing is lost: that run has its records",
			fmt.Errorf("%s was taken by run %s after this run had been planned", what, taker))
	})
}

// know has the job remember the files that a run has taken.
func know(tx *store.Tx, run store.Run, identity string, plan store.Plan) error {
	files, err := ownFiles(plan)
	if err != nil {
		return err
	}
	for _, f := range files {
		known := store.KnownFile{Path: f.Path, Size: f.Size, ModTime: f.ModTime, SHA256: f.SHA256, Run: run.ID}
		if err := tx.Know(run.JobUID, identity, known); err != nil {
			return err
		}
	}
	return nil
}

// tellLeft says which files are left for the next run.
func tellLeft(left []source.Left) string {
	if len(left) == 0 {
		return ""
	}
	const most = 5
	var texts []string
	for _, l := range left[:min(most, len(left))] {
		texts = append(texts, fmt.Sprintf("%s (%s)", l.Path, l.Why))
	}
	if more := len(left) - most; more > 0 {
		texts = append(texts, fmt.Sprintf("%d more", more))
	}
	return fmt.Sprintf("; %s left for the next run: %s", api.Counted(int64(len(left)), "file"), strings.Join(texts, ", "))
}

// replaceable tells whether the run may replace what lies in its folder. Where
// another run published it, of new files or with records that it took from the
// ledger, those predictions are nowhere else, and no later run makes them again.
func (x *execution) replaceable(ctx context.Context) error {
	if x.plan.Records == 0 {
		return nil
	}
	by, _, err := x.out.PublishedBy(ctx)
	if err != nil || by == "" || by == x.run.ID {
		return err
	}
	if x.job.Input.Incremental() {
		return x.keepsFolder(fmt.Errorf("output folder %s holds what run %s predicted of other files", x.out.Folder(), by))
	}
	own := map[pin]bool{}
	for _, file := range x.files {
		own[pinOf(file)] = own[pinOf(file)] || !file.Carried
	}
	taken, err := x.e.Store.TookOver(by)
	for _, identity := range taken {
		var file source.File
		if err := json.Unmarshal(identity, &file); err != nil {
			return fmt.Errorf("decode a file of run %s: %w", by, err)
		}
		if !own[pinOf(file)] {
			return x.keepsFolder(fmt.Errorf("output folder %s holds records of %s that run %s took over from an earlier one", x.out.Folder(), file.Path, by))
		}
	}
	return err
}

func (x *execution) keepsFolder(why error) error {
	return api.Fail(api.ReasonOutputTaken, "it would be replaced, and nothing predicts them again: move the folder away, "+
		"or give each run its own with {scheduled_at} or {run} in output.files.uri", why)
}
