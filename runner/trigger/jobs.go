package trigger

import (
	"context"
	"errors"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// Condition says which state of a job a Put is meant for. The zero Condition
// takes any.
type Condition struct {
	// IfNoneMatch refuses where the name is taken.
	IfNoneMatch bool
	// IfMatch, above zero, refuses any other generation.
	IfMatch int64
	// Key makes a Create repeatable: sent again with the key of the creation,
	// it gets the creation's answer.
	Key string
}

// Put declares a job. It answers with the job as stored and whether it was
// created; a job that says the same as the stored one changes nothing. What the
// request does wrong is an *api.Error; problems point into the spec.
//
// An edit of the schedule follows the cursor's law, in its own transaction:
// every occurrence of the old rule up to now is decided, the cursor is set to
// now, the new rule stored. So it never fires into the past and never swallows
// what was due. Edits of what decides beside the rule (paused, catch_up,
// overlap) decide what was due before in the same way, since it was due under
// the old words. Other edits leave the cursor alone.
//
// A body with another name than the address renames the job, which keeps its
// uid, its history and its cursor.
func (t *Trigger) Put(ctx context.Context, name string, body api.PutJob, cond Condition, actor string) (api.StoredJob, bool, error) {
	rule, err := check(body)
	if err != nil {
		return api.StoredJob{}, false, err
	}
	p := put{t: t, body: body, cond: cond, actor: actor, rule: rule}
	err = t.store.Write(ctx, func(tx *store.Tx) error {
		current, err := tx.Job(name)
		if errors.Is(err, store.ErrNotFound) {
			err = p.create(tx, name)
		} else if err == nil {
			err = p.update(tx, current)
		}
		if errors.Is(err, store.ErrTaken) {
			return taken(p.body.Spec.Name, "")
		}
		return err
	})
	if err != nil {
		return api.StoredJob{}, false, err
	}
	t.lookAgain()
	if p.queued {
		t.wake()
	}
	return p.stored, p.created, nil
}

// put is one Put under way.
type put struct {
	t     *Trigger
	body  api.PutJob
	cond  Condition
	actor string
	rule  *schedule.Schedule // of the body

	stored  api.StoredJob
	created bool
	queued  bool // a run was queued
}

// create stores a job under a free name, or takes up the history of the one
// that was buried under it.
func (p *put) create(tx *store.Tx, name string) error {
	if p.body.Spec.Name != name {
		return p.renamed(tx, name)
	}
	if p.cond.IfMatch > 0 {
		return noJob(name)
	}
	if err := p.t.watch.check(tx.Now); err != nil {
		return err
	}
	job, err := tx.BuriedJob(name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	creation := store.Creation{Key: p.cond.Key, Resumed: err == nil}
	p.declare(&job)
	job.Cursor = later(job.Cursor, tx.Now)
	if creation.Resumed {
		if err := p.bindMemory(tx, job.UID); err != nil {
			return err
		}
		job, err = tx.UpdateJob(job)
	} else {
		job, err = tx.InsertJob(job)
	}
	if err != nil {
		return err
	}
	// Only now it has the uid that its part of the jitter follows from.
	if err := tx.MoveCursor(job, job.Cursor, p.nextDue(job)); err != nil {
		return err
	}
	p.stored, p.created = job.StoredJob, true
	p.stored.Resumed = creation.Resumed
	if err := tx.KeepCreation(job.UID, creation); err != nil {
		return err
	}
	what := "created"
	if creation.Resumed {
		what = "resumed"
	}
	return jobEvent(tx, job.UID, what, p.actor)
}

func (p *put) update(tx *store.Tx, job store.Job) error {
	if p.cond.IfNoneMatch {
		return p.createAgain(tx, job)
	}
	if err := ownedBy(job, p.body.Owner); err != nil {
		return err
	}
	if p.says(job) {
		// Also for a stale If-Match: what it asks for is so. Another spelling of
		// the same job is echoed from now on, but is no new generation.
		job.Spec = p.body.Spec
		p.stored = job.StoredJob
		return tx.RespellJob(job)
	}
	if err := matches(job, p.cond.IfMatch); err != nil {
		return err
	}
	if err := p.bindMemory(tx, job.UID); err != nil {
		return err
	}
	newRule := !sameRule(job.Spec.Schedule, p.body.Spec.Schedule)
	if newRule || !sameWords(job.Spec, p.body.Spec) {
		var err error
		if job, err = p.decideBefore(tx, job, newRule); err != nil {
			return err
		}
	}
	if err := p.rename(tx, job); err != nil {
		return err
	}
	p.declare(&job)
	if newRule { // never back, not even where the clock went back: what is decided stays decided
		job.Cursor = later(job.Cursor, tx.Now)
		job.NextDueAt = p.nextDue(job)
	}
	job, err := tx.UpdateJob(job)
	if err != nil {
		return err
	}
	p.stored = job.StoredJob
	return jobEvent(tx, job.UID, "updated", p.actor)
}

// decideBefore decides what is due under the old words, and gives the job as
// it is then. Under a rule that ends here, that includes what its jitter still
// holds back.
func (p *put) decideBefore(tx *store.Tx, job store.Job, ruleEnds bool) (store.Job, error) {
	err := p.t.watch.check(tx.Now)
	if err == nil {
		p.queued, err = p.t.decideJob(tx, job.UID, ruleEnds)
	}
	if err != nil {
		return job, err
	}
	return tx.JobByUID(job.UID)
}

// createAgain answers a Create under a name that is taken.
func (p *put) createAgain(tx *store.Tx, job store.Job) error {
	creation, err := tx.Creation(job.UID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if p.cond.Key != "" && p.cond.Key == creation.Key {
		p.stored = job.StoredJob
		p.stored.Resumed = creation.Resumed
		return nil
	}
	return taken(job.Spec.Name, job.Owner)
}

func taken(name, owner string) error {
	by := ""
	if owner != "" {
		by = ", declared by " + owner
	}
	e := api.Errorf(api.CodeExists, "choose another name, or import the job to manage it here", "job %s exists%s", name, by)
	e.Pointer = "/name"
	return e
}

func (p *put) declare(job *store.Job) {
	job.Spec, job.Settings, job.Owner = p.body.Spec, p.body.Settings, p.body.Owner
	job.Actor, job.Reason = p.actor, p.body.Reason
}

// nextDue is when the job is due next under the new rule.
func (p *put) nextDue(job store.Job) time.Time {
	return dueAfter(p.rule, job.Cursor, offset(p.rule, job.UID))
}

func isCalendar(err error) bool {
	_, ok := errors.AsType[schedule.Problems](err)
	return ok
}

func noJob(name string) error {
	return api.Errorf(api.CodeNotFound, "`batch-runner status` lists the jobs there are", "there is no job %q on this runner", name)
}

func ownedBy(job store.Job, owner string) error {
	if job.Owner == "" || job.Owner == owner {
		return nil
	}
	by := "nobody in particular"
	if owner != "" {
		by = owner
	}
	return api.Errorf(api.CodeOwner, "change it where it is declared, or set the provider's owner to "+job.Owner,
		"job %s is declared by %s; this request is by %s", job.Spec.Name, job.Owner, by)
}

func matches(job store.Job, ifMatch int64) error {
	if ifMatch <= 0 || ifMatch == job.Generation {
		return nil
	}
	return api.Errorf(api.CodePrecondition, "read the job again (terraform plan) before changing it",
		"job %s is at generation %d; this request was made for generation %d", job.Spec.Name, job.Generation, ifMatch)
}

// jobEvent notes who did what to a job.
func jobEvent(tx *store.Tx, uid, what, actor string) error {
	return tx.Event(store.Event{UID: uid, Event: api.Event{Kind: "job", Actor: actor, To: what}})
}
