package trigger

import (
	"errors"
	"reflect"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// rename gives a job the name of the body, where it has another.
func (p *put) rename(tx *store.Tx, job store.Job) error {
	name := p.body.Spec.Name
	if name == job.Spec.Name {
		return nil
	}
	holder, err := tx.Job(name)
	if err == nil {
		return taken(name, holder.Owner)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return errors.Join(tx.RenameJob(job.UID, name), tx.Event(store.Event{UID: job.UID, Event: api.Event{
		Kind: "job", Actor: p.actor, From: job.Spec.Name, To: "renamed", Detail: "to " + name}}))
}

// renamed answers a renaming of a job that is not there: it may have been done
// by this very request, whose answer was lost.
func (p *put) renamed(tx *store.Tx, name string) error {
	job, err := tx.Job(p.body.Spec.Name)
	if errors.Is(err, store.ErrNotFound) {
		return api.Invalid("job "+name, []api.Error{
			invalid("/name", "%q is not the name in the address, %q, and there is no such job to rename", p.body.Spec.Name, name)})
	}
	if err == nil && !p.says(job) {
		err = noJob(name)
	}
	p.stored = job.StoredJob
	return err
}

// says tells whether the body says the same as the stored job.
func (p *put) says(job store.Job) bool {
	return p.body.Spec.Hash() == job.Hash && p.body.Owner == job.Owner && reflect.DeepEqual(p.body.Settings, job.Settings)
}
