package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// keeping says how long a job's output is kept.
type keeping struct {
	runs int64         // the newest published folders; 0: that says nothing
	age  time.Duration // since they were published; 0: that says nothing
}

func keepingOf(o api.Output) keeping {
	k := keeping{age: o.KeepFor.Value()}
	if o.KeepRuns != nil {
		k.runs = *o.KeepRuns
	}
	return k
}

func (k keeping) forever() bool { return k.runs == 0 && k.age == 0 }

// outputFolder is a folder that ended runs of a job have left, with the newest
// of them.
type outputFolder struct {
	folder    string
	run       string
	revision  int64 // 0: never published whole
	at        time.Time
	protected bool // whatever its age
}

// expired picks the folders that may go, from all of a job, newest occurrence
// first. What either limit keeps stays; folders that were never published do
// not count among the newest.
func expired(folders []outputFolder, k keeping, now time.Time) []outputFolder {
	if k.forever() {
		return nil
	}
	var gone []outputFolder
	published := int64(0)
	for _, f := range folders {
		kept := f.protected || k.runs > 0 && published < k.runs || k.age > 0 && now.Sub(f.at) < k.age
		if f.revision > 0 {
			published++
		}
		if !kept {
			gone = append(gone, f)
		}
	}
	return gone
}

// retainSoon asks for a look at the output of jobs, now that one of them has
// published.
func (e *Engine) retainSoon(job api.Job) {
	if !keepingOf(job.Output).forever() {
		e.retaining.Store(true) // the end of the execution rings
	}
}

// retain removes published folders that their jobs do not keep any longer. It
// belongs to the goroutine of schedule: no run can begin meanwhile.
func (e *Engine) retain(ctx context.Context) {
	jobs, err := e.Store.Retaining()
	if err != nil {
		e.Log.Error("look for jobs that limit their output", "error", err)
		return
	}
	for _, job := range jobs {
		if err := e.retainJob(ctx, job); err != nil && !errors.Is(err, store.ErrBusy) {
			e.Log.Error("remove output that is not kept", "job", job.Spec.Name, "error", err)
		}
	}
	removals, err := e.Store.Removals()
	if err != nil {
		e.Log.Error("look for output to remove", "error", err)
		return
	}
	for _, removal := range removals {
		if removal.Kept != "" {
			continue
		}
		if err := e.carryOut(ctx, removal); err != nil {
			e.Log.Error("remove output", "run", removal.Run, "error", err)
		}
	}
}

// retainJob decides which folders of a job go, and stores that.
func (e *Engine) retainJob(ctx context.Context, job store.Job) error {
	keep := keepingOf(job.Spec.Output)
	if keep.forever() || job.Spec.Output.Files == nil {
		return nil
	}
	runs, err := e.Store.WithOutput(job.UID)
	if err != nil || len(runs) == 0 {
		return err
	}
	underWay, busy, err := e.busyFolders(job.UID)
	if err != nil {
		return err
	}
	standing, err := e.Store.Standing(job.UID)
	if err != nil {
		return err
	}
	if standing.Success != nil {
		busy[standing.Success.Output] = true
	}
	for _, folder := range expired(outputFolders(runs, busy, e.Now()), keep, e.Now()) {
		removal := store.Removal{Folder: folder.folder, UID: job.UID, Run: folder.run, Revision: folder.revision}
		if err := e.decide(ctx, removal, underWay); err != nil {
			return err
		}
	}
	return nil
}

// outputFolders gathers the runs' folders, each once, in their order.
func outputFolders(runs []store.Run, busy map[string]bool, now time.Time) []outputFolder {
	var folders []outputFolder
	place := map[string]int{}
	for _, run := range runs {
		if isTable(run.Output) { // of an earlier generation of the job
			continue
		}
		i, seen := place[run.Output]
		if !seen {
			i = len(folders)
			place[run.Output] = i
			folders = append(folders, outputFolder{folder: run.Output, run: run.ID, revision: run.Revision, at: run.EndedAt, protected: busy[run.Output]})
		}
		whole := run.State == api.RunSucceeded || run.State == api.RunIncomplete
		if run.StagingUntil.After(now) && !whole { // withheld: it may be taken up again
			folders[i].protected = true
		}
	}
	return folders
}

// isTable tells a table from a folder and from a uri.
func isTable(output string) bool { return strings.HasPrefix(output, "table ") }

// busyFolders are those that runs under way write to.
func (e *Engine) busyFolders(uid string) ([]store.Run, map[string]bool, error) {
	underWay, err := e.Store.UnderWayOf(uid)
	if err == nil {
		underWay, err = e.withQueued(uid, underWay)
	}
	if err != nil {
		return nil, nil, err
	}
	busy := map[string]bool{}
	for _, run := range underWay {
		x := &execution{e: e, run: run, log: e.Log}
		if err := x.load(); err != nil {
			return nil, nil, err
		}
		busy[x.out.Folder()] = true
	}
	return underWay, busy, nil
}

// withQueued adds the runs of a job that have a slot and stand in the queue
// still: they are about to leave it, or wait for their next attempt.
func (e *Engine) withQueued(uid string, underWay []store.Run) ([]store.Run, error) {
	e.mu.Lock()
	executing := maps.Clone(e.running)
	e.mu.Unlock()
	for _, run := range underWay {
		delete(executing, run.ID)
	}
	for id, x := range executing {
		if x.uid != uid {
			continue
		}
		run, err := e.Store.Run(id)
		if errors.Is(err, store.ErrNotFound) || err == nil && run.State.Ended() {
			continue
		}
		if err != nil {
			return nil, err
		}
		underWay = append(underWay, run)
	}
	return underWay, nil
}

// decide stores that a folder goes, unless it holds what is not ours: that is
// told once.
func (e *Engine) decide(ctx context.Context, r store.Removal, underWay []store.Run) error {
	err := e.leftover(r).Removable(ctx)
	if errors.Is(err, sink.ErrKept) {
		return nil
	}
	if _, foreign := errors.AsType[*api.Failure](err); foreign {
		return e.keep(r, err)
	}
	if err != nil {
		return err
	}
	err = e.Store.Write(context.Background(), func(tx *store.Tx) error { return tx.DecideRemoval(r, underWay) })
	if err == nil {
		failpoint.Here("retain.decided")
	}
	return err
}

// leftover is a folder, or what lies below a prefix, that is to go.
type leftover interface {
	Removable(ctx context.Context) error
	Remove(ctx context.Context) error
}

func (e *Engine) leftover(r store.Removal) leftover {
	out := sink.Output{Folder: r.Folder, UID: r.UID, Run: r.Run, Revision: r.Revision}
	if api.IsObject(r.Folder) {
		return sink.ObjectsOutput{Output: out, Stores: e.Inputs.Objects}
	}
	return localLeftover{out, e.FS}
}

// localLeftover is a folder, which nobody has to wait for.
type localLeftover struct {
	sink.Output
	fs durable.FS
}

func (l localLeftover) Removable(context.Context) error { return l.Output.Removable() }
func (l localLeftover) Remove(context.Context) error    { return l.Output.Remove(l.fs) }

// keep notes why a folder stays that was to go.
func (e *Engine) keep(r store.Removal, why error) error {
	r.Kept = why.Error()
	return e.Store.Write(context.Background(), func(tx *store.Tx) error {
		news, err := tx.KeepRemoval(r)
		if err != nil || !news {
			return err
		}
		return tx.Event(retained(r, "kept: "+r.Kept))
	})
}

// carryOut removes a folder as was decided, perhaps before a crash. A run may
// have published there since: then the folder stays.
func (e *Engine) carryOut(ctx context.Context, r store.Removal) error {
	_, busy, err := e.busyFolders(r.UID)
	if err != nil || busy[r.Folder] {
		return err
	}
	err = e.leftover(r).Remove(ctx)
	if _, foreign := errors.AsType[*api.Failure](err); foreign {
		return e.keep(r, err)
	}
	detail := fmt.Sprintf("removed %s: the job does not keep it any longer", r.Folder)
	if errors.Is(err, sink.ErrKept) {
		detail, err = err.Error(), nil
	}
	if err != nil {
		return err
	}
	return e.Store.Write(context.Background(), func(tx *store.Tx) error {
		return errors.Join(tx.EndRemoval(r.Folder), tx.Event(retained(r, detail)))
	})
}

func retained(r store.Removal, detail string) store.Event {
	return store.Event{UID: r.UID, Run: r.Run, Event: api.Event{Kind: "retention", Actor: "runner", Detail: detail}}
}
