package trigger

import (
	"errors"
	"fmt"
	"slices"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// bindMemory has what a job remembers of its input follow an edit. Memory of
// another input than the declared one is neither used nor dropped without a
// word of the edit: used, files would be left out that no run has read; dropped,
// they would be predicted twice. Mode "full" uses none, and leaves it as it is.
func (p *put) bindMemory(tx *store.Tx, uid string) error {
	identity := p.body.Spec.InputIdentity()
	if identity == "" {
		return nil
	}
	memory, err := tx.Memory(uid)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(memory.Identities, func(other string) bool { return other != identity }) {
		return noneToCome(tx, uid, identity)
	}
	if err := mayBind(tx, uid); err != nil {
		return err
	}
	switch p.body.Spec.Input.State {
	case api.StateReset:
		return tx.ForgetInputs(uid)
	case api.StateKeep:
		return tx.KeepInputs(uid, identity)
	}
	name := p.body.Spec.Name
	e := invalid("/input/state", "is required: the edit changes which input job %q is about, and runs remember what they took of the old one", name)
	what := "the files are the same under another name"
	if p.body.Spec.Input.SQL != nil {
		what = "the query finds the same rows in other words"
	}
	e.Hint = fmt.Sprintf("set %q to take all of the new input as new, or %q where %s", api.StateReset, api.StateKeep, what)
	return api.Invalid(fmt.Sprintf("job %q", name), []api.Error{e})
}

// noneToCome refuses while a run has planned another input: its end would leave
// memory of that, which nobody was asked about.
func noneToCome(tx *store.Tx, uid, identity string) error {
	active, err := tx.UnfinishedOf(uid)
	if err != nil {
		return err
	}
	for _, run := range active {
		plan, err := tx.Plan(run.ID)
		if errors.Is(err, store.ErrNotFound) {
			continue // it will plan what is declared by then
		}
		if err != nil {
			return err
		}
		if planned := plan.Spec.InputIdentity(); planned != "" && planned != identity {
			return underWay(run)
		}
	}
	return nil
}

func underWay(run store.Run) error {
	return api.Errorf(api.CodeConflict, "wait for it to end, or batch-runner cancel "+run.ID,
		"run %s is %s over the input that the edit replaces", run.ID, run.State)
}

// mayBind refuses while a run is under way: at its end it would add to the
// memory of the old input.
func mayBind(tx *store.Tx, uid string) error {
	active, err := tx.UnfinishedOf(uid)
	if err != nil {
		return err
	}
	for _, run := range active {
		if !run.StartedAt.IsZero() {
			return underWay(run)
		}
	}
	return nil
}
